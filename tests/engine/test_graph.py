"""What models over stories and readers expect of a feed and of labels, and what they refuse."""

import re

import keras
import numpy as np
import pytest
from small_models import STORY_QUESTION as QUESTION
from small_models import STORY_TEXT as TEXT
from small_models import memory, reader, same_weights, universal, words_to_find

import keras_qa
from keras_qa import layers
from keras_qa.engine.arrays import to_arrays
from keras_qa.engine.graph import model_inputs
from keras_qa.layers.order import TemporalEncoding


def test_sizes_are_those_of_the_arguments() -> None:
    model = universal(hidden_dim=5, max_words=3, max_sentences=6)
    words = 12 * 16 + 2 * 3 * 8 + 8 * 16 * 16
    signals = 6 * 16 + 16 + 2 * 16 + 4 * 2
    block = 16 * 48 + 48 + 16 * 16 + 16 + 16 * 5 + 5 + 5 * 16 + 16 + 3 * 2 * 16
    previous = 16 * 16 + 16 + 1
    assert model.count_params() == words + previous + signals + block + 16 * 4 + 4
    assert universal().get_layer("reasoner").hidden_dim == 64
    # One more tells whether hops are linear.
    assert memory(max_sentences=6).count_params() == 3 * (12 * 8 + 6 * 8) + 8 * 4 + 4 + 1
    assert [tensor.shape for tensor in model.inputs] == [(None, None, None), (None, None)]
    assert model.output.shape == (None, 4)
    assert float(model.optimizer.learning_rate) == pytest.approx(1.5e-3)


def test_vocabularies_are_shared_or_not() -> None:
    sizes = [
        {item.name: item.vocabulary_size for item in model_inputs(factory(10, asked, 4))}
        for factory in (keras_qa.models.universal_transformer, keras_qa.models.memory_network)
        for asked in (None, 15)
    ]
    shared, larger, same, apart = sizes
    assert shared == same == {"text": 10, "question": 10}
    assert larger == {"text": 15, "question": 15}
    assert apart == {"text": 10, "question": 15}


def test_empty_stories_are_stories() -> None:
    model = memory()
    for feed in ([[], [[5]]], [[], []], [[[]], []]):
        arrays = to_arrays([feed, QUESTION], model)
        assert arrays["text"].shape == (2, 1, 1)
        assert arrays["text"].sum() == np.sum([len(row) and sum(row[0]) for row in feed])


BAD_FEEDS = {
    "rank 2": (
        [TEXT[0], QUESTION],
        "`text` has rank 2 and shape (2, 3), but expected rank 3: (batch, sentences, words). Give "
        "each example as sentences, and each sentence as word ids.",
    ),
    "rank 4": ([TEXT[None], QUESTION], "`text` has rank 4"),
    "id": (
        [TEXT + 4, QUESTION],
        "`text` holds id 12 at [0, 1, 0], but its vocabulary has 12 entries (ids 0 to 11). Build "
        "the model with `text_vocabulary_size=14` or more",
    ),
    "rows": ([[[5, 6], [[7]]], QUESTION], "`text`: Row 0 is [5, 6], but other rows"),
}


@pytest.mark.parametrize("kind", BAD_FEEDS)
def test_bad_stories_are_named_in_one_line(kind: str) -> None:
    feed, message = BAD_FEEDS[kind]
    with pytest.raises((ValueError, TypeError), match=re.escape(message)) as caught:
        to_arrays(feed, memory())
    assert "\n" not in str(caught.value)


def test_layers_behind_sentences_may_read_padding() -> None:
    text = keras.Input((None, None), dtype="int32", name="text")
    sentences = layers.SentenceEncoder(12, 4)(text)
    timed = TemporalEncoding(5)(sentences)
    for vector, ignored in (
        (keras.ops.sum(sentences, axis=1), False),
        (keras.ops.max(timed, axis=1), False),
        (layers.MemoryHops(1)([keras.ops.ones_like(timed[:, 0]), timed, timed]), False),
        (layers.SentenceEncoder(12, 4)(keras.ops.reshape(text, (-1, 6))), False),
    ):
        model = keras.Model([text], vector)
        assert [item.ignores_padding for item in model_inputs(model)] == [ignored]
    inner_text = keras.Input((None, None), dtype="int32", name="inner")
    inner = keras.Model(inner_text, TemporalEncoding(5)(layers.SentenceEncoder(12, 4)(inner_text)))
    for make, ignored in ((TemporalEncoding(5), True), (keras.layers.Dense(2), False)):
        model = keras.Model([text], make(inner(text)))
        assert [item.ignores_padding for item in model_inputs(model)] == [ignored]


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
            r"hold -1 at \[1, 0\], but positions",
        ),
    ],
)
def test_bad_spans_are_named(labels, message: str) -> None:
    # Ten words, and a position for no answer.
    feed, _ = words_to_find(2)
    model = reader()
    before = model.get_weights()
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(feed, {name: np.array(value) for name, value in labels.items()}, verbose=0)
    assert same_weights(model, before)
