"""`add_unanswerable`: texts without the answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_qa import Example
from keras_qa.data.unanswerable import KINDS, add_unanswerable

NOTES = "Ada wrote the first notes on engines."
CHOIR = "The notes of the choir are lost, and so is whoever wrote them."
COPY = "Notes on engines were written by Ada, too."
RAIN = "It rains on the roof."
EXAMPLES = [
    Example(
        NOTES, "Who wrote notes on engines?", "Ada", 0, id="ada", document="a.txt", source="news"
    ),
    Example(CHOIR, "What is lost?", "notes", 4, document="choir.txt"),
    Example(COPY, "Of what?", "engines", 9),
    Example(RAIN, "Where does it rain?", "on the roof", 9),
    Example(RAIN, "Who wrote it?"),
]


def test_the_most_similar_text_without_the_answer_is_used() -> None:
    data = add_unanswerable(EXAMPLES, share=1.0)
    assert data[:5] == EXAMPLES
    # Without a document, with the source. COPY is the best result, but it contains "Ada".
    assert data[5] == Example(
        CHOIR, "Who wrote notes on engines?", id="ada-unanswerable", source="news"
    )
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


TEXT = (
    "Marie Curie won a Nobel Prize in 1903 with Pierre Curie. In 1911 she won another. "
    "She was born in Warsaw."
)


def test_the_sentences_that_contain_an_answer_are_removed() -> None:
    born = Example(TEXT, "Where was she born?", "Warsaw", 99, id="born")
    rest = TEXT.removesuffix(" She was born in Warsaw.")
    added = add_unanswerable([born], share=1.0, kinds=["removed"])[1:]
    assert added == [Example(rest, born.question, id="born-unanswerable")]
    # One sentence would be left.
    both = Example(TEXT, "Who won?", "won", 12)
    assert add_unanswerable([both], share=1.0, kinds=["removed"]) == [both]
    # The answer crosses the end of a sentence.
    across = Example(TEXT, "?", "Pierre Curie. In 1911", 43)
    assert add_unanswerable([across], share=1.0, kinds=["removed"]) == [across]


def test_another_name_or_number_of_the_text_is_asked_for() -> None:
    year = Example(TEXT, "What did she win in 1903?", "a Nobel Prize", 16)
    changed = add_unanswerable([year], share=1.0, kinds=["changed"])[1]
    assert changed == Example(TEXT, "What did she win in 1911?")
    name = Example(TEXT, "In which year did Pierre Curie win a Nobel Prize?", "1903", 33)
    found = {
        add_unanswerable([name], share=1.0, seed=seed, kinds=["changed"])[1].question
        for seed in range(20)
    }
    # "Marie Curie", "In" and "She" begin sentences. "1911" replaces no name.
    assert found == {
        "In which year did Warsaw win a Nobel Prize?",
        "In which year did Pierre Curie win a Warsaw?",
    }
    # The question has no name or number of the text.
    other = Example(TEXT, "Who was born in Paris?", "Marie Curie", 0)
    assert add_unanswerable([other], share=1.0, kinds=["changed"]) == [other]


def test_another_kind_replaces_one_that_a_question_does_not_allow() -> None:
    born = Example(TEXT, "Where was she born?", "Warsaw", 99)
    for seed in range(5):
        added = add_unanswerable([born], share=1.0, seed=seed, kinds=KINDS)[1:]
        assert [item.question for item in added] == [born.question]
        assert "Warsaw" not in added[0].text


@pytest.mark.parametrize("kinds", [[], ["rewritten"], "found"])
def test_unknown_kinds(kinds) -> None:
    with pytest.raises(ValueError, match=r"^`kinds` must be some of \['found', 'removed', "):
        add_unanswerable(EXAMPLES, kinds=kinds)


@given(question=st.text(max_size=30))
def test_words_of_a_question_are_never_operators(question: str) -> None:
    data = add_unanswerable(
        [Example(NOTES, question, "Ada", 0), *EXAMPLES[1:]], 1.0, kinds=["found"]
    )
    assert all(item.text != NOTES for item in data[5:] if item.question == question)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_share_out_of_range(share: float) -> None:
    with pytest.raises(ValueError, match=r"^`share` must be between 0 and 1\. Received: share="):
        add_unanswerable(EXAMPLES, share=share)
