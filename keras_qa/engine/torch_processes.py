"""Processes of PyTorch that train together: their start and end, and what they exchange."""

from __future__ import annotations

import contextlib
import os
import pickle
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import keras
import numpy as np
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from keras_qa._arguments import first_line

# Whether `fit` divides batches among the processes of PyTorch's default group.
is_divided: ContextVar[bool] = ContextVar("is_divided", default=False)


def exchange(function: Callable[..., Any], *arguments: Any) -> None:
    """Calls a function of all processes."""
    try:
        function(*arguments)
    except RuntimeError as error:
        raise ConnectionError(
            "Another process of the training has ended, see its error. Start the training again, "
            f"with `resume` if it has a checkpoint. PyTorch: {first_line(error)}"
        ) from None


def of_first(value: Any) -> Any:
    """Returns the value of the first process."""
    values = [value]
    exchange(dist.broadcast_object_list, values)
    return values[0]


@torch.compiler.disable
def check_same(data: Any) -> None:
    """Raises if other processes have another batch."""
    digest = 0
    for array in keras.tree.flatten(data):
        if array is not None:
            digest = zlib.crc32(keras.ops.convert_to_numpy(array).tobytes(), digest)
    own = torch.tensor([digest], device=keras.ops.zeros(()).device)
    digests = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    exchange(dist.all_gather, digests, own)
    if len(set(map(int, digests))) > 1:
        raise ValueError(
            "The processes have different batches. Give all of them the same data in the same "
            "order: each trains on its part of every batch."
        )


@torch.compiler.disable
def gather(own: torch.Tensor, rows: int) -> torch.Tensor:
    """Returns the first rows of all processes, in order."""
    parts = [
        torch.empty_like(own, memory_format=torch.contiguous_format)
        for _ in range(dist.get_world_size())
    ]
    exchange(dist.all_gather, parts, own.detach().contiguous())
    parts[dist.get_rank()] = own
    gathered = torch.cat(parts)[:rows]
    mask = getattr(own, "_keras_mask", None)
    if mask is not None:
        gathered._keras_mask = gather(mask, rows)
    return gathered


@torch.compiler.disable
def sum_gradients(gradients: list[torch.Tensor | None]) -> list[torch.Tensor | None]:
    """Sums the gradients of all processes, in one exchange."""
    own = [item for item in gradients if item is not None]
    flat = torch.cat([item.reshape(-1) for item in own])
    exchange(dist.all_reduce, flat)
    parts = iter(flat.split([item.numel() for item in own]))
    return [None if g is None else next(parts).view_as(g).to(g.dtype) for g in gradients]


def divide_batches() -> contextlib.ExitStack:
    """Divides the batches of `fit` among the processes of the default group.

    All must call it. Closing the stack that it returns ends it.
    """
    if keras.config.backend() != "torch":
        raise ValueError(
            f"Keras uses {keras.config.backend()}, but these are processes of PyTorch. Set "
            "KERAS_BACKEND=torch before the import of Keras."
        )
    # `fit` draws the seed of its order from it.
    np.random.set_state(of_first(np.random.get_state()))
    stack = contextlib.ExitStack()
    stack.callback(is_divided.reset, is_divided.set(True))
    return stack


@contextlib.contextmanager
def training_on(devices: int, repeat: Callable[[], object]) -> Iterator[None]:
    """Starts a process for each other device, which calls `repeat`, and joins them in the block."""
    if dist.is_initialized():
        raise ValueError(
            "`devices` starts processes, and this is one of several. Leave it out: `distribute` of "
            "`keras_qa.integrations.torch` divides the batches."
        )
    gpus = torch.cuda.device_count()
    most, kind = (gpus, "GPUs") if gpus else (os.cpu_count() or 1, "processors")
    if devices > most:
        raise ValueError(
            f"`devices` must be at most {most}, the number of {kind}. Received: devices={devices}."
        )
    store = dist.TCPStore("127.0.0.1", 0, devices, is_master=True, wait_for_workers=False)
    try:
        others = torch.multiprocessing.spawn(
            _repeat, (devices, store.port, repeat), devices - 1, join=False
        )
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        raise ValueError(
            "`devices` sends the arguments to other processes, but pickle cannot: "
            f"{error!s:.120}. Define functions and classes at the top of a module."
        ) from None
    threads = torch.get_num_threads()
    try:
        # The group would wait for a process that fails before it joins.
        while not store.check([_started(rank) for rank in range(1, devices)]):
            _join(others, 0.1)
        with _group(0, devices, store):
            yield
        while not _join(others, 1):
            pass
    except ConnectionError:
        # Name the process that has ended, and its error.
        _join(others, 10)
        raise
    finally:
        torch.set_num_threads(threads)
        for process in others.processes:
            process.kill()
            process.join()


def _join(others: Any, seconds: float) -> bool:
    """Waits until all other processes end. Raises a `ChildProcessError` if one fails."""
    try:
        return bool(others.join(seconds, grace_period=10))
    except (ProcessExitedException, ProcessRaisedException) as error:
        reason = str(error).strip().splitlines()[-1].removeprefix(f"process {error.error_index} ")
        raise ChildProcessError(
            f"Process {error.error_index + 1} of the training has ended: {reason:.200}"
        ) from None


def _started(rank: int) -> str:
    return f"started/{rank}"


def _repeat(index: int, devices: int, port: int, repeat: Callable[[], object]) -> None:
    """Calls a function in another process of `training_on`."""
    rank = index + 1
    store = dist.TCPStore("127.0.0.1", port, devices, is_master=False)
    store.set(_started(rank), "")
    # The first process warns.
    warnings.simplefilter("ignore")
    # If another process has ended, the first one says so.
    with contextlib.suppress(ConnectionError), _group(rank, devices, store):
        repeat()


@contextlib.contextmanager
def _group(rank: int, devices: int, store: dist.Store) -> Iterator[None]:
    if torch.cuda.is_available():
        torch.cuda.set_device(rank)
    torch.set_num_threads(max(1, torch.get_num_threads() // devices))
    dist.init_process_group(store=store, rank=rank, world_size=devices)
    try:
        with divide_batches():
            yield
    finally:
        dist.destroy_process_group()
