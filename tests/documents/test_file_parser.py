"""The process that parses files: its limits, and that it changes no results."""

import os
import subprocess
import sys

import pytest
from interpreters import python
from pdf_files import lines, write_pdf

from keras_qa.documents import Index
from keras_qa.documents.file_formats import read_documents
from keras_qa.documents.file_parser import Parser, ReadError

# A form that draws itself twice: PDFium takes gigabytes for it.
FORM = b"""%PDF-1.7
1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj
2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1 >> endobj
3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100]
/Resources << /XObject << /F 4 0 R >> >> /Contents 5 0 R >> endobj
4 0 obj << /Type /XObject /Subtype /Form /BBox [0 0 9 9]
/Resources << /XObject << /F 4 0 R >> >> /Length 12 >> stream
/F Do /F Do
endstream endobj
5 0 obj << /Length 6 >> stream
/F Do
endstream endobj
trailer << /Root 1 0 R >>
"""


TEXT = b"BT /F0 10 Tf 20 50 Td (Words on a page.) Tj ET\n" * 40
# A file that lists one page many times.
PAGES = b"""%%PDF-1.7
1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj
2 0 obj << /Type /Pages /Kids [%s] /Count 60000 >> endobj
3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 200 100]
/Resources << /Font << /F0 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>
/Contents 4 0 R >> endobj
4 0 obj << /Length %d >> stream
%s
endstream endobj
trailer << /Root 1 0 R >>
""" % (b"3 0 R " * 60_000, len(TEXT), TEXT)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "folder"
    made.mkdir()
    (made / "a.txt").write_text("The warranty is two years.")
    (made / "z.md").write_text("# Returns\n\nSend it *back* within a month.")
    return made


@pytest.fixture
def starts(monkeypatch):
    counted = []

    class Counted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            counted.append(self)

    monkeypatch.setattr(subprocess, "Popen", Counted)
    yield counted
    # None is left.
    assert all(process.poll() is not None for process in counted)


def test_a_file_that_takes_too_long_or_too_much_loses_no_other(folder, tmp_path, starts) -> None:
    (folder / "pages.pdf").write_bytes(PAGES)
    (folder / "form.pdf").write_bytes(FORM)
    # Each cell is read with the name of its column.
    names = ",".join(f"{number}{'a' * 76}" for number in range(100, 400))
    (folder / "wide.csv").write_text(f"{names}\n" + ("1," * 299 + "1\n") * 10_000)
    with Index.create(tmp_path / "a.index", language="en") as index:
        reasons = index.update(folder, max_seconds=6, max_memory=0.2).unreadable
        assert index.names == ["a.txt", "z.md"]
        assert index.search("month")[0].document == "z.md"
    assert reasons.pop("pages.pdf") == "reading it takes more than 6 seconds"
    assert set(reasons) == {"form.pdf", "wide.csv"}
    assert all("0.2 GiB of memory" in reason for reason in reasons.values()), reasons
    # A file that ended the process is followed by another one.
    assert len(starts) == 4


def test_the_process_starts_only_for_changed_files(folder, tmp_path, starts) -> None:
    with Index.create(tmp_path / "a.index") as index:
        index.update(folder)
        assert len(starts) == 1
        assert index.update(folder).kept == 2
        assert len(starts) == 1
        (folder / "z.md").write_text("# Returns\n\nNew.")
        assert index.update(folder).written == 1
        assert len(starts) == 2
        for option in ("max_seconds", "max_memory"):
            with pytest.raises(ValueError, match=f"^`{option}` must be a positive number"):
                index.update(folder, **{option: 0})


def test_documents_are_the_same_as_in_this_process(folder) -> None:
    (folder / "b.html").write_text("<title>T</title><h2>A</h2><p>b&#55357;c")
    (folder / "rows.jsonl").write_text(
        '{"text": "One.", "name": "\\ud83d"}\n{"text": "Two \\udcff."}\n'
    )
    (folder / "t.rst").write_text("T\n=\n\nSee :ref:`a <b>`.\n")
    (folder / "\udcff.txt").write_text("An odd name.")
    write_pdf(folder / "p.pdf", [lines("Page one."), lines("Page two.")])
    parser = Parser()
    for path in sorted(folder.iterdir()):
        parsed = list(parser.parse(os.fspath(path), path.name, None))
        for document, expected in zip(parsed, read_documents(path, path.name), strict=True):
            assert document == expected
            assert tuple(document.headings or ()) == tuple(expected.headings or ())
    (folder / "bad.txt").write_bytes(b"caf\xe9")
    with pytest.raises(ReadError, match="^it is not UTF-8 at byte 3"):
        list(parser.parse(os.fspath(folder / "bad.txt"), "bad.txt", None))
    # The rest of a file is left for another one.
    rows = parser.parse(os.fspath(folder / "rows.jsonl"), "rows.jsonl", None)
    assert next(rows).text == "One."
    (document,) = parser.parse(os.fspath(folder / "a.txt"), "a.txt", None)
    assert document.text == "The warranty is two years."
    parser.close()


def test_the_process_imports_no_keras_and_nothing_from_the_current_folder(folder, tmp_path) -> None:
    (folder / "json.py").write_text("raise SystemExit('executed')")
    # Without `if __name__ == "__main__"`.
    script = tmp_path / "script.py"
    script.write_text(
        "from keras_qa.documents import Index\n"
        "with Index.create('../a.index') as index:\n"
        "    changes = index.update('.')\n"
        "    print(len(index), changes.unreadable)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("2 {}\n", "")
    code = "import sys, keras_qa.documents.file_parser; print('keras' in sys.modules)"
    assert python(code).stdout == "False\n"


def test_a_process_that_cannot_start_is_an_error(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with (
        Index.create(tmp_path / "a.index") as index,
        pytest.raises(OSError, match=r"^The process that parses files could not start: .*keras_qa"),
    ):
        index.update(folder)
