"""Readers with `LayerDecayAdamW`: the factors of layers, files, recipes."""

import keras
import numpy as np
import pytest
from small_checkpoints import copy

import keras_qa
from keras_qa import Example
from keras_qa.models.compiling import recompile
from keras_qa.models.pretrained import transformer_of
from keras_qa.objectives import LayerDecayAdamW
from keras_qa.objectives.layer_decay import layer_factors
from keras_qa.recipes import Recipe, train

TEXT = "Mary went to the bathroom, then she slept at home."
EXAMPLES = [Example(TEXT, "Who went?", "Mary", 0), Example(TEXT, "Where?", "home", 45)]

# Encoders with two, three and four blocks.
EXPECTED = {
    "albert": {"tokens": 2**-3, "project": 2**-3, "block_0": 2**-2, "block_1": 2**-1, "logits": 1},
    "deberta-v2": {"norm": 2**-4, "relative": 1, "relative_norm": 1, "block_2": 2**-1},
    "modernbert": {"block_0": 2**-4, "final_norm": 1, "final_dense": 1, "final_dense_norm": 1},
}


@pytest.mark.parametrize("kind", EXPECTED)
def test_factors_of_each_layer(kind: str, tmp_path) -> None:
    model = keras_qa.load(copy(kind, tmp_path / "reader")).model_
    paths = [variable.path for variable in model.trainable_variables]
    layers = [path.split("/")[1] for path in paths]
    factors = dict(zip(layers, layer_factors(paths, 0.5), strict=True))
    assert {name: factors[name] for name in EXPECTED[kind]} == EXPECTED[kind]


def test_similar_names_outside_the_encoder_have_the_full_rate() -> None:
    paths = ["a/block_1/hidden/bias", "norm/gamma", "b/norm/gamma", "a/b/norm/gamma"]
    assert layer_factors([*paths, "a/norm/gamma", "block_3/kernel"], 0.1) == pytest.approx(
        [0.1, 1, 1, 1, 0.001, 1]
    )


def test_a_recipe_trains_a_reader_and_its_saved_file(tmp_path) -> None:
    options = {"backbone": str(copy("bert", tmp_path / "reader"))}
    given = {"epochs": 1, "batch_size": 1, "gradient_accumulation_steps": 2, "layer_decay": 0.5}
    out = tmp_path / "qa.keras"
    done = train(EXAMPLES, None, "span_reader", options, given, out=out, verbose=0)
    trained = done.answerer.model_.optimizer
    assert (trained.layer_decay, trained.weight_decay) == (0.5, 0.01)
    assert (trained.gradient_accumulation_steps, int(trained.iterations)) == (2, 1)
    model = keras_qa.load(out).model_
    loaded = model.optimizer
    assert isinstance(loaded, LayerDecayAdamW)
    assert loaded.get_config() == trained.get_config()
    assert loaded.factors == trained.factors
    for one, other in zip(loaded.variables, trained.variables, strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one.value, other.value)))
    # With LoRA, other weights are trained.
    transformer_of(model).enable_lora(2)
    recompile(model, loaded)
    kinds = [variable.path.split("/")[1] for variable in model.trainable_variables]
    expected = {"block_0": 0.125, "block_1": 0.25, "block_2": 0.5, "logits": 1.0}
    assert set(zip(kinds, model.optimizer.factors, strict=True)) == set(expected.items())


def test_a_recipe_for_another_model_raises() -> None:
    message = r"^`layer_decay` needs trained blocks of .* Leave it out for other models\.$"
    recipe = Recipe(epochs=1, batch_size=2, layer_decay=0.5)
    with pytest.raises(ValueError, match=message):
        train(EXAMPLES, model="span_reader", recipe=recipe, verbose=0)
