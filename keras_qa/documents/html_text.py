"""The visible text of HTML, as edits of the page."""

from __future__ import annotations

import html
import re

from keras_qa.documents.visible_text import Edit, Heading, VisibleText, cell_labels, tidy

# Comments, declarations and tags of HTML. Each match ends at the latest with the page and never
# backtracks, so that the time is linear, unlike that of `html.parser` before Python 3.13.6.
MARKUP = re.compile(
    r"<(?:!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|(?:[!?]|/(?![a-z]))[^>]*+>?"
    r"|(/?)([a-z][^\s/>]*+)((?:[^>=]++|=\s*+(?:\"[^\"]*+\"?|'[^']*+'?)|=)*+)>?)",
    re.I | re.S,
)
_SPACE_OR_ENTITY = re.compile(r"(?:\s{2,}|[^\S ]|&#?\w+;?)")
_SPAN = re.compile(r"\b(col|row)span\s*=\s*[\"']?(\d{1,3})", re.I)

# Elements whose text is not visible, and those that are blocks of text.
_HIDDEN = {
    *("script", "style", "template", "noscript", "svg"),
    *("head", "iframe", "object", "nav", "title"),
}
_NAMES = (
    "address article aside blockquote body caption dd details dialog div dl dt fieldset figcaption "
    "figure footer form header hr html li main nav ol p pre section summary table tbody tfoot "
    "thead tr ul"
)
BLOCKS = frozenset(_NAMES.split())
# An entry of a list of definitions is a term and its definition, on consecutive lines.
_LINES = {"dt", "dd"}
_LEVELS = {f"h{level}": level for level in range(1, 7)}
# Elements whose content has no markup.
_RAW = {"script", "style", "title", "textarea", "iframe", "xmp"}


def read_html(page: str) -> tuple[str, tuple[Heading, ...]]:
    """Returns the visible text of a page, and its headings. The title replaces `h1`."""
    reader = HtmlReader(page)
    reader.read(0, len(page))
    edits, headings = reader.close(), reader.headings
    visible = None
    # What is outside of the main content is the same on all pages of a site.
    if reader.main is not None:
        start, end = reader.main
        inside = [edit for edit in edits if start <= edit[0] and edit[1] <= end]
        inside = [(0, start, ""), *inside, (end, len(page), "")]
        visible = VisibleText(page, tidy(page, inside, keep_indents=False))
    # A script may write the main content.
    if visible is None or not visible.text.strip():
        visible = VisibleText(page, tidy(page, edits, keep_indents=False))
    else:
        headings = [heading for heading in headings if start <= heading.start < end]
    text, headings = visible.text, [heading.seen_in(visible) for heading in headings]
    if reader.title and not any(heading.level == 1 for heading in headings):
        before = len(reader.title) + 2
        text = f"{reader.title}\n\n{text}"
        headings = [Heading(start + before, end + before, level) for start, end, level in headings]
        headings.insert(0, Heading(0, len(reader.title), 0))
    return text, tuple(headings)


class _Cell:
    """A cell of a table, by the number of the edit at its start."""

    def __init__(self, edit: int, column: int, is_header: bool) -> None:
        self.edit, self.column, self.is_header = edit, column, is_header
        self.parts: list[str] = []


class _Table:
    """The columns of a table, and its current row."""

    def __init__(self) -> None:
        self.columns: dict[int, str] = {}
        self.cells: list[_Cell] = []
        self.cell: _Cell | None = None
        self.column = self.row = 0
        # By the first column of a cell of several rows, the next column and the row below.
        self.covered: dict[int, tuple[int, int]] = {}
        # The first edit of the current row, and the edits and the end of the row of headers,
        # which is not visible if other rows follow.
        self.row_edit = 0
        self.header: tuple[int, int, int] | None = None

    def begin_cell(self, edit: int, is_header: bool, attributes: str) -> None:
        spans = {name.lower(): int(count) for name, count in _SPAN.findall(attributes)}
        while (above := self.covered.get(self.column)) is not None and self.row < above[1]:
            self.column = above[0]
        self.cell = _Cell(edit, self.column, is_header)
        self.cells.append(self.cell)
        stop = self.column + max(spans.get("col", 1), 1)
        if spans.get("row", 1) > 1:
            self.covered[self.column] = stop, self.row + spans["row"]
        self.column = stop

    def end_row(self) -> list[_Cell]:
        """Begins the next row, and returns the cells of this one."""
        cells, self.cells, self.cell, self.column = self.cells, [], None, 0
        self.row += bool(cells)
        return cells


class HtmlReader:
    """Collects the edits that make a page, or parts of it, their visible text.

    `title` has the text of that element, and `main` the span of the page in its `main`, if any.
    """

    def __init__(self, page: str) -> None:
        self.page = page
        self.edits: list[Edit] = []
        self.headings: list[Heading] = []
        self.title = ""
        self.main: tuple[int, int] | None = None
        self._hidden: list[str] = []
        self._tables: list[_Table] = []
        self._heading: tuple[int, int] | None = None
        self._pre_depth = 0
        self._position = 0

    def read(self, start: int, end: int) -> None:
        """Reads a part of the page."""
        while match := MARKUP.search(self.page, start, end):
            self._add_text(start, match.start())
            start = match.end()
            tag, attributes = (match[2] or "").lower(), match[3] or ""
            replacement = ""
            if match[1]:
                replacement = self._end(tag, match.start())
            elif tag:
                replacement = self._start(tag, match)
                if attributes.endswith("/"):
                    replacement += self._end(tag, match.start()) if tag in _HIDDEN else ""
            self.edits.append((*match.span(), replacement))
            if tag in _RAW and not match[1] and not attributes.endswith("/"):
                until = re.compile(rf"</{tag}(?=[\s/>])|\Z", re.I).search(self.page, start, end)
                last = end if until is None else until.start()
                if tag == "title" and not self.title:
                    self.title = " ".join(html.unescape(self.page[start:last]).split())
                self._add_text(start, last)
                start = last
        self._add_text(start, end)
        self._position = end

    def close(self) -> list[Edit]:
        """Ends open rows, and returns the edits."""
        while self._tables:
            self._end_row(self._tables.pop(), self._position)
        return self.edits

    def _start(self, tag: str, match: re.Match[str]) -> str:
        """Returns what replaces a tag that starts an element."""
        if tag == "body":
            # `</head>` may be missing.
            self._hidden = []
        elif tag in _HIDDEN and tag not in self._hidden:
            self._hidden.append(tag)
        if self._hidden:
            return ""
        if tag == "main" and self.main is None:
            self.main = match.end(), len(self.page)
        table = self._tables[-1] if self._tables else None
        if tag in _LEVELS:
            self._heading = _LEVELS[tag], match.end()
            return "\n\n"
        if tag == "table":
            if table is not None and table.cell is not None:
                table.cell.parts.append(".")
            self._tables.append(_Table())
            return "\n\n"
        if table is not None and tag in ("td", "th"):
            table.begin_cell(len(self.edits), tag == "th", match[3])
            return " "
        if table is not None and tag in ("tr", "thead", "tbody", "tfoot"):
            self._end_row(table, match.start())
            table.row_edit = len(self.edits)
            return "\n\n"
        if tag == "dt" and table is None:
            return "\n\n"
        self._pre_depth += tag == "pre"
        return "\n" if tag == "br" else self._break(tag)

    def _end(self, tag: str, position: int) -> str:
        """Returns what replaces a tag that ends an element."""
        if tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
            return ""
        if self._hidden:
            return ""
        if tag == "main" and self.main is not None:
            self.main = self.main[0], position
        if tag in _LEVELS and self._heading is not None:
            level, start = self._heading
            self._heading = None
            if self.page[start:position].strip():
                self.headings.append(Heading(start, position, level))
            return "\n\n"
        if self._tables:
            if tag in ("td", "th"):
                self._tables[-1].cell = None
                return ""
            if tag in ("tr", "table"):
                self._end_row(self._tables[-1], position)
                if tag == "table":
                    self._tables.pop()
                    return "\n\n"
                return ""
        self._pre_depth = max(self._pre_depth - (tag == "pre"), 0)
        return self._break(tag)

    def _break(self, tag: str) -> str:
        """Returns the line breaks around an element."""
        if tag in _LINES or (self._tables and tag in BLOCKS):
            return "\n"
        return "\n\n" if tag in BLOCKS or tag in _LEVELS else ""

    def _add_text(self, start: int, end: int) -> None:
        if start == end:
            return
        if self._hidden:
            self.edits.append((start, end, ""))
            return
        cell = self._tables[-1].cell if self._tables else None
        if self._tables and cell is None and self.page[start:end].isspace():
            self.edits.append((start, end, ""))
            return
        first = len(self.edits)
        for match in _SPACE_OR_ENTITY.finditer(self.page, start, end):
            part = match[0]
            seen = html.unescape(part) if part[0] == "&" else part if self._pre_depth else " "
            if seen != part:
                self.edits.append((*match.span(), seen))
        edits = [(low - start, high - start, new) for low, high, new in self.edits[first:]]
        self.add_to_cell(VisibleText(self.page[start:end], edits).text)

    def add_to_cell(self, text: str) -> None:
        """Adds visible text to the cell that is open, if there is one."""
        if self._tables and self._tables[-1].cell is not None:
            self._tables[-1].cell.parts.append(text)

    def _end_row(self, table: _Table, position: int) -> None:
        """Writes the labels of the cells of a row, or keeps them as the columns of the table."""
        cells = table.end_row()
        texts = [" ".join(" ".join(cell.parts).split()) for cell in cells]
        if not cells:
            return
        is_header = all(cell.is_header for cell in cells)
        columns = ["" if is_header else table.columns.get(cell.column, "") for cell in cells]
        labels = cell_labels(texts, columns)
        # The header of a row names the next cell.
        if len(cells) > 1 and cells[0].is_header and not cells[1].is_header and not any(columns):
            labels[1] = labels[1] and ": "
        for cell, label in zip(cells, labels, strict=True):
            start, end, _ = self.edits[cell.edit]
            self.edits[cell.edit] = (start, end, label)
        if is_header and len(cells) > 1:
            table.columns = {
                cell.column: text for cell, text in zip(cells, texts, strict=True) if text
            }
            table.header = (table.row_edit, len(self.edits), position)
        elif table.header is not None:
            first, last, end = table.header
            self.edits[first] = (self.edits[first][0], end, "\n")
            self.edits[first + 1 : last] = [(end, end, "")] * (last - first - 1)
            table.header = None
