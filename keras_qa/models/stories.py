"""Models for stories: texts as sentences of word ids, with a question."""

from __future__ import annotations

from typing import Any

import keras

from keras_qa.engine.compiling import Loss, Optimizer
from keras_qa.engine.qa_model import QAModel
from keras_qa.layers import MemoryHops, SentenceEncoder, UniversalTransformerEncoder, answer_head
from keras_qa.layers.base_layer import DType
from keras_qa.layers.heads import SupportHead
from keras_qa.layers.order import PreviousSentence, TemporalEncoding
from keras_qa.losses.span_losses import SupportLoss


def universal_transformer(
    text_vocabulary_size: int = 10_000,
    question_vocabulary_size: int | None = None,
    answer_vocabulary_size: int = 500,
    embedding_dim: int = 64,
    hidden_dim: int | None = None,
    num_steps: int = 4,
    num_heads: int = 4,
    num_roles: int = 8,
    encoding: str = "roles",
    max_words: int = 12,
    max_sentences: int = 128,
    dropout: float = 0.1,
    supporting_facts: bool = False,
    dtype: DType = None,
    optimizer: Optimizer | None = None,
    loss: Loss = "sparse_categorical_crossentropy",
    name: str = "universal_transformer",
) -> QAModel:
    """A universal transformer over the sentences of a story and a question. Compiled.

    One encoder turns every sentence and the question into a vector each. A gate adds information
    from the previous sentence. Then one block with shared weights updates the vectors in
    `num_steps` steps, and the answer is predicted from the question's vector (Dehghani et al. 2019,
    arXiv:1807.03819, section 3.1).

    Args:
        text_vocabulary_size: Number of word ids in texts.
        question_vocabulary_size: Number of word ids in questions. Texts and questions share one
            table with the larger of the two sizes.
        answer_vocabulary_size: Number of answers.
        embedding_dim: Size of sentence and question vectors.
        hidden_dim: Size of the block's hidden dense layer. `None` for four times `embedding_dim`.
        num_steps: Number of steps.
        num_heads: Number of attention heads.
        num_roles: Number of weighted sums of a sentence's words, see `SentenceEncoder`.
        encoding: How sentences are encoded, see `SentenceEncoder`.
        max_words: Number of positions in a sentence with their own weights.
        max_sentences: Number of positions in a story with their own encoding, counted from the
            end. Earlier sentences share the last one.
        dropout: Dropout rate of the sentence vectors, the block's updates and the head's input.
        supporting_facts: Whether to learn the supporting sentences of answers from the data, as a
            second output.
        dtype: Dtype policy of every layer. `None` for Keras' global policy.
        optimizer: Optimizer to compile with. `None` for Adam with a learning rate of 0.0015.
        loss: Loss of the answers to compile with.
        name: Name of the model.

    Returns:
        A compiled `QAModel` with the inputs `text`, `(batch, sentences, words)` int32, and
        `question`, `(batch, words)` int32, and the output `answer`,
        `(batch, answer_vocabulary_size)` float32. With `supporting_facts` the outputs are a dict
        of `answer` and `support`, `(batch, sentences)` float32.

    Raises:
        ValueError: If a size or the encoding is out of its range.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.models import universal_transformer
        >>> model = universal_transformer(50, answer_vocabulary_size=6, embedding_dim=16)
        >>> model.predict([np.ones((2, 3, 5), "int32"), np.ones((2, 4), "int32")], verbose=0).shape
        (2, 6)
    """
    text, question = _inputs()
    encoder = SentenceEncoder(
        max(text_vocabulary_size, question_vocabulary_size or 0),
        embedding_dim,
        encoding,
        max_words,
        num_roles=num_roles,
        dropout=dropout,
        dtype=dtype,
        name="sentences",
    )
    reasoner = UniversalTransformerEncoder(
        num_steps,
        num_heads,
        4 * embedding_dim if hidden_dim is None else hidden_dim,
        dropout,
        max_sentences,
        dtype=dtype,
        name="reasoner",
    )
    taking_up = PreviousSentence(dtype=dtype, name="previous")
    state, sentences = reasoner([encoder(question), taking_up(encoder(text))])
    answer = answer_head(answer_vocabulary_size, dropout=dropout, dtype=dtype)(state)
    read = [state, sentences] if supporting_facts else None
    return _compiled([text, question], answer, read, dtype, optimizer, loss, name)


def memory_network(
    text_vocabulary_size: int = 10_000,
    question_vocabulary_size: int | None = None,
    answer_vocabulary_size: int = 500,
    embedding_dim: int = 64,
    num_hops: int = 3,
    encoding: str = "positional",
    max_words: int = 12,
    max_sentences: int = 128,
    noise: float = 0.1,
    dropout: float = 0.0,
    supporting_facts: bool = False,
    dtype: DType = None,
    optimizer: Optimizer | None = None,
    loss: Loss = "sparse_categorical_crossentropy",
    name: str = "memory_network",
) -> QAModel:
    """The end-to-end memory network of Sukhbaatar et al. 2015 (arXiv:1503.08895). Compiled.

    In each of `num_hops` hops, the question's vector attends to the sentence vectors, and the
    result is added to it. A softmax over the answers follows.

    Args:
        text_vocabulary_size: Number of word ids in texts.
        question_vocabulary_size: Number of word ids in questions. `None` if texts and questions
            have one vocabulary; questions then use the table of the first encoding.
        answer_vocabulary_size: Number of answers.
        embedding_dim: Size of word, sentence and question vectors.
        num_hops: Number of hops.
        encoding: How sentences are encoded, see `SentenceEncoder`.
        max_words: Number of positions in a sentence with their own weights.
        max_sentences: Number of positions in a story with their own vector, counted from the end.
        noise: Probability of an empty position before each sentence in training.
        dropout: Dropout rate of the sentence vectors and the head's input.
        supporting_facts: Whether to learn the supporting sentences too. This and what follows is
            as in `universal_transformer`.
        dtype: Dtype policy of every layer.
        optimizer: Optimizer to compile with.
        loss: Loss of the answers.
        name: Name of the model.

    Returns:
        A compiled `QAModel` with the inputs and outputs of `universal_transformer`.

    Raises:
        ValueError: If a size or the encoding is out of its range.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.models import memory_network
        >>> model = memory_network(50, answer_vocabulary_size=6, embedding_dim=16)
        >>> model.predict([np.ones((2, 3, 5), "int32"), np.ones((2, 4), "int32")], verbose=0).shape
        (2, 6)
    """
    text, question = _inputs()

    def encoder(vocabulary_size: int, name: str) -> SentenceEncoder:
        return SentenceEncoder(
            vocabulary_size,
            embedding_dim,
            encoding,
            max_words,
            dropout=dropout,
            dtype=dtype,
            name=name,
        )

    hops = MemoryHops(num_hops, dtype=dtype, name="reasoner")
    encoders = [
        encoder(text_vocabulary_size, f"sentences_{index}") for index in range(num_hops + 1)
    ]
    question_encoder = encoders[0]
    if question_vocabulary_size is not None:
        question_encoder = encoder(question_vocabulary_size, "question_words")
    memories = [
        TemporalEncoding(max_sentences, noise, dtype=dtype, name=f"time_{index}")(encode(text))
        for index, encode in enumerate(encoders)
    ]
    state = hops([question_encoder(question), *memories])
    answer = answer_head(answer_vocabulary_size, dropout=dropout, dtype=dtype)(state)
    read = [state, memories[-1]] if supporting_facts else None
    return _compiled([text, question], answer, read, dtype, optimizer, loss, name)


def _inputs() -> tuple[Any, Any]:
    return (
        keras.Input((None, None), dtype="int32", name="text"),
        keras.Input((None,), dtype="int32", name="question"),
    )


def _compiled(
    inputs: list[Any],
    answer: Any,
    read: list[Any] | None,
    dtype: DType,
    optimizer: Optimizer | None,
    loss: Loss,
    name: str,
) -> QAModel:
    """Compiles a model. With `read`, the state and the sentences, it also outputs the support."""
    optimizer = optimizer or keras.optimizers.Adam(1.5e-3)
    if read is None:
        model = QAModel(inputs=inputs, outputs=answer, name=name)
        model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
        return model
    support = SupportHead(read[0].shape[-1], dtype=dtype, name="support")(read)
    model = QAModel(inputs=inputs, outputs={"answer": answer, "support": support}, name=name)
    model.compile(
        optimizer=optimizer,
        loss={"answer": loss, "support": SupportLoss()},
        metrics={"answer": ["accuracy"]},
    )
    return model
