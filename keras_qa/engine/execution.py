"""What differs between backends when Keras trains, evaluates or predicts with a model.

A backend has a file with `BatchPredictor`, `Model`, `has_accelerator`, `training_on` and its own
versions of the functions below. `BatchPredictor(model)` computes the outputs of one batch by the
model's `predict_step`. It takes and returns lists of arrays, in the order of the model's inputs and
outputs. It is thread-safe. `Model` is the base class of models, whose steps give the results of one
device on several. `has_accelerator()` is true if models run on another device than a CPU.

These functions read what they need to know about a model from attributes of its layers, see
`engine.graph`.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras

from keras_qa._arguments import to_integer

_backend: Any = importlib.import_module(f"keras_qa.engine.{keras.config.backend()}")


def keep_weights(
    model: keras.Model, trains: bool = True
) -> contextlib.AbstractContextManager[list[keras.callbacks.Callback]]:
    """Keeps the weights usable after an exception: JAX needs copies of them.

    The context manager gives the callbacks that `fit` needs for that. Unless `trains`, the state of
    the optimizer is ignored.
    """
    return contextlib.nullcontext([])


def as_dataset(batches: Any, in_memory: bool = False) -> Any:
    """Returns batches in the form that `fit` reads at any width: on TensorFlow a `tf.data.Dataset`.

    Batches are a `PyDataset` or a generator of tuples of arrays; `in_memory` promises a `PyDataset`
    that never raises.
    """
    return batches


def compiles_loops(model: keras.Model, losses_and_metrics: Sequence[Any]) -> bool:
    """Whether `jit_compile="auto"` means XLA for predictions and for training on full rows.

    If not, Keras chooses.
    """
    return False


def seed(number: int) -> None:
    """Seeds random numbers that do not come from Keras' seed generators: PyTorch has some."""


def is_first_process() -> bool:
    """Whether this process, of those that train together, prints and writes files."""
    return True


def wait_for_processes() -> None:
    """Returns when all processes that train together have called it."""


def undistributed() -> contextlib.AbstractContextManager[None]:
    """Prepares for a block that the first process runs alone."""
    return contextlib.nullcontext()


def on_devices(model: keras.Model) -> contextlib.AbstractContextManager[None]:
    """Prepares a model for a call of Keras on several devices of this process."""
    return contextlib.nullcontext()


def training_on(
    devices: int | None, repeat: Callable[[], object]
) -> contextlib.AbstractContextManager[None]:
    """Divides the batches of models that are built in the block among a number of devices.

    `None` and 1 change nothing. The backend's distribution is undone at the end of the block. On
    PyTorch, `repeat` runs the same training in the other processes.
    """
    if devices is None or to_integer("devices", devices) == 1:
        return contextlib.nullcontext()
    within: contextlib.AbstractContextManager[None] = _backend.training_on(int(devices), repeat)
    return within


@contextlib.contextmanager
def single_writer() -> Iterator[bool]:
    """Gives whether this process writes files. All enter the block before one writes or goes on."""
    wait_for_processes()
    with undistributed():
        yield is_first_process()
    wait_for_processes()


if TYPE_CHECKING:
    from keras_qa.engine.torch import BatchPredictor as BatchPredictor
    from keras_qa.engine.torch import Model as Model
    from keras_qa.engine.torch import has_accelerator as has_accelerator
else:
    BatchPredictor = _backend.BatchPredictor
    Model = _backend.Model
    has_accelerator = _backend.has_accelerator
    keep_weights = getattr(_backend, "keep_weights", keep_weights)
    as_dataset = getattr(_backend, "as_dataset", as_dataset)
    compiles_loops = getattr(_backend, "compiles_loops", compiles_loops)
    seed = getattr(_backend, "seed", seed)
    is_first_process = getattr(_backend, "is_first_process", is_first_process)
    wait_for_processes = getattr(_backend, "wait_for_processes", wait_for_processes)
    undistributed = getattr(_backend, "undistributed", undistributed)
    on_devices = getattr(_backend, "on_devices", on_devices)
