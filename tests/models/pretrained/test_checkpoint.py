"""Published encoders: the logits of `transformers`, and what stays through files and training."""

import importlib.util
import pathlib
import pickle

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file
from small_checkpoints import FOLDER, KINDS, TOLERANCE, copy, differences, feed

import keras_qa
from keras_qa import Example
from keras_qa.engine.compiling import recompile
from keras_qa.layers.classification_head import transformer_of
from keras_qa.models import adapters, span_reader
from keras_qa.models.presets import load_model
from keras_qa.models.reader import enable_lora


def test_there_is_one_of_each_family() -> None:
    from keras_qa.models.pretrained.checkpoint import FAMILIES

    assert sorted(FAMILIES) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_gives_the_logits_of_transformers(kind: str) -> None:
    reader = span_reader(backbone=FOLDER / kind)
    assert max(differences(reader, kind)) < TOLERANCE


@pytest.mark.parametrize("kind", ["deberta-v2", "modernbert"])
def test_a_keras_file_holds_all_of_a_checkpoint(kind: str, tmp_path) -> None:
    span_reader(backbone=FOLDER / kind).save(tmp_path / "reader.keras")
    loaded = keras.saving.load_model(tmp_path / "reader.keras")
    assert max(differences(loaded, kind)) < TOLERANCE


LABELS = {"start": np.array([6, 4, 0]), "end": np.array([9, 4, 0])}


def train(reader: keras.Model, arrays, labels=LABELS) -> list[str]:
    """Trains two steps. Returns the paths of the weights that did not change."""
    # TensorFlow traces a graph for longer than these steps take.
    reader.run_eagerly = keras.config.backend() == "tensorflow"
    before = [variable.numpy() for variable in reader.trainable_variables]
    reader.fit(arrays, labels, epochs=2, batch_size=3, verbose=0)
    still = [
        variable.path
        for variable, value in zip(reader.trainable_variables, before, strict=True)
        if np.array_equal(variable.numpy(), value)
    ]
    # A softmax is the same whatever is added to all logits.
    return [path for path in still if path != "span/logits/bias"]


# One kind for each kind of block.
@pytest.mark.parametrize("kind", ["albert", "bert", "deberta-v2", "modernbert", "mpnet"])
def test_every_weight_of_a_checkpoint_is_trained(kind: str) -> None:
    reader = span_reader(backbone=FOLDER / kind, optimizer=keras.optimizers.SGD(0.5))
    assert train(reader, feed(reader, kind)) == []


def test_a_loaded_reader_trains_all_its_lora(tmp_path) -> None:
    keras.utils.set_random_seed(0)
    optimizer = keras.optimizers.Adam(0.05)
    reader = span_reader(backbone=FOLDER / "bert", lora_rank=2, optimizer=optimizer)
    arrays = feed(reader, "bert")
    assert train(reader, arrays) == []
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
    assert train(loaded, arrays) == []
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
    assert train(reader, arrays, labels) == []
    adapters.save(reader, tmp_path / "adapter.keras")
    loaded = adapters.load(tmp_path / "adapter.keras")
    assert transformer_of(loaded).lora_rank is None
    assert not any("lora" in variable.path for variable in loaded.variables)
    expected = reader.predict(arrays, verbose=0)
    for name, value in loaded.predict(arrays, verbose=0).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-5)
    assert len(loaded.trainable_variables) == len(loaded.weights)


def pickled(content: object, folder: pathlib.Path) -> pathlib.Path:
    """A checkpoint whose weights are what `torch.save` writes, or `pickle` where it is missing."""
    (copy("bert", folder, tokenizer=False) / "model.safetensors").unlink()
    if WITH_PYTORCH:
        import torch

        torch.save(content, folder / "pytorch_model.bin")
    else:
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps(content, protocol=2))
    return folder


WITH_PYTORCH = importlib.util.find_spec("torch") is not None
WITHOUT = r"pytorch_model.bin` is a PyTorch file.*, or convert the file to `model.safetensor"


def test_a_pickle_of_pytorch_gives_the_logits_of_its_twin(tmp_path) -> None:
    tensors = load_file(FOLDER / "bert" / "model.safetensors")
    if not WITH_PYTORCH:
        with pytest.raises(ValueError, match=WITHOUT) as raised:
            span_reader(backbone=pickled(tensors, tmp_path / "reader"))
        assert "\n" not in str(raised.value)
        return
    import torch

    whole = {name: torch.from_numpy(value.copy()) for name, value in tensors.items()}
    # As they lie in the files of real encoders: a part of something larger, and turned round.
    name = "bert.encoder.layer.0.attention.self.query.weight"
    whole[name] = torch.cat([whole[name], whole[name]]).T.contiguous().T[: len(whole[name])]
    whole["epoch"] = 3
    folder = pickled(whole, tmp_path / "reader")
    found, twin = span_reader(backbone=folder), span_reader(backbone=FOLDER / "bert")
    for one, other in zip(found.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert max(differences(found, "bert")) < TOLERANCE
    with pytest.raises(ValueError, match=r"must hold tensors by name. It holds a list. Get it ag"):
        span_reader(backbone=pickled([1, 2], tmp_path / "list"))


class Opens:
    """Pickled, it is a call that leaves a file behind."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.path), "w")


def test_code_in_a_pickle_is_refused_and_not_executed(tmp_path) -> None:
    mark = tmp_path / "executed"
    content = {"bert.embeddings.word_embeddings.weight": Opens(mark)}
    pickle.loads(pickle.dumps(content))["bert.embeddings.word_embeddings.weight"].close()
    mark.unlink()
    saved = pickled(content, tmp_path / "saved")
    plain = pickled(content, tmp_path / "plain")
    (plain / "pytorch_model.bin").write_bytes(pickle.dumps(content, protocol=2))
    message = r"pytorch_model.bin` cannot be read as weights only" if WITH_PYTORCH else WITHOUT
    for folder in (saved, plain):
        with pytest.raises(ValueError, match=message) as raised:
            span_reader(backbone=folder)
        assert "\n" not in str(raised.value)
        assert not mark.exists()


def test_a_sequence_that_is_too_long_is_refused() -> None:
    reader = span_reader(backbone=FOLDER / "bert")
    before = reader.get_weights()
    ids = np.ones((1, 65), "int32")
    arrays = {"token_ids": ids, "segment_ids": ids * 0, "padding_mask": ids}
    with pytest.raises(ValueError, match="`token_ids` has 65 positions, .* takes at most 64"):
        reader.predict(arrays, verbose=0)
    for one, other in zip(before, reader.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
