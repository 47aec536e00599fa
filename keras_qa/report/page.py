"""A report and its HTML page: no external files, no script, every text escaped."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import NamedTuple

from keras_qa.data.babi import FAILED_TASK_ERROR
from keras_qa.data.files import replace_atomically
from keras_qa.report.errors import errors_section
from keras_qa.report.findings import NO_ANSWER, Bin, Group, JudgedAnswer, Point, coverage_steps

MAX_ANSWERS = 100
# A page with more sections has a table of contents.
FEW_SECTIONS = 3
CONFUSED = "mostly taken for"
# Nothing is loaded and no script runs, whatever a text may contain.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

# The names of the bAbI tasks.
TASKS = (
    *("one supporting fact", "two supporting facts", "three supporting facts"),
    *("two-argument relations", "three-argument relations", "yes or no", "counting"),
    *("lists and sets", "simple negation", "indefinite knowledge", "basic coreference"),
    *("conjunction", "compound coreference", "time", "basic deduction", "basic induction"),
    *("positions", "sizes", "path finding", "motivations"),
)


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of an evaluation.

    A group of questions has `name`, `questions`, `right`, `accuracy`, `f1` and `confused`, the most
    frequent wrong answer.

    Args:
        questions: Number of questions.
        exact_match: Percentage of right answers.
        f1: Mean F1, in percent.
        by_task: A group for each bAbI task, if examples name their tasks.
        by_answer: A group for each right answer, the most frequent first.
        errors: Wrong answers, in decreasing order of score times (1 - F1). Each has `example`,
            `answer`, `exact_match` and `f1`.
        bins: Calibration: for each tenth of the scores that has answers, `low`, `high`, `answers`,
            their mean `score` and `accuracy`.
        calibration_error: The expected calibration error, between 0 and 1.
        by_question_word: A group for each question word, if answers are spans.
        by_length: A group for each length of the right answer, if answers are spans.
        version: The version of SQuAD of the official scores, or an empty string.
        official: The official scores, as `metrics.squad` returns them.
        located: For an index, the number of questions whose passage is known.
        recall: For an index, the percentage of these questions whose passage is among the first 1,
            5 and 20 passages that the search returns.
        right: For an index, the percentage of answerable questions whose answer is an accepted one,
            alone or with at most three more words; `None` if there are none.
        refused: For an index, the percentage of unanswerable questions that get no answer.
        points: For an index, a point for each score, the highest first. If only answers with at
            least the score `threshold` are given, there are `answers` of them, `coverage` is their
            share of all questions, and `risk` the share of wrong ones among them, with answers that
            are right as in `right`.
        by_source: A group for each source, the most frequent first, if examples have a `source`.
    """

    questions: int
    exact_match: float
    f1: float
    by_task: list[Group]
    by_answer: list[Group]
    errors: list[JudgedAnswer]
    bins: list[Bin]
    calibration_error: float
    by_question_word: list[Group] = dataclasses.field(default_factory=list)
    by_length: list[Group] = dataclasses.field(default_factory=list)
    version: str = ""
    official: dict[str, float] = dataclasses.field(default_factory=dict)
    located: int = 0
    recall: dict[int, float] = dataclasses.field(default_factory=dict)
    right: float | None = None
    refused: float | None = None
    points: list[Point] = dataclasses.field(default_factory=list)
    by_source: list[Group] = dataclasses.field(default_factory=list)

    @property
    def wrong(self) -> int:
        """Number of wrong answers. `errors` may have only some of them."""
        return self.questions - round(self.questions * self.exact_match / 100.0)

    @property
    def scores(self) -> dict[str, float]:
        """The scores as `QuestionAnswerer.evaluate` returns them."""
        return {"exact_match": self.exact_match, "f1": self.f1, "examples": self.questions}

    def html(self, title: str = "Evaluation") -> str:
        """Returns the report as one HTML page without external files.

        `title` is the heading.
        """
        style = (resources.files("keras_qa.report") / "page.css").read_text(encoding="utf-8")
        sections = _sections(self)
        parts = [f"<h1>{escape(title)}</h1>", _scores(self)]
        if len(sections) > FEW_SECTIONS:
            parts.append(_contents(sections))
        parts += [
            f'<section aria-labelledby="{name}">\n<h2 id="{name}">{heading}</h2>\n{body}\n'
            "</section>"
            for name, heading, body in sections
        ]
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
            + "\n".join(parts)
            + "\n</main>\n</body>\n</html>\n"
        )

    def save(self, path: str | os.PathLike[str], title: str = "Evaluation") -> None:
        """Writes the page of `html` to a file."""
        with replace_atomically(path) as partial:
            # JSON may contain half a surrogate pair, which UTF-8 cannot encode.
            partial.write_bytes(self.html(title).encode("utf-8", "xmlcharrefreplace"))


class Section(NamedTuple):
    """A section of the page: its id, its heading and its HTML."""

    name: str
    heading: str
    body: str


def _scores(report: Report) -> str:
    tiles = (
        ("Questions", f"{report.questions:,}", f"{report.wrong:,} answered wrong"),
        ("Exact match", f"{report.exact_match:.2f} %", "answers that are right"),
        ("F1", f"{report.f1:.2f} %", "mean word overlap with the right answer"),
        (
            "Calibration error",
            f"{report.calibration_error:.4f}",
            "mean difference of score and share right",
        ),
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


def _sections(report: Report) -> list[Section]:
    sections = []
    if report.official:
        sections.append(Section("official-scores", "Official scores", _official(report)))
    if report.points or report.recall:
        sections.append(Section("retrieval", "Retrieval", _retrieval(report)))
        sections.append(Section("risk", "Risk against coverage", _risk(report.points)))
    if report.by_task:
        passed = 100.0 - FAILED_TASK_ERROR
        text = f"<p>A task with an accuracy below {passed:g} % counts as failed.</p>\n"
        table = _groups("tasks", "task", [_named(group) for group in report.by_task], passed)
        sections.append(Section("by-task", "By task", text + table))
    if report.by_source:
        table = _overlaps("sources", "source", report.by_source)
        sections.append(Section("by-source", "By source", table))
    if report.by_question_word:
        table = _overlaps("words", "question word", report.by_question_word)
        sections.append(Section("by-question-word", "By question word", table))
    if report.by_length:
        table = _overlaps("lengths", "right answer", report.by_length)
        sections.append(Section("by-answer-length", "By answer length", table))
    if report.by_answer and not report.version:
        shown = report.by_answer[:MAX_ANSWERS]
        table = _groups("answers", "right answer", shown)
        rarer = len(report.by_answer) - len(shown)
        if rarer:
            table += f"\n<p>{rarer:,} rarer answers are not shown.</p>"
        sections.append(Section("by-answer", "By answer", table))
    sections.append(Section("calibrated", "Calibration", _calibration(report.bins)))
    if report.errors:
        body = errors_section(report.errors, report.wrong, marked=bool(report.version))
        sections.append(Section("errors", "Errors with the highest scores", body))
    return sections


def _official(report: Report) -> str:
    rows = [[_name(name), _cell(f"{value:.10g}")] for name, value in report.official.items()]
    text = f"<p>The scores of the official SQuAD {escape(report.version)} script, in percent.</p>\n"
    return text + _table("official", ["score", f"SQuAD {escape(report.version)}"], rows)


def _retrieval(report: Report) -> str:
    text = (
        f"<p>For {report.located:,} of the {report.questions:,} questions the passage with the "
        "answer is known. Recall is the share of these whose passage is among the first that the "
        "search returns.</p>\n"
    )
    rows = [[_name(f"{most:,}"), _share(share)] for most, share in report.recall.items()]
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
        for point in coverage_steps(points, 10)
    ]
    return text + _table("risks", ["threshold", "answers", "answered", "wrong"], rows)


def _calibration(bins: Sequence[Bin]) -> str:
    text = (
        "<p>If scores are calibrated, eight of ten answers with a score near 0.8 are right, and "
        "both bars of a row have the same length. If the second one is shorter, answers are right "
        "less often than their scores say.</p>\n"
    )
    rows = [
        [
            _name(f"{part.low:.1f} to {part.high:.1f}"),
            _cell(f"{part.answers:,}"),
            _share(100 * part.score),
            _share(100 * part.accuracy),
        ]
        for part in bins
    ]
    return text + _table("calibration", ["score", "answers", "mean score", "share right"], rows)


def _named(group: Group) -> Group:
    """Adds the name of a bAbI task to its number."""
    number = int(group.name)
    if not 1 <= number <= len(TASKS):
        return group
    return dataclasses.replace(group, name=f"{number}: {TASKS[number - 1]}")


def _groups(name: str, head: str, groups: Sequence[Group], passed: float = 0.0) -> str:
    """A table of groups with accuracy and the most frequent wrong answer."""
    rows = []
    for group in groups:
        confused = group.confused or NO_ANSWER
        rows.append(
            [
                _name(group.name or NO_ANSWER),
                *_counts(group),
                _share(group.accuracy, group.accuracy < passed),
                _cell(confused if group.right < group.questions else "", "text"),
            ]
        )
    hint = f'\n<p class="hint">“{CONFUSED}” is the most frequent wrong answer.</p>'
    return _table(name, [head, "questions", "right", "accuracy", CONFUSED], rows) + hint


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
