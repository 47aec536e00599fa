"""`keras-qa mcp`: its tools, by the client of the SDK, over both transports, and bad requests."""

import contextlib
import functools
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from interpreters import start
from mcp import Client, StdioServerParameters
from pdf_files import lines, write_pdf
from servers import error_of, send

import keras_qa
from keras_qa.cli import mcp, parser
from keras_qa.cli.indexing import open_folder
from keras_qa.documents import Index
from keras_qa.serving.limits import Limits
from keras_qa.serving.mcp_server import McpService

ROOT = pathlib.Path(__file__).parents[2]
COMMAND = ["-c", "from keras_qa.cli import command; command()", "mcp"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
SECRET = "swordfish"
TEXT = """# Lamp

The warranty of the lamp is **two years** from the day of purchase.

## Returns

Send it back within thirty days. The shop in Oslo pays the postage.
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """A folder of documents, with a link to a file outside, and a file that is not a document."""
    made = tmp_path_factory.mktemp("mcp") / "handbook"
    (made / "guide").mkdir(parents=True)
    (made / "guide" / "lamp.md").write_text(TEXT)
    pages = ["The drill weighs three kilograms.", "The drill was designed by Ada Berg in 1987."]
    write_pdf(made / "drill.pdf", [lines(page) for page in pages])
    (made / "long.txt").write_text("\n".join(f"Row {number} " + "x" * 400 for number in range(90)))
    (made / "saw.txt").write_text("The guarantee of the saw lasts eleven\nyears from the delivery.")
    (made / "wide.txt").write_text("y" * 30_000)
    # Its name is not UTF-8.
    with open(os.fsencode(made) + b"/\xff.txt", "w") as file:
        file.write("The okapi is a shy animal.")
    (made.parent / "outside.txt").write_text(f"The password is {SECRET}.")
    (made / "link.txt").symlink_to(made.parent / "outside.txt")
    (made / "keys.pem").write_text(SECRET)
    return made


@contextlib.contextmanager
def serve_http(folder: pathlib.Path, *options: str) -> Iterator[str]:
    """Serves a folder over HTTP in a process, which ends by SIGTERM. Yields the URL."""
    command = [sys.executable, *COMMAND, str(folder), "--http", "--port", "0", *options]
    with start(command, stdout=subprocess.PIPE, env=ENVIRONMENT, text=True) as server:
        try:
            line = server.stdout.readline()
            assert line.startswith(f"Serving {folder} at http://127.0.0.1:")
            assert line.endswith("/mcp. Ctrl-C ends it.\n")
            yield line.split(" at ")[1].partition(". ")[0]
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0
        assert server.stdout.read() == ""


@pytest.fixture(scope="module", params=["stdio", "http"])
def client(request, folder) -> Iterator[Callable[..., Any]]:
    """Calls a method of a client that is connected to a process of the command."""
    with contextlib.ExitStack() as stack:
        target: Any = StdioServerParameters(
            command=sys.executable, args=[*COMMAND, str(folder)], env=ENVIRONMENT
        )
        if request.param == "http":
            target = stack.enter_context(serve_http(folder))
        portal = stack.enter_context(start_blocking_portal())
        connection = portal.wrap_async_context_manager(Client(target))
        connected = stack.enter_context(connection)
        yield lambda name, *given: portal.call(getattr(connected, name), *given)


@pytest.fixture(scope="module")
def call(client) -> Callable[..., Any]:
    """Calls a tool. Returns its result, or the line of its error."""

    def call(name: str, **arguments: Any) -> Any:
        result = client("call_tool", name, arguments)
        (content,) = result.content
        if result.is_error:
            assert result.structured_content is None
            return content.text
        assert json.loads(content.text) == result.structured_content
        return result.structured_content

    return call


def test_the_tools_say_what_they_do_and_take_no_unknown_argument(client) -> None:
    tools = client("list_tools").tools
    assert [tool.name for tool in tools] == ["ask", "search", "read", "verify"]
    assert [tool.input_schema["required"] for tool in tools] == [
        *(["question"], ["query"], ["document"], ["text"])
    ]
    for tool in tools:
        assert tool.annotations.read_only_hint
        assert tool.input_schema["additionalProperties"] is False
        assert tool.output_schema["type"] == "object"
        # Each argument and each field is explained, or is a plain word.
        assert len(tool.description) > 300
    assert 'means "no answer"' in tools[0].description
    assert "probability that the answer is right" in " ".join(tools[0].description.split())


def test_ask_quotes_documents_with_lines_and_pages(call) -> None:
    (answer,) = call("ask", question="How long is the warranty of the lamp?", top_k=1)["answers"]
    assert answer.pop("score") > 0.5
    assert "two years from the day of purchase" in answer.pop("context")
    location = {"document": "guide/lamp.md", "line": 3, "end_line": 3, "page": None}
    assert answer == {"text": "two years", **location}
    (answer,) = call("ask", question="How long is the guarantee of the saw?", top_k=1)["answers"]
    assert (answer["text"], answer["line"], answer["end_line"]) == ("eleven\nyears", 1, 2)
    answers = call("ask", question="Who designed the drill?")["answers"]
    assert 1 <= len(answers) <= 3
    assert answers[0]["text"] == "Ada Berg"
    assert (answers[0]["document"], answers[0]["page"]) == ("drill.pdf", 2)


def test_a_question_that_no_document_answers_has_an_answer_without_text(call) -> None:
    (answer,) = call("ask", question="Who won the chess final in Reykjavik?", top_k=1)["answers"]
    assert answer.pop("score") > 0.5
    nowhere = dict.fromkeys(("document", "line", "end_line", "page"))
    assert answer == {"text": "", "context": "", **nowhere}


def test_search_returns_passages_with_headings_and_scores(call) -> None:
    (passage,) = call("search", query="postage of returns", k=1)["passages"]
    assert passage.pop("score") > 0
    assert passage == {
        "document": "guide/lamp.md",
        "line": 5,
        "end_line": 7,
        "page": None,
        "heading": "Lamp > Returns",
        "text": "Returns\n\nSend it back within thirty days. The shop in Oslo pays the postage.",
    }
    assert call("search", query="zebra", k=20) == {"passages": []}
    assert [passage["document"] for passage in call("search", query="okapi")["passages"]] == [
        "?.txt"
    ]


def test_read_returns_lines_and_where_to_read_on(call) -> None:
    part = call("read", document="guide/lamp.md", line=3, end_line=5)
    assert part == {
        **{"document": "guide/lamp.md", "line": 3, "end_line": 5, "page": None, "lines": 8},
        "text": "The warranty of the lamp is two years from the day of purchase.\n\nReturns",
    }
    assert call("read", document="drill.pdf", line=3) == {
        **{"document": "drill.pdf", "line": 3, "end_line": 3, "page": 2, "lines": 3},
        "text": "The drill was designed by Ada Berg in 1987.",
    }
    rows = call("read", document="long.txt", line=2)
    assert (rows["line"], rows["lines"]) == (2, 90)
    # As many whole lines as have at most 20,000 characters.
    assert rows["text"] == "\n".join(
        f"Row {number} " + "x" * 400 for number in range(1, rows["end_line"])
    )
    assert 20_000 - 410 < len(rows["text"]) <= 20_000
    wide = call("read", document="wide.txt")
    assert (wide["end_line"], wide["lines"], wide["text"]) == (1, 1, "y" * 20_000)


def test_verify_returns_outcomes_with_their_evidence(call) -> None:
    text = "The warranty of the lamp is two years. The drill weighs nine kilograms."
    right, wrong = call("verify", text=text)["verdicts"]
    assert (right["text"], right["outcome"]) == (text[:38], "supported")
    assert right["score"] > 0.5 > wrong["score"]
    assert (right["document"], right["line"], right["end_line"]) == ("guide/lamp.md", 3, 3)
    assert "two years" in right["evidence"]
    assert (wrong["outcome"], wrong["instead"]) == (
        "contradicted",
        "The drill weighs three kilograms.",
    )
    assert (wrong["document"], wrong["page"]) == ("drill.pdf", 1)
    assert wrong["evidence"].strip() == "The drill weighs three kilograms."
    (unknown,) = call("verify", text="The moon is far away.", question="How far?")["verdicts"]
    assert unknown["outcome"] == "not found"
    assert unknown["document"] is unknown["evidence"] is None


def test_errors_are_one_line(call) -> None:
    unknown = "There is no document {}. Use a name that `search` returns."
    assert call("read", document="guide") == unknown.format("'guide'")
    last = "`line` must be at most `end_line`, and at most 8, the last line. Received: "
    lamp = functools.partial(call, "read", document="guide/lamp.md")
    assert lamp(line=9) == f"{last}line=9, end_line=None."
    assert lamp(line=3, end_line=2) == f"{last}line=3, end_line=2."
    assert lamp(line=0) == "`line` must be from 1 to 2147483647. Received: 0."
    assert call("ask") == "`question` is missing."
    assert call("ask", question=" \n") == (
        "`question` must be more than white space. Received: ' \\n'."
    )
    assert call("ask", question=["a"]) == "`question` must be a string. Received: ['a']."
    assert call("ask", question="a", top_k=21) == "`top_k` must be from 1 to 20. Received: 21."
    assert call("ask", question="a", device="cpu") == (
        "There is no `device`. The keys are `question`, `top_k`."
    )
    assert call("verify", text="a" * 20_001) == (
        "`text` must have at most 20000 characters. Received: 20001 characters."
    )
    assert call("run", code="1") == (
        "There is no tool 'run'. The tools are ask, search, read, verify."
    )


def test_no_file_outside_the_index_is_read(call, folder) -> None:
    outside = str(folder.parent / "outside.txt")
    for name in (outside, "../outside.txt", "guide/../../outside.txt", "link.txt", "keys.pem"):
        assert call("read", document=name).startswith("There is no document ")
    assert call("search", query="password") == {"passages": []}
    assert SECRET not in json.dumps(call("ask", question="What is the password?"))


def test_http_checks_host_origin_token_and_size(folder, tmp_path) -> None:
    (tmp_path / "token").write_text("secret\n")
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    headers = {**accept, "Authorization": "Bearer secret"}
    with serve_http(folder, "--token-file", str(tmp_path / "token")) as url:
        assert send(url, body, **headers)[0] == 200
        assert error_of(url, body, **accept).startswith("401 The token is missing or wrong.")
        assert error_of(url, body, **headers, Host="evil.example").startswith("421 ")
        foreign = {**headers, "Origin": "http://evil.example", "Content-Type": "text/plain"}
        assert error_of(url, body, **foreign).startswith("403 A page of another site")
        assert send(url, b" " * 1_048_577, **headers)[0] == 413
        assert send(url, method="GET", **headers)[0] == 405
        assert send(f"{url}/../secret", body, **headers)[0] == 404


def test_the_docs_configure_clients_and_their_example_prints_what_it_says(
    tmp_path, monkeypatch, capfd
) -> None:
    page = (ROOT / "docs" / "mcp.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(json|py)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    configured = [json.loads(text) for language, text in blocks if language == "json"]
    assert [[*config] for config in configured] == [["mcpServers"], ["servers"]]
    for config in configured:
        ((entry,),) = (servers.values() for servers in config.values())
        options = parser().parse_args(entry["args"])
        assert (entry["command"], options.run) == ("keras-qa", mcp.run)
    (example,) = (text for language, text in blocks if language == "py")
    (tmp_path / "handbook").mkdir()
    (tmp_path / "handbook" / "lamp.txt").write_text("The warranty of the lamp is two years.")
    monkeypatch.chdir(tmp_path)
    # The SDK starts a command with few variables of the environment.
    start = f"command={sys.executable!r}, env={ENVIRONMENT!r}, args={COMMAND[:2]} + "
    exec(example.replace('command="keras-qa", args=', start), {})
    assert capfd.readouterr().out == "two years lamp.txt 1\n"
    assert example.endswith("# two years lamp.txt 1\n")


@pytest.fixture(scope="module")
def qa() -> keras_qa.QuestionAnswerer:
    return keras_qa.load("minilm-squad")


def in_process(qa, open_index, thread) -> Client:
    """A client of a server in this process."""
    service = McpService(qa, open_index, "a folder", Limits(), thread, {}, {})
    return Client(service.server())


def test_several_indexes_are_served_as_one(tmp_path) -> None:
    paths = [str(tmp_path / name) for name in ("a.index", "b.index")]
    for path in paths:
        with Index.create(path, language="en") as index:
            index.add([{"name": pathlib.Path(path).stem, "text": "Rain in May."}])
    target = StdioServerParameters(command=sys.executable, args=[*COMMAND, *paths], env=ENVIRONMENT)
    with contextlib.ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        client = stack.enter_context(portal.wrap_async_context_manager(Client(target)))
        result = portal.call(client.call_tool, "search", {"query": "rain"})
    passages = result.structured_content["passages"]
    assert [passage["document"] for passage in passages] == ["a", "b"]


def test_progress_is_reported_while_a_folder_is_indexed(qa, folder, tmp_path) -> None:
    options = parser().parse_args(["mcp", str(folder), "--index", str(tmp_path / "a.index")])
    assert options.run is mcp.run
    go_on, reports = threading.Event(), []

    @contextlib.contextmanager
    def open_index(progress: Callable[[int, int], None]) -> Iterator[Any]:
        def show(done: int, total: int) -> None:
            progress(done, total)
            assert go_on.wait(60)

        with open_folder(str(folder), options.index, options, progress=show) as index:
            yield index

    async def report(*values: Any) -> None:
        reports.append(values)
        if values[0] == 1:
            go_on.set()

    async def ask() -> Any:
        async with in_process(qa, open_index, thread) as client:
            arguments = {"document": "guide/lamp.md"}
            return await client.call_tool("read", arguments, progress_callback=report)

    with ThreadPoolExecutor(1) as thread:
        result = anyio.run(ask)
    assert result.structured_content["lines"] == 8
    done = [values[0] for values in reports]
    assert done == sorted(set(done))
    assert (1, 6, "Reading the documents") in reports


def test_an_index_that_cannot_be_opened_is_an_error_of_each_call(qa) -> None:
    def open_index(progress: Any) -> Any:
        raise ValueError("The folder\nholds nothing.")

    async def ask() -> list[Any]:
        async with in_process(qa, open_index, thread) as client:
            return [await client.call_tool("search", {"query": "a"}) for _ in range(2)]

    with ThreadPoolExecutor(1) as thread:
        results = anyio.run(ask)
    assert [result.is_error for result in results] == [True, True]
    assert {result.content[0].text for result in results} == {"The folder holds nothing."}


def test_a_long_update_is_an_error_that_asks_to_wait_and_stops_with_the_server(
    qa, folder, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("keras_qa.serving.mcp_server._REPORTS", 1)
    options = parser().parse_args(["mcp", str(folder), "--index", str(tmp_path / "a.index")])
    go_on, errors = threading.Event(), []

    @contextlib.contextmanager
    def open_index(progress: Callable[[int, int], None]) -> Iterator[Any]:
        def show(done: int, total: int) -> None:
            if done == 2:
                assert go_on.wait(60)
            try:
                progress(done, total)
            except InterruptedError as error:
                errors.append((done, str(error)))
                raise

        with open_folder(str(folder), options.index, options, progress=show) as index:
            yield index

    async def ask() -> Any:
        async with in_process(qa, open_index, thread) as client:
            result = await client.call_tool("ask", {"question": "Who?"})
            threading.Timer(0.2, go_on.set).start()
            return result

    with ThreadPoolExecutor(1) as thread:
        result = anyio.run(ask)
    assert result.is_error
    assert result.content[0].text in {
        f"The documents are being indexed: {progress} files are done. Ask again in a minute."
        for progress in ("0 of ?", "1 of 6")
    }
    assert errors == [(2, "The server has stopped.")]


# Arguments that would do something if they were executed or opened.
TRAPS = [
    "__import__('os').system('touch executed')",
    "$(touch executed)",
    "'; touch executed; '",
    "{{ 7 * 7 }}",
    '" OR words MATCH "a',
    "'); DROP TABLE documents; --",
    "../outside.txt",
    "file:///etc/passwd",
    "/etc/passwd",
    "guide/lamp.md",
    "\\\\host\\share",
    "a\x00b",
    "\x1b[31m",
    "\ud800",
    "é" * 3_000,
    "",
    " ",
]
OTHERS = [None, True, -1, 0, 3, 10**30, 1.5, [], {}, ["a"], {"a": 1}, [[[[]]]], 10**400]
NAMES = ("question", "query", "document", "text", "line", "end_line", "top_k", "k", "_meta", "x")
TOOLS = ("ask", "search", "read", "verify", "read", "search", "Read", "")
REQUIRED = {"ask": "question", "search": "query", "read": "document", "verify": "text"}
METHODS = ("tools/list", "ping", "resources/read", "prompts/get", "completion/complete", "x", "")


LINES = [b"{", b"[]", b"\xff\xfe", b'{"jsonrpc": "2.0"}', b"null", b"[" * 9_999]


def make_request(chance: random.Random, number: int) -> dict[str, Any]:
    """A request, mostly of a tool with the right argument and any value."""
    request = {"jsonrpc": "2.0", "id": number}
    if chance.random() < 0.1:
        params = {"uri": f"file://{chance.choice(TRAPS)}", "name": chance.choice(TRAPS)}
        return {**request, "method": chance.choice(METHODS), "params": params}
    names = chance.sample(NAMES, chance.randrange(1, 4))
    tool = chance.choice(TOOLS)
    if chance.random() < 0.7:
        names = [REQUIRED.get(tool, "x"), *names[: chance.randrange(2)]]
    arguments: Any = {name: chance.choice(TRAPS * 2 + OTHERS) for name in names}
    if chance.random() < 0.05:
        arguments = chance.choice(OTHERS)
    return {**request, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


class Server:
    """A process of the command that gets lines as they are."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process
        self.responses: dict[Any, Any] = {}

    def send(self, lines: list[bytes], last: Any, threads: ThreadPoolExecutor) -> None:
        """Sends lines, and reads responses until the one to `last`."""
        written = threads.submit(self.process.stdin.write, b"".join(line + b"\n" for line in lines))
        written.add_done_callback(lambda done: self.process.stdin.flush())
        while last not in self.responses:
            # Each line of standard output is a message of the protocol.
            message = json.loads(self.process.stdout.readline())
            assert message["jsonrpc"] == "2.0"
            self.responses[message.get("id")] = message

    def end(self) -> None:
        self.process.stdin.close()
        assert self.process.wait(60) == 0
        assert self.process.stdout.read() == b""


def test_500_bad_requests_are_answered_and_nothing_is_executed(folder, tmp_path) -> None:
    chance = random.Random(0)
    (folder / "new.txt").write_text("The new lamp is called Aurora.")
    about = {"protocolVersion": "2025-06-18", "capabilities": {}}
    about["clientInfo"] = {"name": "bad", "version": "1"}
    first = {"jsonrpc": "2.0", "id": "first", "method": "initialize", "params": about}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    search = {"name": "search", "arguments": {"query": "Aurora"}}
    last = {"jsonrpc": "2.0", "method": "tools/call", "params": search}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [sys.executable, *COMMAND, str(folder)]
    # The process ends before the threads, which read and write its pipes.
    with (
        ThreadPoolExecutor(2) as threads,
        start(command, env=ENVIRONMENT, cwd=tmp_path, **pipes) as process,
    ):
        server, sent = Server(process), {}
        errors = threads.submit(process.stderr.read)
        server.send([json.dumps(first).encode()], "first", threads)
        server.send([json.dumps(ready).encode()], "first", threads)
        for first_id in range(0, 500, 20):
            requests = {n: make_request(chance, n) for n in range(first_id, first_id + 20)}
            sent |= requests
            rows = [json.dumps(request).encode() for request in requests.values()]
            rows[chance.randrange(20)] += b"\n" + chance.choice(LINES)
            end = f"end {first_id}"
            server.send([*rows, json.dumps({**last, "id": end}).encode()], end, threads)
        server.end()
        stderr = errors.result().decode()
    # The SDK answers no line that is not JSON: half of a surrogate pair is none.
    unanswered = [sent[n] for n in sent.keys() - server.responses.keys()]
    assert all("\\ud800" in json.dumps(request) for request in unanswered)
    assert len(unanswered) < 50
    for response in server.responses.values():
        # -32603 is an internal error.
        assert response.get("error", {}).get("code") != -32603, response
        if response.get("result", {}).get("isError"):
            (content,) = response["result"]["content"]
            assert "\n" not in content["text"]
            assert len(content["text"]) <= 300
            assert "model failed" not in content["text"]
    for end in (f"end {first_id}" for first_id in range(0, 500, 20)):
        (passage,) = server.responses[end]["result"]["structuredContent"]["passages"]
        assert passage["document"] == "new.txt"
    everything = json.dumps([*server.responses.values()]) + stderr
    assert all(word not in everything for word in ("Traceback", SECRET, "root:"))
    assert [*tmp_path.iterdir()] == [*folder.parent.rglob("executed")] == []
