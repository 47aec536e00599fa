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
# It needs Haystack: `tests/integrations` imports it.
ELSEWHERE = "keras_qa.integrations.haystack.KerasReader"


def documented() -> dict[str, object]:
    found = {}
    for name in NAMES:
        if name != ELSEWHERE:
            module, _, attribute = name.rpartition(".")
            found[name] = getattr(importlib.import_module(module), attribute)
    return found


def test_there_are_at_most_a_hundred_names() -> None:
    assert len(NAMES) == len(set(NAMES)) <= 100


def test_all_documented_names_are_public() -> None:
    for name in documented():
        module, _, attribute = name.rpartition(".")
        public = getattr(importlib.import_module(module), "__all__", None)
        assert public is None or attribute in public, name


def test_all_public_classes_and_functions_are_documented() -> None:
    known = list(documented().values())
    rooms = [getattr(keras_qa, name) for name in keras_qa.__all__]
    for module in [keras_qa, *filter(inspect.ismodule, rooms)]:
        public = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
        made = {
            name
            for name, item in public.items()
            if inspect.isroutine(item) or inspect.isclass(item)
        }
        assert {name for name in made if public[name] not in known} == set(), module.__name__
