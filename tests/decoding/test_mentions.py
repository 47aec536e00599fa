"""`top_k` and `find_mention`."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_qa.decoding import find_mention, top_k


def test_best_come_first_and_ties_by_position() -> None:
    assert top_k(np.array([[0.1, 0.5, 0.1, 0.3], [0.25] * 4]), 3).tolist() == [[1, 3, 0], [0, 1, 2]]
    assert top_k(np.array([[0.4, 0.6]]), 5).tolist() == [[1, 0]]
    with pytest.raises(ValueError, match="`k` must be a positive integer. Received: k=0"):
        top_k(np.array([[1.0]]), 0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.integers(1, 10))
def test_best_are_what_sorting_gives(scores: list[float], k: int) -> None:
    expected = sorted(range(len(scores)), key=lambda place: (-scores[place], place))[:k]
    assert top_k(np.array([scores]), k)[0].tolist() == expected


@pytest.mark.parametrize(
    ("text", "answer", "span"),
    [
        ("Mary moved to the bathroom. John went to the hallway.", "bathroom", (18, 26)),
        ("in the garden, then the Garden.", "garden", (24, 30)),
        ("bathrooms", "bathroom", None),
        ("c++ and c", "c++", (0, 3)),
        ("घर में", "घर", (0, 2)),
        ("", "x", None),
        ("text", "", None),
        ("text", " ", None),
    ],
)
def test_last_mention_as_whole_words(text: str, answer: str, span) -> None:
    assert find_mention(text, answer) == span


@settings(max_examples=300, deadline=None)
@given(st.text(), st.text(min_size=1))
def test_mentions_equal_the_answer(text: str, answer: str) -> None:
    span = find_mention(text, answer)
    if span is not None:
        assert text[span[0] : span[1]].casefold() == answer.casefold() or (
            text[span[0] : span[1]].lower() == answer.lower()
        )
