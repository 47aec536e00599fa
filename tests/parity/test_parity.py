"""The same file gives the same numbers on every backend, from strings too."""

import itertools

import numpy as np
from conftest import BACKENDS
from work import MINILM, MODELS, readers


def test_every_model_saved_on_one_backend_answers_alike_on_all(work, tmp_path) -> None:
    for backend in BACKENDS:
        work(backend, "save", backend)
    for backend in BACKENDS:
        work(backend, "ask", backend)
    results = {backend: np.load(tmp_path / f"{backend}.npz") for backend in BACKENDS}
    expected = {
        f"{backend}-{name}/{key}"
        for backend in BACKENDS
        for name in MODELS
        for key in ("words", "probabilities", "raw", "scores", "answers")
    } | {
        f"{backend}-{name}/{key}"
        for backend in BACKENDS
        for name in readers(backend)
        for key in ("words", "logits", "raw", "scores", "answers")
    }
    for one, other in itertools.combinations(BACKENDS, 2):
        assert set(results[one]) == set(results[other]) == expected
        for key in expected:
            left, right = results[one][key], results[other][key]
            # Sums of six layers, each 384 wide, in another order on each backend.
            most = 1e-4 if MINILM in key else 1e-5
            if left.dtype.kind == "f":
                np.testing.assert_allclose(left, right, rtol=0, atol=most, err_msg=key)
            elif not key.endswith("answers"):
                np.testing.assert_array_equal(left, right, err_msg=key)
            else:
                # Answers whose scores differ by less than the backends do may change places.
                close = np.abs(np.diff(results[one][key.replace("answers", "scores")])) < 2 * most
                firm = ~np.pad(close, [(0, 0), (1, 0)]) & ~np.pad(close, [(0, 0), (0, 1)])
                firm[:, -1] = False
                np.testing.assert_array_equal(left[firm], right[firm], err_msg=key)
