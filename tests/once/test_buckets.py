"""Length buckets: every row once, few shapes, as narrow as they can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_qa
from keras_qa.execution.filling import STEPS_OF_A_COMPILE, Shapes
from keras_qa.inputs.buckets import MOST_BUCKETS, BucketedBatches, bucketed, plan, steps_a_row
from keras_qa.text.padding import groups, lengths, rounded, trim
from keras_qa.text.padding import sizes as sizes_of


def test_lengths_end_at_the_last_id() -> None:
    assert lengths(np.array([[1, 2, 0], [0, 2, 0], [0, 0, 0], [1, 2, 3]])).tolist() == [2, 2, 1, 3]
    assert lengths(np.array([[[1, 0], [0, 2]], [[1, 0], [0, 0]]])).tolist() == [2, 1]


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 10_000))
def test_widths_are_rounded_up_by_little(width: int) -> None:
    assert width <= rounded(width) <= max(width + 3, width * 1.15)
    assert rounded(rounded(width)) == rounded(width)


def test_plan_splits_where_most_is_saved() -> None:
    sizes = np.array([[100, 4], [8, 4], [96, 20], [4, 4], [8, 4], [100, 4]])
    buckets = plan(sizes, batch_size=1)
    assert sorted(bucket.widths for bucket in buckets) == [(8, 4), (96, 20), (104, 4)]
    assert [sorted(bucket.rows) for bucket in plan(sizes, batch_size=3)] == [[1, 3, 4], [0, 2, 5]]
    assert len(plan(np.full((50, 2), 7), batch_size=5)) == 1


sizes = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 20)), min_size=1, max_size=80)


@settings(max_examples=200, deadline=None)
@given(sizes, st.integers(1, 9))
def test_every_row_is_in_one_bucket_that_is_wide_enough(rows, batch_size: int) -> None:
    table = np.array(rows)
    buckets = plan(table, batch_size)
    assert 1 <= len(buckets) <= MOST_BUCKETS
    assert sorted(np.concatenate([bucket.rows for bucket in buckets])) == list(range(len(rows)))
    for bucket in buckets:
        assert (table[bucket.rows] <= bucket.widths).all()
    part = [len(bucket.rows) % batch_size for bucket in buckets]
    assert sum(size != 0 for size in part) <= 1
    plain = len(rows) * table.max(axis=0).sum()
    spent = sum(len(b.rows) * table[b.rows].max(axis=0).sum() for b in buckets)
    assert spent <= plain


@pytest.mark.parametrize("seed", [None, 3])
def test_batches_hold_every_row_with_its_label(seed) -> None:
    rng = np.random.default_rng(0)
    size = rng.integers(1, 30, 101)
    text = np.arange(30) < size[:, None]
    text = text * rng.integers(1, 9, text.shape)
    labels = np.arange(101)
    buckets = plan(lengths(text)[:, None], 8)
    batches = BucketedBatches([text], (labels,), buckets, 8, ["text"], seed)
    orders = []
    for epoch in range(3):
        batches.epoch = epoch
        batches.on_epoch_begin()
        orders.append(batches.order)
        assert sorted(orders[-1]) == list(range(101))
        seen = [batches[position] for position in range(len(batches))]
        np.testing.assert_array_equal(np.concatenate([rows for _, rows in seen]), orders[-1])
        for (ids,), rows in seen:
            np.testing.assert_array_equal(ids, text[rows, : ids.shape[1]])
            assert not text[rows, ids.shape[1] :].any()
        assert len({ids.shape[1] for (ids,), _ in seen}) <= MOST_BUCKETS
        assert len(seen) == -(-101 // 8)
    assert np.array_equal(orders[0], orders[1]) == (seed is None)
    again = BucketedBatches([text], (labels,), buckets, 8, ["text"], seed)
    again.on_epoch_begin()
    np.testing.assert_array_equal(again.order, orders[0])


def stories(rows: int = 60, seed: int = 0) -> list[np.ndarray]:
    """Texts of few to many sentences of few to many words, and questions."""
    rng = np.random.default_rng(seed)
    sentences = np.arange(12) < rng.integers(0, 13, rows)[:, None]
    words = np.arange(9) < rng.integers(1, 10, (rows, 12))[..., None]
    text = rng.integers(1, 30, (rows, 12, 9), dtype="int32") * (sentences[..., None] & words)
    question = rng.integers(1, 30, (rows, 5), dtype="int32")
    return [text.astype("int32"), question]


def test_stories_have_two_lengths() -> None:
    text = np.array([[[5, 6, 0], [7, 0, 0], [0, 0, 0]], [[0, 0, 0]] * 3])
    assert sizes_of([text, np.array([[1, 2], [1, 0]])]).tolist() == [[2, 2, 2], [1, 1, 1]]
    assert groups([text, text[0]]) == (2, 1)
    assert steps_a_row(np.array([[10, 7, 4], [1, 2, 3]]), (2, 1)).tolist() == [74, 5]
    assert trim(text).shape == (2, 4, 4)
    np.testing.assert_array_equal(trim(text)[:, :3, :3], text)


def test_plan_counts_sentences_times_words() -> None:
    # As sums of lengths the two splits save the same.
    sizes = np.array([[20, 4], [4, 4], [4, 20], [4, 4]] * 2)
    buckets = plan(sizes, 2, (2,))
    spent = sum(len(bucket.rows) * np.prod(bucket.widths) for bucket in buckets)
    assert spent == 2 * 20 * 4 + 2 * 4 * 20 + 4 * 4 * 4


@pytest.mark.parametrize("seed", [None, 3])
def test_batches_of_stories_are_trimmed_on_both_axes(seed) -> None:
    text, question = stories()
    axes = groups([text, question])
    buckets = plan(sizes_of([text, question]), 8, axes)
    batches = BucketedBatches(
        [text, question], (np.arange(60),), buckets, 8, ["text", "question"], seed
    )
    seen = [batches[position] for position in range(len(batches))]
    assert sorted(np.concatenate([rows for _, rows in seen])) == list(range(60))
    for (ids, asked), rows in seen:
        whole = text[rows]
        _, sentences, words = ids.shape
        np.testing.assert_array_equal(ids, whole[:, :sentences, :words])
        assert ids.sum() == whole.sum()
        np.testing.assert_array_equal(asked, question[rows])
    assert sum(ids.size for (ids, _), _ in seen) < 0.9 * text.size


def test_few_steps_share_a_width_and_many_have_their_own() -> None:
    model = keras_qa.models.span_reader(50, units=4, embedding_dim=4)

    def widths(rows: int, **shapes) -> set[int]:
        text = np.ones((rows, 40), "int32")
        text[np.arange(40) >= np.repeat([8, 16, 24, 40], rows // 4)[:, None]] = 0
        feed = [text, np.full((rows, 4), 5, "int32")]
        batches = bucketed(model, feed, None, None, 4, shapes=Shapes(**shapes))[0]
        return {batch[0][0].shape[1] for batch in batches}

    # Of rows of 44, 28, 20 and 12 ids as many, and in place of a program at most so many in vain.
    def steps(*lost: int) -> int:
        return STEPS_OF_A_COMPILE * (44 + 28 + 20 + 12) // sum(lost)

    few, more, many = steps(16, 24, 32), steps(16, 24), steps(8)
    assert widths(80, steps=few) == {40}
    assert widths(80, steps=few + 1) == {8, 40}
    assert widths(80, steps=more + 1) == {16, 40}
    assert widths(80, steps=many) == {8, 24, 40}
    assert widths(80, steps=many + 1) == {8, 16, 24, 40} == widths(80)
    assert widths(80, steps=1, shared=True) == {40}
