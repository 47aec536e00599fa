"""`kernels.scan` against a loop in NumPy, eager, traced and compiled."""

import numpy as np
import pytest
from backend_calls import gradients, run
from keras import ops
from kernel_cases import MODES, UNITS, weighted

from keras_qa.layers import kernels
from keras_qa.layers.kernels import reference


@pytest.mark.parametrize("with_output", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_scan_is_a_loop(mode, with_output):
    rng = np.random.default_rng(4)
    state, parts, weight, draws = (
        rng.normal(size=size).astype("float32")
        for size in ((2, UNITS), (3, UNITS), (UNITS, UNITS), (3, 2, UNITS))
    )

    def scanned(module):
        def fn(state, parts, weight):
            left = iter(draws)

            def step(h, part, drawn):
                h = ops.tanh(ops.matmul(h + part, weight))
                h = h if drawn is None else h * drawn
                return h, 2 * h if with_output else None

            def draw():
                return ops.convert_to_tensor(next(left)) if with_output else None

            h, outputs = module.scan(step, state, parts, draw)
            assert with_output or outputs is None
            return [h, *([outputs] if with_output else [])]

        return fn

    h, outputs = state, []
    for part, drawn in zip(parts, draws, strict=True):
        h = np.tanh((h + part) @ weight) * (drawn if with_output else 1)
        outputs.append(2 * h)
    expected = [h, *([np.stack(outputs)] if with_output else [])]
    arrays = [state, parts, weight]
    for module in (kernels, reference):
        for got, value in zip(run(scanned(module), arrays, mode), expected, strict=True):
            np.testing.assert_allclose(got, value, atol=1e-6)
    got = gradients(weighted(scanned(kernels)), arrays, mode)
    for g, e in zip(got, gradients(weighted(scanned(reference)), arrays), strict=True):
        np.testing.assert_allclose(g, e, atol=1e-5)
