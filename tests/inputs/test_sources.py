"""Data sources: every kind gives what arrays give, and no bad batch gets through."""

import re

import keras
import numpy as np
import pytest
from data_sources import LABELS, QUESTIONS, SIZE, STEPS, TEXTS, Batches, Loader, good_batches
from small_models import batch, same_weights


def spoiled(position: int, spoil):
    for step, (feed, labels) in enumerate(good_batches()):
        yield spoil(feed, labels) if step == position else (feed, labels)


class Unsized:
    """A source that can be read again, and does not know how long it is."""

    def __init__(self, batches) -> None:
        self.batches = list(batches)

    def __iter__(self):
        return iter(self.batches)


def native_loader(batches):
    """What the backend's users have: a `DataLoader`, a `tf.data.Dataset`, on JAX a generator."""
    batches = list(batches)
    if keras.config.backend() == "torch":
        import torch

        class Stored(torch.utils.data.Dataset):
            def __len__(self) -> int:
                return len(batches)

            def __getitem__(self, index: int):
                return batches[index]

        return torch.utils.data.DataLoader(Stored(), batch_size=None)
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        # tf.data cannot hold what is not made of numbers, or not of one structure.
        signature = (
            (tf.TensorSpec((None, None), "int32"), tf.TensorSpec((None, None), "int32")),
            tf.TensorSpec((None,), "int32"),
        )
        return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)
    return (item for item in batches)


SOURCES = {
    "generator": lambda batches: (item for item in batches),
    "PyDataset": Batches,
    "PyDataset with workers": lambda batches: Batches(batches, workers=2),
    "loader": Loader,
    "unsized": Unsized,
    "native": native_loader,
}
if keras.config.backend() == "jax":
    # A generator, as above.
    del SOURCES["native"]
every_source = pytest.mark.parametrize("kind", SOURCES)


@every_source
def test_every_source_trains_as_single_batches_do(twins, kind: str) -> None:
    one, other = twins
    one.fit(SOURCES[kind](good_batches()), shuffle=False, verbose=0)
    for feed, labels in good_batches():
        other.train_on_batch(feed, labels)
    for fitted, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(fitted, expected, atol=1e-6)


@every_source
def test_every_source_predicts_and_evaluates_as_arrays_do(model, kind: str) -> None:
    parts = [model.predict(feed, verbose=0) for feed, _ in good_batches()]
    expected = np.concatenate(parts)
    result = model.predict(SOURCES[kind](good_batches()), verbose=0)
    np.testing.assert_allclose(result, expected, atol=1e-6)
    loss, accuracy = model.evaluate(SOURCES[kind](good_batches()), verbose=0)
    rows = np.arange(len(LABELS))
    assert loss == pytest.approx(float(-np.log(expected[rows, LABELS]).mean()), rel=1e-4)
    assert accuracy == pytest.approx(float((expected.argmax(axis=1) == LABELS).mean()))


@pytest.mark.parametrize("kind", [kind for kind in SOURCES if kind not in ("generator", "native")])
def test_sources_that_can_be_read_again_are(model, kind: str) -> None:
    before = int(keras.ops.convert_to_numpy(model.optimizer.iterations))
    source = SOURCES[kind](good_batches())
    history = model.fit(source, epochs=3, validation_data=source, verbose=0).history
    assert len(history["val_loss"]) == 3
    after = int(keras.ops.convert_to_numpy(model.optimizer.iterations))
    assert after - before == 3 * STEPS


def test_steps_go_on_through_a_source(model) -> None:
    def endless():
        while True:
            yield from good_batches()

    for source in (endless(), Loader(good_batches()), Unsized(good_batches())):
        before = int(keras.ops.convert_to_numpy(model.optimizer.iterations))
        history = model.fit(source, epochs=2, steps_per_epoch=10, shuffle=False, verbose=0).history
        assert len(history["loss"]) == 2
        after = int(keras.ops.convert_to_numpy(model.optimizer.iterations))
        assert after - before == 20


def test_py_dataset_is_told_of_its_epochs(model) -> None:
    source = Batches(good_batches())
    model.fit(source, epochs=2, verbose=0)
    assert source.begun == 2
    assert source.ended >= 2


def test_batches_may_be_dicts_and_lists(model) -> None:
    (text, question), labels = next(good_batches())
    expected = model.test_on_batch([text, question], labels)
    for feed in (
        ({"question": question, "text": text}, labels),
        ([text.tolist(), question.tolist()], labels.tolist()),
        [text, question, labels],
        ((text, question), labels, np.ones(SIZE)),
    ):
        model.reset_metrics()
        result = model.evaluate((item for item in [feed]), verbose=0)
        np.testing.assert_allclose(result, expected, rtol=1e-5)
    for feed in ([text, question], {"text": text, "question": question}, ((text, question),)):
        result = model.predict((item for item in [feed]), verbose=0)
        np.testing.assert_allclose(result, model.predict([text, question], verbose=0), atol=1e-6)


def ids_too_high(feed, labels):
    return (feed[0] + 50, feed[1]), labels


def label_too_high(feed, labels):
    return feed, labels + 7


SPOILS = {
    "id": (ids_too_high, "Batch 4 (the first is 0): `text` holds id"),
    "label": (label_too_high, "Batch 4 (the first is 0): The labels of `answer` hold"),
    "sizes": (
        lambda feed, labels: ((feed[0], feed[1][:2]), labels),
        "Batch 4 (the first is 0): `text` holds 8 examples, but `question` holds 2.",
    ),
    "floats": (
        lambda feed, labels: ((feed[0].astype("float32"), feed[1]), labels),
        "Batch 4 (the first is 0): `text` has dtype float32",
    ),
    "one input": (
        lambda feed, labels: (feed[0], labels),
        "Batch 4 (the first is 0): ",
    ),
}
# All that a batch can be spoiled by for a source that is read in order and for the backend's own,
# one for the others: whatever the source, its batches pass the same check.
SPOILED = [
    (kind, spoil) for kind in SOURCES for spoil in (SPOILS if kind == "generator" else ["id"])
]
if keras.config.backend() == "torch":
    SPOILED += [("native", spoil) for spoil in SPOILS if spoil != "id"]
if keras.config.backend() == "tensorflow":
    # tf.data refuses batches of another type or structure itself, before anyone can check them.
    SPOILED += [("native", spoil) for spoil in ("label", "sizes")]


@pytest.mark.parametrize(("kind", "spoil"), SPOILED)
def test_bad_fifth_batch_is_named_and_never_trained_on(twins, kind: str, spoil: str) -> None:
    one, other = twins
    change, message = SPOILS[spoil]
    with pytest.raises((ValueError, TypeError), match=re.escape(message)) as caught:
        one.fit(SOURCES[kind](spoiled(4, change)), shuffle=False, verbose=0)
    assert "\n" not in str(caught.value)
    for step, (feed, labels) in enumerate(good_batches()):
        if step < 4:
            other.train_on_batch(feed, labels)
    for kept, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(kept, expected, atol=1e-6)
    one.fit(SOURCES[kind](good_batches()), shuffle=False, verbose=0)
    assert np.isfinite(one.predict([TEXTS, QUESTIONS], 8, verbose=0)).all()


@every_source
@pytest.mark.parametrize("method", ["evaluate", "predict"])
def test_bad_fifth_batch_moves_no_weight(kept_models, kind: str, method: str) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    before = model.get_weights()
    with pytest.raises(ValueError, match="Batch 4"):
        getattr(model, method)(SOURCES[kind](spoiled(4, ids_too_high)), verbose=0)
    assert same_weights(model, before)


def test_bad_first_batch_moves_no_weight(kept_models) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    before = model.get_weights()
    for make in SOURCES.values():
        with pytest.raises(ValueError, match="Batch 0"):
            model.fit(make(spoiled(0, ids_too_high)), shuffle=False, verbose=0)
    assert same_weights(model, before)


def test_bad_batch_of_validation_data_is_named(model) -> None:
    feed, labels = batch(8)
    for make in SOURCES.values():
        with pytest.raises(ValueError, match="Batch 4"):
            model.fit(feed, labels, validation_data=make(spoiled(4, ids_too_high)), verbose=0)
    assert np.isfinite(model.predict(feed, verbose=0)).all()


def test_labels_beside_a_source_are_refused(kept_models) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    with pytest.raises(ValueError, match="`y` must be `None` if `x` is a data source"):
        model.fit(good_batches(), LABELS)


def test_batch_without_labels_is_refused(kept_models) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    with pytest.raises(ValueError, match="Batch 0 .*`y` is missing"):
        model.fit({"text": feed[0], "question": feed[1]} for feed, _ in good_batches())


def test_source_that_ends_early_is_named(model) -> None:
    class Liar(Loader):
        def __len__(self) -> int:
            return STEPS + 3

    with pytest.raises(RuntimeError, match="has length 9, but ended after 6 batches"):
        model.fit(Liar(good_batches()), verbose=0)
