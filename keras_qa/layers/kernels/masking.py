"""Whether loops skip the masked steps at the end of a batch."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

_ending_early = contextvars.ContextVar("ending_early", default=False)


@contextlib.contextmanager
def ending_early(on: bool = True) -> Iterator[None]:
    """Makes loops that are traced inside it end with the longest row of each batch.

    One compiled program then serves batches of every length, but takes more time for each step.
    """
    token = _ending_early.set(on)
    try:
        yield
    finally:
        _ending_early.reset(token)


def ends_early() -> bool:
    """Whether the loop that is traced now has to end with the longest row."""
    return _ending_early.get()
