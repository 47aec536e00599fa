"""Checks of the arguments of `TransformerEncoder`, and their names in older files."""

from __future__ import annotations

from typing import Any

from keras_qa._arguments import check_choice, check_positive_integers, to_integer
from keras_qa.layers.transformer_block import TERMS

RELATIVE = ("bias", "disentangled")


def check_settings(s: dict[str, Any]) -> None:
    """Raises a `ValueError` for the first argument that is out of its range.

    Args:
        s: The arguments of `TransformerEncoder`.
    """
    sizes = ("vocabulary_size", "num_layers", "num_heads", "hidden_dim", "intermediate_dim")
    check_positive_integers(**{name: s[name] for name in (*sizes, "max_length", "max_distance")})
    maybe = ("embedding_dim", "num_groups", "num_buckets")
    check_positive_integers(**{name: s[name] for name in maybe if s[name] is not None})
    if s["hidden_dim"] % s["num_heads"]:
        raise ValueError(
            f"`hidden_dim` must be a multiple of `num_heads`. Received: hidden_dim="
            f"{s['hidden_dim']}, num_heads={s['num_heads']}."
        )
    if s["num_layers"] % (s["num_groups"] or 1):
        raise ValueError(
            f"`num_layers` must be a multiple of `num_groups`. Received: num_layers="
            f"{s['num_layers']}, num_groups={s['num_groups']}."
        )
    for name in ("position_offset", "num_segments"):
        to_integer(name, s[name], least=0)
    if s["relative_positions"] is not None:
        check_choice("relative_positions", s["relative_positions"], RELATIVE)
    if s["relative_positions"] == "bias":
        check_positive_integers(num_buckets=s["num_buckets"])
    for term in s["relative_terms"]:
        check_choice("relative_terms", term, TERMS)
    for name in ("wavelengths", "windows"):
        if s[name] is not None and len(s[name]) != s["num_layers"]:
            raise ValueError(
                f"`{name}` must have one entry for each of the {s['num_layers']} layers. "
                f"Received: {name}={s[name]!r}."
            )


def rename_settings(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a file in which `modern` stood for `pre_norm`, `gated` and no `use_bias`."""
    config = dict(config)
    if "modern" in config:
        modern = config.pop("modern")
        config |= {"pre_norm": modern, "gated": modern, "use_bias": not modern}
    return config
