"""The public names: those of `docs/reference/`, of which there are few, and of `__all__`."""

import importlib
import inspect
import pathlib

import keras_qa

REFERENCE = pathlib.Path(__file__).parents[2] / "docs" / "reference"
NAMES = [
    line.removeprefix("::: ")
    for page in sorted(REFERENCE.glob("*.md"))
    for line in page.read_text(encoding="utf-8").splitlines()
    if line.startswith("::: ")
]
# The most names. Lower it when you can.
MOST = 95
# They need Haystack: `tests/integrations` imports them.
ELSEWHERE = "keras_qa.integrations.haystack."


def documented() -> dict[str, object]:
    found = {}
    for name in NAMES:
        if not name.startswith(ELSEWHERE):
            module, _, attribute = name.rpartition(".")
            found[name] = getattr(importlib.import_module(module), attribute)
    return found


def test_there_are_few_names() -> None:
    assert len(NAMES) == len(set(NAMES)) <= MOST


def test_documented_names_are_public() -> None:
    for name in documented():
        module, _, attribute = name.rpartition(".")
        public = getattr(importlib.import_module(module), "__all__", None)
        assert public is None or attribute in public, name


def test_public_classes_and_functions_are_documented() -> None:
    known = list(documented().values())
    rooms = [getattr(keras_qa, name) for name in keras_qa.__all__]
    for module in [keras_qa, *filter(inspect.ismodule, rooms)]:
        public = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
        functions = {name for name, item in public.items() if inspect.isroutine(item)}
        classes = {name for name, item in public.items() if inspect.isclass(item)}
        hidden = {name for name in functions | classes if public[name] not in known}
        assert not hidden, module.__name__
