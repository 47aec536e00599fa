"""Ctrl-C, heard for sure."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from _thread import interrupt_main
from collections.abc import Iterator
from types import FrameType

# Seconds until Ctrl-C is raised again.
AGAIN = 0.3


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Raises `KeyboardInterrupt` again and again after Ctrl-C, until it leaves the block.

    Once is not enough. What is raised while NumPy reads an array of JAX is lost, and a training on
    JAX waits there most of its time; so is what is raised while memory is freed.
    """
    if (
        signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        or threading.current_thread() is not threading.main_thread()
    ):
        # Somebody else answers Ctrl-C, or nobody is to.
        yield
        return
    lock = threading.Lock()
    left = False

    def handle(number: int, frame: FrameType | None) -> None:
        if not left:
            threading.Thread(target=again, daemon=True).start()
            raise KeyboardInterrupt

    def again() -> None:
        time.sleep(AGAIN)
        with lock:
            if not left:
                _interrupt()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        left = True
        # What comes from here on finds the handler of before; what came has been dropped.
        with lock:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupt() -> None:
    if sys.platform == "win32":
        interrupt_main()
    else:
        # Unlike the other, it ends a wait within the system, too.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
