"""Recipes for readers of spans."""

import dataclasses

import keras
import numpy as np
import pytest
from small_examples import SPANS as EXAMPLES

from keras_qa import recipes
from keras_qa.objectives import WarmupLinearDecay
from keras_qa.recipes import Recipe, recipe, train


def test_linear_schedule() -> None:
    recipe = Recipe(epochs=5, batch_size=10, learning_rate=0.2, warmup=0.25, decay="linear")
    # Four steps per epoch. The rate rises in five of the twenty steps.
    schedule = recipe.schedule(examples=35)
    rates = [float(schedule(step)) for step in range(22)]
    expected = [0.04 * step for step in range(5)]
    expected += [0.2 * (20 - step) / 15 for step in range(5, 21)] + [0.0]
    np.testing.assert_allclose(rates, expected, atol=1e-6)
    config = keras.optimizers.schedules.serialize(schedule)
    twin = keras.optimizers.schedules.deserialize(config)
    assert twin.get_config() == schedule.get_config()
    assert float(WarmupLinearDecay(0.2, 4)(1)) == pytest.approx(0.15)
    with pytest.raises(ValueError, match="`decay` must be .*Received: decay='steep'"):
        Recipe(decay="steep")


def test_default_recipes() -> None:
    assert recipes.recipe_for("two_branch_classifier") is recipe.DEFAULT
    assert recipes.recipe_for("universal_transformer") is recipe.UNIVERSAL_TRANSFORMER
    assert recipes.recipe_for("memory_network") is recipe.MEMORY_NETWORK
    assert recipes.recipe_for("span_reader") is recipe.SPAN_READER
    assert recipes.recipe_for("span_reader", {"backbone": "folder"}) is recipes.FINE_TUNING
    assert dataclasses.asdict(recipes.FINE_TUNING)["learning_rate"] == 1e-4
    options = {"backbone": "folder", "lora_rank": 8}
    assert recipes.recipe_for("span_reader", options) is recipes.LORA
    assert dataclasses.replace(recipes.FINE_TUNING, learning_rate=1e-3) == recipes.LORA


def test_best_epoch_of_a_reader_is_kept(tmp_path) -> None:
    out = tmp_path / "reader.keras"
    done = train(
        EXAMPLES,
        EXAMPLES,
        "span_reader",
        {"units": 8, "embedding_dim": 8, "dropout": 0.0},
        recipe=Recipe(epochs=12, batch_size=8, learning_rate=0.02, decay="linear"),
        out=out,
        verbose=0,
        answerer_options={"max_answer_words": 3},
    )
    run = done.runs[0]
    assert run.validation_error == 0.0
    accuracies, losses = run.history["val_accuracy"], run.history["val_loss"]
    assert run.epochs == len(losses)
    assert accuracies[run.best_epoch - 1] == 1.0
    right = [loss for loss, accuracy in zip(losses, accuracies, strict=True) if accuracy == 1.0]
    assert losses[run.best_epoch - 1] == min(right)
    assert done.answerer.model_.preprocessor.decoder.max_answer_words == 3
    assert (
        done.answerer.calibration_["temperature"]
        == done.answerer.model_.preprocessor.decoder.temperature
    )
    assert out.exists()
