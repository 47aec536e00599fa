"""`Family`: the names of settings and tensors in the checkpoints of a family, and its heads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

# A `config.json` with the family's defaults.
Config: TypeAlias = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Head:
    """The names of settings and tensors of a head.

    Prefixes of tensors include the family's prefix, if the tensors have it.
    """

    # The prefix of the tensors of the last layer.
    logits: str
    # Returns for a config the arguments of `ClassificationHead`, except `num_labels` and
    # `hidden_dim`. Raises a `ValueError` for an unsupported config.
    settings: Callable[[Config], dict[str, Any]] = lambda config: {}
    # The prefixes of the dense layer before the logits and of the normalization after it.
    dense: str | None = None
    norm: str | None = None


@dataclasses.dataclass(frozen=True)
class Family:
    """The names of settings and tensors in the checkpoints of a family, and its heads."""

    # The prefix of the family's class names in `transformers`, such as `"Bert"`.
    architecture: str
    # The prefix of the encoder's tensors in a checkpoint with a head.
    prefix: str
    # The prefix of the tensors of each layer of `layers.TransformerEncoder`. `block` is that of a
    # block, with `{}` for its number, and is followed by those of the layers in the block. Without
    # `key` and `value`, `query` contains all three.
    names: Mapping[str, str]
    # Returns the encoder's settings for a config.
    settings: Callable[[Config], dict[str, Any]]
    # Values of missing config entries.
    defaults: Mapping[str, Any]
    # The heads, by the names of `TASKS`.
    sequence_classification: Head
    token_classification: Head
    multiple_choice: Head
    question_answering: Head = Head("qa_outputs")
    # Required values of entries for which the encoder has no other option.
    unsupported: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def head(self, task: str) -> Head:
        """Returns the head for a task, a key of `TASKS`."""
        head: Head = getattr(self, task)
        return head


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
