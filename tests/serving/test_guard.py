"""Requests that are wrong on purpose: a line of error each, and the next request is answered."""

import contextlib
import http.client
import json
import socket

import pytest
from servers import error_of, send, serve

GOOD = {"inputs": {"question": "What colour is the car?", "context": "the car is blue."}}


@pytest.fixture(autouse=True)
def answers_afterwards(url):
    yield
    status, found, _ = send(url, GOOD)
    assert (status, found["answer"]) == (200, "blue")


def asked(**changes: object) -> dict:
    return {"inputs": {**GOOD["inputs"], **changes}}


def with_parameters(**parameters: object) -> dict:
    return {**GOOD, "parameters": parameters}


JSON_ERRORS = [
    (b"", "The body must be JSON. Expecting value at character 0."),
    (b"{", "The body must be JSON. Expecting property name"),
    (b"\xff{}", "The body must be JSON in UTF-8"),
    (b'{"inputs": "\\ud800"}', "`inputs` must be an object or a list. Received: '\\ud800'."),
    (b'{"inputs": {"question": "\\ud800", "context": "a"}}', "with complete characters."),
    (b'{"inputs": NaN}', "The body must be JSON, which has no NaN."),
    (b"[" * 10_000, "The body is nested too deeply."),
    (b'{"inputs": ' + b"[" * 900 + b"]" * 900 + b"}", "`inputs[0]` must be an object. Received:"),
    (b"9" * 5_000, "Exceeds the limit"),
    (b"null", "The body must be an object. Received: None."),
    ([], "The body must be an object. Received: []."),
    ({}, "`inputs` is missing."),
    ({"inputs": []}, "`inputs` must have at least 1 entries. Received: 0 entries."),
    ({"inputs": [GOOD["inputs"]] * 9}, "`inputs` must have at most 8 entries. Received: 9 entri"),
    ({"inputs": {"question": "a"}}, "`inputs.context` is missing."),
    (asked(question=5), "`inputs.question` must be a string. Received: 5."),
    (asked(context=["a"]), "`inputs.context` must be a string. Received: ['a']."),
    (asked(context=None), "`inputs.context` must be a string. Received: None."),
    (asked(question="a" * 201), "`inputs.question` must have at most 200 characters. Receiv"),
    (asked(context="a" * 5_001), "`inputs.context` must have at most 5000 characters. Received: 5"),
    (asked(question=""), "`inputs.question` must be more than white space. Received: ''."),
    (asked(context=" \n"), "`inputs.context` must be more than white space. Received: ' \\n'."),
    ({"inputs": [GOOD["inputs"], asked(question="\t")["inputs"]]}, "`inputs[1].question` must be"),
    (with_parameters(max_seq_len=11), "`parameters.max_seq_len` must be from 12 to 2147483647."),
    (asked(other=1), "There is no `inputs.other`. The keys are `inputs.question`, `inpu"),
    ({**GOOD, "a\nb": 1}, "There is no `a b`. The keys are `inputs`, `parameters`."),
    (with_parameters(top_k=0), "`parameters.top_k` must be from 1 to 100. Received: 0."),
    (with_parameters(top_k=True), "`parameters.top_k` must be an integer. Received: True."),
    (with_parameters(top_k=10**30), "`parameters.top_k` must be from 1 to 100. Received: 1000"),
    (with_parameters(doc_stride=-1), "`parameters.doc_stride` must be from 0 to 2147483647."),
    (with_parameters(align_to_words="yes"), "`parameters.align_to_words` must be true or false."),
    (with_parameters(top_k=101.0), "`parameters.top_k` must be from 1 to 100. Received: 101."),
    (with_parameters(max_seq_len=1.5), "`parameters.max_seq_len` must be an integer. Received: 1"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "message"), JSON_ERRORS)
def test_wrong_bodies(url, body, message: str) -> None:
    found = error_of(url, body)
    assert found.startswith("400 ")
    assert message in found


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "DELETE", 405),
        ("/health", "POST", 405),
        ("/metrics", "PROPFIND", 405),
        ("/nothing", "GET", 404),
        ("/health/", "GET", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", "GET", 404),
        ("/docs/../../app.py", "GET", 404),
        ("/models/%00", "POST", 404),
        ("/models/../small/reader", "POST", 404),
        ("/models/other", "POST", 404),
        ("/ask", "POST", 404),
        ("/rerank", "POST", 404),
        ("/documents", "GET", 404),
    ],
)
def test_wrong_paths_and_methods(url, path: str, method: str, status: int) -> None:
    body = json.dumps(GOOD).encode() if method == "POST" else None
    assert error_of(url + path, body, method).startswith(f"{status} ")


@pytest.mark.parametrize("route", ["", "/models/small/reader"])
def test_bodies_that_are_too_large(url, route: str) -> None:
    # More than a socket holds: the server must read it, or the client does not see the error.
    found = error_of(url + route, b"a" * 5_000_000)
    assert found == "413 The body must have at most 20000 bytes."
    chunks = (b"a" * 10_000 for _ in range(500))
    assert error_of_stream(url + route, chunks) == found
    assert error_of(url + route, b"a", **{"Content-Encoding": "gzip"}).startswith("415 ")


def error_of_stream(url: str, chunks) -> str:
    """Sends a body in chunks."""
    host, _, path = url.removeprefix("http://").partition("/")
    with contextlib.closing(http.client.HTTPConnection(host)) as connection:
        connection.request("POST", f"/{path}", chunks, encode_chunked=True)
        response = connection.getresponse()
        return f"{response.status} {json.loads(response.read())['error']}"


def exchange(url: str, sent: bytes, *, ends: bool = False) -> bytes:
    """Sends bytes to the server and returns its answer, until it closes the connection."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(sent)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    ("sent", "status", "text"),
    [
        # The rest of the body never comes.
        (HEAD + b"Content-Length: 50\r\n\r\n{", b"408", b"body must arrive within 0.3 seconds."),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", b"408", b"must arrive within"),
        (HEAD + b"Content-Length: 50000\r\nExpect: 100-continue\r\n\r\n", b"413", b"at most 20000"),
        (HEAD + b"Content-Length: -1\r\n\r\n", b"400", b"Invalid HTTP request"),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400", b"Invalid HTTP request"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nx\r\n", b"400", b"Invalid HTTP request"),
        (b"GET /health HTTP/1.1\r\nX\xc3\xa9: a\r\n\r\n", b"400", b"Invalid HTTP request"),
        (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", b"400", b"Invalid HTTP request"),
        # More than a socket holds: the server must read it, or the client does not see the error.
        (b"GET /?" + b"a" * 5_000_000 + b"\r\n\r\n", b"400", b"its headers are too long."),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400", b"Invalid HTTP request"),
    ],
)  # fmt: skip
def test_slow_and_broken_requests(url, sent: bytes, status: bytes, text: bytes) -> None:
    head, _, body = exchange(url, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert text in json.loads(body)["error"].encode()


@pytest.mark.parametrize(
    "head", [b"Transfer-Encoding: Chunked", b"Transfer-Encoding: chunked\r\nX: h\xc3\xa9\xff"]
)
def test_headers_that_are_valid(url, head: bytes) -> None:
    body = json.dumps(GOOD).encode()
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    answer = exchange(url, HEAD + head + b"\r\nConnection: close\r\n\r\n" + chunks)
    assert b'{"answer":"blue"' in answer


def test_connections_without_a_request_are_closed(qa) -> None:
    good = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
    with serve(qa, settings={"timeout_keep_alive": 1}) as url:
        assert exchange(url, b"") == b""
        assert exchange(url, good).endswith(b'{"status":"ok"}')
        for sent in (b"", good):
            answer = exchange(url, sent + b"POST / HT")
            assert answer.startswith(b"HTTP/1.1 200" if sent else b"HTTP/1.1 408")
            assert answer.endswith(b'{"error":"The headers must arrive within 1 seconds."}')


def test_connections_are_limited(qa) -> None:
    with serve(qa, settings={"limit_concurrency": 2}) as url, contextlib.ExitStack() as stack:
        host, port = url.removeprefix("http://").split(":")

        def connect() -> socket.socket:
            return stack.enter_context(socket.create_connection((host, int(port)), timeout=30))

        others = [connect() for _ in range(2)]
        status, found, headers = send(f"{url}/health")
        message = "The server is busy: it has too many connections."
        assert (status, found, headers["Retry-After"]) == (503, {"error": message}, "5")
        others += [connect() for _ in range(2)]
        assert connect().recv(1) == b""
        for connection in others:
            connection.close()
        assert send(url, GOOD)[0] == 200


@pytest.mark.parametrize("sent", [b"", b"POST / HT", HEAD + b"Content-Length: 50\r\n\r\n{"])
def test_connections_that_the_client_closes(url, sent: bytes) -> None:
    assert b"200" not in exchange(url, sent, ends=True)


def test_a_token_is_needed_except_for_health_and_pages(qa) -> None:
    with serve(qa, token="top-secret") as url:
        for path in ("/health", "/", "/docs", "/openapi.json"):
            assert send(url + path)[0] == 200
        missing = "401 The token is missing or wrong. Send it as a Bearer token."
        for path, body in (("/", GOOD), ("/info", None), ("/metrics", None)):
            assert error_of(url + path, body) == missing
            for value in ("Bearer wrong", "top-secret", "Basic top-secret", "Bearer é"):
                assert error_of(url + path, body, Authorization=value) == missing
            assert send(url + path, body, Authorization="Bearer top-secret")[0] == 200
        assert send(url, GOOD)[2]["WWW-Authenticate"] == "Bearer"


def test_other_host_names_are_not_served(qa) -> None:
    with serve(qa, allowed_hosts={"127.0.0.1", "[::1]"}) as url:
        assert send(f"{url}/health", Host="[::1]:80")[0] == 200
        names = [
            "evil.example",
            "127.0.0.1.evil.example:80",
            "[::2]",
            "",
            "[::1]evil",
            "[::1]:80@a",
        ]
        for name in (*names, "127.0.0.1:8000@evil", "127.0.0.1:a", "127.0.0.1 ,a"):
            assert error_of(f"{url}/health", Host=name).startswith("421 This host name is not se")


def test_pages_of_other_sites_cannot_ask(url) -> None:
    own = url.removeprefix("http://")
    for kind in ("text/plain;charset=UTF-8", "Multipart/Form-Data; boundary=a"):
        headers = {"Content-Type": kind, "Host": own}
        for origin in ("http://evil.example", f"http://{own}0", "null"):
            found = error_of(url, GOOD, Origin=origin, **headers)
            assert found == (
                "403 A page of another site sent this request. Send JSON as `application/json`."
            )
        assert send(url, GOOD, Origin=f"http://{own}", **headers)[0] == 200
    # A browser asks the server before it sends these.
    headers = {"Content-Type": "application/json", "Origin": "http://evil.example"}
    assert send(url, GOOD, **headers)[0] == 200
    assert error_of(url, None, "OPTIONS", Origin="http://evil.example").startswith("40")
