"""DistilBERT (Sanh et al. 2019, arXiv:1910.01108)."""

from __future__ import annotations

from typing import Any

from keras_qa.models.pretrained.bert import NAMES
from keras_qa.models.pretrained.family import Config, Family, Head, activation


def _settings(config: Config) -> dict[str, Any]:
    return {
        "vocabulary_size": config["vocab_size"],
        "num_layers": config["n_layers"],
        "num_heads": config["n_heads"],
        "hidden_dim": config["dim"],
        "intermediate_dim": config["hidden_dim"],
        "max_length": config["max_position_embeddings"],
        "num_segments": 0,
        "activation": activation(config["activation"]),
        "dropout": config["dropout"],
        "attention_dropout": config["attention_dropout"],
    }


_POOLED = Head(
    "classifier",
    lambda config: {"activation": "relu", "dropout": config["seq_classif_dropout"]},
    "pre_classifier",
)

DISTILBERT = Family(
    architecture="DistilBert",
    prefix="distilbert",
    names={
        **NAMES,
        "block": "transformer.layer.{}",
        "query": "attention.q_lin",
        "key": "attention.k_lin",
        "value": "attention.v_lin",
        "attention": "attention.out_lin",
        "attention_norm": "sa_layer_norm",
        "hidden": "ffn.lin1",
        "output_dense": "ffn.lin2",
        "output_norm": "output_layer_norm",
    },
    settings=_settings,
    defaults={
        "vocab_size": 30522,
        "n_layers": 6,
        "n_heads": 12,
        "dim": 768,
        "hidden_dim": 3072,
        "max_position_embeddings": 512,
        "activation": "gelu",
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "seq_classif_dropout": 0.2,
    },
    sequence_classification=_POOLED,
    token_classification=Head(
        "classifier", lambda config: {"pooling": None, "dropout": config["dropout"]}
    ),
    multiple_choice=_POOLED,
)
