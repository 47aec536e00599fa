"""`run`: serves an application until a signal ends it."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from keras_qa.serving.guard import error_response

# Connections that are answered, and new ones that are accepted at once.
_MAX_CONNECTIONS, _BACKLOG = 1_000, 64
# File descriptors for files, and for connections that are accepted and not yet counted.
_RESERVED = 5 * _BACKLOG


def run(
    app: Starlette,
    host: str = "127.0.0.1",
    port: int = 8000,
    timeout: float = 30.0,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serves an application until SIGTERM or Ctrl-C. Requests that it has accepted are answered.

    Args:
        app: The application, as `create_app` returns it.
        host: The address to listen at. `"0.0.0.0"` for all of this machine.
        port: The port. 0 for a free one.
        timeout: The longest time in seconds to wait for the answers at the end.
        started: Is called with the server's URL before the first request.
    """
    config = configure(app, timeout_graceful_shutdown=int(timeout) + 1)
    with listen(host, port) as listener:
        if started is not None:
            name = f"[{host}]" if ":" in host else host
            started(f"http://{name}:{listener.getsockname()[1]}")
        # uvicorn repeats the signal when it has ended. Without this, the exit code would be that of
        # a process that was killed or interrupted.
        signals = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, lambda number, frame: None) for number in signals]
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            for number, handler in zip(signals, before, strict=True):
                signal.signal(number, handler)


def configure(app: Starlette, **options: Any) -> uvicorn.Config:
    """Returns the settings of uvicorn. `options` are further ones."""
    settings: dict[str, Any] = {
        "access_log": False,
        "backlog": _BACKLOG,
        "http": Connection,
        "limit_concurrency": _max_connections(),
        "log_config": None,
        "log_level": logging.WARNING,
        "proxy_headers": False,
        "server_header": False,
        "ws": "none",
    }
    return uvicorn.Config(app, **{**settings, **options})


def _max_connections() -> int:
    """Returns the number of connections that are answered. As many more are told to wait."""
    try:
        import resource
    except ImportError:
        # Windows has no such limit.
        return _MAX_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return _MAX_CONNECTIONS
    return max(1, min(_MAX_CONNECTIONS, (files - _RESERVED) // 2))


class Connection(H11Protocol):
    """A connection of uvicorn with limits of its own, and errors in JSON."""

    # uvicorn closes a connection without a request only after an earlier request, and accepts
    # connections until the process has no file descriptors.

    limit_concurrency: int | None
    _is_refused = False

    def connection_made(self, transport: Any) -> None:
        """Accepts a connection, if there are not too many."""
        super().connection_made(transport)
        most, self.limit_concurrency = self.limit_concurrency or _MAX_CONNECTIONS, None
        if len(self.connections) > 2 * most:
            transport.abort()
        elif len(self.connections) > most:
            headers = {"Connection": "close", "Retry-After": str(self.timeout_keep_alive)}
            message = "The server is busy: it has too many connections."
            self.app = error_response(message, 503, headers)
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        """Reads a part of a request."""
        if not self._is_refused:
            super().data_received(data)

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        super().on_response_complete()
        self._expect_request()

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP."""
        self._refuse(400, f"{msg} It is malformed, or its headers are too long.")

    def timeout_keep_alive_handler(self) -> None:
        """Closes a connection without a complete request, and says so to one that has begun."""
        if self._is_refused or self.transport.is_closing():
            return
        if self.conn.trailing_data[0]:
            self._refuse(408, f"The headers must arrive within {self.timeout_keep_alive} seconds.")
        else:
            super().timeout_keep_alive_handler()

    def _expect_request(self) -> None:
        # uvicorn has a timer of its own, but stops it at the first byte.
        self.loop.call_later(self.timeout_keep_alive, self._close_without_request, self.cycle)

    def _close_without_request(self, last: RequestResponseCycle | None) -> None:
        if self.cycle is last and (last is None or last.response_complete):
            self.timeout_keep_alive_handler()

    def _refuse(self, status: int, message: str) -> None:
        """Answers with an error, and closes the connection."""
        self._is_refused = True
        if self.cycle is not None:
            # What runs for an earlier part of the request can send no response.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        response = error_response(message, status, {"Connection": "close"})
        head = h11.Response(status_code=status, headers=response.raw_headers)
        for event in (head, h11.Data(data=bytes(response.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        # The client may be sending, and reads the response only if the connection stays open.
        self.transport.write_eof()
        self.loop.call_later(self.timeout_keep_alive, self.transport.abort)


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens at an address, whose connections send each part at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]
        raise OSError(
            f"The server cannot listen at port {port} of {host}: {reason}. Choose another port, or "
            "0 for a free one."
        ) from None
    # Without it the body of a response waits up to 40 ms for the acknowledgement of its headers.
    # asyncio sets it only for sockets that it makes itself.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
