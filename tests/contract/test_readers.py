"""`span_reader`, from scratch and on a backbone: shapes, masks, training, saving, bad use."""

import json
import sys

import keras
import keras_hub
import numpy as np
import pytest
from small_backbones import TOKENIZER, bert
from small_tokenizers import wordpiece

import keras_qa
from keras_qa import Example
from keras_qa.execution.graph import model_inputs
from keras_qa.models import SpanReader, span_reader
from keras_qa.text import Windower

TEXT = "Mary went to the bathroom, then she slept at home."
EXAMPLES = [
    Example(TEXT, "Where did she sleep?", "home", 45),
    Example(TEXT, "Who went?", "Mary", 0),
    Example("She slept.", "Who slept?", ["She"], [0]),
]


@pytest.fixture(scope="module")
def scratch() -> SpanReader:
    keras.utils.set_random_seed(0)
    return span_reader(20, units=4, embedding_dim=6, optimizer=keras.optimizers.Adam(0.03))


@pytest.fixture(scope="module")
def reader() -> SpanReader:
    keras.utils.set_random_seed(0)
    optimizer = keras.optimizers.Adam(0.01)
    return span_reader(backbone=bert(), tokenizer=TOKENIZER, optimizer=optimizer)


def feed(rows: int = 6) -> tuple[dict, dict]:
    """Random words, and of each text the word that the question names."""
    rng = np.random.default_rng(0)
    text = rng.permuted(np.tile(np.arange(2, 12), (rows, 1)), axis=1)
    place = rng.integers(0, 10, rows)
    question = text[np.arange(rows), place][:, None]
    labels = {"start": place + 1, "end": place + 1}
    return {"text": text, "question": question}, labels


def test_reader_has_a_position_more_than_words(scratch: SpanReader) -> None:
    assert [tensor.name for tensor in scratch.inputs] == ["text", "question"]
    assert [item.vocabulary_size for item in model_inputs(scratch)] == [20, 20]
    assert all(item.ignores_padding for item in model_inputs(scratch))
    x, _ = feed()
    wider = {name: np.pad(ids, [(0, 0), (0, 3)]) for name, ids in x.items()}
    narrow, wide = (scratch.predict(part, verbose=0) for part in (x, wider))
    for name in ("start", "end"):
        assert narrow[name].shape == (6, 11)
        np.testing.assert_allclose(wide[name][:, :11], narrow[name], atol=1e-5)
        np.testing.assert_array_equal(wide[name][:, 11:], np.float32(-1e9))


def test_reader_learns_to_find_what_is_asked_for() -> None:
    keras.utils.set_random_seed(0)
    model = span_reader(20, units=4, embedding_dim=6, optimizer=keras.optimizers.Adam(0.03))
    x, y = feed(64)
    model.fit(x, y, batch_size=16, epochs=12, verbose=0)
    scores = model.evaluate(x, y, verbose=0, return_dict=True)
    assert scores["exact_match"] == scores["f1"] == 1.0
    logits = model.predict(x, verbose=0)
    np.testing.assert_array_equal(logits["start"].argmax(axis=1), y["start"])
    half = [scores["start_loss"], scores["end_loss"]]
    assert scores["loss"] == pytest.approx(np.mean(half), abs=1e-5)


def test_word_vectors_are_taken_and_stay() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 5)).astype("float32")
    x, y = feed()
    for trained in (False, True):
        options = {"word_vectors": vectors, "trainable_vectors": trained}
        model = span_reader(20, units=2, **options)
        words = model.get_layer("words")
        np.testing.assert_array_equal(words.get_weights()[0], vectors)
        model.train_on_batch(x, y)
        assert np.array_equal(words.get_weights()[0], vectors) is not trained
        twin = SpanReader.from_config(model.get_config())
        assert len(twin.trainable_weights) == len(model.trainable_weights)


@pytest.mark.parametrize("kind", ["scratch", "reader"])
def test_saved_and_loaded_reads_the_same(kind: str, request, tmp_path) -> None:
    model = request.getfixturevalue(kind)
    x, y = feed()
    if kind == "reader":
        windows = model.task.vectorizer(EXAMPLES, labels=True)
        x, y = windows.feed, {"start": windows.spans[:, 0, 0], "end": windows.spans[:, 0, 1]}
    model.train_on_batch(x, y)
    model.save(tmp_path / "reader.keras")
    loaded = keras.saving.load_model(tmp_path / "reader.keras")
    assert isinstance(loaded, SpanReader)
    for name, logits in model.predict(x, verbose=0).items():
        np.testing.assert_allclose(loaded.predict(x, verbose=0)[name], logits, atol=1e-6)
    if kind == "reader":
        assert loaded.task.vectorizer.get_config() == model.task.vectorizer.get_config()
        # What the vectors do not need is not trained, and stays so.
        for one in (model, loaded):
            names = [weight.path for weight in one.trainable_weights]
            assert names
            assert not any("pooled" in name for name in names)


def test_backbone_reads_text_and_not_question(reader: SpanReader) -> None:
    assert [tensor.name for tensor in reader.inputs] == ["token_ids", "segment_ids", "padding_mask"]
    sizes = [item.vocabulary_size for item in model_inputs(reader)]
    assert sizes == [TOKENIZER.vocabulary_size, 2, 2]
    windows = reader.task.vectorizer(EXAMPLES, labels=True)
    logits = reader.predict(windows.feed, verbose=0)
    # Where there is a piece of the text there is a logit, and at position 0.
    there = windows.offsets[..., 0] >= 0
    there[:, 0] = True
    for name in ("start", "end"):
        np.testing.assert_array_equal(logits[name] > -1e8, there)
    assert windows.feed["token_ids"].shape[1] == there.shape[1]


def test_backbone_does_not_see_padding_nor_which_input_it_was_cut_from(reader) -> None:
    windows = reader.task.vectorizer(EXAMPLES)
    expected = reader.predict(windows.feed, verbose=0)["start"]
    alone = reader.task.vectorizer(EXAMPLES[2:])
    width = alone.feed["token_ids"].shape[1]
    single = reader.predict(alone.feed, verbose=0)["start"][0, :width]
    np.testing.assert_allclose(single, expected[2, :width], atol=1e-5)
    # Zeros at the end of segments may be cut off where others go on.
    blank = {**windows.feed, "segment_ids": np.zeros_like(windows.feed["segment_ids"])}
    short = {**blank, "segment_ids": np.zeros((3, 1), "int32")}
    np.testing.assert_allclose(
        reader.predict(short, verbose=0)["end"], reader.predict(blank, verbose=0)["end"], atol=1e-6
    )


def test_backbone_learns(reader: SpanReader) -> None:
    windows = reader.task.vectorizer(EXAMPLES, labels=True)
    labels = {"start": windows.spans[..., 0], "end": windows.spans[..., 1]}
    history = reader.fit(windows.feed, labels, epochs=25, verbose=0).history
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    assert reader.evaluate(windows.feed, labels, verbose=0, return_dict=True)["exact_match"] == 1.0


def test_without_a_tokenizer_only_padding_is_masked() -> None:
    model = span_reader(backbone=bert())
    assert model.task is None
    windows = Windower(TOKENIZER)(EXAMPLES)
    logits = model.predict(windows.feed, verbose=0)
    np.testing.assert_array_equal(logits["start"] > -1e8, windows.feed["padding_mask"] == 1)


def test_backbone_is_read_from_a_folder(tmp_path) -> None:
    backbone = bert()
    backbone.save_to_preset(str(tmp_path))
    wordpiece().save(str(tmp_path / "tokenizer.json"))
    model = span_reader(backbone=tmp_path, dtype="mixed_bfloat16")
    inner = model.get_layer("backbone").backbone
    assert inner.dtype_policy.name == "mixed_bfloat16"
    for one, other in zip(inner.get_weights(), backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.task.vectorizer.tokenizer.to_json() == TOKENIZER.to_json()
    # No window is longer than the backbone can read.
    assert model.task.vectorizer.length == 64


def test_half_precision_gives_float32_logits() -> None:
    model = span_reader(20, units=4, embedding_dim=6, dtype="mixed_bfloat16")
    x, y = feed()
    assert model.predict(x, verbose=0)["start"].dtype == "float32"
    assert np.isfinite(model.train_on_batch(x, y)).all()


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda path: span_reader(20, word_vectors=np.zeros((19, 5))),
            r"row for each of the 20 ids.*shape \(19, 5\)",
        ),
        (lambda path: span_reader(backbone=3), "`backbone` must be a `keras_hub.*Received: 3"),
        (
            lambda path: span_reader(backbone="no/such/folder"),
            "`backbone` cannot be loaded: .*backbone='no/such/folder'",
        ),
        (
            lambda path: span_reader(backbone=keras.Sequential([keras.Input((3,))])),
            "encodes one sequence.*Received a Sequential with no inputs by name",
        ),
        (
            lambda path: span_reader(
                backbone=keras_hub.models.BartBackbone(20, 1, 2, 8, 8, max_sequence_length=8)
            ),
            "Received a BartBackbone with `encoder_token_ids`",
        ),
        (
            lambda path: span_reader(backbone=bert(vocabulary_size=9), tokenizer=TOKENIZER),
            f"`tokenizer` has {TOKENIZER.vocabulary_size} ids, but `backbone` knows 9",
        ),
        (
            lambda path: span_reader(backbone=bert(), tokenizer=path),
            "must be a `tokenizer.json` or a folder",
        ),
        (
            lambda path: SpanReader([keras.Input((3,))], keras.Input((3,))),
            "`outputs` must be a dict of `start` and `end`",
        ),
    ],
)
def test_bad_use_is_named(use, message: str, tmp_path) -> None:
    with pytest.raises((TypeError, ValueError, OSError), match=message):
        use(tmp_path)


def test_backbone_of_an_unknown_kind_is_one_line(tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "telepathy"}))
    with pytest.raises(ValueError, match="`backbone` cannot be loaded: .*telepathy") as caught:
        span_reader(backbone=tmp_path)
    assert "\n" not in str(caught.value)


def test_what_a_backbone_lacks_is_named(tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(ValueError, match="cannot be loaded: KerasHub finds no 'image_size' in it"):
        span_reader(backbone=tmp_path)


def test_without_kerashub_one_line_says_what_to_install(reader, tmp_path, monkeypatch) -> None:
    reader.save(tmp_path / "reader.keras")
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    message = r'needs KerasHub.*pip install "keras-qa\[hub\]"'
    with pytest.raises(ImportError, match=message):
        span_reader(backbone="bert_tiny_en_uncased")
    with pytest.raises(ImportError, match=message):
        keras_qa.load(tmp_path / "reader.keras")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"start": [1, 2]}, "Labels are missing for `end`"),
        ({"start": [1, 11], "end": [1, 2]}, r"hold 11 at \[1\], but there are 11 positions"),
        ({"start": [1, -1], "end": [1, 2]}, r"hold -1 at \[1\], but .* start at 0"),
        ({"start": [1, 0.5], "end": [1, 2]}, "whole numbers"),
        ({"start": [[[1]], [[2]]], "end": [1, 2]}, r"shape \(2, 1, 1\)"),
        (
            {"start": [[1, -1], [-1, 2]], "end": [[1, -1], [1, 2]]},
            r"hold -1 at \[1, 0\], but the first",
        ),
    ],
)
def test_bad_labels_are_named_and_change_nothing(scratch, labels, message: str) -> None:
    before = scratch.get_weights()
    x = {name: ids[:2] for name, ids in feed()[0].items()}
    with pytest.raises((TypeError, ValueError), match=message):
        scratch.fit(x, {name: np.array(value) for name, value in labels.items()}, verbose=0)
    for one, other in zip(before, scratch.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
