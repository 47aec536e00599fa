"""Writes readers as checkpoints in Hugging Face's layout."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_qa.files import replace_atomically
from keras_qa.layers import SpanHead, TransformerEncoder
from keras_qa.models.pretrained import weights
from keras_qa.models.pretrained.checkpoint import CONFIG, FAMILIES
from keras_qa.models.pretrained.checkpoint_tensors import WHOLE, safetensors
from keras_qa.models.pretrained.family import Family
from keras_qa.text import SubwordTokenizer

# The class that reads any `tokenizer.json` unchanged.
_GENERIC = "PreTrainedTokenizerFast"
_INPUT_NAMES = {
    "token_ids": "input_ids",
    "segment_ids": "token_type_ids",
    "padding_mask": "attention_mask",
}
_SPECIAL_TOKENS = ("cls_token", "sep_token", "pad_token", "unk_token", "mask_token")

Settings = Mapping[str, Any]


def save_reader(model: keras.Model, tokenizer: SubwordTokenizer, folder: pathlib.Path) -> None:
    """Writes a reader that was created from a checkpoint, so that `transformers` can read it."""
    safetensors()
    from safetensors.numpy import save

    encoder = transformer_of(model)
    config = encoder.settings["checkpoint"] if encoder is not None else None
    if encoder is None or config is None:
        raise ValueError(
            "Only readers that were created from a checkpoint can be saved as one. Save this one "
            "as a `.keras` file."
        )
    head = next(item for item in model.layers if isinstance(item, SpanHead))
    family = FAMILIES[config["model_type"]]
    described = {
        **{key: value for key, value in config.items() if key != "_name_or_path"},
        "architectures": [f"{family.architecture}ForQuestionAnswering"],
        **{key: "float32" for key in ("dtype", "torch_dtype") if key in config},
    }
    files = {
        WHOLE: save(_tensors(encoder, head, family), {"format": "pt"}),
        CONFIG: _json(described),
        "tokenizer.json": tokenizer.to_json().encode(),
        "tokenizer_config.json": _json(tokenizer_config(tokenizer, family.architecture, encoder)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with replace_atomically(folder / name) as partial:
            partial.write_bytes(content)


def transformer_of(model: keras.Model) -> TransformerEncoder | None:
    """Returns the published encoder of a reader, or `None`."""
    return next((item for item in model.layers if isinstance(item, TransformerEncoder)), None)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"


def _tensors(encoder: TransformerEncoder, head: SpanHead, family: Family) -> dict[str, np.ndarray]:
    # ModernBERT's final dense layer belongs to the head, so its name has no prefix.
    beside = tuple(
        f"{name}." for key, name in family.names.items() if key.startswith("final_dense")
    )
    encoder_parts = list(weights.encoder_parts(encoder, family))
    head_parts = list(weights.head_parts(head, family))
    modes = {part.layer.quantization_mode for part in (*encoder_parts, *head_parts)} - {None}
    if modes:
        raise ValueError(
            f"A reader that was quantized to {', '.join(sorted(modes))} cannot be saved as a "
            "checkpoint, which holds float weights. Save it with `save`, or call "
            "`save_pretrained` before `quantize`."
        )
    tensors = {}
    for part in encoder_parts:
        for name, value in part.split():
            tensors[name if name.startswith(beside) else f"{family.prefix}.{name}"] = value
    for part in head_parts:
        tensors.update(part.split())
    return tensors


def tokenizer_config(
    tokenizer: SubwordTokenizer, architecture: str, encoder: TransformerEncoder
) -> dict[str, Any]:
    """Describes a tokenizer for `transformers` and `transformers.js`.

    In `transformers.js` the class decides whether segment ids are used, so a family with segments
    needs its own class. In `transformers` 5 this class builds the tokenizer from its vocabulary and
    a few settings, so it is only written if it builds an equal tokenizer.
    """
    found: dict[str, str | None] = {**tokenizer.special_tokens()}
    name, options = f"{architecture}Tokenizer", _options(architecture, tokenizer, found)
    if options is None:
        name, options = _GENERIC, {}
    else:
        # For a missing token the class would add its default to the vocabulary.
        found = {token: found.get(token) for token in _SPECIAL_TOKENS}
    return {
        "tokenizer_class": name,
        "model_max_length": encoder.max_length,
        "model_input_names": [_INPUT_NAMES[each] for each in encoder.input_names],
        **options,
        **found,
    }


def _options(architecture: str, tokenizer: SubwordTokenizer, special: Settings) -> Settings | None:
    """Returns the arguments with which a family's class builds an equal tokenizer, or `None`."""
    parts = (tokenizer.before, tokenizer.between, tokenizer.after)
    if (
        (special.get("cls_token"), special.get("sep_token")) != ("[CLS]", "[SEP]")
        or [len(part) for part in parts] != [1, 1, 1]
        or tokenizer.between[0] != tokenizer.after[0]
        or [part[0] for part in tokenizer.segments] != [0, 0, 0, 1, 1]
    ):
        return None
    settings = json.loads(tokenizer.to_json())
    if architecture in ("Bert", "Electra"):
        return _word_piece_options(settings)
    return _albert_options(settings) if architecture == "Albert" else None


def _word_piece_options(settings: Settings) -> Settings | None:
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


def _albert_options(settings: Settings) -> Settings | None:
    model, steps = settings["model"], _steps(settings["normalizer"], "normalizers")
    options = {
        "do_lower_case": {"type": "Lowercase"} in steps,
        "keep_accents": {"type": "NFKD"} not in steps,
    }
    quotes = [
        {"type": "Replace", "pattern": {"String": quote}, "content": '"'} for quote in ("``", "''")
    ]
    accents = [] if options["keep_accents"] else [{"type": "NFKD"}, {"type": "StripAccents"}]
    expected = [*quotes, *accents, *([{"type": "Lowercase"}] if options["do_lower_case"] else [])]
    # SentencePiece's own normalizer comes after these.
    if len(steps) > len(expected) and steps[-1]["type"] == "Precompiled":
        steps = steps[:-1]
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    pieces = [{"type": "WhitespaceSplit"}, metaspace]
    if (
        model["type"] != "Unigram"
        or model["unk_id"] != 1
        or model.get("byte_fallback")
        or steps != expected
        or _steps(settings["pre_tokenizer"], "pretokenizers") != pieces
    ):
        return None
    return options


def _steps(step: Settings | None, key: str) -> list[Any]:
    """Returns the steps of a normalizer or pre-tokenizer as a flat list."""
    if step is None:
        return []
    if step["type"] != "Sequence":
        return [step]
    return [inner for part in step[key] for inner in _steps(part, key)]
