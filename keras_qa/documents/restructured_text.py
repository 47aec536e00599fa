"""The visible text of reStructuredText, as edits of the file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keras_qa.documents.visible_text import Edit, Heading, cell_labels, tidy, without_overlap

if TYPE_CHECKING:
    from docutils import nodes

_DIRECTIVE = re.compile(
    r"^(?P<indent>[ ]*)\.\. (?P<substitution>\|[^|\n]+\| +)?(?P<name>[\w:.+-]+)::[ ]*(?P<rest>.*)$",
    re.M,
)
_OPTION = re.compile(r"[ ]+:[\w-]+:(?:[ ].*)?$")
_TABLES = {"table", "list-table", "csv-table"}
# Directives whose content is no text for readers, and those whose content has no markup.
_HIDDEN = re.compile(
    r"contents|(?:py:)?(?:current)?module|default-role|highlight|image|include|index|meta|raw|role|"
    r"sectnum|tabularcolumns|toctree|todo"
)
# Directives whose argument is no text, and what is read in place of the name of others.
_HIDDEN_ARGUMENTS = {"figure", "only", "ifconfig", "class", "container", "tabs", "toggle"}
_READ_AS = {
    "versionadded": "Added in version ",
    "versionchanged": "Changed in version ",
    "deprecated": "Deprecated since version ",
    "seealso": "See also: ",
}
_CODE = re.compile(r"code|math|literal|source|prompt|doctest|testcode|productionlist|graphviz")
# Code comes first.
_ROLE = re.compile(
    r"``.*?``|(?P<role>:[\w:+.-]+:)`(?:[^`]*?(?P<target>\s*<[^`>]*>)`)?|(?P<escape>\\\s?)", re.S
)
_BORDER = re.compile(r"^[ ]*(?:\+[-=+]+\+|=+(?:[ ]+=+)+)[ ]*$", re.M)
_LINED = re.compile(r"\n[ ]*([^\w\s])\1{2,}[ \t]*$", re.M)
_LITERAL = re.compile(r"^[ ]*::[ ]*$", re.M)
_OVERLINE = re.compile(r"(?:^|\n)[ ]*([^\w\s])\1{2,}[ \t]*\n[ ]*\Z")


def read_restructured_text(text: str) -> tuple[tuple[Edit, ...], tuple[Heading, ...]]:
    """Returns the edits that turn reStructuredText into its visible text, and its headings."""
    reader = _Reader(text)
    reader.read()
    return tidy(text, without_overlap(reader.edits)), tuple(reader.headings)


class _Reader:
    """Collects the edits of a text. What is not known as markup stays visible."""

    def __init__(self, text: str) -> None:
        self.edits: list[Edit] = []
        self.headings: list[Heading] = []
        self.text = text
        # Directives and roles that docutils may not know are blanked: offsets stay the same.
        self.blanked = _ROLE.sub(_blank_role, self._blank_directives(text))
        self.position = 0

    def read(self) -> None:
        from docutils import nodes

        self.edits += [(*match.span(), "") for match in _LITERAL.finditer(self.text)]

        skipped: set[int] = set()
        for node in _parse(self.blanked).findall():
            if id(node.parent) in skipped or isinstance(node, nodes.system_message):
                skipped.add(id(node))
            elif isinstance(node, nodes.table):
                self._read_table(node)
                skipped.add(id(node))
            elif isinstance(node, nodes.TextElement) and not isinstance(node, nodes.Inline):
                self._read_block(node)
                skipped.add(id(node))
            elif isinstance(node, nodes.target) and node.rawsource:
                self._hide(node.rawsource)

    def _read_block(self, node: nodes.TextElement) -> None:
        from docutils import nodes

        if isinstance(node, nodes.label):
            spans = self._find(node.astext())
            if spans is not None:
                self.edits.append((self.text.rfind("\n", 0, spans[0][1]) + 1, spans[0][1] - 1, ""))
            return
        if isinstance(node, (nodes.comment, nodes.substitution_definition)):
            self._hide(node.rawsource)
            return
        content = node.rawsource or node.astext()
        spans = self._find(content)
        if spans is None or isinstance(node, nodes.FixedTextElement):
            return
        start, end = spans[0][1], self.position
        if isinstance(node, nodes.title):
            level, parent = 0, node.parent
            while parent is not None:
                level += isinstance(parent, nodes.section)
                parent = parent.parent
            self.headings.append(Heading(start, end, max(level, 1)))
            for match in (_LINED.match(self.text, end), _OVERLINE.search(self.text[:start][-500:])):
                if match is not None:
                    first = match.start() if match.pos else start - len(match[0])
                    self.edits.append((first, first + len(match[0]), "\n\n"))
        self._read_inline(node, content, spans)
        if content.endswith("::"):
            self.edits.append((end - 2 + (content[-3:-2].strip() != ""), end, ""))

    def _read_inline(
        self, node: nodes.TextElement, content: str, spans: list[tuple[int, int]]
    ) -> None:
        from docutils import nodes

        def locate(offset: int) -> int:
            begin, start = next(span for span in reversed(spans) if span[0] <= max(offset, 0))
            return start + offset - begin

        position = 0
        for child in node.children:
            raw = child.rawsource if isinstance(child, nodes.Inline) else ""
            at = content.find(raw, position) if raw else -1
            if at < 0:
                continue
            position = at + len(raw)
            if isinstance(child, (nodes.problematic, nodes.image)):
                continue
            seen = "" if isinstance(child, nodes.footnote_reference) else child.astext()
            within = raw.find(seen)
            if within >= 0:
                first, last = at + within, at + within + len(seen)
                self.edits.append((locate(at), locate(first) if seen else locate(position), ""))
                if seen:
                    self.edits.append((locate(last), locate(position), ""))
        for match in _ROLE.finditer(self.text, spans[0][1], self.position):
            for group in ("role", "target", "escape"):
                if match[group]:
                    self.edits.append((*match.span(group), ""))

    def _find(self, content: str) -> list[tuple[int, int]] | None:
        """Returns the offsets in a block and in the text of each line, and moves behind them."""
        spans, offset, position = [], 0, self.position
        for line in content.split("\n"):
            part = line.strip()
            start = self.blanked.find(part, position)
            if start < 0:
                return None
            spans.append((offset + len(line) - len(line.lstrip()), start))
            position = start + len(part)
            offset += len(line) + 1
        self.position = position
        return spans

    def _hide(self, content: str) -> None:
        spans = self._find(content)
        if spans is not None:
            start = self.text.rfind("\n", 0, spans[0][1]) + 1
            self.edits.append((start, self.position, ""))

    def _read_table(self, table: nodes.table) -> None:
        from docutils import nodes

        start, end = self._table_span()
        header = {id(row) for head in table.findall(nodes.thead) for row in head.findall(nodes.row)}
        columns: list[str] = []
        begins, lines = [start], [""]
        position = start
        for row in table.findall(nodes.row):
            cells = [" ".join(entry.astext().split()) for entry in row.findall(nodes.entry)]
            if id(row) in header:
                columns = cells
                continue
            word = next((cell.split()[0] for cell in cells if cell), "")
            position = max(self.blanked.find(word, position, end), position)
            begins.append(max(self.text.rfind("\n", 0, position) + 1, begins[-1]))
            position += len(word)
            labels = cell_labels(cells, columns)
            lines.append(
                "".join(label + cell for label, cell in zip(labels, cells, strict=True)) + "\n"
            )
        if len(lines) == 1:
            return
        for first, last, line in zip(begins, [*begins[1:], end], lines, strict=True):
            self.edits.append((first, last, line))
        self.position = end

    def _table_span(self) -> tuple[int, int]:
        """Returns the span of the next table."""
        border = _BORDER.search(self.blanked, self.position)
        directive = _DIRECTIVE.search(self.blanked, self.position)
        if directive and not (border and border.start() < directive.start()):
            return directive.start(), _block_end(self.blanked, directive)
        if border is None:
            return self.position, self.position
        end = border.end()
        while match := _BORDER.search(self.blanked, end):
            if re.search(r"\n[ ]*\n", self.blanked[end : match.start()]) and "+" in border[0]:
                break
            end = match.end()
            following = self.blanked[end : end + 200].split("\n")[1:2]
            if not following or not following[0].strip():
                break
        return border.start(), end

    def _blank_directives(self, text: str) -> str:
        parts: list[str] = []
        position = 0
        for match in _DIRECTIVE.finditer(text):
            if match.start() < position or match["name"] in _TABLES:
                continue
            end = match.end()
            lines = text[end : _block_end(text, match)].split("\n")[1:]
            for line in lines:
                if not _OPTION.match(line):
                    break
                end += 1 + len(line)
            is_hidden = _HIDDEN.fullmatch(match["name"]) or match["substitution"]
            if is_hidden:
                end = _block_end(text, match)
            is_code = _CODE.search(match["name"]) is not None
            has_argument = not (is_hidden or is_code or match["name"] in _HIDDEN_ARGUMENTS)
            shown = match.start("rest") if has_argument else match.end()
            seen = _READ_AS.get(match["name"], "\n") if match["rest"].strip() else "\n"
            self.edits += [(match.start(), shown, seen), (match.end(), end, "")]
            blank = re.sub(r"[^\n]", " ", text[match.start() : end])
            # Docutils reads others as a literal block, or as a directive that it knows.
            mark = match["indent"] + ("" if is_hidden else "::" if is_code else ".. tip::")
            rest = match["rest"] if has_argument else ""
            before = shown - match.start()
            if len(mark) <= before:
                blank = mark + blank[len(mark) : before] + rest + blank[before + len(rest) :]
            parts += text[position : match.start()], blank
            position = end
        return "".join([*parts, text[position:]])


def _blank_role(match: re.Match[str]) -> str:
    size = len(match["role"] or "")
    return "-" * size + match[0][size:]


def _block_end(text: str, directive: re.Match[str]) -> int:
    """Returns the end of the lines that are indented below a directive."""
    indent = len(directive["indent"])
    end = position = directive.end()
    while position < len(text):
        stop = text.find("\n", position + 1)
        stop = len(text) if stop < 0 else stop
        line = text[position + 1 : stop]
        if line.strip():
            if len(line) - len(line.lstrip()) <= indent:
                break
            end = stop
        position = stop
    return end


def _parse(text: str) -> nodes.document:
    from docutils.frontend import get_default_settings
    from docutils.parsers.rst import Parser
    from docutils.utils import new_document

    settings = get_default_settings(Parser)
    settings.report_level, settings.halt_level, settings.warning_stream = 5, 6, False
    settings.file_insertion_enabled = settings.raw_enabled = False
    document = new_document("", settings)
    Parser().parse(text, document)
    return document
