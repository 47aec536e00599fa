"""Integrations with other frameworks: one module and one extra for each."""

import importlib

_MODULES = ("haystack", "langchain", "llama_index", "ray")


def __getattr__(name: str) -> object:
    # Import a module only when it is used, because its framework may be missing.
    if name in _MODULES:
        return importlib.import_module(f"keras_qa.integrations.{name}")
    raise AttributeError(f"module 'keras_qa.integrations' has no attribute {name!r}")
