"""The text of an HTML page."""

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


def text_of(page: str) -> str:
    """The text of an HTML page: blocks as paragraphs, headings as lines that begin with `#`.

    Args:
        page: The page.

    Returns:
        What a reader sees of it, without scripts and styles.

    Examples:
        >>> from keras_qa.documents.html import text_of
        >>> text_of("<h2>Ann</h2><p>She <b>left</b>.<script>x()</script><p>He did not.")
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
        self.kept = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self.hidden.append(tag)
        elif tag == "body":
            # A head that is not closed ends here.
            self.hidden = []
        if tag in _LEVELS:
            self.parts.append(f"\n\n{'#' * _LEVELS[tag]} ")
        elif tag in _BLOCKS:
            self.parts.append("\n" if tag in ("li", "tr", "dt", "dd") else "\n\n")
            self.kept += tag == "pre"
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
            self.kept = max(self.kept - (tag == "pre"), 0)

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data if self.kept else re.sub(r"\s+", " ", data))
