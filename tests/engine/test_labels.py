"""Labels: integers or one-hot, with either cross-entropy, and everything that is neither."""

import functools

import keras
import numpy as np
import pytest
from small_models import same_weights

import keras_qa
from keras_qa.engine.labels import ModelOutput, to_class_weights, to_labels

ONE_HOT = np.eye(4, dtype="float32")


@functools.cache
def classifier(loss) -> keras_qa.models.QAModel:
    return keras_qa.models.answer_classifier(10, 10, 4, loss=loss)


SPARSE_LOSSES = [
    "sparse_categorical_crossentropy",
    keras.losses.SparseCategoricalCrossentropy(),
    keras.losses.sparse_categorical_crossentropy,
]
DENSE_LOSSES = [
    "categorical_crossentropy",
    keras.losses.CategoricalCrossentropy(),
    keras.losses.categorical_crossentropy,
]
GOOD_LABELS = {
    "list": [3, 0],
    "int64": np.array([3, 0]),
    "uint8": np.array([3, 0], "uint8"),
    "column": np.array([[3], [0]]),
    "whole floats": np.array([3.0, 0.0]),
    "tensor": keras.ops.convert_to_tensor(np.array([3, 0], "int32")),
    "one-hot floats": ONE_HOT[[3, 0]],
    "one-hot integers": ONE_HOT[[3, 0]].astype("int64"),
    "one-hot booleans": ONE_HOT[[3, 0]].astype(bool),
    "one-hot lists": [[0, 0, 0, 1], [1, 0, 0, 0]],
    "by name": {"answer": [3, 0]},
}


@pytest.mark.parametrize("kind", GOOD_LABELS)
@pytest.mark.parametrize(
    ("losses", "expected"),
    [(SPARSE_LOSSES, np.array([3, 0], "int32")), (DENSE_LOSSES, ONE_HOT[[3, 0]])],
)
def test_labels_become_what_the_loss_takes(kind: str, losses, expected: np.ndarray) -> None:
    for loss in losses:
        labels = to_labels(GOOD_LABELS[kind], classifier(loss), 2)
        np.testing.assert_array_equal(labels, expected, strict=True)


def test_soft_labels_go_with_the_dense_loss_alone() -> None:
    soft = np.array([[0.5, 0.5, 0, 0]], "float32")
    np.testing.assert_array_equal(to_labels(soft, classifier(DENSE_LOSSES[0]), 1), soft)
    with pytest.raises(ValueError, match="row of probabilities.*categorical_crossentropy"):
        to_labels(soft, classifier(SPARSE_LOSSES[0]), 1)


def two_outputs(loss) -> keras.Model:
    ids = keras.Input((None,), dtype="int32", name="text")
    vector = keras_qa.layers.SequenceEncoder(10, 3, 2)(ids)
    outputs = [
        keras_qa.layers.answer_head(4, name="answer")(vector),
        keras.layers.Dense(1, name="score")(vector),
    ]
    model = keras_qa.models.QAModel([ids], outputs)
    model.compile("rmsprop", loss)
    return model


def test_two_outputs_take_labels_by_name_or_in_order() -> None:
    model = two_outputs({"answer": "sparse_categorical_crossentropy", "score": "mse"})
    for labels in ({"score": [0.5], "answer": [2]}, [[2], [0.5]], ([[0, 0, 1, 0]], [0.5])):
        answer, score = to_labels(labels, model, 1)
        assert answer.tolist() == [2]
        assert score.tolist() == [0.5]
    with pytest.raises(ValueError, match="Labels are missing for `score`"):
        to_labels({"answer": [2]}, model, 1)
    with pytest.raises(ValueError, match="The model has 2 outputs: `answer`, `score`"):
        to_labels([2], model, 1)
    with pytest.raises(ValueError, match="labels of `score` hold nan"):
        to_labels([[2], [np.nan]], model, 1)


def test_outputs_by_key_keep_their_own_classes() -> None:
    ids = keras.Input((None,), dtype="int32", name="text")
    vector = keras_qa.layers.SequenceEncoder(10, 3, 2)(ids)
    outputs = {
        "second": keras_qa.layers.answer_head(4, name="second")(vector),
        "first": keras_qa.layers.answer_head(2, name="first")(vector),
    }
    model = keras_qa.models.QAModel([ids], outputs)
    model.compile("rmsprop", "sparse_categorical_crossentropy")
    labels = to_labels({"first": [1], "second": [[0, 0, 0, 1]]}, model, 1)
    assert {name: label.tolist() for name, label in labels.items()} == {"second": [3], "first": [1]}
    with pytest.raises(ValueError, match="labels of `first` hold 3 at"):
        to_labels({"first": [3], "second": [3]}, model, 1)
    before = model.get_weights()
    model.fit([[1, 2]], {"first": [1], "second": [3]}, verbose=0)
    assert not same_weights(model, before)


def test_output_without_a_loss_needs_no_labels() -> None:
    model = two_outputs({"answer": "sparse_categorical_crossentropy", "score": None})
    assert to_labels({"answer": [2]}, model, 1)[1] is None


def test_missing_class_weights_are_1() -> None:
    outputs = (ModelOutput("answer", (None, 4), "sparse_categorical_crossentropy"),)
    assert to_class_weights({0: 2}, outputs) == {0: 2.0, 1: 1.0, 2: 1.0, 3: 1.0}
