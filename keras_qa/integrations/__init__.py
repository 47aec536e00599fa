"""Parts of other frameworks that answer by readers, a module a framework, each with its extra."""

from keras_qa import _backend

_backend.require()

import importlib

_MODULES = ("haystack",)


def __getattr__(name: str) -> object:
    # Each needs its framework, which only those have who ask for it.
    if name in _MODULES:
        return importlib.import_module(f"keras_qa.integrations.{name}")
    raise AttributeError(f"module 'keras_qa.integrations' has no attribute {name!r}")
