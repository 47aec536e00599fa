"""The rooms of the package in their order."""

from __future__ import annotations

# A room imports only rooms above it.
ROOMS = (
    "_backend",
    "_arguments",
    "example",
    "terminal",
    "files",
    "metrics",
    "text",
    "datasets",
    "decoding",
    "documents",
    "preprocessing",
    "kernels",
    "execution",
    "layers",
    "objectives",
    "inputs",
    "models",
    "answering",
    "recipes",
    "report",
    "integrations",
    "cli",
)
# They need no backend, and no Keras.
HOST = ROOMS[: ROOMS.index("kernels")]
