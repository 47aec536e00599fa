"""A training that is resumed from a file ends in the weights of an unbroken one, bit for bit."""

import keras
import numpy as np
from small_models import make_variables, padded_batch, small_model, state

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


def test_resumed_training_is_unbroken_training(tmp_path) -> None:
    path = tmp_path / "model.keras"

    def save(epoch: int, logs) -> None:
        if epoch + 1 == BROKEN_OFF:
            unbroken.save(path)

    unbroken, resumed = small_model(optimizer="adam"), None
    make_variables(unbroken, *padded_batch(BATCH_SIZE))
    start = [keras.ops.convert_to_numpy(variable) for variable in state(unbroken)]
    # All batches in each epoch, and epochs that go on where the last one ended.
    for of in (STEPS, 7):
        for variable, value in zip(state(unbroken), start, strict=True):
            variable.assign(value)
        fitted(unbroken, 0, of, [keras.callbacks.LambdaCallback(on_epoch_end=save)])
        assert not any(map(np.array_equal, unbroken.get_weights(), start))
        if resumed is None:
            resumed = keras.saving.load_model(path)
        else:
            # TensorFlow would trace another model again.
            resumed.load_weights(path)
        fitted(resumed, BROKEN_OFF, of)
        for got, expected in zip(resumed.get_weights(), unbroken.get_weights(), strict=True):
            np.testing.assert_array_equal(got, expected)
        assert int(resumed.optimizer.iterations) == STEPS * EPOCHS
