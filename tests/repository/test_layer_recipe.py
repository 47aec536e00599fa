"""The layer in CONTRIBUTING's recipe works outside of the package: batched, trained, saved."""

import pathlib
import types

import keras
import numpy as np
import pytest
from as_keras import keras_model
from small_models import padded_batch

import keras_qa
from keras_qa.inputs.batching import PredictionBatches, SortedBatches, grid_width

PAGE = pathlib.Path(__file__).parents[2] / "CONTRIBUTING.md"


@pytest.fixture(scope="module")
def recipe() -> types.ModuleType:
    """The code of the recipe, in a module of its own."""
    section = PAGE.read_text(encoding="utf-8").split("\n## How to add a layer\n")[1]
    code = section.split("```python\n")[1].split("```")[0]
    module = types.ModuleType("newcomer")
    exec(compile(code, PAGE.name, "exec"), vars(module))
    return module


def model_of(recipe: types.ModuleType, kind: type[keras.Model]) -> keras.Model:
    keras.utils.set_random_seed(0)
    ids = keras.Input((None,), dtype="int32", name="text")
    vector = recipe.MeanEncoder(50, 4)(ids)
    model = kind([ids], keras.layers.Dense(7, activation="softmax")(vector))
    model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    return model


def test_rows_of_like_length_come_in_one_batch(recipe) -> None:
    model = model_of(recipe, keras_qa.models.QAModel)
    # Half of the rows have at most 4 words, the others 17 to 20 of 24 columns.
    (text, _), _ = padded_batch(48)
    lengths = (text != 0).sum(axis=1)
    assert text.shape[1] == 24
    for seed in (None, 0):
        batches = SortedBatches([text], (), model, 8, seed)
        read = sum(batches[step][0][0].size for step in range(len(batches)))
        assert read < 0.7 * text.size
        assert sorted(batches.order) == list(range(48))
    batches = PredictionBatches(model, [text], 8)
    assert len(batches) == 6
    for step in range(6):
        rows, (ids,) = batches[step]
        longest = int(lengths[rows].max())
        assert ids.shape[1] == (grid_width(longest) if model.jit_compile else longest)
        np.testing.assert_array_equal(ids[: len(rows), :longest], text[rows, :longest])


def test_predictions_are_those_of_keras(recipe) -> None:
    model = model_of(recipe, keras_qa.models.QAModel)
    (text, _), _ = padded_batch(48)
    text[5] = 0
    expected = keras_model(model).predict([text], batch_size=8, verbose=0)
    np.testing.assert_allclose(model.predict(text, batch_size=8, verbose=0), expected, atol=1e-6)
    is_word = text != 0
    encoder, dense = model.layers[1:]
    table, (kernel, bias) = encoder.get_weights()[0], dense.get_weights()
    counts = np.maximum(is_word.sum(axis=1, keepdims=True), 1)
    logits = (table[text] * is_word[..., None]).sum(axis=1) / counts @ kernel + bias
    odds = np.exp(logits)
    np.testing.assert_allclose(expected, odds / odds.sum(axis=1, keepdims=True), atol=1e-6)


def test_full_batches_train_as_in_keras(recipe) -> None:
    (text, _), labels = padded_batch(8)
    models = [model_of(recipe, kind) for kind in (keras_qa.models.QAModel, keras.Model)]
    start = models[0].get_weights()
    for model in models:
        model.fit(text, labels, batch_size=8, epochs=5, verbose=0)
    for got, expected, before in zip(*(m.get_weights() for m in models), start, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)
        assert np.abs(got - before).max() > 1e-3


def test_an_id_past_its_vocabulary_raises_on_the_host(recipe) -> None:
    model = model_of(recipe, keras_qa.models.QAModel)
    before = model.get_weights()
    text = np.array([[3, 50]])
    for call in (model.predict, lambda x: model.fit(x, [0], verbose=0)):
        with pytest.raises(ValueError, match=r"`text`.*50"):
            call(text)
    for got, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_it_is_saved_and_loaded(recipe, tmp_path) -> None:
    model = model_of(recipe, keras_qa.models.QAModel)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    (text, _), _ = padded_batch(8)
    np.testing.assert_array_equal(loaded.predict(text, verbose=0), model.predict(text, verbose=0))
