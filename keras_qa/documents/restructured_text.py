"""The visible text of reStructuredText, as edits of the file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keras_qa.documents.visible_text import (
    Edit,
    Heading,
    Lines,
    end_unit,
    field_edits,
    row_text,
    tidy,
    without_overlap,
)

if TYPE_CHECKING:
    from docutils import nodes

_DIRECTIVE = re.compile(
    r"^(?P<indent>[ ]*)\.\. (?P<substitution>\|[^|\n]+\| +)?(?P<name>[\w:.+-]+)::[ ]*"
    r"(?P<argument>[^\n]*)$",
    re.M,
)
_OPTIONS = re.compile(r"(?:\n[ ]+:[\w-]+:(?:[ ][^\n]*)?(?=\n|\Z))*")
_TABLES = ("table", "list-table", "csv-table")
# Directives whose content is no text for readers, those whose content has no markup, and those
# whose argument is no text.
_HIDDEN = re.compile(
    r"contents|(?:py:)?(?:current)?module|default-role|highlight|image|include|index|meta|raw|role|"
    r"sectnum|tabularcolumns|toctree|todo"
)
_CODE = re.compile(r"code|math|literal|source|prompt|doctest|testcode|productionlist|graphviz")
_BARE = re.compile(r"figure|only|ifconfig|class|container|tabs|toggle")
# What is read instead of the name of a directive with an argument.
_NAMES = {
    "versionadded": "Added in version ",
    "versionchanged": "Changed in version ",
    "deprecated": "Deprecated since version ",
    "seealso": "See also: ",
}
# Code comes first. Sphinx shows `~module.Name` as `Name`.
_ROLE = re.compile(
    r"``.*?``|(?<![\w:+.-])[\w+.-]*+(?P<role>:[\w:+.-]{2,}+(?<=:))`(?P<module>!|~(?:\w++\.)*+)?"
    r"|(?P<escape>\\\s?)(?:(?<=\\)\S)?",
    re.S,
)
_BORDER = re.compile(r"^[ ]*+(?:\+[-=+]++(?<=[-=+]\+)|=++(?:[ ]++=++)++)[ ]*+$", re.M)
_UNDERLINE = re.compile(r"\n[ ]*([^\w\s])\1{2,}[ \t]*$", re.M)
_OVERLINE = re.compile(r"^[ ]*([^\w\s])\1{2,}[ \t]*\n[ ]*\Z", re.M)
_EMPTY_LINE = re.compile(r"\n[ ]*(?:\n|\Z)")
_LITERAL = re.compile(r"^[ ]*::[ ]*$", re.M)
# Markup that other texts do not have: a directive, a label or a role, and an underlined title.
_MARKUP = re.compile(
    r"^[ ]*+\.\. (?:_[^\n]+:|[\w:-]+::)(?=\s|$)"
    r"|(?<![a-z:+-])[a-z+-]*+:[a-z:+-]{2,}+(?<=:)`[^`\n]++`",
    re.M,
)
_UNDERLINED = re.compile(r"^\S[^\n]*\n([=~*^#\"-])\1{2,}[ ]*$", re.M)
# Maximum distance from a block to the next, and from an overline to its title.
_REACH = 2**16
_TITLE = 500


def is_restructured_text(text: str) -> bool:
    """Whether a text has a title and other markup of reStructuredText."""
    return _MARKUP.search(text) is not None and _UNDERLINED.search(text) is not None


def read_restructured_text(text: str) -> tuple[tuple[Edit, ...], tuple[Heading, ...]]:
    """Returns the edits that turn reStructuredText into its visible text, and its headings."""
    reader = _Reader(text)
    reader.read()
    return tidy(text, without_overlap(reader.edits)), tuple(reader.headings)


class _Reader:
    """Collects the edits of a text. What is not known as markup stays visible."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.edits: list[Edit] = [(*match.span(), "") for match in _LITERAL.finditer(text)]
        self.edits += field_edits(text)
        self.headings: list[Heading] = []
        # Directives and roles that docutils may not know are blanked: offsets stay the same.
        self.blanked = _ROLE.sub(_blank_role, self._blank_directives())
        self.position = 0

    def read(self) -> None:
        from docutils import nodes

        units = nodes.list_item, nodes.field, nodes.definition_list_item
        unit: nodes.Node | None = None
        done: set[int] = set()
        for node in _parse(self.blanked).findall():
            is_text = isinstance(node, nodes.TextElement) and not isinstance(node, nodes.Inline)
            if id(node.parent) in done or isinstance(node, nodes.system_message):
                done.add(id(node))
            elif isinstance(node, nodes.table):
                self._read_table(node)
                done.add(id(node))
            elif isinstance(node, (nodes.comment, nodes.substitution_definition, nodes.target)):
                lines = self._find(node.rawsource) if node.rawsource else None
                if lines is not None:
                    start = self.text.rfind("\n", 0, lines.starts[0]) + 1
                    self.edits.append((start, self.position, ""))
                done.add(id(node))
            elif is_text:
                self._read_block(node, unit)
                unit = None
                done.add(id(node))
            elif unit is None and isinstance(node, units):
                unit = node

    def _find(self, content: str) -> Lines | None:
        """Returns where the lines of the next block are, and moves behind them."""
        starts, position = [], self.position
        for line in content.split("\n"):
            part = line.strip()
            start = self.blanked.find(part, position, position + len(part) + _REACH)
            if start < 0:
                return None
            starts.append(start)
            position = start + len(part)
        self.position = position
        return Lines(content, starts)

    def _read_block(self, node: nodes.TextElement, unit: nodes.Node | None) -> None:
        from docutils import nodes

        content = node.rawsource or node.astext()
        lines = self._find(content)
        if lines is None or isinstance(node, nodes.FixedTextElement):
            return
        start, end = lines.starts[0], self.position
        line = self.text.rfind("\n", 0, start) + 1
        if unit is not None and line:
            is_next = isinstance(unit, nodes.field) and unit is not unit.parent[0]
            self.edits.append(end_unit(line, "." if is_next else ""))
        if isinstance(node, nodes.label):
            # Of a footnote.
            self.edits.append((self.text.rfind("\n", 0, start) + 1, start - 1, ""))
        elif isinstance(node, nodes.title):
            self._read_title(node, start, end)
        position = 0
        for child in node.children:
            raw = child.rawsource if isinstance(child, nodes.Inline) else ""
            first = content.find(raw, position) if raw else -1
            if first < 0 or isinstance(child, (nodes.problematic, nodes.image)):
                continue
            position = first + len(raw)
            seen = "" if isinstance(child, nodes.footnote_reference) else child.astext()
            within = raw.find(seen)
            if within >= 0:
                around = (first, first + within), (first + within + len(seen), position)
                self.edits += [(lines.locate(low), lines.locate(high), "") for low, high in around]
        for match in _ROLE.finditer(self.text, start, end):
            spans = [match.span(group) for group in ("role", "module", "escape")]
            if match["role"]:
                spans.append(_target_span(self.text, match.end(), end))
            self.edits += [(*span, "") for span in spans if span[0] >= 0]
        if content.endswith("::"):
            self.edits.append((end - 2 + (content[-3:-2].strip() != ""), end, ""))

    def _read_title(self, node: nodes.title, start: int, end: int) -> None:
        from docutils import nodes

        level, parent = 0, node.parent
        while parent is not None:
            level, parent = level + isinstance(parent, nodes.section), parent.parent
        self.headings.append(Heading(start, end, max(level, 1)))
        if match := _UNDERLINE.match(self.text, end):
            self.edits.append((*match.span(), "\n\n"))
        before = max(start - _TITLE, 0)
        if match := _OVERLINE.search(self.text[before:start]):
            self.edits.append((before + match.start(), start, "\n\n"))

    def _read_table(self, table: nodes.table) -> None:
        from docutils import nodes

        start, end = self._table_span()
        header = {id(row) for head in table.findall(nodes.thead) for row in head.children}
        columns: list[str] = []
        begins, texts = [start], [""]
        for row in table.findall(nodes.row):
            cells = [" ".join(entry.astext().split()) for entry in row.findall(nodes.entry)]
            if id(row) in header:
                columns = cells
                continue
            word = next((cell.split()[0] for cell in cells if cell), "")
            start = max(self.blanked.find(word, start, end), start)
            begins.append(max(self.text.rfind("\n", 0, start) + 1, begins[-1]))
            start += len(word)
            texts.append(f"{row_text(cells, columns)}\n\n")
        if len(texts) > 1:
            self.edits += zip(begins, [*begins[1:], end], texts, strict=True)
            self.position = end

    def _table_span(self) -> tuple[int, int]:
        """Returns the span of the next table."""
        border = _BORDER.search(self.blanked, self.position)
        for match in _DIRECTIVE.finditer(self.blanked, self.position):
            if border is not None and border.start() < match.start():
                break
            if match["name"] in _TABLES:
                return match.start(), _block_end(self.blanked, match)
        if border is None:
            return self.position, self.position
        end = border.end()
        # An empty line ends a table, but one of `=` only below a border.
        while (line := _BORDER.search(self.blanked, end)) is not None:
            if "+" in border[0] and re.search(r"\n[ ]*\n", self.blanked[end : line.start()]):
                break
            end = line.end()
            if _EMPTY_LINE.match(self.blanked, end):
                break
        return border.start(), end

    def _blank_directives(self) -> str:
        parts: list[str] = []
        position = 0
        for match in _DIRECTIVE.finditer(self.text):
            name, start, end = match["name"], *match.span()
            if start < position or name in _TABLES:
                continue
            is_code = _CODE.search(name) is not None
            options = _OPTIONS.match(self.text, end)
            assert options is not None
            last, mark = options.end(), "::" if is_code else ".. tip::"
            if _HIDDEN.fullmatch(name) or match["substitution"]:
                last, mark, argument = _block_end(self.text, match), "", ""
            else:
                argument = "" if is_code or _BARE.fullmatch(name) else match["argument"]
            shown = end - len(argument)
            self.edits.append((start, shown, _NAMES.get(name, "\n") if argument else "\n"))
            self.edits.append((end, last, ""))
            # Docutils reads a literal block, or a directive that it knows.
            mark = f"{match['indent']}{mark}"[: shown - start].ljust(shown - start) + argument
            blank = re.sub(r"[^\n]", " ", self.text[end:last])
            parts += self.text[position:start], mark, blank
            position = last
        return "".join([*parts, self.text[position:]])


def _blank_role(match: re.Match[str]) -> str:
    if not match["role"]:
        return match[0]
    start, end = (offset - match.start() for offset in match.span("role"))
    return match[0][:start] + "-" * (end - start) + match[0][end:]


def _target_span(text: str, start: int, end: int) -> tuple[int, int]:
    """Returns the span of ` <target>` at the end of a role, whose content begins at `start`.

    It is `(-1, -1)` if there is none.
    """
    last = text.find("`", start, end) - 1
    if last < start or text[last] != ">":
        return -1, -1
    first = text.find("<", max(text.rfind(">", start, last) + 1, start), last)
    if first < 0:
        return -1, -1
    while first > start and text[first - 1].isspace():
        first -= 1
    return first, last + 1


def _block_end(text: str, directive: re.Match[str]) -> int:
    """Returns the end of the lines that are indented below a directive."""
    indented = re.compile(rf"(?:\n[ \t]*)*\n[ ]{{{len(directive['indent']) + 1}}}[^\n]*")
    end = directive.end()
    while match := indented.match(text, end):
        end = match.end()
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
