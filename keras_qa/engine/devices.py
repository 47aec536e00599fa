"""Training on several devices of one machine."""

from __future__ import annotations

import contextlib

from keras_qa._arguments import to_integer
from keras_qa.engine import execution


def training_on(devices: int | None) -> contextlib.AbstractContextManager[None]:
    """Divides the batches of models that are built in the block among a number of devices.

    `None` and 1 change nothing. The backend's distribution is undone at the end of the block.
    """
    if devices is None or to_integer("devices", devices) == 1:
        return contextlib.nullcontext()
    return execution.training_on(int(devices))
