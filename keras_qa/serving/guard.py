"""What applies to all requests: who may ask, the body's limits, the log, and the metrics."""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keras_qa._terminal import plain
from keras_qa.serving.limits import Limits
from keras_qa.serving.schemas import make_error

_logger = logging.getLogger("keras_qa.serving")

# GET of these needs no token: they hold no texts, and a browser opens pages without one.
_OPEN = ("/", "/docs", "/health", "/openapi.json")

# A name or an address, and a port.
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[\w.-]+)(:\d*)?", re.ASCII | re.IGNORECASE)

# A browser sends bodies of these types to other sites without asking them first.
_SIMPLE_TYPES = ("", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain")

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


def check_token(token: str | None) -> None:
    """Raises a `ValueError` if a token is empty, or cannot be a part of a header."""
    if token is not None and not re.fullmatch(r"[!-~]+", token):
        raise ValueError("`token` must be at least one ASCII character, and no spaces.")


class Metrics:
    """The metrics of a server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        prefix: dict[str, Any] = {"namespace": "keras_qa", "registry": self.registry}
        self.requests = Counter(
            "requests", "Requests by route and status.", ["method", "route", "status"], **prefix
        )
        self.seconds = Histogram(
            "request_seconds", "Seconds of a request.", ["route"], buckets=_SECONDS, **prefix
        )
        self.batches = Histogram(
            "batch_size", "Questions in a batch of the model.", buckets=_SIZES, **prefix
        )
        self.waiting = Gauge("queue_size", "Questions that wait for the model.", **prefix)


class Guard:
    """Middleware that checks host, origin and token, and logs each request without its texts.

    The log and the metrics have the paths of routes, since that of a request may contain a text.
    `hosts` prevents DNS rebinding.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Sequence[Route],
        metrics: Metrics,
        token: str | None,
        hosts: Collection[str] | None,
    ) -> None:
        self._app = app
        self._routes = routes
        self._metrics = metrics
        self._token = None if token is None else token.encode("utf-8")
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, route = time.perf_counter(), 500, self._route(scope)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        try:
            app = self._refusal(scope) or self._app
            await app(scope, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.requests.labels(_method(scope), route, status).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            _logger.info("%s %s %d %.1f ms", _method(scope), route, status, 1e3 * seconds)

    def _route(self, scope: Scope) -> str:
        for route in self._routes:
            if route.matches(scope)[0] is not Match.NONE:
                return route.path
        return "unknown"

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        """Returns the response to a request that is not allowed."""
        headers, path = Headers(scope=scope), scope["path"]
        if self._hosts is not None and _host(headers.get("host", "")) not in self._hosts:
            message = (
                "This host name is not served. Allow it with `allowed_hosts`, or --allow-host."
            )
            return error_response(message, 421, path=path)
        if scope["method"] not in ("GET", "HEAD") and _is_foreign(headers):
            message = "A page of another site sent this request. Send JSON as `application/json`."
            return error_response(message, 403, path=path)
        is_open = path in _OPEN and scope["method"] in ("GET", "HEAD")
        if self._token is None or is_open:
            return None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        token_bytes = token.strip().encode("latin-1")
        if scheme.lower() == "bearer" and hmac.compare_digest(token_bytes, self._token):
            return None
        message = "The token is missing or wrong. Send it as a Bearer token."
        return error_response(message, 401, {"WWW-Authenticate": "Bearer"}, path)


def _method(scope: Scope) -> str:
    # Clients may send any word, and each value of a label is kept.
    return scope["method"] if scope["method"] in _METHODS else "other"


def _host(value: str) -> str:
    """Returns the name in a `Host` header, without its port; empty if the header is not valid."""
    match = _HOST.fullmatch(value)
    return "" if match is None else match[1].lower()


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser sent a request from a page of another site without asking this server."""
    origin = headers.get("origin")
    if origin is None or origin.partition("://")[2].lower() == headers.get("host", "").lower():
        return False
    return headers.get("content-type", "").partition(";")[0].strip().lower() in _SIMPLE_TYPES


def error_response(
    message: str, status: int, headers: Mapping[str, str] | None = None, path: str = ""
) -> JSONResponse:
    """Returns an error of one line, in the form of the route at a path."""
    line = plain(" ".join(message.split()))[:300]
    return JSONResponse(make_error(path, line), status, headers)


async def read_body(request: Request[Any], limits: Limits) -> bytes:
    """Returns the body of a request, or raises if it is too large, too slow or compressed."""
    # The rest of one that is too large is read: a client reads no response while it sends.
    close = {"Connection": "close"}
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "The body must not be compressed.", close)
    too_large = HTTPException(
        413, f"The body must have at most {limits.max_body} bytes.", headers=close
    )
    length = request.headers.get("content-length", "0")
    # Such a client waits for a response before it sends the body.
    if "expect" in request.headers and int(length) > limits.max_body:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(limits.body_timeout):
            async for part in request.stream():
                size += len(part)
                if size <= limits.max_body:
                    parts.append(part)
                else:
                    parts.clear()
    except TimeoutError:
        if size <= limits.max_body:
            seconds = f"{limits.body_timeout:g} seconds"
            raise HTTPException(408, f"The body must arrive within {seconds}.", close) from None
    if size > limits.max_body:
        raise too_large
    return b"".join(parts)
