"""The examples in docstrings print what they say."""

import doctest
import importlib
import pathlib

import pytest

import keras_qa

ROOT = pathlib.Path(keras_qa.__file__).parents[1]
# Packages with a `tox` environment of their own.
ELSEWHERE = ("haystack", "langchain", "llama_index")
MODULES = [
    path.relative_to(ROOT).as_posix()
    for path in sorted((ROOT / "keras_qa").rglob("*.py"))
    if ">>> " in path.read_text("utf-8") and path.stem not in ELSEWHERE
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_print_what_they_say(module: str, capsys) -> None:
    name = module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    done = doctest.testmod(importlib.import_module(name))
    assert done.attempted
    assert not done.failed, capsys.readouterr().out
