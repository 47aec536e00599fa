"""ModernBERT (Warner et al. 2024, arXiv:2412.13663): rotary positions, local attention."""

from __future__ import annotations

from typing import Any

from keras_qa.models.pretrained.family import Config, Family, Head, activation

_LOCAL, _GLOBAL = "sliding_attention", "full_attention"


def _settings(config: Config) -> dict[str, Any]:
    layers = config["num_hidden_layers"]
    every = config["global_attn_every_n_layers"]
    kinds = config["layer_types"] or [_LOCAL if n % every else _GLOBAL for n in range(layers)]
    local, far = config["local_rope_theta"], config["global_rope_theta"]
    wavelengths = {_LOCAL: far if local is None else local, _GLOBAL: far}
    for kind, rope in (config["rope_parameters"] or {}).items():
        if rope.get("rope_type", "default") != "default":
            raise ValueError(
                f"rotary positions of the type {rope['rope_type']!r} are not supported"
            )
        wavelengths[kind] = rope["rope_theta"]
    return {
        "vocabulary_size": config["vocab_size"],
        "num_layers": layers,
        "num_heads": config["num_attention_heads"],
        "hidden_dim": config["hidden_size"],
        "intermediate_dim": config["intermediate_size"],
        "max_length": config["max_position_embeddings"],
        "num_segments": 0,
        "activation": activation(config["hidden_activation"]),
        "layer_norm_epsilon": config["norm_eps"],
        "dropout": config["mlp_dropout"],
        "attention_dropout": config["attention_dropout"],
        "absolute_positions": False,
        "pre_norm": True,
        "gated": True,
        "use_bias": False,
        "wavelengths": [float(wavelengths[kind]) for kind in kinds],
        "windows": [config["local_attention"] // 2 if kind == _LOCAL else 0 for kind in kinds],
        "final_dense": True,
    }


def _span_head(config: Config) -> dict[str, Any]:
    # The encoder has the dense layer of this head, with the encoder's settings.
    if config["classifier_activation"] != config["hidden_activation"]:
        raise ValueError("`classifier_activation` other than `hidden_activation` is not supported")
    if config["classifier_bias"]:
        raise ValueError("`classifier_bias=True` is not supported")
    return {}


def _tokens(config: Config) -> dict[str, Any]:
    return {
        "pooling": None,
        "activation": activation(config["classifier_activation"]),
        "use_bias": config["classifier_bias"],
        "layer_norm_epsilon": config["norm_eps"],
        "dropout": config["classifier_dropout"],
    }


def _pooled(config: Config) -> dict[str, Any]:
    pooling = {"cls": "first", "mean": "mean"}
    if (kind := config["classifier_pooling"]) not in pooling:
        raise ValueError(f"`classifier_pooling={kind!r:.40}` is not supported")
    return {**_tokens(config), "pooling": pooling[kind]}


_POOLED = Head("classifier", _pooled, "head.dense", "head.norm")

_BIASES = ("attention_bias", "mlp_bias", "norm_bias")

MODERNBERT = Family(
    architecture="ModernBert",
    prefix="model",
    names={
        "tokens": "embeddings.tok_embeddings",
        "norm": "embeddings.norm",
        "final_norm": "final_norm",
        "block": "layers.{}",
        "query": "attn.Wqkv",
        "attention": "attn.Wo",
        "attention_norm": "attn_norm",
        "hidden": "mlp.Wi",
        "output_dense": "mlp.Wo",
        "output_norm": "mlp_norm",
        "final_dense": "head.dense",
        "final_dense_norm": "head.norm",
    },
    settings=_settings,
    defaults={
        "vocab_size": 50368,
        "num_hidden_layers": 22,
        "num_attention_heads": 12,
        "hidden_size": 768,
        "intermediate_size": 1152,
        "max_position_embeddings": 8192,
        "hidden_activation": "gelu",
        "classifier_activation": "gelu",
        "norm_eps": 1e-5,
        "mlp_dropout": 0.0,
        "attention_dropout": 0.0,
        "global_attn_every_n_layers": 3,
        "local_attention": 128,
        "global_rope_theta": 160_000.0,
        "local_rope_theta": 10_000.0,
        "rope_parameters": None,
        "layer_types": None,
        "classifier_pooling": "cls",
        "classifier_dropout": 0.0,
        "classifier_bias": False,
        **dict.fromkeys(_BIASES, False),
    },
    question_answering=Head("classifier", _span_head),
    sequence_classification=_POOLED,
    token_classification=Head("classifier", _tokens, "head.dense", "head.norm"),
    multiple_choice=_POOLED,
    unsupported=dict.fromkeys(_BIASES, False),
)
