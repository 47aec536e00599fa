"""ALBERT (Lan et al. 2020, arXiv:1909.11942): small embeddings, and blocks that share weights."""

from __future__ import annotations

from typing import Any

from keras_qa.models.pretrained.bert import (
    DEFAULTS,
    NAMES,
    UNSUPPORTED,
    pooled,
    settings,
    tokens,
)
from keras_qa.models.pretrained.family import Config, Family, Head


def _settings(config: Config) -> dict[str, Any]:
    return {
        **settings(config),
        "embedding_dim": config["embedding_size"],
        "num_groups": config["num_hidden_groups"],
    }


def _renamed(config: Config) -> Config:
    return {**config, "classifier_dropout": config["classifier_dropout_prob"]}


_POOLED = Head("classifier", lambda config: pooled(_renamed(config)), "albert.pooler")

ALBERT = Family(
    architecture="Albert",
    prefix="albert",
    names={
        **NAMES,
        "project": "encoder.embedding_hidden_mapping_in",
        "block": "encoder.albert_layer_groups.{}.albert_layers.0",
        "query": "attention.query",
        "key": "attention.key",
        "value": "attention.value",
        "attention": "attention.dense",
        "attention_norm": "attention.LayerNorm",
        "hidden": "ffn",
        "output_dense": "ffn_output",
        "output_norm": "full_layer_layer_norm",
    },
    settings=_settings,
    defaults={
        **DEFAULTS,
        "vocab_size": 30000,
        "embedding_size": 128,
        "hidden_size": 4096,
        "num_hidden_groups": 1,
        "num_attention_heads": 64,
        "intermediate_size": 16384,
        "inner_group_num": 1,
        "hidden_act": "gelu_new",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "classifier_dropout_prob": 0.1,
    },
    sequence_classification=_POOLED,
    token_classification=Head("classifier", lambda config: tokens(_renamed(config))),
    multiple_choice=_POOLED,
    unsupported={**UNSUPPORTED, "inner_group_num": 1},
)
