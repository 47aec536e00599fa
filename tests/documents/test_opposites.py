"""Claims that say the opposite of their evidence in the same words."""

import pytest

from keras_qa.documents.full_text import FullTextTokenizer
from keras_qa.documents.opposites import find_relations, has_opposite, is_reversed

TOKENIZER = FullTextTokenizer("en")


@pytest.mark.parametrize(
    ("claim", "evidence", "expected"),
    [
        ("The test comes before the release.", "The release comes before the test.", True),
        ("The test comes before the release.", "The test comes before the release.", False),
        ("The test comes before the release.", "The release follows after the test.", False),
        ("The test comes before the release.", "The test follows after the release.", True),
        ("The test comes before the release.", "After the test, the release is made.", False),
        ("The test comes before the release.", "After the release, the test is made.", True),
        ("Iron is heavier than wood.", "It rains. Wood is heavier than iron.", True),
        ("Iron is heavier than wood.", "Wood is light. It is heavier than water.", False),
        ("Ann moved into the red house.", "The red house was moved into by Ann.", True),
        ("The test comes before the release.", "The release comes before the party.", False),
        ("Ann left.", "Wood is heavier than iron.", False),
    ],
)
def test_reversed_relations(claim: str, evidence: str, expected: bool) -> None:
    assert is_reversed(claim, evidence, TOKENIZER) is expected


def test_sides_of_relations() -> None:
    (first, second) = find_relations("Ann left before Bob. Before noon, Bob slept.", TOKENIZER)
    assert (first.word, first.left, first.right) == ("before", {"ann", "left"}, {"bob"})
    assert (second.word, second.left, second.right) == ("before", {"bob", "slept"}, {"noon"})


@pytest.mark.parametrize(
    ("claim", "evidence", "expected"),
    [
        ("It has the lowest price.", "The price is the highest.", True),
        ("It has the lowest price.", "The price is the lowest, not the highest.", False),
        ("It has the lowest or highest price.", "The price is the highest.", False),
        ("Members are appointed.", "Members are elected by all.", True),
        ("It has a price.", "The price is the highest.", False),
    ],
)
def test_opposite_words(claim: str, evidence: str, expected: bool) -> None:
    assert has_opposite(claim, evidence, TOKENIZER) is expected
