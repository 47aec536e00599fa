"""Every layer of the table: values, gradients, masks, config, saving, dtype policies."""

import keras
import numpy as np
import pytest
from layer_cases import CASES, IDS, Case

from keras_qa import layers

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def built(case: Case) -> keras.layers.Layer:
    layer = case.make()
    layer(case.inputs)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=weight.shape, scale=0.5) for weight in layer.get_weights()])
    return layer


def value(layer: keras.layers.Layer, inputs: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(layer(inputs))


def wrapped(layer: keras.layers.Layer, case: Case) -> keras.Model:
    shape = (None,) if case.takes_ids else case.inputs.shape[1:]
    inputs = keras.Input(shape, dtype="int32" if case.takes_ids else "float32", name="inputs")
    return keras.Model(inputs, layer(inputs))


@every_case
def test_value_is_what_numpy_gives(case: Case) -> None:
    layer = built(case)
    expected = case.expected(case.inputs, layer.get_weights())
    np.testing.assert_allclose(value(layer, case.inputs), expected, atol=1e-5)


@every_case
def test_gradient_is_the_slope_of_the_loss(case: Case) -> None:
    model = wrapped(built(case), case)
    model.compile(keras.optimizers.SGD(1.0), "mse")
    rng = np.random.default_rng(2)
    target = rng.normal(size=model.predict(case.inputs, verbose=0).shape).astype("float32")
    start = model.get_weights()

    def loss(direction: list[np.ndarray], step: float) -> float:
        expected = case.expected(
            case.inputs, [w + step * d for w, d in zip(start, direction, strict=True)]
        )
        return float(np.mean((expected - target) ** 2))

    model.train_on_batch(case.inputs, target)
    gradient = [before - after for before, after in zip(start, model.get_weights(), strict=True)]
    for weight in range(len(start)):
        direction = [np.zeros_like(w, dtype="float64") for w in start]
        direction[weight] = rng.normal(size=start[weight].shape)
        slope = (loss(direction, 1e-5) - loss(direction, -1e-5)) / 2e-5
        along = sum(float((g * d).sum()) for g, d in zip(gradient, direction, strict=True))
        assert along == pytest.approx(slope, abs=1e-4)


@pytest.mark.parametrize("case", [case for case in CASES if case.takes_ids], ids=lambda c: c.name)
def test_padding_never_counts(case: Case) -> None:
    layer = built(case)
    wider = np.pad(case.inputs, [(0, 0), (0, 5)])
    np.testing.assert_allclose(value(layer, wider), value(layer, case.inputs), atol=1e-6)
    np.testing.assert_array_equal(value(layer, case.inputs)[3], 0.0)


@every_case
def test_config_makes_the_same_layer(case: Case) -> None:
    layer = built(case)
    twin = type(layer).from_config(layer.get_config())
    twin(case.inputs)
    twin.set_weights(layer.get_weights())
    assert twin.get_config() == layer.get_config()
    np.testing.assert_array_equal(value(twin, case.inputs), value(layer, case.inputs))


@every_case
def test_saved_and_loaded_gives_the_same(case: Case, tmp_path) -> None:
    model = wrapped(built(case), case)
    model.save(tmp_path / "layer.keras")
    loaded = keras.saving.load_model(tmp_path / "layer.keras")
    expected = model.predict(case.inputs, verbose=0)
    np.testing.assert_array_equal(loaded.predict(case.inputs, verbose=0), expected)


@every_case
def test_symbolic_shape_and_dtype_are_the_real_ones(case: Case) -> None:
    layer = built(case)
    model = wrapped(layer, case)
    output = layer(case.inputs)
    assert model.output.shape == (None, *output.shape[1:])
    assert model.output.dtype == keras.backend.standardize_dtype(output.dtype)


@every_case
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_stays_near(case: Case, policy: str) -> None:
    layer = built(case)
    half = type(layer).from_config({**layer.get_config(), "dtype": policy})
    half(case.inputs)
    half.set_weights(layer.get_weights())
    # bfloat16 keeps 8 bits of a number, and six steps add up their errors.
    result = np.asarray(value(half, case.inputs), "float32")
    np.testing.assert_allclose(result, value(layer, case.inputs), atol=0.05)
    if isinstance(layer, layers.AnswerHead):
        assert value(half, case.inputs).dtype == "float32"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.SequenceEncoder(0), "`vocabulary_size` must be a positive integer.*=0"),
        (lambda: layers.SequenceEncoder(5, units=-1), "`units` must be a positive.*units=-1"),
        (lambda: layers.SequenceEncoder(5, cell="rnn"), '"lstm" or "gru".*cell=\'rnn\''),
        (lambda: layers.SequenceEncoder(5, pooling="sum"), '"mean" or "max".*pooling=\'sum\''),
        (lambda: layers.AnswerHead(2.5), "`vocabulary_size` must be.*vocabulary_size=2.5"),
        (lambda: layers.AnswerHead(5, hidden_dim=0), "`hidden_dim` must be.*hidden_dim=0"),
    ],
)
def test_bad_arguments_are_named(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_numpy_sizes_are_sizes_and_true_is_none() -> None:
    assert layers.SequenceEncoder(np.int64(5), np.int32(2)).vocabulary_size == 5
    with pytest.raises(ValueError, match="Received: units=True"):
        layers.SequenceEncoder(5, units=True)


def test_classic_factories_have_the_classic_sizes() -> None:
    sizes = []
    for layer, inputs in (
        (layers.text_encoder(10_000), IDS),
        (layers.question_encoder(10_000), IDS),
        (layers.answer_head(), np.zeros((1, 48), "float32")),
    ):
        layer(inputs)
        sizes.append(layer.count_params())
    assert sizes == [640_000 + 12_416, 320_000 + 3_136, 24_500]


def test_dropout_acts_in_training_only() -> None:
    layer = layers.SequenceEncoder(10, 50, 3, dropout=0.5)
    np.testing.assert_array_equal(value(layer, IDS), value(layer, IDS))
    trained = keras.ops.convert_to_numpy(layer(IDS, training=True))
    assert not np.allclose(trained, value(layer, IDS), atol=1e-3)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_encoder_is_built_without_copies_by_config(cell: str, monkeypatch) -> None:
    # While a file is loaded, Keras takes two serialised objects whose `id` is the same for one.
    # A copy's original is dropped, its ids are used again, and the second encoder got parts of
    # the first: files failed to load, about one in a hundred.
    def refuse(self):
        raise AssertionError("a layer was serialised")

    monkeypatch.setattr(keras.layers.Layer, "get_config", refuse)
    layers.SequenceEncoder(10, 5, 3, cell, bidirectional=True)
