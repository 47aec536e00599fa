"""Edits of a text, and offsets between it and its source."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_qa.documents import Document
from keras_qa.documents.visible_text import (
    Heading,
    VisibleText,
    cell_labels,
    decode_edits,
    encode_markup,
    tidy,
    visible_part,
    without_overlap,
)

SOURCE = "# A **b** &amp; c"
EDITS = ((0, 2, ""), (4, 6, ""), (7, 9, ""), (10, 15, "&"))


def test_offsets_point_into_the_source() -> None:
    seen = VisibleText(SOURCE, EDITS)
    assert seen.text == "A b & c"
    assert [seen.to_source(at, at + 1) for at in range(7)] == [
        (2, 3),
        (3, 4),
        (6, 7),
        (9, 10),
        (10, 15),
        (15, 16),
        (16, 17),
    ]
    assert seen.to_source(0, 3) == (2, 7)
    assert seen.to_source(3, 3) == (9, 9)
    assert [seen.to_visible(at) for at in (0, 2, 5, 6, 12, 16)] == [0, 0, 2, 2, 5, 6]
    ends = [seen.to_visible(at, is_end=True) for at in (0, 2, 7, 9, 14, 15, 17)]
    assert ends == [0, 0, 3, 3, 4, 5, 7]
    assert Heading(0, 9, 1).seen_in(seen) == (0, 3, 1)
    assert VisibleText(SOURCE).text == SOURCE


def test_a_part_has_its_edits() -> None:
    part = visible_part(SOURCE[6:15], EDITS, 6)
    assert (part.text, part.to_source(0, 3)) == ("b &", (0, 9))
    # An insertion at the end belongs to what follows.
    assert visible_part("ab", ((0, 0, "x"), (2, 2, "y")), 0).text == "xab"


def test_markup_is_stored_with_lone_surrogates() -> None:
    edits = [(0, 2, "\udcff"), (3, 3, "é")]
    raw = encode_markup(edits, None)
    assert decode_edits(raw) == edits
    assert encode_markup((), None) is None
    assert encode_markup((), ()) == b"[[],[]]"
    assert decode_edits(None) == []


@pytest.mark.parametrize(
    ("text", "edits", "expected"),
    [
        ("a  <b>  c", [(3, 6, "")], "a c"),
        ("a\n\n\n<hr>\n\n\nb", [(4, 8, "\n\n")], "a\n\nb"),
        ("a\n```\n  code\n```\n", [(2, 5, ""), (13, 16, "")], "a\n\n  code"),
        ("a | b", [(1, 4, "; B: ")], "a; B: b"),
        ("a <td> b", [(2, 6, "; ")], "a; b"),
        ("a\n<x>\n  <y>\n b", [(2, 5, ""), (8, 11, "")], "a\n\n b"),
        ("<x>", [(0, 3, "")], ""),
        ("a   b", [], "a   b"),
    ],
)
def test_white_space_around_edits_is_joined(text: str, edits: list, expected: str) -> None:
    assert VisibleText(text, tidy(text, edits)).text == expected


def test_a_label_is_apart_from_the_line_before() -> None:
    text = "x\n<td> b"
    edits = tidy(text, [(2, 6, "A: ")])
    seen = VisibleText(text, edits)
    assert (seen.text, edits) == ("x\nA: b", ((1, 2, "\n"), (2, 7, "A: ")))
    start, end = seen.to_source(2, 6)
    assert visible_part(text[start:end], edits, start).text == "A: b"


def test_overlapping_edits_are_joined() -> None:
    assert without_overlap([(4, 6, "x"), (0, 2, ""), (1, 5, "y")]) == [(0, 6, "")]


def test_cells_are_labelled_by_their_columns() -> None:
    assert cell_labels(["1", "", "3"], ["A", "B", "C"]) == ["A: ", "", "; C: "]
    assert cell_labels(["", "2", "3", "4"], ["A", ""]) == ["", "", "; ", "; "]
    assert cell_labels(["key", "value"]) == ["", ": "]
    assert cell_labels(["x"], ["y" * 1_000]) == ["y" * 80 + ": "]


def test_edits_and_headings_of_documents_are_checked() -> None:
    for values, name, span in (
        ({"edits": ((0, 4, ""),)}, "edits", "position 0: (0, 4)"),
        ({"edits": ((0, 2, ""), (1, 3, ""))}, "edits", "position 1: (1, 3)"),
        ({"headings": ((2, 1, 1),)}, "headings", "position 0: (2, 1)"),
    ):
        with pytest.raises(ValueError, match="^`") as caught:
            Document("a", "abc", **values)
        assert str(caught.value) == (
            f"`{name}` of a document must be in order, without overlap, and within its text of 3 "
            f"characters. Received at {span}."
        )


@given(
    st.text(),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.text(max_size=3))),
)
def test_each_letter_comes_from_its_place(text: str, spans: list) -> None:
    edits = [
        (min(low, high, len(text)), min(max(low, high), len(text)), new) for low, high, new in spans
    ]
    seen = VisibleText(text, tidy(text, without_overlap(edits)))
    replaced = 0
    for at, letter in enumerate(seen.text):
        start, end = seen.to_source(at, at + 1)
        if text[start:end] != letter:
            replaced += 1
    assert replaced <= sum(len(new) for _, _, new in seen.edits)
    assert seen.to_source(0, len(seen.text))[1] <= len(text)
