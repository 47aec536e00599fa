"""Patterns that meet the text of documents take linear time on any text."""

import functools
import importlib
import itertools
import pathlib
import random
import re
import time
from collections.abc import Callable

import pytest

import keras_qa
from keras_qa.documents.file_formats import read_documents

PACKAGE = pathlib.Path(keras_qa.__file__).parent
# Patterns that meet at most 20 letters.
SHORT = ("keras_qa.documents.facts._BEGIN",)
ROOMS = ("documents", "text")
LENGTH = 10_000
# What follows a backslash in a pattern and is no letter, and groups of other signs.
CLASSES = r"\(\?P?[<=!:]?[=!]?(?:\w+>)?|\\[wWsSdDbBAZ1-9]"
LETTERS = " \n\ta1A"


def patterns() -> dict[str, tuple[re.Pattern, bool]]:
    """Returns the patterns of modules by name, and whether they only match at one place."""
    collected = {}
    for path in sorted(itertools.chain(*(PACKAGE.glob(f"{room}/*.py") for room in ROOMS))):
        source = path.read_text()
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for key, value in vars(importlib.import_module(name)).items():
            if isinstance(value, re.Pattern) and re.search(rf"^{key} = ", source, re.M):
                methods = set(re.findall(rf"\b{key}\.(\w+)\b", source))
                collected[f"{name}.{key}"] = (
                    value,
                    bool(methods) and methods <= {"match", "fullmatch"},
                )
    return collected


PATTERNS = patterns()


def pieces(pattern: str) -> list[str]:
    """Returns the literal parts of a pattern, and some letters of each kind."""
    source = re.sub(CLASSES, "\x01", pattern).replace("\\n", "\n")
    parts = {*LETTERS, *re.findall(r"\\([^\w\s])", pattern)}
    for match in re.finditer(r"(?:\\[^\w]|[^\\\[\](){}*+?|^$.\x01\n])+", source):
        literal = re.sub(r"\\(.)", r"\1", match[0])
        parts |= {literal[:8], *literal[:3]}
    for match in re.finditer(r"\[([^\]]+)\]", source):
        parts.update(re.sub(r"\\(.)", r"\1", match[1])[:6])
    return sorted(parts)


def triggers(pattern: str) -> list[tuple[str, str, str]]:
    """Returns starts, repeated parts and ends of texts."""
    draw = random.Random(0)
    parts = pieces(pattern)
    made = [("", part, end) for part in parts for end in ("", "\0")]
    for _ in range(90):
        first, second, third = draw.choices(parts, k=3)
        made.append(draw.choice([("", first + second, ""), (first, second, third)]))
        made.append(draw.choice([("", first + 9 * second, third), (first, second + third, "\0")]))
    return made


def fill(trigger: tuple[str, str, str], size: int) -> str:
    start, part, end = trigger
    return start + part * (size // len(part)) + end


def assert_linear(run: Callable[[str], object], make: Callable[[int], str], size: int) -> None:
    """Compares the processor's time of a text and of one of twice its size."""

    def seconds(size: int) -> float:
        text = make(size)
        began = time.process_time()
        run(text)
        return time.process_time() - began

    # A time that is too short to measure is not quadratic.
    if seconds(2 * size) < 0.02:
        return
    times = {length: min(seconds(length) for _ in range(3)) for length in (size, 2 * size)}
    assert times[2 * size] <= 2.5 * times[size] + 0.01, (make(size)[:40], times)


@pytest.mark.parametrize("name", sorted(PATTERNS.keys() - {*SHORT}))
def test_twice_the_text_takes_a_pattern_at_most_twice_the_time(name: str) -> None:
    pattern, is_match = PATTERNS[name]
    is_bytes = isinstance(pattern.pattern, bytes)

    def run(text: str) -> None:
        subject = text.encode("latin-1", "replace") if is_bytes else text
        if is_match:
            pattern.match(subject)
        else:
            for _ in pattern.finditer(subject):
                pass

    source = pattern.pattern.decode("latin-1") if is_bytes else pattern.pattern
    for trigger in triggers(source):
        assert_linear(run, functools.partial(fill, trigger), LENGTH)


@pytest.mark.parametrize(
    ("suffix", "make"),
    [
        (".txt", lambda size: ":" * size),
        (".txt", lambda size: "a:" * size),
        (".txt", lambda size: ":a-" * size),
        (".txt", lambda size: ".. " + "a:" * size),
        (".rst", lambda size: ":" * size),
        (".rst", lambda size: ":a:`" + " " * size),
        (".rst", lambda size: ":a:`" + "<" * size),
        (".rst", lambda size: ":a:`" + " <" * size),
        (".md", lambda size: "{{<" * size),
        (".md", lambda size: '{{"' * size),
        (".md", lambda size: "a" + " " * size + "b"),
        (".md", lambda size: "---\n" + "a" * size),
        (".md", lambda size: "---\ntitle: a" + " " * size + "b\n---\n"),
        (".md", lambda size: ("{%" * 500 + "\n" + " " * size + "x") * 3),
        (".md", lambda size: "| a | b |\n|---|---|\n| " + "`" * size + " | x |\n"),
        (".md", lambda size: "[^a]" * size),
    ],
)
def test_twice_the_file_takes_at_most_twice_the_time(suffix, make, tmp_path) -> None:
    path = tmp_path / f"a{suffix}"

    def run(text: str) -> None:
        path.write_text(text)
        list(read_documents(path, path.name))

    assert_linear(run, make, LENGTH // 2)
