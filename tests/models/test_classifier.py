"""The classic model: validation, empty feeds, saving."""

import keras
import numpy as np
import pytest
from small_models import assert_predicted_again, batch, same_weights, untraced

TEXT = np.array([[5, 6, 7], [8, 0, 0]], "int32")
QUESTION = np.array([[2, 3], [4, 0]], "int32")


def test_validation_split_takes_the_end(model) -> None:
    feed, labels = batch(20)
    history = model.fit(feed, labels, validation_split=0.25, verbose=0).history
    loss = model.evaluate([array[15:] for array in feed], labels[15:], verbose=0)[0]
    assert history["val_loss"] == [pytest.approx(loss, rel=1e-5)]


def test_bad_validation_data_is_found_before_training(kept_models) -> None:
    model = kept_models["sparse_categorical_crossentropy"]
    before = model.get_weights()
    with pytest.raises(ValueError, match="`text` holds id 103"):
        model.fit([TEXT, QUESTION], [0, 1], validation_data=([TEXT + 98, QUESTION], [0, 1]))
    with pytest.raises(ValueError, match="hold 7 at"):
        model.fit([TEXT, QUESTION], [0, 1], validation_data=([TEXT, QUESTION], [0, 7]))
    assert same_weights(model, before)


def test_empty_text_and_question_give_a_finite_answer(model) -> None:
    empty, full = np.zeros((1, 3), "int32"), np.ones((1, 3), "int32")
    for feed in ([empty, full], [full, empty], [empty, empty], [[[]], [[]]]):
        result = model.predict(feed, verbose=0)
        np.testing.assert_allclose(result.sum(), 1.0, atol=1e-6)
    loss = model.train_on_batch([empty, empty], [3])[0]
    assert np.isfinite(loss)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_fitted_saved_and_loaded_trains_on(model, tmp_path) -> None:
    feed, labels = batch(8)
    model.fit(feed, labels, verbose=0)
    model.save(tmp_path / "classic.keras")
    loaded = keras.saving.load_model(tmp_path / "classic.keras")
    with untraced(loaded):
        assert_predicted_again(loaded.predict(feed, verbose=0), model.predict(feed, verbose=0))
        # The optimizer has the state that it had.
        for one in (model, loaded):
            one.train_on_batch(feed, labels)
    for got, expected in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)
