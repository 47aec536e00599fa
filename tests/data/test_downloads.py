"""Downloads from a local server."""

import hashlib
import http.server
import threading

import pytest

from keras_qa.data import babi, downloads, squad

CONTENT = bytes(range(256)) * 1_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)


class Handler(http.server.BaseHTTPRequestHandler):
    """Behaves as the path of the URL says."""

    def do_GET(self):
        behaviour = self.path.strip("/")
        self.server.requests.append(behaviour)
        if behaviour == "missing":
            return self.send_error(404)
        content = {"wrong": CONTENT[::-1], "short": b"<html>", "long": CONTENT + b"x" * 99}
        body = content.get(behaviour, CONTENT)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if behaviour == "broken" else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def fetch(server, tmp_path):
    def fetch(*behaviours):
        urls = [f"http://127.0.0.1:{server.server_port}/{name}" for name in behaviours]
        return downloads.fetch(urls, tmp_path / "cache" / "file.bin", sha256=SHA256, size=SIZE)

    return fetch


def test_a_file_is_downloaded_once(fetch, server):
    target = fetch("good")
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]
    assert fetch("good") == target
    assert server.requests == ["good"]
    # A damaged file is downloaded again.
    target.write_bytes(CONTENT[:-1] + b"x")
    assert fetch("good").read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_mirrors_are_tried_in_turn(fetch, server):
    assert fetch("missing", "short", "broken", "wrong", "good").read_bytes() == CONTENT
    assert server.requests == ["missing", "short", "broken", "wrong", "good"]


def test_failed_downloads_leave_nothing_and_one_clear_line(fetch, tmp_path):
    with pytest.raises(ConnectionError) as caught:
        fetch("missing", "wrong", "short", "long", "broken")
    message = str(caught.value)
    assert message.startswith("`file.bin` cannot be downloaded: http://127.0.0.1:")
    assert "/missing answers 404 Not Found; http://" in message
    for behaviour, received in (("wrong", SIZE), ("short", 6), ("long", SIZE + 1)):
        expected = f"(expected 256,000 bytes with SHA-256 {SHA256}, received {received:,} with "
        assert f"/{behaviour} sends a wrong file {expected}" in message
    assert "received 128,000 with " in message
    assert message.endswith("pass its path as `path`.")
    assert "\n" not in message
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_QA_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert downloads.cache_folder() == tmp_path / "home" / ".cache" / "keras-qa"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert downloads.cache_folder() == tmp_path / "xdg" / "keras-qa"
    monkeypatch.setenv("KERAS_QA_HOME", str(tmp_path / "own"))
    assert downloads.cache_folder() == tmp_path / "own"


@pytest.mark.parametrize(
    ("load", "name", "message"),
    [
        (babi.load, "tasks_1-20_v1-2.tar.gz", r"thespermwhale\.com.*; https://s3\.amazonaws"),
        (squad.load, "train-v1.1.json", r"rajpurkar\.github\.io/SQ.*/train-v1\.1\.json.*github"),
    ],
)
def test_a_cached_file_with_a_wrong_checksum_is_not_used(
    monkeypatch, tmp_path, load, name, message
):
    # The file is removed, and the download fails, because nothing listens at the proxy's port.
    monkeypatch.setenv("KERAS_QA_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "")
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    (tmp_path / name).write_bytes(b"not the original")
    with pytest.raises(ConnectionError, match=f"^`{name}` cannot be downloaded: .*{message}"):
        load()
    assert list(tmp_path.iterdir()) == []
