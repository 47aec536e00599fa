"""The rooms of the house: which imports which, read off the sources."""

from __future__ import annotations

import ast
import pathlib
import re

import keras_qa

PACKAGE = pathlib.Path(keras_qa.__file__).parent

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
    "tasks",
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


def modules() -> dict[str, pathlib.Path]:
    """The files of the package by module, the package itself left out: it is the door to all."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


def imported(source: str, known: dict[str, pathlib.Path]) -> set[str]:
    """Modules of the package that a source imports, wherever in it that stands."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] != "keras_qa":
                continue
            # A name in a module is an import of the module.
            while parts and ".".join(parts[1:]) not in known:
                parts.pop()
            if parts[1:]:
                found.add(".".join(parts[1:]))
    return found


def against_the_order(room: str, names: set[str]) -> set[str]:
    """Which of some modules a room must not import."""
    place = ROOMS.index(room)
    return {name for name in names if ROOMS.index(name.split(".")[0]) > place}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, or none."""
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> list[str]:
        if name in way:
            return way[way.index(name) :]
        if name in done:
            return []
        for other in sorted(graph.get(name, ())):
            found = visit(other, [*way, name])
            if found:
                return found
        done.add(name)
        return []

    return next((found for name in graph if (found := visit(name, []))), [])


def test_every_file_stands_in_a_room() -> None:
    assert {name.split(".")[0] for name in modules()} == set(ROOMS)


def test_rooms_import_rooms_above_them_alone() -> None:
    known = modules()
    for name, path in known.items():
        names = imported(path.read_text(encoding="utf-8"), known)
        assert not against_the_order(name.split(".")[0], names), name


def test_no_circle() -> None:
    known = modules()
    graph = {
        name: imported(path.read_text(encoding="utf-8"), known) - {name}
        # A room's `__init__` hands on what its files have, which may import one another.
        for name, path in known.items()
    }
    # What a file takes from its own room's door it takes from the file behind it.
    for name in graph:
        graph[name].discard(name.split(".")[0])
    assert circle(graph) == []


def test_an_import_against_the_order_or_in_a_circle_is_seen() -> None:
    known = modules()
    names = imported("def f():\n    from keras_qa.recipes import train, checkpoints\n", known)
    assert names == {"recipes", "recipes.checkpoints"}
    assert against_the_order("layers", names) == names
    assert against_the_order("report", names) == set()
    assert imported("import keras_qa.cli.data as d\nimport keras", known) == {"cli.data"}
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == ["a", "b", "c"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_rooms_without_a_backend_import_no_keras() -> None:
    for name, path in modules().items():
        if name.split(".")[0] in HOST:
            source = path.read_text(encoding="utf-8")
            assert not re.search(r"^\s*(import|from) keras\b", source, re.MULTILINE), path


def test_no_private_import_of_keras() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert "keras.src" not in path.read_text(encoding="utf-8"), path


def test_only_kernels_and_execution_ask_which_backend_is_on() -> None:
    for name, path in modules().items():
        if name.split(".")[0] not in ("kernels", "execution"):
            assert not re.search(r"\bbackend\(\)", path.read_text(encoding="utf-8")), path


def test_contributing_shows_the_rooms_in_their_order() -> None:
    page = (pathlib.Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(\w+?)(?:\.py|/)` ", page, re.MULTILINE)
    assert shown == list(ROOMS)
