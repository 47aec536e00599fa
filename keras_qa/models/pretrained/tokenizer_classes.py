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

    In `transformers.js` the class decides whether segment ids are used, so families with segments
    need their own. In `transformers` 5 the class of a family builds the tokenizer from its
    vocabulary and a few settings, so it is only written if it builds an equal tokenizer.
    """
    special: dict[str, str | None] = {**tokenizer.special_tokens()}
    name = f"{architecture}Tokenizer"
    options = None
    if name in _CLASSES and _is_bert_pair(tokenizer, special):
        options = _CLASSES[name](json.loads(tokenizer.to_json()))
    if options is None:
        name, options = GENERIC, {}
    else:
        # For a missing token the class would add its default to the vocabulary.
        special = {token: special.get(token) for token in _SPECIAL_TOKENS}
    return {
        "tokenizer_class": name,
        "model_input_names": [_INPUT_NAMES[each] for each in encoder.input_names],
        **options,
        **special,
    }


def _is_bert_pair(tokenizer: SubwordTokenizer, special: Settings) -> bool:
    """Whether a pair of texts is `[CLS] first [SEP] second [SEP]`, with segment ids 0 and 1."""
    around = (special.get("cls_token"), special.get("sep_token"))
    parts = [len(part) for part in (tokenizer.before, tokenizer.between, tokenizer.after)]
    return (
        around == ("[CLS]", "[SEP]")
        and parts == [1, 1, 1]
        and tokenizer.between == tokenizer.after
        and [part[0] for part in tokenizer.segments] == [0, 0, 0, 1, 1]
    )


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
    # SentencePiece's own normalizer may come last.
    if steps and steps[-1]["type"] == "Precompiled":
        steps = steps[:-1]
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    model = settings["model"]
    is_same = (
        (model["type"], model.get("unk_id")) == ("Unigram", 1)
        and not model.get("byte_fallback")
        and steps == [*quotes, *accents, *lower]
        and _steps(settings["pre_tokenizer"], "pretokenizers")
        == [{"type": "WhitespaceSplit"}, metaspace]
    )
    return options if is_same else None


def _steps(step: Settings | None, key: str) -> list[Any]:
    """Returns the steps of a normalizer or pre-tokenizer as a flat list."""
    if step is None:
        return []
    if step["type"] != "Sequence":
        return [step]
    return [inner for part in step[key] for inner in _steps(part, key)]


# For each class: a function that returns its arguments, or `None` if it builds another tokenizer.
_CLASSES: dict[str, Callable[[Settings], Settings | None]] = {
    "AlbertTokenizer": _albert,
    "BertTokenizer": _word_pieces,
    "DistilBertTokenizer": _word_pieces,
    "ElectraTokenizer": _word_pieces,
}
