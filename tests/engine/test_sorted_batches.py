"""`SortedBatches`: every row once, few widths, as narrow as possible."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import memory, stories

import keras_qa
from keras_qa.engine.batching import (
    MIN_POSITIONS,
    MIN_SAVING,
    SortedBatches,
    grid_width,
    training_widths,
)


def test_each_width_avoids_a_tenth_of_the_positions_and_many() -> None:
    assert training_widths(np.array([100] * 10_000)) == [128]
    # With widths 8 and 128 there are 1,288,000 positions instead of 1,408,000: less than a tenth.
    assert training_widths(np.array([100] * 10_000 + [8] * 1_000)) == [128]
    assert training_widths(np.array([100] * 10_000 + [8] * 2_000)) == [8, 128]
    # 8 instead of 128: 120 positions a row.
    assert training_widths(np.array([100] * 166 + [8] * 166)) == [128]
    assert training_widths(np.array([100] * 167 + [8] * 167)) == [8, 128]


def positions(rows: np.ndarray, widths: list[int]) -> int:
    return sum(min(width for width in widths if width >= length) for length in rows)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=80))
def test_training_widths(rows: list[int]) -> None:
    widths = training_widths(np.repeat(rows, 1_000))
    assert widths[-1] == grid_width(max(rows))
    for width in widths[:-1]:
        without = [other for other in widths if other != width]
        assert positions(rows, widths) < positions(rows, without)
    more = [*widths, *{grid_width(length) for length in rows}.difference(widths)]
    for width in more[len(widths) :]:
        before, after = positions(rows, widths), positions(rows, [*widths, width])
        least = max(MIN_SAVING * before, MIN_POSITIONS / 1_000)
        assert before - after < least + 1e-9


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A model without loops that end early: each width is compiled."""
    ids = keras.Input((None,), dtype="int32", name="text")
    vector = keras_qa.layers.SequenceEncoder(20, 4, 3, fused=False)(ids)
    return keras_qa.models.QAModel([ids], keras.layers.Dense(2)(vector))


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize("seed", [None, 3])
def test_batches_contain_every_row_with_its_label(model, seed, jit_compile) -> None:
    rng = np.random.default_rng(0)
    size = rng.integers(1, 30, 6_005)
    text = np.arange(30) < size[:, None]
    text = text * rng.integers(1, 9, text.shape)
    labels = np.arange(6_005)
    model.jit_compile = jit_compile
    batches = SortedBatches([text], (labels,), model, 500, seed)
    orders = []
    for epoch in range(3):
        batches.epoch = epoch
        batches.arrange()
        orders.append(batches.order)
        assert sorted(orders[-1]) == list(range(6_005))
        seen = [batches[position] for position in range(len(batches))]
        np.testing.assert_array_equal(np.concatenate([rows for _, rows in seen]), orders[-1])
        for (ids,), rows in seen:
            np.testing.assert_array_equal(ids, text[rows, : ids.shape[1]])
            assert not text[rows, ids.shape[1] :].any()
            if not jit_compile:
                assert ids.shape[1] == size[rows].max()
        if jit_compile:
            assert {ids.shape[1] for (ids,), _ in seen} == {16, 30}
        # The last batch is smaller.
        assert sorted(len(rows) for _, rows in seen) == [5, *[500] * 12]
    assert np.array_equal(orders[0], orders[1]) == (seed is None)
    again = SortedBatches([text], (labels,), model, 500, seed)
    again.arrange()
    np.testing.assert_array_equal(again.order, orders[0])


@pytest.mark.parametrize(("rows", "steps"), [(95, 4), (95, 10), (7, 25)])
def test_epochs_of_some_steps_are_passes_in_a_row(model, rows, steps) -> None:
    text = np.tril(np.ones((rows, 30), "int32"))
    model.jit_compile = False
    passes = SortedBatches([text], (), model, 10, 3)
    expected, found = [], []
    for passes.epoch in range(30):
        passes.arrange()
        expected += [part.tolist() for part, _ in passes.batches]
    epochs = SortedBatches([text], (), model, 10, 3, steps)
    assert len(epochs) == steps
    for epochs.epoch in range(len(expected) // steps):
        epochs.arrange()
        found += [part.tolist() for part, _ in epochs.batches]
    assert found == expected[: len(found)]


@pytest.mark.parametrize("seed", [None, 3])
def test_batches_of_stories_are_cut_on_both_axes(seed) -> None:
    (text, question), _, _ = stories(60)
    text[7] = 0
    network = memory()
    network.jit_compile = False
    batches = SortedBatches([text, question], (np.arange(60),), network, 8, seed)
    seen = [batches[position] for position in range(len(batches))]
    assert sorted(np.concatenate([rows for _, rows in seen])) == list(range(60))
    for (ids, asked), rows in seen:
        whole = text[rows]
        _, sentences, words = ids.shape
        np.testing.assert_array_equal(ids, whole[:, :sentences, :words])
        assert ids.sum() == whole.sum()
        np.testing.assert_array_equal(asked, question[rows])
    assert sum(ids.size for (ids, _), _ in seen) < 0.9 * text.size


def test_dependent_rows_are_evaluated_in_their_order() -> None:
    ids = keras.Input((None,), dtype="int32", name="text")
    vector = keras_qa.layers.SequenceEncoder(20, 4, 3)(ids)
    related = keras_qa.models.QAModel([ids], vector - keras.ops.mean(vector, axis=0))
    text = (np.arange(9) < np.array([[5], [1], [9]])).astype("int32")
    batches = SortedBatches([text], (), related, 2)
    assert [rows.tolist() for rows, _ in batches.batches] == [[0, 1], [2]]
    assert batches[0][0][0].shape == (2, 9)
