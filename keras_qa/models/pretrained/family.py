"""`Family`: the names of settings and tensors in the checkpoints of a family, and its heads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from keras_qa.preprocessing.preprocessor import CHOICE, SEQUENCE, SPANS, TOKENS

# A `config.json` with the family's defaults.
Config: TypeAlias = Mapping[str, Any]


def _no_settings(config: Config) -> dict[str, Any]:
    return {}


@dataclasses.dataclass(frozen=True)
class Head:
    """The names of settings and tensors of a head.

    Attributes:
        logits: The prefix of the tensors of the last layer. This and the other prefixes include
            the family's prefix, if the tensors have it.
        settings: Returns for a config the arguments of `ClassificationHead`, except `num_labels`
            and `hidden_dim`. Raises a `ValueError` for an unsupported config.
        dense: The prefix of the tensors of the dense layer before the logits. `None` for no such
            layer.
        norm: The prefix of the tensors of the normalization after it. `None` for none.
    """

    logits: str
    settings: Callable[[Config], dict[str, Any]] = _no_settings
    dense: str | None = None
    norm: str | None = None


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
        sequence: The head for sequence classification.
        tokens: The head for token classification.
        choice: The head for multiple choice.
        spans: The head for question answering.
        unsupported: Required values of entries for which the encoder has no other option.
    """

    architecture: str
    prefix: str
    names: Mapping[str, str]
    settings: Callable[[Config], dict[str, Any]]
    defaults: Mapping[str, Any]
    sequence: Head
    tokens: Head
    choice: Head
    spans: Head = Head("qa_outputs")
    unsupported: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def head(self, task: str) -> Head:
        """Returns the head for a task."""
        heads = {
            SPANS: self.spans,
            SEQUENCE: self.sequence,
            TOKENS: self.tokens,
            CHOICE: self.choice,
        }
        return heads[task]


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
