"""The files, functions and tests that CONTRIBUTING.md names exist, and its glossary is short."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def section(title: str) -> list[str]:
    """The rows of a section's table, below its head."""
    text = PAGE.split(f"# {title}\n")[1].split("\n#")[0]
    return [line for line in text.splitlines() if line.startswith("| ")][2:]


def test_places_to_start_reading_exist() -> None:
    rows = section("Where to start reading")
    assert len(rows) >= 5
    for row in rows:
        _, _, where, tests, _ = row.split("|")
        *names, file = re.findall(r"`([^`]+)`", where)
        source = (ROOT / file).read_text(encoding="utf-8")
        for name in names:
            assert re.search(rf"^(?:def |class |){name}\b", source, re.MULTILINE), (name, file)
        (test,) = re.findall(r"`([^`]+)`", tests)
        assert (ROOT / test).is_file(), test


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"`((?:keras_qa|tests|docs|benchmarks)/[\w/.]+)`", PAGE))
    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_glossary_has_forty_lines_at_most() -> None:
    assert len(PAGE.split("\n## Glossary\n")[1].split("\n## ")[0].splitlines()) <= 40
    terms = [row.split("|")[1].strip() for row in section("Glossary")]
    for term in ("window", "span", "gold answer", "grid", "recipe", "kernel", "mask", "scan"):
        assert any(term in shown for shown in terms), term
