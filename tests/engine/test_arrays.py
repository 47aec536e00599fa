"""The adapter on its own: every kind of feed, every kind of bad feed."""

import re

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import QUESTION_VOCABULARY, TEXT_VOCABULARY, same_weights, small_model

import keras_qa
from keras_qa.engine.arrays import to_arrays
from keras_qa.engine.graph import model_inputs

TEXT = np.array([[5, 6, 7], [8, 0, 0]], "int32")
QUESTION = np.array([[2, 3], [4, 0]], "int32")


@pytest.fixture(scope="module")
def untrained() -> keras_qa.models.QAModel:
    return keras_qa.models.answer_classifier(TEXT_VOCABULARY, QUESTION_VOCABULARY, 7)


GOOD_FEEDS = {
    "list": [TEXT, QUESTION],
    "tuple": (TEXT, QUESTION),
    "dict": {"text": TEXT, "question": QUESTION},
    "dict in another order": {"question": QUESTION, "text": TEXT},
    "ragged lists": [[[5, 6, 7], [8]], [[2, 3], [4]]],
    "ragged tuples of arrays": ((np.array([5, 6, 7]), [8]), [[2, 3], (4,)]),
    "object arrays": [
        np.array([[5, 6, 7], [8]], dtype=object),
        np.array([[2, 3], [4]], dtype=object),
    ],
    "backend tensors": [keras.ops.convert_to_tensor(TEXT), keras.ops.convert_to_tensor(QUESTION)],
    "DataFrame": pd.DataFrame({"question": [[2, 3], [4]], "text": [[5, 6, 7], [8]]}),
    "DataFrame of arrays": pd.DataFrame(
        {"text": [np.array([5, 6, 7]), np.array([8])], "question": [np.array([2, 3]), [4]]}
    ),
    "Series": {"text": pd.Series([[5, 6, 7], [8]]), "question": pd.Series([[2, 3], [4]])},
    **{
        f"{dtype} arrays": [TEXT.astype(dtype), QUESTION.astype(dtype)]
        for dtype in ("int8", "uint8", "int16", "uint16", "uint32", "int64", "uint64", ">i4")
    },
    "Fortran order": [np.asfortranarray(TEXT), QUESTION[:, ::-1][:, ::-1]],
}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": [[5], None]}, "`text`: Row 1 is None, but other rows are sequences of rank 1."),
        ({"text": [[5], [6]], "answer": [1, 2]}, "The feed has an unknown column `answer`."),
    ],
)
def test_bad_tables_raise(columns, message: str) -> None:
    model = small_model()
    before = model.get_weights()
    table = pd.DataFrame({"question": [[2], [3]], **columns})
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        model.fit(table, [0, 1], verbose=0)
    assert same_weights(model, before)


@pytest.mark.parametrize("kind", GOOD_FEEDS)
def test_every_kind_of_feed_gives_the_same_arrays(kind: str, untrained) -> None:
    arrays = to_arrays(GOOD_FEEDS[kind], untrained)
    assert list(arrays) == ["text", "question"]
    for array, expected in zip(arrays.values(), (TEXT, QUESTION), strict=True):
        assert array.dtype == "int32"
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, expected)


def test_feed_is_not_changed(untrained) -> None:
    feed = [TEXT.copy(), [[2, 3], [4]]]
    to_arrays(feed, untrained)
    np.testing.assert_array_equal(feed[0], TEXT)
    assert feed[1] == [[2, 3], [4]]


def test_an_array_without_columns_becomes_padding(untrained) -> None:
    arrays = to_arrays([np.zeros((2, 0), "int32"), QUESTION], untrained)
    assert arrays["text"].tolist() == [[0], [0]]


@pytest.mark.parametrize("feed", [TEXT, [TEXT], (TEXT,), {"words": TEXT}, [[5, 6, 7], [8]]])
def test_one_input_may_come_alone(feed) -> None:
    ids = keras.Input((None,), dtype="int32", name="words")
    model = keras.Model([ids], keras.layers.Embedding(10, 2)(ids))
    np.testing.assert_array_equal(to_arrays(feed, model)["words"], TEXT)


def test_vocabulary_is_found_wherever_ids_are_looked_up() -> None:
    shared = keras_qa.layers.SequenceEncoder(20, 2, 2)
    inner_ids = keras.Input((None,), dtype="int32", name="inner")
    inner = keras.Model(
        [inner_ids], keras.layers.GlobalMaxPooling1D()(keras.layers.Embedding(15, 2)(inner_ids))
    )
    one, two, three = (
        keras.Input((None,), dtype="int32", name=name) for name in ("one", "two", "three")
    )
    # Beside operations that are not layers.
    state = keras.layers.LSTM(2)(keras.layers.Embedding(12, 2, mask_zero=True)(two))
    state = keras.ops.tanh(state) + 1.0
    numbers = keras.Input((3,), name="numbers")
    vectors = [shared(one), shared(two), state, inner(three), keras.layers.Dense(2)(numbers)]
    model = keras.Model([one, two, three, numbers], keras.layers.Concatenate()(vectors))
    sizes = {item.name: item.vocabulary_size for item in model_inputs(model)}
    assert sizes == {"one": 20, "two": 12, "three": 15, "numbers": None}
    model = keras.Sequential([keras.Input((None,), dtype="int32"), keras.layers.Embedding(9, 2)])
    assert [item.vocabulary_size for item in model_inputs(model)] == [9]


def test_fixed_width_is_filled_up_and_never_cut() -> None:
    ids = keras.Input((4,), dtype="int32", name="words")
    model = keras.Model([ids], keras.layers.Flatten()(keras.layers.Embedding(10, 2)(ids)))
    assert to_arrays([[5, 6], [7]], model)["words"].tolist() == [[5, 6, 0, 0], [7, 0, 0, 0]]
    with pytest.raises(ValueError, match=r"`words` has shape \(1, 5\).*axis 1 is 5 long instead"):
        to_arrays([[1, 2, 3, 4, 5]], model)


def test_numbers_are_fed_as_numbers() -> None:
    numbers = keras.Input((2,), name="numbers")
    model = keras.Model([numbers], keras.layers.Dense(1)(numbers))
    assert to_arrays([[1, 2]], model)["numbers"].dtype == "float32"
    with pytest.raises(ValueError, match=r"`numbers` holds nan at \[0, 1\]"):
        to_arrays(np.array([[1.0, np.nan]]), model)
    with pytest.raises(ValueError, match=r"`numbers` has shape \(1, 1\).*instead of 2"):
        to_arrays(np.array([[1.0]]), model)


def test_sentences_are_padded_on_both_axes() -> None:
    ids = keras.Input((None, None), dtype="int32", name="text")
    model = keras.Model([ids], keras.layers.Embedding(10, 2)(ids))
    padded = to_arrays([[[1, 2, 3], [4]], [[5]]], model)["text"]
    assert padded.tolist() == [[[1, 2, 3], [4, 0, 0]], [[5, 0, 0], [0, 0, 0]]]


rows = st.lists(st.lists(st.integers(0, TEXT_VOCABULARY - 1), max_size=6), min_size=1, max_size=5)


@given(text=rows, data=st.data())
def test_ragged_rows_survive_padding(untrained, text, data) -> None:
    question = data.draw(
        st.lists(
            st.lists(st.integers(0, QUESTION_VOCABULARY - 1), max_size=4),
            min_size=len(text),
            max_size=len(text),
        )
    )
    arrays = to_arrays({"question": question, "text": text}, untrained)
    for name, feed in (("text", text), ("question", question)):
        width = max(1, *map(len, feed))
        assert arrays[name].tolist() == [row + [0] * (width - len(row)) for row in feed]
        again = to_arrays(list(arrays.values()), untrained)[name]
        np.testing.assert_array_equal(again, arrays[name])


def test_tensors_without_plain_values_are_refused_in_one_line(untrained) -> None:
    tensors = {"KerasTensor": keras.KerasTensor((2, 3), "int32")}
    if keras.config.backend() == "torch":
        import torch

        tensors |= {
            "conjugate bit": torch.ones(2, 3, dtype=torch.complex64).conj(),
            "meta tensor": torch.ones(2, 3, dtype=torch.int32, device="meta"),
            "not supported": torch.nested.nested_tensor(
                [torch.arange(3), torch.arange(2)], layout=torch.jagged
            ),
        }
    for message, tensor in tensors.items():
        with pytest.raises(ValueError, match=f"^`text`: [^\n]*{message}[^\n]*$"):
            to_arrays([tensor, QUESTION], untrained)
