"""Whatever is done to a model between two calls, it predicts what `keras.Model` does."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from as_keras import (
    BACKEND,
    DENSE_CHANGES,
    ROWS,
    STEPS,
    assert_predicts_as_keras,
    fitted,
    keras_model,
    lora_of_words,
    small,
    without_loops,
)
from small_models import batch, same_weights

import keras_qa


def activation(model) -> None:
    model.get_layer("answer").logits.activation = keras.activations.tanh
    model.compile("sgd", "sparse_categorical_crossentropy")


def recurrent_activation(model) -> None:
    model.get_layer("text_encoder").recurrent.cell.activation = keras.activations.relu


def assigned(model) -> None:
    for weight in model.weights:
        weight.assign(weight.value * 1.5 + 0.1)


def frozen(model) -> None:
    model.get_layer("text_encoder").trainable = False


# Each change is made to a model with all changes before it. The last ones make logits so large that
# a change after them would have no effect.
CHANGES = [frozen, lora_of_words, assigned, activation, *DENSE_CHANGES, recurrent_activation]


def test_a_change_between_two_predictions_takes_effect() -> None:
    model = small()
    before = assert_predicts_as_keras(model)
    for change in CHANGES:
        if change is assigned:
            fitted(model)
            before = assert_predicts_as_keras(model)
        change(model.get_layer("answer").logits if change in DENSE_CHANGES else model)
        after = assert_predicts_as_keras(model)
        assert change is frozen or np.abs(after - before).max() > 1e-4, change.__name__
        before = after


def test_padding_that_is_no_longer_masked_is_read() -> None:
    model = small()
    feed, _ = batch(3 * ROWS)
    feed[0][:, 4:] = 0
    before = assert_predicts_as_keras(model, feed)
    model.get_layer("text_encoder").embedding.mask_zero = False
    assert np.abs(assert_predicts_as_keras(model, feed) - before).max() > 1e-2


def test_a_model_holds_another_with_an_encoder_of_the_same_name() -> None:
    inner = small()
    outer_ids = keras.Input((None,), dtype="int32", name="text")
    other = keras.Input((None,), dtype="int32", name="question")
    own = keras_qa.layers.text_encoder(50, 6, 5)(outer_ids)
    joined = keras.layers.Concatenate()([own, inner([outer_ids, other])])
    model = keras_qa.models.QAModel([outer_ids, other], keras.layers.Dense(3)(joined))
    assert_predicts_as_keras(model)


class Steps(keras_qa.models.QAModel):
    def predict_step(self, *arguments):
        outputs = super().predict_step(*arguments)
        return (outputs[0] * 2, outputs[1]) if BACKEND == "jax" else outputs * 2


def test_predict_step_that_is_overridden_is_called() -> None:
    base = small()
    model = Steps(base.inputs, base.outputs)
    feed, _ = batch(ROWS)
    expected = 2 * base.predict(feed, verbose=0)
    got = model.predict(feed, verbose=0)
    np.testing.assert_allclose(got[0] if isinstance(got, list) else got, expected, atol=1e-6)


class Eager(keras.layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.eager = False

    def call(self, x):
        self.eager = not keras.ops.is_tensor(x) or hasattr(x, "numpy") or BACKEND == "torch"
        if BACKEND == "jax":
            import jax

            self.eager = not isinstance(x, jax.core.Tracer)
        return x


def test_run_eagerly_is_heard_after_a_prediction() -> None:
    ids = keras.Input((None,), dtype="int32", name="text")
    layer = Eager()
    vector = keras_qa.layers.SequenceEncoder(50, 4, 3)(ids)
    model = keras_qa.models.QAModel([ids], layer(vector))
    feed = batch(ROWS)[0][0]
    model.predict(feed, verbose=0)
    model.compile("sgd", "mse", run_eagerly=True)
    model.predict(feed, verbose=0)
    assert layer.eager


def test_threads_may_predict_with_one_model() -> None:
    model = small()
    feed, _ = batch(4 * ROWS)
    expected = keras_model(model).predict(feed, verbose=0)
    parts = [slice(0, 1), slice(1, 4), slice(4, 12), slice(12, 32)]

    def assert_predicted(part: slice) -> None:
        for _ in range(12):
            got = model.predict([array[part] for array in feed], batch_size=ROWS, verbose=0)
            np.testing.assert_allclose(got, expected[part], atol=1e-5)

    with ThreadPoolExecutor(len(parts)) as pool:
        assert list(pool.map(assert_predicted, parts)) == [None] * len(parts)


def test_a_prediction_may_be_written_to() -> None:
    model = small()
    for rows in (1, ROWS, 3 * ROWS):
        model.predict(batch(rows)[0], batch_size=ROWS, verbose=0)[:] = 0


def test_a_model_that_was_trained_and_deleted_is_freed() -> None:
    # Collect only the objects of this test.
    gc.collect()
    gc.freeze()
    model = without_loops()
    fitted(model)
    model.predict(batch(ROWS)[0], verbose=0)
    alive = weakref.ref(model)
    # Keras keeps the seeds and the names of what was made last.
    keras.backend.clear_session()
    del model
    for _ in range(3):
        gc.collect()
    assert alive() is None


def sign(x):
    return x if float(keras.ops.sum(x)) > 0 else -x


if BACKEND == "torch":
    import torch

    # On the others Keras' own way fails at a layer that is called with `training`.
    def test_what_is_computed_again_is_left_to_keras() -> None:
        with keras.RematScope(mode="full"):
            model = small()
        assert_predicts_as_keras(model)
        fitted(model, STEPS + 2)

    def hook_layer(model, hook):
        return model.get_layer("answer").logits.register_forward_hook(hook)

    def hook_all(model, hook):
        return torch.nn.modules.module.register_module_forward_hook(hook)

    @pytest.mark.parametrize("register", [hook_layer, hook_all])
    def test_hooks_are_called(register) -> None:
        model = small()
        before = assert_predicts_as_keras(model)
        hook = register(
            model,
            lambda module, given, output: (
                output * 0.5 if isinstance(module, keras.layers.Dense) else None
            ),
        )
        try:
            halved = assert_predicts_as_keras(model)
        finally:
            hook.remove()
        assert np.abs(halved - before).max() > 1e-3
        np.testing.assert_array_equal(assert_predicts_as_keras(model), before)

    def test_autocast_is_left_to_keras() -> None:
        model = small()
        before = assert_predicts_as_keras(model)
        with torch.autocast("cpu", torch.bfloat16):
            assert_predicts_as_keras(model)
            assert model.predict(batch(ROWS)[0], verbose=0).dtype == np.float32
        np.testing.assert_array_equal(assert_predicts_as_keras(model), before)

    def test_weights_that_pytorch_changes_take_effect() -> None:
        model = small()
        before = assert_predicts_as_keras(model)
        parameters = [item for item in model.parameters() if item.is_floating_point()]
        for parameter in parameters:
            parameter.data.mul_(0.5)
        halved = assert_predicts_as_keras(model)
        assert np.abs(halved - before).max() > 1e-4
        feed, labels = batch(ROWS)
        optimizer = torch.optim.Adam(parameters, 0.1, fused=True)
        chances = model([torch.from_numpy(array) for array in feed])
        torch.nn.functional.nll_loss(chances.log(), torch.from_numpy(labels).long()).backward()
        optimizer.step()
        assert np.abs(assert_predicts_as_keras(model) - halved).max() > 1e-4

    def test_weights_of_another_dtype_are_cast_as_in_keras() -> None:
        model = small()
        assert_predicts_as_keras(model)
        model.to(torch.float64)
        feed, _ = batch(ROWS)
        got, expected = (one.predict(feed, verbose=0) for one in (model, keras_model(model)))
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, atol=1e-6)

    def test_activations_may_look_at_values() -> None:
        model = small()
        model.get_layer("answer").logits.activation = sign
        for seed in range(5):
            assert_predicts_as_keras(model, batch(ROWS, seed)[0])


if BACKEND == "tensorflow":
    import tensorflow as tf

    def test_a_model_of_a_strategy_is_fitted_outside_of_it() -> None:
        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            model = without_loops()
        before = assert_predicts_as_keras(model)
        model.fit(*batch(ROWS), verbose=0)
        assert np.abs(assert_predicts_as_keras(model) - before).max() > 1e-4


if BACKEND == "jax":
    import jax

    def test_settings_around_a_prediction_hold_in_it(monkeypatch) -> None:
        seen = []
        model = small()
        call = keras_qa.layers.AnswerHead.call

        def told(self, inputs, training=None):
            seen.append(jax.config.jax_default_matmul_precision)
            return call(self, inputs, training=training)

        told.__module__ = call.__module__
        monkeypatch.setattr(keras_qa.layers.AnswerHead, "call", told)
        with jax.default_matmul_precision("bfloat16"):
            model.predict(batch(4 * ROWS)[0], batch_size=ROWS, verbose=0)
        assert set(seen) == {"bfloat16"}

    def test_single_batches_leave_the_weights_whatever_is_raised(monkeypatch) -> None:
        model = small()
        feed, labels = batch(ROWS)
        model.train_on_batch(feed, labels)
        before = model.get_weights()

        def lost(*arguments):
            step(*arguments)
            raise KeyboardInterrupt

        step = model.train_function
        model.train_function = lost
        with pytest.raises(KeyboardInterrupt):
            model.train_on_batch(feed, labels)
        assert same_weights(model, before)
