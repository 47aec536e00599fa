"""`create_app`: the ASGI application of the server."""

from __future__ import annotations

import base64
import hashlib
import pathlib
import re
from collections.abc import Collection, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from keras_qa.serving.guard import Guard, Metrics, check_token, error_response
from keras_qa.serving.limits import Limits
from keras_qa.serving.model_queue import ModelError, UnavailableError
from keras_qa.serving.model_routes import Json, Models
from keras_qa.serving.openapi import describe
from keras_qa.serving.routes import Service

if TYPE_CHECKING:
    from keras_qa.answering import Reranker, TextEmbedder
    from keras_qa.answering.answerer import QuestionAnswerer
    from keras_qa.documents import Index

_FOLDER = pathlib.Path(__file__).parent


def create_app(
    qa: QuestionAnswerer | None = None,
    index: Index | None = None,
    ranker: Reranker | None = None,
    *,
    embedder: TextEmbedder | None = None,
    verify: Mapping[str, Any] | None = None,
    name: str = "reader",
    token: str | None = None,
    allowed_hosts: Collection[str] | None = None,
    thread: Executor | None = None,
    **limits: Any,
) -> Starlette:
    """Makes the ASGI application that `keras-qa serve` runs.

    All calls of the models run in one thread. Questions of concurrent requests are answered in
    batches, with the answers of `qa.answer`.

    Args:
        qa: A fitted `QuestionAnswerer` that answers questions about texts without choices, or an
            object with its methods `answer` and `ask`. `None` to serve other models alone.
        index: An index of documents for `POST /ask` and `POST /verify`, or `None`.
        ranker: A ranker for `POST /rerank` and `POST /v2/rerank`, which also sorts passages for
            `/ask`. `None` for no such route; `/ask` then has the default of `qa`.
        embedder: An `answering.TextEmbedder` for `POST /embed` and `POST /v1/embeddings`, or
            `None`.
        verify: The arguments `reader`, `ranker` and `checker` of `keras_qa.verify` for
            `POST /verify`, with models that are loaded, or `None`.
        name: The name of the model in the routes.
        token: A token that requests must have in their header `Authorization: Bearer`.
        allowed_hosts: Host names that requests may be for, such as `{"localhost"}`. `None` for all.
        thread: A `concurrent.futures.ThreadPoolExecutor` with one thread, which runs the model.
            PyTorch is faster if the model was loaded in it, too. `None` for a new one.
        **limits: See docs/serving.md, such as `max_batch` and `timeout`.

    Returns:
        A `starlette.applications.Starlette`.

    Raises:
        TypeError: If a limit is unknown.
        ValueError: If there is no model, a limit is out of its range, the token is empty or not
            ASCII, or a model cannot answer a question.

    Examples:
        >>> import keras_qa
        >>> from keras_qa.serving import create_app
        >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=50, seed=0)
        >>> qa = keras_qa.QuestionAnswerer(seed=0).fit(stories, epochs=1, verbose=0)
        >>> app = create_app(qa, name="stories", max_batch=16)
        >>> [route.path for route in app.routes][:3]
        ['/', '/models/{id:path}', '/health']
    """
    check_token(token)
    models = Models(qa, index, ranker, embedder, verify)
    if all(model is None for model in (qa, ranker, embedder, verify)):
        raise ValueError("There is no model to serve. Pass `qa`, `ranker`, `embedder` or `verify`.")
    metrics = Metrics()
    thread = thread or ThreadPoolExecutor(1)
    service = Service(models, name, Limits(**limits), metrics, thread)
    description = Json(describe(name, service.routes, service.requests))
    # A response is an ASGI application that sends itself.
    routes = [
        *service.routes,
        # The page asks a reader.
        Route("/", _html("docs.html" if qa is None else "page.html"), methods=["GET"]),
        Route("/docs", _html("docs.html"), methods=["GET"]),
        Route("/openapi.json", description, methods=["GET"]),
    ]
    guard = Middleware(Guard, routes=routes, metrics=metrics, token=token, hosts=allowed_hosts)
    problems = (HTTPException, UnavailableError, ClientDisconnect, TypeError, ValueError)
    app = Starlette(
        routes=routes,
        middleware=[guard],
        lifespan=service.lifespan,
        exception_handlers=dict.fromkeys((*problems, ModelError, Exception), _handle),
    )
    # A redirect would hide that a path is wrong.
    app.router.redirect_slashes = False
    return app


async def _handle(request: Request[Any], error: Exception) -> Response:
    """Returns the response to an error."""
    path = request.url.path
    if isinstance(error, HTTPException):
        hint = " `/docs` lists the routes." if error.status_code in (404, 405) else ""
        message = f"{error.detail.rstrip('.')}.{hint}"
        return error_response(message, error.status_code, error.headers, path)
    if isinstance(error, UnavailableError):
        return error_response(str(error), 503, {"Retry-After": str(error.retry_after)}, path)
    if isinstance(error, (ClientDisconnect, TypeError, ValueError)):
        return error_response(str(error), 400, path=path)
    # The message of an unexpected error may contain texts.
    message = str(error) if isinstance(error, ModelError) else "The server failed."
    return error_response(message, 500, path=path)


def _html(name: str) -> HTMLResponse:
    """Returns a page whose Content-Security-Policy allows only its own script and style."""
    source = (_FOLDER / name).read_text(encoding="utf-8")
    policy = [
        "default-src 'none'",
        "connect-src 'self'",
        "img-src data: blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    for tag in ("script", "style"):
        parts = re.findall(rf"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
        hashes = [hashlib.sha256(part.encode("utf-8")).digest() for part in parts]
        allowed = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in hashes]
        policy.append(" ".join([f"{tag}-src", *allowed]))
    return HTMLResponse(source, headers={"Content-Security-Policy": "; ".join(policy)})
