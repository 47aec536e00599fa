"""`keras-qa serve`: the steps of the files in `deploy/`, SIGTERM, options and errors."""

import argparse
import json
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import tomllib
from typing import Any

import pytest
from command_line import error_line
from interpreters import HELPERS_OF_KERAS, HIDE, start
from servers import error_of, send
from small_checkpoints import cross_encoder

import keras_qa
from keras_qa.cli import parser, serve
from keras_qa.documents import Index
from keras_qa.preprocessing.ask_calibration import AskCalibration
from keras_qa.preprocessing.confidence import default_confidence

ROOT = pathlib.Path(__file__).parents[2]
GOOD = {"inputs": {"question": "What colour is the car?", "context": "the car is blue."}}


def docker_steps() -> dict[str, list[str]]:
    """The commands of the Dockerfile by their instruction: the last one of each."""
    lines = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    steps = {line.partition(" ")[0]: line.partition(" ")[2] for line in lines if line}
    pip = next(line for line in lines if line.startswith("RUN pip"))
    return {"pip": shlex.split(pip)[1:], "CMD": json.loads(steps["CMD"])}


def unit_start() -> list[str]:
    """The command of the systemd unit."""
    unit = (ROOT / "deploy" / "keras-qa.service").read_text(encoding="utf-8")
    return shlex.split(re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)[1])


def start_server(code: str, *arguments: str, **options: Any):
    """Starts a process whose output the test reads."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", code, *arguments]
    return start(command, env=environment, text=True, **pipes, **options)


def test_the_deployment_installs_extras_that_exist_and_runs_valid_commands() -> None:
    (package,) = [word for word in docker_steps()["pip"] if ".whl" in word]
    extras = set(re.fullmatch(r"\$\(echo /tmp/keras_qa-\*\.whl\)\[(.*)\]", package)[1].split(","))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extras == {"torch", "serve"} <= project["optional-dependencies"].keys()
    wheel = f"dist/keras_qa-{keras_qa.__version__}-py3-none-any.whl[torch,serve]"
    assert wheel in (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    for command, host in ((docker_steps()["CMD"], "0.0.0.0"), (unit_start(), "127.0.0.1")):
        assert pathlib.Path(command[0]).name == "keras-qa"
        options = parser().parse_args(command[1:])
        assert (options.run, options.host, options.port) == (serve.run, host, 8000)


def test_the_unit_serves_until_sigterm_and_answers_what_it_has_accepted(qa, tmp_path) -> None:
    qa.save(tmp_path / "small.keras")
    with Index.create(tmp_path / "all.index") as index:
        index.add([{"name": "car.txt", "text": "the car is blue."}])
    with Index.create(tmp_path / "more.index") as index:
        index.add([{"name": "bus.txt", "text": "the bus is red."}])
    command = unit_start()[1:]
    command[command.index("minilm-squad")] = "small.keras"
    command[command.index("8000")] = "0"
    cross_encoder(tmp_path / "cross")
    (tmp_path / "token").write_text("secret\n")
    code = HIDE.format(hidden=HELPERS_OF_KERAS) + "from keras_qa.cli import command; command()"
    command += ["--index", "more.index", "--index", "all.index", "--token-file", "token"]
    command += ["--max-questions", "3", "--ranker", "cross", "--checker", "none"]
    command += ["--embed", "cross"]
    with start_server(code, *command, cwd=tmp_path) as started:
        line = started.stdout.readline()
        url = re.fullmatch(r"Serving small.keras at (http://\S+)\. Ctrl-C ends it\.\n", line)[1]
        headers = {"Authorization": "Bearer secret"}
        assert send(f"{url}/models/small", GOOD, **headers)[1]["answer"] == "blue"
        asked = {"question": "What colour is the car?"}
        assert send(f"{url}/ask", asked, **headers)[1]["document"] == "car.txt"
        claim = {"inputs": {"answer": "The car is blue."}}
        assert send(f"{url}/verify", claim, **headers)[1][0]["document"] == "car.txt"
        assert len(send(f"{url}/embed", {"inputs": "car"}, **headers)[1]) == 1
        assert send(f"{url}/info", **headers)[1]["max_questions"] == 3
        assert error_of(f"{url}/info").startswith("401 ")
        assert error_of(f"{url}/health", Host="evil.example").startswith("421 ")
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            body = json.dumps(GOOD).encode()
            head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            head += "Expect: 100-continue\r\nAuthorization: Bearer secret\r\n\r\n"
            connection.sendall(head.encode())
            # The server waits for the body.
            assert connection.recv(100).startswith(b"HTTP/1.1 100")
            started.send_signal(signal.SIGTERM)
            connection.sendall(body)
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert b'"answer":"blue"' in answer
        assert started.wait(30) == 0
        log = started.stderr.read()
    assert "colour" not in log
    assert [re.sub(r"^.* INFO |\d+\.\d ms", "", row) for row in log.splitlines()] == [
        "POST /models/{id:path} 200 ",
        "POST /ask 200 ",
        "POST /verify 200 ",
        "POST /embed 200 ",
        "GET /info 200 ",
        "GET /info 401 ",
        "GET /health 421 ",
        "POST / 200 ",
    ]


EXPORTED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
from keras_qa.cli import main
code = main(sys.argv[1:])
print(*sorted({"keras", "torch", "tensorflow", "jax"} & {*sys.modules}), sep=",")
sys.exit(code)
"""


def test_an_exported_reader_is_served_without_keras_and_with_few_files_until_ctrl_c() -> None:
    reader = ROOT / "tests" / "golden" / "exported" / "reader"
    text, question = "then she slept. Mary went to the bathroom.", "Where went Mary?"
    with start_server(EXPORTED, "serve", str(reader), "--port", "0") as started:
        url = re.search(r" at (http://\S+)\. ", started.stdout.readline())[1]
        host, port = url.removeprefix("http://").split(":")
        # More than the process has file descriptors, most without a request.
        idle = [socket.create_connection((host, int(port)), timeout=30) for _ in range(450)]
        for connection in idle:
            connection.close()
        # Until the server has seen that they are closed, it answers 503, which it does not log.
        for _ in range(100):
            status, found, _ = send(url, {"inputs": {"question": question, "context": text}})
            if status == 200:
                break
            time.sleep(0.1)
        started.send_signal(signal.SIGINT)
        assert started.wait(30) == 0
        assert started.stdout.read() == "\n"
        log = started.stderr.read()
    assert re.fullmatch(r"\S+ \S+ INFO POST / 200 \S+ ms\n", log), log[:300]
    expected = keras_qa.load(reader).answer(text, question)
    assert found["answer"] == expected.text
    assert found["score"] == pytest.approx(expected.score, abs=1e-6)


@pytest.mark.parametrize(
    ("reader", "name"),
    [
        ("hf://deepset/tinyroberta-squad2@main", "deepset/tinyroberta-squad2"),
        ("models/qa.keras", "qa"),
        ("minilm-squad", "minilm-squad"),
        ("folder.v2/", "folder.v2"),
    ],
)
def test_names_of_readers(reader: str, name: str) -> None:
    assert serve.model_name(reader) == name


def test_documents_are_served_without_the_default_ranker(qa, monkeypatch, tmp_path) -> None:
    calibration = AskCalibration(default_confidence(True), True, default_ranker=True)
    monkeypatch.setattr(qa.model_.preprocessor, "asking", calibration)
    qa.save(tmp_path / "small.keras")
    for name, ranker in ((None, "minilm-rerank"), ("none", None)):
        options = argparse.Namespace(
            reader=str(tmp_path / "small.keras"), ranker=name, embed=None, verify=False
        )
        models = serve._load_models(options)
        assert (models["qa"].ranker_, models["ranker"]) == (ranker, None)


def test_errors_are_one_line(qa, tmp_path, capsys) -> None:
    assert "must be from 0 to 65535" in error_line(capsys, "serve", "a", "--port", "65536")
    assert "No such file" in error_line(capsys, "serve", "babi", "--token-file", tmp_path / "none")
    qa.save(tmp_path / "small.keras")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = error_line(capsys, "serve", tmp_path / "small.keras", "--port", port)
    assert error == (
        f"keras-qa: error: The server cannot listen at port {port} of 127.0.0.1: Address already "
        "in use. Choose another port, or 0 for a free one.\n"
    )
    for option, name in (("--ranker", "cross"), ("--embed", "minilm")):
        folder = cross_encoder(tmp_path / "cross") if name == "cross" else "minilm-embed"
        line = error_line(capsys, "serve", folder, option, name if name == "minilm" else folder)
        assert f"is served for the same routes as {option}. Leave {option} out, or name" in line
    line = error_line(capsys, "serve", tmp_path / "small.keras", "--max-queue", 5)
    assert "`max_questions` must be at most `max_queue`" in line
