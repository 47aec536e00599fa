"""Low-rank adaptation of published encoders, and what it has learned in a file of its own."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from small_checkpoints import copy

import keras_qa
from keras_qa import Example
from keras_qa.cli import main
from keras_qa.layers import TransformerEncoder

TEXT = "Mary went to the bathroom, then she slept at home."
EXAMPLES = [Example(TEXT, "Who went?", "Mary", 0), Example(TEXT, "Where?", "home", 45)]
OTHER = Example("John went where he was.", "Who was he then?", "John", 0)


def encoder_of(qa) -> TransformerEncoder:
    return next(layer for layer in qa.model_.layers if isinstance(layer, TransformerEncoder))


@pytest.fixture
def folder(tmp_path):
    return copy("bert", tmp_path / "reader")


def trained(folder) -> keras_qa.QuestionAnswerer:
    qa = keras_qa.load(folder)
    return qa.fit(EXAMPLES, epochs=3, verbose=0, optimizer=keras.optimizers.Adam(0.05), lora_rank=2)


def scores(qa) -> list[float]:
    return [answer.score for answer in qa.answer(TEXT, "Who slept?", top_k=20)]


def test_nothing_changes_until_it_is_trained(folder) -> None:
    qa = keras_qa.load(folder)
    before = scores(qa)
    encoder_of(qa).enable_lora(2)
    np.testing.assert_allclose(scores(qa), before, rtol=1e-5)
    with pytest.raises(ValueError, match="has LoRA of rank 2 already"):
        encoder_of(qa).enable_lora(4)


def test_only_narrow_matrices_biases_and_the_head_are_trained(folder) -> None:
    qa = trained(folder)
    assert scores(qa) != scores(keras_qa.load(folder))
    encoder = encoder_of(qa)
    kinds = {variable.path.split("/")[-1] for variable in encoder.trainable_variables}
    assert kinds == {"lora_kernel_a", "lora_kernel_b", "bias"}
    published = load_file(folder / "model.safetensors")
    tables = {
        "bert.embeddings.word_embeddings.weight": encoder.tokens.embeddings,
        "bert.encoder.layer.1.output.LayerNorm.bias": encoder.blocks[1].output_norm.beta,
    }
    for name, variable in tables.items():
        np.testing.assert_array_equal(variable.numpy(), published[name])
    # All that is trained has changed.
    qa.fit(EXAMPLES, epochs=1, verbose=0, lora_rank=2)
    assert encoder_of(qa).lora_rank == 2


def test_both_files_answer_as_before(folder, tmp_path) -> None:
    qa = trained(folder)
    expected = scores(qa)
    qa.save(tmp_path / "whole.keras")
    qa.save_adapter(tmp_path / "adapter.keras")
    for name in ("whole.keras", "adapter.keras"):
        loaded = keras_qa.load(tmp_path / name)
        np.testing.assert_allclose(scores(loaded), expected, rtol=1e-5)
        assert encoder_of(loaded).lora_rank == 2
        loaded.fit(EXAMPLES, epochs=1, verbose=0)
    # What was added is part of the product where the folder is written.
    qa.save_pretrained(tmp_path / "again")
    np.testing.assert_allclose(scores(keras_qa.load(tmp_path / "again")), expected, rtol=1e-3)


def test_an_adapter_belongs_to_one_encoder(folder, tmp_path) -> None:
    trained(folder).save_adapter(tmp_path / "adapter.keras")
    tensors = dict(load_file(folder / "model.safetensors"))
    tensors["bert.embeddings.word_embeddings.weight"] += 0.01
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ValueError, match="was trained on another encoder than"):
        keras_qa.load(tmp_path / "adapter.keras")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="needs the encoder .*holds no weights"):
        keras_qa.load(tmp_path / "adapter.keras")
    content = bytearray((tmp_path / "adapter.keras").read_bytes())
    content[200] ^= 1
    (tmp_path / "adapter.keras").write_bytes(bytes(content))
    with pytest.raises(ValueError, match="damaged"):
        keras_qa.load(tmp_path / "adapter.keras")


def test_what_has_no_adapter_says_so(folder, tmp_path) -> None:
    qa = keras_qa.load(folder)
    with pytest.raises(ValueError, match="Only readers on a published encoder that were trained"):
        qa.save_adapter(tmp_path / "adapter.keras")
    with pytest.raises(ValueError, match="`path` must end in `.keras`"):
        qa.save_adapter(tmp_path / "adapter.bin")
    scratch = keras_qa.QuestionAnswerer("span_reader", model_options={"units": 4})
    with pytest.raises(ValueError, match="`lora_rank` is for readers on a published encoder"):
        scratch.fit(EXAMPLES, epochs=1, verbose=0, lora_rank=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reader"]


def test_the_command_trains_by_lora(folder, tmp_path, capsys) -> None:
    rows = [
        {"text": item.text, "question": item.question, "answers": item.answers, "answer_start": [s]}
        for item in [EXAMPLES[0], OTHER]
        for s in item.answer_start
    ]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    arguments = ["train", f"--data={data}", "--model=span_reader", f"--backbone={folder}"]
    arguments += ["--lora-rank=2", "--epochs=1", "--batch-size=2", f"--out={tmp_path / 'qa.keras'}"]
    arguments += [f"--adapter={tmp_path / 'adapter.keras'}", "--unanswerable=1"]
    assert main(arguments) == 0
    assert "4 questions to train on" in capsys.readouterr().out
    whole, adapter = (keras_qa.load(tmp_path / f"{name}.keras") for name in ("qa", "adapter"))
    assert encoder_of(whole).lora_rank == encoder_of(adapter).lora_rank == 2
    np.testing.assert_allclose(scores(adapter), scores(whole), rtol=1e-5)
    size = (tmp_path / "adapter.keras").stat().st_size
    assert size < (tmp_path / "qa.keras").stat().st_size / 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--adapter=a.keras"], "`--adapter` needs `--lora-rank`"),
        (["--adapter=a.bin", "--lora-rank=2"], "`adapter` must end in `.keras`"),
        (["--adapter=/none/a.keras", "--lora-rank=2"], "`adapter` is in a folder that does not"),
        (["--unanswerable=2"], "`share` must be between 0 and 1. Received: share=2.0"),
        (["--unanswerable=1", "--model=answer_classifier"], "`--unanswerable` is for --model span"),
    ],
)
def test_the_command_refuses(arguments, message: str, tmp_path, capsys) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text('{"text": "A b.", "question": "C?", "answers": ["b"], "answer_start": [2]}\n')
    given = ["train", f"--data={data}", "--model=span_reader", f"--out={tmp_path / 'qa.keras'}"]
    assert main([*given, *arguments]) == 2
    assert message in capsys.readouterr().err
