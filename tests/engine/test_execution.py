"""No weight is ever lost: whatever is raised, wherever, the model goes on."""

import _thread
import itertools
import signal
import threading

import keras
import numpy as np
import pytest
from data_sources import Batches, Loader, good_batches
from small_models import assert_predicted_again, batch, same_weights, state, trained_model


class Stop(Exception):
    """What a callback or a data source of a user's might raise."""


class RaiseAt(keras.callbacks.Callback):
    """Raises at the fifth batch of whatever runs."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def stop(self, step: int, logs=None) -> None:
        if step == 4:
            raise self.error

    on_train_batch_end = on_test_batch_end = on_predict_batch_end = stop


def raising_batches(error: BaseException):
    for step, item in enumerate(good_batches()):
        if step == 4:
            raise error
        yield item


class RaisingBatches(Batches):
    def __init__(self, error: BaseException) -> None:
        super().__init__(good_batches())
        self.error = error

    def __getitem__(self, index: int):
        if index == 4:
            raise self.error
        return super().__getitem__(index)


class RaisingLoader(Loader):
    def __init__(self, error: BaseException) -> None:
        super().__init__(good_batches())
        self.error = error

    def __iter__(self):
        return raising_batches(self.error)


def run(model: keras.Model, method: str, source=None, callbacks=None) -> None:
    feed, labels = batch(48)
    options = {"callbacks": callbacks, "verbose": 0}
    if method == "fit in validation":
        model.fit(feed, labels, batch_size=8, validation_data=source, **options)
    elif source is not None:
        getattr(model, method)(source, **options)
    else:
        data = (feed,) if method == "predict" else (feed, labels)
        getattr(model, method)(*data, batch_size=8, **options)


def goes_on(model: keras.Model, batches: int = 2) -> None:
    """Whether weights and optimizer are there, and the model predicts and trains.

    TensorFlow traces a step anew where batches of arrays come after others, or one after many.
    """
    feed, labels = batch(8 * batches)
    values = [keras.ops.convert_to_numpy(variable) for variable in state(model)]
    assert all(np.isfinite(value).all() for value in values)
    before = model.predict(feed, verbose=0)
    assert np.isfinite(before).all()
    weights = model.get_weights()
    history = model.fit(feed, labels, batch_size=8, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert not same_weights(model, weights)


def is_saved(model: keras.Model, tmp_path) -> None:
    feed, _ = batch(8)
    model.save(tmp_path / "kept.keras")
    loaded = keras.saving.load_model(tmp_path / "kept.keras")
    assert same_weights(loaded, model.get_weights())
    assert_predicted_again(loaded.predict(feed, verbose=0), model.predict(feed, verbose=0))


METHODS = ["fit", "evaluate", "predict"]
STOP, CTRL_C = ERRORS = [Stop("enough"), KeyboardInterrupt()]


# `fit` keeps its progress after both. The others have nothing to keep.
@pytest.mark.parametrize(
    ("method", "error"),
    [("fit", STOP), ("fit", CTRL_C), ("evaluate", STOP), ("predict", CTRL_C)],
)
def test_callback_that_raises(model, method: str, error) -> None:
    before = model.get_weights()
    with pytest.raises(type(error)):
        run(model, method, callbacks=[RaiseAt(error)])
    if method == "fit":
        assert not same_weights(model, before)
    else:
        assert same_weights(model, before)
    goes_on(model)


SOURCES = itertools.product(METHODS, [raising_batches, RaisingBatches, RaisingLoader])


@pytest.mark.parametrize(
    ("method", "make", "error"),
    [
        # Each method and each kind of source meets both errors.
        *((*case, error) for case, error in zip(SOURCES, itertools.cycle(ERRORS), strict=False)),
        ("fit in validation", raising_batches, ERRORS[1]),
        ("fit in validation", RaisingBatches, ERRORS[0]),
        ("fit in validation", RaisingLoader, ERRORS[1]),
    ],
)
def test_data_source_that_raises(model, method: str, make, error) -> None:
    before = model.get_weights()
    with pytest.raises(type(error)) as caught:
        run(model, method, source=make(error))
    assert caught.value is error
    if not method.startswith("fit"):
        assert same_weights(model, before)
    goes_on(model, batches=2 if method == "fit in validation" else 1)


def test_what_was_learned_before_an_exception_is_kept_and_saved(twins, tmp_path) -> None:
    one, other = twins
    with pytest.raises(Stop):
        one.fit(raising_batches(Stop()), verbose=0)
    for step, (feed, labels) in enumerate(good_batches()):
        if step < 4:
            other.train_on_batch(feed, labels)
    for kept, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(kept, expected, atol=1e-6)
    is_saved(one, tmp_path)


# While TensorFlow traces, whatever catches exceptions there takes an interrupt for one of its own
# and raises another: which one hangs on the moment.
INTERRUPTED: tuple[type[BaseException], ...] = (KeyboardInterrupt,)
if keras.config.backend() == "tensorflow":
    INTERRUPTED = (KeyboardInterrupt, Exception)


def interrupt(delay: float, fit) -> None:
    """Calls `fit`, and presses Ctrl-C after some seconds."""
    stopped = threading.Event()

    def press() -> None:
        # Python drops an interrupt that comes inside of a finaliser: a user presses again.
        wait = delay
        while not stopped.wait(wait):
            _thread.interrupt_main()
            wait = 2.0

    presser = threading.Thread(target=press)
    # A shell has its background jobs ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    presser.start()
    try:
        with pytest.raises(INTERRUPTED):
            fit()
    finally:
        stopped.set()
        presser.join()
        signal.signal(signal.SIGINT, before)


# An interrupt inside of a finaliser is reported, and dropped, by Python itself; one while Keras
# compares the structure of inputs, by Keras, which takes it for a difference.
dropped = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:The structure of `inputs`"
)


@dropped
def test_ctrl_c_while_a_model_trains(model, tmp_path) -> None:
    def endless():
        while True:
            yield from good_batches()

    for delay in (0.05, 0.1, 0.2, 0.3):
        interrupt(delay, lambda: model.fit(endless(), steps_per_epoch=10**6, verbose=0))
    goes_on(model, batches=1)
    is_saved(model, tmp_path)


if keras.config.backend() != "torch":

    @dropped
    def test_ctrl_c_while_programs_are_compiled() -> None:
        feed, labels = batch(48)
        # Not the model that the tests share, since TensorFlow compiles each shape anew after this.
        model = trained_model()
        for delay in (0.05, 0.2):
            interrupt(delay, lambda: model.fit(feed, labels, epochs=10**4, batch_size=8, verbose=0))
        values = [keras.ops.convert_to_numpy(variable) for variable in state(model)]
        assert all(np.isfinite(value).all() for value in values)
