"""Timing: warm-up, rounds in alternation, medians with their spread, and the circumstances."""

from __future__ import annotations

import contextlib
import datetime
import gc
import importlib.metadata
import multiprocessing
import os
import pathlib
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

RESULTS = pathlib.Path(__file__).parent / "results"
PACKAGES = (
    "keras-qa",
    "keras",
    "numpy",
    "tensorflow",
    "torch",
    "jax",
    "tokenizers",
    "transformers",
    "onnxruntime",
    "optimum-onnx",
)

Contenders = dict[str, Callable[[], Any]]

# Untimed calls: a new order of the rows may have shapes that are not compiled yet.
WARM_UPS, WARM_UP_SECONDS = 5, 5.0

# Whether cases use tiny sizes, to check that they run.
quick = False


class Seconds(float):
    """The result of a contender that measures its own time."""


class Waits(list[float]):
    """The result of a contender: the seconds that each question of a call waited."""


class AbsentError(Exception):
    """A case needs a package that is not installed."""


def sized(full: int, tiny: int) -> int:
    """The size of a case: `full`, or `tiny` with `--quick`."""
    return tiny if quick else full


class Apart:
    """A rival in its own process, so that settings of this process do not change its speed.

    Args:
        make: An importable function that makes the rival.
        *arguments: Its arguments.
    """

    def __init__(self, make: Callable[..., Any], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        context.Process(target=_serve, args=(theirs, make, arguments), daemon=True).start()
        self._wait()

    def __call__(self, method: str, *arguments: Any) -> Any:
        """Calls a method of the rival and waits for its end. Returns its `Waits`, if it has any."""
        self.pipe.send((method, arguments))
        return self._wait()

    def _wait(self) -> Any:
        error, result = self.pipe.recv()
        if error is not None:
            raise RuntimeError(f"the rival failed: {error}")
        return result


def _serve(pipe: Any, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    rival = make(*arguments)
    pipe.send((None, None))
    with contextlib.suppress(EOFError):
        while True:
            method, arguments = pipe.recv()
            try:
                result = getattr(rival, method)(*arguments)
            except Exception as error:  # noqa: BLE001 - it is raised in the other process.
                pipe.send((repr(error), None))
            else:
                # Other results stay: to send them would take time.
                pipe.send((None, result if isinstance(result, Waits) else None))


def alternate(contenders: Contenders, rounds: int) -> dict[str, dict[str, Any]]:
    """Times each contender once a round, so that a change of the machine's speed affects all.

    Args:
        contenders: Functions by name. Each waits for its results before it returns.
        rounds: Number of timed rounds.

    Returns:
        For each name: `first`, the seconds of the first call with compilation, and the
        `median`, `least` and `most` seconds of the timed rounds. Of contenders that return `Waits`
        also `p50`, `p95` and `p99` of these.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    waits: dict[str, list[float]] = {name: [] for name in contenders}
    first = {name: timed(function) for name, function in contenders.items()}
    for name, function in contenders.items():
        # Contenders that return `Seconds` start a new process, so they need no warm-up. Long calls
        # are warm after fewer.
        calls = min(WARM_UPS, 1 + int(WARM_UP_SECONDS / first[name]))
        for _ in range(0 if isinstance(first[name], Seconds) else calls):
            function()
    gc.collect()
    for _ in range(rounds):
        for name, function in contenders.items():
            times[name].append(timed(function, waits[name]))
    return {
        name: {
            "first": first[name],
            "median": statistics.median(values),
            "least": min(values),
            "most": max(values),
            **_percentiles(waits[name]),
        }
        for name, values in times.items()
    }


def circumstances() -> dict[str, object]:
    """Date, commit, machine and versions."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True)
    processor = platform.processor() or platform.machine()
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].split(":", 1)[1].strip() if names else processor
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "machine": {"processor": processor, "cores": os.cpu_count(), "system": platform.system()},
        "python": platform.python_version(),
        "versions": versions,
    }


def timed(function: Callable[[], Any], waits: list[float] | None = None) -> float:
    """Seconds of a call, or the `Seconds` that it returns. Adds the `Waits` that it returns."""
    start = time.perf_counter()
    given = function()
    seconds = time.perf_counter() - start
    if waits is not None and isinstance(given, Waits):
        waits += given
    return given if isinstance(given, Seconds) else seconds


def _percentiles(waits: list[float]) -> dict[str, float]:
    if len(waits) < 2:
        return {}
    parts = statistics.quantiles(waits, n=100, method="inclusive")
    return {f"p{place}": parts[place - 1] for place in (50, 95, 99)}
