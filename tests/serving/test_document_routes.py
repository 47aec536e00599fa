"""Pages of PDF files, and where answers are on them, over HTTP."""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Iterator

import pytest
from pdf_files import at, write_pdf
from servers import error_of, send, serve

from keras_qa.documents import Index, pdf


@pytest.fixture
def index(tmp_path) -> Iterator[Index]:
    """A text, and a PDF file in a folder that is beside another one."""
    folder = tmp_path / "folder"
    folder.mkdir()
    write_pdf(folder / "a b.pdf", [at(50, 700, "the car is blue."), at(50, 700, "the box is red.")])
    write_pdf(tmp_path / "other.pdf", [at(50, 700, "the sky is grey.")])
    (folder / "a.txt").write_text("the door is green.")
    with Index.create(tmp_path / "a.index", language="en") as index:
        index.update(folder)
        yield index


def test_pages_and_boxes_are_those_of_the_index(qa, index) -> None:
    with serve(qa, index) as url:
        asked = send(f"{url}/ask", {"question": "What colour is the box?"})[1]
        assert (asked["document"], asked["page"]) == ("a b.pdf", 2)
        part = asked["start"], asked["end"]
        boxes = [dataclasses.asdict(box) for box in index.boxes("a b.pdf", *part)]
        assert [box["page"] for box in boxes] == [2]
        path = "{}/documents/boxes?name=a+b.pdf&start={}&end={}"
        found = {"document": "a b.pdf", "boxes": boxes}
        assert send(path.format(url, *part))[1] == found
        # Without an end, it is that of the longest part.
        whole = send(f"{url}/documents/boxes?name=a+b.pdf")[1]["boxes"]
        assert [box["page"] for box in whole] == [1, 2]
        for page in (1, 2):
            status, picture, headers = send(f"{url}/documents/page?name=a+b.pdf&page={page}")
            assert (status, picture) == (200, index.draw_page("a b.pdf", page))
            assert headers["content-type"] == "image/png"
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
        assert send(f"{url}/documents/boxes?name=a.txt")[1]["boxes"] == []


def test_what_is_no_page_is_said_in_one_line(qa, index, tmp_path, monkeypatch) -> None:
    with serve(qa, index, max_text=50) as url:
        path = f"{url}/documents/page?name="
        none = "cannot be shown. There is none, or its PDF file is missing or has changed."
        for name, page in (("a b.pdf", 0), ("a b.pdf", 3), ("a b.pdf", 10**9), ("a.txt", 1)):
            assert error_of(f"{path}{name.replace(' ', '+')}&page={page}") == (
                f"404 Page {page} of {name!r} {none} `/docs` lists the routes."
            )
        for name in ("c", "", "../other.pdf", "%2e%2e%2fother.pdf", f"{tmp_path}/other.pdf"):
            assert error_of(f"{path}{name}").startswith("404 The index has no document '")
        for page in ("-1", "x", "1.0", "%31%00", "9" * 11, "%C2%B2"):
            assert error_of(f"{path}a+b.pdf&page={page}").startswith("400 `page` must be a non-")
        for query in ("start=-1", "start=5&end=4", "end=51"):
            assert error_of(f"{url}/documents/boxes?name=a+b.pdf&{query}").startswith("400 `")
        assert error_of(f"{url}/documents/boxes?name=c").startswith("404 The index has no ")
        with monkeypatch.context() as context:
            context.setitem(sys.modules, "pypdfium2", None)
            for route in ("page", "boxes"):
                assert error_of(f"{url}/documents/{route}?name=a+b.pdf") == (
                    "404 A PDF file needs the package pypdfium2. Install it with `pip install "
                    '"keras-qa[documents]"`. `/docs` lists the routes.'
                )
        # The file is another one now.
        file = tmp_path / "folder" / "a b.pdf"
        file.unlink()
        file.symlink_to(tmp_path / "other.pdf")
        assert none in error_of(f"{path}a+b.pdf")
        assert send(f"{url}/documents/boxes?name=a+b.pdf")[1]["boxes"] == []


def test_pages_wait_for_each_other_and_keep_nobody_else_waiting(qa, index, monkeypatch) -> None:
    drawing, draw_page = threading.Event(), index.draw_page

    def draw(*arguments):
        drawing.set()
        return draw_page(*arguments)

    monkeypatch.setattr(index, "draw_page", draw)
    with serve(qa, index, timeout=0.2) as url:
        path = f"{url}/documents/page?name=a+b.pdf"
        threads = [threading.Thread(target=send, args=(path,)) for _ in range(60)]
        # As another page that PDFium draws for very long.
        with pdf._LOCK:
            for thread in threads:
                thread.start()
            # Otherwise the next request might be the one that waits for the lock, for ever.
            assert drawing.wait(30)
            status, found, headers = send(path)
            assert (status, found) == (503, {"error": "Other pages are being read."})
            assert headers["Retry-After"] == "5"
            assert send(f"{url}/documents/text?name=a.txt")[1]["text"] == "the door is green."
        for thread in threads:
            thread.join()
        assert send(path)[0] == 200
