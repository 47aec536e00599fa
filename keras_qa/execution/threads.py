"""Batches that are predicted at once, in threads, for backends that compile a loop for one core."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

# A loop over time keeps one core busy, whatever the others do. Each holds a batch in memory.
BATCHES_AT_ONCE = 2


@contextlib.contextmanager
def at_once(start: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Gives a `start` that comes back at once, with what `awaited` takes."""
    with ThreadPoolExecutor(BATCHES_AT_ONCE) as pool:
        yield lambda *arguments: pool.submit(start, *arguments)


def awaited(outputs: Any) -> Any:
    """What a thread gives when it is done; what comes from none stays as it is."""
    return outputs.result() if isinstance(outputs, Future) else outputs
