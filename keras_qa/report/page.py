"""A report as one page of HTML: nothing from elsewhere, one small script, every text escaped."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import NamedTuple

from keras_qa.recipes import FAILED
from keras_qa.report import errors
from keras_qa.report.diagram import diagram, risk_diagram
from keras_qa.report.findings import Bin, Findings, Group, Point
from keras_qa.report.plots import TASKS

MOST_ANSWERS = 100
# A page of more sections begins with their names.
FEW_SECTIONS = 3
TAKEN_FOR = "mostly taken for"


class Section(NamedTuple):
    """A part of the page: its id, its heading, and what it says, as HTML."""

    name: str
    heading: str
    body: str


def page(found: Findings, title: str) -> str:
    """Writes the page.

    Args:
        found: What was found.
        title: Its heading.

    Returns:
        HTML. What belongs to questions that are not there is left out.
    """
    style, script = _file("page.css"), _file("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # This very script runs, and no other that a text might bring.
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
        hint += f"; {before:.4f} before the temperature"
    tiles = (
        ("Questions", f"{found.questions:,}", f"{found.wrong:,} answered wrong"),
        ("Exact match", f"{found.exact_match:.2f} %", "answers that are right"),
        ("F1", f"{found.f1:.2f} %", "mean overlap in words with the right answer"),
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
        passed = 100.0 - FAILED
        text = f"<p>A task of which less than {passed:g} % is right counts as failed.</p>\n"
        table = _groups("tasks", "task", [_named(group) for group in found.by_task], passed)
        sections.append(Section("by-task", "By task", text + table))
    if found.by_question_word:
        table = _overlaps("words", "question word", found.by_question_word)
        sections.append(Section("by-question-word", "By question word", table))
    if found.by_length:
        table = _overlaps("lengths", "right answer", found.by_length)
        sections.append(Section("by-answer-length", "By answer length", table))
    if found.by_answer and not found.version:
        shown = found.by_answer[:MOST_ANSWERS]
        table = _groups("answers", "right answer", shown)
        rarer = len(found.by_answer) - len(shown)
        if rarer:
            table += f"\n<p>{rarer:,} rarer answers are not shown.</p>"
        sections.append(Section("by-answer", "By answer", table))
    sections.append(Section("calibrated", "Calibration", _calibration(found)))
    if found.errors:
        sections.append(Section("errors", "Errors it was surest of", errors.section(found)))
    return sections


def _official(found: Findings) -> str:
    rows = [[_name(name), _cell(f"{value:.10g}")] for name, value in found.official.items()]
    text = f"<p>What the script of SQuAD {escape(found.version)} prints: shares in percent.</p>\n"
    return text + _table("official", ["score", f"SQuAD {escape(found.version)}"], rows)


def _retrieval(found: Findings) -> str:
    text = (
        f"<p>Of {found.located:,} of the {found.questions:,} questions it is known where in the "
        "documents their answers stand: so many have a passage that holds one among the first that "
        "are found.</p>\n"
    )
    rows = [[_name(f"{most:,}"), _share(share)] for most, share in found.recall.items()]
    return text + _table("recall", ["passages", "recall"], rows) if rows else text


def _risk(points: Sequence[Point]) -> str:
    text = (
        "<p>Who gives only the answers of the highest scores gives fewer, of which less are wrong. "
        "A row is the score from which on a tenth more of all questions get an answer.</p>\n"
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
    table = _table("risks", ["score from", "answers", "answered", "wrong"], rows)
    figure = f"<figure>\n{risk_diagram(points)}\n</figure>"
    return f'{text}<div class="beside">\n{figure}\n{table}\n</div>'


def _tenths(points: Sequence[Point]) -> list[Point]:
    """The first points that cover a tenth of the questions, two tenths and so on; and the last."""
    found = []
    for tenth in range(1, 11):
        # What rounding does to a share makes no difference.
        reached = (point for point in points if point.coverage * 10 >= tenth - 1e-9)
        found.append(next(reached, points[-1]))
    return list(dict.fromkeys(found))


def _calibration(found: Findings) -> str:
    text = (
        "<p>Where scores mean what they say, of the answers with scores near 0.8 eight in ten are "
        "right: bars and dots reach the dashed line. Under it, answers are less often right than "
        "their scores say.</p>\n"
    )
    after = _bins(found.bins, "calibration")
    if not found.bins_before:
        return text + after
    before = _bins(found.bins_before, "before")
    return (
        f"{text}<h3>With the temperature</h3>\n{after}\n"
        f"<h3>Before, with a temperature of 1</h3>\n{before}"
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
        "Above: bars are the share of right answers in each tenth of the scores, dots stand at its "
        "mean score. Below: how many answers it has."
    )
    figure = f"<figure>\n{diagram(bins)}\n<figcaption>{caption}</figcaption>\n</figure>"
    return f'<div class="beside">\n{figure}\n{table}\n</div>'


def _named(group: Group) -> Group:
    """A bAbI task with what it is about in its name."""
    number = int(group.name)
    if not 1 <= number <= len(TASKS):
        return group
    return dataclasses.replace(group, name=f"{number}: {TASKS[number - 1]}")


def _groups(name: str, head: str, groups: Sequence[Group], passed: float = 0.0) -> str:
    """A table of groups with the wrong answers given most often, where there are any."""
    wrong = any(group.right < group.questions for group in groups)
    rows = []
    for group in groups:
        row = [_name(group.name or errors.NO_ANSWER), *_counts(group)]
        row.append(_share(group.accuracy, group.accuracy < passed))
        if wrong:
            confused = group.confused or errors.NO_ANSWER
            row.append(_cell(confused if group.right < group.questions else "", "text"))
        rows.append(row)
    heads = [head, "questions", "right", "accuracy"]
    if not wrong:
        return _table(name, heads, rows)
    hint = f'\n<p class="hint">“{TAKEN_FOR}” has the wrong answer that was given most often.</p>'
    return _table(name, [*heads, TAKEN_FOR], rows) + hint


def _overlaps(name: str, head: str, groups: Sequence[Group]) -> str:
    """A table of groups with the overlap of their answers."""
    rows = [
        [_name(group.name), *_counts(group), _share(group.accuracy), _share(group.f1)]
        for group in groups
    ]
    return _table(name, [head, "questions", "right", "exact match", "F1"], rows)


def _table(name: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(
        f'<th scope="col"{_kind("text" if head == TAKEN_FOR else "")}>{head}</th>' for head in heads
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
