"""The visible text and the headings of Markdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_qa.documents.markdown import read_markdown
from keras_qa.documents.visible_text import VisibleText


def visible(text: str) -> str:
    return VisibleText(text, read_markdown(text)[0]).text


def headings(text: str) -> list[tuple[int, str]]:
    edits, found = read_markdown(text)
    seen = VisibleText(text, edits)
    spans = [heading.seen_in(seen) for heading in found]
    return [(level, seen.text[start:end]) for start, end, level in spans]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a *b* **c** _d_ __e__ ~~f~~ un*matched a_b_c", "a b c d e f un*matched a_b_c"),
        ("`a` `` b`c `` `*d*`", "a b`c *d*"),
        (r"1 \* 2 \_ &lt;p&gt; &copy; &nosuch;", "1 * 2 _ <p> © &nosuch;"),
        ("[a *b*](http://x.y/z 'a') [c][r] [r] [d]\n\n[r]: http://u.v", "a b c r [d]"),
        (
            "See [us](https://a.b.c/) or [me](mailto:d@e.f?g=h).",
            "See us or me (d@e.f).",
        ),
        ("[a.b](https://a.b) [d@e.f](mailto:d@e.f)", "a.b d@e.f"),
        ("![a *b*](c.png) <https://d.e/f> [![g](h.png)](i)", "a b https://d.e/f g"),
        ("a<br>b <b>c</b><!-- d --> e", "a\nb c e"),
        ("> a\n> *b*\n\n- c\n  **d**\n- [ ] e\n\n1. f", "a\nb\n\n- c\n  d\n\n- [ ] e\n\n1. f"),
        ("a\n\n***\n\nb", "a\n\nb"),
        ("a\n\n\n\n<!-- b -->\n\nc", "a\n\nc"),
        ("```py\n# a *b*\n  c\n```\n\n    d *e*", "# a *b*\n  c\n\n    d *e*"),
        ("> ```\n> a\n> ```\n\n- x\n\n  ```\n  b\n  ```", "a\n\n- x\n\n  b"),
        ("| A | *B* |\n|---|:-:|\n| 1 | **2** \\| 3 |\n| | 4 |\n", "A: 1; B: 2 | 3\n\nB: 4"),
        ("A | B\n--|--\n1 | 2", "A: 1; B: 2"),
        ("A | B\n--|--\n1 | <ul><li>2</li><li>3</li></ul>", "A: 1; B: 2\n3"),
        ("| A | B |\n|---|---|\n", "A: B"),
        ("|   |   |\n|---|---|\n| a | b |", "a: b"),
        ("> | A | B |\n> |---|---|\n> | 1 | 2 |", "A: 1; B: 2"),
        (
            "<div>\n<table><tr><th>A</th><th>B</th></tr>\n<tr><td>1 &amp; 2</td><td>3</td></tr>\n"
            "</table></div>\n\nx",
            "A: 1 & 2; B: 3\n\nx",
        ),
        (
            "<table>\n <tr>\n  <td>a</td>\n\n    <td>b</td><td>\n\n*c*\n\n</td>\n </tr></table>",
            "a; b; c",
        ),
        ("a[^1] b\n\n[^1]: Note.\n[^2]: word", "a b\n\n[^1]: Note.\n[^2]: word"),
    ],
)
def test_markup_is_not_visible(text: str, expected: str) -> None:
    assert visible(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\ntitle: 'T: x'\ntags: [a]\n---\n\nb", "T: x.\n\ntags: [a]\n\nb"),
        ('+++\ntitle = "T"\n+++\nb', "T\n\nb"),
        ("---\n\nno matter\n\n---\n", "no matter"),
        ("---\nlayout: x\n---\nb", "layout: x\n\nb"),
        ("---\na: 1\ntitle: 'T'\nb:\n  - x\n# y\n---\nc", "a: 1\n\nT.\n\nb:\n  - x\n\nc"),
        ('{% page "/x" %} **in {% channel "news" %}** {{< x y >}} {% if a\n b %}c', "in news c"),
        ('[a]({% page "/x y" %}) [b]({{< ref "c" >}})', "a b"),
        ("{{'[a]({})'.format(b)}} {{ c }} `{% d %}`", "a {{ c }} {% d %}"),
        ('!!! note "Look *out*"\n    *a*\n\n    b\n\nc', "Look *out*\n    a\n\n    b\n\nc"),
        ("::: warning\n*a*\n:::\n\n:::{note} B\n:class: x\nc\n:::", "a\n\nB\n\nc"),
        ("```{note}\n:open:\n*a* {ref}`b <c>` {doc}`d`\n```\n*e*", "a b d\n\ne"),
        ("````{note}\n```{tip}\n*a*\n```\n````\n\n```\n*b*\n```", "a\n\n*b*"),
        ("```{toctree}\na\nb\n```\nc", "c"),
        ("```{code-block} py\n*a*\n```\n", "*a*"),
        ("(label)=\n# A {#b .c}\n\nd{: .e}\n{: .f}", "A\n\nd"),
        ("> [!NOTE]\n> a", "a"),
        ("```rust\n{{#include a.rs}}\nb {{ c }}\n```", "b {{ c }}"),
    ],
)
def test_markup_of_site_generators_is_not_visible(text: str, expected: str) -> None:
    assert visible(text) == expected


def test_headings_have_levels_and_titles() -> None:
    text = "---\ntitle: T\n---\n# A `b` #\n\nC\n-\n\n> ## **D**\n\n```\n# no\n```\n"
    text += "<h3>E <i>f</i></h3>\n"
    assert headings(text) == [(0, "T"), (1, "A b"), (2, "C"), (2, "D"), (3, "E f")]
    assert visible(text) == "T\n\nA b\n\nC\n\nD\n\n# no\n\nE f"


PIECES = [
    "a",
    "b",
    "1",
    "\n",
    "**",
    "_",
    "`",
    "``",
    "[",
    "]",
    "(",
    ")",
    "<",
    ">",
    "!",
    "#",
    "-",
    "1.",
    "|",
    "|---|---",
    ">",
    "```",
    "~~~",
    ":::",
    "{%",
    "%}",
    "{{",
    "}}",
    "{note}",
    "\\",
    "&",
    "&amp;",
    "<br>",
    "<td>",
    "<table>",
    "<!--",
    "-->",
    "---",
    "http://a.b",
    ":",
    "~~",
    "[^1]",
    "\t",
    "東",
    "é",
]


@given(st.lists(st.sampled_from([*PIECES, " ", "\n\n", "    "]), max_size=60).map("".join))
def test_each_letter_comes_from_its_place(text: str) -> None:
    edits, found = read_markdown(text)
    seen = VisibleText(text, edits)
    inserted = {
        at for at in range(len(seen.text)) if seen.to_source(at, at + 1) in {e[:2] for e in edits}
    }
    for at, letter in enumerate(seen.text):
        start, end = seen.to_source(at, at + 1)
        assert at in inserted or seen.source[start:end] == letter
    for heading in found:
        start, end, _ = heading.seen_in(seen)
        assert 0 <= start <= end <= len(seen.text)
