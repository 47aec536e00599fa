"""`verify` with a question, whose answer a reader finds in the documents, and its threshold."""

import dataclasses
import re

import pytest
from small_examples import SPANS
from small_models import same_weights

import keras_qa
from keras_qa import QuestionAnswerer
from keras_qa.answering import Verdict, fit_threshold
from keras_qa.decoding.selective import precision_thresholds
from keras_qa.documents import Index
from keras_qa.preprocessing import SpanPreprocessor

TEXT, QUESTION = "the door is red.", "What colour is the door?"
ANSWER = "It’s RED. The red door. It is reddish. the door is red."
SENTENCES = ((0, 9), (10, 23), (24, 38), (39, 55))


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    with Index.create(tmp_path_factory.mktemp("verified") / "a.index", language="en") as made:
        made.add([{"name": "a", "text": TEXT}, {"name": "b", "text": "A blue car."}])
        yield made


@pytest.fixture(scope="module")
def score(reader, index) -> float:
    answer = reader.ask(index, QUESTION, no_answer=False)
    assert (answer.text, answer.document, answer.start) == ("red", "a", 12)
    assert 0.5 < answer.score < 1
    return answer.score


def check(found: keras_qa.answering.Verification, is_accepted: bool, score: float) -> None:
    read = (True, "a", 12, 15, score) if is_accepted else (False, None, None, None, score)
    expected = [read, read, (False, None, None, None, 0.0), (True, "a", 0, 16, 1.0)]
    assert found.verdicts == tuple(
        Verdict(ANSWER[start:end], start, end, *one)
        for (start, end), one in zip(SENTENCES, expected, strict=True)
    )
    assert found.supported == (0.75 if is_accepted else 0.25)


def test_sentences_with_the_answer_of_the_reader(reader, index, score) -> None:
    before = reader.model_.get_weights()
    check(keras_qa.verify(ANSWER, index, QUESTION, reader), True, score)
    check(keras_qa.verify(ANSWER, index, QUESTION, reader, threshold=score), True, score)
    check(keras_qa.verify(ANSWER, index, QUESTION, reader, threshold=score + 1e-6), False, score)
    assert same_weights(reader.model_, before)
    # Without a document about the question there is nothing to read.
    (verdict,) = keras_qa.verify("It is red.", ["A blue car."], "Zebra?", reader).verdicts
    assert verdict == Verdict("It is red.", 0, 10)


def test_documents_without_an_index_are_read_in_the_same_way(reader, tmp_path, score) -> None:
    texts = [{"name": "a", "text": TEXT}, {"name": "b", "text": "A blue car."}]
    check(keras_qa.verify(ANSWER, texts, QUESTION, reader), True, score)
    for text in texts:
        (tmp_path / text["name"]).with_suffix(".txt").write_text(text["text"])
    found = keras_qa.verify(ANSWER, tmp_path, QUESTION, reader)
    assert [one.document for one in found.verdicts] == ["a.txt", "a.txt", None, "a.txt"]


@pytest.mark.parametrize(
    ("no_answer_threshold", "threshold", "is_accepted"),
    # A threshold replaces the reader's decision.
    [(1.0, None, True), (0.0, None, False), (0.0, 0.0, True), (1.0, 1.0, False)],
)
def test_a_reader_of_texts_without_an_answer_decides_itself(
    reader, index, monkeypatch, no_answer_threshold, threshold, is_accepted
) -> None:
    own = reader.model_.preprocessor
    decoder = dataclasses.replace(
        own.decoder, no_answer=True, no_answer_threshold=no_answer_threshold
    )
    changed = SpanPreprocessor(own.vectorizer, decoder)
    monkeypatch.setattr(reader.model_, "preprocessor", changed)
    score = next(one.score for one in reader.ask(index, QUESTION, top_k=2) if one.text)
    found = keras_qa.verify(ANSWER, index, QUESTION, reader, threshold)
    check(found, is_accepted, score)


@pytest.mark.parametrize(
    ("reader", "kind", "message"),
    [
        (5, TypeError, "`reader` must be a `QuestionAnswerer`, or what `load` takes. Received: re"),
        ("none", FileNotFoundError, "There is no file `none`, and no preset of that name."),
        (QuestionAnswerer(), ValueError, "This answerer is not fitted."),
    ],
)
def test_readers_that_cannot_verify(reader, kind: type, message: str) -> None:
    with pytest.raises(kind, match=re.escape(message)):
        keras_qa.verify(ANSWER, [TEXT], QUESTION, reader)


def test_a_classifier_cannot_verify(classifier) -> None:
    before = classifier.model_.get_weights()
    with pytest.raises(ValueError, match="`reader` must mark spans, but this model "):
        keras_qa.verify(ANSWER, [TEXT], QUESTION, classifier)
    assert same_weights(classifier.model_, before)


THINGS = ("door", "box", "car", "sky")
SHADES = ("red", "green", "blue", "dark grey")


@pytest.fixture(scope="module")
def questions() -> tuple[list[str], list[dict]]:
    """Texts, and questions. Every third has no right answer among its choices."""
    texts, examples = [], []
    for place, thing in enumerate(THINGS * 8):
        shade = SHADES[place // 4 % 4]
        texts.append(f"the {thing} is {shade}.")
        choices = [f"It is {one}." for one in SHADES]
        right = [f"It is {shade}."] if place % 3 else []
        question = f"What colour is the {thing}?"
        examples.append({"text": "", "question": question, "answers": right, "choices": choices})
    return texts, examples


def test_threshold_for_a_precision(reader, questions) -> None:
    texts, examples = questions
    documents = [{"name": str(place), "text": text} for place, text in enumerate(texts)]
    scores, correct = [], []
    for example in examples:
        for choice in example["choices"]:
            (verdict,) = keras_qa.verify(choice, documents, example["question"], reader, 0).verdicts
            if verdict.supported:
                scores.append(verdict.score)
                correct.append(choice in example["answers"])
    assert 0 < sum(correct) < len(correct)
    precisions, thresholds = precision_thresholds(scores, correct)
    wanted = float(precisions[-1])
    before = reader.model_.get_weights()
    assert fit_threshold(examples, texts, reader, wanted) == pytest.approx(thresholds[-1], abs=1e-6)
    message = rf"^`min_precision` is 0.99, but the examples support at most {wanted:.3f}, with a c"
    with pytest.raises(ValueError, match=message):
        fit_threshold(examples, texts, reader, 0.99)
    assert same_weights(reader.model_, before)


@pytest.mark.parametrize(
    ("examples", "options", "message"),
    [
        ([], {}, "`examples` must have wrong answers among their `choices`."),
        ([SPANS[0]], {}, "`examples` must have wrong answers among their `choices`."),
        ([dataclasses.replace(SPANS[0], choices=("Red.",))], {}, "must have wrong answers"),
        ([SPANS[0]], {"min_precision": 2}, "`min_precision` must be between 0 and 1. Received: "),
    ],
)
def test_examples_that_fit_no_threshold(examples, options, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        fit_threshold(examples, [TEXT], **options)
