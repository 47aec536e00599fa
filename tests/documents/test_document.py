"""Retrievers other than an index, and checks of what they return."""

import numpy as np
import pytest

from keras_qa.documents import Passage
from keras_qa.documents.document import retrieve


class FakeRetriever:
    """Returns what it was made with, and records its calls."""

    def __init__(self, found: object) -> None:
        self.found = found
        self.asked: list = []

    def search(self, questions, k):
        self.asked.append((questions, k))
        return self.found


A, B = Passage("a", "Ann left.", 2.0), Passage("b", "Bob\nstayed.", 1)


def test_a_hit_of_three_fields_is_the_whole_document() -> None:
    assert (B.start, B.end, B.heading, B.line, B.page, B.pages) == (0, 11, "", 1, None, ())
    assert B.locate(4) == (2, None)
    assert Passage("b", "stayed.", 1.0, start=4).end == 11
    assert Passage("b", "stayed.", np.float32(1.0), 4, 9).end == 9
    assert Passage("b", "", 1.0, 4).end == 4


def test_fields_of_hits_are_checked() -> None:
    for values, message in (
        ((3, "text", 1.0), "`document` of a passage must be a string. Received: 3 (of type int)."),
        (
            ("a", None, 1.0),
            "`text` of a passage must be a string. Received: None (of type NoneType).",
        ),
        (("a", "text", "1"), "`score` of a passage must be a number. Received: '1' (of type str)."),
    ):
        with pytest.raises(TypeError) as caught:
            Passage(*values)
        assert str(caught.value) == message


def test_results_are_returned_unchanged() -> None:
    for found in ([[A, B], []], ((A,), (B, A)), [(), [A]]):
        retriever = FakeRetriever(found)
        assert retrieve(retriever, ["one", "two"], 2) is found
        assert retriever.asked == [(["one", "two"], 2)]


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        (None, TypeError, ", in a list. Received: None."),
        (iter([[A], [B]]), TypeError, ", in a list. Received: <list_iterator"),
        # The passages of one question, not in a list.
        ([A, B], TypeError, ", in a list. Received: [Passage(document='a', text='Ann left.'"),
        ([[A], None], TypeError, ", in a list. Received: [[Passage("),
        ([[A], [A, "Bob"]], TypeError, ". Received one of type str."),
        ([[A], [B], [A]], ValueError, ". Received for 2 questions lists of [1, 1, 1] passages."),
        ([[A], [A, B, A]], ValueError, ". Received for 2 questions lists of [1, 3] passages."),
    ],
)
def test_wrong_results_raise(found, error, message) -> None:
    with pytest.raises(error) as caught:
        retrieve(FakeRetriever(found), ["one", "two"], 2)
    expected = (
        "`search` of the FakeRetriever must return a list of at most 2 `Passage` objects for each "
        "question"
    )
    assert str(caught.value).startswith(expected + message)
    assert "\n" not in str(caught.value)


def test_objects_without_search_raise() -> None:
    with pytest.raises(TypeError) as caught:
        retrieve("handbook.index", ["one"], 2)
    assert str(caught.value) == (
        "`index` must be a `documents.Index`, or have a method `search(questions, k)`. Received: "
        "'handbook.index' (of type str)."
    )
