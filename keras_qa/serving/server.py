"""`run`: serves an application until a signal ends it."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

# Open connections. A client holds one for as long as it likes, so there must be a limit.
_MAX_CONNECTIONS = 1_000


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

    Raises:
        OSError: If the address cannot be used.
    """
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        log_level=logging.WARNING,
        limit_concurrency=_MAX_CONNECTIONS,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=int(timeout) + 1,
        ws="none",
    )
    with listen(host, port) as listener:
        if started is not None:
            name = f"[{host}]" if ":" in host else host
            started(f"http://{name}:{listener.getsockname()[1]}")
        # uvicorn repeats the signal when it has ended. Without this, the exit code would be that of
        # a process that was killed.
        before = signal.signal(signal.SIGTERM, lambda number, frame: None)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            signal.signal(signal.SIGTERM, before)


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens at an address, whose connections send each part at once.

    Without `TCP_NODELAY` the body of a response waits for the acknowledgement of its headers, which
    takes up to 40 ms. asyncio sets it only for sockets that it makes itself.

    Args:
        host: The address.
        port: The port. 0 for a free one.

    Raises:
        OSError: If the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
