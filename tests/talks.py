"""Documents of the tests of LangChain and LlamaIndex."""

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


def run_block(framework: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs the code of a section of docs/frameworks.md, which must print what it says."""
    page = (pathlib.Path(__file__).parents[1] / "docs" / "frameworks.md").read_text("utf-8")
    block = page.split(f"## {framework}\n")[1].split("```py\n")[1].split("```")[0]
    exec(block, {})
    expected = [line.removeprefix("# ") for line in block.splitlines() if line.startswith("# ")]
    assert capsys.readouterr().out.splitlines() == expected
