"""What every layer takes beside its own arguments, as `keras.layers.Layer` does."""

from __future__ import annotations

from typing import TypeAlias, TypedDict

import keras

# A policy, its name, or `None` for Keras' global one.
DType: TypeAlias = str | keras.DTypePolicy | None


class UnnamedOptions(TypedDict, total=False):
    """What `keras.layers.Layer` takes, for functions that name the layer themselves."""

    dtype: DType
    trainable: bool


class LayerOptions(UnnamedOptions, total=False):
    """What `keras.layers.Layer` takes."""

    name: str | None
