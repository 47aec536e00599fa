"""Chooses the backend before Keras is imported, and checks that it is installed."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import json
import os
import pathlib
import sys
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec

BACKENDS = ("tensorflow", "torch", "jax")
# The rooms that import Keras, and those of them that are imported.
KERAS_ROOMS = ("layers", "losses", "engine", "models")
_COMPLETE: set[str] = set()


def installed() -> list[str]:
    """Returns the installed backends, in Keras' order."""
    return [name for name in BACKENDS if importlib.util.find_spec(name) is not None]


def configured() -> str:
    """Returns the backend that Keras will use: `KERAS_BACKEND`, `keras.json` or tensorflow."""
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    home = os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras"
    try:
        settings = json.loads((pathlib.Path(home) / "keras.json").read_text())
    except (OSError, ValueError):
        return "tensorflow"
    name: str = settings.get("backend", "tensorflow")
    return name


def choose() -> None:
    """Sets `KERAS_BACKEND` to the installed backend, if Keras would use another one.

    Changes nothing if `KERAS_BACKEND` is set, Keras is imported, or several backends are installed.
    """
    if os.environ.get("KERAS_BACKEND") or "keras" in sys.modules:
        return
    backends = installed()
    if len(backends) == 1 and configured() not in backends:
        os.environ["KERAS_BACKEND"] = backends[0]


def use(name: str) -> None:
    """Sets the backend that Keras will use, or raises if Keras is imported with another one."""
    if name not in BACKENDS:
        expected = ", ".join(map(repr, BACKENDS))
        raise ValueError(f"`backend` must be one of {expected}. Received: backend={name!r:.80}.")
    if "keras" in sys.modules and configured() != name:
        raise ValueError(
            f"Keras already uses {configured()}. Received: backend={name!r}. Set `backend` in a "
            "process that has not imported Keras."
        )
    os.environ["KERAS_BACKEND"] = name


def problem() -> str | None:
    """Returns the reason why Keras' backend cannot be imported, or `None`."""
    name, backends = configured(), installed()
    if name in backends:
        return None
    extras = ", ".join(f'pip install "keras-qa[{backend}]"' for backend in BACKENDS)
    if not backends:
        return f"keras-qa needs a backend and none is installed. Install one: {extras}."
    others = " or ".join(f"KERAS_BACKEND={backend}" for backend in backends)
    if not os.environ.get("KERAS_BACKEND"):
        return (
            f"KERAS_BACKEND is not set, so Keras would use {name}, which is not installed. "
            f"Set {others}, or install one: {extras}."
        )
    if name not in BACKENDS:
        return (
            f"keras-qa runs on tensorflow, torch and jax. Received: KERAS_BACKEND={name}. "
            f"Set {others}, or install one: {extras}."
        )
    return (
        f"KERAS_BACKEND={name}, but {name} is not installed. "
        f'Set {others}, or install it: pip install "keras-qa[{name}]".'
    )


def require() -> None:
    """Raises an `ImportError` if Keras' backend cannot be imported.

    Rooms that need a backend call it before they import anything else.
    """
    reason = problem()
    if reason is not None:
        raise ImportError(reason)


def register_with_keras() -> None:
    """Registers all classes with Keras as soon as it is imported, so that it can load files.

    Keras is not imported: an exported folder is loaded without it.
    """
    if "keras" in sys.modules:
        register()
    else:
        sys.meta_path.insert(0, _AfterKeras())


def register(room: str | None = None) -> None:
    """Imports the classes that Keras saves.

    Each room that imports Keras calls it at its end with its name. While another one is being
    imported, it does nothing: they would import each other in a circle.
    """
    if room is not None:
        _COMPLETE.add(room)
    begun = {name for name in KERAS_ROOMS if f"keras_qa.{name}" in sys.modules}
    if begun <= _COMPLETE and problem() is None:
        for name in ("layers", "models", "losses"):
            importlib.import_module(f"keras_qa.{name}")


class _AfterKeras(importlib.abc.MetaPathFinder):
    """Calls `register` after the first import of Keras."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: types.ModuleType | None = None,
    ) -> ModuleSpec | None:
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def run(module: types.ModuleType) -> None:
                execute(module)
                register()

            spec.loader.exec_module = run  # type: ignore[method-assign]
        return spec
