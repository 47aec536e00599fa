"""Whether loops that are compiled end with the longest row of a batch.

Then one program serves batches of every length. One that is compiled for the length of its batch
reads every step, which takes less time for each.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

_ending_early = contextvars.ContextVar("ending_early", default=False)


@contextlib.contextmanager
def ending_early(on: bool = True) -> Iterator[None]:
    """Has loops that are traced meanwhile end with the longest row."""
    token = _ending_early.set(on)
    try:
        yield
    finally:
        _ending_early.reset(token)


def ends_early() -> bool:
    """Whether the loop that is traced now is to end with the longest row."""
    return _ending_early.get()
