"""The command line, as a user types it."""

import json
import os
import re
import sys

import numpy as np
import pytest
from babi_archive import write_archive
from small_examples import EXAMPLES

import keras_qa
from keras_qa.cli import main
from keras_qa.recipes.checkpoints import TrainingCheckpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a data file, and an answerer that was trained on it."""
    folder = tmp_path_factory.mktemp("cli")
    rows = [
        {"context": item.text, "question": item.question, "answer": item.answers[0]}
        for item in EXAMPLES
    ]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = main(
        [
            "train",
            f"--data={folder / 'data.jsonl'}",
            "--columns=text=context,answers=answer",
            f"--validation={folder / 'data.jsonl'}",
            f"--out={folder / 'qa.keras'}",
            "--model=answer_classifier",
            "--epochs=2",
            "--seed=0",
        ]
    )
    assert done == 0
    return folder


def test_evaluate_prints_the_scores(folder, capsys) -> None:
    loaded = keras_qa.load(folder / "qa.keras")
    assert set(loaded.vectorizer_.answers) == {"", "red", "green", "blue"}
    scores = loaded.evaluate(EXAMPLES)
    arguments = [f"--data={folder / 'data.jsonl'}", "--columns=text=context,answers=answer"]
    assert main(["evaluate", str(folder / "qa.keras"), *arguments]) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == (
        f"exact match {scores['exact_match']:.1f} %, F1 {scores['f1']:.1f} %, 9 examples"
    )


def test_simulated_stories_train(tmp_path, capsys) -> None:
    # All stories of this task have the same length, to compile once.
    arguments = ["--data=simulated", "--task=15", "--examples=100", "--epochs=1", "--seed=5"]
    arguments += ["--model=memory_network", "--augment-to=200", "--weight-decay=0.25"]
    arguments += ['--model-options={"embedding_dim": 8, "num_hops": 1}']
    arguments += [f"--results={tmp_path / 'results.json'}"]
    assert main(["train", *arguments, f"--out={tmp_path / 'qa.keras'}"]) == 0
    printed = capsys.readouterr().out
    assert "100 questions to train on, 200 to validate on." in printed
    copies = [run["copies"] for run in json.loads((tmp_path / "results.json").read_text())]
    assert copies == [1, 0]
    for copied in (" with 1 copy", ""):
        assert f"\nmemory_network{copied}  seed 5  epoch 1/1" in printed
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
    stopped = [*arguments, f"--out={tmp_path / 'stopped.keras'}"]
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
    assert main([*arguments, f"--out={tmp_path / 'unbroken.keras'}"]) == 0
    printed = capsys.readouterr().out
    assert "Task 3: en-valid has no train file. Used instead: 1 simulated questions." in printed
    models = [keras_qa.load(tmp_path / f"{name}.keras").model_ for name in ("stopped", "unbroken")]
    for one, other in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(one, other)
    one, other = json.loads((tmp_path / "results.json").read_text())
    assert (one["task"], one["variant"], one["simulated"]) == ("all", "en-valid", 1)
    assert (one["questions"], one["validation_questions"]) == (19 + 1, 20)
    assert list(one["errors"]) == [str(task) for task in range(1, 21)]
    assert one.pop("seconds") > 0 < other.pop("seconds")
    assert one == other
    failed = sum(error > 5 for error in one["errors"].values())
    line = f"mean over the tasks {one['validation_error']:.2f} %, {failed} failed"
    assert printed.count(line) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "none.keras", "--data=simulated"], "There is no file `none.keras`"),
        (["train", "--data=none.csv", "--out=x.keras"], "none.csv"),
        (["train", "--data=simulated", "--out=x.h5"], "`out` must end in `.keras`"),
        (["train", "--data=simulated", "--out=/none/x.keras"], "folder that does not exist"),
        (["train", "--data=simulated", "--seeds=0", "--out=x.keras"], "`seeds` must be a positive"),
        (["train", "--data=simulated", "--patience=0", "--out=x.keras"], "`patience` must be"),
        (["train", "--data=simulated", "--task=4", "--out=x.keras"], "`task` must be"),
        (["train", "--data=simulated", "--model=none", "--out=x.keras"], "`model` must be"),
        (["answer", "QA", "--text=-", "--question=?", "--top-k=0"], "`top_k` must be a positive"),
    ],
)
def test_errors_are_one_line(folder, tmp_path, monkeypatch, capsys, arguments, message) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [str(folder / "qa.keras") if part == "QA" else part for part in arguments]
    if "--text=-" in arguments:
        import io

        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"text")))
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("keras-qa: error: ")
    assert message in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_quickstart(capsys) -> None:
    assert main(["quickstart"]) == 0
    printed = capsys.readouterr().out
    ready, trained = printed.split("Now train a model on")
    for question, answer in (("Where is the milk?", "bathroom"), ("Where is Mary?", "garden")):
        assert re.match(rf"\n +[\d.]+%  {answer}\n", ready.split(question)[1])
    right = re.search(r"Right on ([\d.]+) % of 500 unseen questions", printed)
    assert float(right.group(1)) >= 98
    for question, answer, fact in (
        ("Where is Mary?", "garden", "Mary went to the garden."),
        ("Where is John?", "hallway", "John went to the hallway."),
    ):
        part = trained.split(question)[1]
        assert re.match(rf"\n +[\d.]+%  {answer}\n", part)
        assert f"Supported by: {fact}" in part
    for line in ("Try next:", "keras-qa train"):
        assert line in printed


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
    assert main(["answer", str(tmp_path / "missing.keras"), "a text", "a question"]) != 0
    found = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    assert found == (str(tmp_path / "jax") if used == "own" else used)
