"""The `tokenizer_config.json` of a checkpoint, with its tokenizer class in `transformers`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from keras_qa.layers import TransformerEncoder
from keras_qa.text import SubwordTokenizer

# The class that reads any `tokenizer.json` unchanged.
GENERIC = "PreTrainedTokenizerFast"

_INPUT_NAMES = {
    "token_ids": "input_ids",
    "segment_ids": "token_type_ids",
    "padding_mask": "attention_mask",
}
_SPECIAL_TOKENS = ("cls_token", "sep_token", "pad_token", "unk_token", "mask_token")

Settings = Mapping[str, Any]


def tokenizer_config(
    tokenizer: SubwordTokenizer, architecture: str, encoder: TransformerEncoder
) -> dict[str, Any]:
    """Describes a tokenizer for `transformers` and `transformers.js`.

    In `transformers.js` the class decides whether segment ids are used. In `transformers` 5 the
    class of a family builds the tokenizer from its vocabulary and a few settings. This class is
    only written if it builds an equal tokenizer; otherwise `PreTrainedTokenizerFast` is.
    """
    found: dict[str, str | None] = {**tokenizer.special_tokens()}
    name = f"{architecture}Tokenizer"
    options = _options(name, tokenizer, found)
    if options is None:
        name, options = GENERIC, {}
    else:
        # For a missing token the class would add its default to the vocabulary.
        found = {token: found.get(token) for token in _SPECIAL_TOKENS}
    return {
        "tokenizer_class": name,
        "model_input_names": [_INPUT_NAMES[each] for each in encoder.input_names],
        **options,
        **found,
    }


def _options(name: str, tokenizer: SubwordTokenizer, special: Settings) -> Settings | None:
    """Returns the arguments with which a class builds an equal tokenizer, or `None`."""
    if name not in _CLASSES:
        return None
    options_of, first, last, between, segments = _CLASSES[name]
    specials = [len(part) for part in (tokenizer.before, tokenizer.between, tokenizer.after)]
    around = (special.get("cls_token"), special.get("sep_token"))
    if around != (first, last) or specials != [1, between, 1]:
        return None
    if {*tokenizer.between, *tokenizer.after} != {tokenizer.after[-1]}:
        return None
    if [part[0] for part in tokenizer.segments] != segments:
        return None
    return options_of(json.loads(tokenizer.to_json()))


def _word_pieces(settings: Settings) -> Settings | None:
    model, normalizer = settings["model"], settings["normalizer"] or {}
    expected = ("WordPiece", "##", 100)
    keys = ("type", "continuing_subword_prefix", "max_input_chars_per_word")
    if (
        tuple(model.get(key) for key in keys) != expected
        or settings["pre_tokenizer"] != {"type": "BertPreTokenizer"}
        or normalizer.get("type") != "BertNormalizer"
        or not normalizer["clean_text"]
    ):
        return None
    return {
        "do_lower_case": normalizer["lowercase"],
        "strip_accents": normalizer["strip_accents"],
        "tokenize_chinese_chars": normalizer["handle_chinese_chars"],
    }


def _byte_pairs(settings: Settings) -> Settings | None:
    model, pieces = settings["model"], settings["pre_tokenizer"] or {}
    unusual = ("dropout", "unk_token", "fuse_unk", "byte_fallback", "ignore_merges")
    if (
        model["type"] != "BPE"
        or any(model.get(key) for key in unusual)
        or settings["normalizer"] is not None
        or pieces.get("type") != "ByteLevel"
        or not pieces.get("use_regex", True)
    ):
        return None
    return {"add_prefix_space": pieces["add_prefix_space"]}


def _albert(settings: Settings) -> Settings | None:
    steps = _steps(settings["normalizer"], "normalizers")
    options = {
        "do_lower_case": {"type": "Lowercase"} in steps,
        "keep_accents": {"type": "NFKD"} not in steps,
    }
    quotes = [
        {"type": "Replace", "pattern": {"String": quote}, "content": '"'} for quote in ("``", "''")
    ]
    accents = [] if options["keep_accents"] else [{"type": "NFKD"}, {"type": "StripAccents"}]
    lower = [{"type": "Lowercase"}] if options["do_lower_case"] else []
    expected = [*quotes, *accents, *lower]
    return options if _is_unigram(settings, expected, 1) else None


def _xlm_roberta(settings: Settings) -> Settings | None:
    return {} if _is_unigram(settings, [], 3) else None


def _camembert(settings: Settings) -> Settings | None:
    # The class would add missing ones of these tokens.
    names = {"<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"}
    is_whole = names <= {piece[0] for piece in settings["model"]["vocab"]}
    return {} if is_whole and _is_unigram(settings, [], 3) else None


def _is_unigram(settings: Settings, expected: list[Any], unknown: int) -> bool:
    """Whether a Unigram tokenizer has these normalizers before SentencePiece's own one."""
    model = settings["model"]
    steps = _steps(settings["normalizer"], "normalizers")
    if len(steps) > len(expected) and steps[-1]["type"] == "Precompiled":
        steps = steps[:-1]
    pieces = _steps(settings["pre_tokenizer"], "pretokenizers")
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    return (
        model["type"] == "Unigram"
        and model["unk_id"] == unknown
        and not model.get("byte_fallback")
        and steps == expected
        and pieces == [{"type": "WhitespaceSplit"}, metaspace]
    )


def _steps(step: Settings | None, key: str) -> list[Any]:
    """Returns the steps of a normalizer or pre-tokenizer as a flat list."""
    if step is None:
        return []
    if step["type"] != "Sequence":
        return [step]
    return [inner for part in step[key] for inner in _steps(part, key)]


# For each class: a function that returns its arguments, the tokens before and after a text, the
# number of tokens between two texts, and the segment ids of the five parts of a pair.
_Class = tuple[Callable[[Settings], Settings | None], str, str, int, list[int]]
_CLASSES: dict[str, _Class] = {
    **{
        f"{name}Tokenizer": (options, "[CLS]", "[SEP]", 1, [0, 0, 0, 1, 1])
        for name, options in (
            ("Albert", _albert),
            ("Bert", _word_pieces),
            ("DistilBert", _word_pieces),
            ("Electra", _word_pieces),
        )
    },
    **{
        f"{name}Tokenizer": (options, "<s>", "</s>", 2, [0, 0, 0, 0, 0])
        for name, options in (
            ("Camembert", _camembert),
            ("MPNet", _word_pieces),
            ("Roberta", _byte_pairs),
            ("XLMRoberta", _xlm_roberta),
        )
    },
}
