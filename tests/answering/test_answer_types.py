"""Readers that also answer yes and no, from strings to answers."""

import dataclasses

import keras
import numpy as np
import pytest
from small_backbones import TOKENIZER, bert
from small_examples import COLOURS
from small_models import same_weights

import keras_qa
from keras_qa import Example, QuestionAnswerer
from keras_qa.documents import Index
from keras_qa.models import span_reader
from keras_qa.preprocessing import SpanDecoder

THINGS = ("door", "box", "car")
TYPES = ["span", "yes", "no"]


def mixed() -> list[Example]:
    """Questions whose answers are yes, no, a span, and none."""
    data = []
    for thing in THINGS:
        for place, colour in enumerate(COLOURS):
            text, other = f"the {thing} is {colour}.", COLOURS[place - 1]
            data += [
                Example(text, f"Is the {thing} {colour}?", "yes"),
                Example(text, f"Is the {thing} {other}?", "No"),
                Example(text, f"What colour is the {thing}?", colour, 8 + len(thing)),
                Example(text, "What colour is the moon?"),
            ]
    return data


def answerer(**options) -> QuestionAnswerer:
    settings = {"units": 12, "embedding_dim": 12, "dropout": 0.0, "answer_types": TYPES}
    settings["optimizer"] = keras.optimizers.Adam(0.04)
    return QuestionAnswerer("span_reader", {**settings, **options}, seed=1)


@pytest.fixture(scope="module")
def reader() -> QuestionAnswerer:
    data = mixed()
    steps = {"epochs": 1, "steps_per_epoch": 50, "batch_size": 36}
    return answerer().fit(data, validation_data=data, **steps, verbose=0)


def test_yes_no_a_span_and_none_are_learned_together(reader, tmp_path) -> None:
    data = mixed()
    scores = reader.evaluate(data)
    assert (scores["exact_match"], scores["NoAns_exact"], scores["examples"]) == (100, 100, 36)
    assert reader.calibration_["calibration_error"] < 0.2
    yes, no, span, none = answers = reader.answer(data[:4])
    assert [one.text for one in answers] == ["yes", "no", "red", ""]
    for one in (yes, no, none):
        assert (one.start, one.end, one.document) == (None, None, None)
    assert (span.start, span.end) == (12, 15)
    # One softmax: all answers together have the probability 1.
    [every] = reader.answer(data[:1], top_k=200)
    assert sum(one.score for one in every) == pytest.approx(1, abs=1e-6)
    assert [one.text for one in every].count("no") == 1
    assert reader.read(data[0].text).ask(data[0].question) == yes
    reader.save(tmp_path / "reader.keras")
    loaded = keras_qa.load(tmp_path / "reader.keras")
    for one, other in zip(loaded.answer(data[:4]), answers, strict=True):
        assert one == dataclasses.replace(other, score=pytest.approx(other.score, abs=1e-6))


def test_yes_has_no_place_in_documents_and_reports(reader, tmp_path) -> None:
    data = mixed()
    for thing in THINGS[:2]:
        (tmp_path / f"{thing}.txt").write_text(f"the {thing} is red.")
    with Index.create(tmp_path / "all.index") as index:
        index.update(tmp_path)
        questions = [item.question for item in data[:4]]
        ranked = reader.ask(index, questions, top_k=50)
        assert [row[0].text for row in ranked] == ["yes", "no", "red", ""]
        # No document mentions the moon.
        for row in ranked[:3]:
            for name in ("yes", "no"):
                [answer] = [answer for answer in row if answer.text == name]
                assert (answer.document, answer.start, answer.sources) == (None, None, ())
        known = [
            Example("", question, answer)
            for question, answer in zip(questions, ("yes", "no"), strict=False)
        ]
        reader.calibrate(index, known)
        assert reader.ask(index, questions[0]).text == "yes"
        reader.model_.preprocessor.asking = None
        # Documents support claims by spans only.
        verdicts = keras_qa.verify("Yes.", index, questions[0], reader=reader, threshold=0.0)
        assert [verdict.supported for verdict in verdicts] == [False]
    # "moon" and "blue" are wrong answers of the report.
    wrong = [dataclasses.replace(data[0], answers=("no",)), data[2]]
    report = keras_qa.report.evaluate(reader, wrong)
    assert report.exact_match == 50
    assert '<bdi dir="auto">yes</bdi>' in report.html()


def test_answers_of_windows() -> None:
    long = Example("the door is red. " * 5, "Is the door red?", "yes")
    qa = QuestionAnswerer("span_reader", answerer().model_options, seed=0, max_length=8, stride=2)
    qa.fit([*mixed(), long], epochs=1, verbose=0)
    feed, labels = qa.model_.preprocessor.make_training_data(qa.model_, [long, mixed()[2]])
    # Each window of a question of yes or no has its label, and spans are two positions later.
    rows = len(feed["text"]) - 1
    assert rows > 2
    assert labels["start"][:, 0].tolist() == [1] * rows + [6]
    assert labels["end"].tolist() == labels["start"].tolist()


@pytest.mark.parametrize(
    ("item", "types", "message"),
    [
        (Example("a door", "Is it?", "maybe"), TYPES, "The first is 'maybe'"),
        (Example("a door", "Is it?", "no"), ["span", "yes"], "The first is 'no'"),
        (Example("a door", "Is it?", ["yes", "door"]), TYPES, "'yes' has no offset"),
        (Example("a door", "Is it?", "yes"), ["span"], "for yes and no, build the reader with"),
        (Example("a door", "Is it?", "no", 0), TYPES, "'no' is not at 0"),
    ],
)
def test_an_answer_of_another_type_raises(item, types, message: str) -> None:
    qa = answerer(answer_types=types)
    qa.fit([Example("no door", "Is it?", "no", 0)], epochs=1, verbose=0)
    model = qa.model_
    before = model.get_weights()
    trainer = QuestionAnswerer(model)
    with pytest.raises(ValueError, match=message) as caught:
        trainer.fit([item], epochs=1, verbose=0)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 300
    assert same_weights(model, before)


def test_a_preprocessor_of_another_model_raises() -> None:
    qa = answerer(answer_types=None).fit(mixed()[2:3], epochs=1, verbose=0)
    qa.model_.preprocessor.decoder = SpanDecoder(answer_types=("yes", "no"))
    with pytest.raises(ValueError, match=r"The model has answer_types=\(\), but its preprocessor"):
        qa.answer("the door is red.", "Is it?")


def test_a_checkpoint_has_no_place_for_yes_and_no(tmp_path) -> None:
    options = {"backbone": "minilm", "lora_rank": 2, "answer_types": TYPES}
    qa = QuestionAnswerer("span_reader", options, seed=0, max_length=32)
    qa.fit(mixed()[:2], epochs=1, verbose=0)
    with pytest.raises(ValueError, match=r"`answer_types` cannot be saved as a checkpoint"):
        qa.save_pretrained(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
    # An adapter has the weights of the whole head.
    qa.save_adapter(tmp_path / "adapter.keras")
    loaded = keras_qa.load(tmp_path / "adapter.keras")
    expected = qa.answer(mixed()[:4], top_k=3)
    for row, others in zip(loaded.answer(mixed()[:4], top_k=3), expected, strict=True):
        np.testing.assert_allclose([a.score for a in row], [a.score for a in others], atol=1e-5)


@pytest.mark.parametrize(
    "given",
    [
        ["yes", "no"],
        "span",
        ["span", "maybe"],
        ["span", "yes", "yes"],
        ["span", "span"],
        ["span", 1],
        {"span": 1},
        ["span", ["yes"]],
    ],
)
def test_wrong_types_raise(given) -> None:
    for build in (span_reader, lambda **options: span_reader(backbone=bert(), **options)):
        with pytest.raises(ValueError, match=r"^`answer_types` must be a list") as caught:
            build(answer_types=given)
        assert "\n" not in str(caught.value)


def test_a_backbone_learns_yes_and_no() -> None:
    data = [Example("she slept at home.", "Did she sleep?", "yes")]
    data.append(Example("she slept at home.", "Did she go to the bathroom?", "no"))
    options = {"backbone": bert(), "tokenizer": TOKENIZER, "dropout": 0.0, "answer_types": TYPES}
    qa = QuestionAnswerer("span_reader", options, seed=0)
    optimizer = keras.optimizers.Adam(0.01)
    qa.fit(data, epochs=1, steps_per_epoch=30, optimizer=optimizer, verbose=0)
    assert [one.text for one in qa.answer(data)] == ["yes", "no"]
    assert qa.evaluate(data)["exact_match"] == 100
