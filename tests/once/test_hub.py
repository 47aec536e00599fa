"""Checkpoints from a hub: fetched once, gone on with, refused in one line."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from hub_server import Hub, serving
from interpreters import python
from small_checkpoints import copy

LOAD = """
import keras_qa
try:
    qa = keras_qa.load("hf://{name}")
except Exception as error:
    print(f"{{type(error).__name__}}: {{error}}")
else:
    print(qa.answer("Mary went to the bathroom.", "Who went?").text)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    return copy("bert", tmp_path_factory.mktemp("hub") / "reader")


@pytest.fixture
def hub(folder) -> Iterator[Hub]:
    with serving({"mary/reader": folder}) as server:
        yield server


def load(name: str, home: pathlib.Path, address: str, **environment: str) -> str:
    """What a new process prints that loads a checkpoint and asks it."""
    done = python(
        LOAD.format(name=name),
        KERAS_BACKEND="jax",
        HF_HOME=str(home),
        HF_ENDPOINT=address,
        HF_HUB_DISABLE_XET="1",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
        **environment,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 1, done.stdout
    return lines[0]


def weights_asked(hub: Hub) -> list[str]:
    return [line for line in hub.asked if line.startswith("GET") and "safetensors" in line]


def test_a_checkpoint_is_fetched_once_and_then_needs_no_network(hub, tmp_path) -> None:
    said = load("mary/reader", tmp_path, hub.address)
    assert said in "Mary went to the bathroom."
    assert len(weights_asked(hub)) == 1
    assert load("mary/reader@main", tmp_path, hub.address) == said
    assert len(weights_asked(hub)) == 1
    before = len(hub.asked)
    assert load("mary/reader", tmp_path, hub.address, HF_HUB_OFFLINE="1") == said
    assert len(hub.asked) == before


def test_a_redirect_and_a_broken_connection_lead_to_the_same(hub, tmp_path) -> None:
    said = load("mary/reader", tmp_path / "plain", hub.address)
    hub.moved = True
    assert load("mary/reader", tmp_path / "moved", hub.address) == said
    hub.moved, hub.breaks_after = False, 20_000
    assert load("mary/reader", tmp_path / "broken", hub.address) == said
    assert hub.breaks_after is None


def test_what_cannot_be_fetched_is_one_line(hub, tmp_path) -> None:
    assert "There is no checkpoint `hf://mary/other`" in load("mary/other", tmp_path, hub.address)
    said = load("mary/reader@v9", tmp_path, hub.address)
    assert said == "ValueError: `mary/reader` has no revision 'v9'."
    hub.private.add("mary/reader")
    said = load("mary/reader", tmp_path, hub.address)
    assert "There is no checkpoint `hf://mary/reader`, or it is private." in said
    assert (
        load("mary/reader", tmp_path, hub.address, HF_TOKEN="hf_x") in "Mary went to the bathroom."
    )
    said = load("mary/reader", tmp_path / "empty", "http://127.0.0.1:9")
    assert said.startswith("ValueError: `hf://mary/reader` cannot be fetched")
    said = load("mary/reader", tmp_path / "empty", hub.address, HF_HUB_OFFLINE="1")
    assert said.startswith("ValueError: `hf://mary/reader` cannot be fetched")
