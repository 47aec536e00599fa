"""The layer of CONTRIBUTING's recipe works outside of the package: predicted and saved."""

import pathlib
import types

import keras
import numpy as np
import pytest
from small_models import padded_batch, same_weights

import keras_qa

PAGE = pathlib.Path(__file__).parents[2] / "CONTRIBUTING.md"


@pytest.fixture(scope="module")
def recipe() -> types.ModuleType:
    """The code of the recipe, in a module of its own."""
    section = PAGE.read_text(encoding="utf-8").split("\n## How to add a layer\n")[1]
    code = section.split("```python\n")[1].split("```")[0]
    module = types.ModuleType("newcomer")
    exec(compile(code, PAGE.name, "exec"), vars(module))
    return module


def build_model(recipe: types.ModuleType, kind: type[keras.Model]) -> keras.Model:
    keras.utils.set_random_seed(0)
    ids = keras.Input((None,), dtype="int32", name="text")
    vector = recipe.MeanEncoder(50, 4)(ids)
    model = kind([ids], keras.layers.Dense(7, activation="softmax")(vector))
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    return model


def test_predictions_are_those_of_numpy_and_survive_saving(recipe, tmp_path) -> None:
    model = build_model(recipe, keras_qa.models.QAModel)
    (text, _), _ = padded_batch(48)
    text[5] = 0
    is_word = text != 0
    encoder, dense = model.layers[1:]
    table, (kernel, bias) = encoder.get_weights()[0], dense.get_weights()
    counts = np.maximum(is_word.sum(axis=1, keepdims=True), 1)
    logits = (table[text] * is_word[..., None]).sum(axis=1) / counts @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(text, batch_size=8, verbose=0), expected, atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(text, verbose=0), expected, atol=1e-6)


def test_an_id_beyond_the_vocabulary_raises(recipe) -> None:
    model = build_model(recipe, keras_qa.models.QAModel)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"`text`.*50"):
        model.fit(np.array([[3, 50]]), [0], verbose=0)
    assert same_weights(model, before)
