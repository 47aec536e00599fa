"""`verify` with a question, whose answer a reader finds in the documents, and its threshold."""

import dataclasses
import re

import pytest
from small_models import same_weights

import keras_qa
from keras_qa import QuestionAnswerer
from keras_qa.answering import Verdict
from keras_qa.documents import Index
from keras_qa.preprocessing import SpanPreprocessor

# The reader was trained without such texts.
pytestmark = pytest.mark.filterwarnings("ignore:This reader was not trained on texts without an")

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


def check(found: list[Verdict], is_accepted: bool, score: float) -> None:
    unsupported = (False, None, None, None, 0.0, None)
    read = (True, "a", 12, 15, score, 1) if is_accepted else unsupported
    expected = [read, read, unsupported, (True, "a", 0, 16, 1.0, 1)]
    assert found == [
        Verdict(ANSWER[start:end], start, end, *one)
        for (start, end), one in zip(SENTENCES, expected, strict=True)
    ]


def test_sentences_with_the_answer_of_the_reader(reader, index, score) -> None:
    before = reader.model_.get_weights()
    check(keras_qa.verify(ANSWER, index, QUESTION, reader), True, score)
    check(keras_qa.verify(ANSWER, index, QUESTION, reader, threshold=score), True, score)
    check(keras_qa.verify(ANSWER, index, QUESTION, reader, threshold=score + 1e-6), False, score)
    assert same_weights(reader.model_, before)
    # Without a document about the question there is nothing to read.
    (verdict,) = keras_qa.verify("It is red.", ["A blue car."], "Zebra?", reader)
    assert verdict == Verdict("It is red.", 0, 10)


def test_documents_without_an_index_are_read_in_the_same_way(reader, tmp_path, score) -> None:
    texts = [{"name": "a", "text": TEXT}, {"name": "b", "text": "A blue car."}]
    check(keras_qa.verify(ANSWER, texts, QUESTION, reader), True, score)
    for text in texts:
        (tmp_path / text["name"]).with_suffix(".txt").write_text(text["text"])
    found = keras_qa.verify(ANSWER, tmp_path, QUESTION, reader)
    assert [one.document for one in found] == ["a.txt", "a.txt", None, "a.txt"]


@pytest.mark.parametrize(
    ("no_answer_threshold", "threshold", "is_accepted"),
    [(1.0, 0.5, True), (0.0, 0.5, False), (1.0, 1.0, False)],
)
def test_a_reader_of_texts_without_an_answer(
    reader, index, monkeypatch, no_answer_threshold, threshold, is_accepted
) -> None:
    own = reader.model_.preprocessor
    decoder = dataclasses.replace(
        own.decoder, no_answer=True, no_answer_threshold=no_answer_threshold
    )
    changed = SpanPreprocessor(own.vectorizer, decoder)
    monkeypatch.setattr(reader.model_, "preprocessor", changed)
    score = reader.ask(index, QUESTION).score
    found = keras_qa.verify(ANSWER, index, QUESTION, reader, threshold)
    check(found, is_accepted, score)


def test_a_threshold_fitted_on_validation_data(reader, index, score, monkeypatch) -> None:
    own = reader.model_.preprocessor
    changed = SpanPreprocessor(own.vectorizer, own.decoder)
    monkeypatch.setattr(reader.model_, "preprocessor", changed)
    examples = [
        {"text": "", "question": QUESTION, "answers": [answer]}
        for answer in ["red"] * 8 + ["blue"] * 3
    ]
    fitted = reader.calibrate(index, examples, no_answer=False)
    calibrated = reader.ask(index, QUESTION).score
    assert calibrated != score
    check(keras_qa.verify(ANSWER, index, QUESTION, reader, fitted.threshold(0.4)), True, calibrated)
    with pytest.raises(ValueError, match="`min_precision` is 0.9, but the questions of"):
        fitted.threshold(0.9)


@pytest.mark.parametrize(
    ("reader", "kind", "message"),
    [
        (
            5,
            TypeError,
            "`reader` must be a `QuestionAnswerer`, a classifier of tokens, or the name",
        ),
        ("none", FileNotFoundError, "There is no file `none`, and no preset of that name."),
        (QuestionAnswerer(), ValueError, "This answerer is not fitted."),
    ],
)
def test_readers_that_cannot_verify(reader, kind: type, message: str) -> None:
    with pytest.raises(kind, match=re.escape(message)):
        keras_qa.verify(ANSWER, [TEXT], QUESTION, reader)


def test_a_reader_of_spans_needs_a_question(reader) -> None:
    with pytest.raises(ValueError, match="A `reader` that marks spans needs a question. Pass `que"):
        keras_qa.verify(ANSWER, [TEXT], reader=reader)


def test_a_classifier_cannot_verify(classifier) -> None:
    before = classifier.model_.get_weights()
    with pytest.raises(ValueError, match="Only span readers answer from documents, but "):
        keras_qa.verify(ANSWER, [TEXT], QUESTION, classifier)
    assert same_weights(classifier.model_, before)
