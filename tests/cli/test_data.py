"""The text of `keras-qa answer`: a file, standard input, or the text itself."""

import io
import os
import re
import sys
import threading

import pytest

from keras_qa.cli.data import read_text

STORY = "Mary went to the garden.\nJohn slept."


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files(folder, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    for name in ("story.txt", "my story.txt", "with no suffix", "~"):
        (folder / name).write_text(f"{name}: {STORY}", encoding="utf-8")
    for given in ("story.txt", "my story.txt", "with no suffix", "./~", "~/story.txt"):
        assert read_text(given) == f"{given.removeprefix('./').removeprefix('~/')}: {STORY}"
    # A byte order mark is removed.
    (folder / "marked.txt").write_bytes(b"\xef\xbb\xbfna\xc3\xafve\r\n")
    assert read_text("marked.txt") == "naïve\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "Mary went home.",
        STORY,
        "Mary\nJohn",
        " ",
        "",
        "a/b is c",
        "~ is a wave.",
        "what is here: \\ud800 \ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
        "x" * 5_000,
        "x/" * 3_000,
        "word " * 40_000,
    ],
)
def test_text_itself(text: str, capsys) -> None:
    assert read_text(text) == text
    assert capsys.readouterr().err == ""


def test_text_that_looks_like_a_file_name(capsys) -> None:
    assert read_text("my \x1bstory.txt") == "my \x1bstory.txt"
    assert capsys.readouterr().err == (
        "keras-qa: there is no file 'my \\x1bstory.txt', so this is taken as the text.\n"
    )


@pytest.mark.parametrize("given", ["none.txt", "none/none.txt", "story.txt/none", "Mary", "玛丽。"])
def test_neither_file_nor_text(given: str, folder) -> None:
    (folder / "story.txt").write_text(STORY)
    message = (
        f"There is no text file '{given}', and without a space it is no text. Give a file, - to "
        "read standard input, or the text itself in quotes."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read_text(given)


def test_files_that_cannot_be_read(folder) -> None:
    (folder / "my texts").mkdir()
    with pytest.raises(ValueError, match=r"^'my texts' is a folder: `keras-qa ask` .*Give a file"):
        read_text("my texts")
    (folder / "latin.txt").write_bytes("naïve".encode("latin-1"))
    with pytest.raises(ValueError, match=r"^`latin.txt` is not UTF-8 at byte 2: .*Save it as UTF"):
        read_text("latin.txt")


def test_pipe(folder) -> None:
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=(folder / "pipe").write_text, args=(STORY,))
    writer.start()
    assert read_text("pipe") == STORY
    writer.join()


def stdin(monkeypatch, raw: bytes, terminal: bool = False) -> None:
    stream = io.TextIOWrapper(io.BytesIO(raw), encoding="ascii")
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stdin", stream)


def test_standard_input_is_utf8(monkeypatch, capsys) -> None:
    stdin(monkeypatch, "naïve 玛丽".encode())
    assert read_text("-") == "naïve 玛丽"
    assert capsys.readouterr().err == ""
    stdin(monkeypatch, b"")
    assert read_text("-") == ""
    stdin(monkeypatch, b"na\xefve")
    with pytest.raises(ValueError, match=r"^`standard input` is not UTF-8 at byte 2: "):
        read_text("-")


def test_prompt_on_a_terminal(monkeypatch, capsys) -> None:
    stdin(monkeypatch, b"Mary slept.", terminal=True)
    assert read_text("-") == "Mary slept."
    assert capsys.readouterr().err == (
        "keras-qa: type or paste the text, then press Ctrl-D on a line of its own.\n"
    )


def test_closed_standard_input(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ValueError, match="^- reads the text from standard input, which is closed"):
        read_text("-")
