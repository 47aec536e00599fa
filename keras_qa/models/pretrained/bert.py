"""BERT, and families with the same tensor names: RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA."""

from __future__ import annotations

import dataclasses
from typing import Any

from keras_qa.models.pretrained.family import Config, Family, Head, activation


def settings(config: Config) -> dict[str, Any]:
    """Returns the encoder's settings for a config with BERT's names."""
    return {
        "vocabulary_size": config["vocab_size"],
        "num_layers": config["num_hidden_layers"],
        "num_heads": config["num_attention_heads"],
        "hidden_dim": config["hidden_size"],
        "intermediate_dim": config["intermediate_size"],
        "max_length": config["max_position_embeddings"],
        "num_segments": config["type_vocab_size"],
        "activation": activation(config["hidden_act"]),
        "layer_norm_epsilon": config["layer_norm_eps"],
        "dropout": config["hidden_dropout_prob"],
        "attention_dropout": config["attention_probs_dropout_prob"],
    }


def after_padding(config: Config) -> dict[str, Any]:
    """Returns the settings if positions start after the padding id, as in RoBERTa."""
    offset = config["pad_token_id"] + 1
    longest = config["max_position_embeddings"] - offset
    return {**settings(config), "position_offset": offset, "max_length": longest}


def classifier_dropout(config: Config) -> float:
    """Returns the dropout rate of a head."""
    own: float | None = config["classifier_dropout"]
    hidden: float = config["hidden_dropout_prob"]
    return hidden if own is None else own


def pooled(config: Config) -> dict[str, Any]:
    """Returns the settings of a head with BERT's pooler."""
    return {"activation": "tanh", "dropout": classifier_dropout(config)}


def dense(config: Config) -> dict[str, Any]:
    """Returns the settings of a head with a dense layer, as in RoBERTa."""
    return {**pooled(config), "input_dropout": classifier_dropout(config)}


def tokens(config: Config) -> dict[str, Any]:
    """Returns the settings of a head with logits for each position."""
    return {"pooling": None, "dropout": classifier_dropout(config)}


def _pooled_choice(config: Config) -> dict[str, Any]:
    return {"activation": "tanh", "dropout": config["hidden_dropout_prob"]}


def _summary(config: Config) -> dict[str, Any]:
    if config["summary_type"] != "first":
        raise ValueError(f"`summary_type={config['summary_type']!r:.40}` is not supported")
    name = config["summary_activation"]
    arguments = {
        "activation": activation(name) if name else None,
        "input_dropout": config["summary_first_dropout"],
        "dropout": config["summary_last_dropout"],
    }
    return arguments if config["summary_use_proj"] else {**arguments, "hidden_dim": None}


def _electra(config: Config) -> dict[str, Any]:
    narrow = config["embedding_size"] != config["hidden_size"]
    return {**settings(config), "embedding_dim": config["embedding_size"] if narrow else None}


NAMES = {
    "tokens": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "segments": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
    "block": "encoder.layer.{}",
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "hidden": "intermediate.dense",
    "output_dense": "output.dense",
    "output_norm": "output.LayerNorm",
}

DEFAULTS = {
    "vocab_size": 30522,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "pad_token_id": 0,
    "classifier_dropout": None,
    "position_embedding_type": "absolute",
    "is_decoder": False,
}

UNSUPPORTED = {"position_embedding_type": "absolute", "is_decoder": False}

TOKENS_HEAD = Head("classifier", tokens)
DENSE_HEAD = Head("classifier.out_proj", dense, "classifier.dense")

_POOLED = Head("classifier", pooled, "bert.pooler.dense")

BERT = Family(
    "Bert",
    "bert",
    NAMES,
    settings,
    DEFAULTS,
    sequence_classification=_POOLED,
    token_classification=TOKENS_HEAD,
    multiple_choice=_POOLED,
    unsupported=UNSUPPORTED,
)

ROBERTA = dataclasses.replace(
    BERT,
    architecture="Roberta",
    prefix="roberta",
    settings=after_padding,
    defaults={**DEFAULTS, "vocab_size": 50265, "pad_token_id": 1},
    sequence_classification=DENSE_HEAD,
    token_classification=TOKENS_HEAD,
    multiple_choice=Head("classifier", _pooled_choice, "roberta.pooler.dense"),
)

ELECTRA = dataclasses.replace(
    BERT,
    architecture="Electra",
    prefix="electra",
    names={**NAMES, "project": "embeddings_project"},
    settings=_electra,
    defaults={
        **DEFAULTS,
        "embedding_size": 128,
        "hidden_size": 256,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
        "summary_type": "first",
        "summary_use_proj": True,
        "summary_activation": "gelu",
        "summary_first_dropout": 0.0,
        "summary_last_dropout": 0.1,
    },
    sequence_classification=dataclasses.replace(
        DENSE_HEAD, settings=lambda config: {**dense(config), "activation": "gelu"}
    ),
    token_classification=TOKENS_HEAD,
    multiple_choice=Head("classifier", _summary, "sequence_summary.summary"),
)
