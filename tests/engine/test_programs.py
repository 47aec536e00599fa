"""Inputs of many lengths: correct numbers, and few compiled shapes."""

import pathlib

import keras
import numpy as np
from as_keras import BACKEND, ROWS, small, without_loops

from keras_qa.engine import programs


def rows_of_any_length(rows: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 60, (rows, 1))
    text = np.where(np.arange(60) < sizes, rng.integers(1, 50, (rows, 60)), 0)
    question = np.where(np.arange(9) < sizes % 9 + 1, rng.integers(1, 40, (rows, 9)), 0)
    return [text.astype("int32"), question.astype("int32")], rng.integers(0, 7, rows)


def test_rows_of_any_length_are_predicted_as_by_keras() -> None:
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


def test_the_number_of_compiled_shapes_is_limited(monkeypatch) -> None:
    monkeypatch.setattr(programs, "MAX_SHAPES", 3)
    model = without_loops()
    feed, _ = rows_of_any_length(16)
    expected = keras.Model(model.inputs, model.outputs).predict(feed, verbose=0)
    made = []
    for _ in range(2):
        for rows in (16, 8, 4, 2, 1):
            got = model.predict([array[:rows] for array in feed], verbose=0)
            np.testing.assert_allclose(got, expected[:rows], atol=1e-5)
            made.append(getattr(model._predictor(), "_step", None))
    if BACKEND != "torch":
        assert len(made[-1]._shapes) <= 3


if BACKEND != "torch":

    def mappings() -> int:
        """Number of memory mappings of this process: each program of XLA adds some."""
        return pathlib.Path("/proc/self/maps").read_bytes().count(b"\n")

    def test_batches_of_other_lengths_train_with_the_same_program() -> None:
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

    def test_known_shapes_are_not_compiled_again_at_the_limit(monkeypatch) -> None:
        monkeypatch.setattr(programs, "MAX_SHAPES", 2)
        made = []
        program = programs.Program(small(), lambda: made.append(True) or (lambda x: x))
        assert [program(shape, shape) for shape in (1, 2, 1, 2, 1)] == [1, 2, 1, 2, 1]
        assert len(made) == 1
        assert program(3, 3) == 3
        assert len(made) == 2
