"""Evidence of claims, and the questions about their numbers and names. It needs no backend."""

import functools
import json
import pathlib

import pytest

from keras_qa.answering import claim_checker
from keras_qa.answering.claim_features import find_evidence, has_conflict, make_questions
from keras_qa.documents import Passage
from keras_qa.documents.facts import find_facts
from keras_qa.documents.full_text import FullTextTokenizer

TOKENIZER = FullTextTokenizer("en")


@pytest.mark.parametrize(
    ("claim", "questions"),
    [
        ("Requests take five working days.", ["Requests take how many working days?"]),
        ("It opened in March 2014.", ["It opened in March what year?", "It opened in what 2014?"]),
        ("It grew by 12 percent!", ["It grew by what percentage?"]),
        ("12 % like it.", ["What percentage like it?"]),
        (
            "The Bank of England is in New York.",
            ["The what is in New York?", "The Bank of England is in what?"],
        ),
        ("One of them is red.", []),
    ],
)
def test_a_question_for_each_number_and_name(claim: str, questions: list[str]) -> None:
    made = make_questions(claim, find_facts(claim, TOKENIZER))
    assert [question.text for question in made] == questions


@pytest.mark.parametrize(
    ("claim", "answer", "is_same"),
    [
        ("It takes five days.", "5 working days", True),
        ("It takes five days.", "6 days", False),
        ("It takes five days.", "some days", False),
        ("It was made by Ann Lee.", "Ann", True),
        ("It was made by Ann.", "Dr Ann Lee", True),
        ("It was made by Ann Lee.", "Bob Lee", False),
        ("It was made by Ann Lee.", "", False),
    ],
)
def test_answers_are_compared_with_the_claim(claim: str, answer: str, is_same: bool) -> None:
    (question,) = make_questions(claim, find_facts(claim, TOKENIZER))
    assert question.is_answered_by(find_facts(answer, TOKENIZER)) is is_same


@pytest.mark.parametrize(
    ("claim", "evidence", "answer", "expected"),
    [
        ("Each code has four digits.", "A code has six digits.", "six", True),
        # Another unit, another number of the same unit, or other words around it.
        ("Each code has four digits.", "A code lives six minutes.", "six", False),
        ("Each code has four digits.", "A code has 6 to 12 digits.", "12", False),
        ("Each code has four digits.", "Phone numbers: six digits.", "six", False),
        ("The lamp was made in 1990.", "The lamp was made in May 1995.", "May 1995", True),
        ("The lamp was made in 1990.", "The lamp was made in 503 hours.", "503", False),
        ("The lamp was made in Oslo.", "The lamp was made in Berlin.", "Berlin", True),
        ("The lamp was made in Oslo.", "The lamp was made in one day.", "one day", False),
    ],
)
def test_a_correction_stands_in_the_role_of_the_fact(
    claim: str, evidence: str, answer: str, expected: bool
) -> None:
    claimed, found, read = (find_facts(text, TOKENIZER) for text in (claim, evidence, answer))
    question = make_questions(claim, claimed)[-1]
    assert question.is_corrected_by(read, claimed, found) is expected


def test_the_window_with_the_words_and_numbers_of_the_claim_is_first() -> None:
    text = "Rain falls. The desk costs 90 euros. The lamp costs 70 euros and is red. Ann left."
    passages = [Passage("a.txt", text, 2.0), Passage("b.txt", "Euros are money.", 1.0)]
    claim = find_facts("The lamp in Paris costs 80 euros.", TOKENIZER)
    find = functools.partial(find_facts, tokenizer=TOKENIZER)
    first, *others = find_evidence(claim, claim.stems, passages, find)
    assert first.text == "The lamp costs 70 euros and is red."
    # Of the stems lamp, pari, cost and euro one is missing, which is less than the limit.
    assert first.features == {"names": 1.0, "numbers": 1.0, "unrelated": 0.0}
    assert has_conflict(claim, first)
    assert not has_conflict(find_facts("The lamp costs 70 euros.", TOKENIZER), first)
    assert all(first.distance <= other.distance for other in others)
    far = next(other for other in others if other.passage.document == "b.txt")
    assert far.features["unrelated"] == pytest.approx(0.75 - 0.4)
    assert find_evidence(claim, claim.stems, [], find) == []


def test_weights_have_the_sign_of_their_feature() -> None:
    path = pathlib.Path(claim_checker.__file__).with_name("claim_weights.json")
    for kind in json.loads(path.read_text()).values():
        signs = [
            1 if name.endswith("_read") or name == "support" else -1 for name in kind["features"]
        ]
        assert all(weight * sign >= 0 for weight, sign in zip(kind["weights"], signs, strict=True))
