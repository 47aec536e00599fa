"""`Family`: the names of settings and tensors in the checkpoints of a family."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

# A `config.json` with the family's defaults.
Config: TypeAlias = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Family:
    """The names of settings and tensors in the checkpoints of a family.

    Attributes:
        architecture: The prefix of the family's class names in `transformers`, such as `"Bert"`.
        prefix: The prefix of the encoder's tensors in a checkpoint with a head.
        names: The prefix of the tensors of each layer of `layers.TransformerEncoder`. `block` is
            that of a block, with `{}` for its number, and is followed by those of the layers in the
            block. Without `key` and `value`, `query` contains all three.
        settings: Returns the encoder's settings for a config.
        defaults: Values of missing config entries.
        head: The prefix of the tensors of the head for question answering.
        unsupported: Required values of entries for which the encoder has no other option.
    """

    architecture: str
    prefix: str
    names: Mapping[str, str]
    settings: Callable[[Config], dict[str, Any]]
    defaults: Mapping[str, Any]
    head: str = "qa_outputs"
    unsupported: Mapping[str, Any] = dataclasses.field(default_factory=dict)


ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}


def activation(name: Any) -> str:
    """Returns the encoder's name of an activation."""
    if name not in ACTIVATIONS:
        raise ValueError(
            f"the activation {name!r} is not supported: only {', '.join(ACTIVATIONS)} are"
        )
    return ACTIVATIONS[name]
