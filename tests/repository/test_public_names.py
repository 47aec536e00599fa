"""The public names: those of `__all__` and `docs/reference/` together, of which there are few."""

import functools
import importlib.util
import inspect
import pathlib
import re
import types
from collections.abc import Iterator

import keras_qa

ROOT = pathlib.Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
DOCUMENTED = [
    line.removeprefix("::: ")
    for page in sorted(REFERENCE.glob("*.md"))
    for line in page.read_text(encoding="utf-8").splitlines()
    if line.startswith("::: ")
]
# The most classes, functions and constants. Lower it when you can.
MOST = 91
# They need other frameworks: `tests/integrations` imports them.
INTEGRATIONS = "keras_qa.integrations."


def look_up(name: str) -> object:
    """Returns the object of a full name, as a user gets it after `import keras_qa`."""
    return functools.reduce(getattr, name.split(".")[1:], keras_qa)


def listed(module: types.ModuleType, prefix: str = "keras_qa") -> Iterator[str]:
    """Yields the full names in `__all__` of a module and of the modules that it lists."""
    for name in getattr(module, "__all__", ()):
        if inspect.ismodule(item := getattr(module, name)):
            yield from listed(item, f"{prefix}.{name}")
        else:
            yield f"{prefix}.{name}"


def test_there_are_few_names() -> None:
    names = {*DOCUMENTED, *listed(keras_qa)}
    assert "keras_qa.recipes.train" in names
    assert len(names) <= MOST
    # Each has one name.
    assert len(DOCUMENTED) == len(set(DOCUMENTED))
    objects = [look_up(name) for name in names if not name.startswith(INTEGRATIONS)]
    assert len({id(item) for item in objects}) == len(objects)


def test_documented_names_are_public() -> None:
    for name in DOCUMENTED:
        if not name.startswith(INTEGRATIONS):
            module, _, attribute = name.rpartition(".")
            assert attribute in getattr(look_up(module), "__all__", [attribute]), name


def test_public_names_are_documented() -> None:
    assert set(listed(keras_qa)) <= set(DOCUMENTED)


def test_docs_and_examples_use_public_names() -> None:
    paths = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.ipynb")]
    text = "".join(path.read_text(encoding="utf-8") for path in paths)
    names = set(re.findall(r"(?<![\w/])keras_qa\.(\w+)", text))
    assert "datasets" in names
    # `keras_qa.json` is a file of an exported folder.
    assert names <= {*keras_qa.__all__, "serving", "json"}
    modules = set(re.findall(r"(?:from|import) (keras_qa[\w.]*)", text))
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def callables() -> Iterator[tuple[str, types.FunctionType]]:
    """Yields the functions of the documented names, and the methods of their classes."""
    for name in DOCUMENTED:
        if name.startswith(INTEGRATIONS):
            continue
        item = look_up(name)
        for part, method in inspect.getmembers(item) if inspect.isclass(item) else [("", item)]:
            method = inspect.unwrap(method) if callable(method) else method
            if inspect.isfunction(method) and method.__module__.startswith("keras_qa"):
                yield f"{name}.{part}".rstrip("."), method


def test_docstrings_promise_none_only_if_it_can_be_returned() -> None:
    checked = 0
    for name, function in callables():
        part = re.search(r"\n +Returns:\n(.*?)(\n\n|$)", function.__doc__ or "", re.DOTALL)
        if part is None:
            continue
        checked += 1
        returned = str(function.__annotations__.get("return"))
        if re.search(r"(?:^|\. )\s*`?None\b", part[1]):
            assert re.search("None|Any", returned), name
    assert checked > 40
