"""DeBERTa v2 and v3 (He et al. 2021, arXiv:2006.03654, 2111.09543): disentangled attention."""

from __future__ import annotations

from typing import Any

from keras_qa.layers.transformer_block import TERMS
from keras_qa.models.pretrained.bert import DEFAULTS, NAMES, TOKENS_HEAD, settings
from keras_qa.models.pretrained.family import Config, Family, Head, activation


def _settings(config: Config) -> dict[str, Any]:
    longest, buckets = config["max_relative_positions"], config["position_buckets"]
    narrow = config.get("embedding_size") or config["hidden_size"]
    if narrow != config["hidden_size"]:
        raise ValueError(f"`embedding_size` is {narrow}, but only `hidden_size` is supported")
    arguments = {
        **settings(config),
        "absolute_positions": config["position_biased_input"],
        "max_distance": longest if longest > 0 else config["max_position_embeddings"],
    }
    if config["relative_attention"]:
        arguments["relative_positions"] = "disentangled"
        arguments["num_buckets"] = buckets if buckets > 0 else None
        # A list, or a string of names separated by "|".
        arguments["relative_terms"] = [t for t in TERMS if t in (config["pos_att_type"] or ())]
        arguments["relative_norm"] = "layer_norm" in config["norm_rel_ebd"]
    return arguments


def _pooled(config: Config) -> dict[str, Any]:
    own = config["cls_dropout"]
    return {
        "activation": activation(config["pooler_hidden_act"]),
        "input_dropout": config["pooler_dropout"],
        "dropout": config["hidden_dropout_prob"] if own is None else own,
    }


_POOLED = Head("classifier", _pooled, "pooler.dense")

DEBERTA = Family(
    architecture="DebertaV2",
    prefix="deberta",
    names={
        **NAMES,
        "relative": "encoder.rel_embeddings",
        "relative_norm": "encoder.LayerNorm",
        "query": "attention.self.query_proj",
        "key": "attention.self.key_proj",
        "value": "attention.self.value_proj",
    },
    settings=_settings,
    defaults={
        **DEFAULTS,
        "vocab_size": 128100,
        "num_hidden_layers": 24,
        "num_attention_heads": 24,
        "hidden_size": 1536,
        "intermediate_size": 6144,
        "type_vocab_size": 0,
        "layer_norm_eps": 1e-7,
        "relative_attention": False,
        "max_relative_positions": -1,
        "position_buckets": -1,
        "position_biased_input": True,
        "pos_att_type": None,
        "norm_rel_ebd": "none",
        "share_att_key": False,
        "conv_kernel_size": 0,
        "pooler_dropout": 0.0,
        "pooler_hidden_act": "gelu",
        "cls_dropout": None,
    },
    sequence_classification=_POOLED,
    token_classification=TOKENS_HEAD,
    multiple_choice=_POOLED,
    unsupported={"conv_kernel_size": 0, "share_att_key": True},
)
