"""Training on several devices of one machine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from keras_qa._arguments import to_integer
from keras_qa.engine import execution


def training_on(
    devices: int | None, repeat: Callable[[], object]
) -> contextlib.AbstractContextManager[None]:
    """Divides the batches of models that are built in the block among a number of devices.

    `None` and 1 change nothing. The backend's distribution is undone at the end of the block. On
    PyTorch, `repeat` runs the same training in the other processes.
    """
    if devices is None or to_integer("devices", devices) == 1:
        return contextlib.nullcontext()
    return execution.training_on(int(devices), repeat)


@contextlib.contextmanager
def single_writer() -> Iterator[bool]:
    """Gives whether this process writes files. All enter the block before one writes or goes on."""
    execution.wait_for_processes()
    with execution.undistributed():
        yield execution.is_first_process()
    execution.wait_for_processes()
