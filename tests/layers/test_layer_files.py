"""Every layer of the table in a file, and serialisation."""

import keras
import numpy as np
import pytest
from layer_cases import CASES, Case, cases, wrapped

from keras_qa import layers


@cases(*CASES)
def test_saved_and_loaded_gives_the_same(case: Case, tmp_path) -> None:
    model = wrapped(case).model
    model.save(tmp_path / "layer.keras")
    loaded = keras.saving.load_model(tmp_path / "layer.keras")
    one, other = (keras.ops.convert_to_numpy(each(case.inputs)) for each in (model, loaded))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_encoder_is_built_without_copies_by_config(cell: str, monkeypatch) -> None:
    # Keras identifies serialised objects by `id` while it loads a file. If a layer is copied and
    # the original deleted, its `id` may be used again: one in about a hundred files failed to load.
    def refuse(self):
        raise AssertionError("a layer was serialised")

    monkeypatch.setattr(keras.layers.Layer, "get_config", refuse)
    layers.SequenceEncoder(10, 5, 3, cell, bidirectional=True)
