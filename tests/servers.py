"""A small reader, servers in threads of this process, and requests to them."""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import uvicorn
from small_examples import SPANS, WITHOUT

from keras_qa import QuestionAnswerer
from keras_qa.serving import create_app
from keras_qa.serving.server import configure, listen


def small_reader() -> QuestionAnswerer:
    """A reader that knows texts without an answer, and reads long texts in windows."""
    sizes = {"units": 8, "embedding_dim": 8, "dropout": 0.0}
    sizes["optimizer"] = keras.optimizers.Adam(0.04)
    reader = QuestionAnswerer("span_reader", sizes, seed=1, max_length=12, stride=4)
    return reader.fit(SPANS + WITHOUT, epochs=1, steps_per_epoch=20, verbose=0)


@contextlib.contextmanager
def serve(
    qa: Any, *given: Any, settings: Mapping[str, Any] | None = None, **options: Any
) -> Iterator[str]:
    """Serves a reader while the block runs, with `settings` of uvicorn. Yields the URL."""
    app = create_app(qa, *given, **options)
    server = uvicorn.Server(configure(app, **(settings or {})))
    # Clients can connect at once: the system keeps them until the server accepts them.
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def send(
    url: str, body: Any = None, method: str | None = None, **headers: str
) -> tuple[int, Any, Any]:
    """Sends a request. Returns the status, the JSON or bytes of the response, and its headers."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            status, found, sent = response.status, response.read(), response.headers
    except urllib.error.HTTPError as error:
        with error:
            status, found, sent = error.code, error.read(), error.headers
    is_json = sent.get("content-type") == "application/json"
    return status, json.loads(found) if is_json else found, sent


def error_of(url: str, body: Any = None, method: str | None = None, **headers: str) -> str:
    """Sends a request that must fail. Returns its status and its error, one line."""
    status, found, _ = send(url, body, method, **headers)
    assert list(found) == ["error"]
    assert "\n" not in found["error"]
    assert len(found["error"]) <= 300
    return f"{status} {found['error']}"
