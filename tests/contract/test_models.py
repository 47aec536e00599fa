"""The classic model and `QAModel`: feeds, bad feeds, sizes."""

import json
import re

import keras
import numpy as np
import pandas as pd
import pytest
from small_models import batch, same_weights
from test_inputs import BAD_FEEDS, QUESTION, TEXT

import keras_qa

METHODS = ["fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch"]


def call(model: keras.Model, method: str, feed, labels=None):
    if method.startswith("predict"):
        return getattr(model, method)(feed)
    return getattr(model, method)(feed, labels)


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


def test_list_tuple_and_dict_give_the_same_predictions(model) -> None:
    (text, question), _ = batch(12, seed=5)
    expected = model.predict([text, question], verbose=0)
    for feed in (
        (text, question),
        {"text": text, "question": question},
        {"question": question, "text": text},
        pd.DataFrame({"question": question.tolist(), "text": text.tolist()}),
        [text.tolist(), question.astype("uint8")],
        [keras.ops.convert_to_tensor(text), question],
    ):
        np.testing.assert_array_equal(model.predict(feed, verbose=0), expected)
    np.testing.assert_allclose(model.predict_on_batch((text, question)), expected, atol=1e-6)


def test_list_and_dict_train_alike() -> None:
    (text, question), labels = batch(12)
    results = []
    for feed in ([text, question], {"question": question, "text": text}):
        keras.utils.set_random_seed(0)
        model = keras_qa.models.answer_classifier(50, 40, 7)
        validation = (feed, labels)
        history = model.fit(
            feed, labels, epochs=2, verbose=0, batch_size=4, validation_data=validation
        )
        results.append((history.history, model.get_weights(), model.evaluate(feed, labels)))
    assert results[0][0] == results[1][0]
    assert results[0][2] == results[1][2]
    for one, other in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_validation_split_takes_the_end(model) -> None:
    feed, labels = batch(20)
    history = model.fit(feed, labels, validation_split=0.25, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", BAD_FEEDS)
def test_bad_feed_moves_no_weight(kept_models, method: str, kind: str) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    before = model.get_weights()
    feed, message = BAD_FEEDS[kind]
    with pytest.raises((ValueError, TypeError), match=re.escape(message)) as caught:
        call(model, method, feed, np.array([0, 1]))
    assert "\n" not in str(caught.value)
    assert same_weights(model, before)
    assert np.isfinite(model.predict([TEXT, QUESTION], verbose=0)).all()


def test_bad_validation_data_is_found_before_training(kept_models) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    before = model.get_weights()
    with pytest.raises(ValueError, match="`text` holds id 103"):
        model.fit([TEXT, QUESTION], [0, 1], validation_data=([TEXT + 98, QUESTION], [0, 1]))
    with pytest.raises(ValueError, match="hold 7 at"):
        model.fit([TEXT, QUESTION], [0, 1], validation_data=([TEXT, QUESTION], [0, 7]))
    assert same_weights(model, before)


def test_the_widely_copied_mistakes_end_in_one_clear_line() -> None:
    model = keras_qa.models.answer_classifier(64, 10_000, 500)
    text = np.full((2, 100), 4234)
    with pytest.raises(
        ValueError,
        match=re.escape(
            "`text` holds id 4234 at [0, 0], but its vocabulary has 64 entries (ids 0 to 63). "
            "Build the model with `text_vocabulary_size=4235` or more"
        ),
    ):
        model.fit([text, text], [0, 1])
    with pytest.raises(ValueError, match="a row at \\[0\\] that adds up to 0 and has 0 ones"):
        model.fit([text % 64, text], np.random.default_rng(0).integers(0, 1, (2, 500)))


def test_empty_text_and_question_give_a_finite_answer(model) -> None:
    empty, full = np.zeros((1, 3), "int32"), np.ones((1, 3), "int32")
    for feed in ([empty, full], [full, empty], [empty, empty], [[[]], [[]]]):
        result = model.predict(feed, verbose=0)
        np.testing.assert_allclose(result.sum(), 1.0, atol=1e-6)
    loss = model.train_on_batch([empty, empty], [3])[0]
    assert np.isfinite(loss)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_model_with_a_second_output_trains_and_is_saved(tmp_path) -> None:
    text = keras.Input((None,), dtype="int32", name="text")
    vector = keras_qa.layers.SequenceEncoder(50, 4, 3)(text)
    outputs = {
        "answer": keras_qa.layers.answer_head(7, name="answer")(vector),
        "found": keras.layers.Dense(1, activation="sigmoid", name="found")(vector),
    }
    model = keras_qa.models.QAModel([text], outputs)
    losses = {"answer": "sparse_categorical_crossentropy", "found": "binary_crossentropy"}
    model.compile("adam", losses)
    (feed, _), labels = batch(8)
    targets = {"found": labels[:, None] > 3, "answer": labels}
    before = model.get_weights()
    model.fit({"text": feed}, targets, verbose=0)
    assert not same_weights(model, before)
    result = model.predict(feed, verbose=0)
    assert {name: value.shape for name, value in result.items()} == {
        "answer": (8, 7),
        "found": (8, 1),
    }
    model.save(tmp_path / "two.keras")
    again = keras.saving.load_model(tmp_path / "two.keras").predict([feed], verbose=0)
    for name, value in result.items():
        np.testing.assert_array_equal(again[name], value)


def test_config_can_be_written_as_json(model) -> None:
    config = json.loads(json.dumps(model.get_config()))
    twin = keras_qa.models.QAModel.from_config(config)
    twin.set_weights(model.get_weights())
    feed, _ = batch(3)
    np.testing.assert_array_equal(twin.predict(feed, verbose=0), model.predict(feed, verbose=0))
