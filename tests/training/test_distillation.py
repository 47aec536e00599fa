"""A reader learns from the outputs of another one, with and without right answers."""

import dataclasses
import json
import pathlib
import re

import keras
import numpy as np
import pytest
from command_line import json_results
from recipe_cases import Stop, StopAt
from small_checkpoints import copy
from small_examples import SPANS
from small_models import same_weights

import keras_qa
from keras_qa import Example
from keras_qa.cli import main
from keras_qa.training import Recipe, distill, train
from keras_qa.training import distillation as module

RECIPE = Recipe(epochs=6, batch_size=8, learning_rate=0.02, decay="linear", patience=9)
SIZES = {"embedding_dim": 8, "dropout": 0.0}
# The questions without their answers.
TEXTS = [Example(item.text, item.question) for item in SPANS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """A teacher that knows the answers, and a student that has learned nothing."""
    path = tmp_path_factory.mktemp("readers")
    recipe = dataclasses.replace(RECIPE, epochs=8)
    sizes = {"units": 8, **SIZES}
    train(SPANS, None, "span_reader", sizes, recipe, out=path / "teacher.keras", verbose=0)
    recipe = Recipe(epochs=1, batch_size=8, learning_rate=1e-6)
    sizes = {"units": 6, **SIZES}
    train(SPANS, None, "span_reader", sizes, recipe, seed=2, out=path / "small.keras", verbose=0)
    assert keras_qa.load(path / "teacher.keras").evaluate(SPANS)["exact_match"] == 100
    return path


def taught(folder, **options) -> keras_qa.QuestionAnswerer:
    options = {"texts": TEXTS, "recipe": RECIPE, "verbose": 0, **options}
    return distill(folder / "teacher.keras", folder / "small.keras", **options)


def test_a_student_learns_without_right_answers(folder) -> None:
    before = keras_qa.load(folder / "small.keras").evaluate(SPANS)["exact_match"]
    recipe = dataclasses.replace(RECIPE, epochs=8, batch_size=4)
    after = taught(folder, recipe=recipe).evaluate(SPANS)["exact_match"]
    assert before <= 50
    assert after >= 75


def test_the_loss_of_an_epoch_is_that_of_numpy(folder) -> None:
    losses = []

    class Keep(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            losses.append(logs["loss"])

    still = dataclasses.replace(RECIPE, epochs=1, learning_rate=1e-12, batch_size=16)
    options = {"examples": SPANS[:8], "texts": TEXTS[8:], "callbacks": [Keep()]}
    taught(folder, recipe=still, temperature=3.0, weight=0.25, **options)
    teacher, student = (keras_qa.load(folder / f"{name}.keras") for name in ("teacher", "small"))
    outputs = []
    for qa in (teacher, student):
        feed, labels = qa.model_.preprocessor.make_training_data(qa.model_, SPANS)
        outputs.append(qa.model_.predict(feed, verbose=0))

    def log_softmax(logits):
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    total = []
    for name in ("start", "end"):
        # Both have the same words, so the same windows. The file has half precision.
        large = np.clip(outputs[0][name], -6e4, None).astype("float16").astype("float64")
        expected, own = log_softmax(large / 3), log_softmax(outputs[1][name].astype("float64") / 3)
        divergence = (np.exp(expected) * (expected - own)).sum(axis=1) * 9
        right = labels[name][:, 0]
        hard = -log_softmax(outputs[1][name].astype("float64"))[np.arange(len(right)), right]
        rows = np.where(np.arange(len(right)) < 8, 0.25 * divergence + 0.75 * hard, divergence)
        total.append(rows.mean())
    assert losses == pytest.approx([np.mean(total)], rel=1e-4)


def test_logits_are_those_of_the_same_characters(folder, tmp_path) -> None:
    teacher = keras_qa.load(copy("bert", tmp_path / "bert"))
    student = keras_qa.load(folder / "small.keras").model_.preprocessor
    item = Example("Mary went to the bathroom, then she slept at home.", "Who went?")
    logits = module._chunk_logits(teacher.model_, student, [item], 8)
    windows = teacher.model_.preprocessor.vectorizer([item])
    outputs = teacher.model_.predict(windows.feed, verbose=0)
    own = student.vectorizer([item])
    columns = {"start": 0, "end": 1}
    shared = 0
    for name, column in columns.items():
        by_place = {
            place: outputs[name][0, position]
            for position, place in enumerate(windows.offsets[0, :, column].tolist())
            if place >= 0
        }
        values = logits[name][0].astype("float64")
        assert values[0] == pytest.approx(outputs[name][0, 0], rel=1e-3)
        for position, place in enumerate(own.offsets[0, :, column].tolist()):
            if position == 0:
                continue
            if place in by_place:
                shared += 1
                assert values[position] == pytest.approx(by_place[place], rel=2e-3)
            else:
                assert np.isneginf(values[position])
    assert shared > 10


def test_outputs_are_kept_and_read_again(folder, tmp_path, monkeypatch) -> None:
    kept, recipe = tmp_path / "outputs", dataclasses.replace(RECIPE, epochs=1)
    monkeypatch.setattr(module, "CHUNK", 6)
    first = taught(folder, outputs=kept, recipe=recipe)
    files = sorted(kept.iterdir())
    assert len(files) == 3
    files[1].unlink()
    times = {file: file.stat().st_mtime_ns for file in (files[0], files[2])}
    second = taught(folder, outputs=kept, recipe=recipe)
    assert sorted(kept.iterdir()) == files
    assert {file: file.stat().st_mtime_ns for file in times} == times
    assert same_weights(second.model_, first.model_.get_weights())
    # Another teacher has outputs of its own.
    other = distill(
        folder / "small.keras",
        folder / "small.keras",
        (),
        TEXTS[:6],
        recipe=recipe,
        outputs=kept,
        verbose=0,
    )
    assert len(list(kept.iterdir())) == 4
    assert other is not None


def test_a_resumed_run_ends_as_an_unbroken_one(folder, tmp_path) -> None:
    recipe, out = dataclasses.replace(RECIPE, epochs=2), tmp_path / "small.keras"
    options = {"validation_data": SPANS[:4], "recipe": recipe}
    unbroken = taught(folder, **options)
    with pytest.raises(Stop):
        taught(folder, out=out, callbacks=[StopAt(1)], **options)
    with pytest.raises(ValueError, match="is the checkpoint of an unfinished run"):
        taught(folder, out=out, **options)
    resumed = taught(folder, out=out, resume=True, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["small.keras"]
    assert same_weights(resumed.model_, unbroken.model_.get_weights())
    assert same_weights(keras_qa.load(out).model_, unbroken.model_.get_weights())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"texts": ()}, "Give `examples` or `texts` to learn from."),
        ({"temperature": 0}, "`temperature` must be"),
        ({"weight": 2}, "`weight` must be between 0 and 1."),
        ({"resume": True}, "`resume` needs `out`: the checkpoints are beside that file."),
        ({"out": "a.h5"}, "`out` must end in `.keras`."),
        ({"lora_rank": 2}, "`lora_rank` is for readers on a published encoder"),
    ],
)
def test_errors_are_one_line(folder, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        taught(folder, **options)
    assert len(str(error.value).splitlines()) == 1


def test_models_that_mark_no_spans(folder) -> None:
    for names, wrong in (
        (("babi", folder / "small.keras"), "teacher"),
        ((folder / "teacher.keras", "minilm-rerank"), "student"),
    ):
        with pytest.raises(ValueError, match=f"^`{wrong}` must be a reader that marks spans"):
            distill(*names, texts=TEXTS, verbose=0)


def test_the_command(folder, tmp_path, capsys) -> None:
    table = tmp_path / "texts.csv"
    rows = [f"{item.text},{item.question}" for item in SPANS]
    table.write_text("\n".join(["text,question", *rows]) + "\n")
    out = str(tmp_path / "small.keras")
    readers = ["--teacher", folder / "teacher.keras", "--student", folder / "small.keras"]
    options = ["--texts", table, "--output", out, "--epochs=1"]
    (found,) = json_results(capsys, "distill", *readers, *options)
    assert found == {"output": out, "scores": None}
    assert keras_qa.load(out).answer(SPANS[0].text, SPANS[0].question).text


def test_answers_without_a_place_are_left_out(folder, tmp_path, capsys) -> None:
    data = tmp_path / "mine.jsonl"
    rows = [
        {"text": item.text, "question": item.question, "answer": item.answers[0]}
        for item in SPANS[:3]
    ] + [{"text": "A b.", "question": "Who?", "answer": "c"}]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["distill", "--teacher", folder / "teacher.keras", "--student"]
    command += [folder / "small.keras", "--data", data, "--validation-data", data, "--epochs=1"]
    command = [str(part) for part in [*command, "--output", tmp_path / "small.keras"]]
    assert main(command) == 2
    assert "text: none in row 4 (counted from 1). The first is 'c'" in capsys.readouterr().err
    assert main([*command, "--lenient"]) == 0
    assert "none in row 4 (counted from 1). They are left out." in capsys.readouterr().err
    assert keras_qa.load(tmp_path / "small.keras").evaluate(SPANS[:3])["examples"] == 3
