"""Downloads from a local server."""

import contextlib
import hashlib
import http.server
import re
import socket
import threading

import pytest

from keras_qa.datasets import babi
from keras_qa.files import download

CONTENT = bytes(range(256)) * 1_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SIZE = len(CONTENT)


class Handler(http.server.BaseHTTPRequestHandler):
    """Behaves as the path of the URL says."""

    def do_GET(self):
        behaviour = self.path.strip("/")
        wanted = self.headers.get("Range")
        self.server.requests.append((behaviour, wanted))
        content = {
            "wrong": CONTENT[::-1],
            "short": b"<html>",
            "short-no-length": b"<html>",
            "long": CONTENT + b"x" * 99,
        }.get(behaviour, CONTENT)
        if behaviour == "missing":
            return self.send_error(404)
        if behaviour == "unsatisfiable":
            return self.send_error(416 if wanted else 404)
        start = 0
        if wanted and behaviour != "no-range":
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            self.send_response(206)
            # "shifted" sends another range than the requested one.
            start = 0 if behaviour == "shifted" else start
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if not behaviour.endswith("no-length"):
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
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
        return download.fetch(urls, tmp_path / "cache" / "file.bin", sha256=SHA256, size=SIZE)

    return fetch


@pytest.fixture
def part(tmp_path):
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / "file.bin.part"


@pytest.mark.parametrize("behaviour", ["good", "no-length", "no-range"])
def test_a_file_is_downloaded_once(fetch, server, tmp_path, behaviour):
    target = fetch(behaviour)
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]
    assert fetch(behaviour) == target
    assert server.requests == [(behaviour, None)]


def test_a_damaged_file_in_the_cache_is_downloaded_again(fetch, server):
    target = fetch("good")
    target.write_bytes(CONTENT[:-1] + b"x")
    assert fetch("good").read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_partial_file_is_resumed(fetch, server, part):
    part.write_bytes(CONTENT[:1_000])
    assert fetch("good").read_bytes() == CONTENT
    assert server.requests == [("good", "bytes=1000-")]
    assert not part.exists()


@pytest.mark.parametrize("behaviour", ["no-range", "shifted"])
def test_another_range_restarts_the_download(fetch, server, part, behaviour):
    part.write_bytes(b"?" * 1_000)
    assert fetch(behaviour).read_bytes() == CONTENT
    assert server.requests == [(behaviour, "bytes=1000-")]


def test_a_complete_partial_file_needs_no_server(fetch, server, part):
    part.write_bytes(CONTENT)
    assert fetch("good").read_bytes() == CONTENT
    assert server.requests == []


def test_a_partial_file_that_is_too_long_is_dropped(fetch, server, part):
    part.write_bytes(CONTENT + b"x")
    assert fetch("good").read_bytes() == CONTENT
    assert server.requests == [("good", None)]


def test_a_wrong_partial_file_is_downloaded_again(fetch, server, part):
    part.write_bytes(b"?" * 1_000)
    assert fetch("good").read_bytes() == CONTENT
    assert server.requests == [("good", "bytes=1000-"), ("good", None)]


def test_mirrors_are_tried_in_turn(fetch, server):
    assert fetch("missing", "short", "wrong", "good").read_bytes() == CONTENT
    assert [name for name, _ in server.requests] == ["missing", "short", "wrong", "good"]


def test_a_broken_connection_is_resumed_from_the_next_mirror(fetch, server):
    assert fetch("broken", "good").read_bytes() == CONTENT
    assert server.requests == [("broken", None), ("good", f"bytes={SIZE // 2}-")]


def test_a_broken_connection_is_resumed_by_the_next_call(fetch, part):
    with pytest.raises(ConnectionError, match="broke off after 128,000 of 256,000 bytes"):
        fetch("broken")
    assert part.read_bytes() == CONTENT[: SIZE // 2]
    assert fetch("good").read_bytes() == CONTENT


@pytest.mark.parametrize("behaviour", ["wrong", "short", "short-no-length", "long"])
def test_wrong_bytes_leave_nothing_and_one_clear_line(fetch, part, behaviour):
    with pytest.raises(ValueError, match=f"/{behaviour} sends a wrong file") as caught:
        fetch(behaviour)
    message = str(caught.value)
    received = {"wrong": SIZE, "long": SIZE + 1}.get(behaviour, 6)
    assert message.startswith("`file.bin` cannot be downloaded: http://127.0.0.1:")
    assert f"(expected 256,000 with SHA-256 {SHA256}, received {received:,} with " in message
    assert message.endswith("pass its path as `path`.")
    assert "\n" not in message
    assert list(part.parent.iterdir()) == []


def test_every_mirror_that_fails_is_named(fetch, part):
    pattern = r"/missing answers 404 Not Found; http://\S+/unsatisfiable answers 416 "
    part.write_bytes(b"?")
    with pytest.raises(ConnectionError, match=pattern):
        fetch("missing", "unsatisfiable")
    # Error 416: the part is longer than the file.
    assert not part.exists()


def test_no_server_at_all_is_a_connection_error(tmp_path):
    with contextlib.closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
        with pytest.raises(ConnectionError, match="`x` cannot be downloaded: http://127"):
            download.fetch([url], tmp_path / "x", sha256=SHA256, size=SIZE)


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_QA_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert download.cache_folder() == tmp_path / "home" / ".cache" / "keras-qa"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert download.cache_folder() == tmp_path / "xdg" / "keras-qa"
    monkeypatch.setenv("KERAS_QA_HOME", str(tmp_path / "own"))
    assert download.cache_folder() == tmp_path / "own"


def test_a_cached_file_with_a_wrong_checksum_is_not_used(monkeypatch, tmp_path):
    # The file is removed, and the download fails, because nothing listens at the proxy's port.
    monkeypatch.setenv("KERAS_QA_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "")
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / "tasks_1-20_v1-2.tar.gz").write_bytes(b"not the original")
    with pytest.raises(ConnectionError, match=r"thespermwhale\.com.*; https://s3\.amazonaws"):
        babi.load(task=1)
    assert list(tmp_path.iterdir()) == []
