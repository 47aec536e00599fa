"""A report as one page of HTML: no scripts, nothing from elsewhere, every text escaped."""

from __future__ import annotations

import itertools
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_qa.report import Bin, Group, Judged, Report

MOST_ANSWERS = 100
# Accuracy below which a task is failed, in percent.
PASSED = 95.0
# Of the diagram, in pixels.
SIDE = 240

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 60em; margin: 2em auto;
  padding: 0 1em; }
table { border-collapse: collapse; }
th, td { padding: 0.15em 0.8em; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child, td.text { text-align: left; }
.failed { color: #b00020; }
.error { border: 1px solid #ddd; border-radius: 4px; padding: 0.5em 1em; margin: 1em 0; }
.story { white-space: pre-wrap; }
.fact { text-decoration: underline; }
mark { background: none; font-weight: bold; }
"""


def page(report: Report, title: str) -> str:
    """Writes the page.

    Args:
        report: What was found.
        title: Its heading.

    Returns:
        HTML.
    """
    head = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
    )
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p id="scores">{report.questions:,} questions: exact match {report.exact_match:.2f} %, '
        f"F1 {report.f1:.2f} %, calibration error {report.calibration_error:.4f}.</p>",
    ]
    if report.by_task:
        parts += ["<h2>By task</h2>", _groups("tasks", "task", report.by_task, PASSED)]
    shown = report.by_answer[:MOST_ANSWERS]
    parts += ["<h2>By answer</h2>", _groups("answers", "right answer", shown)]
    if len(shown) < len(report.by_answer):
        parts.append(f"<p>{len(report.by_answer) - len(shown):,} rarer answers are not shown.</p>")
    parts += ["<h2>Calibration</h2>", _calibration(report.bins), _diagram(report.bins)]
    parts.append("<h2>Errors it was surest of</h2>")
    if report.errors:
        parts.append(
            "<p>Sentences are as dark as the answer rests on them. Those that the data names as "
            "supporting the right answer are underlined.</p>"
        )
    parts += [_error(item) for item in report.errors] or ["<p>None.</p>"]
    return head + "\n".join(parts) + "\n</body>\n</html>\n"


def _table(name: str, heads: list[str], rows: list[list[str]]) -> str:
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    body = "".join(f"<tr>{''.join(row)}</tr>\n" for row in rows)
    return f'<table id="{name}">\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>'


def _cell(value: Any, kind: str = "") -> str:
    opening = f'<td class="{kind}">' if kind else "<td>"
    return f"{opening}{escape(str(value))}</td>"


def _groups(name: str, head: str, groups: list[Group], passed: float = 0.0) -> str:
    rows = []
    for group in groups:
        counts = [_cell(group.questions), _cell(group.right)]
        kind = "failed" if group.accuracy < passed else ""
        accuracy = _cell(f"{group.accuracy:.1f} %", kind)
        rows.append([_cell(group.name), *counts, accuracy, _cell(group.confused, "text")])
    return _table(name, [head, "questions", "right", "accuracy", "mostly taken for"], rows)


def _calibration(bins: list[Bin]) -> str:
    rows = [
        [
            _cell(f"{part.low:.1f} to {part.high:.1f}"),
            _cell(part.answers),
            _cell(f"{part.score:.3f}"),
            _cell(f"{part.accuracy:.3f}"),
        ]
        for part in bins
    ]
    return _table("calibration", ["score", "answers", "mean score", "share right"], rows)


def _diagram(bins: list[Bin]) -> str:
    bars = []
    for part in bins:
        height = SIDE * part.accuracy
        bars.append(
            f'<rect class="bar" x="{SIDE * part.low:.1f}" y="{SIDE - height:.1f}" '
            f'width="{SIDE * (part.high - part.low):.1f}" height="{height:.1f}" '
            'fill="#4878a8" stroke="#fff"/>'
            f'<circle cx="{SIDE * part.score:.1f}" cy="{SIDE - height:.1f}" r="3"/>'
        )
    return (
        f'<svg role="img" aria-label="Share of right answers by score" width="{SIDE + 60}" '
        f'height="{SIDE + 50}" viewBox="-40 -10 {SIDE + 60} {SIDE + 50}" font-size="12">\n'
        + "\n".join(bars)
        + f'\n<rect width="{SIDE}" height="{SIDE}" fill="none" stroke="#888"/>'
        f'<line x1="0" y1="{SIDE}" x2="{SIDE}" y2="0" stroke="#888" stroke-dasharray="4"/>\n'
        f'<text x="{SIDE / 2}" y="{SIDE + 32}" text-anchor="middle">score</text>'
        f'<text x="-8" y="12" text-anchor="end">1</text><text x="-8" y="{SIDE}" '
        f'text-anchor="end">0</text><text x="{SIDE}" y="{SIDE + 16}" text-anchor="end">1</text>\n'
        "</svg>"
    )


def _error(item: Judged) -> str:
    example, answer = item.example, item.answer
    name = f" <small>{escape(example.id)}</small>" if example.id else ""
    right = " or ".join(example.answers)
    return (
        f'<div class="error">\n<p><b>{escape(example.question)}</b>{name}</p>\n'
        f'<p class="story">{_story(item)}</p>\n'
        f"<p>Answered <b>{escape(answer.text)}</b> with a score of {answer.score:.3f}. "
        f"Right: <b>{escape(right)}</b>.</p>\n</div>"
    )


def _story(item: Judged) -> str:
    """The text, cut wherever a sentence or the answer's span begins or ends."""
    text, answer = item.example.plain_text, item.answer
    spans = [(part.start, part.end) for part in answer.support]
    span = (answer.start or 0, answer.end or 0)
    ends = sorted({0, len(text), *(end for pair in [*spans, span] for end in pair)})
    pieces = []
    for start, end in itertools.pairwise(ends):
        piece = escape(text[start:end])
        if span[0] <= start < span[1]:
            piece = f"<mark>{piece}</mark>"
        for part in answer.support:
            if part.start <= start < part.end:
                fact = ' class="fact"' if part.position in item.example.supporting_facts else ""
                colour = f"rgba(255, 160, 0, {part.weight:.3f})"
                piece = f'<span{fact} style="background: {colour}">{piece}</span>'
                break
        pieces.append(piece)
    return "".join(pieces)
