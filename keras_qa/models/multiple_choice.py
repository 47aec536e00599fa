"""Multiple-choice models: which of several choices answers a question about a text."""

from __future__ import annotations

import os
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from keras_qa.engine.compiling import Optimizer
from keras_qa.engine.labels import ONE_HOT, SPARSE, model_outputs
from keras_qa.engine.qa_model import QAModel
from keras_qa.layers import TransformerEncoder
from keras_qa.layers.attention import AlignedQuestionEmbedding, BidirectionalAttentionFlow
from keras_qa.layers.base_layer import DType, skip_initializers
from keras_qa.layers.choice_rows import FoldChoices, JoinChoices
from keras_qa.layers.classification_head import ClassificationHead, transformer_of
from keras_qa.layers.word_features import ContextEncoder, ExactMatch
from keras_qa.models.pretrained.checkpoint import PretrainedCheckpoint
from keras_qa.models.pretrained.hub import open_backbone
from keras_qa.models.reader import Tokenizer, enable_lora, make_word_embedding
from keras_qa.models.text_classifier import open_classifier
from keras_qa.preprocessing.choice_preprocessor import ChoicePreprocessor
from keras_qa.preprocessing.preprocessor import CHOICE, TASKS
from keras_qa.text import Windower
from keras_qa.text.windows import MAX_LENGTH

# In the `config.json` of a model that reads the question before the text.
_QUESTION_FIRST = "keras_qa_question_first"


@keras.saving.register_keras_serializable(package="keras_qa")
class MultipleChoice(QAModel):
    """The model of `multiple_choice`. A label is the number of a choice that is not padding."""

    preprocessor_name = "choices"

    def num_positions(self, inputs: list[np.ndarray]) -> int | None:
        return inputs[-1].shape[1]

    def check_labels(self, inputs: list[np.ndarray], labels: Any) -> None:
        if model_outputs(self)[0].loss not in (SPARSE, ONE_HOT):
            return
        numbers = labels if labels.ndim == 1 else labels.argmax(axis=-1)
        exists = np.asarray(inputs[-1].any(axis=-1))
        for row in np.flatnonzero(~exists[np.arange(len(exists)), numbers])[:1]:
            raise ValueError(
                f"The label at position {row} is {numbers[row]}, but that example has "
                f"{exists[row].sum()} choices. The others are padding: rows of zeros."
            )


def multiple_choice(
    text_vocabulary_size: int = 10_000,
    embedding_dim: int = 50,
    units: int = 64,
    num_layers: int = 1,
    cell: str = "lstm",
    dropout: float | None = None,
    word_vectors: npt.ArrayLike | None = None,
    trainable_vectors: bool = False,
    backbone: QAModel | PretrainedCheckpoint | str | os.PathLike[str] | None = None,
    tokenizer: Tokenizer | None = None,
    lora_rank: int | None = None,
    fused: str | bool = "auto",
    dtype: DType = None,
    optimizer: Optimizer | None = None,
    name: str = "multiple_choice",
) -> MultipleChoice:
    """A ranker of the choices of a question about a text. Compiled.

    Each choice is read with the text and the question, without the other choices. So the logit of
    a choice depends neither on their order nor on their number.

    From scratch it is recurrent like `span_reader`, with the features of words for the question and
    for the choice. The logit is the sum of two dense heads, for the text and for the choice. With a
    `backbone` the text is the first part of a sequence, and the question with a choice the second.
    The head is that of `AutoModelForMultipleChoice` of `transformers`.

    Args:
        text_vocabulary_size: Number of word ids in texts, questions and choices.
        embedding_dim: Size of the word vectors. This and what follows is as in `span_reader`.
        units: Size of the recurrent state of each direction.
        num_layers: Number of layers in each of the three recurrent parts.
        cell: `"lstm"` or `"gru"`.
        dropout: Dropout rate of the word vectors and of the inputs of recurrent layers and heads.
        word_vectors: Initial word vectors.
        trainable_vectors: Whether `word_vectors` are trained.
        backbone: An encoder, as in `text_classifier`, with its head for multiple choice if it
            has one. Or a ranker or a reader on an encoder, such as
            `keras_qa.load("minilm-rerank").model_`; `QuestionAnswerer` also takes its name. The
            model starts with the weights of its encoder and, of a ranker, its head, and reads the
            question with a choice before the text, as they do. All arguments above are then
            ignored.
        tokenizer: The backbone's tokenizer.
        lora_rank: Train matrices of this rank instead of the weights of the backbone.
        fused: Whether to use kernels.
        dtype: Dtype policy of every layer.
        optimizer: Optimizer to compile with.
        name: Name of the model.

    Returns:
        A compiled `QAModel` with the output `choice`, `(batch, choices)` float32 logits: -1e9 for
        padding, which are choices without ids. From scratch, its inputs are `text` and `question`,
        `(batch, words)` int32, and `choices`, `(batch, choices, words)`. With a backbone, they are
        `token_ids`, `segment_ids` if the backbone uses them, and `padding_mask`,
        `(batch, choices, time)`. The loss is a softmax cross-entropy.

    Raises:
        ImportError: If a library that reads checkpoints is not installed.
        ValueError: If a size is out of its range, `word_vectors` has another shape, or the backbone
            cannot be loaded or is not supported.

    Examples:
        >>> import numpy as np
        >>> from keras_qa.models import multiple_choice
        >>> model = multiple_choice(100, units=8)
        >>> feed = [np.ones(shape, "int32") for shape in ((2, 7), (2, 4), (2, 3, 5))]
        >>> model.predict(feed, verbose=0).shape
        (2, 3)
    """
    if isinstance(backbone, keras.Model):
        return _on_trained(backbone, lora_rank, dtype, optimizer, name)
    if backbone is not None:
        checkpoint = open_backbone(backbone)
        encoder, head, tokenizer = open_classifier(
            checkpoint, CHOICE, 1, tokenizer, lora_rank, dtype
        )
        model = choose_on_encoder(encoder, head, optimizer, name)
        if tokenizer is not None:
            longest = min(MAX_LENGTH, encoder.max_length)
            question_first = checkpoint.config.get(_QUESTION_FIRST) is True
            windower = Windower(tokenizer, longest)
            model.preprocessor = ChoicePreprocessor(windower, question_first=question_first)
        return model
    words = make_word_embedding(
        text_vocabulary_size, embedding_dim, dropout, word_vectors, trainable_vectors, dtype
    )
    inputs = [
        keras.Input((None,), dtype="int32", name="text"),
        keras.Input((None,), dtype="int32", name="question"),
        keras.Input((None, None), dtype="int32", name="choices"),
    ]
    rows = FoldChoices([text_vocabulary_size] * 3, name="fold")(inputs)
    logits = _from_scratch(rows, words, units, num_layers, cell, fused, dtype)
    optimizer = optimizer or keras.optimizers.Adam(2e-3, global_clipnorm=5.0)
    return _join(inputs, logits, optimizer, name)


def _on_trained(
    trained: keras.Model,
    lora_rank: int | None,
    dtype: DType,
    optimizer: Optimizer | None,
    name: str,
) -> MultipleChoice:
    """Builds a model that starts with the weights of a ranker or a reader."""
    source = transformer_of(trained)
    preprocessor = getattr(trained, "preprocessor", None)
    settings = source.settings if source is not None else {}
    if source is None or preprocessor is None or not settings["checkpoint"] or source.lora_rank:
        raise ValueError(
            "`backbone` must be an encoder, or a ranker or a reader on a published encoder. LoRA "
            "must be merged: save the model and load it. Received: the model "
            f"`{trained.name:.60}`."
        )
    architecture = f"{settings['checkpoint']['architectures'][0].split('For')[0]}{TASKS[CHOICE]}"
    config = {**settings["checkpoint"], "architectures": [architecture], _QUESTION_FIRST: True}
    settings = {**settings, "checkpoint": config}
    encoder = TransformerEncoder(**settings, dtype=dtype, name="backbone")
    with skip_initializers():
        encoder.build()
    encoder.set_weights(source.get_weights())
    own, width = trained.layers[-1], encoder.hidden_dim
    # The head of BERT.
    options: Any = {"hidden_dim": width, "activation": "tanh", "dropout": 0.1, "name": "logits"}
    is_ranker = isinstance(own, ClassificationHead) and own.num_labels == 1
    if is_ranker:
        options = {**own.get_config(), "num_labels": 1}
    head = ClassificationHead(**{"num_labels": 1, **options, "dtype": dtype})
    head.build((None, None, width))
    if is_ranker:
        head.set_weights(own.get_weights())
    if lora_rank is not None:
        enable_lora(encoder, lora_rank)
    model = choose_on_encoder(encoder, head, optimizer, name)
    model.preprocessor = ChoicePreprocessor(preprocessor.vectorizer, question_first=True)
    return model


def choose_on_encoder(
    encoder: TransformerEncoder,
    head: ClassificationHead,
    optimizer: Optimizer | None,
    name: str = "multiple_choice",
) -> MultipleChoice:
    """Makes a ranker of the layers of a classifier with one logit. Each choice is a row."""
    optimizer = optimizer or keras.optimizers.AdamW(5e-5, weight_decay=0.01)
    names = encoder.input_names
    inputs = [keras.Input((None, None), dtype="int32", name=name) for name in names]
    rows = FoldChoices(encoder.vocabulary_sizes, encoder.max_length, name="fold")(inputs)
    return _join(inputs, head(encoder(rows), mask=rows[-1]), optimizer, name)


def _join(inputs: list[Any], logits: Any, optimizer: Optimizer, name: str) -> MultipleChoice:
    joined = JoinChoices(dtype="float32", name="choice")([logits, inputs[-1]])
    model = MultipleChoice(inputs, joined, name=name)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    metric = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(optimizer, loss, metrics=[metric])
    return model


def _from_scratch(
    rows: Any, words: Any, units: int, num_layers: int, cell: str, fused: str | bool, dtype: DType
) -> Any:
    text, question, choice = rows

    def context(name: str) -> ContextEncoder:
        return ContextEncoder(units, num_layers, cell, words.dropout, fused, dtype=dtype, name=name)

    def aligned(name: str) -> AlignedQuestionEmbedding:
        return AlignedQuestionEmbedding(dtype=dtype, name=f"aligned_{name}")

    def head(name: str) -> ClassificationHead:
        options: Any = {"activation": "relu", "input_dropout": words.dropout}
        return ClassificationHead(1, "max", units, **options, dtype=dtype, name=f"{name}_logit")

    text_words, question_words, choice_words = words(text), words(question), words(choice)
    features = [text_words]
    for name, ids, vectors in (
        ("question", question, question_words),
        ("choice", choice, choice_words),
    ):
        features.append(aligned(name)([text_words, vectors]))
        features.append(ExactMatch(dtype=dtype, name=f"same_{name}")([text, ids]))
    text_states = context("text_context")(features)
    choice_context = context("choice_context")
    about_question = aligned("asked")([choice_words, question_words])
    choice_states = choice_context([choice_words, about_question])
    flow = BidirectionalAttentionFlow(dtype=dtype, name="flow")([text_states, choice_states])
    states = context("reasoner")([flow, text_states])
    logits = [head("text")(states), head("choice")(choice_states)]
    return keras.layers.Add(dtype="float32", name="logit")(logits)
