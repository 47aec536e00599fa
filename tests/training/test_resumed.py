"""A training that is resumed from a file ends in the weights of an unbroken one, bit for bit."""

import keras
import numpy as np
import pytest
from small_models import padded_batch, small_model

BATCH_SIZE, EPOCHS, BROKEN_OFF, STEPS = 2, 6, 4, 4


def fitted(model: keras.Model, begin: int, of: int, callbacks=()) -> keras.Model:
    """Trains to the last epoch. The order of the rows follows NumPy's seed and the epoch."""
    feed, labels = padded_batch(BATCH_SIZE * of)
    np.random.seed(5)
    options = {"batch_size": BATCH_SIZE, "verbose": 0, "callbacks": callbacks}
    if of != STEPS:
        options["steps_per_epoch"] = STEPS
    model.fit(feed, labels, initial_epoch=begin, epochs=EPOCHS, **options)
    return model


@pytest.mark.parametrize("of", [STEPS, 7])
def test_resumed_training_is_unbroken_training(of: int, tmp_path) -> None:
    path = tmp_path / "model.keras"

    def save(epoch: int, logs) -> None:
        if epoch + 1 == BROKEN_OFF:
            unbroken.save(path)

    unbroken = small_model(optimizer="adam")
    start = unbroken.get_weights()
    fitted(unbroken, 0, of, [keras.callbacks.LambdaCallback(on_epoch_end=save)])
    assert not any(map(np.array_equal, unbroken.get_weights(), start))
    resumed = fitted(keras.saving.load_model(path), BROKEN_OFF, of)
    for got, expected in zip(resumed.get_weights(), unbroken.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert int(resumed.optimizer.iterations) == STEPS * EPOCHS
