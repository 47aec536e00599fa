"""What replaces Keras' step of training and its loop of prediction gives what Keras' gives."""

import keras
import numpy as np
import pytest
from as_keras import STEPS, assert_alike, keras_model, trained
from small_models import padded_batch

import keras_qa


def padded(rows: int = 12):
    """A feed as narrow as its longest row."""
    feed, labels = padded_batch(rows)
    return [array[:, :width] for array, width in zip(feed, (20, 4), strict=True)], labels


def plain(model: keras.Model) -> keras.Model:
    """Keras' own model with the same layers and weights, to be compiled."""
    twin = type(model).from_config(model.get_config())
    twin.set_weights(model.get_weights())
    return keras.Model(twin.inputs, twin.outputs)


def small(**options) -> keras_qa.models.QAModel:
    return keras_qa.models.answer_classifier(
        50, 40, 7, 4, 3, question_embedding_dim=3, question_units=2, **options
    )


@pytest.mark.parametrize(
    ("optimizer", "weighted"),
    [
        (lambda: keras.optimizers.RMSprop(1e-3, clipnorm=0.5), False),
        (
            lambda: keras.optimizers.LossScaleOptimizer(
                keras.optimizers.Adam(
                    keras.optimizers.schedules.ExponentialDecay(1e-3, 2, 0.5), global_clipnorm=0.1
                )
            ),
            True,
        ),
    ],
    ids=["rmsprop", "scaled adam"],
)
def test_a_step_of_training_is_keras(optimizer, weighted: bool) -> None:
    model = small()
    # No word twice: Keras on TensorFlow squares a word's gradients before it adds them up.
    random = np.random.default_rng(0)
    feed = [random.permutation(size)[1:].reshape(6, -1) for size in (49, 37)]
    labels = random.integers(0, 7, 6)
    weights = np.linspace(0, 2, 6, dtype="float32") if weighted else None
    twin = plain(model)
    for item in (model, twin):
        item.compile(optimizer(), "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    assert_alike(trained(model, feed, labels, weights), trained(twin, feed, labels, weights))
    assert int(model.optimizer.iterations) == STEPS


def test_what_is_frozen_stays_and_what_is_thawed_trains() -> None:
    model = small()
    feed, labels = padded()
    encoder = model.get_layer("text_encoder")
    encoder.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    before = encoder.get_weights()
    trained(model, feed, labels)
    for got, expected in zip(encoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, expected)
    encoder.trainable = True
    model.compile("adam", "sparse_categorical_crossentropy")
    trained(model, feed, labels)
    assert not all(map(np.array_equal, encoder.get_weights(), before))


def test_regularisation_is_part_of_the_loss() -> None:
    ids = keras.Input((None,), dtype="int32", name="text")
    vector = keras_qa.layers.SequenceEncoder(30, 4, 3)(ids)
    dense = keras.layers.Dense(4, activation="softmax", kernel_regularizer="l2")
    model = keras_qa.models.QAModel([ids], dense(vector))
    twin = plain(model)
    (text, _), labels = padded()
    for item in (model, twin):
        item.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    feed, labels = text % 30, labels % 4
    assert_alike(trained(model, [feed], labels), trained(twin, [feed], labels))


def test_a_loss_that_a_layer_adds_is_part_of_the_loss() -> None:
    model = keras_qa.models.universal_transformer(
        30, answer_vocabulary_size=4, embedding_dim=8, num_roles=1, encoding="matrix", num_heads=2,
        halting=True, ponder_cost=0.5, dropout=0.0, noise=0.0,
    )  # fmt: skip
    twin = plain(model)
    for item in (model, twin):
        item.compile(
            keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
    random = np.random.default_rng(0)
    feed, labels = [random.integers(1, 30, (6, *size)) for size in ((3, 4), (4,))], np.arange(6) % 4
    trained_ones = trained(model, feed, labels), trained(twin, feed, labels)
    assert trained_ones[0][0]["loss"][-1] > 0.5
    assert_alike(*trained_ones)


def test_single_batches_after_a_long_training_are_trained_on_as_before() -> None:
    model = small(optimizer=keras.optimizers.SGD(0.5))
    feed, labels = padded()
    trained(model, feed, labels)
    twin = plain(model)
    twin.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    for rows in (slice(12), slice(5), slice(12)):
        part = [array[rows] for array in feed]
        model.train_on_batch(part, labels[rows])
        twin.train_on_batch(part, labels[rows])
    for got, expected in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_dropout_is_drawn_at_each_step() -> None:
    model = small(dropout=0.5, optimizer=keras.optimizers.SGD(1e-9))
    logs, _ = trained(model, *padded())
    # Almost without learning, what a batch costs differs by what is dropped alone.
    assert len(np.unique(np.round(logs["loss"], 5))) > STEPS - 3


def test_batches_with_padding_without_and_with_gaps_are_trained_on_in_turn() -> None:
    feed, labels = padded()
    full = [np.where(array == 0, 3, array) for array in feed]
    gaps = [array.copy() for array in feed]
    for array in gaps:
        array[:, 0] = 0
    model = small()
    results = []
    for item in (model, plain(model)):
        item.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
        for ids in (full, feed, gaps, full, feed):
            trained(item, ids, labels)
        results.append(item.get_weights())
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_batches_with_and_without_padding_are_predicted_in_turn(cell, bidirectional) -> None:
    model = small(cell=cell, bidirectional=bidirectional)
    feed, _ = padded(8)
    full = [np.where(array == 0, 3, array) for array in feed]
    twin = keras_model(model)
    for ids in [full, feed] * 2:
        got = model.predict(ids, verbose=0, length_buckets=False)
        np.testing.assert_allclose(got, twin.predict_on_batch(ids), atol=1e-6)


@pytest.mark.parametrize("layer", [keras_qa.layers.LSTM, keras_qa.layers.GRU])
def test_a_mask_may_hide_what_is_not_zero(layer) -> None:
    vectors = keras.Input((None, 2), name="vectors")
    state = layer(3)(keras.layers.Masking(2.0)(vectors))
    model = keras_qa.models.QAModel([vectors], keras.layers.Dense(4)(state))
    feed = np.random.default_rng(0).uniform(-1, 1, (8, 6, 2)).astype("float32")
    hidden = feed.copy()
    hidden[:3, 2:] = 2
    twin = keras_model(model)
    for batch in [feed, hidden] * 2:
        got = model.predict(batch, verbose=0)
        np.testing.assert_allclose(got, twin.predict_on_batch([batch]), atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "bidirectional"),
    [("lstm", True), pytest.param("gru", False, marks=pytest.mark.full)],
)
def test_many_words_are_predicted_as_few(cell: str, bidirectional: bool) -> None:
    model = small(cell=cell, bidirectional=bidirectional, pooling="mean")
    feed, _ = padded_batch()
    twin = keras_model(model)
    for _ in range(2):
        # 48 rows hold the vocabulary many times; Keras' own call of a row does not.
        rows = [twin.predict_on_batch([array[row : row + 1] for array in feed]) for row in range(9)]
        got = model.predict(feed, batch_size=8, verbose=0)[:9]
        np.testing.assert_allclose(got, np.concatenate(rows), atol=1e-6)
        for weight in model.weights:
            weight.assign(weight.value * 1.5 + 0.1)
    assert np.abs(model.predict(feed, batch_size=8, verbose=0)[:9] - got).max() > 1e-3


@pytest.mark.parametrize("batch_size", [8, 48])
def test_progress_is_shown_for_one_batch_as_for_many(model, batch_size: int, capsys) -> None:
    feed, _ = padded_batch()
    model.predict(feed, batch_size=batch_size, verbose=1)
    assert f"{48 // batch_size}/{48 // batch_size}" in capsys.readouterr().out
