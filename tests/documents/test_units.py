"""Fields, rows and items end with an empty line, which no answer crosses."""

import pytest

from keras_qa.documents.file_formats import read_documents
from keras_qa.documents.passages import encode_document

HEADER = "Status: Final\nAuthor: Ann,\n        Bob\nType: Meta"
TABLE = "=== ===\nA   B\n=== ===\n1   2\n3   4\n=== ==="


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.txt", f"{HEADER}\n\nText\nof lines.", ["Status: Final.", "Text\nof lines."]),
        ("a.txt", "Note: a text\nof lines.", ["Note: a text\nof lines."]),
        ("a.rst", f"{HEADER}\n\nText", ["Status: Final.", "Type: Meta"]),
        ("a.md", f"{HEADER}\n\nText", ["Status: Final.", "Type: Meta"]),
        ("a.md", "**Status:** Final\n__Type__: Meta", ["Status: Final.", "Type: Meta"]),
        ("a.md", f"---\n{HEADER}\n---\nText", ["Status: Final.", "Type: Meta", "Text"]),
        ("a.md", '+++\nstatus = "Final"\ntype = 1\n+++\n', ['status = "Final".', "type = 1"]),
        ("a.md", "```\na: 1\nb: 2\n```\n", ["a: 1\nb: 2"]),
        ("a.rst", ":Status: Final\n:Type: Meta", [":Status: Final.", ":Type: Meta"]),
        ("a.rst", "::\n\n  a: 1\n  b: 2", ["a: 1\n  b: 2"]),
        ("a.rst", "fetch\n  Gets.\npush\n  Puts.", ["fetch\n  Gets.", "push\n  Puts."]),
        ("a.html", "<dl><dt>fetch<dd>Gets<dt>push<dd>Puts</dl>", ["fetch\nGets", "push\nPuts"]),
        ("a.md", "Text\n- a\n  - b\n- c", ["Text", "- a", "- b", "- c"]),
        ("a.rst", "- a\n- b\n\n1. c\n2. d", ["- a", "- b", "1. c", "2. d"]),
        ("a.html", "<ul><li>a<li>b</ul>", ["a", "b"]),
        ("a.md", "|A|B|\n|-|-|\n|1|2|\n|3|4|", ["A: 1; B: 2", "A: 3; B: 4"]),
        ("a.rst", f"{TABLE}\n\nText", ["A: 1; B: 2", "A: 3; B: 4", "Text"]),
        ("a.html", "<table><tr><td>A<td>1<tr><td>B<td>2</table>", ["A: 1", "B: 2"]),
        ("a.csv", "A,B\n1,2\n3,4", ["A: 1; B: 2", "A: 3; B: 4"]),
    ],
)
def test_units_end_with_an_empty_line(tmp_path, name: str, text: str, expected: list[str]) -> None:
    units = [unit.strip() for unit in "\n\n".join(read(tmp_path / name, text)).split("\n\n")]
    assert set(expected) <= {*units}


def test_the_last_table_of_restructured_text_is_read(tmp_path) -> None:
    assert read(tmp_path / "a.rst", f"Text\n\n{TABLE}\n")[0].endswith("\n\nA: 3; B: 4")


def test_front_matter_is_read_with_the_section_that_follows(tmp_path) -> None:
    text = "---\nlayout: page\ntitle: Guide\n---\n# Start\n\nText.\n\n# End\n\nMore.\n"
    expected = "Guide > Start\nlayout: page\n\nGuide\n\nStart\n\nText."
    assert read(tmp_path / "a.md", text)[0] == expected
    text = text.replace("title: Guide", "draft: true")
    assert (
        read(tmp_path / "b.md", text)[0] == "Start\nlayout: page.\n\ndraft: true\n\nStart\n\nText."
    )
    # A long header is a passage of its own.
    text = text.replace("true", "yes " * 40)
    assert [part[:5] for part in read(tmp_path / "c.md", text)] == ["layou", "Start", "End\nE"]


def read(path, text: str) -> list[str]:
    """Returns the texts of the passages of a file, with their headings."""
    path.write_text(text)
    (document,) = read_documents(path, path.name)
    return [passage.text for passage in encode_document(document).passages]
