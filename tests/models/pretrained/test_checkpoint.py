"""Published encoders: the logits of `transformers`, training, and pickles."""

import importlib.util
import pathlib
import pickle

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file
from small_checkpoints import BLOCKS, FOLDER, TOLERANCE, copy, differences, feed, train_two_steps

from keras_qa.models import span_reader


@pytest.mark.parametrize("kind", BLOCKS)
def test_a_checkpoint_gives_the_logits_of_transformers(kind: str) -> None:
    reader = span_reader(backbone=FOLDER / kind)
    assert max(differences(reader, kind)) < TOLERANCE


# One kind for each kind of block, and LoRA.
@pytest.mark.parametrize(
    ("kind", "options"),
    [("deberta-v2", {}), ("modernbert", {}), ("mpnet", {}), ("bert", {"lora_rank": 2})],
)
def test_every_weight_of_a_checkpoint_is_trained(kind: str, options: dict) -> None:
    keras.utils.set_random_seed(0)
    optimizer = keras.optimizers.SGD(0.5)
    reader = span_reader(backbone=FOLDER / kind, optimizer=optimizer, **options)
    assert train_two_steps(reader, feed(reader, kind)) == []


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
