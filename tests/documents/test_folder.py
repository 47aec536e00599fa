"""`Index.update` with a folder, and the documents of each type of file."""

import io
import itertools
import os
import sqlite3
import sys
import zipfile

import docx
import pytest
from docx.enum.text import WD_BREAK
from interpreters import python
from pdf_files import lines, write_pdf

from keras_qa import verify
from keras_qa.documents import Index, file_formats
from keras_qa.documents.file_formats import read_documents


def read(path, encoding=None) -> list[tuple[str, str]]:
    found = read_documents(path, path.name, encoding)
    return [(document.name, document.text) for document in found]


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "handbook"
    (made / "guide").mkdir(parents=True)
    (made / "a.txt").write_text("The warranty is two years.")
    (made / "guide" / "b.md").write_text("# Returns\n\nSend it back within a month.")
    return made


def test_an_index_follows_the_content_of_a_folder(folder, tmp_path, capsys) -> None:
    (folder / "picture.png").write_bytes(b"no text")
    (folder / ".hidden.txt").write_text("hidden")
    with Index.create(tmp_path / "a.index") as index:
        index.add([{"name": "added", "text": "Added by hand."}])
        changes = index.update(folder)
        assert (changes.written, changes.removed, changes.kept, changes.others) == (
            2,
            0,
            0,
            {".png": 1},
        )
        assert changes.unreadable == {}
        assert index.names == ["added", "a.txt", "guide/b.md"]
        assert [passage.document for passage in index.search("return")] == ["guide/b.md"]
        # The time and the folder of a file do not matter.
        os.utime(folder / "a.txt", (0, 0))
        moved = folder.rename(tmp_path / "moved")
        assert capsys.readouterr().out == ""
        changes = index.update(moved, verbose=1)
        assert "] 2/2  100 %" in capsys.readouterr().err
        assert (changes.written, changes.removed, changes.kept) == (0, 0, 2)
        (moved / "a.txt").write_text("The warranty is three years.")
        (moved / "guide" / "b.md").unlink()
        (moved / "c.rst").write_text("News\n====\n\nNothing new.")
        changes = index.update(moved)
        assert (changes.written, changes.removed, changes.kept) == (2, 1, 0)
        assert sorted(index.names) == ["a.txt", "added", "c.rst"]
        assert index.search("three years")[0].document == "a.txt"
        assert index.search("month") == []
        other = tmp_path / "other"
        other.mkdir()
        (other / "d.txt").write_text("Other.")
        message = r"^The index follows '.*moved', and '.*other' contains none of its files\."
        with pytest.raises(ValueError, match=message):
            index.update(other)
        assert len(index) == 3
        (moved / "a.txt").unlink()
        (moved / "c.rst").unlink()
        assert index.update(moved).removed == 2
        assert index.names == ["added"]
        assert index.update(other / "d.txt").written == 1


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("News\n====\n\n.. note:: See :class:`~a.B`.", "News"),
        ("News\n----\n\nSee :class:`~a.B`.", "News"),
        # Plain text: no title, or no markup.
        ("News\n\n.. note:: See :class:`~a.B`.", None),
        ("News\n====\n\nSee `a`.", None),
    ],
)
def test_a_text_file_with_the_markup_of_restructured_text_is_read_so(text, title, tmp_path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(text)
    (document,) = read_documents(path, "a.txt")
    assert document.text == text
    headings = [text[item.start : item.end] for item in document.headings or ()]
    assert headings == [title] * bool(title)


def test_progress_counts_files_and_its_error_ends_the_update(folder, tmp_path, capsys) -> None:
    (folder / "bad.pdf").write_bytes(b"%PDF-1.4")
    calls = []

    def stop(done: int, total: int) -> None:
        raise InterruptedError("enough")

    with Index.create(tmp_path / "a.index") as index:
        with pytest.raises(InterruptedError, match="^enough$"):
            index.update(folder, progress=stop)
        assert len(index) == 0
        changes = index.update(folder, verbose=1, progress=lambda *counts: calls.append(counts))
        assert (changes.written, changes.kept, len(changes.unreadable)) == (2, 0, 1)
        assert index.search("warranty")[0].document == "a.txt"
        assert index.search("month")[0].document == "guide/b.md"
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert capsys.readouterr().out == ""


def test_unreadable_files_are_reported_and_skipped(folder, tmp_path, capsys) -> None:
    (folder / "zero.txt").write_bytes(b"")
    (folder / "latin.txt").write_bytes("Größe".encode("latin-1"))
    (folder / "binary.md").write_bytes(b"a\0b")
    (folder / "table.csv").write_text("a,b\n1\n")
    (folder / "rows.jsonl").write_text('{"text": "One."}\n{"text": 3}\n')
    (folder / "same.jsonl").write_text('{"text": "One.", "id": 1}\n{"text": "Two.", "id": 1}\n')
    (folder / "bad.pdf").write_bytes(b"%PDF-1.4 \x1b[31m")
    (folder / "bad.docx").write_bytes(b"PK")
    write_pdf(folder / "locked.pdf", [lines("Secret.")], is_locked=True)
    write_pdf(folder / "scan.pdf", [b"", b""])
    (folder / "round").symlink_to(folder)
    (folder / "one.txt").symlink_to(folder / "two.txt")
    (folder / "two.txt").symlink_to(folder / "one.txt")
    os.mkfifo(folder / "pipe.txt")
    odd = os.fsencode(folder) + b"/\xff.txt"
    with open(odd, "w") as file:
        file.write("An odd name.")
    with Index.create(tmp_path / "a.index") as index:
        changes = index.update(folder, verbose=0)
        # The messages of libraries are not printed.
        assert capsys.readouterr() == ("", "")
        assert sorted(index.names) == ["a.txt", "guide/b.md", "zero.txt", "\udcff.txt"]
        assert index.search("odd")[0].document == "\udcff.txt"
        reasons = changes.unreadable
        assert "table.csv`, line 2: expected 2 cells" in reasons.pop("table.csv")
        assert "rows.jsonl`, line 2: `text` must be a string." in reasons.pop("rows.jsonl")
        assert reasons.pop("bad.pdf").startswith("it is not a readable PDF file: ")
        assert reasons.pop("bad.docx").startswith("it is not a readable DOCX file: ")
        assert reasons == {
            "latin.txt": "it is not UTF-8 at byte 2. Name its encoding with `encoding`",
            "binary.md": "it contains zero bytes, so it is not text",
            "same.jsonl": "it has two documents of the name 'same.jsonl#1'",
            "locked.pdf": "it is encrypted with a password",
            "scan.pdf": "its pages contain no text: they may be images",
            **dict.fromkeys(("one.txt", "pipe.txt", "two.txt"), "it is not a regular file"),
        }
        # Readable again: indexed. No longer readable: removed.
        (folder / "rows.jsonl").write_text('{"text": "One."}\n{"text": "Two.", "name": "t"}\n')
        (folder / "a.txt").write_bytes(b"\xff")
        changes = index.update(folder, encoding="latin-1")
        assert changes.removed == 0
        assert {"rows.jsonl#1", "rows.jsonl#t", "latin.txt"} < set(index.names)
        assert index.text("latin.txt") == "Größe"
        assert index.text("a.txt") == "ÿ"
        assert index.encoding == "latin-1"
        # Without an encoding, that of the last update.
        changes = index.update(folder)
        assert (changes.written, changes.removed, changes.kept) == (0, 0, 6)
        changes = index.update(folder, encoding="utf-8")
        assert (index.encoding, changes.removed) == ("utf-8", 2)
        reason = "it is not UTF-8 at byte 0. Name its encoding with `encoding`"
        assert changes.unreadable["a.txt"] == reason
        assert not {"a.txt", "latin.txt"} & set(index.names)
        for path, encoding, error, message in (
            (folder, "klingon", ValueError, r"`encoding` must be the name of an encoding, such as"),
            (folder, "rot13", ValueError, r"`encoding` must be the name of an encoding, such as"),
            (
                folder / "no",
                None,
                FileNotFoundError,
                r"`folder` must be a folder or a file\. There",
            ),
            (tmp_path / "a.index", None, ValueError, r"`folder` must be .* that ends in \."),
        ):
            with pytest.raises(error, match=f"^{message}"):
                index.update(path, encoding=encoding)


def test_encodings_are_detected(tmp_path) -> None:
    path = tmp_path / "a.txt"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        path.write_bytes("é\r\n猫\r".encode(encoding))
        assert read(path) == [("a.txt", "é\n猫\n")]
    path.write_bytes("猫".encode("shift_jis"))
    assert read(path, "shift_jis") == [("a.txt", "猫")]
    page = tmp_path / "a.html"
    page.write_bytes('<meta charset="iso-8859-1"><p>é</p>'.encode("latin-1"))
    assert read(page) == [("a.html", "é")]
    page.write_bytes('<meta charset="rot13"><p>é</p>'.encode("latin-1"))
    with pytest.raises(ValueError, match=r"^it is not UTF-8 at byte 25\. Name its encoding"):
        read(page)
    table = tmp_path / "a.csv"
    table.write_bytes("name,text\nx,é".encode("utf-16"))
    assert read(table) == [("a.csv#x", "é")]


def test_rows_of_tables_are_documents_or_lines(tmp_path) -> None:
    table = tmp_path / "prices.tsv"
    table.write_text('name\tprice\tnote\nferry\t3\t"two\nlines"\nbus\t2\t\n')
    assert read(table) == [
        ("prices.tsv", "name: ferry; price: 3; note: two lines\n\nname: bus; price: 2")
    ]
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "One.", "id": 7}\n\n{"text": "Two.", "name": "b"}\n{"text": ""}\n')
    assert read(rows) == [("rows.jsonl#7", "One."), ("rows.jsonl#b", "Two."), ("rows.jsonl#3", "")]
    rows.write_text('{"a": 1}\n{"text": "x"}\n')
    assert read(rows) == [("rows.jsonl", "a: 1\n\ntext: x")]
    rows.write_text("")
    assert read(rows) == []


def test_long_names_of_columns_are_shortened_in_each_row(tmp_path) -> None:
    # 30,000 rows below such a name took gigabytes.
    table = tmp_path / "a.csv"
    table.write_text("b" * 200_000 + ",c\n" + "1,2\n" * 30_000)
    ((_, text),) = read(table)
    assert text == "\n\n".join([f"{'b' * 80}: 1; c: 2"] * 30_000)


def test_an_index_of_another_way_of_reading_is_read_again(folder, tmp_path) -> None:
    path = tmp_path / "a.index"
    with Index.create(path) as index:
        index.update(folder)
        assert index.update(folder).written == 0
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE settings SET value = 0 WHERE name = 'reading'")
        connection.execute("UPDATE passages SET line = 7 WHERE document = 1")
        connection.execute("DELETE FROM checksums")
    connection.close()
    with Index.open(path) as index:
        with pytest.warns(UserWarning, match="was made by a keras-qa that reads files in another"):
            assert index.search("warranty")[0].line == 7
        # Once.
        assert index.search("warranty")[0].line == 7
        changes = index.update(folder)
        assert (changes.written, changes.kept) == (2, 0)
    with Index.open(path) as index:
        assert index.search("warranty")[0].line == 1
        assert index.update(folder).kept == 2


def test_passages_have_no_markup(tmp_path) -> None:
    (tmp_path / "a.md").write_text(
        "---\ntitle: Ferries\n---\n\n## *Oslo*\n\nA **ferry**\nleaves.\n"
    )
    with Index.create(tmp_path / "a.index") as index:
        index.update(tmp_path / "a.md")
        text = index.text("a.md")
        (passage,) = index.search("ferry")
        assert passage.text == "Ferries\n\nOslo\n\nA ferry\nleaves."
        assert (passage.heading, passage.line) == ("Ferries > Oslo", 2)
        assert index.visible_text("a.md").text == f"{passage.text}\n"
        start, end = passage.span(passage.text.index("ferry"), passage.text.index("leaves"))
        assert text[start:end] == "ferry**\n"
        assert passage.locate(start) == (7, None)
        assert text[slice(*passage.span(0, len(passage.text)))] == text[passage.start : passage.end]
        # FTS5 finds no words of the markup, and deletes those of the text.
        assert index.search("title") == []
        index.remove("a.md")
        assert index.search("ferry") == []
        with pytest.raises(KeyError, match="The index has no document 'a.md'"):
            index.visible_text("a.md")


def test_pdf_pages(tmp_path) -> None:
    pages = [lines("Page one says hello."), lines("Page two\nhas the warranty.")]
    write_pdf(tmp_path / "a.pdf", pages)
    with Index.create(tmp_path / "a.index") as index:
        index.update(tmp_path / "a.pdf")
        text = index.text("a.pdf")
        assert text == "Page one says hello.\n\nPage two\nhas the warranty."
        (passage,) = index.search("warranty")
        assert (passage.page, passage.line, passage.pages) == (1, 1, (0, 22))
        assert passage.locate(text.index("warranty")) == (4, 2)
        assert passage.locate(text.index("hello")) == (1, 1)


def test_docx_headings_and_tables(tmp_path) -> None:
    path = tmp_path / "a.docx"
    made = docx.Document()
    made.add_heading("Guide", 0)
    made.add_heading("Warranty", 2)
    made.add_paragraph("Two\tyears.\nNo more.").add_run().add_break(WD_BREAK.PAGE)
    table = made.add_table(3, 3)
    table.cell(0, 1).merge(table.cell(0, 2))
    table.cell(1, 0).merge(table.cell(2, 0))
    texts = (("kind", "price", "price"), ("ferry", "3", "4"), ("ferry", "5", "6"))
    for row, column in itertools.product(range(3), range(3)):
        table.cell(row, column).text = texts[row][column]
    made.save(path)
    assert read(path) == [
        (
            "a.docx",
            "Guide\n\nWarranty\n\nTwo\tyears.\nNo more.\n\nkind: price\n\nferry; 3; 4\n\n"
            "ferry; 5; 6",
        )
    ]


def test_the_first_row_of_a_docx_table_names_more_than_two_columns(tmp_path) -> None:
    made = docx.Document()
    for rows in (["ABC", "123", "4 6"], ["AB", "12"], ["ABC"]):
        table = made.add_table(len(rows), len(rows[0]))
        for row, texts in zip(table.rows, rows, strict=True):
            for cell, text in zip(row.cells, texts, strict=True):
                cell.text = text.strip()
        made.add_paragraph(" ")
    made.save(tmp_path / "a.docx")
    expected = "A: 1; B: 2; C: 3\n\nA: 4; C: 6\n\nA: B\n\n1: 2\n\nA; B; C"
    assert read(tmp_path / "a.docx") == [("a.docx", expected)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val='1000000000'/></w:tcPr>"
            "<w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc></w:tr></w:tbl>",
            "a",
        ),
        (
            "<w:tbl>"
            + "<w:tr><w:tc><w:tcPr><w:vMerge/></w:tcPr><w:p/></w:tc></w:tr>" * 5_000
            + "</w:tbl>",
            "",
        ),
        # A long cell is not repeated.
        (
            "<w:tbl><w:tr><w:tc><w:tcPr><w:vMerge w:val='restart'/></w:tcPr><w:p><w:r>"
            f"<w:t>{'a' * 1_000}</w:t></w:r></w:p></w:tc></w:tr>"
            + "<w:tr><w:tc><w:tcPr><w:vMerge/></w:tcPr><w:p/></w:tc></w:tr>" * 9
            + "</w:tbl>",
            "a" * 1_000,
        ),
        ("<w:p>" + "<w:r><w:t>a</w:t></w:r><w:hyperlink/>" * 50_000 + "</w:p>", "a" * 50_000),
        ("<w:p><w:r>" + "<w:t>a</w:t><w:tab/>" * 50_000 + "</w:r></w:p>", ("a\t" * 50_000).strip()),
    ],
)
def test_docx_is_read_in_linear_time(tmp_path, body: str, expected: str) -> None:
    made = io.BytesIO()
    docx.Document().save(made)
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(tmp_path / "a.docx", "w") as archive:
        for name in old.namelist():
            content = old.read(name)
            if name == "word/document.xml":
                content = content[: content.index(b"<w:body>") + 8] + body.encode()
                content += b"</w:body></w:document>"
            archive.writestr(name, content)
    assert read(tmp_path / "a.docx") == [("a.docx", expected)]


def test_files_beyond_the_limits_are_unreadable(folder, tmp_path, monkeypatch) -> None:
    docx.Document().save(folder / "a.docx")
    with zipfile.ZipFile(folder / "many.docx", "w") as archive:
        for number in range(10_001):
            archive.writestr(str(number), "")
    with zipfile.ZipFile(folder / "zeros.docx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/media/document.xml", bytes(2**25 + 1))
    with open(folder / "large.html", "wb") as file:
        file.truncate(10_001)
    (folder / "rows.csv").write_text("a\n" + "1\n" * 6_000)
    with monkeypatch.context() as patch:
        patch.setattr(file_formats, "MAX_BYTES", 10_000)
        assert read(folder / "rows.csv")[0][0] == "rows.csv"
        for name in ("a.docx", "large.html", "many.docx", "zeros.docx"):
            with pytest.raises(ValueError, match=r"^it is larger than a gigabyte$"):
                read(folder / name)
    with Index.create(tmp_path / "a.index") as index:
        changes = index.update(folder)
        assert changes.unreadable == {
            "large.html": "it contains zero bytes, so it is not text",
            # The file has 837,888 bytes, and the limit is 50 times as much.
            "many.docx": "it unpacks to more than 41,894,400 bytes or 10,000 files",
            "zeros.docx": "it unpacks to more than 33,554,432 bytes or 10,000 files",
        }
        assert "a.docx" in index.names


def test_damaged_files_are_unreadable_and_the_others_are_read(folder, tmp_path) -> None:
    docx.Document().save(folder / "good.docx")
    content = bytearray((folder / "good.docx").read_bytes())
    with zipfile.ZipFile(folder / "good.docx") as archive:
        start = archive.getinfo("word/document.xml").header_offset + 60
    # zlib itself raises an error for some bits, and the checksum shows the others.
    for number in range(16):
        damaged = content.copy()
        damaged[start + number // 8] ^= 1 << number % 8
        (folder / f"{number}.docx").write_bytes(damaged)
    names = ["a.txt", "good.docx", "guide/b.md"]
    with Index.create(tmp_path / "a.index") as index:
        reasons = index.update(folder).unreadable
        assert sorted(index.names) == names
    assert sorted(reasons) == sorted(f"{number}.docx" for number in range(16))
    assert all(one.startswith("it is not a readable DOCX file: ") for one in reasons.values())
    assert any("while decompressing data" in one for one in reasons.values())
    with pytest.warns(UserWarning, match=r"^Left out \d+\.docx: it is not a readable DOCX file: "):
        (verdict,) = verify("The warranty is two years.", folder, reader=None)
    assert (verdict.supported, verdict.document) == (True, "a.txt")


def test_links_to_files_outside_the_folder_are_skipped(folder, tmp_path) -> None:
    (tmp_path / "secret.txt").write_text("Secret.")
    (folder / "..data").mkdir()
    (folder / "..data" / "c.txt").write_text("Mounted.")
    (folder / "c.txt").symlink_to("..data/c.txt")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "guide" / "up.txt").symlink_to("../../secret.txt")
    (tmp_path / "link").symlink_to(folder)
    os.mkfifo(tmp_path / "pipe.txt")
    with Index.create(tmp_path / "a.index") as index:
        # The folder itself may be a link.
        changes = index.update(tmp_path / "link")
        assert sorted(index.names) == ["a.txt", "c.txt", "guide/b.md"]
        reason = "it is a link to a file outside the folder"
        assert changes.unreadable == {"guide/up.txt": reason, "out.txt": reason}
        message = r"^`folder` must be a folder, or a regular file that ends in \.txt, .*pipe\.txt'"
        with pytest.raises(ValueError, match=message):
            index.update(tmp_path / "pipe.txt")


def test_files_exchanged_after_the_listing_are_not_followed(folder, tmp_path) -> None:
    (tmp_path / "secret").mkdir()
    for name in ("a.txt", "b.md", "c.csv", "d.jsonl", "e.html", "f.rst", "g.pdf", "h.docx"):
        (tmp_path / "secret" / name).write_text("Secret.")
        (folder / "guide" / name).write_text("Read.")
        os.mkfifo(folder / f"pipe-{name}")
        (folder / f"link-{name}").symlink_to(tmp_path / "secret" / name)
    (folder / "null.txt").symlink_to("/dev/zero")
    names = [path.name for path in folder.iterdir() if path.is_symlink() or path.is_fifo()]
    for name in names:
        with pytest.raises(OSError, match="it is not a regular file"):
            read(folder / name)

    def exchange(done: int, total: int) -> None:
        # All files are listed before the first one is read.
        if done == 1:
            (folder / "guide").rename(tmp_path / "old")
            (folder / "guide").symlink_to(tmp_path / "secret")

    with Index.create(tmp_path / "a.index", language="en") as index:
        reasons = index.update(folder, progress=exchange).unreadable
        assert index.names == ["a.txt"]
        inside = [reason for name, reason in reasons.items() if name.startswith("guide/")]
        assert inside == ["it is not a regular file"] * 8


def test_missing_libraries_are_named(tmp_path) -> None:
    for name in ("a.pdf", "a.docx"):
        (tmp_path / name).write_bytes(b"x")
    # The process that parses has the path of this one.
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for name in ("pypdfium2", "docx"):
        (hidden / f"{name}.py").write_text("raise ModuleNotFoundError")
    code = f"""
from keras_qa.documents import Index
with Index.create({str(tmp_path / "a.index")!r}) as index:
    for entry in index.update({str(tmp_path)!r}).unreadable.items():
        print(*entry)
"""
    done = python(code, PYTHONPATH=os.pathsep.join([str(hidden), *filter(None, sys.path)]))
    extra = '`pip install "keras-qa[documents]"`'
    assert done.stdout.splitlines() == [
        f"a.docx reading it needs python-docx. Install it with {extra}",
        f"a.pdf reading it needs pypdfium2. Install it with {extra}",
    ], done.stderr
