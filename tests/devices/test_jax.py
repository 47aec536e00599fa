"""`keras.distribution` on JAX: models built before it, weights in parts, several processes."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
from device_cases import reader_on_encoder
from small_models import padded_batch, small_model

import keras_qa
from keras_qa import datasets, recipes
from keras_qa.engine.compiling import recompile
from keras_qa.layers import TransformerEncoder


def devices(*numbers):
    return [f"cpu:{number}" for number in numbers]


def test_a_distribution_is_set_changed_and_removed_between_calls() -> None:
    data = padded_batch(50)

    def train(*distributions):
        model = small_model(optimizer=keras.optimizers.SGD(0.1, momentum=0.9))
        np.random.seed(0)
        for distribution in distributions:
            keras.distribution.set_distribution(distribution)
            model.fit(*data, batch_size=16, verbose=0)
            outputs = model.predict(data[0], verbose=0)
            assert keras.distribution.distribution() is distribution
        used = model.variables[0].value.sharding.device_set
        keras.distribution.set_distribution(None)
        return model.get_weights(), outputs, len(used)

    two, four = (keras.distribution.DataParallel(devices=devices(*range(n))) for n in (2, 4))
    weights, outputs, used = train(None, None, None)
    others, again, used_of_two = train(None, four, two)
    assert (used, used_of_two) == (1, 2)
    for got, expected in zip([again, *others], [outputs, *weights], strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_a_data_source() -> None:
    class Source(keras.utils.PyDataset):
        """Batches of 32 and 18 rows."""

        def __len__(self):
            return 2

        def __getitem__(self, index):
            rows = slice(index * 32, min(index * 32 + 32, 50))
            return tuple(array[rows] for array in x), y[rows]

    x, y = padded_batch(50)
    results = []
    for distribution in (None, keras.distribution.DataParallel(devices=devices(0, 1, 2, 3))):
        keras.distribution.set_distribution(distribution)
        model = small_model(optimizer=keras.optimizers.SGD(0.1))
        losses = model.fit(Source(), epochs=2, shuffle=False, verbose=0).history["loss"]
        results.append((losses, model.predict(Source(), verbose=0)))
    keras.distribution.set_distribution(None)
    for got, expected in zip(*results, strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_a_model_of_other_devices() -> None:
    data = padded_batch(8)
    with keras.distribution.DataParallel(devices=devices(0, 1)).scope():
        model = small_model()
    before = model.get_weights()
    with keras.distribution.DataParallel(devices=devices(2, 3)).scope():
        message = "^The model was built under a `keras.distribution` with other devices. Build or "
        with pytest.raises(ValueError, match=message):
            model.fit(*data, verbose=0)
    for got, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_an_encoder_in_parts(tmp_path) -> None:
    mesh = keras.distribution.DeviceMesh((2, 2), ("batch", "model"), devices(0, 1, 2, 3))
    layouts = TransformerEncoder.get_layout_map(mesh)
    parallel = keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch")

    def train(folder):
        folder.mkdir()
        keras.utils.set_random_seed(0)
        model, x, y = reader_on_encoder(folder)
        recompile(model, keras.optimizers.SGD(0.01, momentum=0.5))
        np.random.seed(0)
        losses = model.fit(x, y, batch_size=32, epochs=10, verbose=0).history["loss"]
        return model, losses, model.predict(x, verbose=0)["start"]

    whole, losses, outputs = train(tmp_path / "whole")
    with parallel.scope():
        model, again, others = train(tmp_path / "parts")
    np.testing.assert_allclose(again, losses, rtol=0, atol=1e-5)
    np.testing.assert_allclose(others, outputs, rtol=0, atol=1e-5)
    for got, expected in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
    parts = {
        variable.path.partition("/block_0/")[2]: variable.value.addressable_shards[0].data.shape
        for variable in model.variables
    }
    assert parts["attention/projection/kernel"] == (16, 24)
    assert parts["attention/projection/bias"] == (24,)
    assert parts["attention/output_projection/kernel"] == (8, 16)
    assert parts["hidden/kernel"] == (16, 12)
    assert parts["hidden/bias"] == (12,)
    assert parts["output_dense/kernel"] == (12, 16)
    assert parts["output_dense/bias"] == (16,)
    momentum = next(
        variable
        for variable in model.optimizer.variables
        if "block_0_hidden_kernel" in variable.path
    )
    assert momentum.value.addressable_shards[0].data.shape == (16, 12)


def test_the_script_for_several_processes_in_the_docs(tmp_path) -> None:
    page = (pathlib.Path(__file__).parents[2] / "docs" / "scaling.md").read_text("utf-8")
    script = page.split("### Several machines on JAX\n")[1].split("```py\n")[1].split("```")[0]
    (tmp_path / "train_jax.py").write_text(script)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    processes = [
        subprocess.Popen(
            [sys.executable, "train_jax.py", address, "2", str(number)],
            cwd=tmp_path,
            # One device for each process.
            env={**os.environ, "XLA_FLAGS": ""},
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    printed = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert ["Epoch 3/3" in text for text in printed] == [True, False]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["qa.keras", "train_jax.py"]
    stories = datasets.babi.simulate(task=15, examples=200, seed=0)
    alone = recipes.train(stories, model="memory_network", recipe={"epochs": 3}, verbose=0)
    together = keras_qa.load(tmp_path / "qa.keras").answer(stories[:20])
    for got, expected in zip(together, alone.answerer.answer(stories[:20]), strict=True):
        assert got.text == expected.text
        np.testing.assert_allclose(got.score, expected.score, rtol=0, atol=1e-4)
