"""Encoders: where they are found, and how they start."""

import json

import keras
import pytest
from small_checkpoints import copy

import keras_qa
from keras_qa.layers import TransformerEncoder
from keras_qa.models import span_reader
from keras_qa.models.pretrained import find_checkpoint, hub


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose folder `model` holds a small encoder, named `small`."""
    folder = copy("bert", tmp_path / "small_package" / "model")
    (folder.parent / "__init__.py").write_text("raise RuntimeError('executed')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(hub.PACKAGES, "small", ("small-package", "small_package", "model"))
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_package_is_read_and_not_imported(package) -> None:
    found = find_checkpoint("small")
    assert (found.folder, found.config["_name_or_path"]) == (package, "small")
    ours, folder = keras_qa.load(str(package)), span_reader(backbone="small")
    for one, other in zip(ours.model_.get_weights(), folder.get_weights(), strict=True):
        assert (one == other).all()


def test_a_folder_of_that_name_comes_first(package) -> None:
    here = copy("bert", package.parents[1] / "small")
    config = json.loads((here / "config.json").read_text())
    (here / "config.json").write_text(json.dumps({**config, "note": "here"}))
    assert find_checkpoint("small").config["note"] == "here"


def test_a_package_that_is_not_installed_is_named(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(hub.PACKAGES, "minilm", ("gt-minilm", "none_such", "model"))
    with pytest.raises(
        ImportError, match=r"`gt-minilm`, which is not installed. Install it: `pip install --no-"
    ):
        span_reader(backbone="minilm")


def test_an_encoder_starts_as_bert_does() -> None:
    encoder = TransformerEncoder(30, num_layers=1, num_heads=2, hidden_dim=64)
    encoder.build()
    values = keras.ops.convert_to_numpy(encoder.blocks[0].hidden.kernel)
    # Of a normal distribution of width 0.02, cut at twice that, 0.0176 is the deviation.
    assert abs(values).max() <= 0.04
    assert values.std() == pytest.approx(0.0176, rel=0.02)
