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

# Pretend that a backend is installed.
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
    project = tomllib.loads((_sources() / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["scripts"] == {"keras-qa": f"{cli.__name__}:{cli.command.__name__}"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["train", "--help"], 0),
        (["answer"], 2),
        (["train", "--seed=x"], 2),
    ],
)
def test_help_and_invalid_options_import_no_keras(arguments: list[str], code: int) -> None:
    seeming = INSTALLED.format(backends=BACKENDS, argv=["/bin/keras-qa", *arguments])
    done = python(seeming + RUN, KERAS_BACKEND="jax")
    assert done.stdout.splitlines()[-1] == f"ended {code} False", done.stderr


def test_the_package_imports_no_keras_even_if_a_backend_is_installed(tmp_path) -> None:
    (tmp_path / "keras.py").write_text("raise RuntimeError('Keras is imported')")
    code = INSTALLED.format(backends=BACKENDS, argv=["script.py"])
    code += "import keras_qa; print('imported'); keras_qa.layers"
    done = python(code, KERAS_BACKEND="jax", PYTHONPATH=f"{tmp_path}:{_sources()}")
    assert done.stdout == "imported\n"
    assert last_line(done) == "RuntimeError: Keras is imported"


def _sources() -> pathlib.Path:
    return pathlib.Path(__file__).parents[2]


def test_options_of_train_are_fields_of_its_recipe() -> None:
    given = ["--gradient-accumulation-steps=4", "--learning-rate=0.8", "--epochs=3"]
    options = parser().parse_args(["train", "--data=a.csv", "--output=a.keras", *given])
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
    options = parser().parse_args(["train", "--data=a.csv", "--output=a.keras", *arguments])
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
        words = shlex.split(line.partition(" > ")[0])
        options = parser().parse_args(words[words.index("keras-qa") + 1 :])
        assert options.run is COMMANDS[command].run


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("", "keras-qa: error: the following arguments are required: COMMAND."),
        ("evaluate", "keras-qa evaluate: error: the following arguments are required: READER"),
        (
            "train --data=x --output=y --hard-example-share=z",
            "keras-qa train: error: argument --hard-example-share: invalid float value: 'z'.",
        ),
        (
            "train --data=x --output=y --task=first",
            "keras-qa train: error: argument --task: must be from 1 to 20, or all. Received: 'f",
        ),
        (
            "answer qa.keras --batch-size=0",
            "keras-qa answer: error: argument --batch-size: must be a positive integer. Received:",
        ),
        ("answer qa.keras --\x1b[31m\n", "keras-qa answer: error: unrecognized arguments: --�[31m"),
        (
            "ask handbook/ Who? --topk 3",
            "keras-qa ask: error: unrecognized arguments: --topk 3. The nearest option is --top-k.",
        ),
        (
            "train --data=a.csv --output=o --batchsize=3",
            "keras-qa train: error: unrecognized arguments: --batchsize=3. The nearest option is "
            "--batch-size.",
        ),
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
        arguments = ["train", "--data=d", "--output=o", f"--columns={given}"]
        return data.columns(parser().parse_args(arguments))

    assert columns("text=a b,id=n=o") == {"text": "a b", "id": "n=o"}
    for given in ("text", "text=a,b", "texts=a"):
        with pytest.raises(ValueError, match=rf"`--columns` must look like .*Received: '{given}'"):
            columns(given)


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """Returns what `train` learns from: training and validation questions, and the name."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        rows = [f"A text.,{name}{number},text,{number}\n" for number in range(10)]
        (tmp_path / f"{name}.csv").write_text("text,question,answer,id\n" + "".join(rows))

    def run(arguments: str) -> tuple[list[str], list[str], object]:
        options = parser().parse_args(["train", "--output=o", *arguments.split()])
        train, valid, about = data.training_parts(options)
        return [one.question for one in train], [one.question for one in valid], about["data"]

    return run


A, B = ([f"{name}{number}" for number in range(10)] for name in ("a", "b"))


def test_examples_of_several_files(parts) -> None:
    # The ids of both files are the same.
    train, valid, name = parts("--data a.csv b.csv --validation-data b.csv a.csv")
    assert (train, valid, name) == (A + B, B + A, "a.csv, b.csv")
    options = parser().parse_args(["evaluate", "qa.keras", "--data", "b.csv", "a.csv"])
    assert [one.question for one in data.examples(options, options.split)] == B + A
    for arguments in ("--data a.csv babi", "--data a.csv --validation-data b.csv babi"):
        with pytest.raises(ValueError, match="`babi` must be the only value of `--data`. Receiv"):
            parts(arguments)


def test_only_two_files_print() -> None:
    """Only `cli.output` and `_terminal` print. They replace control characters."""
    package = pathlib.Path(keras_qa.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write")
    }
    assert found == {"_terminal.py", "cli/output.py"}
