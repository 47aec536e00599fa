"""The HTML page of a report: no external files, one small script, every text escaped."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import NamedTuple

from keras_qa.recipes.results import FAILED_TASK_ERROR
from keras_qa.report import errors
from keras_qa.report.findings import Bin, Findings, Group, Point
from keras_qa.report.groups import NO_ANSWER
from keras_qa.report.plots import TASKS

MAX_ANSWERS = 100
# A page with more sections has a table of contents.
FEW_SECTIONS = 3
CONFUSED = "mostly taken for"

# Pixels of the calibration diagram: its square, the strip of counts below, and the margins.
SIDE, STRIP, GAP = 320, 64, 44
LEFT, TOP, BOTTOM = 56, 10, 46
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


class Section(NamedTuple):
    """A section of the page: its id, its heading and its HTML."""

    name: str
    heading: str
    body: str


def page(found: Findings, title: str) -> str:
    """Returns the HTML page of a report. Sections without content are left out."""
    style, script = _file("page.css"), _file("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Allow this script only, whatever a text may contain.
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    sections = _sections(found)
    parts = [f"<h1>{escape(title)}</h1>", _scores(found)]
    if len(sections) > FEW_SECTIONS:
        parts.append(_contents(sections))
    parts += [
        f'<section aria-labelledby="{name}">\n<h2 id="{name}">{heading}</h2>\n{body}\n</section>'
        for name, heading, body in sections
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(parts)
        + "\n</main>\n"
        + (f"<script>{script}</script>\n" if len(found.errors) > 1 else "")
        + "</body>\n</html>\n"
    )


def _file(name: str) -> str:
    return (resources.files("keras_qa.report") / name).read_text(encoding="utf-8")


def _scores(found: Findings) -> str:
    before = found.calibration_error_before
    hint = "mean difference of score and share right"
    if before is not None:
        hint += f"; {before:.4f} before calibration"
    tiles = (
        ("Questions", f"{found.questions:,}", f"{found.wrong:,} answered wrong"),
        ("Exact match", f"{found.exact_match:.2f} %", "answers that are right"),
        ("F1", f"{found.f1:.2f} %", "mean word overlap with the right answer"),
        ("Calibration error", f"{found.calibration_error:.4f}", hint),
    )
    return '<dl class="scores">\n{}\n</dl>'.format(
        "\n".join(
            f'<div><dt>{name}</dt><dd class="value">{value}</dd><dd class="hint">{hint}</dd></div>'
            for name, value, hint in tiles
        )
    )


def _contents(sections: Sequence[Section]) -> str:
    links = "".join(f'<li><a href="#{part.name}">{part.heading}</a></li>\n' for part in sections)
    return f'<nav aria-label="Contents">\n<ul>\n{links}</ul>\n</nav>'


def _sections(found: Findings) -> list[Section]:
    sections = []
    if found.official:
        sections.append(Section("official-scores", "Official scores", _official(found)))
    if found.points or found.recall:
        sections.append(Section("retrieval", "Retrieval", _retrieval(found)))
        sections.append(Section("risk", "Risk against coverage", _risk(found.points)))
    if found.by_task:
        passed = 100.0 - FAILED_TASK_ERROR
        text = f"<p>A task with an accuracy below {passed:g} % counts as failed.</p>\n"
        table = _groups("tasks", "task", [_named(group) for group in found.by_task], passed)
        sections.append(Section("by-task", "By task", text + table))
    if found.by_question_word:
        table = _overlaps("words", "question word", found.by_question_word)
        sections.append(Section("by-question-word", "By question word", table))
    if found.by_length:
        table = _overlaps("lengths", "right answer", found.by_length)
        sections.append(Section("by-answer-length", "By answer length", table))
    if found.by_answer and not found.version:
        shown = found.by_answer[:MAX_ANSWERS]
        table = _groups("answers", "right answer", shown)
        rarer = len(found.by_answer) - len(shown)
        if rarer:
            table += f"\n<p>{rarer:,} rarer answers are not shown.</p>"
        sections.append(Section("by-answer", "By answer", table))
    sections.append(Section("calibrated", "Calibration", _calibration(found)))
    if found.errors:
        sections.append(Section("errors", "Errors with the highest scores", errors.section(found)))
    return sections


def _official(found: Findings) -> str:
    rows = [[_name(name), _cell(f"{value:.10g}")] for name, value in found.official.items()]
    text = f"<p>The scores of the official SQuAD {escape(found.version)} script, in percent.</p>\n"
    return text + _table("official", ["score", f"SQuAD {escape(found.version)}"], rows)


def _retrieval(found: Findings) -> str:
    text = (
        f"<p>For {found.located:,} of the {found.questions:,} questions the passage with the "
        "answer is known. Recall is the share of these whose passage is among the first that the "
        "search returns.</p>\n"
    )
    rows = [[_name(f"{most:,}"), _share(share)] for most, share in found.recall.items()]
    return text + _table("recall", ["passages", "recall"], rows) if rows else text


def _risk(points: Sequence[Point]) -> str:
    text = (
        "<p>A higher threshold of the score gives fewer answers, and fewer of these are wrong. "
        "Each row is the threshold at which another tenth of the questions is answered.</p>\n"
    )
    if not points:
        return "<p>No question got an answer.</p>"
    rows = [
        [
            _name(f"{point.threshold:.3f}"),
            _cell(f"{point.answers:,}"),
            _share(100 * point.coverage),
            _share(100 * point.risk),
        ]
        for point in _tenths(points)
    ]
    return text + _table("risks", ["threshold", "answers", "answered", "wrong"], rows)


def _tenths(points: Sequence[Point]) -> list[Point]:
    """The first points that cover each tenth of the questions, and the last point."""
    found = []
    for tenth in range(1, 11):
        # Allow for rounding errors of the coverage.
        reached = (point for point in points if point.coverage * 10 >= tenth - 1e-9)
        found.append(next(reached, points[-1]))
    return list(dict.fromkeys(found))


def _calibration(found: Findings) -> str:
    text = (
        "<p>If scores are calibrated, eight of ten answers with a score near 0.8 are right, and "
        "bars and dots reach the dashed line. Below the line, answers are right less often than "
        "their scores say.</p>\n"
    )
    after = _bins(found.bins, "calibration")
    if not found.bins_before:
        return text + after
    before = _bins(found.bins_before, "before")
    return (
        f"{text}<h3>After calibration</h3>\n{after}\n"
        f"<h3>Before calibration, with a temperature of 1</h3>\n{before}"
    )


def _bins(bins: Sequence[Bin], name: str) -> str:
    rows = [
        [
            _name(f"{part.low:.1f} to {part.high:.1f}"),
            _cell(f"{part.answers:,}"),
            _cell(f"{part.score:.3f}"),
            _cell(f"{part.accuracy:.3f}"),
        ]
        for part in bins
    ]
    table = _table(name, ["score", "answers", "mean score", "share right"], rows)
    caption = (
        "Above: the share of right answers in each tenth of the scores, with a dot at the mean "
        "score. Below: the number of answers."
    )
    figure = f"<figure>\n{_diagram(bins)}\n<figcaption>{caption}</figcaption>\n</figure>"
    return f'<div class="beside">\n{figure}\n{table}\n</div>'


def _named(group: Group) -> Group:
    """Adds the name of a bAbI task to its number."""
    number = int(group.name)
    if not 1 <= number <= len(TASKS):
        return group
    return dataclasses.replace(group, name=f"{number}: {TASKS[number - 1]}")


def _groups(name: str, head: str, groups: Sequence[Group], passed: float = 0.0) -> str:
    """A table of groups with accuracy and, if there are errors, the most frequent wrong answer."""
    wrong = any(group.right < group.questions for group in groups)
    rows = []
    for group in groups:
        row = [_name(group.name or NO_ANSWER), *_counts(group)]
        row.append(_share(group.accuracy, group.accuracy < passed))
        if wrong:
            confused = group.confused or NO_ANSWER
            row.append(_cell(confused if group.right < group.questions else "", "text"))
        rows.append(row)
    heads = [head, "questions", "right", "accuracy"]
    if not wrong:
        return _table(name, heads, rows)
    hint = f'\n<p class="hint">“{CONFUSED}” is the most frequent wrong answer.</p>'
    return _table(name, [*heads, CONFUSED], rows) + hint


def _overlaps(name: str, head: str, groups: Sequence[Group]) -> str:
    """A table of groups with exact match and F1."""
    rows = [
        [_name(group.name), *_counts(group), _share(group.accuracy), _share(group.f1)]
        for group in groups
    ]
    return _table(name, [head, "questions", "right", "exact match", "F1"], rows)


def _table(name: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(
        f'<th scope="col"{_kind("text" if head == CONFUSED else "")}>{head}</th>' for head in heads
    )
    body = "".join(f"<tr>{''.join(row)}</tr>\n" for row in rows)
    table = f"<thead><tr>{top}</tr></thead>\n<tbody>\n{body}</tbody>"
    return f'<div class="wide"><table id="{name}">\n{table}\n</table></div>'


def _name(text: str) -> str:
    return f'<th scope="row" dir="auto">{escape(text)}</th>'


def _cell(text: str, kind: str = "") -> str:
    return f"<td{_kind(kind)}>{escape(text)}</td>"


def _counts(group: Group) -> list[str]:
    return [_cell(f"{group.questions:,}"), _cell(f"{group.right:,}")]


def _share(percent: float, failed: bool = False) -> str:
    kind = "share failed" if failed else "share"
    return f'<td class="{kind}" style="--share: {percent:.1f}%">{percent:.1f} %</td>'


def _kind(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _diagram(bins: Sequence[Bin]) -> str:
    """The calibration diagram as SVG: accuracy by score, and below it the number of answers."""
    base = SIDE + GAP + STRIP
    width, height = LEFT + SIDE + 14, TOP + base + BOTTOM
    parts = [
        *_square(),
        *(_bar(part) for part in bins),
        f'<line class="even" x1="0" y1="{SIDE}" x2="{SIDE}" y2="0"/>',
        *(
            f'<circle class="mean" cx="{SIDE * part.score:.1f}" '
            f'cy="{SIDE * (1 - part.accuracy):.1f}" r="4"/>'
            for part in bins
        ),
        _turned("share of right answers", SIDE / 2),
        *_bin_sizes(bins, base),
        *(_text(f"{tick:g}", SIDE * tick, y + 18) for y in (SIDE, base) for tick in TICKS),
        _text("score of the answer", SIDE / 2, base + 40, "title"),
        _turned("answers", base - STRIP / 2),
    ]
    return (
        '<svg role="img" aria-label="Calibration diagram: share of right answers, and number of '
        f'answers, by score. The table has its figures." width="{width}" height="{height}" '
        f'viewBox="{-LEFT} {-TOP} {width} {height}">\n' + "\n".join(parts) + "\n</svg>"
    )


def _square() -> list[str]:
    parts = []
    for tick in TICKS:
        place = SIDE * (1 - tick)
        parts.append(f'<line class="grid" x1="0" y1="{place:.1f}" x2="{SIDE}" y2="{place:.1f}"/>')
        parts.append(_text(f"{tick:g}", -8, place + 4, anchor="end"))
    parts.append(f'<rect class="axis" width="{SIDE}" height="{SIDE}"/>')
    return parts


def _bar(part: Bin) -> str:
    height = SIDE * part.accuracy
    return (
        f'<rect class="bar" x="{SIDE * part.low:.1f}" y="{SIDE - height:.1f}" '
        f'width="{SIDE * (part.high - part.low):.1f}" height="{height:.1f}"><title>'
        f"Scores {part.low:.1f} to {part.high:.1f}: {part.answers:,} answers, "
        f"mean score {part.score:.3f}, share right {part.accuracy:.3f}</title></rect>"
    )


def _bin_sizes(bins: Sequence[Bin], base: int) -> list[str]:
    most = max((part.answers for part in bins), default=1)
    parts = []
    for part in bins:
        height = STRIP * part.answers / most
        middle = SIDE * (part.low + part.high) / 2
        parts.append(
            f'<rect class="count" x="{SIDE * part.low:.1f}" y="{base - height:.1f}" '
            f'width="{SIDE * (part.high - part.low):.1f}" height="{height:.1f}"/>'
        )
        parts.append(_text(_short(part.answers), middle, base - height - 4))
    parts.append(f'<line class="axis" x1="0" y1="{base}" x2="{SIDE}" y2="{base}"/>')
    return parts


def _short(number: int) -> str:
    """A number that is narrow enough for a bar: 9,999, 12k, 1.0M."""
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1e3:.0f}k" if number < 999_500 else f"{number / 1e6:.1f}M"


def _text(text: str, x: float, y: float, kind: str = "tick", anchor: str = "middle") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _turned(text: str, y: float) -> str:
    return (
        f'<text class="title" transform="translate({14 - LEFT} {y:.1f}) rotate(-90)" '
        f'text-anchor="middle">{text}</text>'
    )
