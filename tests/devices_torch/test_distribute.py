"""Training in 2 and 4 processes of `torchrun` has the results of one process."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import work
from device_cases import MODELS, assert_same
from work import Results

TESTS = pathlib.Path(__file__).parents[1]


def launch(processes: int, function: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs a function of `work.py` in several processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [*command, str(TESTS / "devices_torch" / "work.py"), function, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


def load(folder: pathlib.Path, name: str, processes: int) -> Results:
    """The results of the first process, after a comparison with those of the others."""
    first, *others = (dict(np.load(folder / f"{name}-{rank}.npz")) for rank in range(processes))
    for other in others:
        for key, array in first.items():
            np.testing.assert_array_equal(other[key], array, err_msg=key)
    return first


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict[str, Results]:
    """The results of this process alone."""
    return dict(work.models(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module", params=[2, 4])
def trained(request, tmp_path_factory) -> tuple[pathlib.Path, int]:
    folder = tmp_path_factory.mktemp("models")
    done = launch(request.param, "models", folder)
    assert done.returncode == 0, done.stderr
    return folder, request.param


@pytest.mark.parametrize("weights", ["sgd", "weighted"])
@pytest.mark.parametrize("make", MODELS)
def test_weights_outputs_and_metrics_are_those_of_one_process(
    make, weights, trained, expected
) -> None:
    name = f"{make.__name__}-{weights}"
    assert_same(load(trained[0], name, trained[1]), expected[name])


@pytest.mark.parametrize("make", MODELS)
def test_outputs_and_losses_with_adam(make, trained, expected) -> None:
    name = f"{make.__name__}-adam"
    assert_same(load(trained[0], name, trained[1]), expected[name], "outputs", "logs", "scores")


def test_other_ways_to_train(tmp_path) -> None:
    done = launch(4, "ways", tmp_path)
    assert done.returncode == 0, done.stderr
    for name, results in work.ways(tmp_path):
        print(name)
        assert_same(load(tmp_path, name, 4), results)
