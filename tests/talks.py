"""Documents of the tests of integrations, and the examples in their docs."""

import pathlib

import pytest

from keras_qa.documents import Index

TALKS = {
    "ferries.txt": "Ferries cross the Oslo fjord every hour from the town hall pier.",
    "drill.txt": "The warranty of the drill is two years from the day of purchase.",
    "programs.txt": "Ada Lovelace wrote the first program, for Babbage's engine, in 1843.",
}
WARRANTY = "How long is the warranty of the drill?"
# The keys of the metadata of passages, answers and sources.
METADATA = ["document", "line", "page", "score", "start", "end"]


def make_index(folder: pathlib.Path) -> Index:
    index = Index.create(folder / "talks.index")
    index.add([{"name": name, "text": text} for name, text in TALKS.items()])
    return index


def run_block(
    framework: str, capsys: pytest.CaptureFixture[str], page: str = "frameworks.md"
) -> None:
    """Runs the code of a section of a page of docs/, which must print what it says."""
    text = (pathlib.Path(__file__).parents[1] / "docs" / page).read_text("utf-8")
    block = text.split(f"## {framework}\n")[1].split("```py\n")[1].split("```")[0]
    exec(block, {})
    expected = [line.removeprefix("# ") for line in block.splitlines() if line.startswith("# ")]
    assert capsys.readouterr().out.splitlines() == expected
