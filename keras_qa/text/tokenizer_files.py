"""Tokenizers of published encoders that have no `tokenizer.json`."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from keras_qa._arguments import first_line, import_extra, read_object
from keras_qa.text.tokenizer import parse_tokenizer, translate_errors

if TYPE_CHECKING:
    import tokenizers

TOKENIZER_JSON = "tokenizer.json"
SENTENCEPIECE = ("spiece.model", "sentencepiece.bpe.model", "spm.model")
# All files of a tokenizer that a folder may hold.
FILES = (
    TOKENIZER_JSON,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    *SENTENCEPIECE,
)


def build_tokenizer(folder: pathlib.Path) -> tokenizers.Tokenizer:
    """Builds a tokenizer from a folder in Hugging Face's layout."""
    model_type = str(_settings(folder / "config.json").get("model_type", "bert"))
    settings = _settings(folder / "tokenizer_config.json")
    try:
        if (folder / "vocab.txt").is_file():
            return _wordpiece(folder / "vocab.txt", model_type, settings)
        if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            return _byte_pairs(folder, settings)
        for name in SENTENCEPIECE:
            if (folder / name).is_file():
                return _sentencepiece(folder / name, model_type, settings)
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        line = first_line(error, 200)
        raise ValueError(f"The tokenizer files in `{folder}` cannot be read: {line}") from None
    raise FileNotFoundError(
        f"`{folder}` holds no tokenizer: expected `{TOKENIZER_JSON}`, `vocab.txt`, `vocab.json` "
        f"and `merges.txt`, or one of {', '.join(SENTENCEPIECE)}."
    )


def _settings(file: pathlib.Path) -> Mapping[str, Any]:
    """The content of an optional JSON file."""
    return read_object(file) if file.is_file() else {}


def _special(settings: Mapping[str, Any], name: str, default: str) -> str:
    """A special token of the settings: a string, or an object with `content`."""
    token = settings.get(name, default)
    return str(token.get("content", default) if isinstance(token, Mapping) else token)


def _wordpiece(
    file: pathlib.Path, model_type: str, settings: Mapping[str, Any]
) -> tokenizers.Tokenizer:
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
    _add_special_tokens(tokenizer, settings, model_type, unknown)
    return tokenizer


def _byte_pairs(folder: pathlib.Path, settings: Mapping[str, Any]) -> tokenizers.Tokenizer:
    from tokenizers import pre_tokenizers

    with (folder / "merges.txt").open(encoding="utf-8") as lines:
        merges = [
            line.split() for line in lines if line.strip() and not line.startswith("#version")
        ]
    # `models.BPE.from_file` of tokenizers 0.23 raises bare exceptions for damaged files.
    vocabulary = read_object(folder / "vocab.json")
    tokenizer = parse_tokenizer(
        json.dumps({"model": {"type": "BPE", "vocab": vocabulary, "merges": merges}})
    )
    prefix = settings.get("add_prefix_space", False)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    _add_special_tokens(tokenizer, settings, "roberta", "<unk>")
    return tokenizer


def _add_special_tokens(
    tokenizer: tokenizers.Tokenizer,
    settings: Mapping[str, Any],
    model_type: str,
    unknown: str,
    control: Iterable[str] = (),
) -> None:
    """Registers special and control tokens, and the template of a pair of texts."""
    from tokenizers import AddedToken, processors

    double = model_type in ("roberta", "xlm-roberta", "camembert", "mpnet")
    first = _special(settings, "cls_token", "<s>" if double else "[CLS]")
    last = _special(settings, "sep_token", "</s>" if double else "[SEP]")
    # ALBERT uses [CLS] and [SEP], but <pad>.
    is_albert = _has(tokenizer, "<pad>") and not _has(tokenizer, "[PAD]")
    default = "<pad>" if double or is_albert else "[PAD]"
    padding = _special(settings, "pad_token", default)
    mask = _special(settings, "mask_token", "<mask>" if double else "[MASK]")
    tokens = (first, padding, last, unknown, mask, *control)
    present = [token for token in tokens if _has(tokenizer, token)]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in present])
    missing = {first, last, padding} - set(present)
    if missing:
        raise ValueError(f"the vocabulary lacks {', '.join(sorted(missing))}")
    pair = f"{first} $A {last} {last} $B {last}" if double else f"{first} $A {last} $B:1 {last}:1"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=pair,
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (first, last)],
    )
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id(padding), pad_token=padding)


def _has(tokenizer: tokenizers.Tokenizer, token: str) -> bool:
    return tokenizer.token_to_id(token) is not None


# Pieces with their scores, and the id of the unknown piece.
_Vocabulary = tuple[list[tuple[str, float]], int]


def _xlm_roberta(pieces: list[tuple[str, float]]) -> _Vocabulary:
    specials = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    return [*specials, *pieces[3:], ("<mask>", 0.0)], 3


def _camembert(pieces: list[tuple[str, float]]) -> _Vocabulary:
    specials = [("<s>NOTUSED", 0.0), ("<pad>", 0.0), ("</s>NOTUSED", 0.0), ("<unk>", 0.0)]
    return [*specials, ("<unk>NOTUSED", -100.0), *pieces[1:], ("<mask>", 0.0)], 3


def _albert(pieces: list[tuple[str, float]]) -> _Vocabulary:
    # ALBERT splits a comma from the digit before it.
    adjusted = [
        (piece, score - 100.0 if piece[-1:] == "," and piece[-2:-1].isdigit() else score)
        for piece, score in pieces
    ]
    return adjusted, next(n for n, (piece, _) in enumerate(adjusted) if piece == "<unk>")


def _unchanged(pieces: list[tuple[str, float]]) -> _Vocabulary:
    unknown = ("[UNK]", "<unk>")
    return pieces, next(n for n, (piece, _) in enumerate(pieces) if piece in unknown)


_VOCABULARIES: dict[str, Callable[[list[tuple[str, float]]], _Vocabulary]] = {
    "albert": _albert,
    "camembert": _camembert,
    "xlm-roberta": _xlm_roberta,
}


def _sentencepiece(
    file: pathlib.Path, model_type: str, settings: Mapping[str, Any]
) -> tokenizers.Tokenizer:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    pieces, control, rules = _read_model(file)
    vocabulary, unknown = _VOCABULARIES.get(model_type, _unchanged)(pieces)
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=unknown))
    steps: list[Any] = []
    if model_type == "albert":
        steps += [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
        if not settings.get("keep_accents", False):
            steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if settings.get("do_lower_case", model_type == "albert"):
        steps.append(normalizers.Lowercase())
    if rules:
        with translate_errors():
            steps.append(normalizers.Precompiled(rules))
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    _add_special_tokens(tokenizer, settings, model_type, vocabulary[unknown][0], control)
    return tokenizer


def _read_model(file: pathlib.Path) -> tuple[list[tuple[str, float]], list[str], bytes]:
    """The pieces with their scores, the control pieces, and the compiled normalization rules."""
    module = "sentencepiece.sentencepiece_model_pb2"
    model = import_extra(f"`{file.name}`", module, "sentencepiece").ModelProto()
    from google.protobuf.message import DecodeError

    try:
        model.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise ValueError(f"`{file.name}` is damaged ({error})") from None
    if model.trainer_spec.model_type != 1:
        raise ValueError(f"`{file.name}` must be a Unigram model; no other kind is supported")
    pieces = [(piece.piece, piece.score) for piece in model.pieces]
    control = [piece.piece for piece in model.pieces if piece.type == piece.CONTROL]
    return pieces, control, model.normalizer_spec.precompiled_charsmap
