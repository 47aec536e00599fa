"""Processes that read files and compute vectors, while one writes the index."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import queue
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np

from keras_qa._terminal import blocked_sigint
from keras_qa.documents.vector_search import TextEmbedderLike

# Errors of tasks. Others end the process.
_ERRORS = (AttributeError, ImportError, OSError, RuntimeError, TypeError, ValueError)


class Pool:
    """Processes that start at the first task. Each has a copy of an encoder."""

    def __init__(self, size: int, encoder: TextEmbedderLike | None) -> None:
        self.size = size
        self._encoder = encoder
        self._processes: list[BaseProcess] = []
        self._idle: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        # Each thread waits for a process. `ProcessPoolExecutor` has one thread for all: it waits
        # for ever if a process is killed while it sends a result.
        self._threads = ThreadPoolExecutor(size)

    def submit(self, task: Callable[[], Any] | list[str]) -> Callable[[], Any]:
        """Calls a function, or the encoder with texts. Returns a function that waits for it."""
        if not self._processes:
            self._start()
        return self._threads.submit(self._run, task).result

    def _start(self) -> None:
        try:
            pickled = pickle.dumps(self._encoder)
        except (AttributeError, TypeError, pickle.PicklingError) as error:
            raise TypeError(
                "`workers` sends the encoder to other processes, but pickle cannot: "
                f"{error!s:.120}. Define its class at the top of a module, or leave `workers` out."
            ) from None
        context = multiprocessing.get_context("spawn")
        for _ in range(self.size):
            connection, other = context.Pipe()
            process = context.Process(target=_work, args=(other, pickled), daemon=True)
            with blocked_sigint():
                process.start()
                self._processes.append(process)
            # The end of the process closes the pipe.
            other.close()
            self._idle.put(connection)

    def _run(self, task: object) -> Any:
        connection = self._idle.get()
        try:
            connection.send(task)
            result, error = connection.recv()
        except (EOFError, OSError):
            raise OSError(
                f"One of {self.size} processes ended: it was killed, or memory was short, or the "
                "script that started it has no `if __name__ == '__main__':`. Files read so far are "
                "in the index. Try again, or with `workers=1`."
            ) from None
        finally:
            self._idle.put(connection)
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        """Ends the processes."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._processes:
            process.kill()
            process.join()
        self._threads.shutdown()


def _work(connection: Connection, pickled: bytes) -> None:
    # Windows has no mask of signals.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Processes that compute on all cores each would wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    encoder: TextEmbedderLike | None = None
    # The pipe ends with the process that writes.
    with contextlib.suppress(EOFError, OSError):
        while True:
            task = connection.recv()
            result = error = None
            try:
                if callable(task):
                    result = task()
                else:
                    encoder = encoder or pickle.loads(pickled)
                    result = np.asarray(encoder(task))
            except _ERRORS as raised:
                error = raised
            connection.send((result, error))
