"""The classic model: its sizes, the names in its files, and no evidence."""

import keras
import numpy as np
import pytest

import keras_qa
from keras_qa.engine.copies import evidence_model

TEXT = np.array([[5, 6, 7], [8, 0, 0]], "int32")
QUESTION = np.array([[2, 3], [4, 0]], "int32")


def test_classic_model_has_the_classic_shape() -> None:
    model = keras_qa.models.answer_classifier()
    assert model.count_params() == 1_000_052
    assert [tensor.name for tensor in model.inputs] == ["text", "question"]
    assert [tensor.shape for tensor in model.inputs] == [(None, None)] * 2
    assert model.output.shape == (None, 500)
    assert model.compiled


def test_every_size_is_an_argument() -> None:
    model = keras_qa.models.answer_classifier(
        text_vocabulary_size=11,
        question_vocabulary_size=12,
        answer_vocabulary_size=5,
        text_embedding_dim=3,
        text_units=4,
        question_embedding_dim=6,
        question_units=2,
        cell="gru",
        bidirectional=True,
        pooling="max",
        hidden_dim=9,
        dropout=0.25,
        dtype="mixed_bfloat16",
        optimizer="adam",
        loss="categorical_crossentropy",
        name="mine",
    )
    gru = [2 * (3 * (dim + units + 2) * units) for dim, units in ((3, 4), (6, 2))]
    head = (2 * 4 + 2 * 2 + 1) * 9 + (9 + 1) * 5
    assert model.count_params() == 11 * 3 + gru[0] + 12 * 6 + gru[1] + head
    assert model.name == "mine"
    assert {layer.dtype_policy.name for layer in model.layers[2:]} == {"mixed_bfloat16"}
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    result = model.predict([TEXT % 11, QUESTION], verbose=0)
    assert result.dtype == "float32"
    np.testing.assert_allclose(result.sum(axis=1), 1.0, atol=1e-6)


def test_a_file_names_its_optimizer_as_keras_does() -> None:
    model = keras_qa.models.answer_classifier(10, 10, 4)
    for optimizer in (
        keras.optimizers.Adam(0.5),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.5)),
    ):
        model.compile(optimizer, "sparse_categorical_crossentropy")
        found = model.get_compile_config()["optimizer"]
        assert found["module"] == "keras.optimizers"
        twin = type(model).from_config(model.get_config())
        twin.compile_from_config(model.get_compile_config())
        assert type(twin.optimizer) is type(optimizer)
        inner = found["config"].get("inner_optimizer", found)
        assert (inner["module"], inner["class_name"]) == ("keras.optimizers", "Adam")
        assert inner["config"]["learning_rate"] == 0.5


def test_it_has_no_evidence() -> None:
    with pytest.raises(NotImplementedError, match="must have one layer that returns its attention"):
        evidence_model(keras_qa.models.answer_classifier(9, 9, 3))
