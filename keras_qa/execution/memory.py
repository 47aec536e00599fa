"""Keeps memory between the steps of a training, where the C library can be told to.

A step of training takes some tens of megabytes and gives them back. glibc then hands large blocks
back to Linux, which clears every page again at the next step: a third of the time of a step, on two
cores. What is kept while a model trains is given back when it has.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Iterator

# From glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
# What glibc's own rule, which any setting turns off for good, comes to where blocks are large.
_LARGEST_THRESHOLD = 32 * 2**20
_MOST_MMAPS = 65_536

_lock = threading.Lock()
_users = 0


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Keeps memory that is freed while the block runs, and gives it back when it ends.

    Does nothing without glibc, where the environment sets glibc's memory already, and where
    `KERAS_QA_KEEP_MEMORY` is 0 in it.
    """
    libc = _libc()
    if libc is None:
        yield
        return
    _enter(libc)
    try:
        yield
    finally:
        _leave(libc)


def _enter(libc: ctypes.CDLL) -> None:
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            libc.mallopt(_MMAP_MAX, 0)
            libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def _leave(libc: ctypes.CDLL) -> None:
    global _users
    with _lock:
        _users -= 1
        if _users == 0:
            libc.mallopt(_MMAP_MAX, _MOST_MMAPS)
            libc.mallopt(_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
            libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_THRESHOLD)
            libc.malloc_trim(0)


def _libc() -> ctypes.CDLL | None:
    told = "GLIBC_TUNABLES" in os.environ or any(name.startswith("MALLOC_") for name in os.environ)
    is_off = os.environ.get("KERAS_QA_KEEP_MEMORY") == "0"
    if told or is_off or not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
