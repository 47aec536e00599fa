"""Every layer of the table: values, gradients, masks, shapes, dtype policies."""

import contextlib

import keras
import numpy as np
import pytest
from backend_calls import compiled_call
from layer_cases import CASES, IDS, Case, cases, flat, outputs_of, symbolic, value, wrapped
from small_models import untraced

from keras_qa import layers
from keras_qa.layers.classification_head import ClassificationHead
from keras_qa.layers.heads import SupportHead

every_case = cases(*CASES)
# Without their attention, these layers return the first of the outputs that they have with it.
DISTINCT = [case for case in CASES if case.name not in ("hops", "universal")]
# On TensorFlow, tests/models and tests/parity predict with models of these layers in a graph.
IN_MODELS = "aligned", "classify", "context", "exact-match", "flow", "hops", "span", "universal"
WITHOUT_WEIGHTS = ("hops-attention", "exact-match")


@every_case
def test_value_equals_numpy(case: Case) -> None:
    made = wrapped(case)
    expected = flat(case.expected(case.inputs, made.layer.get_weights()))
    np.testing.assert_allclose(value(made.call, case), expected, atol=1e-5)
    # In a model, Keras computes the masks.
    with untraced(made.model) if case.name.startswith(IN_MODELS) else contextlib.nullcontext():
        np.testing.assert_allclose(made.model.predict(case.inputs, verbose=0), expected, atol=1e-5)


@cases(*(case for case in DISTINCT if case.name not in WITHOUT_WEIGHTS))
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
    call = wrapped(case).call
    wider = np.pad(case.inputs, [(0, 0)] * (case.inputs.ndim - 1) + [(0, 5)])
    np.testing.assert_allclose(value(call, case, wider), value(call, case), atol=1e-6)
    empty = ~case.inputs.any(axis=-1)
    outputs = keras.ops.convert_to_numpy(call(case.inputs))
    assert empty.any() or case.inputs.ndim == 2
    np.testing.assert_array_equal(outputs[empty], 0.0)


@cases(
    *(
        case
        for case in DISTINCT
        if not case.name.startswith("span")
        and (case.inputs[-1].ndim == 3 or case.name.startswith(("temporal", "context", "classify")))
    )
)
def test_padding_of_sentences_never_counts(case: Case) -> None:
    call = wrapped(case).call
    parts = keras.tree.flatten(case.inputs)
    more = [np.pad(part, [(0, 0), (0, 3), (0, 0)]) if part.ndim == 3 else part for part in parts]
    inputs = more if isinstance(case.inputs, list) else more[0]
    for one, other in zip(outputs_of(call, case, inputs), outputs_of(call, case), strict=True):
        one, other = keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other)
        kept = one[tuple(slice(size) for size in other.shape)]
        np.testing.assert_allclose(kept, other, atol=1e-6)
        assert np.abs(one).sum() == pytest.approx(np.abs(kept).sum())


@every_case
def test_symbolic_shape_and_dtype_are_correct(case: Case) -> None:
    made = wrapped(case)
    for symbol, output in zip(made.symbols, outputs_of(made.call, case), strict=True):
        sizes = zip(symbol.shape, output.shape, strict=True)
        assert all(size in (None, real) for size, real in sizes)
        assert symbol.shape[-1] == output.shape[-1] or None in symbol.shape[1:]
        assert symbol.dtype == keras.backend.standardize_dtype(output.dtype)


@cases(*DISTINCT)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_close(case: Case, policy: str) -> None:
    made = wrapped(case)
    half = type(made.layer).from_config({**made.layer.get_config(), "dtype": policy})
    half(symbolic(case)[1])
    half.set_weights(made.layer.get_weights())
    outputs = outputs_of(compiled_call(half), case)
    # bfloat16 has 8 significant bits, and the errors of six steps add up.
    result = np.asarray(flat(outputs), "float32")
    np.testing.assert_allclose(result, value(made.call, case), atol=0.05)
    heads = layers.AnswerHead, SupportHead, layers.SpanHead, ClassificationHead
    if isinstance(half, heads):
        for output in outputs:
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
