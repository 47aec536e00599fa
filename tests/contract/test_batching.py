"""Length buckets: every row once, few shapes, as narrow as they can be."""

import time

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import batch, same_weights, state

import keras_qa
from keras_qa.inputs.buckets import MOST_BUCKETS, BucketedBatches, plan, steps_a_row
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


def padded_batch(rows: int = 120, seed: int = 0):
    """A feed whose rows are mostly padding, and its labels."""
    rng = np.random.default_rng(seed)
    feed = []
    for width, vocabulary in ((60, 50), (16, 40)):
        size = np.minimum(rng.geometric(6 / width, rows), width)
        ids = rng.integers(1, vocabulary, (rows, width), dtype="int32")
        feed.append(np.where(np.arange(width) < size[:, None], ids, 0).astype("int32"))
    return feed, rng.integers(0, 7, rows, dtype="int32")


def test_outputs_come_in_the_order_of_the_feed(model) -> None:
    feed, labels = padded_batch()
    plain = model.predict(feed, batch_size=8, verbose=0, length_buckets=False)
    np.testing.assert_allclose(model.predict(feed, batch_size=8, verbose=0), plain, atol=1e-6)
    np.testing.assert_allclose(model.predict(feed, batch_size=128, verbose=0), plain, atol=1e-6)
    weights = np.linspace(0, 1, len(labels))
    scores = [
        model.evaluate(feed, labels, 8, 0, weights, length_buckets=buckets)
        for buckets in (True, False)
    ]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-5)


def test_one_full_batch_trains_as_it_does_without_buckets(twins) -> None:
    feed, labels = padded_batch(32)
    for model, buckets in zip(twins, (True, False), strict=True):
        model.fit(
            feed,
            labels,
            epochs=3,
            batch_size=32,
            verbose=0,
            sample_weight=np.linspace(0, 1, 32),
            validation_data=(feed, labels),
            length_buckets=buckets,
        )
    for one, other in zip(*(model.get_weights() for model in twins), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_loss_falls_as_it_does_without_kernels(twins) -> None:
    feed, labels = padded_batch()
    for encoder in twins[1].layers[2:4]:
        encoder.recurrent.fused = False
    curves = []
    for model in twins:
        np.random.seed(5)
        history = model.fit(feed, labels, epochs=3, batch_size=8, verbose=0)
        curves.append(history.history["loss"])
    assert curves[0][-1] < curves[0][0]
    np.testing.assert_allclose(curves[0], curves[1], atol=1e-4)


def test_order_of_training_follows_the_seed(twins) -> None:
    feed, labels = padded_batch()
    for model in twins:
        np.random.seed(5)
        model.fit(feed, labels, epochs=2, batch_size=8, verbose=0, class_weight={0: 2.0})
    # Where an array lies in memory may change the last bit of a product; another order of the
    # batches changes the weights by a thousand times as much.
    for one, other in zip(*(model.get_weights() for model in twins), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_labels_of_two_outputs_are_a_list() -> None:
    inputs = [keras.Input((None,), dtype="int32", name=name) for name in ("text", "question")]
    vectors = [keras_qa.layers.SequenceEncoder(50, 3, 2)(item) for item in inputs]
    outputs = [keras.layers.Dense(2, activation="softmax")(vector) for vector in vectors]
    model = keras_qa.models.QAModel(inputs, outputs)
    model.compile("sgd", ["sparse_categorical_crossentropy"] * 2)
    feed, labels = padded_batch(40)
    both = [labels % 2, 1 - labels % 2]
    model.fit(feed, both, batch_size=8, epochs=2, verbose=0)
    loss = model.evaluate(feed, both, batch_size=8, verbose=0, return_dict=True)["loss"]
    chances = model.predict(feed, batch_size=8, verbose=0)
    wanted = sum(
        -np.log(chance[np.arange(40), label]).mean()
        for chance, label in zip(chances, both, strict=True)
    )
    np.testing.assert_allclose(loss, wanted, rtol=1e-4)


@pytest.mark.parametrize("lengths_differ", [True, False])
def test_training_in_two_parts_sees_the_rows_in_the_same_order(twins, lengths_differ) -> None:
    feed, labels = padded_batch() if lengths_differ else batch(120)
    start = [keras.ops.convert_to_numpy(value) for value in state(twins[0])]
    results = []
    for parts in ([(0, 3)], [(0, 1), (1, 3)], [(0, 1), (0, 1), (0, 1)]):
        for variable, value in zip(state(twins[0]), start, strict=True):
            variable.assign(value)
        for begin, end in parts:
            np.random.seed(5)
            twins[0].fit(feed, labels, initial_epoch=begin, epochs=end, batch_size=8, verbose=0)
        results.append(twins[0].get_weights())
    for one, other in zip(*results[:2], strict=True):
        np.testing.assert_array_equal(one, other)
    # Each epoch has an order of its own.
    assert not same_weights(twins[0], results[0])


def test_layers_that_read_padding_are_fed_it() -> None:
    ids = keras.Input((None,), dtype="int32", name="text")
    mean = keras.ops.mean(keras.layers.Embedding(50, 3)(ids), axis=1)
    model = keras_qa.models.QAModel([ids], keras.layers.Dense(2)(mean))
    (text, _), _ = padded_batch(100)
    expected = model.predict(text, batch_size=8, verbose=0, length_buckets=False)
    np.testing.assert_array_equal(model.predict(text, batch_size=8, verbose=0), expected)
    few = model.predict_on_batch(text[:3])
    np.testing.assert_allclose(model.predict(text[:3], verbose=0), few, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
def test_few_rows_are_predicted_as_many_are(model, rows: int) -> None:
    feed, _ = padded_batch()
    part = [array[:rows] for array in feed]
    expected = model.predict(feed, batch_size=8, verbose=0)[:rows]
    np.testing.assert_allclose(model.predict(part, verbose=0), expected, atol=1e-6)


def test_few_rows_see_the_weights_of_now(model) -> None:
    feed, labels = padded_batch(8)
    before = model.predict(feed, verbose=0)
    model.fit(feed, labels, epochs=3, verbose=0)
    after = model.predict(feed, verbose=0)
    assert np.abs(after - before).max() > 1e-4
    np.testing.assert_allclose(after, model.predict(feed, verbose=0, batch_size=3), atol=1e-6)


def test_rows_that_are_not_to_be_written_to_are_predicted(model) -> None:
    # Of sizes that need no filling up, so that the arrays themselves reach the backend.
    feed = [np.arange(1, 17, dtype="int32").reshape(2, 8) for _ in range(2)]
    expected = [model.predict([array + shift for array in feed], verbose=0) for shift in (0, 1)]
    for array in feed:
        array.setflags(write=False)
    np.testing.assert_array_equal(model.predict(feed, verbose=0), expected[0])
    for array in feed:
        array.setflags(write=True)
        array += 1
    np.testing.assert_array_equal(model.predict(feed, verbose=0), expected[1])


class _Slow(keras.layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def call(self, ids):
        self.calls += 1
        time.sleep(0.1)
        return keras.ops.cast(ids, "float32")


def test_batches_that_come_at_once_are_compiled_once() -> None:
    ids = keras.Input((None,), dtype="int32", name="text")
    layer = _Slow()
    model = keras_qa.models.QAModel([ids], layer(ids))
    layer.calls = 0
    feed = np.arange(64, dtype="int32").reshape(8, 8)
    np.testing.assert_array_equal(model.predict(feed, batch_size=2, verbose=0), feed)
    # PyTorch compiles nothing.
    assert layer.calls == (4 if keras.config.backend() == "torch" else 1)


class _Marks(keras.layers.Layer):
    """Says which ids are no filling, on TensorFlow by operations that XLA has not compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.supports_jit = False

    def call(self, ids):
        return keras.ops.cast(keras.ops.not_equal(ids, 0), "float32")


def test_rows_are_predicted_wherever_they_lie_in_memory() -> None:
    ids = keras.Input((None,), dtype="int32", name="text")
    model = keras_qa.models.QAModel([ids], _Marks()(ids))
    memory = np.ones(64, "int32")
    for start in range(17):
        row = memory[start : start + 32].reshape(1, 32)
        row[0, start] = 0
        np.testing.assert_array_equal(model.predict(row, verbose=0), row != 0)
        row[0, start] = 1


# 50,000 words projected for an LSTM of 32 units take 25 MiB.
@pytest.mark.parametrize("vocabulary", [30, 50_000])
def test_one_row_sees_each_weight_of_now(vocabulary: int) -> None:
    model = keras_qa.models.answer_classifier(vocabulary, 30, 5, bidirectional=True, pooling="max")
    feed, _ = padded_batch(1)
    row = [array % 30 for array in feed]
    outputs = [model.predict(row, verbose=0)]
    model.layers[2].trainable = False
    for weight in model.weights:
        weight.assign(weight.value * 1.5 + 0.1)
        outputs.append(model.predict(row, verbose=0))
        np.testing.assert_allclose(outputs[-1], model.predict_on_batch(row), atol=1e-6)
        np.testing.assert_array_equal(model.predict(row, verbose=0), outputs[-1])
    assert len(np.unique(outputs, axis=0)) == len(outputs)


def test_often_asked_shapes_see_the_weights_and_the_ids_of_now(model) -> None:
    feed, labels = padded_batch(3)
    gaps = [array.copy() for array in feed]
    for array in gaps:
        array[:, 0] = 0
    for _ in range(6):
        for ids in (feed, gaps):
            expected = model.predict_on_batch(ids)
            np.testing.assert_allclose(model.predict(ids, verbose=0), expected, atol=1e-6)
        model.fit(feed, labels, verbose=0)
    assert np.abs(model.predict(feed, verbose=0) - model.predict(gaps, verbose=0)).max() > 1e-4


@keras.saving.register_keras_serializable(package="tests")
class AsksForValues(keras.layers.Layer):
    """Doubles what is positive on the whole: a compiled program cannot know."""

    def call(self, x):
        return 2 * x if float(keras.ops.convert_to_numpy(keras.ops.sum(x))) > 0 else x

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


def test_a_layer_that_asks_for_values_is_called_each_time() -> None:
    numbers = keras.Input((2,), name="numbers")
    model = keras_qa.models.QAModel([numbers], AsksForValues()(numbers))
    model.compile("sgd", "mse", run_eagerly=keras.config.backend() != "torch")
    for _ in range(6):
        for sign in (1.0, -1.0):
            rows = np.full((3, 2), sign, "float32")
            expected = rows * (2 if sign > 0 else 1)
            np.testing.assert_array_equal(model.predict(rows, verbose=0), expected)


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
