"""The rooms of the house: which imports which, read off the sources."""

from __future__ import annotations

import ast
import pathlib
import re

from rooms import HOST, ROOMS

import keras_qa

PACKAGE = pathlib.Path(keras_qa.__file__).parent
ROOT = pathlib.Path(__file__).parents[2]

# What these rooms compute depends on the inputs and the model alone.
WITHOUT_CLOCK = ("decoding", "kernels", "execution", "layers", "inputs", "models")
CLOCKS = {"time", "timeit", "datetime", "perf_counter", "monotonic", "process_time"}


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


def clocks_and_counters(source: str) -> set[str]:
    """Clocks that a source names, and attributes and globals that it counts up."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {str(node.module).split(".")[0], *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Attribute):
            # `array.time` is no clock, `time.time` needs its import.
            names = {node.attr} - {"time"}
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Attribute):
            found.add(node.target.attr)
            continue
        elif isinstance(node, ast.Global):
            found.update(node.names)
            continue
        else:
            continue
        found |= names & CLOCKS
    return found


def is_private(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"_[a-zA-Z]\w*", name) is not None


def private_definitions(source: str) -> set[str]:
    """Private names that a source defines: functions, classes, variables and attributes of self."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.update([node.attr] if ast.unparse(node.value) in ("self", "cls") else [])
    return set(filter(is_private, found))


def private_uses(source: str) -> set[str]:
    """Private attributes that a source reads or sets, also by `getattr`, and that it imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            if node.module not in ("keras_qa", "__future__"):
                found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and len(node.args) > 1:
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if name in ("getattr", "hasattr", "setattr", "delattr"):
                found.add(getattr(node.args[1], "value", ""))
    return set(filter(is_private, found))


def documented_private_names() -> dict[str, set[str]]:
    """Private names of other libraries by the file that uses them, as docs/keras.md lists them."""
    page = (ROOT / "docs" / "keras.md").read_text(encoding="utf-8")
    table = page.split("## Private names of libraries\n")[1]
    found: dict[str, set[str]] = {}
    for row in table.split("\n## ")[0].splitlines():
        if row.startswith("| `"):
            what, where = row.split("|")[1:3]
            for file in re.findall(r"`([\w/]+\.py)`", where):
                names = re.findall(r"\b_[a-zA-Z]\w*", what)
                found.setdefault(file, set()).update(names)
    return found


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


def test_no_clock_and_no_counter_decides_how_a_model_runs() -> None:
    for name, path in modules().items():
        if name.split(".")[0] in WITHOUT_CLOCK:
            assert not clocks_and_counters(path.read_text(encoding="utf-8")), path


def test_a_clock_and_a_counter_are_seen() -> None:
    source = """
from time import perf_counter as now
import os.path, time, datetime as d
def f(self, x):
    global calls
    x.time, np.time.monotonic(), datetime_like
    self.steps += 1
    total += 1
"""
    found = {"perf_counter", "time", "datetime", "monotonic", "steps", "calls"}
    assert clocks_and_counters(source) == found


def test_no_room_touches_private_names_of_another() -> None:
    sources = {name: path.read_text(encoding="utf-8") for name, path in modules().items()}
    own: dict[str, set[str]] = {room: set() for room in ROOMS}
    for name, source in sources.items():
        own[name.split(".")[0]] |= {*private_definitions(source), *name.split(".")[1:]}
    documented = documented_private_names()
    for name, source in sources.items():
        file = modules()[name].relative_to(PACKAGE).as_posix()
        # `os._exit` is public.
        foreign = private_uses(source) - own[name.split(".")[0]] - {"_exit"}
        assert foreign <= documented.get(file, set()), file


def test_documented_private_names_are_those_of_the_files_with_tests_that_need_them() -> None:
    tests = ROOT / "tests"
    code = "".join(path.read_text(encoding="utf-8") for path in sorted(tests.rglob("test_*.py")))
    page = (ROOT / "docs" / "keras.md").read_text(encoding="utf-8")
    table = page.split("## Private names of libraries\n")[1]
    for name in re.findall(r"`(test_\w+)`", table):
        assert f"def {name}(" in code, name
    for file, names in documented_private_names().items():
        source = (PACKAGE / file).read_text(encoding="utf-8")
        assert all(name in source for name in names), file


def test_a_private_name_of_another_room_is_seen() -> None:
    source = """
from keras_qa import _backend
from keras_qa.text import _parsing
class _Own:
    _kind: int = 0
    def __init__(self, other):
        self._mine, other._theirs = other._read, 1
        getattr(other, "_named"), other.public, other.__dict__, _
        super()._inherited()
"""
    assert private_definitions(source) == {"_Own", "_kind", "_mine"}
    others = {"_parsing", "_theirs", "_read", "_named", "_inherited"}
    assert private_uses(source) - private_definitions(source) == others


def test_contributing_shows_the_rooms_in_their_order() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(\w+?)(?:\.py|/)` ", page, re.MULTILINE)
    assert shown == list(ROOMS)
