"""The classic two-branch model: an answer word for a text and a question."""

from __future__ import annotations

import keras

from keras_qa.engine.compiling import Loss, Optimizer
from keras_qa.engine.qa_model import QAModel
from keras_qa.layers import answer_head, question_encoder, text_encoder
from keras_qa.layers.base_layer import DType
from keras_qa.layers.encoders import EncoderOptions


def answer_classifier(
    text_vocabulary_size: int = 10_000,
    question_vocabulary_size: int = 10_000,
    answer_vocabulary_size: int = 500,
    text_embedding_dim: int = 64,
    text_units: int = 32,
    question_embedding_dim: int = 32,
    question_units: int = 16,
    cell: str = "lstm",
    bidirectional: bool = False,
    pooling: str = "last",
    hidden_dim: int | None = None,
    dropout: float = 0.0,
    fused: str | bool = "auto",
    dtype: DType = None,
    optimizer: Optimizer = "rmsprop",
    loss: Loss = "sparse_categorical_crossentropy",
    name: str = "answer_classifier",
) -> QAModel:
    """The two-input model that introduces the Keras functional API, compiled and ready.

    The text and the question are each encoded by an embedding and a recurrent layer. The two
    vectors are concatenated, and a softmax over the answer vocabulary follows. The model has
    1,000,052 parameters with the defaults. It is a baseline: it learns which answers occur with
    which words, but it cannot chain facts (Weston et al. 2015, arXiv:1502.05698, table 3, "LSTM").

    Args:
        text_vocabulary_size: Number of word ids in texts.
        question_vocabulary_size: Number of word ids in questions.
        answer_vocabulary_size: Number of answers.
        text_embedding_dim: Width of the text's word vectors.
        text_units: Width of the text's recurrent state.
        question_embedding_dim: Width of the question's word vectors.
        question_units: Width of the question's recurrent state.
        cell: `"lstm"` or `"gru"`, in both branches.
        bidirectional: Whether both branches read in both directions.
        pooling: `"last"`, `"mean"` or `"max"`, in both branches.
        hidden_dim: Width of a ReLU layer before the softmax. `None` for none.
        dropout: Dropout rate of the word vectors and of the head's input.
        fused: Whether to use kernels, as in `layers.LSTM`. `False` for Keras' own loop.
        dtype: Dtype policy of every layer. `None` for Keras' global policy.
        optimizer: Optimizer to compile with.
        loss: Loss to compile with. Either cross-entropy takes integer and one-hot labels.
        name: Name of the model.

    Returns:
        A compiled `QAModel` with the inputs `text` and `question`, `(batch, time)` int32 each, and
        the output `answer`, `(batch, answer_vocabulary_size)` float32.

    Raises:
        ValueError: If a size, the cell or the pooling is out of its range.

    Examples:
        >>> from keras_qa.models import answer_classifier
        >>> answer_classifier().count_params()
        1000052
    """
    shared: EncoderOptions = {
        "cell": cell,
        "bidirectional": bidirectional,
        "pooling": pooling,
        "dropout": dropout,
        "fused": fused,
        "dtype": dtype,
    }
    text = keras.Input((None,), dtype="int32", name="text")
    question = keras.Input((None,), dtype="int32", name="question")
    vectors = [
        text_encoder(text_vocabulary_size, text_embedding_dim, text_units, **shared)(text),
        question_encoder(
            question_vocabulary_size, question_embedding_dim, question_units, **shared
        )(question),
    ]
    features = keras.layers.Concatenate(dtype=dtype, name="features")(vectors)
    head = answer_head(answer_vocabulary_size, hidden_dim=hidden_dim, dropout=dropout, dtype=dtype)
    model = QAModel(inputs=[text, question], outputs=head(features), name=name)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    return model
