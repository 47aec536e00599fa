"""The structure of the package, read from its sources: rooms, imports, files, private names."""

from __future__ import annotations

import ast
import collections
import pathlib
import re
import tomllib

import pytest

import keras_qa
from keras_qa.preprocessing.preprocessor import PREPROCESSORS, Preprocessor

PACKAGE = pathlib.Path(keras_qa.__file__).parent
ROOT = pathlib.Path(__file__).parents[2]

# A room imports only rooms above it.
ROOMS = (
    "_backend",
    "_arguments",
    "_numbers",
    "_terminal",
    "example",
    "metrics",
    "text",
    "data",
    "documents",
    "preprocessing",
    "layers",
    "losses",
    "engine",
    "models",
    "onnx",
    "answering",
    "training",
    "report",
    "integrations",
    "serving",
    "cli",
)
# They need no backend, and no Keras.
HOST = ROOMS[: ROOMS.index("layers")]
# The number of pairs of rooms of which one imports the other. Lower it when you can.
PAIRS = 81
# Helpers of all rooms, which are no rooms.
COMMON = {"_arguments", "_numbers", "_terminal"}

# The part of a room that may ask which backend is used.
KERNELS = "layers.kernels"

# What the sources of rooms do not contain.
FORBIDDEN = (
    ((*ROOMS, KERNELS), r"keras\.src"),
    (HOST, r"^\s*(import|from) keras\b"),
    # Only `layers/kernels` and `engine` ask which backend is used.
    (set(ROOMS) - {"engine"}, r"\bbackend\(\)"),
    # Results depend on the inputs and the model alone, not on time or on earlier calls.
    (
        ("preprocessing", "layers", KERNELS, "engine", "models"),
        r"^\s*(import|from) (time|timeit|datetime)\b|^\s*global |\bself\.\w+ \+= ",
    ),
)
ATTRIBUTE_FUNCTIONS = ("getattr", "hasattr", "setattr", "delattr")
# Public functions of other rooms take and return objects of Keras or of a backend.
TYPED = (*HOST, "layers", "losses", "training", "report", "integrations", "onnx")


def room(module: str) -> str:
    return module.split(".")[0]


def find_modules() -> dict[str, pathlib.Path]:
    """The files of the package by module, without `keras_qa/__init__.py`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


MODULES = find_modules()
SOURCES = {name: path.read_text(encoding="utf-8") for name, path in MODULES.items()}
TREES = {name: ast.parse(source) for name, source in SOURCES.items()}


def imported(tree: ast.Module) -> set[str]:
    """Modules of the package that a module imports, at its top or in a function."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            # Of an f-string, what precedes the first value.
            names = re.findall(r"keras_qa[.\w]*", ast.unparse(node.args[0]))
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts.pop(0) != "keras_qa":
                continue
            # The last part may be a name in the module.
            while parts and ".".join(parts) not in MODULES:
                parts.pop()
            if parts:
                found.add(".".join(parts))
    return found


IMPORTS = {name: imported(tree) for name, tree in TREES.items()}


def is_private(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"_[a-zA-Z]\w*", name) is not None


def private_definitions(tree: ast.Module) -> set[str]:
    """Private functions, classes, variables and attributes of self that a module defines."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.update([node.attr] if ast.unparse(node.value) in ("self", "cls") else [])
    return set(filter(is_private, found))


def private_uses(tree: ast.Module) -> set[str]:
    """Private attributes that a module reads or sets, also by `getattr`, and that it imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            if node.module not in ("keras_qa", "__future__"):
                found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ATTRIBUTE_FUNCTIONS:
            found.add(getattr(node.args[1], "value", ""))
    return set(filter(is_private, found))


def private_names_table() -> str:
    """The table in docs/keras.md of private names of other libraries."""
    page = (ROOT / "docs" / "keras.md").read_text(encoding="utf-8")
    return page.split("## Private names of libraries\n")[1].split("\n## ")[0]


def documented_private_names() -> dict[str, set[str]]:
    """Private names of other libraries by the file that uses them."""
    found: dict[str, set[str]] = {}
    for row in private_names_table().splitlines():
        if row.startswith("| `"):
            what, where = row.split("|")[1:3]
            for file in re.findall(r"`([\w/]+\.py)`", where):
                names = re.findall(r"\b_[a-zA-Z]\w*", what)
                found.setdefault(file, set()).update(names)
    return found


def test_contributing_lists_the_rooms_in_their_order() -> None:
    assert {room(name) for name in MODULES} == set(ROOMS)
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+?)(?:\.py|/)` ", page, re.MULTILINE) == list(ROOMS)


def test_files_in_contributing_exist() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:keras_qa|tests|docs|benchmarks)/[\w/.]+)`", page))
    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).exists()] == []
    # Rows of "Where to start reading": the functions and classes of a file.
    for names, file in re.findall(r"^\| .* \| (.*) in `([\w/.]+)` \| `", page, re.MULTILINE):
        source = (ROOT / file).read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"^(?:def |class |){name}\b", source, re.MULTILINE), name


def test_rooms_import_only_rooms_above_them() -> None:
    places = {name: ROOMS.index(name) for name in ROOMS}
    for name, others in IMPORTS.items():
        below = {other for other in others if places[room(other)] > places[room(name)]}
        assert not below, name


def test_few_rooms_import_each_other() -> None:
    pairs = {(room(name), room(other)) for name, others in IMPORTS.items() for other in others}
    assert ("models", "layers") in pairs
    assert len([pair for pair in pairs if pair[0] != pair[1] and COMMON.isdisjoint(pair)]) <= PAIRS


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    # The `__init__` of a room imports the room's files, so these may name it.
    left = {
        name: {other for other in others if not f"{name}.".startswith(f"{other}.")}
        for name, others in IMPORTS.items()
    }
    while free := [name for name, others in left.items() if not others & left.keys()]:
        for name in free:
            del left[name]
    assert left == {}


def test_files_have_names_of_their_own() -> None:
    paths = [path.relative_to(PACKAGE) for path in MODULES.values()]
    counts = collections.Counter(path.name for path in paths)
    # `layers/kernels/` and `engine/` have a version of each backend.
    repeated = {"__init__.py", "tensorflow.py", "torch.py", "jax.py"}
    assert {name for name, count in counts.items() if count > 1} <= repeated


@pytest.mark.parametrize(("rooms", "pattern"), FORBIDDEN)
def test_rooms_do_not_contain_what_is_forbidden_in_them(rooms, pattern: str) -> None:
    for name, source in SOURCES.items():
        place = KERNELS if name.startswith(KERNELS) else room(name)
        assert place not in rooms or not re.search(pattern, source, re.MULTILINE), name


def test_rooms_use_only_their_own_private_names_and_those_in_the_docs() -> None:
    own: dict[str, set[str]] = {name: set() for name in ROOMS}
    for name, tree in TREES.items():
        own[room(name)] |= {*private_definitions(tree), *name.split(".")[1:]}
    documented = documented_private_names()
    for name, tree in TREES.items():
        file = MODULES[name].relative_to(PACKAGE).as_posix()
        # `os._exit` is public.
        foreign = private_uses(tree) - own[room(name)] - {"_exit"}
        assert foreign <= documented.get(file, set()), file


def test_documented_private_names_are_used_and_have_the_tests_that_the_docs_name() -> None:
    tests = sorted((ROOT / "tests").rglob("test_*.py"))
    code = "".join(path.read_text(encoding="utf-8") for path in tests)
    for name in re.findall(r"`(test_\w+)`", private_names_table()):
        assert f"def {name}(" in code, name
    for file, names in documented_private_names().items():
        source = (PACKAGE / file).read_text(encoding="utf-8")
        assert all(name in source for name in names), file


def classes_asked_for(tree: ast.Module) -> set[str]:
    """Names of classes in `isinstance`, `issubclass`, comparisons of `type(…)` and patterns."""
    parts: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            parts.append(node.args[1])
        elif isinstance(node, ast.Compare) and "type(" in ast.unparse(node):
            parts += [node.left, *node.comparators]
        elif isinstance(node, ast.MatchClass):
            parts.append(node.cls)
    names = re.findall(r"\w+", " ".join(map(ast.unparse, parts)))
    return set(names)


def test_no_room_asks_for_the_class_of_a_preprocessor() -> None:
    kinds = {Preprocessor.__name__, *(kind.__name__ for kind in PREPROCESSORS.values())}
    assert classes_asked_for(TREES["preprocessing.preprocessor"]) >= {"Preprocessor"}
    for name, tree in TREES.items():
        classes = set() if room(name) == "preprocessing" else kinds
        classes = classes if room(name) == "onnx" else classes | {"ExportedModel"}
        assert classes.isdisjoint(classes_asked_for(tree)), name


def test_types_of_public_functions_are_not_any() -> None:
    for name, tree in TREES.items():
        if room(name) not in TYPED or name.startswith(KERNELS):
            continue
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        public = [node for node in classes if not node.name.startswith("_")]
        for node in [*tree.body, *(item for one in public for item in one.body)]:
            if isinstance(node, ast.FunctionDef) and not is_private(node.name):
                arguments = [item for item in ast.walk(node.args) if isinstance(item, ast.arg)]
                types = [node.returns, *(item.annotation for item in arguments)]
                names = [ast.unparse(one) for one in types if one is not None]
                assert "Any" not in names, f"{name}: {node.name}"


def test_mypy_is_strict_in_rooms_without_a_backend() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    settings = tomllib.loads(text)["tool"]["mypy"]
    assert settings["strict"] is True
    lenient = {module for entry in settings["overrides"] for module in entry["module"]}
    assert {module.split(".")[1] for module in lenient} == set(ROOMS) - set(HOST)
