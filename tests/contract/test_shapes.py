"""Few programs for many shapes: widths are shared until they are worth programs of their own."""

import pathlib

import keras
import numpy as np
import pytest
from as_keras import BACKEND, ROWS, assert_trains_as_keras, small, twins

import keras_qa
from keras_qa import execution
from keras_qa.execution.filling import OF_FIRST, Costs
from keras_qa.inputs.buckets import Bucket, shared

COMPILES = BACKEND != "torch"


def test_a_training_that_goes_on_has_the_widths_of_one_that_was_never_broken_off() -> None:
    model = keras_qa.models.memory_network(50, None, 5, embedding_dim=4)
    inputs = [np.ones((20, 3, 4), "int32"), np.ones((20, 4), "int32")]
    whole, rest = (
        execution.prepare_training(model, inputs, ROWS, 16, initial_epoch)
        for initial_epoch in (0, 8)
    )
    assert whole == rest
    assert whole.steps == (48 if COMPILES else 0)


def test_buckets_share_the_width_of_the_widest_unless_it_is_far_wider() -> None:
    widths = [(4, 4), (100, 8), (12, 20), (3000, 4), (200, 4)]
    buckets = [Bucket(np.arange(place), each) for place, each in enumerate(widths)]
    # 3,004 steps are not more than sixteen times 204, and far more than 108, 32 and 8; of these,
    # the widest has thirteen times as many as the narrowest.
    expected = [(100, 20), (100, 20), (100, 20), (3000, 4), (3000, 4)]
    assert [bucket.widths for bucket in shared(buckets, (1, 1))] == expected
    assert [len(bucket.rows) for bucket in shared(buckets, (1, 1))] == [0, 1, 2, 3, 4]


def rows_of_any_length(rows: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 60, (rows, 1))
    text = np.where(np.arange(60) < sizes, rng.integers(1, 50, (rows, 60)), 0)
    question = np.where(np.arange(9) < sizes % 9 + 1, rng.integers(1, 40, (rows, 9)), 0)
    return [text.astype("int32"), question.astype("int32")], rng.integers(0, 7, rows)


def test_rows_of_any_length_are_predicted_as_one_by_one() -> None:
    model = small()
    feed, _ = rows_of_any_length(40)
    sizes = np.count_nonzero(feed[0], axis=1)
    expected = keras.Model(model.inputs, model.outputs).predict(feed, verbose=0)
    for _ in range(4):
        got = model.predict(feed, batch_size=ROWS, verbose=0)
        np.testing.assert_allclose(got, expected, atol=1e-5)
    for row in (0, 5, 7):
        one = [array[row : row + 1, : sizes[row] + 1] for array in feed]
        np.testing.assert_allclose(model.predict(one, verbose=0)[0], expected[row], atol=1e-5)


def test_a_first_prediction_makes_one_program_at_most() -> None:
    model = small()
    feed, _ = rows_of_any_length(100)
    model.predict(feed, batch_size=ROWS, verbose=0)
    batches = model._predictor.batch
    if BACKEND == "jax":
        assert len(batches.shapes) == 1
    if BACKEND == "tensorflow":
        assert not batches.programs
        # Once XLA is worth it, it compiles the one shape, then the tables, and gives the same.
        expected = model.predict(feed, batch_size=ROWS, verbose=0)
        # What XLA has compiled is used, even if it took long.
        for cost, programs in ((0.0, 1), (1e9, 2), (1e9, 2)):
            batches.cost = cost
            got = model.predict(feed, batch_size=ROWS, verbose=0)
            assert len(batches.programs) == programs
            np.testing.assert_allclose(got, expected, atol=1e-6)
    for row in range(3):
        model.predict([array[row : row + 1, : 30 + row] for array in feed], verbose=0)
    if BACKEND == "jax":
        assert len(batches.shapes) == 2


if BACKEND == "tensorflow":

    def test_a_length_gets_a_program_of_its_own_once_that_pays() -> None:
        model = small()
        feed, _ = rows_of_any_length(1)
        plain = keras.Model(model.inputs, model.output)

        def predict(words: int, cost: float) -> set:
            one = [np.full((1, words), 3, "int32"), feed[1]]
            if model._predictor is not None:
                model._predictor.batch.cost = cost
            got = model.predict(one, verbose=0)
            np.testing.assert_allclose(got, plain.predict(one, verbose=0), atol=1e-6)
            return {shapes[0][1] for _, shapes in model._predictor.batch.programs}

        for _ in range(2):
            assert predict(30, cost=1e9) == set()
        # As if XLA took no time: first for the width that lengths share, then for each of two.
        assert predict(30, cost=0.0) == {32}
        assert predict(10, cost=1e9) == predict(18, cost=1e9) == {32}
        assert predict(10, cost=0.0) == {32, 12}
        assert predict(11, cost=1e9) == {32, 12}
        assert predict(18, cost=0.0) == {32, 12, 20}
        # Another model has no program, and one that has changed none any more.
        model.get_layer("text_encoder").embedding.enable_lora(2)
        assert predict(10, cost=1e9) == set()


def mappings() -> int:
    """Mappings of memory of this process: each program that XLA compiles takes some."""
    return pathlib.Path("/proc/self/maps").read_bytes().count(b"\n")


def test_batches_of_other_lengths_are_trained_by_the_same_program() -> None:
    model = small()
    before = 0
    for seed in range(4):
        feed, labels = rows_of_any_length(4 * ROWS, seed)
        feed[0][:, -1] = feed[0][:, 0] = 1
        feed[0][:, seed + 1 : -1] *= np.arange(4 * ROWS)[:, None] % 2
        model.fit(feed, labels, batch_size=ROWS, epochs=6, verbose=0)
        if seed == 1:
            before = mappings()
    assert mappings() - before < 20


def test_a_long_training_has_its_weights_updated_by_a_program_too(monkeypatch) -> None:
    if BACKEND == "tensorflow":
        from keras_qa.execution import tensorflow as programs

        monkeypatch.setattr(programs, "LEAST_UPDATES", 0)

    model, other = twins(lambda: small(optimizer=keras.optimizers.Adam(0.01)))
    other.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    assert_trains_as_keras(model, other)
    assert model._plan.updates == (BACKEND == "tensorflow")


def test_widths_get_programs_of_their_own_once_that_pays() -> None:
    model = small(optimizer=keras.optimizers.SGD(0.01))
    feed, labels = rows_of_any_length(6 * ROWS)
    expected = small(optimizer=keras.optimizers.SGD(0.01))
    np.random.seed(3)
    expected.fit(feed, labels, batch_size=ROWS, epochs=4, verbose=0)
    # As if much time had been lost by the second epoch.
    cheap = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: setattr(model._costs, "lost", 1e9 * epoch)
    )
    np.random.seed(3)
    model.fit(feed, labels, batch_size=ROWS, epochs=4, verbose=0, callbacks=[cheap])
    for got, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(got, other, atol=1e-5)
    assert model._costs.own == COMPILES
    # Programs for one width each need not look for the longest row.
    assert not model._plan.early
    for one in (model, expected):
        np.random.seed(4)
        one.fit(feed, labels, batch_size=ROWS, epochs=1, verbose=0)
    assert not model._plan.early
    for got, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(got, other, atol=1e-5)


def test_a_width_costs_what_was_compiled_and_not_what_was_traced() -> None:
    costs = Costs(tracing=1.0)
    costs.compiled(3.5)
    assert costs.compiling == pytest.approx(OF_FIRST * 2.5)
    # Later first steps may have compiled more than a width: the update of the weights.
    costs.compiled(99.0)
    assert costs.compiling == pytest.approx(OF_FIRST * 2.5)
    costs.lost = 8 * costs.compiling - 1
    assert not costs.are_worth(8)
    assert costs.are_worth(8, to_come=2.0)


if BACKEND == "jax":

    def test_predictions_that_end_early_share_a_width_however_many_steps_there_are(
        monkeypatch,
    ) -> None:
        model = keras_qa.models.answer_classifier(50, 50, 5)
        text = np.ones((2_000, 40), "int32")
        text[np.arange(40) >= np.repeat([8, 16, 24, 40], 500)[:, None]] = 0
        fed = set()
        start = execution.BatchPredictor.start

        def noting(self, inputs, tables=None):
            fed.add(inputs[0].shape)
            return start(self, inputs, tables)

        monkeypatch.setattr(execution.BatchPredictor, "start", noting)
        model.predict([text, np.ones((2_000, 4), "int32")], batch_size=4, verbose=0)
        assert fed == {(4, 40)}
