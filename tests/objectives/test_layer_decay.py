"""`LayerDecayAdamW` against NumPy, and in a training."""

import keras
import numpy as np
import pytest
from small_checkpoints import copy

import keras_qa
from keras_qa.objectives import LayerDecayAdamW
from keras_qa.recipes import Recipe

# Two batches are one update. Of six updates of the schedule the test computes two.
RECIPE = Recipe(
    epochs=6,
    batch_size=2,
    learning_rate=0.02,
    warmup=0.0,
    weight_decay=0.3,
    clip_norm=0.7,
    decay="linear",
    gradient_accumulation_steps=2,
    layer_decay=0.5,
)
FACTORS = {
    "tokens": 0.0625,
    "positions": 0.0625,
    "segments": 0.0625,
    "norm": 0.0625,
    "block_0": 0.125,
    "block_1": 0.25,
    "block_2": 0.5,
    "logits": 1.0,
}


@pytest.fixture
def model(tmp_path) -> keras_qa.models.SpanReader:
    keras.utils.set_random_seed(0)
    return keras_qa.load(copy("bert", tmp_path / "reader")).model_


def values(variables) -> list[np.ndarray]:
    return [keras.ops.convert_to_numpy(variable.value).copy() for variable in variables]


def by_numpy(weights, names, batches) -> list[np.ndarray]:
    """AdamW (Loshchilov & Hutter 2017) of averaged gradients, with a rate for each weight."""
    weights = [np.array(weight, "float64") for weight in weights]
    first, second = ([np.zeros_like(weight) for weight in weights] for _ in range(2))
    for update in range(len(batches) // 2):
        pair = batches[2 * update : 2 * update + 2]
        gradients = [(one + other) / 2 for one, other in zip(*pair, strict=True)]
        norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients))
        for place, (layer, kind) in enumerate(names):
            gradient = gradients[place] * min(1.0, 0.7 / norm)
            rate = 0.02 * (6 - update) / 6
            if kind not in ("bias", "gamma", "beta"):
                weights[place] -= rate * 0.3 * weights[place]
            first[place] = 0.9 * first[place] + 0.1 * gradient
            second[place] = 0.999 * second[place] + 0.001 * gradient**2
            corrected = np.sqrt(1 - 0.999 ** (update + 1)) / (1 - 0.9 ** (update + 1))
            step = corrected * first[place] / (np.sqrt(second[place]) + 1e-7)
            weights[place] -= FACTORS[layer] * rate * step
    return weights


def test_weights_are_those_of_numpy(model) -> None:
    variables = model.trainable_variables
    optimizer = RECIPE.optimizer(4)
    optimizer.build(variables)
    random = np.random.default_rng(0)
    batches = [[random.normal(size=v.shape).astype("float32") for v in variables] for _ in range(4)]
    names = [(v.path.split("/")[1], v.path.split("/")[-1]) for v in variables]
    expected = by_numpy(values(variables), names, batches)
    before = values(variables)
    for gradients in batches:
        optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients])
    for got, wanted, start in zip(values(variables), expected, before, strict=True):
        np.testing.assert_allclose(got, wanted, atol=2e-6)
        assert np.abs(wanted - start).max() > 5e-4


def test_a_model_trains_with_it() -> None:
    keras.utils.set_random_seed(0)
    ids = keras.Input((None,), dtype="int32", name="token_ids")
    encoder = keras_qa.layers.TransformerEncoder(
        20, 1, 1, 4, 6, max_length=8, num_segments=0, dropout=0.0, name="reader"
    )
    vectors = encoder([ids, keras.ops.ones_like(ids)])
    out = keras.layers.Dense(3, name="head")(vectors[:, 0])
    model = keras_qa.models.QAModel([ids], out)
    before = values(model.trainable_variables)
    model.compile(LayerDecayAdamW(0.02, layer_decay=0.5), "mean_squared_error")
    feed = np.arange(2, 18).reshape(4, 4)
    model.fit(feed, np.ones((4, 3)), epochs=1, verbose=0)
    factors = {"tokens": 0.25, "positions": 0.25, "norm": 0.25, "block_0": 0.5, "kernel": 1.0}
    # The first step of Adam changes each weight by its learning rate.
    for variable, start in zip(model.trainable_variables, before, strict=True):
        moved = np.abs(keras.ops.convert_to_numpy(variable.value) - start).max()
        factor = factors[variable.path.split("/")[1]] if variable.path != "head/bias" else 1.0
        assert moved == pytest.approx(0.02 * factor, rel=0.02), variable.path
