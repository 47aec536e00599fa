"""`keras-qa index` without a backend."""

import pathlib
import re
import subprocess
import sys

import pytest
from command_line import error_line
from interpreters import BACKENDS, python

from keras_qa.cli import main
from keras_qa.documents import Index

EMBEDDER = pathlib.Path(__file__).parents[1] / "golden" / "exported" / "embedder"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "handbook"
    made.mkdir()
    (made / "a.txt").write_text("The warranty is two years.")
    (made / "\x1b[31m.txt").write_bytes(b"\xff")
    return made


def test_summary_of_changes(folder, tmp_path, capsys) -> None:
    out = tmp_path / "handbook.index"
    assert main(["index", str(folder), f"--output={out}", "--language=en"]) == 0
    printed, errors = capsys.readouterr()
    assert printed.startswith(f"{out}: 1 document, 1 passage. 1 new or changed, 0 gone, 1 left out")
    # Control characters of file names are replaced.
    reason = "it is not UTF-8 at byte 0. Name its encoding with `--encoding`."
    assert errors == f"Left out \N{REPLACEMENT CHARACTER}[31m.txt: {reason}\n"
    (folder / "a.txt").unlink()
    assert main(["index", str(folder), f"--output={out}", "--encoding=cp1252"]) == 0
    printed, errors = capsys.readouterr()
    assert ": 1 document, 1 passage. 1 new or changed, 1 gone, 0 left out, 0 of other" in printed
    assert printed.endswith(". Settings: language en, encoding cp1252.\n")
    # The index keeps its settings.
    assert main(["index", str(folder), f"--output={out}"]) == 0
    printed, errors = capsys.readouterr()
    assert ": 1 document, 1 passage. 0 new or changed, 0 gone, 0 left out" in printed
    assert printed.endswith(". Settings: language en, encoding cp1252.\n")
    assert errors == ""
    with Index.open(out) as index:
        assert index.search("ÿ")[0].document == "\x1b[31m.txt"


def test_limits_of_a_document(folder, monkeypatch, capsys) -> None:
    limits = []
    update = Index.update

    def keep_limits(index, *arguments, **settings):
        limits.append({name: settings.get(name) for name in ("max_seconds", "max_memory")})
        return update(index, *arguments, **settings)

    monkeypatch.setattr(Index, "update", keep_limits)
    assert main(["index", str(folder), "--max-seconds=600", "--max-memory=1"]) == 0
    assert main(["index", str(folder)]) == 0
    assert limits == [
        {"max_seconds": 600, "max_memory": 1},
        {"max_seconds": None, "max_memory": None},
    ]
    capsys.readouterr()
    assert "argument --max-seconds: must be a positive integer" in error_line(
        capsys, "index", str(folder), "--max-seconds=0"
    )


def test_default_path_of_the_index(folder, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(folder)
    for given in (str(folder), f"{folder}/", ".", "../handbook"):
        assert main(["index", given]) == 0
        assert "handbook.index: 1 document, 1 passage." in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["handbook", "handbook.index"]
    assert error_line(capsys, "index", "/") == (
        "keras-qa: error: The folder '/' has no name. Name its index by `--output`.\n"
    )


def test_unreadable_files_are_counted_by_their_reason(folder, tmp_path, capsys) -> None:
    for number in range(30):
        (folder / f"{number:02}.txt").write_bytes(b"a" * (number % 25) + b"\xff")
    for number in range(44):
        (folder / f"{number:02}.pdf").write_bytes(b"")
    assert main(["index", str(folder), f"--output={tmp_path / 'a.index'}"]) == 0
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 21
    assert errors[0].startswith("Left out 44 files, such as 00.pdf: it is not a readable PDF file")
    assert errors[1].startswith("Left out 3 files, such as �[31m.txt: it is not UTF-8 at byte 0.")
    assert errors[-1] == "Left out 6 more."


def test_a_folder_without_documents_is_an_error(folder, tmp_path, capsys) -> None:
    (folder / "a.txt").unlink()
    assert main(["index", str(folder)]) == 2
    printed, errors = capsys.readouterr()
    assert printed == ""
    # One message, not two: the files cannot be read for one reason.
    assert errors == (
        f"keras-qa: error: '{folder}' holds no document that can be read. "
        "\N{REPLACEMENT CHARACTER}[31m.txt: it is not UTF-8 at byte 0. Name its encoding with "
        "`--encoding`.\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["handbook"]


def test_files_of_other_kinds_and_names_of_two_lines(folder, capsys) -> None:
    for name in ("a.png", "b.PNG", "c.xlsx", "LICENCE"):
        (folder / name).touch()
    (folder / "a\nLeft out nothing.txt").write_bytes(b"\xff\xfe\xfd")
    assert main(["index", str(folder)]) == 0
    printed, errors = capsys.readouterr()
    assert "4 of other kinds (2 .png, 1 .xlsx, 1 without ending), in" in printed
    assert not re.search("^Left out nothing", errors, re.MULTILINE)


def test_an_unchanged_folder_has_no_progress_bar(folder, capsys) -> None:
    for number in range(100):
        (folder / f"{number}.txt").write_text("A text.")
    assert main(["index", str(folder)]) == 0
    assert "] 102/102" not in capsys.readouterr().err
    with Index.open(f"{folder}.index") as index:
        index.update(folder, verbose=1)
    assert "] 102/102" in capsys.readouterr().err


def test_errors_are_one_line(folder, tmp_path, capsys) -> None:
    text, english, missing = tmp_path / "a.index", tmp_path / "b.index", tmp_path / "c"
    text.write_text("A text.")
    Index.create(english, language="en").close()
    for name, out, options, message in (
        (missing, text, [], "There is no folder and no file '"),
        (folder, text, [], "is not an index of keras-qa: it is not an SQLite file."),
        (folder, english, ["--language=de"], "was made for the language 'en', which"),
        (folder, missing, ["--language=x"], "`language` must be a code of"),
    ):
        assert message in error_line(capsys, "index", name, f"--output={out}", *options)
    assert not missing.exists()


@pytest.mark.parametrize(
    ("options", "printed"),
    [([], "1 passage. 1 new"), ([f"--embed={EMBEDDER}"], "1 passage with vectors. 1 new")],
)
def test_it_needs_no_backend(options, printed, folder, tmp_path) -> None:
    code = "import sys; from keras_qa.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["index", str(folder), f"--output={tmp_path / 'a.index'}", *options]
    done = python(code, *arguments, hidden=(*BACKENDS, "keras"))
    assert (done.returncode, done.stdout.count(printed)) == (0, 1), done.stderr


# The command, which waits before it reads a file.
WAITING = """
import sys
from keras_qa.cli import command
from keras_qa.documents import Index

def update(*arguments, **options):
    print("begun", flush=True)
    sys.stdin.read()

Index.update = update
command()
"""


def test_a_second_command_ends_while_the_first_writes_the_index(folder, tmp_path, capsys) -> None:
    arguments = ["index", str(folder), f"--output={tmp_path / 'a.index'}"]
    command = [sys.executable, "-c", WAITING, *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout.readline() == b"begun\n"
        assert error_line(capsys, *arguments) == (
            f"keras-qa: error: Another process writes to `{tmp_path / 'a.index'}`. Wait for its "
            "end.\n"
        )
        process.kill()
    assert main(arguments) == 0
    assert "1 document, 1 passage. 1 new or changed" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.index", "handbook"]
