"""MPNet (Song et al. 2020, arXiv:2004.09297): attention biases by relative position."""

from __future__ import annotations

from typing import Any

from keras_qa.models.pretrained.bert import (
    DEFAULTS,
    DENSE_HEAD,
    NAMES,
    TOKENS_HEAD,
    after_padding,
    pooled,
)
from keras_qa.models.pretrained.family import Config, Family, Head


def _settings(config: Config) -> dict[str, Any]:
    return {
        **after_padding(config),
        "num_segments": 0,
        "relative_positions": "bias",
        "num_buckets": config["relative_attention_num_buckets"],
    }


MPNET = Family(
    architecture="MPNet",
    prefix="mpnet",
    names={
        **NAMES,
        "relative": "encoder.relative_attention_bias",
        "query": "attention.attn.q",
        "key": "attention.attn.k",
        "value": "attention.attn.v",
        "attention": "attention.attn.o",
        "attention_norm": "attention.LayerNorm",
    },
    settings=_settings,
    defaults={
        **DEFAULTS,
        "vocab_size": 30527,
        "pad_token_id": 1,
        "type_vocab_size": 0,
        "relative_attention_num_buckets": 32,
    },
    sequence_classification=DENSE_HEAD,
    token_classification=TOKENS_HEAD,
    multiple_choice=Head("classifier", pooled, "mpnet.pooler.dense"),
)
