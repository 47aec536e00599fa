"""Small models, their inputs, and comparisons of weights."""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np

import keras_qa

TEXT_VOCABULARY = 50
QUESTION_VOCABULARY = 40
ANSWERS = 7


def small_model(
    loss: str = "sparse_categorical_crossentropy", **options
) -> keras_qa.models.QAModel:
    """A small classic model."""
    keras.utils.set_random_seed(0)
    return keras_qa.models.answer_classifier(
        TEXT_VOCABULARY,
        QUESTION_VOCABULARY,
        ANSWERS,
        text_embedding_dim=6,
        text_units=5,
        question_embedding_dim=4,
        question_units=3,
        loss=loss,
        **options,
    )


def trained_model(loss: str = "sparse_categorical_crossentropy") -> keras_qa.models.QAModel:
    """A small classic model, trained so that every weight differs from its initial value."""
    # Other optimizers of TensorFlow square the gradients of repeated words before they are summed:
    # backends would differ.
    model = small_model(loss, optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
    if keras.config.backend() == "tensorflow":
        # XLA would compile each shape. `tests/engine/test_trains_as_keras.py` trains with XLA.
        model.compile_from_config({**model.get_compile_config(), "jit_compile": False})
    feed, labels = batch(16)
    make_variables(model, feed, labels)
    model.fit(feed, labels, epochs=1, batch_size=8, verbose=0)
    return model


def make_variables(model: keras.Model, feed, labels) -> None:
    """Makes the variables of the optimizer, and on TensorFlow those of the metrics.

    TensorFlow traces a training step twice if the first trace makes variables.
    """
    model.optimizer.build(model.trainable_variables)
    if keras.config.backend() == "tensorflow":
        outputs = model(feed)
        model.compute_loss(feed, labels, outputs)
        model.compute_metrics(feed, labels, outputs)
        model.reset_metrics()


@contextlib.contextmanager
def untraced(model: keras.Model) -> Iterator[None]:
    """Runs TensorFlow eagerly, because tracing takes seconds."""
    model.run_eagerly = keras.config.backend() == "tensorflow"
    yield
    model.run_eagerly = False


def state(model: keras.Model) -> list:
    return [*model.variables, *model.optimizer.variables]


def batch(size: int, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Valid inputs `[text, question]` and labels."""
    rng = np.random.default_rng(seed)
    text = rng.integers(1, TEXT_VOCABULARY, (size, 9), dtype="int32")
    question = rng.integers(1, QUESTION_VOCABULARY, (size, 4), dtype="int32")
    return [text, question], rng.integers(0, ANSWERS, size, dtype="int32")


def padded_batch(rows: int = 48, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Inputs with much padding, and labels. Rows are short or long: batches have two widths."""
    rng = np.random.default_rng(seed)
    short = np.arange(rows) % 2 == 1
    feed = []
    for long, width, vocabulary in ((20, 24, TEXT_VOCABULARY), (4, 8, QUESTION_VOCABULARY)):
        size = np.where(short, rng.integers(1, 5, rows), rng.integers(long - 3, long + 1, rows))
        ids = rng.integers(1, vocabulary, (rows, width), dtype="int32")
        feed.append(np.where(np.arange(width) < size[:, None], ids, 0).astype("int32"))
    return feed, rng.integers(0, ANSWERS, rows, dtype="int32")


def assert_predicted_again(got: np.ndarray, before: np.ndarray) -> None:
    """Asserts bitwise equality; on TensorFlow equality within rounding, because XLA may be on."""
    if keras.config.backend() == "tensorflow":
        np.testing.assert_allclose(got, before, atol=1e-6)
    else:
        np.testing.assert_array_equal(got, before)


def same_weights(model: keras.Model, before: list[np.ndarray]) -> bool:
    """Whether the weights are bitwise equal to `before`."""
    after = model.get_weights()
    return all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


STORY_TEXT = np.array([[[5, 6, 7], [8, 0, 0]], [[9, 3, 0], [0, 0, 0]]], "int32")
STORY_QUESTION = np.array([[2, 3], [4, 0]], "int32")


def universal(**options) -> keras_qa.models.QAModel:
    """A universal transformer with 12 words and 4 answers."""
    settings = {"embedding_dim": 16, "num_steps": 2, "num_heads": 2, "dropout": 0.0, **options}
    return keras_qa.models.universal_transformer(12, None, 4, **settings)


def memory(**options) -> keras_qa.models.QAModel:
    """A memory network with 12 words and 4 answers."""
    settings = {"embedding_dim": 8, "num_hops": 2, **options}
    return keras_qa.models.memory_network(12, None, 4, **settings)


def stories(rows: int = 40, seed: int = 0):
    """Stories of up to twelve sentences with one to four words, questions, answers and facts.

    Half of the stories are short, so that batches have two widths.
    """
    rng = np.random.default_rng(seed)
    short = np.arange(rows) % 2 == 1
    count = np.where(short, rng.integers(1, 5, rows), rng.integers(9, 13, rows))
    there = np.arange(12) < count[:, None]
    words = np.arange(4) < rng.integers(1, 5, (rows, 12))[..., None]
    text = rng.integers(1, 12, (rows, 12, 4)) * (there[..., None] & words)
    question = rng.integers(1, 12, (rows, 4))
    facts = there & (rng.random((rows, 12)) < 0.3)
    return [text, question], rng.integers(0, 4, rows), facts.astype("float32")


def reader(**options) -> keras_qa.models.reader.SpanReader:
    """A reader from scratch with 20 words."""
    optimizer = keras.optimizers.Adam(0.03)
    settings = {"units": 4, "embedding_dim": 6, "optimizer": optimizer, **options}
    return keras_qa.models.span_reader(20, **settings)


def reader_without_loops(words: int = 20) -> keras_qa.models.reader.SpanReader:
    """A reader without recurrent layers, which compiles in a moment."""
    keras.utils.set_random_seed(1)
    text, question = (keras.Input((None,), dtype="int32", name=n) for n in ("text", "question"))
    vectors = keras.layers.Embedding(words, 6)
    asked = keras.layers.GlobalAveragePooling1D()(vectors(question))
    start, end = keras_qa.layers.SpanHead()(vectors(text) * asked[:, None])
    model = keras_qa.models.reader.SpanReader([text, question], {"start": start, "end": end})
    model.compile("adam", {name: keras_qa.losses.SpanLoss() for name in ("start", "end")})
    return model


def words_to_find(rows: int = 6) -> tuple[dict, dict]:
    """Texts of ten words in random order. Questions are one word, labels are its position."""
    rng = np.random.default_rng(0)
    text = rng.permuted(np.tile(np.arange(2, 12), (rows, 1)), axis=1)
    place = rng.integers(0, 10, rows)
    question = text[np.arange(rows), place][:, None]
    labels = {"start": place + 1, "end": place + 1}
    return {"text": text, "question": question}, labels
