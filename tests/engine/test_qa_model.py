"""Bad feeds, labels and weights: each method raises in one line, and moves no weight."""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
import pytest
from as_keras import without_loops
from small_models import (
    ANSWERS,
    STORY_QUESTION,
    STORY_TEXT,
    batch,
    make_variables,
    memory,
    reader_without_loops,
    same_weights,
    words_to_find,
)

import keras_qa

ROWS = 6
METHODS = ("fit", "evaluate", "train_on_batch", "test_on_batch", "predict", "predict_on_batch")
LABELLED = METHODS[:4]
TEXT = np.array([[5, 6, 7], [8, 0, 0]], "int32")
QUESTION = np.array([[2, 3], [4, 0]], "int32")


def change(place: tuple[int, int], value, dtype: str = "int64") -> np.ndarray:
    array = TEXT.astype(dtype)
    array[place] = value
    return array


BAD_FEEDS = {
    "id of the vocabulary's size": (
        [change((1, 2), 50), QUESTION],
        "`text` holds id 50 at [1, 2], but its vocabulary has 50 entries (ids 0 to 49). Build the "
        "model with `text_vocabulary_size=51` or more, or map rare words to the unknown id.",
    ),
    "huge id": ([change((0, 0), 2**63 - 1), QUESTION], f"`text` holds id {2**63 - 1} at [0, 0]"),
    "huge unsigned id": (
        [change((0, 0), 2**64 - 1, "uint64"), QUESTION],
        f"`text` holds id {2**64 - 1} at [0, 0]",
    ),
    "question's id": (
        [TEXT, QUESTION + 38],
        "`question` holds id 40 at [0, 0], but its vocabulary has 40 entries (ids 0 to 39). Build "
        "the model with `question_vocabulary_size=43` or more",
    ),
    "negative id": (
        [change((0, 1), -1), QUESTION],
        "`text` holds id -1 at [0, 1], but ids start at 0.",
    ),
    "float ids": ([TEXT.astype("float32"), QUESTION], "`text` has dtype float32, but ids must be"),
    "NaN": ([change((1, 1), np.nan, "float64"), QUESTION], "`text` holds nan at [1, 1], but every"),
    "infinity": ([TEXT, change((0, 2), np.inf, "float64")], "`question` holds inf at [0, 2]"),
    "float in a list": ([[[5, 6.5], [8]], QUESTION], "`text` has dtype float64, but ids must be"),
    "booleans": ([TEXT > 5, QUESTION], "`text` has dtype bool, but expected int32."),
    "rank 1": (
        [TEXT[0], QUESTION],
        "`text` has rank 1 and shape (3,), but expected rank 2: (batch, time).",
    ),
    "rank 3": ([TEXT[..., None], QUESTION], "`text` has rank 3 and shape (2, 3, 1), but expected"),
    "rows of different rank": ([[[5], 6], QUESTION], "`text`: Row 1 is 6, but other rows are"),
    "different batch sizes": (
        {"text": TEXT, "question": QUESTION[:1]},
        "`text` holds 2 examples, but `question` holds 1.",
    ),
    "too few inputs": (
        [TEXT],
        "The feed has length 1, but the model has 2 inputs: `text`, `question`.",
    ),
    "too many inputs": (
        [TEXT, QUESTION, TEXT],
        "The feed has length 3, but the model has 2 inputs",
    ),
    "one array": (TEXT, "The feed is one ndarray, but the model has 2 inputs: `text`, `question`."),
    "nothing": (None, "The feed is one NoneType, but the model has 2 inputs"),
    "missing key": (
        {"text": TEXT},
        "The feed has no key `question`. Expected: `text`, `question`. Received: `text`.",
    ),
    "misnamed key": (
        {"text": TEXT, "qestion": QUESTION},
        "The feed has no key `question`. Expected: `text`, `question`. Received: `text`, `qestion`",
    ),
    "extra key": (
        {"text": TEXT, "question": QUESTION, "answer": QUESTION},
        "The feed has an unknown key `answer`. Expected: `text`, `question`.",
    ),
    "empty batch": (
        [TEXT[:0], QUESTION[:0]],
        "`text` holds no examples: its shape is (0, 3). Feed at least one.",
    ),
    "empty lists": ([[], []], "`text` has rank 1 and shape (0,), but expected rank 2"),
    "strings": (
        [["Mary went home."], ["Where?"]],
        "`text` must contain numbers. Received: the string 'Mary went home.'. "
        "Use `keras_qa.QuestionAnswerer`",
    ),
    "lists of words": (
        [[["Mary", "went"]], [["Where"]]],
        "`text` must contain numbers. Received: the string 'Mary'",
    ),
    "objects": ([[[5, None]], [[2]]], "`text` must contain numbers. Received: the object 5."),
    "complex numbers": ([np.full((2, 3), 1 + 1j), QUESTION], "`text` has dtype complex128, but"),
    "dates": (
        [np.full((2, 3), np.datetime64("2026-01-01")), QUESTION],
        "`text` has dtype datetime64[D], but expected int32.",
    ),
    "records": ([np.zeros(2, [("a", "int32")]), QUESTION], "`text` has dtype [('a', '<i4')], but"),
    "bytes": (
        [[b"Mary"] * 2, QUESTION],
        "`text` must contain numbers. Received: the object np.bytes_",
    ),
    "an object": ([object(), QUESTION], "`text` must contain numbers. Received: the object <obj"),
    "huge numbers": ([[[10**30, 1]] * 2, QUESTION], "`text` must contain numbers. Received: the "),
    "long string": (["word " * 500, QUESTION], "`text` must contain numbers. Received: the string"),
    "many columns": ({f"c{place}": TEXT for place in range(50_000)}, "and 49,995 more. Use the"),
    "masked": (
        [np.ma.masked_array(TEXT, mask=np.eye(2, 3)), QUESTION],
        "`text`: it is a masked array. Fill it before feeding",
    ),
}

ITSELF: list = []
ITSELF.append(ITSELF)
DEEP: list = [5]
for _ in range(2_000):
    DEEP = [DEEP]
TOO_DEEP = "its lists are too deep or contain themselves. Pass a NumPy array."
RECORDS = np.zeros(2, [(f"field{place}", "int32") for place in range(3_000)])
LONG = type("T" * 100_000, (), {})()
BAD_FEEDS |= {
    "list in itself": ([ITSELF, QUESTION], f"`text`: {TOO_DEEP}"),
    "deep lists": ({"text": TEXT, "question": [DEEP, DEEP]}, f"`question`: {TOO_DEEP}"),
    "long name of a type": (LONG, "TTT, but the model has 2 inputs"),
    "many fields": (
        [RECORDS, QUESTION],
        "`text` has dtype [('field0', '<i4')",
    ),
}

ROWS_OF_ONES = np.eye(7)
BAD_LABELS = {
    "none": (None, "`y` is missing: training and evaluation need a label for each example."),
    "of the number of classes": (
        [0, 7],
        "hold 7 at [1], but there are 7 classes (0 to 6). Build the model",
    ),
    "negative": ([-1, 0], "hold -1 at [0], but there are 7 classes (0 to 6)."),
    "half": ([0.5, 1.0], "hold 0.5 at [0], but class labels must be whole numbers."),
    "NaN": ([np.nan, 1.0], "hold nan at [0], but must be finite."),
    "rows of zeros": (np.zeros((2, 7)), "hold a row at [0] that adds up to 0 and has 0 ones"),
    "two ones": (
        ROWS_OF_ONES[[0, 1]] + [[0] * 7, ROWS_OF_ONES[2]],
        "hold a row at [1] that adds up to 2 and has 2 ones, but a one-hot row holds exactly one 1",
    ),
    "negative row": (
        ROWS_OF_ONES[[0, 1]] * 2 - ROWS_OF_ONES[[1, 2]],
        "hold a row at [0] that adds up",
    ),
    "too narrow": (np.eye(6)[[0, 1]], "have rows 6 wide, but the output has 7 classes."),
    "too wide": (np.eye(8)[[0, 1]], "have rows 8 wide, but the output has 7 classes."),
    "too few": ([0], "have shape (1,), but the inputs hold 2 examples."),
    "rank 3": (np.zeros((2, 1, 7)), "have shape (2, 1, 7), but expected integers of shape"),
    "deep": (DEEP, f"The labels of `answer`: {TOO_DEEP}"),
    "many fields": (RECORDS, "have dtype [('field0', '<i4')"),
    "strings": (["kitchen", "garden"], "but must be numbers. Use `keras_qa.QuestionAnswerer`"),
    "other names": (
        {str(place): [0, 1] for place in range(50_000)},
        "Labels are missing for `answer`.",
    ),
}
BAD_WEIGHTS = {
    "NaN": ([1.0, np.nan], "`sample_weight` must hold finite numbers"),
    "negative": ([1.0, -1.0], "`sample_weight` must hold finite numbers that are not negative"),
    "large": ([1.0, 1e39], "`sample_weight` must hold finite numbers"),
    "too few": ([1.0], "`sample_weight` has shape (1,)"),
    "wide": (np.ones((2, 3)), "`sample_weight` has shape (2, 3)"),
    "strings": (["a", "b"], "expected 2 numbers"),
    "other name": (
        {"answer": [1, 1], "answers": [1, 1]},
        "`sample_weight` is given for `answers`. Expected outputs: `answer`. Received: `answer`, ",
    ),
    "no name": ({}, "`sample_weight` is missing for `answer`. Expected outputs: `answer`."),
    "deep": (DEEP, f"`sample_weight`: {TOO_DEEP}"),
}


def assert_refused(model, method: str, message: str, **arguments: Any) -> str:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)) as caught:
        getattr(model, method)(**arguments)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 300
    return str(caught.value)


@pytest.mark.parametrize("kind", BAD_FEEDS)
def test_a_bad_feed_raises_in_each_method(kept_models, kind: str) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    before = model.get_weights()
    feed, message = BAD_FEEDS[kind]
    for method in METHODS:
        labels = {"y": [0, 1]} if method in LABELLED else {}
        assert_refused(model, method, message, x=feed, **labels)
    assert same_weights(model, before)


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "categorical_crossentropy"])
def test_bad_labels_and_weights_raise_in_each_method(kept_models, loss: str) -> None:
    model = kept_models[loss]
    before = model.get_weights()
    feed = [TEXT, QUESTION]
    for method in LABELLED:
        for labels, message in BAD_LABELS.values():
            assert_refused(model, method, message, x=feed, y=labels)
        for weights, message in BAD_WEIGHTS.values():
            assert_refused(model, method, message, x=feed, y=[0, 1], sample_weight=weights)
    assert same_weights(model, before)


POSITIVE, NON_NEGATIVE = "must be a positive integer. Received: ", "must be a non-negative integer."


@pytest.mark.parametrize(
    ("methods", "name", "values", "message"),
    [
        (("fit", "evaluate", "predict"), "batch_size", (0, -1, 1.5, True, "a"), POSITIVE),
        (("evaluate", "predict"), "steps", (0, "a"), POSITIVE),
        (("fit",), "validation_batch_size", (0, True), POSITIVE),
        (("fit",), "validation_freq", (0, "a", [0]), POSITIVE),
        (("fit",), "steps_per_epoch", (0, "a"), POSITIVE),
        (("fit",), "epochs", (None, -1, 1.5, True), NON_NEGATIVE),
        (("fit",), "initial_epoch", (-1, "a"), NON_NEGATIVE),
        (
            ("fit", "evaluate", "predict"),
            "callbacks",
            (1, "a", [None], [keras.callbacks.Callback], DEEP, LONG),
            "must be a list of `keras.callbacks.Callback`. Received: ",
        ),
        (
            ("fit",),
            "validation_data",
            (5, (), [TEXT] * 4, DEEP * 4, bytearray(b"ab"), {1, 2}),
            "must be `(x, y)` or `(x, y, sample_weight)`. Received: ",
        ),
        (("fit",), "validation_split", ("a", 1, TEXT), "must be between 0 and 1, and needs arrays"),
        (("fit", "train_on_batch"), "class_weight", ([1.0] * 7, "a"), "must be a dict from the"),
        (("fit", "train_on_batch"), "class_weight", ({0: np.nan}, {0: np.inf}), "must hold finite"),
        (("fit", "train_on_batch"), "class_weight", ({7: 1.0},), "holds `7`, but the classes are"),
        (("fit", "evaluate"), "sample_weight", (np.ones((ROWS, 3)),), f"has shape ({ROWS}, 3)"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(
    kept_models, methods: tuple[str, ...], name: str, values: tuple[Any, ...], message: str
) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    before = model.get_weights()
    feed, labels = batch(ROWS)
    for method in methods:
        arguments = {"x": feed, **({"y": labels} if method in LABELLED else {})}
        for value in values:
            wanted = f"`{name}` {message}"
            said = assert_refused(model, method, wanted, **arguments, **{name: value})
            assert said.startswith(wanted)
    with pytest.raises(
        ValueError, match=r"^`class_weight\[0\]` must be a number\. Received: .*'a'"
    ):
        model.fit(feed, labels, class_weight={0: "a"}, verbose=0)
    assert same_weights(model, before)


def test_integers_of_numpy_and_weights_in_a_column_are_taken() -> None:
    feed, labels = batch(ROWS)
    weights = np.linspace(0.5, 2, ROWS)
    models = [without_loops(), without_loops()]
    for model, number, column in zip(
        models, (int, np.int64), (weights, weights[:, None]), strict=True
    ):
        sizes = {"batch_size": 3, "epochs": 2, "initial_epoch": 0, "validation_freq": 1}
        options = {name: number(size) for name, size in sizes.items()}
        options |= {"validation_data": (feed, labels), "sample_weight": column}
        model.fit(feed, labels, shuffle=False, verbose=0, **options)
        assert model.predict(feed, batch_size=number(4), verbose=0).shape == (ROWS, ANSWERS)
    assert same_weights(models[0], models[1].get_weights())


BAD_SUPPORT = {
    "7": (np.full((2, 2), 7), "hold 7 at [0, 0], but must be between 0 and 1."),
    "-5": ([[0, 1], [0, -5]], "hold -5 at [1, 1], but must be between 0 and 1."),
    "no columns": (np.zeros((2, 0)), "have shape (2, 0), but expected (batch, sentences)"),
    "rank 1": ([0, 1], "have shape (2,), but expected (batch, sentences)"),
    "rank 3": (np.zeros((2, 2, 1)), "have shape (2, 2, 1), but expected (batch, sentences)"),
    "sentence 2": (
        [[0, 1, 0], [1, 0, 1]],
        "hold a sentence of position 2 or more, but there are 2 sentences (0 to 1) in this feed.",
    ),
}


def test_bad_labels_of_support_raise_and_later_calls_work() -> None:
    model = memory(num_hops=1, supporting_facts=True)
    before = model.get_weights()
    feed = [STORY_TEXT, STORY_QUESTION]
    for method in LABELLED:
        for labels, message in BAD_SUPPORT.values():
            wanted = f"The labels of `support` {message}"
            assert_refused(model, method, wanted, x=feed, y={"answer": [1, 2], "support": labels})
    assert same_weights(model, before)
    # Columns of zeros are padding.
    labels = {"answer": [1, 2], "support": [[1, 0, 0], [1, 0, 0]]}
    assert np.isfinite(model.fit(feed, labels, verbose=0).history["loss"]).all()
    assert not same_weights(model, before)


def test_labels_of_another_rank_are_accepted_in_later_calls() -> None:
    model = reader_without_loops()
    feed, labels = words_to_find()
    make_variables(model, feed, labels)
    rows = {name: np.stack([places, places], axis=1) for name, places in labels.items()}
    expected = model.evaluate(feed, labels, verbose=0)
    for other in (rows, labels):
        assert model.evaluate(feed, other, verbose=0) == pytest.approx(expected)
        before = model.get_weights()
        model.fit(feed, other, verbose=0)
        assert not same_weights(model, before)
        expected = model.evaluate(feed, other, verbose=0)


def test_weights_by_name_have_the_structure_of_the_outputs() -> None:
    inputs = keras.Input((3,), name="text")
    outputs = [keras.layers.Dense(1, name=name)(inputs) for name in ("first", "second")]
    model = keras_qa.models.QAModel([inputs], outputs)
    model.compile("sgd", "mse")
    feed, labels = np.ones((2, 3), "float32"), [[1.0, 2.0], [3.0, 5.0]]
    weights = {"second": [1, 3], "first": [0, 2]}
    first, second = (part[:, 0] for part in model.predict(feed, verbose=0))
    expected = np.mean([0, 2] * (first - [1, 2]) ** 2) + np.mean([1, 3] * (second - [3, 5]) ** 2)
    loss = model.evaluate(feed, labels, sample_weight=weights, verbose=0)
    assert np.ravel(loss)[0] == pytest.approx(expected, rel=1e-4)


def test_a_model_trains_after_a_loss_that_raised() -> None:
    raises = [True]

    def loss(y_true, y_pred):
        if raises:
            raise RuntimeError("The loss raised.")
        return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)

    inputs = keras.Input((3,), name="text")
    model = keras_qa.models.QAModel([inputs], keras.layers.Dense(1)(inputs))
    model.compile("sgd", loss)
    feed, labels = np.ones((2, 3), "float32"), [[1.0], [2.0]]
    before = model.get_weights()
    with pytest.raises(RuntimeError, match="The loss raised"):
        model.fit(feed, labels, verbose=0)
    assert same_weights(model, before)
    raises.clear()
    model.fit(feed, labels, verbose=0)
    assert not same_weights(model, before)
