"""The visible text of Markdown, as edits of the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from keras_qa.documents.html_text import BLOCKS, MARKUP, HtmlReader
from keras_qa.documents.site_markup import SiteMarkup
from keras_qa.documents.visible_text import (
    Edit,
    Heading,
    Lines,
    VisibleText,
    cell_labels,
    end_unit,
    field_edits,
    tidy,
    without_overlap,
)

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

_MAIL = re.compile(r"\(<?mailto:([^\s?>()]+)")
_PREFIX = re.compile(r"(?:[>#]+[ \t]*)+")
_BAR = re.compile(r"(?<!\\)\|")


def read_markdown(text: str) -> tuple[tuple[Edit, ...], tuple[Heading, ...]]:
    """Returns the edits that turn Markdown into its visible text, and its headings."""
    reader = _MarkdownReader(text)
    reader.read()
    return tidy(text, without_overlap(reader.edits)), tuple(sorted(reader.headings))


class _MarkdownReader:
    """Collects the edits of a text. What no rule describes stays visible."""

    def __init__(self, text: str) -> None:
        markup = SiteMarkup(text)
        self.edits, self.headings = markup.edits, markup.headings
        self.html = HtmlReader(text)
        self.text = markup.blanked
        self.lines = self.text.split("\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.parser = _make_parser()
        self.env: dict[str, Any] = {}

    def read(self) -> None:
        tokens = self.parser.parse(self.text, self.env)
        references = [*self.env.get("references", {}).items()]
        references += [(entry["label"], entry) for entry in self.env.get("duplicate_refs", ())]
        for label, reference in references:
            # A footnote of one word looks like a link.
            if not label.startswith("^"):
                self._remove_lines(*reference["map"])
        rows: list[int] = []
        heading: Token | None = None
        has_html = False
        for token in tokens:
            first, last = token.map or (0, 0)
            is_code = token.type in ("fence", "code_block")
            if token.type == "heading_open":
                heading = token
            elif token.type == "list_item_open" and first:
                self.edits.append(end_unit(self.starts[first]))
            elif token.type == "tr_open":
                rows.append(first)
            elif token.type == "table_close":
                self._read_table(rows)
                rows = []
            elif token.type == "inline" and not rows:
                self._read_inline(token, first, heading)
                heading = None
            elif token.type == "html_block" or (
                # HTML that is indented and follows an empty line.
                is_code and has_html and token.content.lstrip()[:1] == "<"
            ):
                self.html.read(self.starts[first], min(self.starts[last], len(self.text)))
                has_html = True
            elif is_code:
                self._read_code(token, first, last)
            elif token.type == "hr":
                self._remove_lines(first, last)
        self.edits += tidy(self.text, self.html.close(), keep_indents=False)
        self.headings += self.html.headings

    def _remove_lines(self, first: int, last: int) -> None:
        self.edits.append((self.starts[first], self.starts[last] - 1, ""))

    def _remove_prefix(self, start: int, end: int) -> None:
        """Removes the marks of quotations and headings before a line; those of lists stay."""
        for match in _PREFIX.finditer(self.text, start, end):
            self.edits.append((*match.span(), ""))

    def _read_inline(self, token: Token, first: int, heading: Token | None) -> None:
        """Reads a paragraph, or the title of a heading."""
        if token.map:
            first_line, last_line = token.map
            self.edits += field_edits(self.text, self.starts[first_line], self.starts[last_line])
        self.html.add_to_cell(token.content)
        starts = []
        for number, line in enumerate(token.content.split("\n"), start=first):
            within = self.lines[number].rfind(line.strip()) if number < len(self.lines) else -1
            if within < 0:
                return
            starts.append(self.starts[number] + within)
            self._remove_prefix(self.starts[number], starts[-1])
        lines = Lines(token.content, starts)
        for start, end, new in self._inline_edits(token.content):
            self.edits.append((lines.locate(start), lines.locate(end), new))
        if heading is not None and heading.map and token.content:
            end = lines.locate(len(token.content))
            self.headings.append(Heading(starts[0], end, int(heading.tag[1])))
            # Marks after the title, or below it.
            self.edits.append((end, self.starts[heading.map[1]] - 1, "\n\n"))

    def _inline_edits(self, content: str) -> list[Edit]:
        self.env["edits"], self.env["marks"] = [], []
        self.parser.inline.parse(content, self.parser, self.env, [])
        return _finish(self.env)

    def _read_code(self, token: Token, first: int, last: int) -> None:
        content = token.content.split("\n")[:-1]
        if token.type == "fence":
            mark = self.starts[first] + self.lines[first].find(token.markup)
            self._remove_prefix(self.starts[first], mark)
            self.edits.append((mark, self.starts[first + 1] - 1, ""))
            first += 1
            if last - first > len(content):
                self._remove_lines(last - 1, last)
        for number, line in enumerate(content, start=first):
            if number < last and self.lines[number].endswith(line):
                self._remove_prefix(self.starts[number], self.starts[number + 1] - 1 - len(line))

    def _read_table(self, rows: Sequence[int]) -> None:
        columns: list[str] = []
        for row in rows:
            start, line = self.starts[row], self.lines[row]
            at = len(line) - len(line.lstrip("> \t"))
            self._remove_prefix(start, start + at)
            cells = list(_cell_spans(line, at))
            edits = [self._inline_edits(line[first:last]) for first, last in cells]
            texts = [
                VisibleText(line[first:last], changes).text
                for (first, last), changes in zip(cells, edits, strict=True)
            ]
            if row == rows[0]:
                # The line below marks the row as the header.
                self._remove_lines(row + 1, row + 2)
                if len(rows) > 1:
                    columns = texts
                    self._remove_lines(row, row + 1)
                    continue
            if row:
                self.edits.append(end_unit(start))
            labels = cell_labels(texts, columns)
            for (first, last), label, changes in zip(cells, labels, edits, strict=True):
                self.edits.append((start + at, start + first, label))
                at, base = last, start + first
                self.edits += [(base + low, base + high, new) for low, high, new in changes]
            self.edits.append((start + at, start + len(line), ""))


def _cell_spans(line: str, start: int) -> Iterator[tuple[int, int]]:
    """Yields the spans of the cells of a row, without white space."""
    end = len(line.rstrip())
    bars = [match.start() for match in _BAR.finditer(line, start, end)]
    if bars[:1] == [start]:
        start = bars.pop(0) + 1
    if bars[-1:] == [end - 1]:
        end = bars.pop()
    for first, last in zip([start, *(bar + 1 for bar in bars)], [*bars, end], strict=True):
        cell = line[first:last]
        begin = first + len(cell) - len(cell.lstrip())
        yield begin, max(first + len(cell.rstrip()), begin)


_Rule = Callable[["StateInline", bool], bool]


def _make_parser() -> MarkdownIt:
    """Returns a parser whose rules for inline markup write their edits to `env`."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    # Inline content is read block by block, and its tokens stay as the rules make them.
    parser.disable(["inline", "text_join", "fragments_join"])
    ruler = parser.inline.ruler
    for name, rule in zip(ruler.get_active_rules(), ruler.getRules(""), strict=True):
        if name not in ("text", "newline"):
            ruler.at(name, _recording(name, rule))
    return parser


def _recording(name: str, rule: _Rule) -> _Rule:
    def apply(state: StateInline, silent: bool) -> bool:
        if silent:
            return rule(state, True)
        start, env = state.pos, state.env
        outer = env["edits"], env["marks"]
        if name == "image":
            # Its text is parsed apart.
            env["edits"], env["marks"] = [], []
        is_match = rule(state, False)
        inner = _finish(env) if name == "image" else []
        env["edits"], env["marks"] = outer
        if is_match and name in ("emphasis", "strikethrough"):
            at = state.pos
            for token in reversed(state.tokens):
                if at <= start:
                    break
                at -= len(token.content)
                env["marks"].append((at, token, token.content))
        elif is_match:
            env["edits"] += _edits_of(name, state, start, inner)
        return is_match

    return apply


def _finish(env: MutableMapping[str, Any]) -> list[Edit]:
    """Returns the edits of a block. Marks of emphasis without a pair stay."""
    marks = ((at, at + len(mark), "") for at, token, mark in env["marks"] if token.content != mark)
    return sorted([*env["edits"], *marks])


def _edits_of(name: str, state: StateInline, start: int, inner: list[Edit]) -> list[Edit]:
    """Returns the edits for what a rule has matched."""
    source, end = state.src, state.pos
    if name == "html_inline":
        tag = MARKUP.match(source, start, end)
        name = (tag[2] or "").lower() if tag is not None and not tag[1] else ""
        return [(start, end, "\n" if name == "br" or name in BLOCKS else "")]
    if name == "autolink":
        return [(start, start + 1, ""), (end - 1, end, "")]
    if name in ("link", "image"):
        text = start + 1 + (name == "image")
        last = state.md.helpers.parseLinkLabel(state, text - 1, name == "link")
        mail = _MAIL.match(source, last + 1, end)
        edits = [(text + low, text + high, new) for low, high, new in inner]
        if mail is None or mail[1] in source[text:last]:
            return [(start, text, ""), *edits, (last, end, "")]
        return [(start, text, ""), *edits, (last, mail.start(1), " ("), (mail.end(1), end, ")")]
    token = state.tokens[-1] if state.tokens and not state.pending else None
    if token is not None and token.type == "text_special":
        # An escaped character or an entity.
        return [(start, end, token.content)] if name == "entity" else [(start, start + 1, "")]
    if token is not None and token.type == "code_inline":
        size = len(token.markup)
        return [(start, start + size, ""), (end - size, end, "")]
    # A line break by a backslash.
    return [(start, start + 1, "")] if name == "escape" else []
