"""The command line, as a user types it."""

import io
import json
import os
import re
import shlex
import subprocess
import sys

import keras
import pytest
from babi_archive import write_archive
from command_line import check_fields, error_line
from small_examples import EXAMPLES
from small_models import same_weights

import keras_qa
from keras_qa import cli
from keras_qa.answering import answerer
from keras_qa.answering.opening import DEFAULT_READER
from keras_qa.cli import main, quickstart
from keras_qa.cli.output import Results, show_epochs
from keras_qa.training.checkpoints import TrainingCheckpoint

TEXT, QUESTION = EXAMPLES[0].text, EXAMPLES[0].question


def test_train_and_evaluate(tmp_path, capsys) -> None:
    rows = [
        {"context": item.text, "question": item.question, "answer": item.answers[0]}
        for item in EXAMPLES
    ]
    path, out = tmp_path / "data.jsonl", tmp_path / "qa.keras"
    path.write_text("\n".join(map(json.dumps, rows)))
    data = [f"--data={path}", "--columns=text=context,answers=answer"]
    options = [f"--validation={path}", "--model=answer_classifier", "--epochs=2", "--seed=0"]
    assert main(["train", *data, *options, f"--output={out}"]) == 0
    loaded = keras_qa.load(out)
    assert set(loaded.vectorizer_.answers) == {"", "red", "green", "blue"}
    scores = loaded.evaluate(EXAMPLES)
    capsys.readouterr()
    assert main(["evaluate", str(out), *data]) == 0
    assert capsys.readouterr().out == (
        f"exact match {scores['exact_match']:.1f} %, F1 {scores['f1']:.1f} %, 9 examples\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "none.keras", "--data=simulated"], "There is no file `none.keras`"),
        (["train", "--data=none.csv", "--output=x.keras"], ": There is no file 'none.csv'.\n"),
        (["train", "--data=none.json", "--output=x.keras"], ": There is no file 'none.json'.\n"),
        (
            ["train", "--data=simulated", "--seeds=0", "--output=x.keras"],
            "argument --seeds: must be a positive",
        ),
        (
            ["train", "--data", "simulated", "x.csv", "--output=x.keras"],
            "`simulated` must be the only",
        ),
        (["train", "--data=simulated", "--task=4", "--output=x.keras"], "`task` must be"),
        (["answer", "QA", "A text.", "?", "--top-k=0"], "argument --top-k: must be a positive"),
    ],
)
def test_errors_are_one_line(
    classifier_file, tmp_path, monkeypatch, capsys, arguments, message
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [classifier_file if part == "QA" else part for part in arguments]
    assert message in error_line(capsys, *arguments)
    assert not list(tmp_path.iterdir())


def test_simulated_stories_train(tmp_path, capsys) -> None:
    # All stories of this task have the same length, to compile once.
    arguments = ["--data=simulated", "--task=15", "--examples=100", "--epochs=1", "--seed=5"]
    arguments += ["--model=memory_network", "--augment-to=200", "--weight-decay=0.25"]
    arguments += ['--model-options={"embedding_dim": 8, "num_hops": 1}']
    arguments += [f"--results={tmp_path / 'results.json'}"]
    assert main(["train", *arguments, f"--output={tmp_path / 'qa.keras'}"]) == 0
    printed = capsys.readouterr().out
    assert "100 questions to train on, 200 to validate on." in printed
    copies = [run["copies"] for run in json.loads((tmp_path / "results.json").read_text())]
    assert copies == [1, 0]
    for copied in (" with 1 copy", ""):
        assert re.search(
            rf"^memory_network{copied}, seed 5\n\d/\d - .* loss: ", printed, re.MULTILINE
        )
    assert "200 examples" in printed
    loaded = keras_qa.load(tmp_path / "qa.keras")
    assert set(loaded.vectorizer_.answers[1:]) <= {"cat", "mouse", "sheep", "wolf"}
    assert loaded.model_.name == "memory_network"
    assert loaded.model_.get_layer("reasoner").num_hops == 1
    assert loaded.model_.optimizer.weight_decay == 0.25


def test_interrupted_training_on_all_tasks_is_resumed(tmp_path, capsys, monkeypatch) -> None:
    archive = tmp_path / "babi.tar.gz"
    files = {}
    for task in range(1, 21):
        for split in ("train", "valid"):
            name = f"tasks_1-20_v1-2/en-valid/qa{task}_{split}.txt"
            story = f"1 A car.\n2 The box is red.\n3 What is red {task}?\tbox\t1\n"
            files[name] = story.encode()
    del files["tasks_1-20_v1-2/en-valid/qa3_train.txt"]
    write_archive(archive, files)
    arguments = ["train", "--data=babi", f"--path={archive}", "--variant=en-valid", "--task=all"]
    arguments += ["--simulate=1", "--epochs=2", "--batch-size=8", "--model=memory_network"]
    arguments += [f"--results={tmp_path / 'results.json'}"]
    stopped = [*arguments, f"--output={tmp_path / 'stopped.keras'}"]
    save = TrainingCheckpoint.save

    def save_and_stop(self, path) -> None:
        save(self, path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TrainingCheckpoint, "save", save_and_stop)
        assert main(stopped) == 130
    assert capsys.readouterr().err == (
        "keras-qa: interrupted. The same command with --resume continues after the last complete "
        "epoch.\n"
    )
    assert not (tmp_path / "stopped.keras").exists()
    assert main([*stopped, "--resume"]) == 0
    assert main([*arguments, f"--output={tmp_path / 'unbroken.keras'}"]) == 0
    printed = capsys.readouterr().out
    assert "Task 3: en-valid has no train file. Used instead: 1 simulated questions." in printed
    models = [keras_qa.load(tmp_path / f"{name}.keras").model_ for name in ("stopped", "unbroken")]
    assert same_weights(models[0], models[1].get_weights())
    one, other = json.loads((tmp_path / "results.json").read_text())
    assert (one["task"], one["variant"], one["simulated"]) == ("all", "en-valid", 1)
    assert (one["questions"], one["validation_questions"]) == (19 + 1, 20)
    assert list(one["errors"]) == [str(task) for task in range(1, 21)]
    assert one.pop("seconds") > 0 < other.pop("seconds")
    assert one == other
    failed = sum(error > 5 for error in one["errors"].values())
    line = f"mean over the tasks {one['validation_error']:.2f} %, {failed} failed"
    assert printed.count(line) == 2
    whole = (tmp_path / "stopped.keras").read_bytes()
    line = error_line(capsys, *stopped, "--resume")
    assert "is finished: it has no checkpoint to resume. To train it further, load it by" in line
    assert (tmp_path / "stopped.keras").read_bytes() == whole


def test_quickstart(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    results = []
    monkeypatch.setattr(Results, "add", lambda self, **result: results.append(result))
    assert main(["quickstart"]) == 0
    check_fields({"command": "quickstart", "results": results})
    assert [result["answers"][0].text for result in results[:4]] == [
        *("bathroom", "garden", "Ingrid Solberg", "four hours")
    ]
    printed, trained = capsys.readouterr().out.split("Now train a model on")
    ready, handbook = printed.split(f"`{DEFAULT_READER}`, a preset that marks answers")
    for part, question, answer in (
        (ready, "Where is the milk?", "bathroom"),
        (ready, "Where is Mary?", "garden"),
        (trained, "Where is Mary?", "garden"),
        (trained, "Where is John?", "hallway"),
    ):
        assert re.match(rf"\n +[\d.]+%  {answer}\n", part.split(question)[1])
    for question, answer, line in (
        (
            "Who designed the Heron?",
            "Ingrid Solberg",
            "It was designed by «Ingrid Solberg» and is built in Bergen.",
        ),
        (
            "How long does it take to charge the battery?",
            "four hours",
            "The battery takes «four hours» to charge.",
        ),
        ("How long is the warranty?", "three years", "The warranty lasts «three years»."),
        ("Who won the football world cup?", "(no answer)", None),
    ):
        lines = handbook.split(question)[1].split("\n")
        assert re.fullmatch(r" +[\d.]+%", lines[1].removesuffix(f"  {answer}"))
        assert lines[2] == (f"          {line}" if line else "")
    right = re.search(r"Right on ([\d.]+) % of 500 unseen questions", trained)
    assert float(right.group(1)) >= 98
    evidence = ready.split("Where is the milk?")[1].split("\n\n")[0].split("attended to:\n")[1]
    facts = [line.split("%  ") for line in evidence.splitlines()]
    assert sorted(fact for _, fact in facts) == sorted(quickstart.READY_STORY.split("\n"))
    assert {"Mary moved to the bathroom.", "Mary left the milk there."} < {f for _, f in facts[:3]}
    weights = [float(weight) for weight, _ in facts]
    assert weights == sorted(weights, reverse=True)
    assert sum(weights) == pytest.approx(100, abs=0.5)
    for fact in ("Mary went to the garden.", "John went to the hallway."):
        assert re.search(rf"attended to:\n +[\d.]+%  {fact}\n", trained)
    commands = trained.split("Try next")[1].splitlines()[1:]
    for line in commands:
        # Train on fewer questions, to save time.
        line = line.strip().replace("--examples 10000", "--examples 50 --augment-to")
        if line.startswith("keras-qa "):
            assert main(shlex.split(line)[1:]) == 0
        else:
            subprocess.run(line, shell=True, check=True)
    printed = capsys.readouterr().out
    assert printed.count("The warranty lasts «two years».") == 2
    assert "Saved qa.keras." in printed
    assert len(commands) == 6


@pytest.mark.parametrize(
    ("switch", "given", "used"),
    [(None, None, "own"), (None, "mine", "mine"), ("0", None, None), ("0", "mine", "mine")],
)
def test_jax_compilation_cache_folder(switch, given, used, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("KERAS_QA_HOME", str(tmp_path))
    for name, value in (("KERAS_QA_CACHE", switch), ("JAX_COMPILATION_CACHE_DIR", given)):
        # Let monkeypatch restore the variable that the command sets.
        monkeypatch.setenv(name, "")
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    (tmp_path / "broken.keras").touch()
    assert main(["answer", str(tmp_path / "broken.keras"), "a text", "a question"]) != 0
    found = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    assert found == (str(tmp_path / "jax") if used == "own" else used)


@pytest.fixture
def printed(classifier_file, capsys, monkeypatch):
    """Returns the output of `keras-qa answer` for a text."""

    def run(text: str, stdin: bytes = b"") -> str:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        arguments = [f"--text={text}", f"--question={QUESTION}", "--top-k=3"]
        assert main(["answer", str(classifier_file), *arguments]) == 0
        return capsys.readouterr().out

    return run


def test_text_from_argument_file_and_standard_input(
    printed, classifier, classifier_file, tmp_path, capsys
) -> None:
    path = tmp_path / "my text.txt"
    path.write_text(TEXT)
    found = printed(TEXT)
    assert found == printed(str(path)) == printed("-", TEXT.encode())
    expected = classifier.answer(TEXT, QUESTION, top_k=3)
    scores = re.findall(r"^ +([\d.]+)%  (\w+)$", found, re.MULTILINE)
    assert scores == [(f"{100 * answer.score:.1f}", answer.text) for answer in expected]
    # Positional arguments.
    for text in (TEXT, str(path)):
        assert main(["answer", str(classifier_file), text, "--top-k=3", QUESTION]) == 0
        assert capsys.readouterr().out == found


def test_keras_progress_bars_only_on_terminals(
    classifier_file, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(answerer, "LONG_WORK", 1)
    rows = [f"{item.text},{item.question},{item.answers[0]}\n" for item in EXAMPLES]
    path = tmp_path / "data.csv"
    path.write_text("text,question,answer\n" + "".join(rows * 8))
    arguments = ["evaluate", str(classifier_file), f"--data={path}"]
    assert main(arguments) == 0
    line = capsys.readouterr().out
    assert re.fullmatch(r"exact match [\d.]+ %, F1 [\d.]+ %, 72 examples\n", line)
    # The command restores the setting of Keras.
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "3/3" in shown
    assert shown.endswith(line)


@pytest.mark.parametrize("before", [True, False])
def test_the_setting_of_keras_is_that_of_before_a_training(before) -> None:
    config = keras.config
    (config.enable_interactive_logging if before else config.disable_interactive_logging)()
    try:
        with cli._progress_bars_on_terminals_only():
            assert show_epochs() == 2
            assert config.is_interactive_logging_enabled()
        assert config.is_interactive_logging_enabled() == before
    finally:
        config.enable_interactive_logging()


def test_unwritable_results_raise_before_training(tmp_path, capsys) -> None:
    arguments = ["train", "--data=simulated", "--examples=10", f"--output={tmp_path / 'qa.keras'}"]
    (tmp_path / "r.json").write_text("{}")
    assert main([*arguments, f"--results={tmp_path / 'r.json'}"]) == 2
    printed = capsys.readouterr()
    assert "has no JSON list to append results to. Delete it, or name another" in printed.err
    assert printed.out == "10 questions to train on, 200 to validate on.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


@pytest.mark.parametrize("columns", ["text=zebra", "text=text,answers=zebra"])
def test_a_wrong_column_names_the_option(tmp_path, monkeypatch, capsys, columns: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("text,question,answer,id\nA text.,Why?,text,1\n")
    errors = error_line(capsys, "train", "--data=a.csv", "--output=o.keras", f"--columns={columns}")
    field = columns.split(",")[-1].split("=")[0]
    assert errors == (
        "keras-qa: error: `a.csv` has no column `zebra`. It has: `text`, `question`, `answer`, "
        f"`id`. Name its column by `--columns {field}=NAME`.\n"
    )
