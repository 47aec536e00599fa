"""Whatever is done to a model between two calls, it gives what `keras.Model` gives."""

from __future__ import annotations

import gc
import re
import threading
import warnings
import weakref
from collections.abc import Callable

import keras
import numpy as np
import pytest
from small_models import STORY_QUESTION, STORY_TEXT, batch, same_weights, universal

import keras_qa

BACKEND = keras.config.backend()
# TensorFlow trains by XLA from so many steps on.
STEPS = 24
ROWS = 8


def small(**options) -> keras_qa.models.QAModel:
    keras.utils.set_random_seed(1)
    settings = {"optimizer": keras.optimizers.SGD(0.1), **options}
    model = keras_qa.models.answer_classifier(
        50, 40, 7, 6, 5, question_embedding_dim=4, question_units=3, **settings
    )
    # Large enough for each change to be seen.
    model.set_weights([3 * weight for weight in model.get_weights()])
    return model


def keras_model(model: keras.Model) -> keras.Model:
    """Keras' own model of the same layers."""
    return keras.Model(model.inputs, model.outputs)


def fitted(model: keras.Model, steps: int = STEPS) -> None:
    feed, labels = batch(ROWS)
    model.fit(feed, labels, batch_size=ROWS, epochs=steps, shuffle=False, verbose=0)


def assert_predicts_as_keras(model: keras.Model, feed=None) -> np.ndarray:
    feed = batch(3 * ROWS)[0] if feed is None else feed
    expected = keras_model(model).predict(feed, verbose=0)
    for batch_size in (ROWS, 32):
        got = model.predict(feed, batch_size=batch_size, verbose=0)
        np.testing.assert_allclose(got, expected, atol=1e-5)
    return expected


class Twice(keras.layers.Layer):
    """What somebody else has written."""

    def call(self, x):
        return 2 * x


def lora(model) -> None:
    dense = model.get_layer("answer").logits
    dense.enable_lora(2)
    dense.lora_kernel_b.assign(np.random.default_rng(0).normal(size=dense.lora_kernel_b.shape))


def lora_compiled(model) -> None:
    lora(model)
    model.compile("sgd", "sparse_categorical_crossentropy")


def lora_of_words(model) -> None:
    embedding = model.get_layer("text_encoder").embedding
    embedding.enable_lora(2)
    added = embedding.lora_embeddings_b
    added.assign(np.random.default_rng(0).normal(size=added.shape))


def quantized(model) -> None:
    model.get_layer("answer").logits.quantize("int8")


def quantized_words(model) -> None:
    model.get_layer("text_encoder").embedding.quantize("int8")


def activation(model) -> None:
    model.get_layer("answer").logits.activation = keras.activations.tanh
    model.compile("sgd", "sparse_categorical_crossentropy")


def recurrent_activation(model) -> None:
    model.get_layer("text_encoder").recurrent.cell.activation = keras.activations.relu


def own_activation(model) -> None:
    model.get_layer("answer").logits.activation = lambda x: 3 * x


def pooling(model) -> None:
    model.get_layer("text_encoder").pooling = "last"
    model.get_layer("text_encoder").recurrent.return_sequences = False


def assigned(model) -> None:
    for weight in model.weights:
        weight.assign(weight.value * 1.5 + 0.1)


def set_at_once(model) -> None:
    model.set_weights([weight * 0.5 for weight in model.get_weights()])


def frozen(model) -> None:
    model.get_layer("text_encoder").trainable = False


def without_kernels(model) -> None:
    model.get_layer("text_encoder").recurrent.fused = False


def overridden_call(model) -> None:
    layer = model.get_layer("answer")
    call = layer.call
    layer.call = lambda inputs, training=None: 0.5 * call(inputs, training=training)


CHANGES = [
    lora, lora_compiled, lora_of_words, quantized, quantized_words, activation,
    recurrent_activation, own_activation, assigned, set_at_once, frozen, without_kernels,
    overridden_call,
]  # fmt: skip


# The others are trained in the long form.
AFTER_TRAINING = {lora_compiled, activation, assigned}


@pytest.mark.parametrize(
    ("change", "trained"),
    [
        pytest.param(
            change,
            trained,
            marks=[pytest.mark.full] if trained and change not in AFTER_TRAINING else [],
            id=f"{change.__name__}{'-trained' * trained}",
        )
        for change in CHANGES
        for trained in (False, True)
    ],
)
def test_what_is_changed_between_two_predictions_counts(change, trained: bool) -> None:
    model = small()
    before = assert_predicts_as_keras(model)
    if trained:
        fitted(model)
        before = assert_predicts_as_keras(model)
    change(model)
    after = assert_predicts_as_keras(model)
    assert change in (frozen, without_kernels) or np.abs(after - before).max() > 1e-4


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
    feeds = [batch(rows, seed=rows)[0] for rows in (1, 3, 8, 20)]
    expected = [keras_model(model).predict(feed, verbose=0) for feed in feeds]
    failures = []

    def ask(feed, right) -> None:
        for _ in range(12):
            try:
                got = model.predict(feed, batch_size=ROWS, verbose=0)
                np.testing.assert_allclose(got, right, atol=1e-5)
            except Exception as error:  # noqa: BLE001
                failures.append(error)

    threads = [
        threading.Thread(target=ask, args=pair) for pair in zip(feeds, expected, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_prediction_may_be_written_to() -> None:
    model = small()
    for rows in (1, ROWS, 3 * ROWS):
        model.predict(batch(rows)[0], batch_size=ROWS, verbose=0)[:] = 0


def test_a_model_that_was_trained_and_deleted_is_freed() -> None:
    model = small()
    fitted(model)
    model.predict(batch(ROWS)[0], verbose=0)
    alive = weakref.ref(model)
    # Keras keeps the seeds and the names of what was made last.
    keras.backend.clear_session()
    del model
    for _ in range(3):
        gc.collect()
    assert alive() is None


def twins(make: Callable[[], keras.Model]) -> tuple[keras.Model, keras.Model]:
    """A model, and Keras' own of other layers with the same weights."""
    model = make()
    other = make()
    other.set_weights(model.get_weights())
    return model, keras_model(other)


def assert_trains_as_keras(model, plain, feed=None, labels=None, epochs=STEPS + 2) -> None:
    """Trains both for more steps than any way of ours waits for."""
    if feed is None:
        feed, labels = batch(ROWS)
    histories = [
        one.fit(feed, labels, batch_size=ROWS, epochs=epochs, shuffle=False, verbose=0).history
        for one in (model, plain)
    ]
    assert histories[0].keys() == histories[1].keys()
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-4, atol=1e-5)
    for got, expected in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-5)


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.01, global_clipnorm=1.0),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
    "lion": lambda: keras.optimizers.Lion(0.001),
}


@pytest.mark.parametrize(
    "name", ["sgd", "adam", *(pytest.param(n, marks=pytest.mark.full) for n in ("rmsprop", "lion"))]
)
def test_each_optimizer_trains_as_in_keras(name: str) -> None:
    model, plain = twins(small)
    for one in (model, plain):
        one.compile(OPTIMIZERS[name](), "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert_trains_as_keras(model, plain)


def test_a_model_of_which_all_is_frozen_is_fitted() -> None:
    model = small()
    model.trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_weights()
    with warnings.catch_warnings():
        # PyTorch alone says that there is nothing to train.
        warnings.filterwarnings("ignore", message="The model does not have any trainable weights")
        fitted(model, STEPS + 2)
    for got, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, expected)


class Doubled(keras_qa.models.QAModel):
    """Its `compute_loss` knows nothing of `training`."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return 2 * super().compute_loss(x, y, y_pred, sample_weight)


def test_a_loss_of_ones_own_is_computed() -> None:
    models = []
    for kind in (Doubled, keras_qa.models.QAModel):
        base = small()
        model = kind(base.inputs, base.outputs)
        rate = 0.1 if kind is Doubled else 0.2
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
        fitted(model, STEPS + 2)
        models.append(model.get_weights())
    for one, other in zip(*models, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_a_rate_that_is_changed_between_two_trainings_counts() -> None:
    model = small(dropout=0.5)
    fitted(model)
    for branch in ("text_encoder", "question_encoder"):
        model.get_layer(branch).word_dropout.rate = 0.0
    model.get_layer("answer").input_dropout.rate = 0.0
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    plain = keras_model(small())
    weights = {variable.path: variable.numpy() for variable in model.trainable_variables}
    for variable in plain.trainable_variables:
        variable.assign(weights[variable.path])
    plain.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    feed, labels = batch(ROWS)
    losses = [
        one.fit(feed, labels, batch_size=ROWS, epochs=STEPS, shuffle=False, verbose=0).history
        for one in (model, plain)
    ]
    np.testing.assert_allclose(losses[0]["loss"], losses[1]["loss"], rtol=1e-4)


def masked_outputs() -> keras_qa.models.QAModel:
    """A label for each word, as padding is masked."""
    keras.utils.set_random_seed(2)
    ids = keras.Input((None,), dtype="int32", name="text")
    words = keras.layers.Embedding(50, 4, mask_zero=True)(ids)
    states = keras_qa.layers.LSTM(3, return_sequences=True)(words)
    model = keras_qa.models.QAModel([ids], keras.layers.Dense(7, activation="softmax")(states))
    return model


def test_outputs_keep_their_mask_in_loss_and_metrics() -> None:
    model, plain = twins(masked_outputs)
    ids = np.array([[3, 4, 5, 0], [6, 7, 0, 0]] * 4, "int32")
    labels = np.array([[1, 2, 3, 0], [4, 5, 0, 0]] * 4, "int32")
    for one in (model, plain):
        one.compile(
            keras.optimizers.SGD(0.1),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            weighted_metrics=["accuracy"],
        )
    assert_trains_as_keras(model, plain, [ids], labels)


def test_seeded_dropout_of_keras_draws_as_in_keras() -> None:
    def make() -> keras_qa.models.QAModel:
        keras.utils.set_random_seed(3)
        ids = keras.Input((None,), dtype="int32", name="text")
        vector = keras_qa.layers.SequenceEncoder(50, 4, 3)(ids)
        vector = keras.layers.GaussianNoise(0.3, seed=5)(keras.layers.Dropout(0.5, seed=4)(vector))
        return keras_qa.models.QAModel([ids], keras.layers.Dense(7, activation="softmax")(vector))

    model, plain = twins(make)
    for one in (model, plain):
        one.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    feed, labels = batch(ROWS)
    assert_trains_as_keras(model, plain, feed[:1], labels)


def test_a_loss_that_calls_what_cannot_be_compiled_is_computed() -> None:
    calls = []

    def loss(y_true, y_pred):
        if BACKEND == "tensorflow":
            import tensorflow as tf

            tf.numpy_function(lambda: calls.append(1), [], [])
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)

    model = small()
    model.compile(keras.optimizers.SGD(0.1), loss)
    fitted(model, STEPS + 2)
    assert len(calls) == (STEPS + 2 if BACKEND == "tensorflow" else 0)


def changed_inside(model) -> None:
    lora_of_words(model)
    model.get_layer("question_encoder").embedding.trainable = False
    model.get_layer("answer").logits.enable_lora(3)


# Keras says which layers it does not quantize.
quantizing = pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")


@quantizing
@pytest.mark.parametrize("change", [changed_inside, lambda model: model.quantize("int8")])
def test_what_is_changed_inside_of_layers_is_saved(change, tmp_path) -> None:
    model = small()
    change(model)
    model.save(tmp_path / "changed.keras")
    loaded = keras.saving.load_model(tmp_path / "changed.keras")
    feed, _ = batch(ROWS)
    expected = keras_model(model).predict(feed, verbose=0)
    np.testing.assert_allclose(loaded.predict(feed, verbose=0), expected, atol=1e-6)
    assert [v.path for v in loaded.trainable_variables] == [
        v.path for v in model.trainable_variables
    ]


@quantizing
def test_all_that_keras_quantizes_is_quantized() -> None:
    model = small()
    model.quantize("int8")
    for layer in (
        model.get_layer("text_encoder").embedding,
        model.get_layer("question_encoder").embedding,
        model.get_layer("answer").logits,
    ):
        assert layer.quantization_mode == "int8"
    assert_predicts_as_keras(model)


def test_a_changed_model_is_split() -> None:
    model = small()
    changed_inside(model)
    feed, _ = batch(ROWS)
    parts = model.split("text")
    got = parts.finish(parts.encode(feed[0]), feed[1:])
    np.testing.assert_allclose(got, keras_model(model).predict(feed, verbose=0), atol=1e-5)


def test_a_changed_model_says_what_its_answers_rest_on() -> None:
    model = universal()
    model.get_layer("reasoner").hidden.enable_lora(2)
    feed = [STORY_TEXT, STORY_QUESTION]
    got = model.evidence().predict(feed)["answer"]
    np.testing.assert_allclose(got, keras_model(model).predict(feed, verbose=0), atol=1e-5)


def test_a_list_of_callbacks_is_taken_as_keras_has_it() -> None:
    model = small()
    feed, labels = batch(ROWS)
    seen = []
    told = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    for _ in range(2):
        callbacks = keras.callbacks.CallbackList([told], add_history=True, model=model, epochs=2)
        model.fit(feed, labels, epochs=2, verbose=0, callbacks=callbacks)
    assert seen == [0, 1] * 2


def two_outputs() -> keras_qa.models.QAModel:
    base = small()
    hidden = base.get_layer("features").output
    heads = [keras.layers.Dense(7, activation="softmax", name=name)(hidden) for name in "ab"]
    model = keras_qa.models.QAModel(base.inputs, heads)
    model.set_weights([0.1 * np.ones_like(weight) for weight in model.get_weights()])
    return model


def test_weights_of_examples_may_be_a_list_for_a_list_of_outputs() -> None:
    feed, labels = batch(ROWS)
    weights = [np.linspace(0, 1, ROWS), np.linspace(2, 0, ROWS)]
    losses = []
    for one in twins(two_outputs):
        one.compile("sgd", ["sparse_categorical_crossentropy"] * 2)
        losses.append(one.evaluate(feed, [labels] * 2, sample_weight=weights, verbose=0))
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


class Cost(keras.layers.Layer):
    def call(self, x):
        self.add_loss(keras.ops.mean(keras.ops.square(x)))
        return x


def test_what_layers_add_may_be_all_the_loss() -> None:
    def make() -> keras_qa.models.QAModel:
        base = small()
        return keras_qa.models.QAModel(base.inputs, Cost()(base.get_layer("features").output))

    model, plain = twins(make)
    for one in (model, plain):
        one.compile(keras.optimizers.SGD(0.1))
    feed, _ = batch(ROWS)
    losses = [
        one.fit(feed, batch_size=ROWS, epochs=3, shuffle=False, verbose=0).history["loss"]
        for one in (model, plain)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    assert losses[0][-1] < losses[0][0]


def test_a_class_may_be_left_out_of_the_loss() -> None:
    feed, labels = batch(ROWS)
    labels[:3] = 255
    losses = []
    for one in twins(small):
        one.compile("sgd", keras.losses.SparseCategoricalCrossentropy(ignore_class=255))
        losses.append(np.ravel(one.evaluate(feed, labels, verbose=0))[0])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


class Rows(keras.losses.SparseCategoricalCrossentropy):
    """Takes rows of two labels, of which the first counts."""

    def call(self, y_true, y_pred):
        return super().call(y_true[:, :1], y_pred)


def test_a_loss_derived_from_keras_may_take_other_labels() -> None:
    feed, labels = batch(ROWS)
    both = np.stack([labels, np.full(ROWS, 99)], axis=1)
    losses = []
    for one in twins(small):
        one.compile("sgd", Rows())
        losses.append(np.ravel(one.evaluate(feed, both, verbose=0))[0])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


MASKED = np.ma.masked_array(np.ones((ROWS, 9), "int32"), mask=np.eye(ROWS, 9))
BAD = {
    "class weight nan": ({"class_weight": {0: np.nan}}, "`class_weight` must hold finite"),
    "class weight inf": ({"class_weight": {0: np.inf}}, "`class_weight` must hold finite"),
    "class weight": ({"class_weight": {7: 1.0}}, "`class_weight` holds `7`, but the classes are"),
    "large weight": ({"sample_weight": np.full(ROWS, 1e39)}, "`sample_weight` must hold finite"),
    "larger weight": ({"sample_weight": np.full(ROWS, 1e300)}, "`sample_weight` must hold finite"),
    "masked": ({"x": [MASKED, batch(ROWS)[0][1]]}, "`text`: it is a masked array"),
    "never": ({"validation_freq": 0}, "`validation_freq` must be a positive"),
    "keys": (
        {"x": dict.fromkeys(map(str, range(100_000)), 0)},
        "The feed has no key `text`, `question`. Expected: `text`, `question`. Received: `0`, "
        "`1`, `2`, `3`, `4` and 99,995 more.",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_would_spoil_the_weights_is_refused(case: str) -> None:
    model = small()
    before = model.get_weights()
    feed, labels = batch(ROWS)
    given, message = BAD[case]
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        model.fit(**{"x": feed, "y": labels, "verbose": 0, **given})
    assert len(str(caught.value)) <= 300
    assert "\n" not in str(caught.value)
    assert same_weights(model, before)


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
        assert not model._predictor.is_ours

    def test_hooks_are_called() -> None:
        model = small()
        feed, _ = batch(ROWS)
        before = model.predict(feed, verbose=0)
        hook = model.get_layer("answer").logits.register_forward_hook(
            lambda module, given, output: output * 0.0
        )
        np.testing.assert_allclose(model.predict(feed, verbose=0), 1 / 7, atol=1e-6)
        hook.remove()
        np.testing.assert_array_equal(model.predict(feed, verbose=0), before)

    @pytest.mark.parametrize("way", ["data", "optimizer", "vector", "view"])
    def test_weights_that_pytorch_changes_count(way: str) -> None:
        model = small()
        before = assert_predicts_as_keras(model)
        parameters = [item for item in model.parameters() if item.is_floating_point()]
        if way == "data":
            for parameter in parameters:
                parameter.data.mul_(0.5)
        elif way == "optimizer":
            feed, labels = batch(ROWS)
            optimizer = torch.optim.Adam(parameters, 0.1, fused=True)
            chances = model([torch.from_numpy(array) for array in feed])
            torch.nn.functional.nll_loss(chances.log(), torch.from_numpy(labels).long()).backward()
            optimizer.step()
        elif way == "vector":
            vector = torch.nn.utils.parameters_to_vector(parameters)
            torch.nn.utils.vector_to_parameters(vector * 0.5, parameters)
        else:
            for parameter in parameters:
                parameter.detach().numpy()[...] *= 0.5
        after = assert_predicts_as_keras(model)
        assert np.abs(after - before).max() > 1e-4

    def test_activations_may_look_at_values() -> None:
        model = small()
        model.get_layer("answer").logits.activation = sign
        for seed in range(5):
            assert_predicts_as_keras(model, batch(ROWS, seed)[0])


if BACKEND == "tensorflow":
    import tensorflow as tf

    def test_a_model_of_a_strategy_is_fitted_outside_of_it() -> None:
        with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
            model = small()
        assert_predicts_as_keras(model)
        fitted(model, STEPS + 2)

    def test_without_xla_as_it_is_asked_for() -> None:
        model = small()
        model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
        fitted(model, STEPS + 2)
        assert not model._trains_by_xla
        model.compile("sgd", "sparse_categorical_crossentropy")
        fitted(model, STEPS + 2)
        assert model._trains_by_xla


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
