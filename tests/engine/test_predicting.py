"""`PredictionBatches`: the rows and the shape of each batch."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_checkpoints import FOLDER

import keras_qa
from keras_qa.engine.batching import grid_width
from keras_qa.engine.predicting import PredictionBatches, fitted
from keras_qa.layers.pretrained import MeanPooling
from keras_qa.models import span_reader


@given(st.integers(1, 10_000))
def test_a_width_of_the_grid_is_at_most_half_wider(length: int) -> None:
    width = grid_width(length)
    assert length <= width <= max(8, 1.5 * length)
    assert grid_width(width) == width


def rows_of(lengths: list[int], width: int) -> np.ndarray:
    return (np.arange(width) < np.array(lengths)[:, None]).astype("int32")


@pytest.fixture(scope="module")
def encoder() -> keras.Model:
    return span_reader(backbone=FOLDER / "bert")


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    return keras_qa.models.answer_classifier(50, 50, 5, 4, 3)


def found(batches: PredictionBatches) -> list[tuple[list[int], list[tuple[int, ...]]]]:
    """The rows of each batch and the shapes of its arrays, after a check of their values."""
    seen = []
    for step in range(len(batches)):
        rows, arrays = batches[step]
        for array, whole in zip(arrays, batches.inputs, strict=True):
            common = tuple(map(slice, np.minimum(array.shape, (len(rows), *whole.shape[1:]))))
            np.testing.assert_array_equal(array[common], whole[rows][common])
            assert np.count_nonzero(array) == np.count_nonzero(whole[rows])
        seen.append((rows.tolist(), [array.shape for array in arrays]))
    return seen


def windows(lengths: list[int]) -> list[np.ndarray]:
    return [rows_of(lengths, 64), rows_of([n // 2 for n in lengths], 64), rows_of(lengths, 64)]


def test_an_encoder_has_exact_widths_without_compilation(encoder, monkeypatch) -> None:
    monkeypatch.setattr(encoder, "jit_compile", False)
    batches = PredictionBatches(encoder, windows([40, 7, 40, 64, 9, 33]), 2)
    assert found(batches) == [
        ([1, 4], [(2, 9)] * 3),
        ([5, 0], [(2, 40)] * 3),
        ([2, 3], [(2, 64)] * 3),
    ]
    assert batches.order.tolist() == [1, 4, 5, 0, 2, 3]


def test_a_compiled_encoder_has_widths_of_the_grid(encoder, monkeypatch) -> None:
    monkeypatch.setattr(encoder, "jit_compile", True)
    batches = PredictionBatches(encoder, windows([40, 7, 40, 50, 9]), 2)
    assert found(batches) == [
        ([1, 4], [(2, 32)] * 3),
        ([0, 2], [(2, 64)] * 3),
        ([3], [(1, 64)] * 3),
    ]


def test_widths_do_not_exceed_max_length() -> None:
    names = ("token_ids", "padding_mask")
    inputs = [keras.Input((None,), dtype="int32", name=name) for name in names]
    sizes = {"num_heads": 1, "hidden_dim": 4, "intermediate_dim": 4, "num_segments": 0}
    read = keras_qa.layers.TransformerEncoder(20, num_layers=1, max_length=60, **sizes)(inputs)
    model = keras_qa.models.QAModel(inputs, MeanPooling()([read, inputs[1]]))
    model.jit_compile = True
    batches = PredictionBatches(model, [rows_of([55], 55)] * 2, 2)
    assert grid_width(55) == 64
    assert found(batches) == [([0], [(1, 60)] * 2)]


@pytest.mark.parametrize(
    ("width", "rows"), [(1, 1024), (96, 16), (97, 8), (192, 8), (193, 4), (1536, 1), (4000, 1)]
)
def test_batches_of_an_encoder_on_a_cpu_have_few_long_rows(encoder, width: int, rows: int) -> None:
    ids = np.ones((rows + 1, width), "int32")
    batches = PredictionBatches(encoder, [ids] * 3, 5_000)
    assert [len(part) for part in batches.parts] == [rows, 1]


def test_loops_that_end_early_have_one_shape(classifier, monkeypatch) -> None:
    monkeypatch.setattr(classifier, "jit_compile", True)
    feed = [rows_of([9, 3, 40, 20, 5], 60), rows_of([2, 1, 3, 4, 2], 12)]
    shapes = [(2, 48), (2, 8)]
    assert found(PredictionBatches(classifier, feed, 2)) == [
        ([1, 4], shapes),
        ([0, 3], shapes),
        ([2], shapes),
    ]
    # Single batches of different lengths have the same shape.
    one = fitted(classifier, [array[:3] for array in feed])
    assert [array.shape for array in one] == [(4, 48), (4, 32)]
    # Without compilation it has its own.
    classifier.jit_compile = False
    (ids,) = fitted(classifier, [rows_of([9, 3, 5], 60)])
    assert ids.shape == (3, 9)


def test_dependent_rows_are_not_sorted(classifier, monkeypatch) -> None:
    monkeypatch.setattr(classifier, "jit_compile", True)
    feed = [rows_of([9, 3, 40], 60), rows_of([2, 1, 3], 12)]
    batches = PredictionBatches(classifier, feed, 2, sort=False, fill=False)
    assert found(batches) == [([0, 1], [(2, 60), (2, 12)]), ([2], [(1, 60), (1, 12)])]
