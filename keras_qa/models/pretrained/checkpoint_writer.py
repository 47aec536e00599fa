"""Writes models as checkpoints in Hugging Face's layout."""

from __future__ import annotations

import json
import os
import pathlib

import keras
import numpy as np

from keras_qa.data.files import replace_atomically
from keras_qa.layers import SpanHead, TransformerEncoder
from keras_qa.layers.classification_head import ClassificationHead, task_of, transformer_of
from keras_qa.models.pretrained import weights
from keras_qa.models.pretrained.checkpoint import CONFIG, FAMILIES
from keras_qa.models.pretrained.checkpoint_tensors import WHOLE, safetensors
from keras_qa.models.pretrained.family import Family, Head
from keras_qa.models.pretrained.tokenizer_classes import tokenizer_config
from keras_qa.preprocessing.preprocessor import SPANS, TASKS
from keras_qa.text import SubwordTokenizer

NO_CHECKPOINT = (
    "Only models that were created from a checkpoint can be saved as one. Save this one as a "
    "`.keras` file."
)


def save_pretrained(
    model: keras.Model,
    folder: str | os.PathLike[str],
    tokenizer: SubwordTokenizer | None = None,
) -> None:
    """Saves a model with a `backbone` as a checkpoint in Hugging Face's layout.

    `tokenizer` is `None` for that of the model's preprocessor.
    """
    safetensors()
    from safetensors.numpy import save

    encoder = transformer_of(model)
    if encoder is None or encoder.settings["checkpoint"] is None:
        raise ValueError(NO_CHECKPOINT)
    preprocessor = getattr(model, "preprocessor", None)
    if tokenizer is None:
        tokenizer = getattr(getattr(preprocessor, "vectorizer", None), "tokenizer", None)
    if tokenizer is None:
        raise ValueError(
            f"The model `{model.name}` has no tokenizer. Pass one to the function that creates it."
        )
    kinds = (SpanHead, ClassificationHead)
    layer = next(item for item in model.layers if isinstance(item, kinds))
    if getattr(layer, "answer_types", ()):
        raise ValueError(
            "A reader with `answer_types` cannot be saved as a checkpoint, which has no weights "
            "for yes and no. Save it as a `.keras` file."
        )
    family = FAMILIES[encoder.settings["checkpoint"]["model_type"]]
    task = task_of(model) or SPANS
    longest = encoder.max_length
    if preprocessor is not None:
        longest = preprocessor.max_length(longest)
    files = {
        WHOLE: save(_tensors(encoder, layer, family, family.head(task)), {"format": "pt"}),
        **describe_checkpoint(encoder, tokenizer, TASKS[task], longest),
    }
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with replace_atomically(target / name) as partial:
            partial.write_bytes(content)


def describe_checkpoint(
    encoder: TransformerEncoder, tokenizer: SubwordTokenizer, suffix: str, max_length: int
) -> dict[str, bytes]:
    """Returns the files of a checkpoint except its weights, for an encoder from a checkpoint.

    `suffix` ends the name of the architecture, such as `"ForQuestionAnswering"`.
    """
    config = encoder.settings["checkpoint"]
    if config is None:
        raise ValueError(NO_CHECKPOINT)
    architecture = FAMILIES[config["model_type"]].architecture
    described = {
        **{key: value for key, value in config.items() if key != "_name_or_path"},
        "architectures": [f"{architecture}{suffix}"],
        **{key: "float32" for key in ("dtype", "torch_dtype") if key in config},
    }
    settings = tokenizer_config(tokenizer, architecture, encoder)
    return {
        CONFIG: _json(described),
        "tokenizer.json": tokenizer.to_json().encode(),
        "tokenizer_config.json": _json({**settings, "model_max_length": max_length}),
    }


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"


def _tensors(
    encoder: TransformerEncoder, layer: keras.layers.Layer, family: Family, head: Head
) -> dict[str, np.ndarray]:
    # ModernBERT's final dense layer belongs to the head, so its name has no prefix.
    beside = tuple(
        f"{name}." for key, name in family.names.items() if key.startswith("final_dense")
    )
    encoder_parts = list(weights.encoder_parts(encoder, family))
    head_parts = list(weights.head_parts(layer, head))
    modes = {part.layer.quantization_mode for part in (*encoder_parts, *head_parts)} - {None}
    if modes:
        raise ValueError(
            f"A model that was quantized to {', '.join(sorted(modes))} cannot be saved as a "
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
