"""A report as one page of HTML: no scripts, nothing from elsewhere, every text escaped."""

from __future__ import annotations

import itertools
from html import escape
from typing import Any

from keras_qa.recipes import FAILED
from keras_qa.report.findings import Bin, Findings, Group, Judged

MOST_ANSWERS = 100
# Of a longer text, in characters, an error shows what is around the answers.
MOST_TEXT, AROUND = 4_000, 500
NO_ANSWER = "no answer"
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
mark.given { background: #ffd9a8; }
ins.gold { text-decoration: none; border-bottom: 3px solid #2a8a2a; }
"""


def page(report: Findings, title: str) -> str:
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
    before = ""
    if report.calibration_error_before is not None:
        before = f" ({report.calibration_error_before:.4f} before the temperature)"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p id="scores">{report.questions:,} questions: exact match {report.exact_match:.2f} %, '
        f"F1 {report.f1:.2f} %, calibration error {report.calibration_error:.4f}{before}.</p>",
    ]
    if report.official:
        heads = ["score", f"SQuAD {report.version}"]
        rows = [[_cell(name), _cell(f"{value:.10g}")] for name, value in report.official.items()]
        parts += ["<h2>Official scores</h2>", _table("official", heads, rows)]
    if report.by_task:
        parts += ["<h2>By task</h2>", _groups("tasks", "task", report.by_task, 100.0 - FAILED)]
    if report.version:
        words, lengths = report.by_question_word, report.by_length
        parts += ["<h2>By question word</h2>", _spans("words", "question word", words)]
        parts += ["<h2>By answer length</h2>", _spans("lengths", "right answer", lengths)]
    else:
        shown = report.by_answer[:MOST_ANSWERS]
        parts += ["<h2>By answer</h2>", _groups("answers", "right answer", shown)]
        rarer = len(report.by_answer) - len(shown)
        if rarer:
            parts.append(f"<p>{rarer:,} rarer answers are not shown.</p>")
    if report.bins_before:
        parts += ["<h2>Calibration before the temperature</h2>"]
        parts += [_calibration(report.bins_before, "before"), _diagram(report.bins_before)]
    parts += ["<h2>Calibration</h2>", _calibration(report.bins), _diagram(report.bins)]
    parts.append("<h2>Errors it was surest of</h2>")
    if report.version:
        parts.append(
            '<p>The answer that was given is on <mark class="given">orange</mark> ground; right '
            'ones are <ins class="gold">underlined</ins>.</p>'
        )
    elif report.errors:
        parts.append(
            "<p>Sentences are as dark as the answer rests on them. Those that the data names as "
            "supporting the right answer are underlined.</p>"
        )
    parts += [_error(item, bool(report.version)) for item in report.errors] or ["<p>None.</p>"]
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


def _spans(name: str, head: str, groups: list[Group]) -> str:
    rows = [
        [
            _cell(group.name),
            _cell(group.questions),
            _cell(group.right),
            _cell(f"{group.accuracy:.1f} %"),
            _cell(f"{group.f1:.1f} %"),
        ]
        for group in groups
    ]
    return _table(name, [head, "questions", "right", "exact match", "F1"], rows)


def _calibration(bins: list[Bin], name: str = "calibration") -> str:
    rows = [
        [
            _cell(f"{part.low:.1f} to {part.high:.1f}"),
            _cell(part.answers),
            _cell(f"{part.score:.3f}"),
            _cell(f"{part.accuracy:.3f}"),
        ]
        for part in bins
    ]
    return _table(name, ["score", "answers", "mean score", "share right"], rows)


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


def _error(item: Judged, spans_only: bool) -> str:
    example, answer = item.example, item.answer
    name = f" <small>{escape(example.id)}</small>" if example.id else ""
    given = answer.text or NO_ANSWER
    right = " or ".join(example.answers) or NO_ANSWER
    return (
        f'<div class="error">\n<p><b>{escape(example.question)}</b>{name}</p>\n'
        f'<p class="story">{_story(item, spans_only)}</p>\n'
        f"<p>Answered <b>{escape(given)}</b> with a score of {answer.score:.3f}. "
        f"Right: <b>{escape(right)}</b>.</p>\n</div>"
    )


def _story(item: Judged, spans_only: bool) -> str:
    """The text, cut wherever a sentence, the answer or a right answer begins or ends."""
    text, answer = item.example.plain_text, item.answer
    spans = [(part.start, part.end) for part in answer.support]
    given = (answer.start or 0, answer.end or 0)
    golds = [
        (start, start + len(right))
        for right, start in zip(item.example.answers, item.example.answer_start, strict=False)
    ]
    kind = ' class="given"' if spans_only else ""
    shown = _shown(text, [given, *golds])
    ends = {end for pair in [*spans, given, *golds, *shown] for end in pair}
    pieces: list[str] = []
    for start, end in itertools.pairwise(sorted({0, len(text), *ends})):
        if not _inside(start, shown):
            pieces += ["…"] if pieces[-1:] != ["…"] else []
            continue
        piece = escape(text[start:end])
        if _inside(start, [given]):
            piece = f"<mark{kind}>{piece}</mark>"
        if _inside(start, golds):
            piece = f'<ins class="gold">{piece}</ins>'
        for part in answer.support:
            if part.start <= start < part.end:
                fact = ' class="fact"' if part.position in item.example.supporting_facts else ""
                colour = f"rgba(255, 160, 0, {part.weight:.3f})"
                piece = f'<span{fact} style="background: {colour}">{piece}</span>'
                break
        pieces.append(piece)
    return "".join(pieces)


def _shown(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts of a text to show: all of it, or what is around some spans."""
    if len(text) <= MOST_TEXT:
        return [(0, len(text))]
    around = [
        (max(0, start - AROUND), min(len(text), end + AROUND))
        for start, end in spans
        if start < end
    ]
    return around or [(0, MOST_TEXT)]


def _inside(place: int, spans: list[tuple[int, int]]) -> bool:
    return any(start <= place < end for start, end in spans)
