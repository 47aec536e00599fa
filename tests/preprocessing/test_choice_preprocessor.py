"""`QuestionAnswerer("multiple_choice")`: strings and choices in, one of the choices out."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from command_line import error_line
from small_backbones import MARKED
from small_checkpoints import with_head
from small_examples import COLOURS, read_lines
from small_examples import EXAMPLES as ANSWERED
from small_models import same_weights

import keras_qa
from keras_qa import Answer, Example, QuestionAnswerer, report
from keras_qa.cli import main
from keras_qa.models import multiple_choice, span_reader

EXAMPLES = [
    dataclasses.replace(item, choices=(*COLOURS[place % 3 :], *COLOURS[: place % 3]))
    for place, item in enumerate(ANSWERED)
]
# In letters that the tokenizer of the small encoder knows.
PLACES = [
    Example(
        "Mary went to the bathroom, then she slept.", "she slept", place, choices=("home", place)
    )
    for place in ("bathroom", "zoo")
]
BOX = "the box is green."
ASKED = "What colour is the box?"
SIZES = {"units": 8, "embedding_dim": 8, "dropout": 0.0}


@pytest.fixture(scope="module")
def chooser() -> QuestionAnswerer:
    options = {**SIZES, "optimizer": keras.optimizers.Adam(0.03)}
    qa = QuestionAnswerer("multiple_choice", options, seed=0, max_length=16, stride=4)
    return qa.fit(EXAMPLES, validation_data=EXAMPLES, epochs=1, steps_per_epoch=20, verbose=0)


@pytest.fixture(scope="module")
def on_bert(tmp_path_factory) -> QuestionAnswerer:
    folder = with_head(tmp_path_factory.mktemp("bert") / "bert", "bert", "Model", {})
    qa = QuestionAnswerer("multiple_choice", {"backbone": folder}, seed=0)
    return qa.fit(PLACES, epochs=1, verbose=0)


def scores(answers: list[Answer]) -> dict[str, float]:
    return {answer.text: answer.score for answer in answers}


def test_what_was_learned_is_chosen(chooser) -> None:
    assert chooser.evaluate(EXAMPLES) == {"exact_match": 100.0, "f1": 100.0, "examples": 9}
    assert chooser.score(EXAMPLES) == 1.0
    assert chooser.predict(EXAMPLES) == [item.answers[0] for item in EXAMPLES]
    answers = chooser.answer(BOX, ASKED, choices=["red", "green"], top_k=2)
    assert [answer.text for answer in answers] == ["green", "red"]
    assert sum(answer.score for answer in answers) == pytest.approx(1.0)
    assert answers[0].score > 0.9
    assert answers[0].start is None
    calibration = chooser.calibration_
    assert calibration.keys() == {"temperature", "calibration_error_before", "calibration_error"}
    assert chooser.model_.preprocessor.temperature == calibration["temperature"]
    assert calibration["calibration_error"] <= calibration["calibration_error_before"] + 1e-6


@pytest.mark.parametrize("name", ["chooser", "on_bert"])
def test_order_equal_and_empty_choices(request, name) -> None:
    qa = request.getfixturevalue(name)
    text = BOX if name == "chooser" else PLACES[0].text
    choices = ["red", "", "green", "dark grey", "red", "?", "unknown words", " "]
    first = qa.answer(text, ASKED, choices=choices, top_k=8)
    again = qa.answer(text, ASKED, choices=choices[::-1], top_k=8)
    assert sum(answer.score for answer in first) == pytest.approx(1.0)
    assert scores(first) == pytest.approx(scores(again), abs=1e-9)
    assert len({answer.score for answer in first if answer.text == "red"}) == 1
    assert [answer.score for answer in first] == sorted((a.score for a in first), reverse=True)
    (only,) = qa.answer(text, ASKED, choices=["blue"], top_k=3)
    assert (only.text, only.score) == ("blue", 1.0)
    fewer = scores(qa.answer(text, ASKED, choices=["red", "green"], top_k=2))
    assert fewer["red"] / fewer["green"] == pytest.approx(
        scores(first)["red"] / scores(first)["green"], rel=1e-4
    )
    assert np.isfinite(qa.answer("", "", choices=["", "a"]).score)


def test_lists_in_lists_out(chooser) -> None:
    texts, asked = [BOX, "the car is red."], [ASKED, "What colour is the car?"]
    shared = chooser.answer(texts, asked, choices=COLOURS)
    assert [answer.text for answer in shared] == ["green", "red"]
    each = chooser.answer(texts, asked, choices=[["red", "blue"], ["red"]], top_k=2)
    assert [len(row) for row in each] == [2, 1]
    assert each[1][0] == Answer("red", 1.0)
    assert chooser.answer(EXAMPLES[:2]) == [chooser.answer(item) for item in EXAMPLES[:2]]
    replaced = chooser.answer(EXAMPLES[:2], choices=["x", "y"])
    assert {answer.text for answer in replaced} <= {"x", "y"}
    assert chooser.answer([], []) == []


def test_a_window_of_a_long_text_decides(chooser) -> None:
    before = "it rains today. " * 25_000
    text, windows = f"{before}{BOX} it rains.", {"max_length": 64, "stride": 8}
    long = chooser.answer(text, ASKED, choices=COLOURS, **windows)
    assert long.text == "green"
    # Training reads the window with the words of the question.
    data = [dataclasses.replace(EXAMPLES[0], text=f"{before[:400]}{EXAMPLES[0].text}")]
    feed, labels = chooser.model_.preprocessor.make_training_data(chooser.model_, data)
    words = chooser.vectorizer_.tokenizer.vocabulary
    assert {"door", "red"} <= {words[id] for id in feed["text"][0]}
    assert labels.tolist() == [EXAMPLES[0].choices.index("red")]


def test_training_rows_have_the_pairs_of_an_encoder(on_bert) -> None:
    model = on_bert.model_
    feed, labels = model.preprocessor.make_training_data(model, PLACES[:1])
    assert labels.tolist() == [1]
    tokenizer = on_bert.vectorizer_.tokenizer
    for row, choice in enumerate(PLACES[0].choices):
        left, right = (
            tokenizer.encode(text)[0].tolist()
            for text in (PLACES[0].text, f"{PLACES[0].question} {choice}")
        )
        ids = [2, *left, 3, *right, 3]
        assert feed["token_ids"][0, row, : len(ids)].tolist() == ids
        segments = [0] * (len(left) + 2) + [1] * (len(right) + 1)
        assert feed["segment_ids"][0, row, : len(ids)].tolist() == segments
        assert feed["padding_mask"][0, row].sum() == len(ids)


def test_one_file_holds_all(chooser, on_bert, tmp_path) -> None:
    for qa, data in ((chooser, EXAMPLES), (on_bert, PLACES)):
        qa.save(tmp_path / "chooser.keras")
        loaded = keras_qa.load(tmp_path / "chooser.keras")
        assert loaded.answer(data, top_k=3) == qa.answer(data, top_k=3)
        before = loaded.model_.get_weights()
        # Without epochs, `fit` only calibrates.
        loaded.fit(data, validation_data=data, epochs=0, verbose=0)
        assert loaded.calibration_["temperature"] == loaded.model_.preprocessor.temperature
        assert same_weights(loaded.model_, before)


def test_a_model_of_the_user_gets_a_vocabulary() -> None:
    qa = QuestionAnswerer(multiple_choice(40, **SIZES), vocabulary_size=30)
    qa.fit(EXAMPLES, epochs=1, verbose=0)
    assert qa.vectorizer_.tokenizer.vocabulary_size <= 30
    assert qa.answer(EXAMPLES[0]).text in COLOURS


NO_CHOICE = dataclasses.replace(EXAMPLES[1], choices=())
WRONG = dataclasses.replace(EXAMPLES[1], answers="pink")


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda qa: qa.answer(BOX, ASKED), ValueError, "^The example at position 0 has no choices"),
        (
            lambda qa: qa.answer(BOX, ASKED, choices=[]),
            ValueError,
            "has no choices. Pass `choices`",
        ),
        (lambda qa: qa.read(BOX).ask(ASKED), ValueError, "has no choices"),
        (
            lambda qa: qa.answer([EXAMPLES[0], NO_CHOICE]),
            ValueError,
            "The example at position 1 has no choices",
        ),
        (lambda qa: qa.answer(BOX, ASKED, choices="red"), TypeError, "`choices` must be a list of"),
        (lambda qa: qa.answer(BOX, ASKED, choices=7), TypeError, "Received: choices=7"),
        (lambda qa: qa.answer(BOX, ASKED, choices={"a", "b"}), TypeError, "must be a list of str"),
        (
            lambda qa: qa.answer(BOX, ASKED, choices=[["red", "green"]]),
            TypeError,
            r"for several questions a list of such lists. Received: choices=\[\['red', 'green'\]\]",
        ),
        (
            lambda qa: qa.answer(BOX, [ASKED] * 2, choices=["red", ["red", "green"]]),
            TypeError,
            r"`choices` must be a list of strings, or for several .*\['red', \['red', 'green'\]\]",
        ),
        (lambda qa: qa.answer(BOX, ASKED, choices=["a", 7]), (TypeError, ValueError), "`choices`"),
        (
            lambda qa: qa.answer([BOX], [ASKED], choices=[["a"], ["b"]]),
            ValueError,
            "`choices` has 2 choices, but there are 1 examples. Pass one entry for each",
        ),
        (
            lambda qa: qa.answer(BOX, ASKED, choices=["a"], no_answer=True),
            ValueError,
            "`no_answer` is for span readers, but the model chooses among given answers",
        ),
        (
            lambda qa: qa.answer(BOX, ASKED, choice=["a"]),
            TypeError,
            "no option `choice`.*`choices`",
        ),
        (
            lambda qa: qa.answer(BOX, "a? " * 400, choices=["a", "b"]),
            ValueError,
            "The question of .*example at position 0.* has 801 pieces, too many for a window",
        ),
        (
            lambda qa: qa.fit([EXAMPLES[0], WRONG]),
            ValueError,
            "position 1 must have a right answer",
        ),
        (lambda qa: qa.fit([EXAMPLES[0], NO_CHOICE]), ValueError, "position 1 has no choices"),
        (lambda qa: qa.fit([]), ValueError, "`examples` is empty"),
        (lambda qa: qa.evaluate([WRONG]), ValueError, r"Received: answers=\('pink',\), choices="),
        (lambda qa: qa.evaluate([]), ValueError, "`examples` is empty"),
    ],
)
def test_wrong_calls_are_one_line_and_no_weight_moves(chooser, call, kind, message) -> None:
    model, before = chooser.model_, chooser.model_.get_weights()
    other = QuestionAnswerer(model, max_length=16)
    other._set_model(model)
    with pytest.raises(kind, match=message) as caught:
        call(other)
    assert len(str(caught.value)) <= 300
    assert "\n" not in str(caught.value)
    assert same_weights(model, before)


def test_other_models_take_no_choices() -> None:
    qa = QuestionAnswerer(span_reader(30, units=4)).fit(MARKED, epochs=0, verbose=0)
    with pytest.raises(
        ValueError, match="`choices` is for multiple-choice models, but the model marks"
    ):
        qa.answer(BOX, ASKED, choices=["red"])
    with pytest.raises(ValueError, match="`max_answer_words` is for span readers"):
        QuestionAnswerer("multiple_choice", max_answer_words=3).fit(EXAMPLES)


def test_a_choice_is_right_only_if_it_is_the_same(chooser) -> None:
    minus = Example("It is -5 degrees.", "How cold?", "-5", choices=("5", "-5"))
    found = chooser.answer(minus)
    expected = 100.0 * (found.text == "-5")
    assert chooser.evaluate([minus])["exact_match"] == expected
    judged = report.judge([minus], [Answer("5", 0.9)])
    assert judged.exact_match == 0.0
    page = report.evaluate(chooser, EXAMPLES).html()
    assert "100.0" in page


def test_the_command_line_trains_evaluates_and_answers(tmp_path, capsys) -> None:
    rows = [
        {"text": item.text, "question": item.question, "answer": item.answers[0]}
        | {"choices": list(item.choices)}
        for item in EXAMPLES
    ]
    data, out = tmp_path / "data.jsonl", str(tmp_path / "chooser.keras")
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["--data", str(data), "--validation-data", str(data), "--model", "multiple_choice"]
    arguments += ["--model-options", json.dumps(SIZES), "--epochs", "2", "--output", out]
    assert main(["train", *arguments, "--max-length", "16"]) == 0
    assert keras_qa.load(out).vectorizer_.max_length == 16
    capsys.readouterr()
    assert main(["evaluate", out, "--data", str(data)]) == 0
    assert "9 examples" in capsys.readouterr().out
    asked = ["answer", out, "--text", BOX, "--question", ASKED, "--top-k", "2"]
    assert main([*asked, "--choices", "red", "green"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[-1] for line in lines) == ["green", "red"]
    answers = tmp_path / "answers.jsonl"
    files = ["--input", str(data), "--output", str(answers)]
    assert main(["answer", out, *files]) == 0
    assert {row["answer"] for row in read_lines(answers)} <= set(COLOURS)
    capsys.readouterr()
    assert "has no choices" in error_line(capsys, *asked)
    assert "`--choices` is for one question" in error_line(
        capsys, "answer", out, *files, "--choices", "a"
    )
