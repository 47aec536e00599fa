"""Where parts of a text are on the pages of PDF files, and the pictures of the pages.

Widths are those of Helvetica in Adobe's font metrics. What PDFium takes for the top and the bottom
of a font is not in them: it is compared with the ink, and with the heights of letters, 0.718 above
and 0.207 below the baseline.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
import zlib

import numpy as np
import pytest
from interpreters import last_line, python
from pdf_files import UPRIGHT, at, lines, write_pdf

from keras_qa import Box
from keras_qa.documents import Document, Index, storage

LINE, PART = "A warranty of two years.", "two years"
WIDTH, HEIGHT = 595, 842
# Widths of letters of Helvetica, in thousandths of its size.
WIDTHS = {
    **dict.fromkeys("ABEKPSVXY", 667),
    **dict.fromkeys("CDHNRUw", 722),
    **dict.fromkeys("FTZ", 611),
    **dict.fromkeys("abdeghnopqu0123456789#", 556),
    **dict.fromkeys("cksvxyz", 500),
    **dict.fromkeys(" .,ftI", 278),
    **dict.fromkeys("r-", 333),
    **dict.fromkeys("ijl", 222),
    "M": 833,
    "m": 833,
}


def width(text: str, size: float = 10) -> float:
    return sum(WIDTHS[letter] for letter in text) * size / 1_000


LEFT = 50 + width("A warranty of ")
RIGHT = LEFT + width(PART)
# Boxes are shares of a page, and whole multiples of this.
STEP = 1e-5


@pytest.fixture
def make(tmp_path):
    """Returns an index of a PDF file, and the folder of the file."""
    indexes = []

    def make(*pages: bytes, entries: str = "") -> Index:
        folder = tmp_path / "folder"
        folder.mkdir()
        write_pdf(folder / "a.pdf", pages, entries)
        indexes.append(Index.create(tmp_path / "a.index", language="en"))
        indexes[0].update(folder)
        return indexes[0]

    yield make
    for index in indexes:
        index.close()


def boxes(index: Index, part: str) -> tuple[Box, ...]:
    text = index.text("a.pdf")
    assert text.count(part) == 1
    return index.boxes("a.pdf", text.index(part), text.index(part) + len(part))


def pixels(png: bytes) -> np.ndarray:
    """Returns the colours of a PNG file without interlacing and filters."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    position, data = 8, b""
    while position < len(png):
        size, kind = struct.unpack(">I4s", png[position : position + 8])
        body = png[position + 8 : position + 8 + size]
        (check,) = struct.unpack(">I", png[position + 8 + size : position + 12 + size])
        assert check == zlib.crc32(kind + body)
        if kind == b"IHDR":
            width, height, *rest = struct.unpack(">IIBBBBB", body)
            assert rest == [8, 2, 0, 0, 0]
        data += body if kind == b"IDAT" else b""
        position += size + 12
    assert kind == b"IEND"
    rows = np.frombuffer(zlib.decompress(data), "uint8").reshape(height, 1 + 3 * width)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, 3)


def test_a_box_is_where_the_words_are(make) -> None:
    index = make(lines("The machine", y=740) + at(50, 700, LINE))
    (box,) = boxes(index, PART)
    assert box.page == 1
    assert (box.left, box.right) == (
        pytest.approx(LEFT / WIDTH, abs=STEP),
        pytest.approx(RIGHT / WIDTH, abs=STEP),
    )
    # From the top of the letters to the bottom of those below the line, and less than a line.
    assert 700 + 7.18 <= HEIGHT * (1 - box.top) < 712
    assert 700 - 4 < HEIGHT * (1 - box.bottom) <= 700 - 2.07
    # A part of a word.
    (part,) = boxes(index, "wo year")
    assert part.left == pytest.approx((LEFT + 2.78) / WIDTH, abs=STEP)
    assert part.right == pytest.approx((RIGHT - 5) / WIDTH, abs=STEP)
    assert [index.boxes("a.pdf", *part) for part in ((3, 4), (5, 5), (5, 4), (99, 105))] == [()] * 4


def test_pages_that_are_turned_or_cropped(make) -> None:
    index = make(at(50, 700, LINE))
    (box,) = boxes(index, PART)
    left, top, right, bottom = box.left, box.top, box.right, box.bottom
    path = index.path.with_name("folder") / "a.pdf"

    def shown(entries: str) -> tuple[float, ...]:
        write_pdf(path, [at(50, 700, LINE)], entries)
        index.update(path.parent)
        (box,) = boxes(index, PART)
        return box.left, box.top, box.right, box.bottom

    turned = 1 - bottom, left, 1 - top, right
    assert shown("/Rotate 90") == pytest.approx(turned, abs=2 * STEP)
    turned = 1 - right, 1 - bottom, 1 - left, 1 - top
    assert shown("/Rotate 180") == pytest.approx(turned, abs=2 * STEP)
    turned = top, 1 - right, bottom, 1 - left
    assert shown("/Rotate 270") == pytest.approx(turned, abs=2 * STEP)
    # 200 points wide and high, 40 from the left and 842 - 800 from the top. A step is larger on it.
    edges = [WIDTH * left - 40, HEIGHT * top - 42, WIDTH * right - 40, HEIGHT * bottom - 42]
    left, top, right, bottom = (edge / 200 for edge in edges)
    cropped = "/CropBox [40 600 240 800]"
    assert shown(cropped) == pytest.approx((left, top, right, bottom), abs=6 * STEP)
    assert shown(f"{cropped} /Rotate 90") == pytest.approx(
        (1 - bottom, left, 1 - top, right), abs=6 * STEP
    )
    # Only the start of the words is visible, and none of them.
    edge = (edges[0] / 80, top, 1.0, bottom)
    assert shown("/CropBox [40 600 120 800]") == pytest.approx(edge, abs=12 * STEP)
    write_pdf(path, [at(50, 700, LINE)], "/CropBox [300 600 400 800]")
    index.update(path.parent)
    assert boxes(index, PART) == ()


@pytest.mark.parametrize(
    ("entries", "matrix"),
    [
        ("", UPRIGHT),
        ("/Rotate 90", UPRIGHT),
        ("/Rotate 180 /CropBox [40 200 440 800]", UPRIGHT),
        ("/Rotate 270 /CropBox [40 200 440 800]", UPRIGHT),
        ("/UserUnit 2.5", (3, 0, 0, 1)),
        ("", (1, 0, 0.3, 1)),
        ("", (0, 1, -1, 0)),
        ("/Rotate 90", (0, -1, 1, 0)),
        ("", (-1, 0, 0, -1)),
        ("", (0.7, 0.7, -0.7, 0.7)),
    ],
)
def test_the_ink_of_the_picture_is_in_the_box(make, entries, matrix) -> None:
    index = make(at(220, 400, PART, size=20, matrix=matrix), entries=entries)
    (box,) = boxes(index, PART)
    ink = pixels(index.draw_page("a.pdf", 1)).min(axis=2) < 128
    height, width = ink.shape
    assert max(height, width) == 1_600
    for edges, low, high, size in (
        (ink.any(axis=0), box.left, box.right, width),
        (ink.any(axis=1), box.top, box.bottom, height),
    ):
        first, *_, last = np.flatnonzero(edges)
        # Within a pixel, and most of the box.
        assert low * size - 1 <= first
        assert last + 1 <= high * size + 1
        assert last - first > 0.6 * (high - low) * size


def test_each_line_has_a_box(make) -> None:
    # A word is broken, a line is in the next column, and the last one is on the next page.
    left = (
        "The machine is delivered with a warranty of two years. It\n"
        "covers every part of the machine and all the informa-"
    )
    right = "tion, and all the rest of it is paid by the customer. The\nrepair is free. These two"
    pages = lines(left) + lines(right, x=330), at(60, 700, "years.")
    index = make(*pages)
    found = boxes(index, "all the information, and all")
    assert [box.page for box in found] == [1, 1]
    first, second = found
    before = width("covers every part of the machine and ")
    edges = 50 + before, 50 + before + width("all the informa-"), 330, 330 + width("tion, and all")
    shown = first.left, first.right, second.left, second.right
    assert [WIDTH * edge for edge in shown] == pytest.approx(edges, abs=WIDTH * STEP)
    assert first.bottom == pytest.approx(second.bottom + 12 / HEIGHT, abs=2 * STEP)
    first, second = boxes(index, "These two\n\nyears.")
    assert (first.page, second.page) == (1, 2)
    assert second.left == pytest.approx(60 / WIDTH, abs=STEP)


def test_text_that_is_read_in_another_way(make) -> None:
    # Leaders, the digit of a footnote, a ligature, a soft hyphen, marks of a heading and of code.
    index = make(
        at(50, 780, "Handbook", size=20, font=1)
        + at(50, 740, "Repairs.............. 12")
        + at(50, 700, "In 2020")
        + at(83.4, 704, "1", size=6)
        + at(94, 700, "it")
        + at(50, 660, "oxce")
        + at(76, 660, "x", font=2)
        + at(90, 660, "re")
        + at(98.89, 660, "s", font=2)
        + at(103.89, 660, "made")
        + at(50, 620, "# a comment")
        + at(50, 580, "........ 7")
    )
    text = index.text("a.pdf")
    assert text == (
        "# Handbook\n\nRepairs … 12\n\nIn 2020¹ it\n\noxce ffi remade\n\n    # a comment\n\n… 7"
    )
    starts = {"Handbook": 50, "12": 50 + width("Repairs.............. "), "¹": 83.4, "it": 94}
    starts |= {
        "ffi": 76,
        "made": 103.89,
        "comment": 50 + width("# a "),
        "7": 50 + width("........ "),
    }
    for part, start in starts.items():
        (box,) = boxes(index, part)
        assert WIDTH * box.left == pytest.approx(start, abs=WIDTH * STEP), part


def test_running_headers_are_not_boxed(make) -> None:
    bodies = ["Acme Manual", "Oil and water", "Of machines", "Repairs"]
    text = "It is the subject here.\nIt was another one\nin the last part,\nand it is now complete."
    pages = [
        at(50, 800, "Acme Manual")
        + lines(f"{body}\n{text} This is {body.upper()}.")
        + at(50, 40, "Acme Manual")
        + at(280, 40, f"{number}")
        for number, body in enumerate(bodies, start=1)
    ]
    index = make(*pages)
    for part, page, baseline in (("Acme Manual", 1, 700), ("OF MACHINES", 3, 652)):
        (box,) = boxes(index, part)
        assert box.page == page
        assert HEIGHT * (1 - box.top) > baseline > HEIGHT * (1 - box.bottom) > baseline - 4


def test_a_file_that_is_not_that_of_the_index_gives_nothing(make, tmp_path, monkeypatch) -> None:
    index = make(at(50, 700, LINE), at(50, 700, PART.upper()))
    folder, text = tmp_path / "folder", index.text("a.pdf")
    part = text.index(PART), text.index(PART) + len(PART)

    def count() -> int:
        return len(index.boxes("a.pdf", *part)) + (index.draw_page("a.pdf", 2) is not None)

    assert count() == 2
    assert [index.draw_page("a.pdf", page) for page in (-1, 0, 3)] == [None] * 3
    original = (folder / "a.pdf").read_bytes()
    (folder / "a.pdf").write_bytes(original + b"\n")
    assert count() == 0
    (folder / "a.pdf").unlink()
    assert count() == 0
    (tmp_path / "b.pdf").write_bytes(original)
    (folder / "a.pdf").symlink_to(tmp_path / "b.pdf")
    assert count() == 0
    (folder / "a.pdf").unlink()
    (folder / "a.pdf").mkdir()
    assert count() == 0
    (folder / "a.pdf").rmdir()
    (folder / "a.pdf").write_bytes(original)
    assert count() == 2
    with monkeypatch.context() as context:
        context.setattr("keras_qa.documents.folder.MAX_BYTES", len(original) - 1)
        assert count() == 0
    # Documents without a file, and of another type.
    (folder / "b.txt").write_text("two years")
    index.update(folder)
    index.add([Document("c.pdf", PART, (0,))])
    for name in ("b.txt", "c.pdf"):
        assert (index.boxes(name, 0, 3), index.draw_page(name, 1)) == ((), None)
    for call in (index.boxes, index.draw_page):
        with pytest.raises(KeyError, match=r"The index has no document 'd\.pdf'\."):
            call("d.pdf", *((0, 3) if call == index.boxes else (1,)))


def test_a_name_in_an_index_leads_to_no_other_folder(make, tmp_path) -> None:
    index = make(at(50, 700, LINE))
    (tmp_path / "b.pdf").write_bytes((tmp_path / "folder" / "a.pdf").read_bytes())
    for name in ("../b.pdf", str(tmp_path / "b.pdf")):
        with contextlib.closing(sqlite3.connect(index.path)) as connection, connection:
            connection.execute("UPDATE files SET name = ?", (name.encode(),))
            # Who writes such a name can write the checksum, too.
            storage.write_checksum(connection)
        assert (boxes(index, PART), index.draw_page("a.pdf", 1)) == ((), None)


def test_a_single_file_is_followed(tmp_path) -> None:
    write_pdf(tmp_path / "a.pdf", [at(50, 700, LINE)])
    with Index.create(tmp_path / "a.index") as index:
        index.update(tmp_path / "a.pdf")
        assert len(boxes(index, PART)) == 1


def test_the_missing_package_is_named(make) -> None:
    index = make(at(50, 700, LINE))
    code = f"""
from keras_qa.documents import Document, Index
Index.open({str(index.path)!r}).boxes("a.pdf", 0, 3)
"""
    assert last_line(python(code, hidden=("pypdfium2",))) == (
        "ImportError: A PDF file needs the package pypdfium2. Install it with `pip install "
        '"keras-qa[documents]"`.'
    )
