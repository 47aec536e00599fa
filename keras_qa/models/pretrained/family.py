"""What a family of published encoders is: how its files name things."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

# A `config.json`, with the family's defaults for what it leaves out.
Config: TypeAlias = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Family:
    """How the checkpoints of a family name settings and tensors.

    Attributes:
        architecture: What `transformers` calls its models, without what they are for.
        prefix: What stands before the encoder's tensors where there is a head beside it.
        names: For each layer of `layers.TransformerEncoder` what its tensors' names begin with.
            `block` is where those of a block are, `{}` for its number; the layers in a block
            follow it. Where `key` and `value` are left out, `query` holds all three.
        settings: Gives the encoder's settings for a config.
        defaults: What a config stands for that it leaves out.
        head: Name of the question answering head.
        unsupported: Settings that the encoder has not, by what they must be.
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
    """An activation as the encoder names it.

    Raises:
        ValueError: If it is another one.
    """
    if name not in ACTIVATIONS:
        raise ValueError(
            f"the activation {name!r} is not supported: only {', '.join(ACTIVATIONS)} are"
        )
    return ACTIVATIONS[name]
