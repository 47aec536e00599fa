"""Ctrl-C that always ends a command."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Iterator
from types import FrameType

# Seconds before Ctrl-C is raised again.
REPEAT_AFTER = 0.3


@contextlib.contextmanager
def handle_sigint() -> Iterator[None]:
    """After Ctrl-C, raises `KeyboardInterrupt` repeatedly until the block ends.

    A single exception can be lost: NumPy drops it while it reads a JAX array, where training on
    JAX waits most of the time, and Python drops it while it frees an object.
    """
    if (
        signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        or threading.current_thread() is not threading.main_thread()
    ):
        # Respect a handler that the caller has set.
        yield
        return
    lock = threading.Lock()
    left = False

    def handle(number: int, frame: FrameType | None) -> None:
        if not left:
            threading.Thread(target=repeat, daemon=True).start()
            raise KeyboardInterrupt

    def repeat() -> None:
        time.sleep(REPEAT_AFTER)
        with lock:
            if left:
                return
            if sys.platform == "win32":
                interrupt_main()
            else:
                # Unlike `interrupt_main`, a signal also ends a blocking system call.
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        left = True
        # `repeat` sends no signal after this lock is taken.
        with lock:
            signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def advise_after_interrupt(advice: str) -> Iterator[None]:
    """Adds to Ctrl-C in the block how to continue."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(advice) from None
