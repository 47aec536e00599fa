"""The visible text and the headings of reStructuredText."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_qa.documents.restructured_text import read_restructured_text
from keras_qa.documents.visible_text import VisibleText


def visible(text: str) -> str:
    return VisibleText(text, read_restructured_text(text)[0]).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a *b* **c** ``d`` `e` f_g", "a b c d e f_g"),
        ("`a b <http://c.d>`_ e_ `f g`__ h [1]_ |i|\n\n.. _e: http://j", "a b e f g h i"),
        (":ref:`a <b>` :py:func:`c.d` (:doc:`e`) ``:f:`g```", "a c.d (e) :f:`g`"),
        (":class:`~a.b.C` :func:`~d` :mod:`!e.f` :class:`g <~h.I>`", "C d e.f g"),
        ("a\\ b \\*c \\\\d", "ab *c \\d"),
        ("a::\n\n   b *c*\n\n::\n\n   d", "a:\n\n   b *c*\n\n   d"),
        (".. a comment\n   of two lines\n\n.. _label:\n\nb", "b"),
        ("- a *b*\n- c\n\n  d\n\n1. e", "- a b\n\n- c\n\n  d\n\n1. e"),
        ("a\n\n.. [1] Note *b*.\n\n.. |c| replace:: d", "a\n\n[1] Note b."),
        (".. note:: A *b*\n   c.\n\nd", "A b\n   c.\n\nd"),
        (".. unknown::\n   :x: y\n\n   A *b*.", "A b."),
        (".. unknown::\n   :x:`a` b.", "a b."),
        (".. toctree::\n   :maxdepth: 1\n\n   a\n   b\n\nc", "c"),
        (".. code-block:: py\n   :x:\n\n   a *b*\n\nc", "a *b*\n\nc"),
        (".. versionadded:: 3.2\n   A *b*.", "Added in version 3.2\n   A b."),
        (".. function:: f(x)\n\n   A *b*.\n\nc", "f(x)\n\n   A b.\n\nc"),
        (
            "=== ===\n A   B\n=== ===\n 1   2\n 3   *4*\n=== ===\n\na",
            "A: 1; B: 2\n\nA: 3; B: 4\n\na",
        ),
        (
            "+---+-----+\n| A | B   |\n+===+=====+\n| 1 | two |\n|   | x   |\n+---+-----+\n\na",
            "A: 1; B: two x\n\na",
        ),
        (
            ".. list-table:: T\n   :header-rows: 1\n\n   * - A\n     - B\n   * - 1\n     - 2\n\na",
            "A: 1; B: 2\n\na",
        ),
        ('.. csv-table::\n   :header: "A", "B"\n\n   1, "2, 3"\n\na', "A: 1; B: 2, 3\n\na"),
        # Errors of the markup lose nothing.
        ("*a\n\n=b\n\n+---+\n| c", "*a\n\n=b\n\n+---+\n| c"),
    ],
)
def test_markup_is_not_visible(text: str, expected: str) -> None:
    assert visible(text) == expected


def test_headings_have_levels_and_titles() -> None:
    text = "=====\nA *b*\n=====\n\nx\n\nCC\n---\n\ny\n\nD\n====\n"
    edits, found = read_restructured_text(text)
    seen = VisibleText(text, edits)
    spans = [heading.seen_in(seen) for heading in found]
    assert [(level, seen.text[start:end]) for start, end, level in spans] == [
        (1, "A b"),
        (2, "CC"),
        (3, "D"),
    ]


PIECES = ["a", "b1", "*", "**", "`", "``", "_", "|", ".. ", "::", ":x:", "[1]_", "<c>", "\\", "東"]
PIECES += ["\n", "\n\n", "   ", "===", "---", "+--+", "- ", ".. note::", ".. list-table::", "* - "]


@given(st.lists(st.sampled_from([*PIECES, " "]), max_size=40).map("".join))
def test_each_letter_comes_from_its_place(text: str) -> None:
    edits, found = read_restructured_text(text)
    seen = VisibleText(text, edits)
    replaced = {edit[:2] for edit in edits}
    for at, letter in enumerate(seen.text):
        start, end = seen.to_source(at, at + 1)
        assert (start, end) in replaced or text[start:end] == letter
    assert all(0 <= heading.start <= heading.end <= len(text) for heading in found)
