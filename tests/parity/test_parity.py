"""The same file gives the same numbers on every backend, from strings too."""

import itertools
import pathlib

import numpy as np
import pytest
from interpreters import BACKENDS
from kinds import MINILM, saved


def test_every_kind_saved_on_one_backend_answers_alike_on_all(folder) -> None:
    assert_alike(folder, everything=False)


@pytest.mark.full
def test_every_model_saved_on_one_backend_answers_alike_on_all(on_each, tmp_path) -> None:
    on_each("work.save_everything", folder=tmp_path)
    on_each("work.ask", folder=tmp_path)
    assert_alike(tmp_path, everything=True)


def assert_alike(folder: pathlib.Path, everything: bool) -> None:
    results = {backend: dict(np.load(folder / f"{backend}.npz")) for backend in BACKENDS}
    for one, other in itertools.combinations(BACKENDS, 2):
        keys = set(results[one])
        assert keys == set(results[other])
        assert {key.partition("/")[0] for key in keys} == set(saved(everything))
        for key in keys:
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
