"""The table of extras in docs/getting-started.md: those of pyproject.toml."""

import pathlib
import re
import tomllib

ROOT = pathlib.Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]
# They are for work on the package: CONTRIBUTING.md has them.
DEVELOPMENT = {"docs", "lint", *(name for name in EXTRAS if name.endswith("test"))}
# What each library of the extra `documents` reads.
FORMATS = {
    "docutils": "reStructuredText",
    "markdown-it-py": "Markdown",
    "pypdfium2": "PDF",
    "python-docx": "DOCX",
}


def table() -> dict[str, str]:
    """Returns what each extra adds, by the table of docs/getting-started.md."""
    page = (ROOT / "docs" / "getting-started.md").read_text("utf-8")
    rows = page.partition("| extra | adds |\n| --- | --- |\n")[2].partition("\n\n")[0]
    cells = [row.strip("| ").split(" | ", 1) for row in rows.splitlines()]
    return {name: adds for names, adds in cells for name in re.findall("`(.*?)`", names)}


def test_the_table_has_the_extras_of_the_package() -> None:
    assert {*table()} == {*EXTRAS} - DEVELOPMENT


def test_the_row_of_documents_names_what_its_libraries_read() -> None:
    libraries = [re.match(r"[\w-]+", line)[0] for line in EXTRAS["documents"]]
    assert libraries == [*FORMATS]
    assert [name for name in FORMATS.values() if name not in table()["documents"]] == []
