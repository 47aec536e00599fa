"""`span_reader`, from scratch and on a backbone: shapes, masks, training, saving."""

import keras
import numpy as np
import pytest
from small_backbones import MARKED, TOKENIZER, backbone_reader
from small_models import reader, same_weights, untraced, words_to_find

from keras_qa.engine.graph import model_inputs
from keras_qa.models.reader import SpanReader

KINDS = {"scratch": reader, "backbone": backbone_reader}


@pytest.fixture(scope="module")
def readers() -> dict[str, SpanReader]:
    keras.utils.set_random_seed(0)
    return {kind: make() for kind, make in KINDS.items()}


def feed(model: SpanReader) -> tuple[dict, dict]:
    if model.preprocessor is None:
        return words_to_find()
    windows = model.preprocessor.vectorizer(MARKED, labels=True)
    return windows.feed, {"start": windows.spans[..., 0], "end": windows.spans[..., 1]}


def test_reader_has_a_position_more_than_words(readers) -> None:
    scratch = readers["scratch"]
    assert [tensor.name for tensor in scratch.inputs] == ["text", "question"]
    assert [item.vocabulary_size for item in model_inputs(scratch)] == [20, 20]
    assert all(item.ignores_padding for item in model_inputs(scratch))
    x, _ = feed(scratch)
    wider = {name: np.pad(ids, [(0, 0), (0, 3)]) for name, ids in x.items()}
    narrow, wide = (scratch.predict(part, verbose=0) for part in (x, wider))
    for name in ("start", "end"):
        assert narrow[name].shape == (6, 11)
        np.testing.assert_allclose(wide[name][:, :11], narrow[name], atol=1e-5)
        np.testing.assert_array_equal(wide[name][:, 11:], np.float32(-1e9))


@pytest.mark.parametrize("kind", KINDS)
def test_fitted_saved_and_loaded_reads_the_same(readers, kind: str, tmp_path) -> None:
    model = readers[kind]
    x, y = feed(model)
    before = model.get_weights()
    with untraced(model):
        model.fit(x, y, verbose=0)
    assert not same_weights(model, before)
    model.save(tmp_path / "reader.keras")
    loaded = keras.saving.load_model(tmp_path / "reader.keras")
    assert isinstance(loaded, SpanReader)
    expected, found = (one.predict(x, verbose=0) for one in (model, loaded))
    for name, logits in expected.items():
        np.testing.assert_allclose(found[name], logits, atol=1e-6)
    if kind == "backbone":
        assert (
            loaded.preprocessor.vectorizer.get_config()
            == model.preprocessor.vectorizer.get_config()
        )
        # What the vectors do not need is not trained, and stays so.
        for one in (model, loaded):
            names = [weight.path for weight in one.trainable_weights]
            assert names
            assert not any("pooled" in name for name in names)


def test_backbone_reads_text_and_not_question(readers) -> None:
    model = readers["backbone"]
    # No window is longer than the backbone can read.
    assert model.preprocessor.vectorizer.max_length == 64
    assert [tensor.name for tensor in model.inputs] == ["token_ids", "segment_ids", "padding_mask"]
    sizes = [item.vocabulary_size for item in model_inputs(model)]
    assert sizes == [TOKENIZER.vocabulary_size, 2, 2]
    windows = model.preprocessor.vectorizer(MARKED)
    logits = model.predict(windows.feed, verbose=0)
    # Where there is a piece of the text there is a logit, and at position 0.
    there = windows.offsets[..., 0] >= 0
    there[:, 0] = True
    for name in ("start", "end"):
        np.testing.assert_array_equal(logits[name] > -1e8, there)
    assert windows.feed["token_ids"].shape[1] == there.shape[1]


def test_backbone_does_not_see_padding_nor_which_input_it_was_cut_from(readers) -> None:
    model = readers["backbone"]
    windows = model.preprocessor.vectorizer(MARKED)
    expected = model.predict(windows.feed, verbose=0)["start"]
    alone = model.preprocessor.vectorizer(MARKED[2:])
    width = alone.feed["token_ids"].shape[1]
    single = model.predict(alone.feed, verbose=0)["start"][0, :width]
    np.testing.assert_allclose(single, expected[2, :width], atol=1e-5)
    # Zeros at the end of segments may be cut off where others go on.
    blank = {**windows.feed, "segment_ids": np.zeros_like(windows.feed["segment_ids"])}
    short = {**blank, "segment_ids": np.zeros((3, 1), "int32")}
    np.testing.assert_allclose(
        model.predict(short, verbose=0)["end"], model.predict(blank, verbose=0)["end"], atol=1e-6
    )
