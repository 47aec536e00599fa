"""Training in 2 and 4 processes has the results of one process."""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import work
from device_cases import MODELS, assert_same
from work import Results

import keras_qa
from keras_qa.integrations.torch import distribute

TESTS = pathlib.Path(__file__).parents[1]
WORK = str(TESTS / "devices_torch" / "work.py")


def launch(processes: int, function: str, *arguments: object) -> list[tuple[int, str, str]]:
    """Runs a function of `work.py` in several processes. Returns exit codes, output and errors."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    paths = [str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(processes),
    }
    command = [sys.executable, WORK, function, *map(str, arguments)]
    started = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environment, "RANK": str(rank)},
        )
        for rank in range(processes)
    ]
    outputs = [process.communicate() for process in started]
    return [(process.returncode, *output) for process, output in zip(started, outputs, strict=True)]


def run(processes: int, function: str, *arguments: object) -> list[str]:
    """Runs a function that must end well. Returns what each process prints."""
    done = launch(processes, function, *arguments)
    assert [code for code, _, _ in done] == [0] * processes, done
    return [output for _, output, _ in done]


def read(path: pathlib.Path) -> Results:
    with np.load(path) as arrays:
        return dict(arrays)


def load(folder: pathlib.Path, name: str, processes: int) -> Results:
    """The results of the first process, after a comparison with those of the others."""
    first, *others = (read(folder / f"{name}-{rank}.npz") for rank in range(processes))
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
    run(request.param, "models", folder)
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
    assert_same(
        load(trained[0], name, trained[1]), expected[name], "probabilities", "logs", "scores"
    )


def test_other_ways_to_train(tmp_path) -> None:
    run(4, "ways", tmp_path)
    np.random.seed(5)
    for name, results in work.ways(tmp_path):
        print(name)
        assert_same(load(tmp_path, name, 4), results)


def test_processes_draw_other_dropout(tmp_path) -> None:
    [_] = work.dropout(tmp_path)
    alone = read(tmp_path / "seeds-0.npz")
    run(2, "dropout", tmp_path)
    load(tmp_path, "dropout", 2)
    first, second = (read(tmp_path / f"seeds-{rank}.npz") for rank in range(2))
    for name, array in alone.items():
        np.testing.assert_array_equal(first[name], array)
        assert (second[name] != array)[..., 0].all()


def test_processes_need_the_same_batches(tmp_path) -> None:
    run(2, "different", tmp_path)
    assert str(load(tmp_path, "different", 2)["error"]) == (
        "The processes have different batches. Give all of them the same data in the same order: "
        "each trains on its part of every batch."
    )


def test_a_killed_training_is_resumed_bit_for_bit(tmp_path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    first, second = run(2, "recipe", whole)
    assert "Epoch 4/4" in first
    assert second == ""
    expected = load(whole, "recipe", 2)
    (code, _, _), (killed, _, _) = launch(2, "recipe", broken, 2)
    assert (code, killed) == (0, -signal.SIGKILL)
    error = (broken / "error-0.txt").read_text()
    assert error.startswith("Another process of the training has ended, see its error. ")
    assert len(error) <= 300
    assert "\n" not in error
    run(2, "recipe", broken)
    for name, array in load(broken, "recipe", 2).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.parametrize("others", [1, 4])
def test_a_training_is_resumed_with_another_number_of_processes(others, tmp_path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    [(_, expected)] = work.recipe(whole, rate="0.001")
    launch(2, "recipe", broken, 2, 0.001)
    assert list(broken.glob("*.checkpoint.npz"))
    run(others, "recipe", broken, "", 0.001)
    results = load(broken, "recipe", others)
    answers = results.pop("answers")
    np.testing.assert_array_equal(answers, expected.pop("answers"))
    assert_same(results, expected)


def test_distribute_without_a_block(tmp_path) -> None:
    first, second = run(2, "without_a_block", tmp_path)
    assert "loss: " in first
    assert second == ""


def test_distribute_needs_processes() -> None:
    with pytest.raises(ValueError, match="^`distribute` needs several processes. Start the script"):
        distribute()


def test_the_script_in_the_docs(tmp_path) -> None:
    page = (TESTS.parent / "docs" / "scaling.md").read_text("utf-8")
    script = page.split("```py\n# train.py\n")[1].split("```")[0]
    (tmp_path / "train.py").write_text(script)
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "train.py"]
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Epoch 3/3") == 1
    assert isinstance(keras_qa.load(tmp_path / "qa.keras"), keras_qa.QuestionAnswerer)
