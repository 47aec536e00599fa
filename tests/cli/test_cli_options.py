"""Options of the command line: their help, their errors, and no import of Keras before `run`."""

import ast
import pathlib
import re
import shlex
import tomllib

import pytest
from command_line import error_line
from interpreters import BACKENDS, last_line, python

import keras_qa
from keras_qa import cli
from keras_qa.cli import COMMANDS, data, main, parser, train
from keras_qa.cli.parsing import given_once

# Pretend that a backend is installed, so that the package would import Keras.
INSTALLED = """
importlib.util.find_spec = lambda name, *rest: True if name in {backends!r} else find(name, *rest)
sys.argv = {argv!r}
"""
RUN = """
from keras_qa.cli import main
try:
    main()
except SystemExit as end:
    print("ended", end.code, "keras" in sys.modules)
"""


def test_entry_point() -> None:
    # The package recognizes its command by this name.
    project = tomllib.loads((_sources() / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["scripts"] == {"keras-qa": f"{cli.__name__}:{cli.command.__name__}"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["train", "--help"], 0), (["answer"], 2), (["train", "--seed=x"], 2)],
)
def test_help_and_invalid_options_import_no_keras(arguments: list[str], code: int) -> None:
    seeming = INSTALLED.format(backends=BACKENDS, argv=["/bin/keras-qa", *arguments])
    done = python(seeming + RUN, KERAS_BACKEND="jax")
    assert done.stdout.splitlines()[-1] == f"ended {code} False", done.stderr


def test_the_package_imports_keras_if_a_backend_is_installed(tmp_path) -> None:
    (tmp_path / "keras.py").write_text("raise RuntimeError('Keras is imported')")
    code = INSTALLED.format(backends=BACKENDS, argv=["script.py"]) + "import keras_qa"
    done = python(code, KERAS_BACKEND="jax", PYTHONPATH=f"{tmp_path}:{_sources()}")
    assert last_line(done) == "RuntimeError: Keras is imported"


def _sources() -> pathlib.Path:
    return pathlib.Path(__file__).parents[2]


def test_options_of_train_are_fields_of_its_recipe() -> None:
    given = ["--gradient-accumulation-steps=4", "--learning-rate=0.8", "--epochs=3"]
    options = parser().parse_args(["train", "--data=a.csv", "--out=a.keras", *given])
    found = {name: value for name in train.RECIPE if (value := getattr(options, name)) is not None}
    assert found == {"gradient_accumulation_steps": 4, "learning_rate": 0.8, "epochs": 3}


@pytest.mark.parametrize(
    ("validated", "arguments", "models"),
    [
        (False, [], ["universal_transformer"]),
        (True, [], ["universal_transformer", "memory_network"]),
        # Options are for one factory only.
        (True, ['--model-options={"num_heads": 2}'], ["universal_transformer"]),
        (True, ["--model", "b", "a"], ["b", "a"]),
    ],
)
def test_default_models(validated: bool, arguments: list[str], models: list[str]) -> None:
    options = parser().parse_args(["train", "--data=a.csv", "--out=a.keras", *arguments])
    assert list(train._models(options, validated)) == models


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_in_help_are_commands(command: str, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out.split("\nexample")[1].replace("\\\n", " ")
    lines = re.findall(r"^  (.*keras-qa .*)$", shown, re.MULTILINE)
    assert lines
    for line in lines:
        words = shlex.split(line)
        options = parser().parse_args(words[words.index("keras-qa") + 1 :])
        assert options.run is COMMANDS[command].run


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("", "keras-qa: error: the following arguments are required: COMMAND."),
        ("evaluate", "keras-qa evaluate: error: the following arguments are required: READER"),
        (
            "train --data=x --out=y --hard-example-share=z",
            "keras-qa train: error: argument --hard-example-share: invalid float value: 'z'.",
        ),
        (
            "train --data=x --out=y --task=first",
            "keras-qa train: error: argument --task: must be from 1 to 20, or all. Received: 'f",
        ),
        (
            "answer qa.keras --batch-size=0",
            "keras-qa answer: error: argument --batch-size: must be a positive integer. Received:",
        ),
        ("answer qa.keras --\x1b[31m\n", "keras-qa: error: unrecognized arguments: --�[31m"),
    ],
)
def test_errors_of_options_are_one_line(arguments: str, line: str, capsys) -> None:
    errors = error_line(capsys, *(arguments.split(" ") if arguments else []))
    assert errors.startswith(line)
    assert re.search(r" See keras-qa( \w+)? --help\.\n$", errors)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["qa.keras", "a.txt", "Who?"], ("a.txt", "Who?")),
        (["qa.keras", "--top-k=2", "a.txt", "--max-length", "9", "Who?"], ("a.txt", "Who?")),
        (["qa.keras", "--text=a.txt", "--question=Who?"], ("a.txt", "Who?")),
        (["qa.keras", "-", "--question", "Who?"], ("-", "Who?")),
        (["qa.keras", "--", "-a-", "-?"], ("-a-", "-?")),
        (["qa.keras", "", ""], ("", "")),
        (["qa.keras"], (None, None)),
    ],
)
def test_positional_arguments(arguments, expected) -> None:
    options = parser().parse_args(["answer", *arguments])
    assert options.file == "qa.keras"
    assert tuple(given_once(options, name) for name in ("text", "question")) == expected


def test_columns() -> None:
    def columns(given: str) -> dict[str, str]:
        arguments = ["train", "--data=d", "--out=o", f"--columns={given}"]
        return data.columns(parser().parse_args(arguments))

    assert columns("text=a b,id=n=o") == {"text": "a b", "id": "n=o"}
    for given in ("text", "text=a,b", "texts=a"):
        with pytest.raises(ValueError, match=rf"`--columns` must look like .*Received: '{given}'"):
            columns(given)


def test_only_two_files_print() -> None:
    """Only `cli.output` and `terminal` print. They replace control characters."""
    package = pathlib.Path(keras_qa.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write")
    }
    assert found == {"cli/output.py", "terminal.py"}
