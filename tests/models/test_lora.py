"""LoRA of a reader that comes out of a file: the same outputs, and matrices that are trained."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from small_checkpoints import FOLDER, feed

from keras_qa.models import SpanReader, span_reader
from keras_qa.models.presets import load_model

LABELS = {"start": np.array([6, 4, 0]), "end": np.array([9, 4, 0])}


def matrices(reader: keras.Model) -> dict[str, np.ndarray]:
    return {
        variable.path: keras.ops.convert_to_numpy(variable)
        for variable in reader.trainable_variables
        if "lora_kernel" in variable.path
    }


@pytest.fixture
def trained() -> SpanReader:
    keras.utils.set_random_seed(0)
    reader = span_reader(
        backbone=FOLDER / "bert", lora_rank=2, optimizer=keras.optimizers.Adam(0.05)
    )
    reader.run_eagerly = keras.config.backend() == "tensorflow"
    reader.fit(feed(reader, "bert"), LABELS, epochs=3, batch_size=3, verbose=0)
    return reader


@pytest.mark.parametrize("load", [load_model, keras.saving.load_model])
def test_a_loaded_reader_trains_all_its_matrices(load, trained, tmp_path) -> None:
    trained.save(tmp_path / "reader.keras")
    loaded = load(tmp_path / "reader.keras")
    arrays = feed(trained, "bert")
    expected = trained.predict(arrays, verbose=0)
    found = loaded.predict(arrays, verbose=0)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5)
    before = matrices(loaded)
    assert len(before) == 24
    loaded.compile(keras.optimizers.Adam(0.01), loaded.loss)
    loaded.run_eagerly = keras.config.backend() == "tensorflow"
    loss = loaded.evaluate(arrays, LABELS, verbose=0)[0]
    loaded.fit(arrays, LABELS, epochs=6, batch_size=3, verbose=0)
    assert loaded.evaluate(arrays, LABELS, verbose=0)[0] < loss
    still = [
        path for path, value in matrices(loaded).items() if np.array_equal(value, before[path])
    ]
    assert still == []
