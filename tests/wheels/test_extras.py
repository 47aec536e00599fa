"""The wheel in fresh environments: with each extra, and as `deploy/Dockerfile` installs it."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator

import pytest
from interpreters import start

import keras_qa

ROOT = pathlib.Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
EXPORTED = ROOT / "tests" / "golden" / "exported" / "reader"

TABLE = """
import pyarrow, pyarrow.parquet, keras_qa
row = {"text": ["Mary went home."], "question": ["Where is Mary?"], "answers": [["home"]]}
pyarrow.parquet.write_table(pyarrow.table(row), "a.parquet")
print(keras_qa.datasets.tables.load("a.parquet")[0].answers)
"""
DOCUMENTS = """
import docx, keras_qa
text = "The lamp costs 20 euros."
for name in ("a.md", "a.rst"):
    open(name, "w").write(text)
document = docx.Document()
document.add_paragraph(text)
document.save("a.docx")
import pypdfium2
with keras_qa.documents.Index.create("a.index") as index:
    print(index.update(".").written, sorted(index.names))
"""
PLOT = """
from keras_qa.report.findings import Point
from keras_qa.report.plots import risk_coverage
risk_coverage([Point(0.5, 1, 1.0, 0.0)]).savefig("a.png")
"""
STORY = 'keras-qa answer babi "Mary went to the garden." "Where is Mary?"'

# For each extra a command that needs it, and what the command prints.
CHECKS = {
    "tensorflow": (STORY, "garden"),
    "torch": (STORY, "garden"),
    "jax": (STORY, "garden"),
    "hf": ("python -c 'import huggingface_hub, safetensors'", ""),
    "sentencepiece": ("python -c 'import sentencepiece, google.protobuf'", ""),
    "hub": ("python -c 'import keras_hub, safetensors'", ""),
    "tables": (f"python -c {shlex.quote(TABLE)}", "('home',)"),
    "documents": (f"python -c {shlex.quote(DOCUMENTS)}", "3 ['a.docx', 'a.md', 'a.rst']"),
    "plots": (f"python -c {shlex.quote(PLOT)}", ""),
    "haystack": ("python -c 'import haystack'", ""),
    "langchain": ("python -c 'import langchain_core'", ""),
    "llama-index": ("python -c 'import llama_index.core'", ""),
    "ray": ("python -c 'import keras_qa.integrations.ray, ray.util'", ""),
    "onnx": (f"keras-qa answer {EXPORTED} 'Mary went to the bathroom.' 'Where went Mary?'", "%"),
    "export": ("python -c 'import onnx, onnxruntime'", ""),
    "serve": ("python -c 'import keras_qa.serving'", ""),
    "mcp": ("python -c 'import keras_qa.serving.mcp_server'", ""),
    "completion": ("keras-qa completion bash", "complete"),
    "test": ("python -c 'import hypothesis, pytest'", ""),
    "host-test": ("python -c 'import onnxruntime, pandas'", ""),
    "once-test": ("python -c 'import sklearn, starlette'", ""),
    "full-test": ("python -c 'import ipykernel, nbclient'", ""),
    "hub-test": ("python -c 'import kagglehub, sentencepiece'", ""),
    "docs": ("mkdocs --version", "mkdocs"),
    "lint": ("ruff --version", "ruff"),
}


class Environment:
    """A virtual environment without packages, and commands in it."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
        hidden = ("KERAS_", "PYTHON", "VIRTUAL_ENV")
        self.variables = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        self.variables["PATH"] = os.pathsep.join([str(folder / "env" / "bin"), os.environ["PATH"]])
        self.variables["KERAS_HOME"] = str(folder)

    def run(self, command: str) -> str:
        """Runs a command of bash in an empty folder, and returns what it prints."""
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        options = {"cwd": work, "env": self.variables, "text": True, "capture_output": True}
        done = subprocess.run(["bash", "-c", command], **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def environment(tmp_path) -> Iterator[Environment]:
    yield Environment(tmp_path)
    # pytest keeps folders of earlier runs, and some of these have gigabytes.
    shutil.rmtree(tmp_path / "env")


def test_each_extra_has_a_check() -> None:
    assert CHECKS.keys() == PROJECT["optional-dependencies"].keys()


@pytest.mark.parametrize("extra", CHECKS)
def test_the_wheel_with_an_extra(extra: str, environment, wheel) -> None:
    environment.run(f"pip install --no-compile '{wheel}[{extra}]'")
    assert environment.run("keras-qa --version") == f"keras-qa {keras_qa.__version__}\n"
    command, printed = CHECKS[extra]
    assert printed in environment.run(command)
    environment.run("pip check")


def test_messages_name_a_command_that_adds_an_extra(environment, wheel) -> None:
    environment.run(f"pip install --no-compile '{wheel}'")
    failed = environment.run("keras-qa completion bash 2>&1 || test $? = 2")
    (command,) = re.findall("`(pip install .*)`", failed)
    environment.run(command)
    assert "complete" in environment.run("keras-qa completion bash")


def test_the_dockerfile_installs_and_serves(environment, wheel) -> None:
    (install,) = re.findall("^RUN (pip .*)$", DOCKERFILE, re.MULTILINE)
    environment.run(install.replace("/tmp/", f"{wheel.parent}/"))
    (command,) = re.findall("^CMD (.*)$", DOCKERFILE, re.MULTILINE)
    words = ["0" if word == "8000" else word for word in json.loads(command)]
    path = environment.folder / "env" / "bin" / words[0]
    variables = {**environment.variables, "KERAS_BACKEND": "torch"}
    command = [path, *words[1:]]
    with start(command, stdout=subprocess.PIPE, env=variables, text=True) as server:
        port = re.search(r":(\d+)\. ", server.stdout.readline())[1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60) as response:
            assert response.status == 200
