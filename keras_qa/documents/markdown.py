"""The visible text of Markdown, as edits of the file."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from keras_qa.documents.html_text import MARKUP, HtmlReader
from keras_qa.documents.visible_text import (
    Edit,
    Heading,
    VisibleText,
    cell_labels,
    tidy,
    without_overlap,
)

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(
    r"\A(---|\+\+\+)[ \t]*\n(?=\s*[\w\"#-]+.*?[:=]|\s*#)(.*?\n)(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.S
)
_TITLE = re.compile(r"^title[ \t]*[:=][ \t]*([\"']?)(?P<title>\S.*?)\1[ \t]*$", re.M)
_FENCE = re.compile(
    r"^[ \t>]*(?:[-*+]|\d+[.)])?[ \t]*(?P<mark>`{3,}|~{3,}|:{3,})"
    r"[ \t]*(?P<name>\{[\w:.+-]+\}|\w[\w-]*)?(?P<rest>.*)$"
)
_OPTION = re.compile(r"[ \t]*:[\w-]+:.*$")
# Directives whose content is no text for readers, and those whose content is no Markdown.
_HIDDEN_DIRECTIVES = {"toctree", "raw", "contents", "tableofcontents"}
_CODE_DIRECTIVE = re.compile(r"code|math|literal|mermaid|eval-rst|parsed|prompt|console")
# Markup of site generators, in order: shortcodes and tags of templates, titles of admonitions,
# attributes, labels and roles. The spans of the groups `a`, `b` are visible. Code comes first.
_EXTENSION = re.compile(
    r"(?P<role>\{[\w:+.-]+\})(?P<quoted>`[^`\n<]+(?P<target>\s<[^`\n>]*>)?`)"
    r"|(?P<code>(?P<tick>`+)[^`\n]++(?P=tick))"
    r"|\{%-?[ \t]*[\w-]+(?:[ \t]+\"(?P<a>[\w#][\w# -]*)\")?"
    r"(?:[^%\n]|%(?!\})|\n(?!\s*\n)){0,2000}?%\}"
    r"|\{\{[<%][^\n]*?[>%]\}\}"
    r"|\{\{[ \t]*(?:\w+\()?(?P<mark>[\"'])(?P<c>[^\n]*?)(?P=mark)[^{}\n]*\}\}"
    r"|^[ ]*(?P<admonition>!!!|\?\?\?\+?)[ \t]+[\w -]*(?:\"(?P<b>[^\"\n]*)\")?[^\n]*$"
    r"|\[\^[\w-]+\](?!:)"
    r"|[ \t]*\{:?[ \t]*[#.][^{}\n]*\}|\{:[^{}\n]*\}"
    r"|^\([\w.:-]+\)=[ \t]*$"
    r"|\[!(?:NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]",
    re.M,
)
# Files included by mdBook, which may stand in code.
_INCLUDED = re.compile(r"\{\{#(?:\w*include|playground|template|title)\b[^{}\n]*\}\}")
_ADDRESS = re.compile(r"<?(?:mailto:(?P<mail>[^\s?>()]+)|(?P<site>https?://[\w.-]+/?)(?=[\s>)]))")
_PREFIX = re.compile(r"(?:[>#]+[ \t]*)+")


def read_markdown(text: str) -> tuple[tuple[Edit, ...], tuple[Heading, ...]]:
    """Returns the edits that turn Markdown into its visible text, and its headings."""
    reader = _MarkdownReader(text)
    reader.read()
    headings = sorted([*reader.headings, *reader.html.headings])
    return tidy(text, without_overlap(reader.edits)), tuple(headings)


class _MarkdownReader:
    """Collects the edits of a text. What no rule describes stays visible."""

    def __init__(self, text: str) -> None:
        self.edits: list[Edit] = []
        self.headings: list[Heading] = []
        self.html = HtmlReader(text)
        # Extensions of Markdown are blanked, so that offsets stay the same.
        self.text = self._blank_extensions(text)
        self.lines = self.text.split("\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.parser = _make_parser()
        self.env: dict[str, Any] = {}

    def read(self) -> None:
        tokens = self.parser.parse(self.text, self.env)
        references = [*self.env.get("references", {}).items()]
        duplicates = [(entry["label"], entry) for entry in self.env.get("duplicate_refs", ())]
        for label, reference in references + duplicates:
            # A footnote of one word looks like a link.
            if not label.startswith("^"):
                self._remove_lines(*reference["map"])
        table: list[Token] = []
        heading = before = None
        for token in tokens:
            if token.type == "heading_open":
                heading = token
            elif token.type == "inline" and not table:
                if heading is not None:
                    self._read_heading(heading, token)
                    heading = None
                self._read_inline(token)
            elif (
                token.map
                and (
                    token.type == "html_block"
                    # An indented part of HTML after an empty line.
                    or (token.type == "code_block" and before and token.content.lstrip()[:1] == "<")
                )
            ):
                first, last = token.map
                self.html.read(self.starts[first], min(self.starts[last], len(self.text)))
                before = token
            elif token.type in ("fence", "code_block"):
                self._read_code(token)
            elif token.type == "hr" and token.map:
                self._remove_lines(*token.map)
            if token.type == "table_open":
                table = [token]
            elif token.type == "tr_open":
                table.append(token)
            elif token.type == "table_close":
                self._read_table([row.map[0] for row in table[1:] if row.map])
                table = []
        self.edits += tidy(self.text, self.html.close(), keep_indents=False)

    def _remove_lines(self, first: int, last: int) -> None:
        self.edits.append((self.starts[first], self.starts[last] - 1, ""))

    def _read_heading(self, token: Token, inline: Token) -> None:
        assert token.map is not None
        spans = self._line_spans(inline.content, token.map[0])
        if not spans or not inline.content.strip():
            return
        (_, start), (within, last) = spans[0], spans[-1]
        end = last + len(inline.content) - within
        self.headings.append(Heading(start, end, int(token.tag[1])))
        stop = self.starts[token.map[1]] - 1
        # Marks after the title, or below it.
        self.edits.append((end, stop, "\n\n"))

    def _read_inline(self, token: Token) -> None:
        assert token.map is not None
        self.html.add_to_cell(token.content)
        spans = self._line_spans(token.content, token.map[0])
        if spans is None:
            return
        for number, (_, start) in enumerate(spans, start=token.map[0]):
            self._remove_prefix(self.starts[number], start)
        offsets = [offset for offset, _ in spans]

        def locate(offset: int) -> int:
            line = bisect.bisect_right(offsets, offset) - 1
            return max(spans[line][1] + offset - spans[line][0], spans[line][1])

        for start, end, replacement in self._inline_edits(token.content):
            self.edits.append((locate(start), locate(end), replacement))

    def _line_spans(self, content: str, first: int) -> list[tuple[int, int]] | None:
        """Returns the offsets in a block and in the text of each line; `None` if they differ."""
        spans = []
        offset = 0
        for number, line in enumerate(content.split("\n"), start=first):
            within = self.lines[number].rfind(line.strip()) if number < len(self.lines) else -1
            if within < 0:
                return None
            begin = offset + len(line) - len(line.lstrip())
            spans.append((begin, self.starts[number] + within))
            offset += len(line) + 1
        return spans

    def _remove_prefix(self, start: int, end: int) -> None:
        """Removes the marks of quotations and headings before a line; those of lists stay."""
        for match in _PREFIX.finditer(self.text, start, end):
            self.edits.append((*match.span(), ""))

    def _inline_edits(self, content: str) -> list[Edit]:
        events = self.env["events"] = _Events()
        self.parser.inline.parse(content, self.parser, self.env, [])
        return events.edits()

    def _read_code(self, token: Token) -> None:
        assert token.map is not None
        first, last = token.map
        content = token.content.split("\n")[:-1]
        if token.type == "fence":
            mark = self.lines[first].find(token.markup)
            self._remove_prefix(self.starts[first], self.starts[first] + mark)
            self.edits.append((self.starts[first] + mark, self.starts[first + 1] - 1, ""))
            first += 1
            if last - first > len(content):
                self._remove_lines(last - 1, last)
        for number, line in enumerate(content, start=first):
            if number < last and self.lines[number].endswith(line):
                self._remove_prefix(self.starts[number], self.starts[number + 1] - 1 - len(line))

    def _read_table(self, rows: Sequence[int]) -> None:
        columns: list[str] = []
        for position, row in enumerate(rows):
            start, line = self.starts[row], self.lines[row]
            within = len(line) - len(line.lstrip("> \t"))
            self._remove_prefix(start, start + within)
            cells = list(_cell_spans(line, within))
            edits = [self._inline_edits(line[first:last]) for first, last in cells]
            texts = [
                VisibleText(line[first:last], changes).text
                for (first, last), changes in zip(cells, edits, strict=True)
            ]
            if position == 0:
                # The line below marks the row as the header.
                self._remove_lines(row + 1, row + 2)
                if len(rows) > 1:
                    columns = texts
                    self._remove_lines(row, row + 1)
                    continue
            at = within
            for (first, last), label, changes in zip(
                cells, cell_labels(texts, columns), edits, strict=True
            ):
                self.edits.append((start + at, start + first, label))
                for low, high, new in changes:
                    self.edits.append((start + first + low, start + first + high, new))
                at = last
            self.edits.append((start + at, start + len(line), ""))

    def _blank_extensions(self, text: str) -> str:
        """Removes front matter and the markup of site generators, and replaces it by spaces."""
        blanks: list[tuple[int, int, str, str]] = []

        def hide(
            start: int,
            end: int,
            shown: tuple[int, int] = (-1, -1),
            mark: str = "",
            fill: str = " ",
        ) -> None:
            if shown[0] < 0:
                self.edits.append((start, end, ""))
            else:
                after = "\n\n" if text[start:end].count("\n") else ""
                self.edits += [(start, shown[0], ""), (shown[1], end, after)]
            blanks.append((start, end, mark, fill))

        position = 0
        matter = _FRONT_MATTER.match(text)
        if matter:
            position = matter.end()
            title = _TITLE.search(text, *matter.span(2))
            hide(0, position, title.span("title") if title else (-1, -1))
            if title:
                self.headings.append(Heading(*title.span("title"), 0))
        for start, end, is_code in _regions(text, position, hide):
            for match in _INCLUDED.finditer(text, start, end):
                hide(*match.span())
            if is_code:
                continue
            for match in _EXTENSION.finditer(text, start, end):
                if match["code"]:
                    continue
                if match["role"]:
                    hide(*match.span("role"), fill=".")
                    if match["target"]:
                        hide(*match.span("target"), fill=".")
                    continue
                if match["admonition"]:
                    # Its content is indented, as that of an item of a list.
                    shown, indent = match.span("b"), match.start("admonition") - match.start()
                    hide(*match.span(), shown, " " * indent + "-")
                elif name := next((name for name in "ac" if match[name]), None):
                    hide(match.start(), match.start(name), fill=".")
                    hide(match.end(name), match.end(), fill=".")
                else:
                    line_start = text.rfind("\n", 0, match.start()) + 1
                    line_end = text.find("\n", match.end())
                    around = text[line_start : match.start()] + text[match.end() : line_end]
                    hide(*match.span(), fill="." if around.strip() else " ")
        parts: list[str] = []
        position = 0
        for start, end, mark, fill in sorted(blanks):
            if start < position:
                continue
            blank = mark + re.sub(r"[^\n]", fill, text[start + len(mark) : end])
            parts += text[position:start], blank
            position = end
        return "".join([*parts, text[position:]])


def _regions(text: str, start: int, hide: Callable[..., None]) -> Iterator[tuple[int, int, bool]]:
    """Yields `(start, end, is_code)` of the parts of a text, and hides the lines of directives."""
    begin = start
    closing = ""
    directives: list[str] = []
    follows_directive = is_hidden = False
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end]
        match = _FENCE.match(line) if line.lstrip(" \t>-*+.)0123456789")[:1] in "`~:" else None
        if closing:
            mark = line.lstrip(" \t>").rstrip()
            if mark.startswith(closing) and not mark.strip(closing[0]):
                yield begin, end, True
                begin, closing = end, ""
                if is_hidden:
                    hide(start, end)
                    is_hidden = False
            elif is_hidden:
                hide(start, end)
        elif follows_directive and _OPTION.match(line):
            hide(start, end)
            start = end + 1
            continue
        elif match is not None:
            name = (match["name"] or "").strip("{}")
            is_bare = not (match["name"] or match["rest"].strip())
            is_directive = match["mark"][0] == ":" or (match["name"] or "").startswith("{")
            is_hidden = is_directive and name in _HIDDEN_DIRECTIVES
            is_code = match["mark"][0] != ":" and not (
                is_directive and not _CODE_DIRECTIVE.search(name)
            )
            if is_bare and directives and match["mark"].startswith(directives[-1]):
                directives.pop()
                hide(start, end)
            elif (is_code and "`" not in match["rest"]) or is_hidden:
                yield begin, start, False
                begin, closing = start, match["mark"]
                if is_hidden:
                    hide(start, end)
            elif is_directive:
                if not is_bare:
                    directives.append(match["mark"])
                rest = match["rest"].strip()
                first = (
                    start + match.start("rest") + len(match["rest"]) - len(match["rest"].lstrip())
                )
                shown = (first, first + len(rest)) if re.search(r"\w", rest) else (-1, -1)
                hide(start, end, shown)
                follows_directive = True
                start = end + 1
                continue
        follows_directive = False
        start = end + 1
    yield begin, len(text), bool(closing)


def _cell_spans(line: str, start: int) -> Iterator[tuple[int, int]]:
    """Yields the spans of the cells of a row, without white space."""
    bars = [
        match.start() for match in re.finditer(r"\|", line) if line[match.start() - 1 :][:1] != "\\"
    ]
    end = len(line.rstrip())
    if bars and bars[0] == start:
        start, bars = start + 1, bars[1:]
    if bars and bars[-1] == end - 1:
        end = bars.pop()
    for first, last in zip([start, *(bar + 1 for bar in bars)], [*bars, end], strict=True):
        cell = line[first:last]
        begin = first + len(cell) - len(cell.lstrip())
        yield begin, max(first + len(cell.rstrip()), begin)


class _Events:
    """The edits of a block, and its marks of emphasis, which are removed if they have a pair."""

    def __init__(self) -> None:
        self.changes: list[Edit] = []
        self.marks: list[tuple[int, Token, str]] = []

    def edits(self) -> list[Edit]:
        marks = [
            (start, start + len(mark), "")
            for start, token, mark in self.marks
            if token.content != mark
        ]
        return sorted([*self.changes, *marks])


_Rule = Callable[["StateInline", bool], bool]


def _make_parser() -> MarkdownIt:
    """Returns a parser whose rules for inline markup record their edits in `env["events"]`."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    # Inline content is read block by block, and its tokens stay as the rules make them.
    parser.disable(["inline", "text_join", "fragments_join"])
    names = parser.inline.ruler.get_active_rules()
    for name, rule in zip(names, parser.inline.ruler.getRules(""), strict=True):
        if name in _RECORDERS:
            parser.inline.ruler.at(name, _recording(rule, _RECORDERS[name]))
    return parser


def _recording(rule: _Rule, record: Callable[..., None]) -> _Rule:
    def apply(state: StateInline, silent: bool) -> bool:
        if silent:
            return rule(state, True)
        start, events = state.pos, state.env["events"]
        # The text of an image is parsed apart.
        state.env["events"] = inner = _Events() if record is _record_image else events
        is_match = rule(state, False)
        state.env["events"] = events
        if is_match:
            record(state, start, events, inner)
        return is_match

    return apply


def _record_escape(state: StateInline, start: int, events: _Events, _: _Events) -> None:
    events.changes.append((start, start + 1, ""))


def _record_entity(state: StateInline, start: int, events: _Events, _: _Events) -> None:
    if state.tokens and state.tokens[-1].type == "text_special":
        events.changes.append((start, state.pos, state.tokens[-1].content))


def _record_code(state: StateInline, start: int, events: _Events, _: _Events) -> None:
    if not state.pending and state.tokens and state.tokens[-1].type == "code_inline":
        size = len(state.tokens[-1].markup)
        events.changes += [(start, start + size, ""), (state.pos - size, state.pos, "")]


def _record_marks(state: StateInline, start: int, events: _Events, _: _Events) -> None:
    position = state.pos
    for token in reversed(state.tokens):
        if position <= start:
            break
        position -= len(token.content)
        events.marks.append((position, token, token.content))


def _record_autolink(state: StateInline, start: int, events: _Events, _: _Events) -> None:
    events.changes += [(start, start + 1, ""), (state.pos - 1, state.pos, "")]


def _record_html(state: StateInline, start: int, events: _Events, _: _Events) -> None:
    tag = MARKUP.match(state.src, start, state.pos)
    is_break = tag is not None and (tag[2] or "").lower() == "br"
    events.changes.append((start, state.pos, "\n" if is_break else ""))


def _record_link(state: StateInline, start: int, events: _Events, _: _Events) -> None:
    end = state.md.helpers.parseLinkLabel(state, start, True)
    events.changes.append((start, start + 1, ""))
    address = (
        _ADDRESS.match(state.src, end + 2, state.pos) if state.src[end + 1 : end + 2] else None
    )
    group = address and address.lastgroup
    if (
        address is None
        or group is None
        or address[group].split("//")[-1].rstrip("/") in state.src[start:end]
    ):
        events.changes.append((end, state.pos, ""))
        return
    # The address of a person or a site may be what is asked for; that of a page is rarely.
    first, last = address.span(group)
    events.changes += [(end, first, " ("), (last, state.pos, ")")]


def _record_image(state: StateInline, start: int, events: _Events, inner: _Events) -> None:
    end = state.md.helpers.parseLinkLabel(state, start + 1, False)
    events.changes += [(start, start + 2, ""), (end, state.pos, "")]
    events.changes += [(start + 2 + low, start + 2 + high, new) for low, high, new in inner.edits()]


_RECORDERS: dict[str, Callable[..., None]] = {
    "escape": _record_escape,
    "entity": _record_entity,
    "backticks": _record_code,
    "emphasis": _record_marks,
    "strikethrough": _record_marks,
    "autolink": _record_autolink,
    "html_inline": _record_html,
    "link": _record_link,
    "image": _record_image,
}
