"""Several installed backends in one process: imports, SQLite."""

import json

import pytest


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_model_does_not_import_another_backend(folder, backend: str) -> None:
    assert json.loads((folder / f"alone-{backend}.json").read_text()) == []


def test_tensorflow_leaves_an_index_as_it_is(folder) -> None:
    # TensorFlow has an SQLite of its own.
    assert json.loads((folder / "alone-tensorflow.json").read_text()) == ["a.txt"]
