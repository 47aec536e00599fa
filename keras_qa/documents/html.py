"""Text of HTML pages."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_HIDDEN = {"script", "style", "template", "noscript", "svg", "head", "iframe", "object"}
_NAMES = (
    "address article aside blockquote body caption dd details dialog div dl dt fieldset figcaption "
    "figure footer form header hr html li main nav ol p pre section summary table tbody tfoot "
    "thead tr ul"
)
_BLOCKS = frozenset(_NAMES.split())
_LEVELS = {f"h{level}": level for level in range(1, 7)}


def html_to_text(page: str) -> str:
    """Extracts the visible text of an HTML page. Headings become lines that begin with `#`.

    Examples:
        >>> from keras_qa.documents.html import html_to_text
        >>> html_to_text("<h2>Ann</h2><p>She <b>left</b>.<script>x()</script><p>He did not.")
        '## Ann\\n\\nShe left.\\n\\nHe did not.'
    """
    parser = _Parser()
    parser.feed(page)
    parser.close()
    text = "".join(parser.parts)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r" *\n *", "\n", text)).strip()


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden: list[str] = []
        self.pre_depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self.hidden.append(tag)
        elif tag == "body":
            # `</head>` may be missing.
            self.hidden = []
        if tag in _LEVELS:
            self.parts.append(f"\n\n{'#' * _LEVELS[tag]} ")
        elif tag in _BLOCKS:
            self.parts.append("\n" if tag in ("li", "tr", "dt", "dd") else "\n\n")
            self.pre_depth += tag == "pre"
        elif tag == "br":
            self.parts.append("\n")
        elif tag in ("td", "th"):
            self.parts.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _HIDDEN:
            self.handle_starttag(tag, attrs)
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.hidden:
            del self.hidden[self.hidden.index(tag) :]
        elif tag in _LEVELS or tag in _BLOCKS:
            self.parts.append("\n" if tag in ("li", "tr", "dt", "dd") else "\n\n")
            self.pre_depth = max(self.pre_depth - (tag == "pre"), 0)

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data if self.pre_depth else re.sub(r"\s+", " ", data))
