"""Trained answerers are trained further: their own weights are epoch 0, and LoRA stays LoRA."""

import csv
import dataclasses
import json
import pathlib
import re

import keras
import numpy as np
import pytest
from command_line import json_results
from recipe_cases import Stop, StopAt, without_time
from small_checkpoints import copy, with_head
from small_examples import SPANS
from small_models import same_weights

import keras_qa
from keras_qa import Example
from keras_qa.answering import Reranker
from keras_qa.cli import main
from keras_qa.models import adapters, text_classifier
from keras_qa.training import Recipe, runs, train

RECIPE = Recipe(epochs=2, batch_size=4, learning_rate=0.01, patience=9)
# The same questions about other things.
OTHERS = [
    Example(item.text.replace("the", "a"), item.question, item.answers[0]) for item in SPANS[:8]
]


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("start") / "small reader.keras"
    sizes = {"units": 8, "embedding_dim": 8, "dropout": 0.0}
    recipe = dataclasses.replace(RECIPE, epochs=6, learning_rate=0.02)
    train(SPANS, None, "span_reader", sizes, recipe, out=path, verbose=0)
    return path


def continued(start, valid=SPANS, **options):
    return train(OTHERS, valid, start=start, recipe=RECIPE, verbose=0, **options)


def test_a_run_that_only_gets_worse_keeps_the_weights_of_the_start(start) -> None:
    before = keras_qa.load(start)
    wrong = [Example(item.text, item.question, "the", 0) for item in SPANS]
    done = train(wrong, SPANS, start=start, recipe=RECIPE, verbose=0)
    run = done.runs[0]
    assert (run.model, run.best_epoch, run.epochs) == ("small reader", 0, 2)
    assert max(run.history["val_accuracy"]) < 1
    assert same_weights(done.answerer.model_, before.model_.get_weights())
    assert run.validation_error == 100 - before.evaluate(SPANS)["exact_match"]


def test_the_best_epoch_is_better_than_the_start(start) -> None:
    before = keras_qa.load(start)
    done = continued(start, OTHERS)
    run = done.runs[0]
    assert run.best_epoch > 0
    assert run.validation_error <= 100 - before.evaluate(OTHERS)["exact_match"]
    assert not same_weights(done.answerer.model_, before.model_.get_weights())
    # Without validation data, and by `keep`, the last epoch is kept.
    assert continued(start, None).runs[0].best_epoch == 2
    last = dataclasses.replace(RECIPE, keep="last")
    assert train(OTHERS, SPANS, start=start, recipe=last, verbose=0).runs[0].best_epoch == 2


def test_a_resumed_run_ends_as_an_unbroken_one(start, tmp_path, monkeypatch) -> None:
    unbroken = continued(start, OTHERS)
    out = tmp_path / "more.keras"
    with pytest.raises(Stop):
        continued(start, OTHERS, out=out, callbacks=[StopAt(1)])
    assert [path.name for path in tmp_path.iterdir()] == ["more.small reader.seed0.checkpoint.npz"]
    # The start was scored before the checkpoint.
    monkeypatch.setattr(runs, "validation_score", lambda *scored: pytest.fail("scored again"))
    resumed = continued(start, OTHERS, out=out, resume=True)
    assert without_time(resumed.runs[0]) == without_time(unbroken.runs[0])
    assert same_weights(resumed.answerer.model_, unbroken.answerer.model_.get_weights())


def test_lora_of_an_adapter_is_trained_further(tmp_path) -> None:
    folder = copy("bert", tmp_path / "reader")
    text = "Mary went to the bathroom, then she slept at home."
    data = [Example(text, "Who went?", "Mary", 0), Example(text, "Where?", "home", 45)]
    first, second = tmp_path / "first.keras", tmp_path / "second.keras"
    recipe = Recipe(epochs=1, batch_size=2, learning_rate=0.05)
    done = train(data, start=folder, recipe=recipe, lora_rank=2, verbose=0)
    done.answerer.save_adapter(first)
    merged = keras_qa.load(first).model_.get_weights()
    assert np.allclose(
        keras_qa.load(first).answer(text, "Where?").score,
        done.answerer.answer(text, "Where?").score,
        atol=1e-5,
    )
    with pytest.raises(ValueError, match=r"^`lora_rank` must be 2, that of the adapter .*rank=3"):
        train(data, start=first, recipe=recipe, lora_rank=3, verbose=0)
    kept = adapters.load(first, lora_rank=2)
    done = train(data, start=first, recipe=recipe, lora_rank=2, verbose=0)
    done.answerer.save_adapter(second)
    assert not same_weights(done.answerer.model_, kept.get_weights())
    loaded = keras_qa.load(second)
    assert not same_weights(loaded.model_, merged)
    for one in ("Who went?", "Where?"):
        scores = [qa.answer(text, one).score for qa in (loaded, done.answerer)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lora_rank": 2}, "`lora_rank` needs `start`. For a new model, put it in `model_options"),
        ({"start": "minilm-squad", "model_options": {"units": 3}}, "`model_options` are for a new"),
        ({"start": "minilm-rerank"}, "`examples` has no example with `negatives`: passages that"),
        (
            {"start": "minilm-rerank", "answerer_options": {"max_length": 64}},
            "`answerer_options` are for readers, but `start` is a ranker.",
        ),
        ({"model": "answer_classifier"}, 'Train a reader of spans on them: model="span_reader"'),
    ],
)
def test_errors_are_one_line(options: dict, message: str) -> None:
    rows = [Example(f"{n} {item.text}", "What?", str(n), 0) for n, item in enumerate(SPANS)]
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        train(rows, **options, verbose=0)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) <= 300


def test_the_command_trains_a_reader_further(start, tmp_path, capsys) -> None:
    table = tmp_path / "mine.csv"
    with table.open("w", newline="") as file:
        rows = [(item.text, item.question, item.answers[0]) for item in OTHERS]
        csv.writer(file).writerows([("text", "question", "answer"), *rows, ("A b.", "Who?", "c")])
    out = str(tmp_path / "more.keras")
    command = ["train", "--from", str(start), "--data", str(table), "--output", out, "--epochs=1"]
    assert main(command) == 2
    assert "text: none in row 9 (counted from 1). The first is 'c'" in capsys.readouterr().err
    assert main([*command, "--lenient", "--validation-data", str(table)]) == 0
    printed = capsys.readouterr()
    assert "none in row 9 (counted from 1). They are left out." in (printed.out + printed.err)
    assert "Nothing was compared" not in printed.out
    assert keras_qa.load(out).answer("a door is red.", "What colour is the door?").text
    assert main([*command, "--model", "span_reader"]) == 2
    assert "`--model` is for a new model. Leave it or `--from` out." in capsys.readouterr().err
    command[command.index(out)] = str(tmp_path / "unseen.keras")
    assert main([*command, "--lenient"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "Nothing was compared: the answers may be worse than before. Hold some questions back, and "
        "give them as --validation-data."
    )


PLACES = ("home", "the bathroom", "there")
# Questions with the passage that answers each, and two that do not.
RANKED = [
    Example(
        f"{name} went {place}.",
        f"Where did {name} go?",
        negatives=[f"{name} slept.", f"He went {place}."],
    )
    for name in ("Mary", "John", "She")
    for place in PLACES
]
# The first of the negatives answers instead.
SWAPPED = [
    dataclasses.replace(item, text=item.negatives[0], negatives=(item.text,)) for item in RANKED
]


@pytest.fixture(scope="module")
def ranker(tmp_path_factory) -> pathlib.Path:
    """An adapter on a small encoder, trained for some steps and calibrated."""
    folder = tmp_path_factory.mktemp("ranker")
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    with_head(folder / "encoder", "bert", "Model", {}, **dropout)
    keras.utils.set_random_seed(1)
    ranker = Reranker(text_classifier(folder / "encoder", "sequence_classification", num_labels=1))
    ranker.fit(RANKED, epochs=6, batch_size=3, learning_rate=0.02, lora_rank=2, verbose=0)
    texts = [[item.text, *item.negatives] for item in RANKED]
    ranker.calibrate([item.question for item in RANKED], texts, [[1, 0, 0]] * len(RANKED))
    ranker.save_adapter(folder / "ranker.keras")
    return folder / "ranker.keras"


def test_a_ranker_that_only_gets_worse_is_kept_with_its_calibration(ranker) -> None:
    before = keras_qa.load(ranker)
    scores = before.evaluate(RANKED)
    assert scores["exact_match"] == 100
    assert scores["examples"] == len(RANKED)
    done = train(SWAPPED, RANKED, start=ranker, recipe=RECIPE, verbose=0)
    run = done.runs[0]
    assert (run.model, run.best_epoch, run.validation_error) == ("ranker", 0, 0)
    assert max(run.history["val_accuracy"]) < 1
    assert same_weights(done.answerer.model_, before.model_.get_weights())
    relevance = done.answerer.model_.preprocessor.relevance
    assert relevance == before.model_.preprocessor.relevance


def test_a_ranker_learns_further_and_resumes(ranker, tmp_path) -> None:
    recipe = dataclasses.replace(RECIPE, epochs=3)
    options = {"start": ranker, "lora_rank": 2, "recipe": recipe, "verbose": 0}
    before = keras_qa.load(ranker)
    unbroken = train(SWAPPED, SWAPPED, **options)
    run = unbroken.runs[0]
    assert run.best_epoch > 0
    assert run.validation_error < 100 - before.evaluate(SWAPPED)["exact_match"]
    # The loss is that of the validation of Keras.
    scores = unbroken.answerer.evaluate(SWAPPED)
    assert scores["exact_match"] == 100 - run.validation_error
    assert scores["loss"] == pytest.approx(run.history["val_loss"][run.best_epoch - 1], abs=1e-4)
    assert unbroken.answerer.model_.preprocessor.relevance is None
    out = tmp_path / "more.keras"
    with pytest.raises(Stop):
        train(SWAPPED, SWAPPED, out=out, callbacks=[StopAt(2)], **options)
    resumed = train(SWAPPED, SWAPPED, out=out, resume=True, **options)
    assert without_time(resumed.runs[0]) == without_time(run)
    assert same_weights(resumed.answerer.model_, unbroken.answerer.model_.get_weights())
    assert isinstance(keras_qa.load(out), Reranker)


def test_the_command_trains_a_ranker_further(ranker, tmp_path, capsys) -> None:
    data = tmp_path / "ranking.jsonl"
    rows = [
        {"text": item.text, "question": item.question, "negatives": list(item.negatives)}
        for item in SWAPPED
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = ranker.with_name("more.keras")
    (result,) = json_results(
        capsys,
        *("train", "--from", ranker, "--data", data, "--validation-data", data, "--lora-rank=2"),
        *("--output", tmp_path / "whole.keras", "--adapter", out, "--epochs=1"),
    )
    assert result["scores"]["exact_match"] == 100 - result["runs"][0]["validation_error"]
    text = SWAPPED[0].text
    logits = [
        keras_qa.load(path).logits(["Where did Mary go?"], [[text]])[0]
        for path in (out, tmp_path / "whole.keras")
    ]
    assert logits[0] == pytest.approx(logits[1], abs=1e-5)
