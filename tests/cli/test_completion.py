"""`keras-qa completion` in bash, its errors, and the version. `tests/shells` has zsh and fish."""

import re
import subprocess

import pytest
from command_line import error_line
from interpreters import last_line, python

import keras_qa
from keras_qa.cli import COMMANDS, main

COMPLETE = """
source {script}
complete -p keras-qa > /dev/null
words() {{
    COMP_WORDS=(keras-qa "$@")
    COMP_CWORD=$#
    COMPREPLY=()
    $(complete -p keras-qa | sed 's/.*-F \\([^ ]*\\) .*/\\1/') keras-qa "${{@: -1}}" ""
    echo "${{COMPREPLY[*]}}"
}}
words {words}
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("''", {*COMMANDS}),
        ("ver", {"verify"}),
        ("evaluate --ran", {"--ranker"}),
        ("completion ''", {"bash", "zsh", "fish"}),
        ("evaluate READER --version ''", {"1.1", "2.0"}),
        ("ask man", {"manual one.txt"}),
        ("index docs --output ma", {"manual one.txt"}),
    ],
)
def test_bash_completes(words: str, expected: set[str], tmp_path, capsys) -> None:
    assert main(["completion", "bash"]) == 0
    (tmp_path / "keras-qa.bash").write_text(capsys.readouterr().out)
    (tmp_path / "manual one.txt").touch()
    code = COMPLETE.format(script=tmp_path / "keras-qa.bash", words=words)
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
    shown = done.stdout.strip()
    assert (set(shown.split()) if " " not in "".join(expected) else {shown}) >= expected
    assert "--" not in shown or shown in expected


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_scripts_of_other_shells(shell: str, capsys) -> None:
    assert main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in COMMANDS)
    assert "\N{REPLACEMENT CHARACTER}" not in printed


def test_errors(tmp_path, capsys) -> None:
    assert "argument shell: invalid choice: 'tcsh'" in error_line(capsys, "completion", "tcsh")
    code = "import sys; from keras_qa.cli import main; sys.exit(main(['completion', 'bash']))"
    done = python(code, hidden=("shtab",))
    assert last_line(done) == (
        "keras-qa: error: `keras-qa completion` needs shtab. Install it: `pip install "
        '"keras-qa[completion]"`.'
    )


def test_version(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"keras-qa {keras_qa.__version__}\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", keras_qa.__version__)
