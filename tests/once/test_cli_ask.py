"""`keras-qa ask`: answers from documents on the command line, with the place of each."""

import io
import pathlib

import pytest

from keras_qa.cli import main
from keras_qa.documents import Index

READER = str(pathlib.Path(__file__).parents[1] / "golden" / "reader.keras")
TEXTS = {
    "a.txt": "Filler.\n" * 900 + "Mary went to the \x1b[31mhallway.",
    "\x1b[32m.txt": "Once more Mary went to the hallway.",
}


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> str:
    found = tmp_path_factory.mktemp("asking") / "a.index"
    with Index.create(found, language="en") as index:
        index.add({"name": name, "text": text} for name, text in TEXTS.items())
    return str(found)


def test_an_answer_is_marked_and_its_places_named(path, capsys) -> None:
    arguments = ["ask", path, "--reader", READER, "--question=Where is Mary?", "--no-answer=no"]
    assert main([*arguments, "--top-k=2"]) == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    lines = printed.splitlines()
    assert len(lines) == 6
    for at in (0, 3):
        answer = lines[at].split(" %")[0] and lines[at].split("  ")[-1]
        assert f"«{answer}»" in lines[at + 1]
        assert (
            "a.txt:901" in lines[at + 2] or "\N{REPLACEMENT CHARACTER}[32m.txt:1" in lines[at + 2]
        )
    assert "\x1b" not in printed


def test_a_prompt_answers_one_after_another(path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Where is Mary?\nzebra?\n\nWhere is John?\n"))
    assert main(["ask", path, "--reader", READER, "--min-score=1"]) == 0
    assert capsys.readouterr().out.count("(no answer)") == 2
    monkeypatch.setattr("sys.stdin", None)
    assert main(["ask", path, "--reader", READER]) == 2
    assert "`ask` needs --question: standard input is closed." in capsys.readouterr().err


def test_what_is_wrong_is_one_line(path, capsys) -> None:
    for arguments, message in (
        ([f"{path}x", "--reader", READER, "--question=a"], "There is no index at "),
        ([READER, "--reader", READER, "--question=a"], "is no index of keras-qa: it is no SQLite"),
        ([path, "--reader", "none.keras", "--question=a"], "none.keras"),
        (
            [path, "--reader", READER, "--question=a", "--min-score=2"],
            "`min_score` must be between",
        ),
    ):
        assert main(["ask", *arguments]) == 2
        errors = capsys.readouterr().err
        assert message in errors
        assert errors.count("\n") == 1
