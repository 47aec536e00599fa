"""Cases of the server: a sample is a question of one of several clients, which are another process.

Each contender also has the seconds that a client waits: `p50`, `p95` and `p99` of all questions.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.measure import AbsentError, Apart, Contenders, Waits, sized
from benchmarks.span_cases import MAX_LENGTH, STRIDE, questions, spread

READER = "minilm-squad"
# An environment variable: a folder of `keras-qa export` for the same reader, a further contender.
EXPORTED = "KERAS_QA_EXPORTED"


class Server:
    """Runs a server in this process.

    Args:
        port: The port.
        reader: What `keras_qa.load` takes; or for the rival a folder.
        is_rival: Whether to run the rival.
    """

    def __init__(self, port: int, reader: str, is_rival: bool) -> None:
        import uvicorn

        from keras_qa.serving.server import listen

        if is_rival:
            from benchmarks.rivals.fastapi_loop import make_app

            app: Any = make_app(reader, MAX_LENGTH, STRIDE)
        else:
            import keras_qa
            from keras_qa.serving import create_app

            # As `keras-qa serve` does.
            thread = ThreadPoolExecutor(1)
            app = create_app(thread.submit(keras_qa.load, reader).result(), thread=thread)
        config = uvicorn.Config(app, access_log=False, log_level="warning")
        listener = listen("127.0.0.1", port)
        server = uvicorn.Server(config)
        threading.Thread(target=server.run, args=([listener],), daemon=True).start()


class Clients:
    """Asks all questions, by several clients at once.

    Args:
        texts: The texts.
        asked: A question for each.
        count: Number of clients.
    """

    def __init__(self, texts: list[str], asked: list[str], count: int) -> None:
        self.bodies = [
            json.dumps({"inputs": {"question": question, "context": text}})
            for text, question in zip(texts, asked, strict=True)
        ]
        self.count = count

    def ask_all(self, port: int) -> Waits:
        """Returns the seconds of each question."""
        waits = Waits()
        lock, bodies = threading.Lock(), iter(self.bodies)

        def ask() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            while True:
                with lock:
                    body = next(bodies, None)
                if body is None:
                    return connection.close()
                start = time.perf_counter()
                headers = {"Content-Type": "application/json"}
                connection.request("POST", "/", body, headers)
                response = connection.getresponse()
                json.loads(response.read())
                # An error is not an answer: it leaves a question out.
                if response.status == 200:
                    waits.append(time.perf_counter() - start)

        threads = [threading.Thread(target=ask) for _ in range(self.count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if len(waits) < len(self.bodies):
            raise RuntimeError(f"{len(self.bodies) - len(waits)} questions have no answer.")
        return waits


def clients(count: int) -> Callable[[str], tuple[Contenders, int]]:
    def make(device: str) -> tuple[Contenders, int]:
        for package in ("transformers", "safetensors", "fastapi", "starlette"):
            if importlib.util.find_spec(package) is None:
                raise AbsentError(f"needs the rival: pip install {package}.")
        import keras_qa

        reader = keras_qa.load(READER)
        folder = os.path.join(tempfile.mkdtemp(), "reader")
        reader.save_pretrained(folder)
        examples = spread(questions(), sized(300, 6))
        texts, asked = ([getattr(item, name) for item in examples] for name in ("text", "question"))
        requests = Apart(Clients, texts, asked, count)

        def serve(name: str, is_rival: bool = False) -> Callable[[], Waits]:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            server = Apart(Server, port, name, is_rival)

            def ask() -> Waits:
                # The server lives as long as this function.
                assert server
                waits: Waits = requests("ask_all", port)
                return waits

            return ask

        def one_at_a_time() -> Waits:
            waits = Waits()
            for text, question in zip(texts, asked, strict=True):
                start = time.perf_counter()
                reader.answer(text, question)
                waits.append(time.perf_counter() - start)
            return waits

        ours: Contenders = {"keras-qa serve": serve(READER)}
        if os.environ.get(EXPORTED):
            ours["keras-qa serve, ONNX"] = serve(os.environ[EXPORTED])
        if count == 1:
            ours["answer, one at a time"] = one_at_a_time
        return {
            **ours,
            "answer": lambda: reader.answer(texts, asked, verbose=0),
            "transformers, FastAPI": serve(folder, is_rival=True),
        }, len(examples)

    return make


CASES = {
    f"serving, {count} client{'s' if count > 1 else ''}": clients(count) for count in (1, 8, 32)
}
