"""What a question asks for, and which of its words stand near an answer."""

from __future__ import annotations

import math

import pytest

from keras_qa.answering.answer_features import (
    QuestionWords,
    asks_for_other_kind,
    is_section,
)
from keras_qa.documents import Passage


@pytest.mark.parametrize(
    ("question", "fitting", "other"),
    [
        ("How many days do I have?", ["15 days", "fifteen", "twice"], ["the days", ""]),
        ("How long is the warranty?", ["2 years", "a hundred days"], ["the warranty"]),
        ("What is the maximum size?", ["4 GB"], ["large"]),
        ("What page size is used?", ["4096"], ["small"]),
        ("Which Python version is needed?", ["3.11"], ["the newest"]),
        ("When was it built?", ["1932", "in March", "Sept", "Friday"], ["long ago", "Rome"]),
        ("When does it close?", ["Dec 5"], ["the market", "decide first", "a separate octave"]),
        ("What year was it?", ["1932"], ["the last"]),
        # The first kind that is asked for counts: a number, not a place.
        ("How far is it from where we are?", ["3 km"], ["Rome"]),
        ("What is the e-mail address?", ["a@b", "www.a.org"], ["the office", "version 3"]),
        ("Which link is it?", ["https://a", "a.org/b"], ["here"]),
        ("Who wrote it?", ["Ann", ""], ["Ann in 1843", "7"]),
        ("Where is it?", ["Rome", "Room 5"], ["5", "6.9.3"]),
        # Nothing in particular, or another language.
        ("Why is it red?", ["5", "red", ""], []),
        ("Wie viele Tage?", ["die Tage", "5"], []),
        ("Somewhere or whenever?", ["5", "red"], []),
    ],
)
def test_kinds_of_answers(question: str, fitting: list[str], other: list[str]) -> None:
    for form in (question, question.upper()):
        assert [asks_for_other_kind(form, text) for text in fitting] == [False] * len(fitting)
        assert [asks_for_other_kind(form, text) for text in other] == [True] * len(other)


@pytest.mark.parametrize(
    "text",
    [
        "see section «6.9.3» for",
        "page «249»",
        "TABLE «2.1»",
        "A.\n«6.9.3» Time",
        "## «6.9.3.» Time",
    ],
)
def test_numbers_of_sections(text: str) -> None:
    assert is_section(*marked(text))


@pytest.mark.parametrize(
    "text",
    [
        "«249»",
        "«3» pages",
        "A.\n«3» days",
        "version «6.9.3»",
        "«page» 3",
        "«6.9.3»",
        "is «6.9.3» a",
    ],
)
def test_other_numbers(text: str) -> None:
    assert not is_section(*marked(text))


def marked(text: str) -> tuple[str, int, int]:
    """Returns a text without its marks, and where they stand."""
    start = text.index("«")
    return text.replace("«", "").replace("»", ""), start, text.index("»") - 1


def test_an_answer_without_a_place_is_no_number_of_a_section() -> None:
    assert not is_section("yes", -1, -1)


PASSAGES = [
    Passage("lamp.txt", "The lamp in Oslo has a warranty of two years.", 1.0, heading="Warranties"),
    Passage("desk.txt", "The desk has none.", 1.0, heading="Lamps > Desk"),
]
QUESTION = "How long is the warranty of Lamps in Bergen?"


def weight(count: int, passages: int = 2) -> float:
    """The weight of a word that so many passages contain."""
    return math.log((passages + 1) / (count + 0.5))


# By their first five letters. "how", "long", "is" and "berge" are in no passage.
WEIGHTS = {
    **dict.fromkeys(("how", "long", "is", "berge"), weight(0)),
    **dict.fromkeys(("warra", "of", "in"), weight(1)),
    "lamps": weight(1),
    "the": weight(2),
}


def share(*words: str) -> float:
    return pytest.approx(sum(WEIGHTS[word] for word in words) / sum(WEIGHTS.values()))


def test_shares_of_words_by_hand() -> None:
    words = QuestionWords(QUESTION, PASSAGES)
    # "lamps" is not "lamp", but in the second heading.
    assert words.in_heading(0) == share("warra")
    assert words.in_heading(1) == share("lamps")
    # Names are "Lamps" and "Bergen": not the first word.
    assert words.missing(0) == 1.0
    assert words.missing(1) == 0.5
    assert words.absent()
    # The name of a document is a heading, too.
    assert QuestionWords("lamp.txt", PASSAGES).in_heading(0) == pytest.approx(1.0)
    known = QuestionWords("Where are Lamps in Oslo?", PASSAGES)
    assert [known.missing(number) for number in range(2)] == [0.5, 0.5]
    assert not known.absent()


def test_whole_words_of_an_answer_are_a_title() -> None:
    words = QuestionWords(QUESTION, PASSAGES)
    assert words.is_title("the Desk", 1)
    assert words.is_title("desk.txt", 1)
    assert not words.is_title("Desk", 0)
    assert not words.is_title("Lamp", 1)


@pytest.mark.parametrize("question", ["", "?", "When?"])
def test_questions_without_names(question: str) -> None:
    for passages in (PASSAGES, PASSAGES[:1]):
        words = QuestionWords(question, passages)
        assert (words.in_heading(0), words.missing(0)) == (0.0, 0.0)
        assert not words.absent()
    QuestionWords(question, [])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("warranty", True),
        ("the Lamps", True),
        # By the first five letters.
        ("warranties of lampshades", True),
        ("warranty of two years", False),
        # Words of three letters or fewer do not count.
        ("a lamp", False),
        ("the", False),
        ("", False),
    ],
)
def test_answers_that_repeat_the_question(answer: str, expected: bool) -> None:
    assert QuestionWords(QUESTION, PASSAGES).has_all(answer) is expected
