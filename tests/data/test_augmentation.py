"""`interchangeable_words` and `swap_words`."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_qa import Example
from keras_qa.data import babi
from keras_qa.data.augmentation import interchangeable_words, swap_words

NAMES, PLACES = ("Mary", "John", "Ann"), ("kitchen", "garden", "attic")
# Every name is at every place equally often, in two contexts each.
MOVES = [
    Example(
        f"{name} went to the {place}. {other} moved to the {elsewhere}.",
        f"Where is {name}?",
        place,
        choices=PLACES,
        supporting_facts=(0,),
        id=f"{name} {place}",
    )
    for name, other in itertools.permutations(NAMES, 2)
    for place, elsewhere in itertools.permutations(PLACES, 2)
]


def test_words_with_the_same_contexts_are_found() -> None:
    groups = [["ann", "john", "mary"], ["attic", "garden", "kitchen"]]
    assert interchangeable_words(MOVES) == groups
    # "went" and "moved" share contexts, but no question or answer contains them.
    assert interchangeable_words([Example(m.text.split(".")[0], "Who?", "he") for m in MOVES]) == []


def test_words_with_different_contexts_are_separate() -> None:
    # Hungry people go to the kitchen: exchanging places alone would make this false.
    why = {"kitchen": "hungry", "garden": "bored", "attic": "tired"}
    told = [
        Example(f"{name} is {why[place]}. {name} went to the {place}.", question, answer)
        for name in NAMES
        for place in PLACES
        for question, answer in (
            (f"Where is {name}?", place),
            (f"Why did {name} go to the {place}?", why[place]),
        )
    ]
    assert interchangeable_words(told * 12) == [["ann", "john", "mary"]]
    # Rare words are not interchangeable.
    rare = [Example("Mary went home.", "Where is Mary?", "home"), *MOVES]
    assert interchangeable_words(rare) == interchangeable_words(MOVES)


@pytest.mark.parametrize(("always", "groups"), [(True, [["ann", "john", "mary"]]), (False, [])])
def test_names_change_places_though_no_question_has_them(always: bool, groups) -> None:
    told = [
        Example(f"{name} {what} the milk. Page {page}.", "What is it?", "milk")
        for name in NAMES
        for what in ("took", "dropped")
        for page in range(10)
    ]
    if not always:
        told += [Example(f"So {name.lower()} left.", "Who?", "nobody") for name in NAMES]
    assert interchangeable_words(told) == groups


def test_groups_of_babi() -> None:
    groups = {task: interchangeable_words(babi.simulate(task, 900, 0)) for task in (1, 2, 6)}
    people = ["daniel", "john", "mary", "sandra"]
    places = ["bathroom", "bedroom", "garden", "hallway", "kitchen", "office"]
    things = ["apple", "football", "milk"]
    assert groups == {1: [places, people], 2: [things, places, people], 6: [places, people]}


@given(seed=st.integers(0, 10_000), lists=st.booleans())
def test_copies_permute_the_words_of_each_group(seed: int, lists: bool) -> None:
    data = MOVES
    if lists:
        data = [Example(m.text.split(". "), m.question, m.answers, id=m.id) for m in MOVES]
    copies = swap_words(data, 2, seed)
    assert copies == swap_words(data, 2, seed)
    assert len(copies) == 2 * len(data)
    for one, other in zip(data * 2, copies, strict=True):
        exchange: dict[str, str] = {}
        parts = [
            (one.plain_text, other.plain_text),
            (one.question, other.question),
            *zip(one.answers, other.answers, strict=True),
            *zip(one.choices, other.choices, strict=True),
        ]
        for before, after in parts:
            # Characters between words do not change.
            assert re.split(r"\w+", before) == re.split(r"\w+", after)
            for word, new in zip(
                re.findall(r"\w+", before), re.findall(r"\w+", after), strict=True
            ):
                assert exchange.setdefault(word, new) == new
        for group in (NAMES, PLACES):
            used = [exchange[word] for word in group if word in exchange]
            assert len(set(used)) == len(used)
            assert set(used) <= set(group)
        fixed = {"went", "moved", "to", "the", "Where", "is"} & exchange.keys()
        assert all(exchange[word] == word for word in fixed)
        assert (one.supporting_facts, one.id) == (other.supporting_facts, other.id)
        assert isinstance(other.text, list) == lists


def test_all_permutations_are_drawn() -> None:
    found = {item.question for item in swap_words(MOVES, 20, seed=1)[:: len(MOVES)]}
    assert found == {f"Where is {name}?" for name in NAMES}


def test_examples_without_interchangeable_words_have_no_copies() -> None:
    assert swap_words([Example("The sky is blue.", "Which colour is it?", "blue")], 5) == []
    assert swap_words([], 5) == []
    assert swap_words(MOVES, 0) == []


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="`copies` must be a non-negative integer. .*: copies=-1"):
        swap_words(MOVES, -1)
    span = Example("He went home.", "Where?", "home", 8)
    message = "`examples` must have no `answer_start`: .*Received one at position 1"
    with pytest.raises(ValueError, match=message):
        swap_words([MOVES[0], span], 1)
    with pytest.raises(TypeError, match="must hold `Example` objects"):
        interchangeable_words(["text"])
