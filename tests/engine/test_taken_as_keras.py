"""What `keras.Model` takes is taken, saved and split; what would spoil the weights is refused."""

import keras
import numpy as np
import pytest
from as_keras import ROWS, changed_inside, keras_model, small, twins, without_loops
from small_models import STORY_QUESTION, STORY_TEXT, batch, universal

import keras_qa
from keras_qa.engine.copies import evidence_model, split_model

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


def test_a_changed_model_is_split() -> None:
    model = small()
    changed_inside(model)
    feed, _ = batch(ROWS)
    parts = split_model(model, "text")
    got = parts.finish(parts.encode(feed[0]), feed[1:])
    np.testing.assert_allclose(got, keras_model(model).predict(feed, verbose=0), atol=1e-5)


def test_a_changed_model_says_what_its_answers_rest_on() -> None:
    model = universal()
    model.get_layer("reasoner").hidden.enable_lora(2)
    feed = [STORY_TEXT, STORY_QUESTION]
    got = evidence_model(model).predict(feed, verbose=0)["answer"]
    np.testing.assert_allclose(got, keras_model(model).predict(feed, verbose=0), atol=1e-5)


def test_a_list_of_callbacks_is_taken_as_keras_has_it() -> None:
    model = without_loops()
    feed, labels = batch(ROWS)
    seen = []
    told = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    for _ in range(2):
        callbacks = keras.callbacks.CallbackList([told], add_history=True, model=model, epochs=2)
        model.fit(feed, labels, epochs=2, verbose=0, callbacks=callbacks)
    assert seen == [0, 1] * 2


def two_outputs() -> keras_qa.models.QAModel:
    base = without_loops()
    hidden = base.get_layer("features").output
    heads = [keras.layers.Dense(7, activation="softmax", name=name)(hidden) for name in "ab"]
    model = keras_qa.models.QAModel(base.inputs, heads)
    model.set_weights([0.1 * np.ones_like(weight) for weight in model.get_weights()])
    return model


class Rows(keras.losses.SparseCategoricalCrossentropy):
    """Takes rows of two labels, of which the first counts."""

    def call(self, y_true, y_pred):
        return super().call(y_true[:, :1], y_pred)


LABELS = batch(ROWS)[1]
WEIGHTS = [np.linspace(0, 1, ROWS), np.linspace(2, 0, ROWS)]
IGNORING = keras.losses.SparseCategoricalCrossentropy(ignore_class=255)


@pytest.mark.parametrize(
    ("make", "loss", "labels", "weights"),
    [
        (two_outputs, ["sparse_categorical_crossentropy"] * 2, [LABELS] * 2, WEIGHTS),
        (without_loops, IGNORING, np.where(np.arange(ROWS) < 3, 255, LABELS), None),
        (without_loops, Rows(), np.stack([LABELS, np.full(ROWS, 99)], axis=1), None),
    ],
    ids=["a list of weights", "an ignored class", "a derived loss"],
)
def test_losses_are_those_of_keras(make, loss, labels, weights) -> None:
    feed, _ = batch(ROWS)
    found = []
    for one in twins(make):
        one.compile("sgd", loss)
        given = {"sample_weight": weights, "verbose": 0, "return_dict": True}
        found.append(one.evaluate(feed, labels, **given))
    for name, value in found[1].items():
        np.testing.assert_allclose(found[0][name], value, rtol=1e-5)


class Cost(keras.layers.Layer):
    def call(self, x):
        self.add_loss(keras.ops.mean(keras.ops.square(x)))
        return x


def test_what_layers_add_may_be_all_the_loss() -> None:
    def make() -> keras_qa.models.QAModel:
        base = without_loops()
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


def double(x):
    return 2 * x


def triple(x):
    return 3 * x


def test_branches_in_a_graph_are_computed() -> None:
    numbers = keras.Input((4,), name="numbers")
    which = keras.ops.cast(keras.ops.sum(numbers) > 0, "int32")
    model = keras_qa.models.QAModel([numbers], keras.ops.switch(which, [double, triple], numbers))
    feed = np.ones((2, 4), "float32")
    np.testing.assert_array_equal(model.predict(feed, verbose=0), 3 * feed)
    np.testing.assert_array_equal(model.predict(-feed, verbose=0), -2 * feed)
