"""`add_unanswerable`: texts without the answer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_qa import Example
from keras_qa.datasets.unanswerable import add_unanswerable

NOTES = "Ada wrote the first notes on engines."
CHOIR = "The notes of the choir are lost, and so is whoever wrote them."
COPY = "Notes on engines were written by Ada, too."
RAIN = "It rains on the roof."
EXAMPLES = [
    Example(NOTES, "Who wrote notes on engines?", "Ada", 0, id="ada", document="a.txt"),
    Example(CHOIR, "What is lost?", "notes", 4, document="choir.txt"),
    Example(COPY, "Of what?", "engines", 9),
    Example(RAIN, "Where does it rain?", "on the roof", 9),
    Example(RAIN, "Who wrote it?"),
]


def test_the_most_similar_text_without_the_answer_is_used() -> None:
    data = add_unanswerable(EXAMPLES, share=1.0)
    assert data[:5] == EXAMPLES
    # Without a document. COPY is the best result, but it contains "Ada".
    assert data[5] == Example(CHOIR, "Who wrote notes on engines?", id="ada-unanswerable")
    # The next two questions share no word with another text; the last one has no answer.
    assert data[6:] == [Example(CHOIR, "Of what?")]


def test_the_share_is_drawn_by_seed() -> None:
    one = add_unanswerable(EXAMPLES, share=0.5, seed=1)
    assert len(one) <= 5 + 2
    assert add_unanswerable(EXAMPLES, share=0.5, seed=1) == one
    assert add_unanswerable(EXAMPLES, share=0.0) == EXAMPLES
    assert add_unanswerable([], share=1.0) == []
    drawn = {
        item.question
        for seed in range(20)
        for item in add_unanswerable(EXAMPLES, share=0.25, seed=seed)[5:]
    }
    assert len(drawn) > 1


@given(question=st.text(max_size=30))
@settings(deadline=None)
def test_words_of_a_question_are_never_operators(question: str) -> None:
    data = add_unanswerable([Example(NOTES, question, "Ada", 0), *EXAMPLES[1:]], share=1.0)
    assert all(item.text != NOTES for item in data[5:] if item.question == question)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_share_out_of_range(share: float) -> None:
    with pytest.raises(ValueError, match=r"^`share` must be between 0 and 1\. Received: share="):
        add_unanswerable(EXAMPLES, share=share)
