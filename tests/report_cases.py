"""Answers with known scores for the tests of reports, and a parser of their pages."""

from __future__ import annotations

import html.parser

from keras_qa import Answer, Example, Support


class Page(html.parser.HTMLParser):
    """Parses tables, elements and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[int, str] = {}
        self.open: list[int] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attributes) -> None:
        self.handle_startendtag(tag, attributes)
        if tag != "meta":
            self.open.append(len(self.elements) - 1)
        if tag == "table":
            self.rows = self.tables[dict(attributes)["id"]] = []
        if tag == "tr":
            self.rows.append([])

    def handle_startendtag(self, tag: str, attributes) -> None:
        self.elements.append((tag, dict(attributes)))
        self.texts[len(self.elements) - 1] = ""

    def handle_endtag(self, tag: str) -> None:
        place = self.open.pop()
        assert self.elements[place][0] == tag
        if tag in ("td", "th"):
            self.rows[-1].append(self.texts[place])

    def handle_data(self, data: str) -> None:
        for place in self.open:
            self.texts[place] += data

    def found(self, tag: str, **attributes: str) -> list[str]:
        """Returns the texts of all elements with a tag and attributes."""
        return [
            self.texts[place]
            for place, (name, given) in enumerate(self.elements)
            if name == tag and attributes.items() <= given.items()
        ]


def example(text: str, answer: str, task: int, facts: tuple[int, ...] = ()) -> Example:
    return Example(text, f"Q{task}?", answer, supporting_facts=facts, id=f"qa{task}_valid_0")


TEXT = "Ann went <home>.\nBob left & ran."
SUPPORT = (
    Support("Bob left & ran.", 0.75, 17, 32, 1),
    Support("Ann went <home>.", 0.25, 0, 16, 0),
)
ITEMS = [
    (example(TEXT, "home", 1), Answer("home", 0.95)),
    (example(TEXT, "home", 1), Answer("away", 0.85, 21, 25, SUPPORT)),
    (example(TEXT, "home", 1, (0,)), Answer("away", 0.92, None, None, SUPPORT)),
    (example(TEXT, "home now", 12), Answer("home", 0.3)),
    (example(TEXT, "no", 2), Answer("no", 0.25)),
]
