"""`span_reader`: backbones and word vectors, training to the end, bad use."""

import sys

import keras
import keras_hub
import numpy as np
import pytest
from small_backbones import MARKED, TOKENIZER, backbone_reader, bert
from small_models import reader, words_to_find

import keras_qa
from keras_qa.models import span_reader
from keras_qa.models.reader import SpanReader
from keras_qa.text import Windower


def test_reader_learns_to_find_what_is_asked_for() -> None:
    model = reader()
    x, y = words_to_find(64)
    model.fit(x, y, batch_size=16, epochs=12, verbose=0)
    scores = model.evaluate(x, y, verbose=0, return_dict=True)
    assert scores["exact_match"] == scores["f1"] == 1.0
    logits = model.predict(x, verbose=0)
    np.testing.assert_array_equal(logits["start"].argmax(axis=1), y["start"])
    half = [scores["start_loss"], scores["end_loss"]]
    assert scores["loss"] == pytest.approx(np.mean(half), abs=1e-5)


def test_word_vectors_are_taken_and_stay() -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 5)).astype("float32")
    x, y = words_to_find()
    for trained in (False, True):
        options = {"word_vectors": vectors, "trainable_vectors": trained}
        model = span_reader(20, units=2, **options)
        words = model.get_layer("words")
        np.testing.assert_array_equal(words.get_weights()[0], vectors)
        model.train_on_batch(x, y)
        assert np.array_equal(words.get_weights()[0], vectors) is not trained
        twin = SpanReader.from_config(model.get_config())
        assert len(twin.trainable_weights) == len(model.trainable_weights)


def test_without_a_tokenizer_only_padding_is_masked() -> None:
    model = span_reader(backbone=bert())
    assert model.preprocessor is None
    windows = Windower(TOKENIZER)(MARKED)
    logits = model.predict(windows.feed, verbose=0)
    np.testing.assert_array_equal(logits["start"] > -1e8, windows.feed["padding_mask"] == 1)


def test_without_kerashub_one_line_says_what_to_install(tmp_path, monkeypatch) -> None:
    backbone_reader().save(tmp_path / "reader.keras")
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ImportError, match=r'needs KerasHub.*pip install "keras-qa\[hub\]"'):
        keras_qa.load(tmp_path / "reader.keras")


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda path: span_reader(20, word_vectors=np.zeros((19, 5))),
            r"row for each of the 20 ids.*shape \(19, 5\)",
        ),
        (lambda path: span_reader(backbone=3), "`backbone` must be the name or .*Received: 3"),
        (
            lambda path: span_reader(backbone="no/such/folder"),
            "`backbone` must be a folder in Hugging Face's layout.*backbone='no/such/folder'",
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
            lambda path: span_reader(
                backbone=keras_hub.models.GPT2Backbone(20, 1, 2, 8, 16, max_sequence_length=16)
            ),
            "a GPT2Backbone, which reads from left to right",
        ),
        (
            lambda path: span_reader(backbone=keras_hub.models.XLNetBackbone(20, 1, 2, 8, 8)),
            "a XLNetBackbone, whose vectors change with the padding",
        ),
        (
            lambda path: span_reader(backbone=bert(vocabulary_size=9), tokenizer=TOKENIZER),
            f"`tokenizer` has {TOKENIZER.vocabulary_size} ids, but `backbone` has 9",
        ),
        (
            lambda path: span_reader(backbone=bert(), tokenizer=path),
            "holds no tokenizer: expected `tokenizer.json`",
        ),
        (
            lambda path: span_reader(backbone=bert(), units=8, cell="gru"),
            "`units`, `cell` would not be used: the backbone has its own layers. Leave it out.",
        ),
        (
            lambda path: span_reader(20, lora_rank=2),
            "`lora_rank` would not be used: it is for a `backbone`. Leave it out.",
        ),
        (
            lambda path: SpanReader([keras.Input((3,))], keras.Input((3,))),
            "`outputs` must be a dict of `start` and `end`",
        ),
    ],
)
def test_bad_use_is_named(use, message: str, tmp_path) -> None:
    with pytest.raises((TypeError, ValueError, OSError), match=message) as caught:
        use(tmp_path)
    assert "\n" not in str(caught.value)
