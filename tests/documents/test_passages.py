"""Splitting of documents into passages."""

import re

from hypothesis import given
from hypothesis import strategies as st

from keras_qa.documents.passages import Part, passages
from keras_qa.documents.visible_text import Heading


def cut(text: str, **sizes: int) -> list[tuple[str, str]]:
    return [(text[part.start : part.end], part.heading) for part in passages(text, **sizes)]


def sentence(first: int, count: int) -> str:
    return " ".join(f"w{number}" for number in range(first, first + count)) + "."


def test_passages_are_whole_sentences_that_overlap() -> None:
    text = " ".join(sentence(at, 4) for at in (0, 4, 8, 12, 16, 20))
    found = [re.findall(r"w(\d+)", part) for part, _ in cut(text, length=12, overlap=4)]
    assert [(int(words[0]), int(words[-1])) for words in found] == [(0, 11), (8, 19), (16, 23)]
    # A short remainder is appended to the last passage.
    short = f"{text} {sentence(24, 2)}"
    assert cut(short, length=12, overlap=4)[-1][0].endswith("w24 w25.")
    assert len(cut(short, length=12, overlap=4)) == 3
    assert [part for part, _ in cut(text, length=12, overlap=0)] == [text[:40], text[41:]]


def test_given_headings_replace_those_of_the_text() -> None:
    text = "Title\n\nTitle\n\n# code\n\nEnd\n\nLast."
    parts = passages(text, headings=[Heading(0, 5, 0), Heading(7, 12, 1), Heading(22, 25, 2)])
    assert [(text[part.start : part.end], part.heading) for part in parts] == [
        ("Title\n\nTitle\n\n# code", "Title"),
        ("End\n\nLast.", "Title > End"),
    ]


def test_headings_are_kept_with_their_passages() -> None:
    text = (
        "Before.\n\n# Guide #\n\nWelcome.\n\n## Warranty\n### Length\nTwo years.\n\n"
        "```sh\n# no heading\n```\n\n## Returns\n"
    )
    assert cut(text) == [
        ("Before.", ""),
        ("# Guide #\n\nWelcome.", "Guide"),
        (
            "## Warranty\n### Length\nTwo years.\n\n```sh\n# no heading\n```",
            "Guide > Warranty > Length",
        ),
        ("## Returns", "Guide > Returns"),
    ]


def test_the_order_of_marks_is_the_level_of_underlined_headings() -> None:
    text = "=====\nGuide\n=====\n\nHello.\n\nOne\n---\nA.\n\nTwo\n---\nB.\n\nA long line\n---\n"
    found = cut(text)
    assert [heading for _, heading in found] == ["Guide", "Guide > One", "Guide > Two"]
    assert found[0][0] == "=====\nGuide\n=====\n\nHello."
    assert found[1][0] == "One\n---\nA."
    assert found[2][0].endswith("B.\n\nA long line\n---")


def test_long_sentences_are_split_at_lines_and_words() -> None:
    lines = "\n".join(f"- item {number} of a list" for number in range(9))
    assert all(part.startswith("- item") for part, _ in cut(lines, length=20, overlap=0))
    words = " ".join(f"w{number}" for number in range(100))
    found = [part.split() for part, _ in cut(words, length=20, overlap=4)]
    assert all(len(part) <= 25 for part in found)
    assert {word for part in found for word in part} == set(words.split())
    assert found[1][0] == "w16"


def test_scripts_without_spaces_are_split_by_characters() -> None:
    text = "これは長い文章です。" * 40
    found = list(passages(text))
    assert [len(text[part.start : part.end]) for part in found] == [240, 200]
    plain = "猫" * 1000
    assert max(len(part) for part, _ in cut(plain, length=50, overlap=0)) == 100


@given(
    st.lists(
        st.sampled_from(
            ["# a\n", "b\n---\n", "c d. ", "é!\n\n", "猫が好き。", "\r\n", "```\n", "x" * 9]
        )
        | st.text(st.characters(codec="utf-8"), max_size=8),
        max_size=40,
    ),
    st.integers(1, 12),
)
def test_every_letter_is_in_a_passage(parts: list[str], length: int) -> None:
    text = "".join(parts)
    found = list(passages(text, length, length // 3))
    covered = set()
    for one, other in zip([Part(0, 0), *found], found, strict=False):
        assert one.start <= other.start < other.end <= len(text)
    for part in found:
        assert text[part.start : part.end].strip()
        covered.update(range(part.start, part.end))
    assert all(at in covered for at, letter in enumerate(text) if letter.isalnum())


def test_long_texts_take_linear_time() -> None:
    for text in ("word " * 200_000, "x" * 1_000_000, "a\n---\n" * 100_000, "# a\n" * 100_000):
        assert sum(part.end - part.start for part in passages(text)) > 0
