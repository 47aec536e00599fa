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
        (True, ["--model", "span_reader", "memory_network"], ["span_reader", "memory_network"]),
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
    printed = capsys.readouterr().out
    # Without its backslash, the line of an example would go on.
    assert max(map(len, printed.splitlines())) <= 100
    shown = printed.split("\nexample")[1].replace("\\\n", " ")
    lines = re.findall(r"^  (.*keras-qa .*)$", shown, re.MULTILINE)
    assert lines
    for line in lines:
        words = shlex.split(line.partition(" > ")[0])
        options = parser().parse_args(words[words.index("keras-qa") + 1 :])
        assert options.run is COMMANDS[command].run


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            "aks handbook Who?",
            "keras-qa: error: argument COMMAND: invalid choice: 'aks' (choose fro",
        ),
        ("evaluate", "keras-qa evaluate: error: the following arguments are required: READER"),
        (
            "train --data=x --output=y.keras --hard-example-share=z",
            "keras-qa train: error: argument --hard-example-share: must be a number from 0 to 1.",
        ),
        (
            "train --data=x --output=y.keras --task=first",
            "keras-qa train: error: argument --task: must be from 1 to 20, or all. Received: 'f",
        ),
        (
            "answer qa.keras --batch-size=0",
            "keras-qa answer: error: argument --batch-size: must be a positive integer. Received:",
        ),
        ("answer qa.keras --\x1b[31m\n", "keras-qa answer: error: unrecognized arguments: --�[31m"),
        (
            "ask handbook/ Who? --topk 3",
            "keras-qa ask: error: unrecognized arguments: --topk. The nearest option is --top-k.",
        ),
        (
            "train --data=a.csv --output=o.keras --batchsize=3",
            "keras-qa train: error: unrecognized arguments: --batchsize=3. The nearest option is "
            "--batch-size.",
        ),
    ],
)
def test_errors_of_options_are_one_line(arguments: str, line: str, capsys) -> None:
    errors = error_line(capsys, *(arguments.split(" ") if arguments else []))
    assert errors.startswith(line)
    assert re.search(r" See keras-qa( \w+)? --help\.\n$", errors)


NO_KERAS = """
import sys
from keras_qa.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(code, "keras" in sys.modules)
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["answer", "minilm-sqaud", "A text.", "?"], "The nearest name is `minilm-squad`."),
        (["answer", "minilm-squad", "a.txt", "?"], "There is no text file 'a.txt'"),
        (["answer", "minilm-squad", "A text.", ""], "`question`"),
        (
            ["answer", "babi", "--input=a.csv", "--output=b"],
            "has no column `question`. It has",
        ),
        (["ask", "none", "Who?"], "There is no folder and no file 'none'."),
        (["ask", "folder", ""], "`question`"),
        (["ask", "folder", "How", "long", "is it"], 'put it in quotes: "How long is it".'),
        (["ask", "a.png", "Who?"], "not an SQLite file. Make one of a folder with"),
        (["ask", "a.png", "Who?"], "Documents that can be read end in .txt"),
        (["ask", "folder", "Who?", "--min-score=80"], "--min-score: must be a number from 0 to 1."),
        (["ask", "folder", "Who?", "--ranker=minilm-rank"], "nearest name is `minilm-rerank`."),
        (["verify", "A text.", "--documents=none"], "There is no folder and no file 'none'."),
        (["verify", "A b.", "--documents=folder", "--checker=x"], "There is no file `x`"),
        (["index", "none"], "There is no folder and no file 'none'."),
        (["index", "folder", "--embed=minilm-emb"], "The nearest name is `minilm-embed`."),
        (
            ["evaluate", "x.keras", "--data=a.csv"],
            "`a.csv` has no columns `question`, `answers`.",
        ),
        (["evaluate", "babi", "--data=none.json"], "There is no file 'none.json'."),
        (["evaluate", "x.keras", "--data=babi", "--index=none"], "There is no index at 'none'."),
        (["train", "--data=a.csv", "--output=qa.txt"], "--output: must end in .keras. Received"),
        (["train", "--data=a.csv", "--output=no/a.keras"], "must be a file in an existing folder"),
        (
            ["train", "--data=a.csv", "--output=a.keras"],
            "--columns question=NAME,answers=NAME`.",
        ),
        (["train", "--data=babi", "--output=a.keras", "--model=spanreader"], "name is span_reader"),
        (["train", "--data=babi", "--output=a.keras", "--epochs=-1"], "must be a positive integer"),
        (["train", "--data=babi", "--output=a.keras", "--from=bab"], "nearest name is `babi`."),
        (["distill", "--teacher=x", "--student=minilm", "--output=a.keras"], "no file `x`"),
        (["export", "minilm-squad"], "`export` needs the folder to write: FOLDER or --output."),
        (["export", "minilm-sqad", "folder"], "The nearest name is `minilm-squad`."),
        (["serve", "minilm-squad", "--index=none"], "There is no index at 'none'."),
        (["serve", "minilm-squad", "--token-file=none"], "'none': No such file or directory."),
        (["mcp", "none"], "There is no folder and no file 'none'."),
    ],
)
def test_what_was_typed_is_checked_before_keras_is_imported(
    arguments: list[str], message: str, tmp_path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.png").write_bytes(b"no picture")
    (tmp_path / "a.csv").write_text("context,ask\nA text.,Who?\n")
    code = f"import os; os.chdir({str(tmp_path)!r})" + NO_KERAS
    done = python(code, *arguments, hidden=BACKENDS)
    assert message in done.stderr
    assert done.stdout == "2 False\n"
    assert not list(tmp_path.glob("*.index"))


def test_without_a_command_the_help_is_printed(capsys) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == parser().format_help()


def test_commands_without_results_have_no_json(capsys) -> None:
    for command in ("serve", "mcp", "completion"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert "--json" not in capsys.readouterr().out


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
        arguments = ["train", "--data=d", "--output=o.keras", f"--columns={given}"]
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
        options = parser().parse_args(["train", "--output=o.keras", *arguments.split()])
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
