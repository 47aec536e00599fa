"""How things are timed: warmed up, in alternation, medians with their spread."""

from __future__ import annotations

import gc
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

Contenders = dict[str, Callable[[], Any]]

# Whether to measure nothing, but see that cases run.
quick = False


class AbsentError(Exception):
    """What a case needs is not installed."""


def sized(full: int, tiny: int) -> int:
    """How much work a case is: the first, or the second where it has to be quick."""
    return tiny if quick else full


def alternate(contenders: Contenders, rounds: int) -> dict[str, dict[str, float]]:
    """Times every contender once a round, so that a change of the machine's speed meets all.

    Args:
        contenders: Functions by name. Each returns when its work is done, with results on the host
            or the device waited for.
        rounds: Number of timed rounds.

    Returns:
        For each name: `first`, the seconds of the first call (compilation is in it), and the
        `median`, `least` and `most` seconds of the timed rounds.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    first = {name: _timed(function) for name, function in contenders.items()}
    for function in contenders.values():
        function()
    gc.collect()
    for _ in range(rounds):
        for name, function in contenders.items():
            times[name].append(_timed(function))
    return {
        name: {
            "first": first[name],
            "median": statistics.median(values),
            "least": min(values),
            "most": max(values),
        }
        for name, values in times.items()
    }


def peak_memory() -> float:
    """Most memory this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timed(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
