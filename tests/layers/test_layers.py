"""Every layer of the table: values, gradients, masks, config, saving, dtype policies."""

from typing import ClassVar

import keras
import numpy as np
import pytest
from layer_cases import CASES, IDS, Case, flat
from small_models import untraced

from keras_qa import layers
from keras_qa.layers.classification_head import ClassificationHead
from keras_qa.layers.heads import SupportHead


def cases(*chosen: Case):
    """Parametrizes a test with cases."""
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


every_case = cases(*CASES)


def weights(layer: keras.layers.Layer) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=weight.shape, scale=0.5) for weight in layer.weights]


def built(case: Case) -> keras.layers.Layer:
    layer = case.make()
    layer(case.inputs)
    layer.set_weights(weights(layer))
    return layer


def value(layer: keras.layers.Layer, case: Case, inputs=None) -> np.ndarray:
    inputs = case.inputs if inputs is None else inputs
    mask = case.mask(inputs)
    return flat(layer(inputs) if mask is None else layer(inputs, mask=mask))


def symbolic(case: Case):
    """Inputs of a model, and the tensors for the layer, with a mask for sentences of zeros."""
    parts = case.inputs if isinstance(case.inputs, list) else [case.inputs]
    inputs, tensors = [], []
    for place, part in enumerate(parts):
        shape = (None,) * (part.ndim - 1) if case.takes_ids else part.shape[1:]
        dtype = "int32" if case.takes_ids else "float32"
        inputs.append(keras.Input(shape, dtype=dtype, name=f"inputs_{place}"))
        masked = part.ndim == 3 and not case.takes_ids
        tensors.append(keras.layers.Masking()(inputs[-1]) if masked else inputs[-1])
    return inputs, tensors if isinstance(case.inputs, list) else tensors[0]


class Wrapped:
    """The layer of a case, its symbolic outputs, and a model of it with one output."""

    made: ClassVar[dict[str, "Wrapped"]] = {}

    def __init__(self, case: Case) -> None:
        self.layer = built(case)
        inputs, tensors = symbolic(case)
        self.symbols = keras.tree.flatten(self.layer(tensors))
        widths = [part.shape[1:] for part in keras.tree.flatten(self.layer(case.inputs))]
        outputs = [
            part if len(width) == 1 else keras.ops.reshape(part, (-1, int(np.prod(width))))
            for part, width in zip(self.symbols, widths, strict=True)
        ]
        output = keras.layers.Concatenate()(outputs) if len(outputs) > 1 else outputs[0]
        self.model = keras.Model(inputs if isinstance(case.inputs, list) else inputs[0], output)
        self.model.compile(keras.optimizers.SGD(1.0), "mse")


def wrapped(case: Case) -> Wrapped:
    """Makes the layer once for all tests, and resets its weights."""
    if case.name not in Wrapped.made:
        Wrapped.made[case.name] = Wrapped(case)
    made = Wrapped.made[case.name]
    made.layer.set_weights(weights(made.layer))
    return made


@every_case
def test_value_equals_numpy(case: Case) -> None:
    made = wrapped(case)
    expected = flat(case.expected(case.inputs, made.layer.get_weights()))
    np.testing.assert_allclose(value(made.layer, case), expected, atol=1e-5)
    # In a model, Keras computes the masks.
    np.testing.assert_allclose(made.model.predict(case.inputs, verbose=0), expected, atol=1e-5)


WITHOUT_WEIGHTS = ("hops", "hops-attention", "exact-match")


@cases(*(case for case in CASES if case.name not in WITHOUT_WEIGHTS))
def test_gradient_equals_finite_differences(case: Case) -> None:
    model = wrapped(case).model
    rng = np.random.default_rng(2)
    start = model.get_weights()
    target = rng.normal(size=flat(case.expected(case.inputs, start)).shape).astype("float32")

    def loss(direction: list[np.ndarray], step: float) -> float:
        weights = [w + step * d for w, d in zip(start, direction, strict=True)]
        expected = flat(case.expected(case.inputs, weights))
        return float(np.mean((expected - target) ** 2))

    with untraced(model):
        model.train_on_batch(case.inputs, target)
    gradient = [before - after for before, after in zip(start, model.get_weights(), strict=True)]
    for weight, variable in enumerate(model.weights):
        if not variable.trainable:
            np.testing.assert_array_equal(gradient[weight], 0.0)
            continue
        direction = [np.zeros_like(w, dtype="float64") for w in start]
        direction[weight] = rng.normal(size=start[weight].shape)
        slope = (loss(direction, 1e-5) - loss(direction, -1e-5)) / 2e-5
        along = sum(float((g * d).sum()) for g, d in zip(gradient, direction, strict=True))
        assert along == pytest.approx(slope, abs=1e-4)


@cases(*(case for case in CASES if case.takes_ids))
def test_padding_never_counts(case: Case) -> None:
    layer = wrapped(case).layer
    wider = np.pad(case.inputs, [(0, 0)] * (case.inputs.ndim - 1) + [(0, 5)])
    np.testing.assert_allclose(value(layer, case, wider), value(layer, case), atol=1e-6)
    empty = ~case.inputs.any(axis=-1)
    outputs = keras.ops.convert_to_numpy(layer(case.inputs))
    assert empty.any() or case.inputs.ndim == 2
    np.testing.assert_array_equal(outputs[empty], 0.0)


@cases(
    *(
        case
        for case in CASES
        if not case.name.startswith("span")
        and (case.inputs[-1].ndim == 3 or case.name.startswith(("temporal", "context", "classify")))
    )
)
def test_padding_of_sentences_never_counts(case: Case) -> None:
    layer = wrapped(case).layer
    parts = keras.tree.flatten(case.inputs)
    more = [np.pad(part, [(0, 0), (0, 3), (0, 0)]) if part.ndim == 3 else part for part in parts]
    inputs = more if isinstance(case.inputs, list) else more[0]
    outputs = keras.tree.flatten(layer(inputs, mask=case.mask(inputs)))
    expected = keras.tree.flatten(layer(case.inputs, mask=case.mask(case.inputs)))
    for one, other in zip(outputs, expected, strict=True):
        one, other = keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other)
        kept = one[tuple(slice(size) for size in other.shape)]
        np.testing.assert_allclose(kept, other, atol=1e-6)
        assert np.abs(one).sum() == pytest.approx(np.abs(kept).sum())


@every_case
def test_saved_and_loaded_gives_the_same(case: Case, tmp_path) -> None:
    model = wrapped(case).model
    model.save(tmp_path / "layer.keras")
    loaded = keras.saving.load_model(tmp_path / "layer.keras")
    one, other = (keras.ops.convert_to_numpy(each(case.inputs)) for each in (model, loaded))
    np.testing.assert_array_equal(one, other)


@every_case
def test_symbolic_shape_and_dtype_are_correct(case: Case) -> None:
    made = wrapped(case)
    for symbol, output in zip(
        made.symbols, keras.tree.flatten(made.layer(case.inputs)), strict=True
    ):
        sizes = zip(symbol.shape, output.shape, strict=True)
        assert all(size in (None, real) for size, real in sizes)
        assert symbol.shape[-1] == output.shape[-1] or None in symbol.shape[1:]
        assert symbol.dtype == keras.backend.standardize_dtype(output.dtype)


@every_case
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_close(case: Case, policy: str) -> None:
    layer = wrapped(case).layer
    half = type(layer).from_config({**layer.get_config(), "dtype": policy})
    half(case.inputs)
    half.set_weights(layer.get_weights())
    # bfloat16 has 8 significant bits, and the errors of six steps add up.
    result = np.asarray(value(half, case), "float32")
    np.testing.assert_allclose(result, value(layer, case), atol=0.05)
    heads = layers.AnswerHead, SupportHead, layers.SpanHead, ClassificationHead
    if isinstance(layer, heads):
        for output in keras.tree.flatten(half(case.inputs)):
            assert keras.backend.standardize_dtype(output.dtype) == "float32"


@pytest.mark.parametrize("ids", [IDS, IDS.astype("float32"), IDS[0, :1]])
def test_embedding_is_keras_layer(ids: np.ndarray) -> None:
    layer, keras_layer = layers.Embedding(10, 3, mask_zero=True), keras.layers.Embedding(10, 3)
    for item in (layer, keras_layer):
        item.build()
    layer.set_weights(keras_layer.get_weights())
    rows = keras_layer.get_weights()[0][ids.astype("int32")]
    np.testing.assert_array_equal(flat(layer(ids)), flat(rows))
    twin = layers.Embedding.from_config(layer.get_config())
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(twin.compute_mask(IDS)), IDS != 0)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_encoder_is_built_without_copies_by_config(cell: str, monkeypatch) -> None:
    # Keras identifies serialised objects by `id` while it loads a file. If a layer is copied and
    # the original deleted, its `id` may be used again: one in about a hundred files failed to load.
    def refuse(self):
        raise AssertionError("a layer was serialised")

    monkeypatch.setattr(keras.layers.Layer, "get_config", refuse)
    layers.SequenceEncoder(10, 5, 3, cell, bidirectional=True)
