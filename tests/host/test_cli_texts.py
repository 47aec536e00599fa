"""The text of a command: a file, standard input, or the text itself; all else is an error."""

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


def test_a_file_is_read_whatever_its_name(folder) -> None:
    for name in ("story.txt", "my story.txt", "~", "with no suffix"):
        (folder / name).write_text(f"{name}: {STORY}", encoding="utf-8")
    for name in ("story.txt", "my story.txt", "with no suffix", "./~"):
        assert read_text(name) == f"{name.removeprefix('./')}: {STORY}"


def test_a_file_in_the_home_folder(folder, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    (folder / "story.txt").write_text(STORY)
    assert read_text("~/story.txt") == STORY


def test_a_mark_of_utf8_is_no_part_of_the_text(folder) -> None:
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
def test_what_is_no_file_is_the_text_itself(text: str, capsys) -> None:
    assert read_text(text) == text
    assert capsys.readouterr().err == ""


def test_what_looks_like_a_file_is_a_text_with_a_note(capsys) -> None:
    assert read_text("my \x1bstory.txt") == "my \x1bstory.txt"
    assert capsys.readouterr().err == (
        "keras-qa: there is no file 'my \\x1bstory.txt', so this is taken as the text.\n"
    )


@pytest.mark.parametrize("given", ["none.txt", "none/none.txt", "story.txt/none", "Mary", "玛丽。"])
def test_what_is_neither_names_the_three_ways(given: str, folder) -> None:
    (folder / "story.txt").write_text(STORY)
    with pytest.raises(ValueError, match=rf"^There is no text file '{re.escape(given)}', and") as e:
        read_text(given)
    assert str(e.value).endswith(
        "and without a space it is no text. Give a file, - to read standard input, or the text "
        "itself in quotes."
    )


def test_a_folder_is_no_text(folder) -> None:
    (folder / "my texts").mkdir()
    with pytest.raises(ValueError, match=r"^'my texts' is a folder: `keras-qa ask` .*Give a file"):
        read_text("my texts")


def test_a_file_that_is_not_utf8_is_named_with_the_place(folder) -> None:
    (folder / "latin.txt").write_bytes("naïve".encode("latin-1"))
    with pytest.raises(ValueError, match=r"^`latin.txt` is not UTF-8 at byte 2: .*Save it as UTF"):
        read_text("latin.txt")


def test_a_pipe_is_read(folder) -> None:
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=(folder / "pipe").write_text, args=(STORY,))
    writer.start()
    assert read_text("pipe") == STORY
    writer.join()


def stdin(monkeypatch, raw: bytes, terminal: bool = False) -> None:
    stream = io.TextIOWrapper(io.BytesIO(raw), encoding="ascii")
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stdin", stream)


def test_standard_input_is_utf8_whatever_the_locale(monkeypatch, capsys) -> None:
    stdin(monkeypatch, "naïve 玛丽".encode())
    assert read_text("-") == "naïve 玛丽"
    assert capsys.readouterr().err == ""
    stdin(monkeypatch, b"")
    assert read_text("-") == ""
    stdin(monkeypatch, b"na\xefve")
    with pytest.raises(ValueError, match=r"^`standard input` is not UTF-8 at byte 2: "):
        read_text("-")


def test_a_terminal_is_told_what_is_awaited(monkeypatch, capsys) -> None:
    stdin(monkeypatch, b"Mary slept.", terminal=True)
    assert read_text("-") == "Mary slept."
    assert capsys.readouterr().err == (
        "keras-qa: type or paste the text, then press Ctrl-D on a line of its own.\n"
    )


def test_standard_input_that_is_closed(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ValueError, match="^- reads the text from standard input, which is closed"):
        read_text("-")
