"""What site generators add to Markdown: front matter, directives, templates, attributes."""

from __future__ import annotations

import re

from keras_qa.documents.visible_text import Edit, Heading, end_unit

_FRONT_MATTER = re.compile(
    r"\A(---|\+\+\+)[ \t]*\n(?=\s*+(?:[\w\"#-].*?[:=]|#))(.*?\n)(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.S
)
# A field of it begins at a line without an indent. Comments are not visible.
_ENTRY = re.compile(r"^(?:(?P<comment>#[^\n]*)|[^\s#}\])-])", re.M)
_TITLE = re.compile(r"^title[ \t]*+[:=][ \t]*+(\S[^\n]*+)$", re.M)
# The first or last line of a block of code or of a directive.
_FENCE = re.compile(
    r"^[ \t>]*+(?:(?:[-*+]|\d{1,9}[.)])[ \t]*+)?(?P<mark>`{3,}|~{3,}|:{3,})"
    r"[ \t]*(?P<name>\{[\w:.+-]+\}|\w[\w-]*)?[ \t]*(?P<rest>[^\n]*)$",
    re.M,
)
_OPTIONS = re.compile(r"(?:\n[ \t]*:[\w-]+:(?:[ ][^\n]*)?(?=\n|\Z))*")
# Directives whose content is no text for readers, and those whose content is no Markdown.
_HIDDEN = {"toctree", "raw", "contents", "tableofcontents"}
_CODE = re.compile(r"code|math|literal|mermaid|eval-rst|parsed|prompt|console")
# The group `text` is visible. Code comes first.
_INLINE = re.compile(
    r"(?P<role>\{[\w:+.-]+\})`[^`\n<]+(?P<target>\s<[^`\n>]*>)?`"
    r"|(?P<code>(?P<tick>`++)(?:[^`\n]++(?P=tick))?)"
    # Tags, shortcodes and variables of templates. No text is read twice: what looks like the start
    # of a template ends the one before.
    r"|\{%-?+[ \t]*+[\w-]++(?:[ \t]++\"(?P<argument>[\w#][\w# -]*+)\")?+"
    r"(?:[^%{\n]|\{(?!%)|%(?!\})|\n(?![^\S\n]*+\n)){0,2000}?%\}"
    r"|\{\{[<%](?:[^{\n]|\{(?!\{[<%]))*?[>%]\}\}"
    r"|\{\{[ \t]*+(?:\w++\()?+(?P<mark>[\"'])(?P<string>(?:(?!(?P=mark)|\{\{)[^\n])*+)(?P=mark)"
    r"[^{}\n]*+\}\}"
    r"|^[ ]*(?P<admonition>!!!|\?\?\?\+?)[ \t]+[\w -]*(?:\"(?P<title>[^\"\n]*)\")?[^\n]*$"
    # References of footnotes, attributes, labels, kinds of quotations.
    r"|\[\^[\w-]+\](?!:)"
    r"|(?<![ \t])[ \t]*+\{:?[ \t]*+[#.][^{}\n]*+\}|\{:[^{}\n]*+\}"
    r"|^\([\w.:-]+\)=[ \t]*$"
    r"|\[!(?:NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]",
    re.M,
)
# Files included by mdBook, which may stand in code.
_INCLUDED = re.compile(r"\{\{#(?:\w*include|playground|template|title)\b[^{}\n]*\}\}")
_LINE_END = re.compile(r"[^\S\n]*+(?:\n|\Z)")


class SiteMarkup:
    """The markup of site generators in a text.

    Attributes:
        edits: The edits that remove it.
        headings: The title of the front matter, if there is one.
        blanked: The text with blanks in its place, for a parser of Markdown.
    """

    def __init__(self, text: str) -> None:
        self.edits: list[Edit] = []
        self.headings: list[Heading] = []
        self._text = text
        self._blanks: list[tuple[int, int, str]] = []
        position = self._read_front_matter()
        for start, end in self._read_fences(position):
            self._read_inline(position, start)
            position = end
        self._read_inline(position, len(text))
        for match in _INCLUDED.finditer(text):
            self._hide(*match.span())
        self.blanked = self._blank()

    def _hide(self, start: int, end: int, fill: str = " ", replacement: str = "") -> None:
        self.edits.append((start, end, replacement))
        blank = re.sub(r"[^\n]", fill[-1], self._text[start:end])
        self._blanks.append((start, end, fill[:-1] + blank[len(fill) - 1 :]))

    def _hide_around(self, match: re.Match[str], group: str, fill: str = " ") -> None:
        """Hides a match except a group."""
        start, end = match.span(group)
        if start < 0:
            start = end = match.end()
        self._hide(match.start(), start, fill)
        if end < match.end():
            self._hide(end, match.end(), fill[-1])

    def _read_front_matter(self) -> int:
        """Returns the end of the front matter."""
        matter = _FRONT_MATTER.match(self._text)
        if matter is None:
            return 0
        begin, end = matter.span(2)
        self._blanks.append((0, matter.end(), re.sub(r"[^\n]", " ", matter[0])))
        self.edits += [(0, begin, ""), (end, matter.end(), "\n\n")]
        title = _TITLE.search(self._text, begin, end)
        if title is None or title.start() > begin:
            # Fields without a title above them are short texts below a title, too.
            self.headings.append(Heading(0, 0, 0))
        if title is not None:
            first, last = _without_quotes(self._text, *title.span(1))
            self.headings.append(Heading(first, last, 0))
            self.edits += [(title.start(), first, "\n\n"), (last, title.end(), "")]
        for match in _ENTRY.finditer(self._text, begin, end):
            if match["comment"]:
                self.edits.append((max(match.start() - 1, begin), match.end(), ""))
            elif match.start() > begin and (title is None or match.start() != title.start()):
                self.edits.append(end_unit(match.start(), "."))
        return matter.end()

    def _read_fences(self, position: int) -> list[tuple[int, int]]:
        """Hides the first and last lines of directives, and returns the spans of code."""
        spans: list[tuple[int, int]] = []
        opened: re.Match[str] | None = None
        directives: list[str] = []
        for match in _FENCE.finditer(self._text, position):
            mark, name = match["mark"], match["name"] or ""
            is_bare = not name and not match["rest"]
            if opened is not None:
                if is_bare and mark.startswith(opened["mark"]):
                    spans.append((opened.start(), match.end()))
                    if (opened["name"] or "").strip("{}") in _HIDDEN:
                        self._hide(*spans[-1])
                    opened = None
            elif is_bare and directives and mark.startswith(directives[-1]):
                directives.pop()
                self._hide(*match.span())
            elif mark[0] != ":" and (
                name[:1] != "{" or _CODE.search(name) or name[1:-1] in _HIDDEN
            ):
                if "`" not in match["rest"]:
                    opened = match
            else:
                if not is_bare:
                    directives.append(mark)
                shown = match.start("rest") if re.search(r"\w", match["rest"]) else match.end()
                self._hide(match.start(), shown)
                options = _OPTIONS.match(self._text, match.end())
                assert options is not None
                self._hide(*options.span(), replacement="\n")
        if opened is not None:
            spans.append((opened.start(), len(self._text)))
        return spans

    def _read_inline(self, start: int, end: int) -> None:
        for match in _INLINE.finditer(self._text, start, end):
            if match["code"]:
                continue
            if match["role"]:
                self._hide(*match.span("role"), ".")
                if match["target"]:
                    self._hide(*match.span("target"), ".")
            elif match["admonition"]:
                # Its content is indented, as that of an item of a list.
                indent = match.start("admonition") - match.start()
                self._hide_around(match, "title", " " * indent + "- ")
            elif match["argument"] or match["string"]:
                self._hide_around(match, "argument" if match["argument"] else "string", ".")
            else:
                # Marks of emphasis beside a dot keep their meaning, beside a space they may not.
                self._hide(*match.span(), " " if _is_line(self._text, *match.span()) else ".")

    def _blank(self) -> str:
        parts: list[str] = []
        position = 0
        for start, end, blank in sorted(self._blanks):
            if start >= position:
                parts += self._text[position:start], blank
                position = end
        return "".join([*parts, self._text[position:]])


def _without_quotes(text: str, start: int, end: int) -> tuple[int, int]:
    """Returns the span of a value of front matter without white space and quotes around it."""
    while text[end - 1] in " \t":
        end -= 1
    quote = text[start]
    if (
        quote in "\"'"
        and end - start > 2
        and text[end - 1] == quote
        and not text[start + 1].isspace()
    ):
        return start + 1, end - 1
    return start, end


def _is_line(text: str, start: int, end: int) -> bool:
    """Whether there is only white space before and after a span on its lines."""
    while start > 0 and text[start - 1] != "\n" and text[start - 1].isspace():
        start -= 1
    return (start == 0 or text[start - 1] == "\n") and _LINE_END.match(text, end) is not None
