"""The settings of `TransformerEncoder`: checks and relative positions."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_qa._arguments import check_choice, check_positive_integers, to_integer
from keras_qa.layers.kernels.tensor_types import Tensor
from keras_qa.layers.transformer_block import TERMS

RELATIVE = ("bias", "disentangled")
T5_MAX_DISTANCE = 128


def check_settings(s: dict[str, Any]) -> None:
    """Raises a `ValueError` for the first argument of `TransformerEncoder` that is out of range."""
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


def table_size(settings: dict[str, Any]) -> int:
    """Number of rows of the table of relative positions, 0 without them."""
    kind = settings["relative_positions"]
    if kind is None:
        return 0
    buckets: int = settings["num_buckets"] or settings["max_distance"]
    return buckets if kind == "bias" else 2 * buckets


def rows_of_pairs(settings: dict[str, Any], positions: Tensor) -> Tensor:
    """The row of the table for each pair of query and key, `(time, time)` int32."""
    table = ops.convert_to_tensor(rows_of_distances(settings))
    first = settings["max_length"] - 1
    return ops.take(table, positions[None, :] - positions[:, None] + first)


def rows_of_distances(settings: dict[str, Any]) -> np.ndarray:
    """The row of the table for each distance from `1 - max_length` to `max_length - 1`, int32."""
    longest = settings["max_length"]
    distances = np.arange(1 - longest, longest)
    if settings["relative_positions"] == "bias":
        rows = t5_buckets(distances, settings["num_buckets"])
    else:
        if settings["num_buckets"]:
            distances = log_buckets(distances, settings["num_buckets"], settings["max_distance"])
        size = table_size(settings)
        # DeBERTa subtracts the position of the key from that of the query.
        rows = np.clip(distances[::-1] + size // 2, 0, size - 1)
    return rows.astype("int32")


def t5_buckets(distances: np.ndarray, num_buckets: int) -> np.ndarray:
    """Buckets of Raffel et al. 2020 (arXiv:1910.10683): half of them for each direction.

    Distances of at least `T5_MAX_DISTANCE` share the last bucket of their direction.
    """
    half = num_buckets // 2
    exact = half // 2
    size = np.abs(distances)
    steps = np.log(np.maximum(size, 1) / exact) / np.log(T5_MAX_DISTANCE / exact) * (half - exact)
    far = np.minimum(exact + steps.astype("int32"), half - 1)
    return np.where(distances > 0, half, 0) + np.where(size < exact, size, far).astype("int32")


def log_buckets(distances: np.ndarray, num_buckets: int, max_distance: int) -> np.ndarray:
    """Signed buckets of He et al. 2021: one for each near distance, logarithmic for far ones."""
    middle = num_buckets // 2
    far = np.where(np.abs(distances) < middle, middle - 1, np.abs(distances))
    steps = np.log(far / middle) / np.log((max_distance - 1) / middle) * (middle - 1)
    shared = (np.ceil(steps) + middle) * np.sign(distances)
    return np.where(far <= middle, distances, shared).astype("int32")
