"""Checkpoints from a hub: fetched once, gone on with, refused in one line."""

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Self

import pytest
from hub_server import Hub, serving
from small_checkpoints import copy, cross_encoder

from keras_qa.answering import TextEmbedder
from keras_qa.documents import Index

# Each line names what to load.
LOAD = """
import sys, keras_qa
for name in sys.stdin:
    try:
        qa = keras_qa.load(name.strip())
    except Exception as error:
        print(f"{type(error).__name__}: {error}", flush=True)
    else:
        if isinstance(qa, keras_qa.answering.Reranker):
            print(qa.rank("Who went?", ["Mary went."])[0].score, flush=True)
        else:
            print(qa.answer("Mary went to the bathroom.", "Who went?").text, flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    folder = copy("bert", tmp_path_factory.mktemp("hub") / "reader")
    cross_encoder(folder.parent / "ranker")
    return folder


@pytest.fixture
def hub(folder) -> Iterator[Hub]:
    with serving({"mary/reader": folder, "mary/ranker": folder.parent / "ranker"}) as server:
        yield server


def environment(home: pathlib.Path, address: str) -> dict[str, str]:
    return {
        **os.environ,
        "HF_HOME": str(home),
        "HF_ENDPOINT": address,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


class Loading:
    """A process that loads checkpoints and asks them: `huggingface_hub` reads its settings once."""

    def __init__(self, home: pathlib.Path, address: str, **settings: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LOAD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(home, address) | settings,
        )

    def __call__(self, name: str) -> str:
        """What it says of a checkpoint, in one line."""
        self.begin(name)
        return self.said()

    def begin(self, name: str) -> None:
        self.process.stdin.write(f"hf://{name}\n")
        self.process.stdin.flush()

    def said(self) -> str:
        return self.process.stdout.readline().rstrip("\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        rest, _ = self.process.communicate()
        assert (rest, self.process.returncode) == ("", 0)


@pytest.fixture(scope="module", autouse=True)
def without_server(tmp_path_factory) -> Iterator[Loading]:
    """Begins before the other tests: `huggingface_hub` tries again for half a minute."""
    with Loading(tmp_path_factory.mktemp("none"), "http://127.0.0.1:9") as load:
        load.begin("mary/reader")
        yield load


def weights_asked(hub: Hub) -> list[str]:
    return [line for line in hub.asked if line.startswith("GET") and "safetensors" in line]


def test_a_checkpoint_is_fetched_once_and_then_needs_no_network(hub, tmp_path) -> None:
    with Loading(tmp_path, hub.address) as load:
        said = load("mary/reader")
        assert said in "Mary went to the bathroom."
        assert len(weights_asked(hub)) == 1
        assert load("mary/reader@main") == said
        assert len(weights_asked(hub)) == 1
        assert 0 < float(load("mary/ranker")) < 1
    before = len(hub.asked)
    with Loading(tmp_path, hub.address, HF_HUB_OFFLINE="1") as load:
        assert load("mary/reader") == said
    assert len(hub.asked) == before


def test_the_encoder_of_an_index_is_fetched_where_it_is_told(hub, folder, tmp_path) -> None:
    out, name = tmp_path / "a.index", "hf://mary/reader"
    with Index.create(out, encoder=TextEmbedder(folder, name=name)) as index:
        index.add([{"name": "a.txt", "text": "Mary went to the hallway."}])
    # No word of it stands in the text.
    question = ["ask", str(out), "--reader", str(folder), "--question=Who is there?"]
    code = "import sys; from keras_qa.cli import main; sys.exit(main())"
    for told in ([], ["--embed", name]):
        done = subprocess.run(
            [sys.executable, "-c", code, *question, "--no-answer=no", *told],
            env=environment(tmp_path / "home", hub.address),
            capture_output=True,
            text=True,
        )
        assert done.returncode == (0 if told else 2)
        assert ("Pass it by `--embed` to load it." in done.stderr) == (not told)
        assert bool(hub.asked) == ("a.txt:1" in done.stdout) == bool(told)


def test_what_cannot_be_fetched_is_one_line(hub, tmp_path) -> None:
    with Loading(tmp_path, hub.address) as load:
        assert "There is no checkpoint `hf://mary/other`" in load("mary/other")
        assert load("mary/reader@v9") == "ValueError: `mary/reader` has no revision 'v9'."
        hub.private.add("mary/reader")
        said = load("mary/reader")
        assert "There is no checkpoint `hf://mary/reader`, or it is private." in said
    with Loading(tmp_path, hub.address, HF_TOKEN="hf_x") as load:
        assert load("mary/reader") in "Mary went to the bathroom."
    with Loading(tmp_path / "empty", hub.address, HF_HUB_OFFLINE="1") as load:
        assert load("mary/reader").startswith("ValueError: `hf://mary/reader` cannot be downloaded")


def test_without_a_server_it_is_one_line_too(without_server) -> None:
    assert without_server.said().startswith("ValueError: `hf://mary/reader` cannot be downloaded")
