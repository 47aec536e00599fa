"""A local server with the routes of the Hugging Face Hub that downloads need."""

import contextlib
import hashlib
import http.server
import pathlib
import threading
from collections.abc import Iterator

COMMIT = "c0ffee" * 6 + "c0ff"


class Hub(http.server.ThreadingHTTPServer):
    """Serves folders as repositories.

    Args:
        repositories: Folders by name, `owner/name`.

    Attributes:
        asked: The method and path of each request, in order.
    """

    daemon_threads = True

    def __init__(self, repositories: dict[str, pathlib.Path]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories = repositories
        self.private: set[str] = set()
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextlib.contextmanager
def serving(repositories: dict[str, pathlib.Path]) -> Iterator[Hub]:
    """Runs a `Hub` while the block runs."""
    hub = Hub(repositories)
    thread = threading.Thread(target=hub.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        hub = self.server
        hub.asked.append(f"{self.command} {self.path}")
        path = [*self.path.strip("/").split("/"), *[""] * 4]
        owner, name, resolve, revision, file_name = path[:5]
        repository = f"{owner}/{name}"
        if resolve != "resolve" or repository not in hub.repositories:
            return self._fail(404, "RepoNotFound")
        if repository in hub.private and "Authorization" not in self.headers:
            return self._fail(401, "RepoNotFound")
        if revision not in ("main", COMMIT):
            return self._fail(404, "RevisionNotFound")
        file = hub.repositories[repository] / file_name
        if not file.is_file():
            return self._fail(404, "EntryNotFound")
        content = file.read_bytes()
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _fail(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()
