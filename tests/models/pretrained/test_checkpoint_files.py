"""Published encoders: what stays through files and training, the same on each backend."""

import keras
import numpy as np
import pytest
from small_checkpoints import (
    BLOCKS,
    FOLDER,
    KINDS,
    LABELS,
    TOLERANCE,
    copy,
    differences,
    feed,
    train_two_steps,
)

import keras_qa
from keras_qa import Example
from keras_qa.engine.compiling import recompile
from keras_qa.layers.classification_head import transformer_of
from keras_qa.models import adapters, span_reader
from keras_qa.models.model_files import load_model
from keras_qa.models.reader import enable_lora


def test_there_is_one_of_each_family() -> None:
    from keras_qa.models.pretrained.checkpoint import FAMILIES

    assert sorted(FAMILIES) == KINDS


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in BLOCKS])
def test_a_checkpoint_of_known_blocks_gives_the_logits_of_transformers(kind: str) -> None:
    reader = span_reader(backbone=FOLDER / kind)
    assert max(differences(reader, kind)) < TOLERANCE


@pytest.mark.parametrize("kind", ["deberta-v2", "modernbert"])
def test_a_keras_file_holds_all_of_a_checkpoint(kind: str, tmp_path) -> None:
    span_reader(backbone=FOLDER / kind).save(tmp_path / "reader.keras")
    loaded = keras.saving.load_model(tmp_path / "reader.keras")
    assert max(differences(loaded, kind)) < TOLERANCE


# Their blocks are those of others that are trained on each backend.
@pytest.mark.parametrize("kind", ["albert", "bert"])
def test_every_weight_of_a_checkpoint_is_trained(kind: str) -> None:
    reader = span_reader(backbone=FOLDER / kind, optimizer=keras.optimizers.SGD(0.5))
    assert train_two_steps(reader, feed(reader, kind)) == []


def test_a_loaded_reader_trains_all_its_lora(tmp_path) -> None:
    keras.utils.set_random_seed(0)
    optimizer = keras.optimizers.Adam(0.05)
    reader = span_reader(backbone=FOLDER / "bert", lora_rank=2, optimizer=optimizer)
    arrays = feed(reader, "bert")
    assert train_two_steps(reader, arrays) == []
    reader.save(tmp_path / "reader.keras")
    loaded = keras.saving.load_model(tmp_path / "reader.keras")
    expected, found = reader.predict(arrays, verbose=0), loaded.predict(arrays, verbose=0)
    ready = load_model(tmp_path / "reader.keras")
    for name, value in ready.predict(arrays, verbose=0).items():
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
        np.testing.assert_allclose(value, expected[name], atol=1e-5)
    paths = [[variable.path for variable in one.trainable_variables] for one in (loaded, ready)]
    assert paths[0] == paths[1]
    assert sum("lora_kernel" in variable.path for variable in loaded.trainable_variables) == 24
    loss = loaded.evaluate(arrays, LABELS, verbose=0)[0]
    loaded.optimizer.learning_rate = 0.01
    assert train_two_steps(loaded, arrays) == []
    assert loaded.evaluate(arrays, LABELS, verbose=0)[0] < loss


# With and without biases.
@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_a_loaded_adapter_is_merged(kind: str, tmp_path) -> None:
    keras.utils.set_random_seed(0)
    reader = keras_qa.load(copy(kind, tmp_path / kind)).model_
    examples = [Example("Mary went home, then she slept.", "Who went?", "Mary", 0)]
    arrays, labels = reader.preprocessor.make_training_data(reader, examples)
    enable_lora(transformer_of(reader), 2)
    recompile(reader, keras.optimizers.Adam(0.05))
    assert train_two_steps(reader, arrays, labels) == []
    adapters.save(reader, tmp_path / "adapter.keras")
    loaded = adapters.load(tmp_path / "adapter.keras")
    assert transformer_of(loaded).lora_rank is None
    assert not any("lora" in variable.path for variable in loaded.variables)
    expected = reader.predict(arrays, verbose=0)
    for name, value in loaded.predict(arrays, verbose=0).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-5)
    assert len(loaded.trainable_variables) == len(loaded.weights)


def test_a_sequence_that_is_too_long_is_refused() -> None:
    reader = span_reader(backbone=FOLDER / "bert")
    before = reader.get_weights()
    ids = np.ones((1, 65), "int32")
    arrays = {"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids}
    with pytest.raises(ValueError, match="`token_ids` has 65 positions, .* takes at most 64"):
        reader.predict(arrays, verbose=0)
    for one, other in zip(before, reader.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
