"""A training that is resumed from a file ends in the weights of an unbroken one, bit for bit."""

import keras
import numpy as np
import pytest
from small_models import padded_batch, small_model

BATCH_SIZE, EPOCHS, BROKEN_OFF = 2, 10, 8


def fitted(model: keras.Model, steps: int, begin: int, end: int, of: int) -> keras.Model:
    """Trains for some epochs. The order of the rows follows NumPy's seed and the epoch."""
    feed, labels = padded_batch(BATCH_SIZE * of)
    np.random.seed(5)
    options = {"batch_size": BATCH_SIZE, "verbose": 0}
    if of != steps:
        options["steps_per_epoch"] = steps
    model.fit(feed, labels, initial_epoch=begin, epochs=end, **options)
    return model


@pytest.mark.parametrize(("steps", "of"), [(4, 4), (40, 40), (4, 7)])
def test_resumed_training_is_unbroken_training(steps: int, of: int, tmp_path) -> None:
    unbroken = fitted(small_model(optimizer="adam"), steps, 0, EPOCHS, of)
    start = small_model(optimizer="adam").get_weights()
    assert not any(map(np.array_equal, unbroken.get_weights(), start))
    fitted(small_model(optimizer="adam"), steps, 0, BROKEN_OFF, of).save(tmp_path / "model.keras")
    resumed = keras.saving.load_model(tmp_path / "model.keras")
    fitted(resumed, steps, BROKEN_OFF, EPOCHS, of)
    for got, expected in zip(resumed.get_weights(), unbroken.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert int(resumed.optimizer.iterations) == steps * EPOCHS
