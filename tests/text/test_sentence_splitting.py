"""Sentences: their offsets, their ids, supporting facts as labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_qa import Example
from keras_qa.text import Vectorizer
from keras_qa.text.sentence_splitting import sentence_spans

STORIES = [
    Example("Mary went home. John slept.", "Where is Mary?", "home", supporting_facts=0),
    Example(["Mary got milk", "", "She left."], "What?", "milk", supporting_facts=(0, 2)),
    Example("", "Where?", "home"),
]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Mary went home. John slept!", ["Mary went home.", "John slept!"]),
        ("Mary went home\nJohn slept", ["Mary went home", "John slept"]),
        ("one\r\n\r\n two ", ["one", "two"]),
        ("It is 3.5 km. Is it?!", ["It is 3.5 km.", "Is it?!"]),
        ("In 1990. 2 came.", ["In 1990.", "2 came."]),
        ('"Go!" she said (twice.) Well...', ['"Go!"', "she said (twice.)", "Well..."]),
        ("No.Space?here", ["No.", "Space?", "here"]),
        (
            "See Cargo.toml. It is e.g. on crates.io.",
            ["See Cargo.toml.", "It is e.g.", "on crates.io."],
        ),
        ("... ? \n!", []),
        ("", []),
        ("门是红色的。什么颜色？", ["门是红色的。", "什么颜色？"]),
        ("वह घर गई। कब?", ["वह घर गई।", "कब?"]),
        (["Mary went. home", "", "by bus"], ["Mary went. home", "", "by bus"]),
    ],
)
def test_sentences_of_a_string_or_a_list(text: str | list[str], sentences: list[str]) -> None:
    whole = text if isinstance(text, str) else "\n".join(text)
    assert [whole[start:end] for start, end in sentence_spans(text)] == sentences


@given(st.text(st.sampled_from("ab3 .?!\n\"'。") | st.characters(), max_size=60))
def test_every_word_is_in_one_sentence(text: str) -> None:
    spans = sentence_spans(text)
    covered = [place for start, end in spans for place in range(start, end)]
    assert covered == sorted(set(covered))
    assert all(text[start:end].strip() == text[start:end] != "" for start, end in spans)
    words = {place for place, letter in enumerate(text) if letter.isalnum()}
    assert words <= set(covered)


def test_ids_are_those_of_each_sentence() -> None:
    vectorizer = Vectorizer(sentences=True).adapt(STORIES)
    feed = vectorizer(STORIES)
    assert feed["text"].shape == (3, 3, 4)
    assert feed["text"].dtype == "int32"
    expected = vectorizer.ids(["Mary went home.", "John slept.", "Mary got milk", "", "She left."])
    np.testing.assert_array_equal(feed["text"][0, :2], expected[:2])
    np.testing.assert_array_equal(feed["text"][1], expected[2:])
    assert not feed["text"][0, 2].any()
    assert not feed["text"][2].any()
    np.testing.assert_array_equal(
        feed["question"], Vectorizer().adapt(STORIES)(STORIES)["question"]
    )
    assert vectorizer([STORIES[2]])["text"].tolist() == [[[0]]]
    assert vectorizer([])["text"].shape == (0, 1, 1)


def test_supporting_facts_are_labels() -> None:
    vectorizer = Vectorizer(sentences=True).adapt(STORIES)
    labels = vectorizer.support(STORIES)
    assert labels.dtype == "float32"
    assert labels.tolist() == [[1, 0, 0], [1, 0, 1], [0, 0, 0]]


def test_bad_supporting_facts_raise() -> None:
    vectorizer = Vectorizer(sentences=True)
    bad = Example("One. Two.", "What?", "one", supporting_facts=2)
    with pytest.raises(ValueError, match="position 1 has the supporting fact 2.* has 2 sentences"):
        vectorizer.support([STORIES[0], bad])
    with pytest.raises(ValueError, match="At least one example must have `supporting_facts`"):
        vectorizer.support([STORIES[2]])
    with pytest.raises(ValueError, match="has no vocabulary"):
        vectorizer(STORIES)
