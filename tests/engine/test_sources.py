"""Data sources: every kind gives what arrays give, and no bad batch gets through."""

import itertools
import re

import keras
import numpy as np
import pytest
from data_sources import LABELS, SIZE, STEPS, Batches, Loader, good_batches
from small_models import batch, same_weights

import keras_qa

BACKEND = keras.config.backend()


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
    """A `DataLoader` or a `tf.data.Dataset`. JAX has no data source of its own."""
    batches = list(batches)
    if BACKEND == "torch":
        import torch

        return torch.utils.data.DataLoader(batches, batch_size=None)
    import tensorflow as tf

    # tf.data holds only numbers, in one structure.
    ids = tf.TensorSpec((None, None), "int32")
    signature = ((ids, ids), tf.TensorSpec((None,), "int32"))
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)


SOURCES = {
    "generator": lambda batches: (item for item in batches),
    "PyDataset": Batches,
    "PyDataset with workers": lambda batches: Batches(batches, workers=2),
    "loader": Loader,
    "unsized": Unsized,
    **({} if BACKEND == "jax" else {"native": native_loader}),
}
every_source = pytest.mark.parametrize("kind", SOURCES)


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


@pytest.mark.parametrize("kind", ["generator", "PyDataset"])
def test_outputs_without_a_loss_have_no_labels_in_a_source(kind: str) -> None:
    inputs = keras.Input((3,), name="text")
    first = keras.layers.Dense(1, name="first")(inputs)
    outputs = {"first": first, "second": keras.layers.Dense(1, name="second")(first)}
    model = keras_qa.models.QAModel([inputs], outputs)
    model.compile("sgd", {"second": "mse"})
    feed, labels = np.ones((2, 3), "float32"), np.array([[1.0], [3.0]], "float32")
    batches = [(feed, {"second": labels})] * 2
    predicted = model.predict(feed, verbose=0)["second"]
    loss = model.evaluate(SOURCES[kind](batches), verbose=0)
    assert np.ravel(loss)[0] == pytest.approx(np.mean((predicted - labels) ** 2), rel=1e-4)
    before = model.get_weights()
    model.fit(SOURCES[kind](batches), verbose=0)
    assert not same_weights(model, before)


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
    "one input": (lambda feed, labels: (feed[0], labels), "Batch 4 (the first is 0): "),
    "no labels": (
        lambda feed, labels: {"text": feed[0], "question": feed[1]},
        "Batch 4 (the first is 0): `y` is missing",
    ),
}
# Every bad batch for a generator and for the backend's own source, one for the others: batches of
# all sources pass the same check. tf.data itself raises for another type or structure.
SPOILED_BY = {
    "generator": SPOILS,
    "native": SPOILS if BACKEND == "torch" else ("id", "label", "sizes"),
}
SPOILED = [(kind, spoil) for kind in SOURCES for spoil in SPOILED_BY.get(kind, ("id",))]


def assert_trained_alike(one: keras.Model, other: keras.Model, batches) -> None:
    """Trains the second model on single batches, and compares the weights."""
    for feed, labels in batches:
        other.train_on_batch(feed, labels)
    for got, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize(("kind", "spoil"), SPOILED)
def test_every_source_trains_as_single_batches_do_up_to_a_bad_one(twins, kind, spoil) -> None:
    one, other = twins
    change, message = SPOILS[spoil]
    with pytest.raises((ValueError, TypeError), match=re.escape(message)) as caught:
        one.fit(SOURCES[kind](spoiled(4, change)), shuffle=False, verbose=0)
    assert "\n" not in str(caught.value)
    assert_trained_alike(one, other, itertools.islice(good_batches(), 4))
    one.fit(SOURCES[kind](good_batches()), shuffle=False, verbose=0)
    assert_trained_alike(one, other, good_batches())


@every_source
@pytest.mark.parametrize(("method", "position"), [("fit", 0), ("evaluate", 4), ("predict", 4)])
def test_a_bad_batch_moves_no_weight(kept_models, kind: str, method: str, position: int) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    before = model.get_weights()
    options = {"shuffle": False} if method == "fit" else {}
    source = SOURCES[kind](spoiled(position, ids_too_high))
    with pytest.raises(ValueError, match=f"Batch {position}"):
        getattr(model, method)(source, verbose=0, **options)
    assert same_weights(model, before)


def test_bad_batch_of_validation_data_is_named(model) -> None:
    feed, labels = batch(8)
    for make in SOURCES.values():
        with pytest.raises(ValueError, match="Batch 4"):
            model.fit(feed, labels, validation_data=make(spoiled(4, ids_too_high)), verbose=0)
    assert np.isfinite(model.predict(feed, verbose=0)).all()


EMPTY = "The data source has no batches. Pass one that yields at least one batch in each epoch."


@every_source
@pytest.mark.parametrize("steps", [None, 2])
def test_an_empty_source_raises_before_training(kept_models, kind: str, steps) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    before = model.get_weights()
    feed, labels = batch(8)
    steps_of = {"fit": "steps_per_epoch", "evaluate": "steps", "predict": "steps"}
    calls = [(name, {"x": SOURCES[kind]([]), option: steps}) for name, option in steps_of.items()]
    validation = {"validation_data": SOURCES[kind]([]), "validation_steps": steps}
    for method, arguments in [*calls, ("fit", {"x": feed, "y": labels, **validation})]:
        with pytest.raises(ValueError, match=f"^{re.escape(EMPTY)}$"):
            getattr(model, method)(verbose=0, **arguments)
    assert same_weights(model, before)


@pytest.mark.parametrize("kind", [kind for kind in SOURCES if kind != "native"])
def test_batches_with_and_without_weights_are_refused(model, kind: str) -> None:
    plain, weighted = (
        [(feed, labels, *weights) for feed, labels in good_batches()]
        for weights in ((), (np.ones(SIZE),))
    )
    for first, other in ((plain, weighted), (weighted, plain)):
        source = SOURCES[kind]([first[0], other[1]])
        with pytest.raises(ValueError, match="only some batches have sample weights") as caught:
            model.evaluate(source, verbose=0)
        assert re.fullmatch(r"Batch \d \(the first is 0\): [^\n]{1,250}", str(caught.value))
        model.evaluate(SOURCES[kind](other), verbose=0)


def test_labels_beside_a_source_are_refused(kept_models) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    with pytest.raises(ValueError, match="`y` must be `None` if `x` is a data source"):
        model.fit(good_batches(), LABELS)


def test_source_that_ends_early_is_named(model) -> None:
    class Liar(Loader):
        def __len__(self) -> int:
            return STEPS + 3

    with pytest.raises(RuntimeError, match="has length 9, but ended after 6 batches"):
        model.fit(Liar(good_batches()), verbose=0)
