"""`ModelQueue`: a bounded queue in front of one thread, which runs the model in batches."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import logging
import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from keras_qa._numbers import rows_in_cache
from keras_qa.serving.limits import Limits

_logger = logging.getLogger("keras_qa.serving")

# The longest time that a refused client is told to wait, in seconds.
_MAX_RETRY_AFTER = 60


class UnavailableError(Exception):
    """The queue is full, the time limit of a request has passed, or the index cannot be read."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelError(Exception):
    """The model raised an error that is not about its inputs."""


class AbandonedError(Exception):
    """No request waits for the results any more."""


class SlicedModel:
    """A model that predicts in slices of at most `rows`, and calls `check` before each."""

    def __init__(self, model: Any, rows: int, check: Callable[[], None]) -> None:
        self._model, self._rows, self._check = model, rows, check

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def predict(self, feed: Mapping[str, np.ndarray], **options: Any) -> Any:
        """Returns an array or arrays by name, as `predict` of the model does."""
        count, width = next(iter(feed.values())).shape
        size, parts = min(self._rows, 4 * rows_in_cache(width)), []
        for start in range(0, count, size):
            self._check()
            rows = {name: array[start : start + size] for name, array in feed.items()}
            parts.append(self._model.predict(rows, **options))
        if isinstance(parts[0], Mapping):
            return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return np.concatenate(parts)


def predict_in_slices(owner: Any, rows: int, check: Callable[[], None]) -> Any:
    """Returns a copy of a reader, ranker or embedder whose model is a `SlicedModel`."""
    # A classifier of tokens is a model.
    if not hasattr(owner, "model_"):
        return SlicedModel(owner, rows, check)
    copied = copy.copy(owner)
    copied.model_ = SlicedModel(owner.model_, rows, check)
    return copied


@dataclasses.dataclass(frozen=True)
class Call:
    """A function of a list of items, and its options. Equal calls are computed together."""

    function: Callable[..., Sequence[Any]]
    options: tuple[tuple[str, Any], ...] = ()

    def __call__(self, items: list[Any]) -> Sequence[Any]:
        """Computes the results of items."""
        return self.function(items, **dict(self.options))


@dataclasses.dataclass(eq=False)
class _Job:
    call: Call
    item: Any
    size: int
    deadline: float
    result: asyncio.Future[Any]


class ModelQueue:
    """Collects items of concurrent requests and computes them in batches, in one thread.

    All methods run in one event loop, so they need no locks. Only `_compute` runs in the thread.
    `observe` is called after each batch with its number of items.
    """

    def __init__(self, limits: Limits, thread: Executor, observe: Callable[[int], None]) -> None:
        self._limits = limits
        self._thread = thread
        self._observe = observe
        # The oldest is the first.
        self._jobs: list[_Job] = []
        # What the model computes.
        self._batch: list[_Job] = []
        self._arrived = asyncio.Event()
        # Seconds per item, a moving average.
        self._pace = 0.0

    def __len__(self) -> int:
        """Returns the number of items that wait."""
        return len(self._jobs)

    async def compute(self, call: Call, items: Sequence[tuple[Any, int]]) -> list[Any]:
        """Returns the results of items, which are pairs of an item and its number of characters.

        Raises `UnavailableError` if the queue has no room for all items, or the time limit passes.
        """
        if len(self._jobs) + len(items) > self._limits.max_queue:
            raise UnavailableError("The server is busy: its queue is full.", self._retry_after())
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.timeout
        jobs = [_Job(call, item, size, deadline, loop.create_future()) for item, size in items]
        self._jobs.extend(jobs)
        self._arrived.set()
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.gather(*(job.result for job in jobs))
        except TimeoutError:
            limit = f"{self._limits.timeout:g} seconds"
            raise UnavailableError(
                f"The server is busy: there was no answer within {limit}.", self._retry_after()
            ) from None
        finally:
            # After an error, or if the client has gone, the items are not needed.
            for job in jobs:
                job.result.cancel()
            self._jobs = [job for job in self._jobs if not job.result.done()]

    def check(self) -> None:
        """Raises an `AbandonedError` if no request waits for what the model computes."""
        if self._batch and all(job.result.done() for job in self._batch):
            raise AbandonedError

    async def run(self) -> None:
        """Runs the model until this task is cancelled."""
        loop = asyncio.get_running_loop()
        last = 0
        while True:
            await self._wait(last)
            batch = self._batch = self._take(loop.time())
            last = len(batch)
            if not batch:
                continue
            started = loop.time()
            items = [job.item for job in batch]
            done = loop.run_in_executor(self._thread, _compute, batch[0].call, items)
            # Unlike `await done`, it raises no error of the model.
            await asyncio.wait([done])
            _deliver(batch, done)
            self._pace += 0.2 * ((loop.time() - started) / last - self._pace)
            self._observe(last)

    async def _wait(self, last: int) -> None:
        """Waits for work.

        After a batch, its clients may ask again at once. So if others are waiting, it waits until
        as many have arrived as there were in the batch, for `max_wait_ms` at most.
        """
        is_idle = not self._jobs
        enough = 1 if is_idle else min(len(self._jobs) + last, self._limits.max_batch)
        seconds = None if is_idle else self._limits.max_wait_ms / 1e3
        try:
            async with asyncio.timeout(seconds):
                while len(self._jobs) < enough:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return

    def _take(self, now: float) -> list[_Job]:
        """Removes a batch: the oldest item, and those of its call that are closest in size."""
        alive = [job for job in self._jobs if not job.result.done() and job.deadline > now]
        same = [job for job in alive if job.call == alive[0].call]
        # The sort is stable, so the oldest stays the first.
        same = sorted(same, key=lambda job: abs(job.size - alive[0].size))
        batch: list[_Job] = []
        room = self._limits.max_text
        for job in same[: self._limits.max_batch]:
            room -= job.size
            if batch and room < 0:
                break
            batch.append(job)
        chosen = set(batch)
        self._jobs = [job for job in alive if job not in chosen]
        return batch

    def _retry_after(self) -> int:
        seconds = math.ceil(len(self._jobs) * self._pace)
        return min(max(seconds, 1), _MAX_RETRY_AFTER)


def _compute(call: Call, items: list[Any]) -> list[Any]:
    """Returns a result for each item, or the error about it."""
    try:
        results = list(call(items))
        assert len(results) == len(items)
        return results
    except (TypeError, ValueError) as error:
        if len(items) == 1:
            return [error]
    # An error about one item must not affect the others.
    return [result for item in items for result in _compute(call, [item])]


def _deliver(batch: list[_Job], done: asyncio.Future[list[Any]]) -> None:
    error = done.exception()
    if isinstance(error, (AbandonedError, UnavailableError)):
        results: list[Any] = [error] * len(batch)
    elif error is not None:
        # The message of an error may contain texts.
        frames = "".join(traceback.format_tb(error.__traceback__))
        _logger.error("The model failed with a %s:\n%s", type(error).__name__, frames)
        results = [ModelError("The model failed.")] * len(batch)
    else:
        results = done.result()
    for job, result in zip(batch, results, strict=True):
        if job.result.done():
            continue
        if isinstance(result, Exception):
            job.result.set_exception(result)
        else:
            job.result.set_result(result)
