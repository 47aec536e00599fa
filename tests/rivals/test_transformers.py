"""Beside `transformers`: the logits of fresh checkpoints, folders that it opens, ids of texts."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import random
import shutil
from typing import Any

import numpy as np
import pytest
import sentencepiece
import torch
import transformers
from small_checkpoints import FOLDER, KINDS, differences
from small_tokenizers import LINES, byte_bpe, modern, wordpiece

from keras_qa import Example
from keras_qa.models import span_reader
from keras_qa.models.pretrained.checkpoint_writer import save_pretrained
from keras_qa.text import SubwordTokenizer


def load_make() -> Any:
    """The module `tests/checkpoints/make.py`."""
    spec = importlib.util.spec_from_file_location("make", FOLDER / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make(folder: pathlib.Path, **sizes: int) -> pathlib.Path:
    """Makes fresh checkpoints of all families, some of their sizes given."""
    module = load_make()
    module.SIZES = {kind: {**own, **sizes} for kind, own in module.SIZES.items()}
    module.make(folder, seed=random.randrange(2**31))
    return folder


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> pathlib.Path:
    return make(tmp_path_factory.mktemp("fresh"))


@pytest.fixture(scope="module")
def with_many_ids(tmp_path_factory) -> pathlib.Path:
    """Checkpoints that know all ids of the tokenizers of these tests."""
    return make(tmp_path_factory.mktemp("many_ids"), vocab_size=500)


@pytest.mark.parametrize("kind", KINDS)
def test_fresh_weights_give_the_same_logits(fresh, kind: str, monkeypatch) -> None:
    monkeypatch.setattr("small_checkpoints.FOLDER", fresh)
    assert max(differences(span_reader(backbone=fresh / kind), kind)) < 1e-4


def odd_texts(count: int) -> list[str]:
    """Texts of letters of many scripts, marks, spaces and signs, none of them a special token."""
    generator = random.Random(5)
    ranges = [(32, 127), (32, 127), (160, 592), (768, 880), (0x370, 0x500), (0x5D0, 0x5EB)]
    ranges += [(0x600, 0x6FF), (0x900, 0x97F), (0xE00, 0xE5B), (0x2000, 0x206F), (0x3040, 0x30FF)]
    ranges += [(0x4E00, 0x4F00), (0xAC00, 0xAD00), (0x1F600, 0x1F64F)]
    words = ["Mary", "went", "to", "the", "bathroom", "slept", "Unbelievable", "1990s", "can't"]
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(generator.randrange(1, 12)):
            if generator.random() < 0.5:
                parts.append(generator.choice(words))
            low, high = generator.choice(ranges)
            size = generator.randrange(0, 6)
            parts.append("".join(chr(generator.randrange(low, high)) for _ in range(size)))
            parts.append(generator.choice(["", " ", "  ", "\t", "\n", "\u00a0", "\u3000"]))
        texts.append("".join(parts))
    return texts


def files_of(kind: str, folder: pathlib.Path, checkpoints: pathlib.Path = FOLDER) -> pathlib.Path:
    """A checkpoint whose tokenizer is given by the files that it was published with first."""
    shutil.copytree(checkpoints / kind, folder)
    if kind == "roberta":
        byte_bpe().model.save(str(folder))
    elif kind == "modernbert":
        modern().save(str(folder / "tokenizer.json"))
    elif kind in ("bert", "distilbert", "electra", "mpnet"):
        vocabulary = wordpiece().get_vocab()
        lines = sorted(vocabulary, key=vocabulary.__getitem__)
        if kind == "mpnet":
            lines = ["<s>", "<pad>", "</s>", "<unk>", *lines, "<mask>"]
        (folder / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        name, special = SENTENCEPIECE[kind]
        with (folder / name).open("wb") as file:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter([*LINES, MORE] * 20),
                model_writer=file,
                vocab_size=250,
                hard_vocab_limit=False,
                character_coverage=1.0,
                minloglevel=2,
                **special,
            )
    return folder


# The files of SentencePiece, and their special tokens.
SENTENCEPIECE: dict[str, tuple[str, dict[str, Any]]] = {
    "albert": (
        "spiece.model",
        {
            **{"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1},
            "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
        },
    ),
    "camembert": ("sentencepiece.bpe.model", {"unk_id": 0, "bos_id": 1, "eos_id": 2}),
    "xlm-roberta": ("sentencepiece.bpe.model", {"unk_id": 0, "bos_id": 1, "eos_id": 2}),
    "deberta-v2": (
        "spm.model",
        {
            **{"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3},
            **{"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]"},
            **{"unk_piece": "[UNK]", "control_symbols": ["[MASK]"]},
        },
    ),
}
MORE = "in the house, at home; who are they? 1,200 or 34, caf\u00e9 (can't) the bathroom slept"


def assert_same_ids(ours: SubwordTokenizer, theirs: Any, texts: list[str]) -> None:
    found = ours.pieces(texts)
    expected = theirs(texts, add_special_tokens=False)["input_ids"]
    for place, (text, ids) in enumerate(zip(texts, expected, strict=True)):
        got = found.ids[found.begins[place] : found.begins[place + 1]].tolist()
        assert got == ids, repr(text)


# ModernBERT is published with `tokenizer.json` alone; for DeBERTa see `CLASSES`.
@pytest.mark.parametrize("kind", sorted({*KINDS} - {"deberta-v2", "modernbert"}))
def test_ids_of_odd_texts_are_those_of_the_fast_tokenizer(kind: str, tmp_path) -> None:
    folder = files_of(kind, tmp_path / kind)
    theirs = transformers.AutoTokenizer.from_pretrained(folder, use_fast=True)
    ours = SubwordTokenizer.from_file(folder)
    assert_same_ids(ours, theirs, odd_texts(10_000))
    ids = ours.encode("Mary")[0].tolist()
    pair = [*ours.before, *ids, *ours.between, *ids, *ours.after]
    assert theirs("Mary", "Mary")["input_ids"] == pair


# Families without segments need no class of their own.
CLASSES = {
    "albert": "AlbertTokenizer",
    "bert": "BertTokenizer",
    "camembert": "PreTrainedTokenizerFast",
    "deberta-v2": "PreTrainedTokenizerFast",
    "distilbert": "DistilBertTokenizer",
    "electra": "ElectraTokenizer",
    "modernbert": "PreTrainedTokenizerFast",
    "mpnet": "PreTrainedTokenizerFast",
    "roberta": "PreTrainedTokenizerFast",
    "xlm-roberta": "PreTrainedTokenizerFast",
}
PAIRS = [
    ("Where is Mary?", "Mary went to the bathroom."),
    ("Who slept?", "Mary went home, then she slept."),
    ("", "1990s"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_reads_a_folder_without_any_argument(kind, with_many_ids, tmp_path) -> None:
    reader = span_reader(backbone=files_of(kind, tmp_path / kind, with_many_ids))
    ours = reader.preprocessor.vectorizer.tokenizer
    save_pretrained(reader, tmp_path / "saved", ours)
    written = json.loads((tmp_path / "saved" / "tokenizer_config.json").read_text())
    assert written["tokenizer_class"] == CLASSES[kind]

    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "saved")
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(tmp_path / "saved").eval()
    pairs = theirs(*map(list, zip(*PAIRS, strict=True)), padding=True, return_tensors="pt")
    windows = reader.preprocessor.vectorizer([Example(text, question) for question, text in PAIRS])
    names = {
        "token_ids": "input_ids",
        "segment_ids": "token_type_ids",
        "padding_mask": "attention_mask",
    }
    assert sorted(pairs) == sorted(names[tensor.name] for tensor in reader.inputs)
    for name, array in windows.feed.items():
        if names[name] in pairs:
            np.testing.assert_array_equal(pairs[names[name]].numpy(), array, err_msg=name)
    with torch.no_grad():
        expected = model(**pairs)
    found = reader.predict({tensor.name: windows.feed[tensor.name] for tensor in reader.inputs})
    for name, logits in (("start", expected.start_logits), ("end", expected.end_logits)):
        of_text = found[name] > -1e8
        assert of_text.sum() > 15
        np.testing.assert_allclose(logits.numpy()[of_text], found[name][of_text], atol=1e-4)
    assert_same_ids(ours, theirs, odd_texts(2_000))


def test_a_tokenizer_of_another_family_keeps_its_segments(tmp_path) -> None:
    """ALBERT with word pieces: no class of its own would build that tokenizer."""
    tokenizer = SubwordTokenizer(wordpiece())
    save_pretrained(span_reader(backbone=FOLDER / "albert"), tmp_path, tokenizer)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    pair = theirs("who?", "mary went home.")
    before = pair["token_type_ids"].index(1)
    assert pair["input_ids"][before - 1] == tokenizer.between[0]
    ids = tokenizer.encode("mary went home.")[0].tolist()
    assert pair["input_ids"][before:-1] == ids
