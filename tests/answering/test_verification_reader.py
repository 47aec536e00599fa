"""`verify` with a question, whose answer a reader finds in the documents, and its threshold."""

import re

import pytest
from small_models import same_weights

import keras_qa
from keras_qa import QuestionAnswerer
from keras_qa.answering import Verdict, verification
from keras_qa.documents import Index

# The reader was trained without such texts.
pytestmark = pytest.mark.filterwarnings("ignore:This reader was not trained on texts without an")

TEXT, QUESTION = "the door is red.", "What colour is the door?"
ANSWER = "They say RED. They say reddish. the door is red."


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    with Index.create(tmp_path_factory.mktemp("verified") / "a.index", language="en") as made:
        made.add([{"name": "a", "text": TEXT}, {"name": "b", "text": "A blue car."}])
        yield made


def test_sentences_with_the_answer_of_the_reader(reader, index) -> None:
    before = reader.model_.get_weights()
    score = reader.ask(index, QUESTION, no_answer=False).score
    assert 0.5 < score < 1
    for threshold, is_accepted in ((0.5, True), (score, True), (score + 1e-6, False)):
        found = keras_qa.verify(ANSWER, index, QUESTION, reader, threshold)
        read = Verdict(ANSWER[:13], 0, 13, "supported", score, "a", 12, 15, 1, 1)
        assert (found[0] == read) is is_accepted
        assert found[0].supported is is_accepted
        assert [one.outcome for one in found[1:]] == ["not found", "supported"]
        assert (found[2].score, found[2].document_start, found[2].document_end) == (1.0, 0, 15)
    assert same_weights(reader.model_, before)
    # Without a document about the question there is nothing to read.
    (verdict,) = keras_qa.verify("It is red.", ["A blue car."], "Zebra?", reader)
    assert verdict == Verdict("It is red.", 0, 10)


def test_documents_without_an_index_are_read_in_the_same_way(reader, index, tmp_path) -> None:
    expected = keras_qa.verify(ANSWER, index, QUESTION, reader)
    texts = [{"name": "a", "text": TEXT}, {"name": "b", "text": "A blue car."}]
    assert keras_qa.verify(ANSWER, texts, QUESTION, reader) == expected
    for text in texts:
        (tmp_path / text["name"]).with_suffix(".txt").write_text(text["text"])
    found = keras_qa.verify(ANSWER, tmp_path, QUESTION, reader)
    assert [one.document for one in found] == ["a.txt", None, "a.txt"]


HANDBOOK = (
    "Staff may carry 240 hours of annual leave into the next year. Requests are answered by the "
    "People Team within five working days.\n\nThe lamp in the hall was made by Ann in Berlin in "
    "1990, and it is cleaned each week."
)


def test_the_default_models_read_each_fact(monkeypatch) -> None:
    answer = (
        "At most 240 hours of annual leave are carried over to the next year. "
        "The People Team answers requests within ten working days. "
        "Ann made the lamp in 1990. The lamp was made in 1995. Ann made it in Paris. "
        "Visitors get free coffee on Fridays."
    )
    found = keras_qa.verify(answer, [HANDBOOK])
    outcomes = [(one.outcome, one.instead) for one in found]
    assert outcomes == [
        ("supported", None),
        ("contradicted", "five"),
        ("supported", None),
        ("contradicted", "1990"),
        # The reader is not sure of "Berlin".
        ("contradicted", HANDBOOK),
        ("not found", None),
    ]
    for verdict, line in zip(found[:-1], (1, 1, 3, 3, 3), strict=True):
        assert verdict.line <= line <= verdict.end_line
    # The second call has the models of the first one.
    monkeypatch.setattr(verification, "load", None)
    assert keras_qa.verify(answer, [HANDBOOK]) == found


@pytest.mark.parametrize(
    ("reader", "kind", "message"),
    [
        (
            5,
            TypeError,
            "`reader` must be a `QuestionAnswerer`, a classifier of tokens, the name of",
        ),
        ("none", FileNotFoundError, "There is no file `none`, and no preset of that name."),
        (QuestionAnswerer(), ValueError, "This answerer is not fitted."),
    ],
)
def test_readers_that_cannot_verify(reader, kind: type, message: str) -> None:
    with pytest.raises(kind, match=re.escape(message)):
        keras_qa.verify(ANSWER, [TEXT], QUESTION, reader)


@pytest.mark.parametrize("name", ["ranker", "checker"])
def test_rankers_that_cannot_verify(reader, name: str) -> None:
    message = f"`{name}` must be a `Reranker` or its name. Received: {name}=5."
    with pytest.raises(TypeError, match=re.escape(message)):
        keras_qa.verify("Ann left.", ["Ann left."], reader=reader, **{name: 5})


def test_a_classifier_cannot_verify(classifier) -> None:
    before = classifier.model_.get_weights()
    with pytest.raises(ValueError, match="Only span readers answer from documents, but "):
        keras_qa.verify(ANSWER, [TEXT], QUESTION, classifier)
    assert same_weights(classifier.model_, before)
