"""`keras-qa verify` without a reader, which needs no backend."""

import io
import json
import sys

import pytest
from command_line import error_line
from interpreters import BACKENDS, python

from keras_qa.cli import main
from keras_qa.documents import Index

ANSWER = "The warranty is two years. It is \x1b[31mred.\n\nThe lamp is sold for 1200 euros.\n"
ODD = "\N{REPLACEMENT CHARACTER}[31m"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    (tmp_path / "handbook").mkdir()
    text = "The \x1b[31mlamp.\nThe warranty\n is two years. The lamp costs 1,200 euros."
    (tmp_path / "handbook" / "\x1b[31m.txt").write_text(text)
    (tmp_path / "answer.txt").write_text(ANSWER)
    return tmp_path / "handbook"


VERIFY = ["verify", "answer.txt", "--documents=handbook", "--reader=none"]
SOURCES = (
    f"Unsupported: 1.\n  supported  {ODD}.txt:2-3  The warranty is two years.\n"
    f"  supported  {ODD}.txt:3  The lamp is sold for 1200 euros.\n"
)
FIRST = "Compared only words and numbers, without a reader.\n"


def test_unsupported_sentences_are_marked(folder, capsys, monkeypatch) -> None:
    last = "The lamp is sold for 1200 euros.\n\n"
    assert main(VERIFY) == 1
    plain = f"{FIRST}The warranty is two years. «It is {ODD}red.»\n\n{last}{SOURCES}"
    assert capsys.readouterr() == (plain, "")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(VERIFY) == 1
    marked = f"The warranty is two years. \x1b[1;31mIt is {ODD}red.\x1b[0m\n\n{last}{SOURCES}"
    assert capsys.readouterr().out == FIRST + marked
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(VERIFY) == 1
    assert capsys.readouterr().out == plain
    # Nothing is left beside the documents.
    assert sorted(path.name for path in folder.parent.iterdir()) == ["answer.txt", "handbook"]


def test_exit_codes_and_sources_of_the_answer(folder, capsys, monkeypatch) -> None:
    with Index.create("a.index") as index:
        index.update(folder)
    for documents in ("handbook", "a.index", "handbook/\x1b[31m.txt"):
        options = ["--documents", documents, "--reader=none"]
        assert main(["verify", "It costs 1,200 euros.", *options]) == 0
        assert "Unsupported: 0." in capsys.readouterr().out
        assert main(["verify", "It costs 1,300 euros.", *options]) == 1
        assert capsys.readouterr().out == (
            f"{FIRST}«It costs 1,300 euros.»\n\nUnsupported: 1.\n"
            f"  contradicted  {ODD}.txt:3  It costs 1,300 euros.\n"
            "      the source says: The lamp costs 1,200 euros.\n"
        )
    stream = io.TextIOWrapper(io.BytesIO(b""))
    monkeypatch.setattr(sys, "stdin", stream)
    assert main(["verify", "-", *options]) == 0
    assert capsys.readouterr().out == f"{FIRST}\n\nUnsupported: 0.\n"


def test_json(folder, capsys) -> None:
    assert main([*VERIFY, "--json"]) == 1
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    found = json.loads(printed)["results"]
    places = ("document", "document_start", "document_end", "line", "end_line", "page", "instead")
    score = found[1].pop("score")
    assert 0 <= score < 0.5
    assert found[1] == {
        **{"text": "It is \x1b[31mred.", "start": 27, "end": 42, "outcome": "not found"},
        **{"supported": False, **dict.fromkeys(places)},
    }
    assert (found[2]["supported"], found[2]["document_start"], found[2]["line"]) == (True, 43, 3)


def test_unreadable_files_are_named(folder, capsys) -> None:
    (folder / "b\x1b.txt").write_bytes(b"\xff")
    assert main(["verify", "It costs 1,200 euros.", *VERIFY[2:]]) == 0
    errors = capsys.readouterr().err
    assert errors.startswith("keras-qa: Left out b\N{REPLACEMENT CHARACTER}.txt: it is not UTF-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a b"], "the following arguments are required: --documents"),
        (["a b", "--documents=none"], "There is no folder and no file 'none'."),
        (["none.txt", "--documents=handbook"], "There is no text file 'none.txt', and without a "),
        (["a b", "--documents=empty"], "must hold at least one document that can be read."),
        (["a b", "--documents=picture.png"], "is not an index of keras-qa: it is not an SQLite"),
        (
            ["a b", "--documents=handbook", "--threshold=5"],
            "--threshold: must be a number from 0 to 1. Rec",
        ),
        (["a b", "--documents=handbook", "--question=b"], "A `question` needs a reader."),
    ],
)
def test_errors_are_one_line(folder, capsys, arguments, message: str) -> None:
    (folder.parent / "empty").mkdir()
    (folder.parent / "picture.png").write_bytes(b"no picture")
    assert message in error_line(capsys, "verify", *arguments, "--reader=none")


def test_no_backend_is_needed_without_a_reader(folder) -> None:
    code = "import sys; from keras_qa.cli import main; sys.exit(main(sys.argv[1:]))"
    done = python(code, *VERIFY, hidden=BACKENDS, KERAS_HOME=str(folder))
    assert (done.returncode, done.stderr) == (1, "")
    done = python(code, *VERIFY[:3], hidden=BACKENDS, KERAS_HOME=str(folder))
    assert done.returncode == 2
    assert "keras-qa needs a backend and none is installed." in done.stderr
