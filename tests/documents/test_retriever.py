"""Retrievers other than an index, and checks of what they return."""

import numpy as np
import pytest

from keras_qa.documents import Document, Hit, Index
from keras_qa.documents.retriever import retrieve


class FakeRetriever:
    """Returns what it was made with, and records its calls."""

    def __init__(self, found: object) -> None:
        self.found = found
        self.asked: list = []

    def search(self, questions, k):
        self.asked.append((questions, k))
        return self.found


A, B = Hit("a", "Ann left.", 2.0), Hit("b", "Bob\nstayed.", 1)


def test_a_hit_of_three_fields_is_the_whole_document() -> None:
    assert (B.start, B.end, B.heading, B.line, B.page, B.pages) == (0, 11, "", 1, None, ())
    assert B.place(4) == (2, None)
    assert Hit("b", "stayed.", 1.0, start=4).end == 11
    assert Hit("b", "stayed.", np.float32(1.0), 4, 9).end == 9
    assert Hit("b", "", 1.0, 4).end == 4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((3, "text", 1.0), "`document` of a hit must be a string. Received: 3 (of type int)."),
        (("a", None, 1.0), "`text` of a hit must be a string. Received: None (of type NoneType)."),
        (("a", "text", "1"), "`score` of a hit must be a number. Received: '1' (of type str)."),
    ],
)
def test_fields_of_hits_are_checked(values, message) -> None:
    with pytest.raises(TypeError) as caught:
        Hit(*values)
    assert str(caught.value) == message


def test_results_are_returned_unchanged(tmp_path) -> None:
    for found in ([[A, B], []], ((A,), (B, A)), [(), [A]]):
        retriever = FakeRetriever(found)
        assert retrieve(retriever, ["one", "two"], 2) is found
        assert retriever.asked == [(["one", "two"], 2)]
    with Index.create(tmp_path / "a.index") as index:
        index.add([Document("a", "Ann left."), Document("b", "Bob stayed.")])
        assert [
            [hit.document for hit in hits] for hits in retrieve(index, ["Bob?", "Ann?"], 1)
        ] == [
            ["b"],
            ["a"],
        ]


@pytest.mark.parametrize(
    ("found", "error", "message"),
    [
        (None, TypeError, " question, in a list. Received: None."),
        ({"one": [A]}, TypeError, " question, in a list. Received: {'one': [Hit("),
        (iter([[A], [B]]), TypeError, " question, in a list. Received: <list_iterator"),
        # The hits of one question, not in a list.
        ([A], ValueError, " question. Received: 1 for 2."),
        ([[A], [B], [A]], ValueError, " question. Received: 3 for 2."),
        ([A, B], TypeError, " question. Received for 'one': Hit(document='a', text='Ann left.'"),
        ([[A], None], TypeError, " question. Received for 'two': None."),
        ([[A], [A, B, A]], ValueError, " question, at most 2. Received: 3."),
        (
            [[A], [A, "Bob stayed."]],
            TypeError,
            " question. Received for 'two' one of type str. Make it a `documents.Hit`.",
        ),
    ],
)
def test_wrong_results_raise(found, error, message) -> None:
    with pytest.raises(error) as caught:
        retrieve(FakeRetriever(found), ["one", "two"], 2)
    said = "`search` of the FakeRetriever must return a list of `Hit` objects for each"
    assert str(caught.value).startswith(said + message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["handbook.index", None, {"a": "Ann left."}])
def test_objects_without_search_raise(value) -> None:
    with pytest.raises(TypeError) as caught:
        retrieve(value, ["one"], 2)
    assert str(caught.value) == (
        "`index` must be a `documents.Index`, or have a method `search(questions, k)`. Received: "
        f"{value!r} (of type {type(value).__name__})."
    )
