"""The facts of texts: words, numbers, names and quotations, and windows of sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_qa.documents.facts import contains, find_facts, windows
from keras_qa.documents.full_text import FullTextTokenizer

TOKENIZER = FullTextTokenizer("en")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,000 1\u2019000.5 1,234,567 0.500", [1000, 1000.5, 1234567, 0.5]),
        ("two-day, twenty, ten thousand and half", [2, 20, 10, 1000, 0.5]),
        ("the 1st and the 22nd, the 1990s, in 2014.", [1, 22, 1990, 2014]),
        ("75% or 75 percent, 2010-2015", [75, 75, 2010, 2015]),
        ("H2O, F-16, v2, 3.10.2", [16, 3102]),
        ("\u4ed6\u57281990\u5e74", []),
        ("no number", []),
    ],
)
def test_numbers(text: str, values: list[float]) -> None:
    assert [number.value for number in find_facts(text, TOKENIZER).numbers] == values


@pytest.mark.parametrize(
    ("claim", "source", "agrees", "conflicts"),
    [
        ("within ten business days", "in 10 working days", True, False),
        ("within 10 business days", "in 5 working days", False, True),
        ("takes two bytes", "two values need 12 bytes", False, False),
        ("75% of the meetings", "75 percent of meetings", True, False),
        ("16 weeks of leave", "16 hours of leave", True, False),
        ("16 weeks", "16 hours", False, False),
        ("in 2014", "until 2014", True, False),
        ("1200 euros", "1,200 euros", True, False),
    ],
)
def test_numbers_are_compared_with_the_words_beside_them(
    claim: str, source: str, agrees: bool, conflicts: bool
) -> None:
    (first,) = find_facts(claim, TOKENIZER).numbers
    second, *_ = find_facts(source, TOKENIZER).numbers
    assert (first.agrees(second), first.conflicts(second)) == (agrees, conflicts)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The lamp is made by Ann in New York. It is red.", ["Ann", "New", "York"]),
        ("Nagios sends alerts. * Alerts are grouped: Mail.", []),
        ("Use a HashMap, an iPad or IPv6.", ["HashMap", "iPad", "IPv6"]),
    ],
)
def test_names(text: str, names: list[str]) -> None:
    found = find_facts(text, TOKENIZER).names.values()
    assert [text[start:end] for start, end in found] == names


def test_quotations_flags_and_identifiers() -> None:
    text = "They say \u201cno way,\u201d and set --max-size, my_file or os.path.join. An e-mail."
    expected = ("no way", "--max-size", "my_file", "os.path.join")
    assert find_facts(text, TOKENIZER).literals == expected


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("it GREW by", "It grew\n by"),
        ("It\u2019s", "It's"),
        ("grew 12", "grew 12"),
        ("rew", None),
        ("1", None),
        ("\u5317\u4eac", "\u5317\u4eac"),
        ("", None),
    ],
)
def test_parts_are_whole_words(part: str, found: str | None) -> None:
    text = "Now. It grew\n by grew 12 cm. It's \u5728\u5317\u4eac\u5b66."
    match = contains(text, part)
    assert (match and match[0]) == found


def test_windows_are_up_to_three_sentences_of_a_text() -> None:
    text = "Ann left. See crates.io for it.\nBob\nslept.\n\nIt rained."
    found = [text[start:end] for start, end in windows(text)]
    assert found == [
        "Ann left.",
        "Ann left. See crates.io for it.",
        "Ann left. See crates.io for it.\nBob\nslept.",
        "See crates.io for it.",
        "See crates.io for it.\nBob\nslept.",
        "See crates.io for it.\nBob\nslept.\n\nIt rained.",
        "Bob\nslept.",
        "Bob\nslept.\n\nIt rained.",
        "It rained.",
    ]
    long = "word " * 60 + ". " + "word " * 60 + "."
    assert len([*windows(long)]) == 2


@given(st.text(max_size=200))
def test_any_text_has_facts_and_windows(text: str) -> None:
    facts = find_facts(text, TOKENIZER)
    for number in facts.numbers:
        assert 0 <= number.start < number.end <= len(text)
    for start, end in windows(text):
        assert contains(text, text[start:end]) or not text[start:end].split()
