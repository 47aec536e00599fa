"""Recipes: defaults, schedules of the learning rate, weight decay, and wrong settings."""

import dataclasses
import re

import keras
import numpy as np
import pytest
from recipe_cases import small

from keras_qa.training import Recipe
from keras_qa.training import recipe as defaults


def test_mapping_replaces_fields_of_the_default_recipe() -> None:
    changed = {"epochs": 2, "batch_size": 32, "clip_norm": 0.5, "weight_decay": 0.25}
    done = small(recipe={**changed, "augment_to": ()})
    assert done.runs[0].epochs == 2
    optimizer = done.answerer.model_.optimizer
    assert (optimizer.weight_decay, optimizer.global_clipnorm) == (0.25, 0.5)
    with pytest.raises(TypeError, match="epoch_count"):
        small(recipe={"epoch_count": 3})


@pytest.mark.parametrize(
    ("decay", "fall"),
    [
        ("cosine", 0.1 * (1 + np.cos(np.pi * np.arange(1, 16) / 15))),
        ("linear", 0.2 * np.arange(14, -1, -1) / 15),
    ],
)
def test_schedule(decay: str, fall: np.ndarray) -> None:
    # 5 epochs of 4 steps: the rate rises for 5 steps and falls for 15.
    recipe = Recipe(epochs=5, batch_size=10, learning_rate=0.2, warmup=0.25, decay=decay)
    schedule = recipe.schedule(examples=35)
    rates = [float(schedule(step)) for step in range(22)]
    np.testing.assert_allclose(rates, [*np.linspace(0, 0.2, 6), *fall, 0.0], atol=1e-6)
    config = keras.optimizers.schedules.serialize(schedule)
    assert keras.optimizers.schedules.deserialize(config).get_config() == schedule.get_config()
    recipe = Recipe(epochs=1, batch_size=1, learning_rate=0.2, warmup=0, decay=decay)
    rates = [float(recipe.schedule(examples=4)(step)) for step in (0, 2, 4)]
    np.testing.assert_allclose(rates, [0.2, 0.1, 0], atol=1e-7)


def test_schedule_with_gradient_accumulation() -> None:
    # 5 epochs of 4 batches with 3 batches per update: 6 updates, and two batches are dropped.
    recipe = Recipe(epochs=5, batch_size=10, learning_rate=0.5, warmup=0.2, decay="linear")
    recipe = dataclasses.replace(recipe, gradient_accumulation_steps=3)
    schedule = recipe.schedule(examples=35)
    rates = [float(schedule(step)) for step in range(20)]
    expected = np.repeat([0.0, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0], 3)[:20]
    np.testing.assert_allclose(rates, expected, atol=1e-7)
    optimizer = recipe.optimizer(35)
    twin = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert twin.get_config() == optimizer.get_config()
    # The rate is that of as many batches of three times the size.
    cosine = dataclasses.replace(recipe, decay="cosine")
    large = dataclasses.replace(cosine, gradient_accumulation_steps=1, epochs=6, batch_size=35)
    rates, expected = cosine.schedule(examples=35), large.schedule(examples=35)
    for step in range(7):
        assert float(rates(3 * step)) == pytest.approx(float(expected(step)))


def test_too_few_batches_for_an_update() -> None:
    recipe = Recipe(epochs=2, batch_size=16, gradient_accumulation_steps=5)
    message = r"^`gradient_accumulation_steps` is 5, but all epochs together have 4 batches, .*$"
    with pytest.raises(ValueError, match=message):
        recipe.optimizer(32)
    assert dataclasses.replace(recipe, epochs=3).optimizer(32).gradient_accumulation_steps == 5


def test_weights_without_weight_decay() -> None:
    # One step sets decayed weights to zero, and Adam changes the others very little.
    recipe = Recipe(epochs=1, batch_size=32, learning_rate=1e-9, weight_decay=1e9, warmup=0.0)
    options = {"embedding_dim": 8, "num_heads": 2, "num_steps": 1}
    done = small(model="universal_transformer", model_options=options, recipe=recipe)
    weights = {w.path: keras.ops.convert_to_numpy(w) for w in done.answerer.model_.weights}
    kept = {path.split("/")[-1] for path, weight in weights.items() if np.abs(weight).max() > 1e-6}
    # The bias is the one of a gate, whose initial value is not zero.
    assert kept == {"gamma", "places", "query_signal", "step_signals", "bias"}


def test_weight_decay_selects_adamw() -> None:
    optimizer = Recipe(weight_decay=0.01, clip_norm=2.0).optimizer(100)
    assert isinstance(optimizer, keras.optimizers.AdamW)
    assert (optimizer.weight_decay, optimizer.global_clipnorm) == (0.01, 2.0)
    plain = Recipe().optimizer(100)
    assert isinstance(plain, keras.optimizers.Adam)
    assert (plain.weight_decay, plain.global_clipnorm) == (None, 1.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("batch_size", -1),
        ("patience", 1.5),
        ("learning_rate", 0.0),
        ("warmup", 1.0),
        ("linear_start", 1.0),
        ("hard_example_share", 0.0),
        ("hard_example_share", 1.5),
        ("weight_decay", -1.0),
        ("clip_norm", float("nan")),
        ("augment_to", -1),
        ("augment_to", (9, -1)),
        ("gradient_accumulation_steps", 0),
        ("gradient_accumulation_steps", 2.5),
        ("decay", "steep"),
    ],
)
def test_recipe_out_of_range(name: str, value: object) -> None:
    received = re.escape(f"Received: {name}={value!r}.")
    with pytest.raises(ValueError, match=rf"^`{name}` must .* {received}$"):
        Recipe(**{name: value})


def test_default_recipes() -> None:
    lora = {"backbone": "folder", "lora_rank": 8}
    for model, options, expected in (
        ("answer_classifier", None, defaults.DEFAULT),
        ("universal_transformer", None, defaults.UNIVERSAL_TRANSFORMER),
        ("memory_network", None, defaults.MEMORY_NETWORK),
        ("span_reader", None, defaults.SPAN_READER),
        ("span_reader", {"backbone": "folder"}, defaults.FINE_TUNING),
        ("span_reader", lora, defaults.LORA),
    ):
        assert defaults.recipe_for(model, options) is expected
    assert (defaults.FINE_TUNING.learning_rate, defaults.LORA.learning_rate) == (1e-4, 1e-3)
    message = "^`model` must be .*'answer_classifier'.* Received: model='two_branch_classifier'"
    with pytest.raises(ValueError, match=message):
        defaults.recipe_for("two_branch_classifier")
    # The second of several names, before the first one is trained.
    with pytest.raises(ValueError, match="Received: model='memory_net'"):
        small(model=["memory_network", "memory_net"], model_options=None)
