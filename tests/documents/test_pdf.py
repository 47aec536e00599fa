"""What is read from PDF files, and what is left out."""

from __future__ import annotations

import threading

import pytest
from pdf_files import at, lines, write_pdf

from keras_qa.documents import Index
from keras_qa.documents.pdf import read_pdf

TEXT = (
    "The machine is delivered with a warranty of two years. It\n"
    "covers every part of the machine, and the work of our own\n"
    "service. A repair takes at most ten working days, and it is\n"
    "free within these two years."
)
JOINED = TEXT.replace("\n", " ")
PARTS = [f"{JOINED} Part {word}." for word in ("A", "B", "C", "D")]
PART_LINES = [f"{TEXT} Part {word}." for word in ("A", "B", "C", "D")]


@pytest.fixture
def read(tmp_path):
    def read(*pages: bytes, entries: str = "") -> str:
        path = tmp_path / "a.pdf"
        write_pdf(path, pages, entries)
        return read_pdf(path)[0]

    return read


def test_full_lines_are_joined_and_gaps_separate_paragraphs(read) -> None:
    address = "Acme Ltd.\nHarbour Street 5\nBergen"
    page = lines(TEXT) + lines(TEXT, y=640) + lines(address, y=560)
    assert read(page) == f"{JOINED}\n\n{JOINED}\n\n{address}"
    # A value stays with its label.
    page = at(50, 700, "Ordered on:", font=1) + at(50, 682, "3 May 2020") + lines(TEXT, y=600)
    assert read(page) == f"Ordered on:\n3 May 2020\n\n{JOINED}"


def test_broken_words_are_joined(read) -> None:
    broken = (
        "We have the informa-\ntion of a state-of-the-\nart and user-\ndefined text by Jean-\n"
        "Pierre on PDF 1-\n7. The user has defined an e-\nmail and an address of e-mail in Co-\n"
        "penhagen with soft hy\xad\nphens and data-\nbase, not a database."
    )
    assert read(lines(broken)).split("\n") == [
        "We have the information of a state-of-the-art and user-defined text by Jean-Pierre on PDF "
        "1-",
        "7. The user has defined an e-mail and an address of e-mail in Copenhagen with soft "
        "hyphens and database, not a database.",
    ]


def numbered(page: int, header: str, footer: str, body: str) -> bytes:
    return at(50, 800, header) + lines(body) + at(280, 40, footer.format(page))


@pytest.mark.parametrize("footer", ["{}", "- {} -", "Page {} of 4", "Seite {}"])
def test_headers_and_page_numbers_are_left_out(read, footer) -> None:
    bodies = [f"{word} is the subject.\n{TEXT}" for word in ("Acme", "Oil", "Water", "Manual 2")]
    pages = [numbered(page, "Acme Manual", footer, body) for page, body in enumerate(bodies, 7)]
    expected = "\n\n".join(body.replace("\n", " ").replace(". The", ".\nThe") for body in bodies)
    assert read(*pages) == expected
    # A header with other words stays once.
    pages = [numbered(page, "Draft of May", footer, body) for page, body in enumerate(bodies, 7)]
    assert read(*pages) == f"Draft of May\n\n{expected}"


def test_headers_differ_on_left_and_right_pages_and_by_chapter(read) -> None:
    pages = [
        at((50, 300)[number % 2], 800, ("Warranty", "Machine")[number % 2])
        # The chapter of the last page has no other page.
        + at(50, 40, f"{'Service' if number == 3 else 'Chapter'} {number + 11}")
        + lines(part)
        for number, part in enumerate(PART_LINES)
    ]
    assert read(*pages).split("\n\n") == ["Chapter 11", *PARTS]
    pages = [
        lines(part) + at(280, 40, numeral)
        for part, numeral in zip(PART_LINES, ("ii", "iii", "iv", "v"), strict=True)
    ]
    assert read(*pages) == "\n\n".join(PARTS)


def test_what_is_not_repeated_is_kept(read) -> None:
    page = at(50, 800, "Letter 947") + lines(TEXT) + at(280, 40, "1")
    assert read(page) == f"Letter 947\n\n{JOINED}\n\n1"
    pages = [
        numbered(page, f"Letter {page * page}", "{0}{0}", part)
        for page, part in zip((3, 5), PART_LINES, strict=False)
    ]
    expected = ["Letter 9", PARTS[0], "33", "Letter 25", PARTS[1], "55"]
    assert read(*pages) == "\n\n".join(expected)
    # Rows of a table, and titles with the number of the page.
    rows = [lines(f"{TEXT}\nscrew {page} 20\nnail 7 30") for page in (1, 2, 3)]
    assert read(*rows).count("screw") == read(*rows).count("nail 7 30") == 3
    pages = [
        at(50, 800, f"Step {page}", size=18) + lines(part)
        for page, part in enumerate(PART_LINES, start=1)
    ]
    expected = (f"# Step {page}\n\n{part}" for page, part in enumerate(PARTS, start=1))
    assert read(*pages) == "\n\n".join(expected)


def test_columns_and_tables(read) -> None:
    left = TEXT.replace("\n", "*\n")
    rows = zip(left.split("\n"), TEXT.split("\n"), strict=True)
    # Written row by row.
    columns = b"".join(
        at(50, 700 - 12 * number, before) + at(330, 700 - 12 * number, after)
        for number, (before, after) in enumerate(rows)
    )
    cells = [("Model", "Weight"), ("A1", "12 kg"), ("B2", "13 kg"), ("C3", "14 kg")]
    table = b"".join(
        at(50, 600 - 12 * number, before) + at(330, 600 - 12 * number, after)
        for number, (before, after) in enumerate(cells)
    )
    expected = "\n\n".join(
        [left.replace("\n", " "), JOINED, "\n".join(" ".join(row) for row in cells)]
    )
    assert read(columns + table) == expected


def test_a_paragraph_continues_in_the_next_column_and_on_the_next_page(tmp_path) -> None:
    path = tmp_path / "a.pdf"
    first, _, third, last = TEXT.split("\n")
    left = f"{first}\ncovers every part of the machine and all the informa-"
    right = f"tion, and all the rest of it is paid by the customer. The\n{third}"
    page = lines(left) + lines(right, x=330) + at(280, 40, "1")
    write_pdf(path, [page, lines(last) + at(280, 40, "2"), b""])
    text, pages = read_pdf(path)
    assert text == (
        f"{first} covers every part of the machine and all the information, "
        f"and all the rest of it is paid by the customer. The {third} {last}"
    )
    assert pages == (0, text.index(last), len(text))
    with Index.create(tmp_path / "a.index") as index:
        index.update(path)
        index.add([{"name": "note", "text": "No pages."}])
        assert (index.pages("a.pdf"), index.pages("note")) == (pages, ())
        with pytest.raises(KeyError, match="The index has no document 'b.pdf'."):
            index.pages("b.pdf")
        (passage,) = index.search("free")
        assert passage.locate(text.index(last)) == (1, 2)
        assert passage.locate(text.index(third)) == (1, 1)


def test_headings(read) -> None:
    page = at(50, 780, "Handbook", size=20, font=1) + at(50, 750, "2.1", font=1)
    page += at(90, 750, "Warranty", font=1) + lines(TEXT, y=720)
    page += (
        at(50, 650, "Repairs", font=1)
        + lines(TEXT, y=600)
        + at(50, 500, "NB:", font=1)
        + lines("# a comment\n-----\nnot a title", y=482)
    )
    assert read(page) == (
        f"# Handbook\n\n## 2.1 Warranty\n\n{JOINED}\n\n## Repairs\n\n{JOINED}\n\n"
        "NB:\n    # a comment\n    -----\nnot a title"
    )
    # A bold line within a sentence, the sign of code, and a large sentence.
    page = lines(f"{TEXT} See the\n") + at(50, 652, "handbook", font=1)
    page += lines("# and\n```", y=640)
    assert read(page) == f"{JOINED} See the\nhandbook\n    # and\n    ```"
    page = at(50, 750, "This is a draft.", size=12) + lines(TEXT)
    assert read(page) == f"This is a draft.\n\n{JOINED}"
    page = at(50, 750, "New:", font=1) + at(80, 750, "a repair within a week") + lines(TEXT)
    assert read(page) == f"New: a repair within a week\n\n{JOINED}"
    # Bold lines of a form, and a table of contents.
    form = lines("Name\n\nStreet\n\nTown", font=1)
    assert read(form) == "Name\nStreet\nTown"
    contents = lines("1 Warranty . . . . . . . . . . . . 7\n2 Repairs.............. 12", font=1)
    assert read(contents + lines(TEXT, y=500)) == f"1 Warranty … 7\n2 Repairs … 12\n\n{JOINED}"


def test_angles_marks_and_characters(read) -> None:
    quarter = (0, 1, -1, 0)
    page = lines(TEXT) + at(20, 300, "Printed in Bergen", matrix=quarter)
    assert read(page) == f"{JOINED}\n\nPrinted in Bergen"
    diagonal = (0.7, 0.7, -0.7, 0.7)
    pages = [lines(part) + at(200, 300, "DRAFT", 60, matrix=diagonal) for part in PART_LINES]
    assert read(*pages) == "\n\n".join([PARTS[0], "DRAFT", *PARTS[1:]])
    assert read(page + at(50, 500, "Far", matrix=("9" * 400, 0, 0, 1))) == read(page)
    rows = enumerate(TEXT.split("\n"))
    page = b"".join(at(100 + 12 * number, 50, row, matrix=quarter) for number, row in rows)
    assert read(page, entries="/Rotate 90") == JOINED
    # The vertical axis points downwards.
    page = b"1 0 0 -1 0 842 cm\n" + b"".join(
        at(50, 100 + 12 * number, row, matrix=(1, 0, 0, -1))
        for number, row in enumerate(TEXT.split("\n"))
    )
    assert read(page) == JOINED
    page = at(50, 700, "In 2020") + at(83.4, 704, "1", size=6) + at(50, 660, "2", size=6)
    assert read(page + at(54, 656, "A note.")) == "In 2020¹\n\n²A note."
    assert read(lines("a\xa0b \x95 c")) == "a b • c"
    assert read(at(50, 700, "oxce") + at(76, 700, "y z x", font=2)) == "oxce x 9 ffi"


def test_pages_without_text_are_refused(tmp_path) -> None:
    write_pdf(tmp_path / "scan.pdf", [b"", b""])
    assert read_pdf(tmp_path / "scan.pdf") == ("", (0, 0))


def test_several_threads_read_files(tmp_path) -> None:
    write_pdf(tmp_path / "a.pdf", [lines(f"Page {page * page}.\n{TEXT}") for page in range(20)])
    expected = "\n\n".join(f"Page {page * page}.\n{JOINED}" for page in range(20))
    results: list[str] = []

    def work() -> None:
        for _ in range(5):
            results.append(read_pdf(tmp_path / "a.pdf")[0])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 20


def test_spaces(read) -> None:
    # Letters of a listing have equal distances, and digits are numbers.
    def spaced(text: str, x: float) -> bytes:
        return b"".join(at(x + 7.5 * number, 700, letter) for number, letter in enumerate(text))

    assert read(spaced("abandoned", 50) + spaced("banana", 125)) == "abandoned banana"
    assert read(spaced("1234567890", 50)) == "1 2 3 4 5 6 7 8 9 0"
    # Chinese has none.
    text = "\n".join(["ab" * 10 + "a", "ba" * 10 + "b", "ab" * 5 + "c"])
    letters = {ord("a"): "水", ord("b"): "火", ord("c"): "。"}
    assert read(lines(text, font=2)) == text.replace("\n", "").translate(letters)
