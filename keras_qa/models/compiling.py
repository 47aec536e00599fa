"""What a file says of how a model was compiled: the same on every backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def portable(config: Any) -> Any:
    """Names optimizers as Keras does.

    On PyTorch they are classes of their own below Keras' names. A file that held these would open
    only where PyTorch is installed, and train nowhere else.

    Args:
        config: What `keras.Model.get_compile_config` gives, or a file holds.

    Returns:
        The config, for any backend.
    """
    if isinstance(config, (list, tuple)):
        return [portable(part) for part in config]
    if not isinstance(config, Mapping):
        return config
    parts = {name: portable(part) for name, part in config.items()}
    if ".torch.optimizers." in str(parts.get("module")):
        parts["module"] = "keras.optimizers"
    return parts
