"""Checkpoints from a hub: fetched once, gone on with, refused in one line."""

import pathlib
import re
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
from command_line import error_line
from hub_server import Hub, serving
from small_checkpoints import copy, cross_encoder

import keras_qa
from keras_qa.answering import TextEmbedder
from keras_qa.cli import main
from keras_qa.documents import Index

TEXT, QUESTION = "Mary went to the bathroom.", "Who went?"
CHANGED = ("HF_HUB_OFFLINE", "HF_TOKEN")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    folder = copy("bert", tmp_path_factory.mktemp("hub") / "reader")
    cross_encoder(folder.parent / "ranker")
    return folder


@pytest.fixture
def hub(folder) -> Iterator[Hub]:
    with serving({"mary/reader": folder, "mary/ranker": folder.parent / "ranker"}) as server:
        yield server


def hub_modules() -> dict[str, ModuleType]:
    return {name: sys.modules[name] for name in sys.modules if name.startswith("huggingface_hub")}


@pytest.fixture
def fetch_from(monkeypatch) -> Iterator[Callable[..., None]]:
    """Sets the address of the hub, the folder of the cache and other settings of downloads."""
    before = hub_modules()

    def fetch(address: str, home: pathlib.Path, **settings: str) -> None:
        # `huggingface_hub` reads its settings when it is imported.
        for name in hub_modules():
            del sys.modules[name]
        for name in CHANGED:
            monkeypatch.delenv(name, raising=False)
        settings |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        settings |= {"HF_ENDPOINT": address, "HF_HOME": str(home)}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)

    yield fetch
    for name in hub_modules():
        del sys.modules[name]
    sys.modules.update(before)


def refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        keras_qa.load(f"hf://{name}")
    assert "\n" not in str(raised.value)


def weights_asked(hub: Hub) -> list[str]:
    return [line for line in hub.asked if line.startswith("GET") and "safetensors" in line]


def test_a_checkpoint_is_fetched_once_and_then_needs_no_network(hub, fetch_from, tmp_path) -> None:
    fetch_from(hub.address, tmp_path)
    answer = keras_qa.load("hf://mary/reader").answer(TEXT, QUESTION)
    assert TEXT[answer.start : answer.end] == answer.text
    assert len(weights_asked(hub)) == 1
    assert keras_qa.load("hf://mary/reader@main").answer(TEXT, QUESTION) == answer
    assert len(weights_asked(hub)) == 1
    [ranked] = keras_qa.load("hf://mary/ranker").rank(QUESTION, ["Mary went."])
    assert 0 < ranked.score < 1
    before = len(hub.asked)
    fetch_from(hub.address, tmp_path, HF_HUB_OFFLINE="1")
    assert keras_qa.load("hf://mary/reader").answer(TEXT, QUESTION) == answer
    assert len(hub.asked) == before


def test_the_encoder_of_an_index_is_fetched_where_it_is_told(
    hub, folder, fetch_from, tmp_path, capsys
) -> None:
    fetch_from(hub.address, tmp_path / "home")
    out, name = tmp_path / "a.index", "hf://mary/reader"
    with Index.create(out, encoder=TextEmbedder(folder, name=name)) as index:
        index.add([{"name": "a.txt", "text": "Mary went to the hallway."}])
    # No word of it stands in the text.
    question = ["ask", str(out), "--reader", str(folder), "--question=Who is there?"]
    assert "Pass it by `--embed` to load it." in error_line(capsys, *question, "--no-answer=no")
    assert not hub.asked
    assert main([*question, "--no-answer=no", "--embed", name]) == 0
    assert "a.txt:1" in capsys.readouterr().out
    assert hub.asked


def test_what_cannot_be_fetched_is_one_line(hub, fetch_from, tmp_path) -> None:
    fetch_from(hub.address, tmp_path)
    refused("mary/other", "There is no checkpoint `hf://mary/other`")
    refused("mary/reader@v9", "`mary/reader` has no revision 'v9'.")
    hub.private.add("mary/reader")
    refused("mary/reader", "There is no checkpoint `hf://mary/reader`, or it is private.")
    fetch_from(hub.address, tmp_path, HF_TOKEN="hf_x")
    assert keras_qa.load("hf://mary/reader").answer(TEXT, QUESTION).text in TEXT
    fetch_from(hub.address, tmp_path / "empty", HF_HUB_OFFLINE="1")
    refused("mary/reader", "`hf://mary/reader` cannot be downloaded")


def test_without_a_server_only_the_cache_is_read_at_once(
    hub, fetch_from, tmp_path, monkeypatch
) -> None:
    slept = []
    # `huggingface_hub` waits between its tries.
    monkeypatch.setattr(time, "sleep", slept.append)
    fetch_from("http://127.0.0.1:9", tmp_path)
    refused("mary/reader", "`hf://mary/reader` cannot be downloaded: the Hub cannot be reached")
    fetch_from(hub.address, tmp_path)
    answer = keras_qa.load("hf://mary/reader").answer(TEXT, QUESTION)
    fetch_from("http://127.0.0.1:9", tmp_path)
    assert keras_qa.load("hf://mary/reader").answer(TEXT, QUESTION) == answer
    assert not slept
