"""Tokenizers of encoders that have no `tokenizer.json`."""

import json
import pathlib
import random
import shutil

import pytest
import sentencepiece
from small_tokenizers import LINES, byte_bpe, wordpiece
from special_letters import NAMES, assert_letters

from keras_qa.text import SubwordTokenizer

TEXTS = [
    *LINES,
    "\n Mary  slept\u3000at home \t",
    "Zoë's café, 1990s: 3.5 km?  Two  spaces\tand a tab.",
    "[SEP] <s> are letters",
    "",
]


def folder_of(path: pathlib.Path, kind: str, **settings: object) -> pathlib.Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": kind}))
    (path / "tokenizer_config.json").write_text(json.dumps(settings))
    return path


def same(one: SubwordTokenizer, other: SubwordTokenizer) -> None:
    for text in TEXTS:
        ids, offsets = one.encode(text)
        expected_ids, expected_offsets = other.encode(text)
        assert ids.tolist() == expected_ids.tolist(), text
        assert offsets.tolist() == expected_offsets.tolist(), text
    for name in ("before", "between", "after", "segments", "padding_id"):
        assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize("strip_accents", [True, False])
def test_vocab_txt(strip_accents: bool, tmp_path) -> None:
    whole = wordpiece(strip_accents)
    folder = folder_of(tmp_path / "bert", "bert", strip_accents=strip_accents)
    vocabulary = whole.get_vocab()
    lines = sorted(vocabulary, key=vocabulary.__getitem__)
    (folder / "vocab.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    same(SubwordTokenizer.from_file(folder), SubwordTokenizer(whole))


def test_vocab_txt_of_mpnet_has_two_separators(tmp_path) -> None:
    folder = folder_of(tmp_path / "mpnet", "mpnet")
    (folder / "vocab.txt").write_text("<s>\n<pad>\n</s>\n[UNK]\n<mask>\nmary\n", "utf-8")
    tokenizer = SubwordTokenizer.from_file(folder)
    assert (tokenizer.before, tokenizer.between, tokenizer.after) == ((0,), (2, 2), (2,))
    assert (tokenizer.padding_id, tokenizer.unknown_id) == (1, 3)
    assert tokenizer.encode("Mary </s>")[0].tolist()[:2] == [5, 3]


def test_vocab_json_with_merges(tmp_path) -> None:
    folder = folder_of(tmp_path / "roberta", "roberta")
    byte_bpe().model.save(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text("utf-8"))
    vocabulary["<unk>"], vocabulary["<mask>"] = len(vocabulary), len(vocabulary) + 1
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    same(SubwordTokenizer.from_file(folder), SubwordTokenizer(byte_bpe()))


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> pathlib.Path:
    """A small SentencePiece model with the special tokens of DeBERTa."""
    folder = tmp_path_factory.mktemp("sentencepiece")
    generator = random.Random(3)
    words = " ".join(LINES).split()
    text = folder / "text.txt"
    lines = [" ".join(generator.sample(words, 12)) for _ in range(200)]
    text.write_text("\n".join(lines), "utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / "spm"),
        vocab_size=160,
        character_coverage=1.0,
        hard_vocab_limit=False,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        user_defined_symbols=["[PAD]", "[CLS]", "[SEP]", "[MASK]"],
        minloglevel=2,
    )
    return folder / "spm.model"


@pytest.fixture
def reference(model) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_file=str(model))


SENTENCEPIECE = {
    "albert": "spiece.model",
    "camembert": "sentencepiece.bpe.model",
    "deberta-v2": "spm.model",
    "xlm-roberta": "sentencepiece.bpe.model",
}


def with_model(model: pathlib.Path, kind: str, folder: pathlib.Path, **settings: object):
    """The tokenizer of a folder with a SentencePiece model."""
    folder_of(folder / kind, kind, **settings)
    shutil.copy(model, folder / kind / SENTENCEPIECE[kind])
    return SubwordTokenizer.from_file(folder / kind)


def test_sentencepiece_of_deberta(model, reference, tmp_path) -> None:
    ours = with_model(model, "deberta-v2", tmp_path, do_lower_case=False)
    for text in TEXTS[:-2]:
        assert ours.encode(text)[0].tolist() == reference.encode(text), text
    named = [reference.piece_to_id(piece) for piece in ("[CLS]", "[SEP]", "[PAD]")]
    assert [*ours.before, *ours.after, ours.padding_id] == named
    assert ours.segments[3] == (1,)


def test_sentencepiece_of_albert_is_normalized(model, reference, tmp_path) -> None:
    ours = with_model(model, "albert", tmp_path)
    for text, normal in [
        (" \nZoë  said ``home'' \t", 'zoe said "home"'),
        ("MARY\u00a0\u3000slept ", "mary slept"),
        (" \n", ""),
    ]:
        assert ours.encode(text)[0].tolist() == reference.encode(normal), text


def test_sentencepiece_of_xlm_roberta_has_other_ids(model, reference, tmp_path) -> None:
    ours = with_model(model, "xlm-roberta", tmp_path)
    for text in TEXTS[:-2]:
        # The vocabulary begins with <s>, <pad>, </s> and <unk>.
        expected = [3 if id == 0 else id + 1 for id in reference.encode(text)]
        assert ours.encode(text)[0].tolist() == expected, text
    assert (ours.before, ours.between, ours.after) == ((0,), (2, 2), (2,))
    assert ours.padding_id == 1


@pytest.mark.parametrize("kind", SENTENCEPIECE)
def test_texts_never_hold_special_or_control_pieces(model, reference, kind, tmp_path) -> None:
    # SentencePiece encodes user-defined symbols in a text, but never control pieces.
    tokenizer = with_model(model, kind, tmp_path)
    assert_letters(tokenizer, " ".join(NAMES))
    control = {tokenizer._tokenizer.token_to_id(name) for name in ("<s>", "</s>")}
    assert all(reference.is_control(reference.piece_to_id(name)) for name in ("<s>", "</s>"))
    ids, offsets = tokenizer.encode("a<s></s>b")
    assert not control.intersection(ids.tolist())
    assert offsets[-1].tolist() == [8, 9]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"vocab.txt": "mary\nwent\n"}, r"the vocabulary lacks \[CLS\], \[PAD\], \[SEP\]"),
        ({"vocab.json": "{", "merges.txt": ""}, "`.*vocab.json` is not JSON"),
        ({"vocab.json": '{"a": 0}', "merges.txt": "b c"}, "The tokenizer cannot be read"),
        ({"spm.model": "no model"}, "`spm.model` is damaged|must be a Unigram model"),
        ({"vocab.json": "[]", "merges.txt": ""}, "`.*vocab.json` must hold a JSON object"),
        ({"tokenizer_config.json": "{"}, "`.*tokenizer_config.json` is not JSON"),
        ({"config.json": "7"}, "`.*config.json` must hold a JSON object. Get it again."),
    ],
)
def test_damaged_files_raise(files, message: str, tmp_path) -> None:
    folder = folder_of(tmp_path / "bad", "bert")
    for name, content in files.items():
        (folder / name).write_text(content, "utf-8")
    with pytest.raises(ValueError, match=message) as raised:
        SubwordTokenizer.from_file(folder)
    assert "\n" not in str(raised.value)
