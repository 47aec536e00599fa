"""Tokenizers of published encoders, built of whichever files lie in their folder."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from keras_qa.files.json_files import read_object
from keras_qa.text.parsing import tokenizer_from

if TYPE_CHECKING:
    import tokenizers

WHOLE = "tokenizer.json"
SENTENCEPIECE = ("spiece.model", "sentencepiece.bpe.model", "spm.model")
# What a folder may hold of a tokenizer.
FILES = (
    WHOLE,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    *SENTENCEPIECE,
)


def build(folder: pathlib.Path) -> tokenizers.Tokenizer:
    """Builds the tokenizer of a folder in Hugging Face's layout that holds no `tokenizer.json`.

    Args:
        folder: The folder, with `vocab.txt`, `vocab.json` and `merges.txt`, or a model of
            SentencePiece, and `config.json`.

    Returns:
        The tokenizer.

    Raises:
        FileNotFoundError: If there is none of them.
        ImportError: If a model of SentencePiece needs a library that is missing.
        ValueError: If a file is damaged.
    """
    kind = str(_settings(folder / "config.json").get("model_type", "bert"))
    settings = _settings(folder / "tokenizer_config.json")
    try:
        if (folder / "vocab.txt").is_file():
            return _wordpiece(folder / "vocab.txt", kind, settings)
        if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            return _byte_pairs(folder, settings)
        for name in SENTENCEPIECE:
            if (folder / name).is_file():
                return _sentencepiece(folder / name, kind, settings)
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        line = (str(error).splitlines() or [repr(error)])[0][:200]
        raise ValueError(f"The tokenizer's files in `{folder}` cannot be read: {line}") from None
    raise FileNotFoundError(
        f"`{folder}` holds no tokenizer: expected `{WHOLE}`, `vocab.txt`, `vocab.json` and "
        f"`merges.txt`, or one of {', '.join(SENTENCEPIECE)}."
    )


def _settings(file: pathlib.Path) -> Mapping[str, Any]:
    """What a file holds that need not be there."""
    return read_object(file) if file.is_file() else {}


def _special(settings: Mapping[str, Any], name: str, default: str) -> str:
    """A special token as the settings name it: a string, or an object that holds one."""
    found = settings.get(name, default)
    return str(found.get("content", default) if isinstance(found, Mapping) else found)


def _wordpiece(file: pathlib.Path, kind: str, settings: Mapping[str, Any]) -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    with file.open(encoding="utf-8") as lines:
        vocabulary = {line.rstrip("\n"): number for number, line in enumerate(lines)}
    unknown = _special(settings, "unk_token", "[UNK]")
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=settings.get("do_lower_case", True),
        strip_accents=settings.get("strip_accents"),
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    _mark_special(tokenizer, settings, kind, unknown)
    return tokenizer


def _byte_pairs(folder: pathlib.Path, settings: Mapping[str, Any]) -> tokenizers.Tokenizer:
    from tokenizers import pre_tokenizers

    with (folder / "merges.txt").open(encoding="utf-8") as lines:
        merges = [
            line.split() for line in lines if line.strip() and not line.startswith("#version")
        ]
    # The library's own way to these files raises bare exceptions.
    vocabulary = read_object(folder / "vocab.json")
    tokenizer = tokenizer_from(
        json.dumps({"model": {"type": "BPE", "vocab": vocabulary, "merges": merges}})
    )
    prefix = settings.get("add_prefix_space", False)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    _mark_special(tokenizer, settings, "roberta", "<unk>")
    return tokenizer


def _mark_special(
    tokenizer: tokenizers.Tokenizer,
    settings: Mapping[str, Any],
    kind: str,
    unknown: str,
    others: Iterable[str] = (),
) -> None:
    """Puts special tokens around a pair of texts, as the family has them.

    No text spells those, nor the other tokens.
    """
    from tokenizers import AddedToken, processors

    double = kind in ("roberta", "xlm-roberta", "camembert", "mpnet")
    first = _special(settings, "cls_token", "<s>" if double else "[CLS]")
    last = _special(settings, "sep_token", "</s>" if double else "[SEP]")
    # ALBERT has some of either.
    of_albert = _has(tokenizer, "<pad>") and not _has(tokenizer, "[PAD]")
    usual = "<pad>" if double or of_albert else "[PAD]"
    padding = _special(settings, "pad_token", usual)
    mask = _special(settings, "mask_token", "<mask>" if double else "[MASK]")
    tokens = (first, padding, last, unknown, mask, *others)
    found = [token for token in tokens if _has(tokenizer, token)]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in found])
    missing = {first, last, padding} - set(found)
    if missing:
        raise ValueError(f"the vocabulary lacks {', '.join(sorted(missing))}")
    pair = f"{first} $A {last} {last} $B {last}" if double else (f"{first} $A {last} $B:1 {last}:1")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=pair,
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (first, last)],
    )
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id(padding), pad_token=padding)


def _has(tokenizer: tokenizers.Tokenizer, token: str) -> bool:
    return tokenizer.token_to_id(token) is not None


# Pieces and scores of a model, and the number of the unknown one, by family.
_Pieces = tuple[list[tuple[str, float]], int]


def _xlm_roberta(pieces: list[tuple[str, float]]) -> _Pieces:
    specials = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    return [*specials, *pieces[3:], ("<mask>", 0.0)], 3


def _camembert(pieces: list[tuple[str, float]]) -> _Pieces:
    specials = [("<s>NOTUSED", 0.0), ("<pad>", 0.0), ("</s>NOTUSED", 0.0), ("<unk>", 0.0)]
    return [*specials, ("<unk>NOTUSED", -100.0), *pieces[1:], ("<mask>", 0.0)], 3


def _albert(pieces: list[tuple[str, float]]) -> _Pieces:
    # A comma after a digit is to stay a piece of its own.
    found = [
        (piece, score - 100.0 if piece[-1:] == "," and piece[-2:-1].isdigit() else score)
        for piece, score in pieces
    ]
    return found, next(n for n, (piece, _) in enumerate(found) if piece == "<unk>")


def _as_they_are(pieces: list[tuple[str, float]]) -> _Pieces:
    unknown = ("[UNK]", "<unk>")
    return pieces, next(n for n, (piece, _) in enumerate(pieces) if piece in unknown)


_OF_FAMILY: dict[str, Callable[[list[tuple[str, float]]], _Pieces]] = {
    "albert": _albert,
    "camembert": _camembert,
    "xlm-roberta": _xlm_roberta,
}


def _sentencepiece(
    file: pathlib.Path, kind: str, settings: Mapping[str, Any]
) -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    pieces, control, rules = _read_model(file)
    vocabulary, unknown = _OF_FAMILY.get(kind, _as_they_are)(pieces)
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=unknown))
    steps: list[Any] = []
    if kind == "albert":
        steps += [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
        if not settings.get("keep_accents", False):
            steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if settings.get("do_lower_case", kind == "albert"):
        steps.append(normalizers.Lowercase())
    if rules:
        steps.append(normalizers.Precompiled(rules))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    _mark_special(tokenizer, settings, kind, vocabulary[unknown][0], control)
    return tokenizer


def _read_model(file: pathlib.Path) -> tuple[list[tuple[str, float]], list[str], bytes]:
    """The pieces with their scores, those that no text holds, and how a text is normalised."""
    try:
        from sentencepiece import sentencepiece_model_pb2
    except ImportError as error:
        raise ImportError(
            f"`{file.name}` needs `sentencepiece` and `protobuf`, which cannot be imported "
            f'({error}). Install them: `pip install "keras-qa[sentencepiece]"`.'
        ) from error
    from google.protobuf.message import DecodeError

    messages: Any = sentencepiece_model_pb2
    model = messages.ModelProto()
    try:
        model.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise ValueError(f"`{file.name}` is damaged ({error})") from None
    if model.trainer_spec.model_type != 1:
        raise ValueError(f"`{file.name}` is not of the Unigram kind, the only one supported")
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    control = [piece.piece for piece in model.pieces if piece.type == piece.CONTROL]
    return pieces, control, model.normalizer_spec.precompiled_charsmap
