"""The section of errors on the page of a report: wrong answers in their texts, with a filter."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Sequence
from html import escape

from keras_qa.datasets import babi
from keras_qa.example import Answer
from keras_qa.report.findings import Findings, Group, JudgedAnswer
from keras_qa.report.groups import NO_ANSWER, answer_length, question_word

# A text with more characters is cut to the surroundings of its answers.
MAX_TEXT, CONTEXT = 4_000, 500
# The most locations in documents that are shown for an answer.
MAX_SOURCES = 5


@dataclasses.dataclass(frozen=True)
class Facet:
    """A property that errors can be filtered by.

    Args:
        name: The name of the HTML attribute, after `data-`, and of the form field.
        label: The label of the form field.
        groups: Groups of questions: the possible values in order.
        values: The value of each error: the name of its group.
    """

    name: str
    label: str
    groups: Sequence[Group]
    values: Sequence[str]

    @property
    def counts(self) -> dict[str, int]:
        """Number of errors of each value."""
        found = collections.Counter(self.values)
        names = [group.name for group in self.groups]
        # The form uses an empty value for all errors.
        return {name: found[name] for name in names if name and found[name]}


def _facets(found: Findings) -> list[Facet]:
    """The facets with different values for different errors."""
    items = [item.example for item in found.errors]
    words = [question_word(item.question) for item in items]
    lengths = [answer_length(item.answers) for item in items]
    tasks = [str(babi.task_of(item) or "") for item in items]
    offered = [Facet("task", "Task", found.by_task, tasks)]
    if found.version:
        offered += [
            Facet("word", "Question word", found.by_question_word, words),
            Facet("length", "Answer length", found.by_length, lengths),
        ]
    else:
        right = [item.answers[0] if item.answers else "" for item in items]
        offered.append(Facet("right", "Right answer", found.by_answer, right))
    return [facet for facet in offered if len(facet.counts) > 1]


def section(found: Findings) -> str:
    """Returns the HTML of the errors of a report: an explanation, the filter and the errors.

    Args:
        found: A report with at least one error.
    """
    offered = _facets(found)
    marked = bool(found.version)
    kept = len(found.errors)
    parts = [f"<p>{_which(kept, found.wrong)} {_legend(found.errors, marked)}</p>"]
    if kept > 1:
        parts.append(_form(offered, kept))
    for place, item in enumerate(found.errors):
        values = {facet.name: facet.values[place] for facet in offered}
        parts.append(_error(place + 1, item, values, marked))
    return "\n".join(parts)


def _which(kept: int, wrong: int) -> str:
    if wrong == 1:
        return "The one wrong answer."
    which = f"The {kept:,} of {wrong:,}" if kept < wrong else f"All {kept:,}"
    return f"{which} wrong answers. Those with the highest scores and the lowest F1 come first."


def _legend(errors: Sequence[JudgedAnswer], marked: bool) -> str:
    lines = []
    given = any(item.answer.start is not None for item in errors)
    if marked and given:
        lines.append('In the texts, given answers are <mark class="given">highlighted</mark>.')
    elif given:
        lines.append("In the texts, the last mention of the given answer is <mark>bold</mark>.")
    if any(item.example.answer_start for item in errors):
        lines.append('Right answers are <mark class="right">underlined</mark>.')
    if any(item.answer.support for item in errors):
        lines.append("A stronger colour of a sentence means more support for the answer.")
        if any(item.example.supporting_facts for item in errors):
            fact = '<span class="fact">underlined</span>'
            lines.append(f"The supporting sentences of the right answer in the data are {fact}.")
    return " ".join(lines)


def _form(offered: Sequence[Facet], errors: int) -> str:
    fields = ['<label class="search">Search the errors<input type="search" name="search"></label>']
    for facet in offered:
        options = ['<option value="">all</option>']
        for value, count in facet.counts.items():
            options.append(f'<option value="{escape(value)}">{escape(value)} ({count:,})</option>')
        fields.append(
            f'<label>{facet.label}<select name="{facet.name}">{"".join(options)}</select></label>'
        )
    fields.append('<button type="button">Show all</button>')
    # The form needs the script, which shows it.
    return (
        '<form id="filter" role="search" aria-label="Errors" autocomplete="off" hidden>\n'
        '<div class="fields">\n' + "\n".join(fields) + "\n</div>\n"
        f'<output id="count" aria-live="polite">{errors:,} of {errors:,} shown</output>\n</form>'
    )


def _error(number: int, item: JudgedAnswer, values: dict[str, str], marked: bool) -> str:
    example, answer = item.example, item.answer
    data = "".join(f' data-{name}="{escape(value)}"' for name, value in values.items())
    name = f' <small dir="auto">{escape(example.id)}</small>' if example.id else ""
    given = _bdi(answer.text or NO_ANSWER)
    # The data may repeat an answer that several annotators gave.
    right = " or ".join(_bdi(text) for text in dict.fromkeys(example.answers or (NO_ANSWER,)))
    overlap = f", F1 {100.0 * item.f1:.1f} %" if marked else ""
    return (
        f'<article class="error"{data} aria-labelledby="error-{number}">\n'
        f'<h3 id="error-{number}"><span class="number">{number}</span>'
        f"{_bdi(example.question)}{name}</h3>\n"
        f'<dl class="verdict"><dt>Answered</dt><dd>{given} '
        f"<small>score {answer.score:.3f}{overlap}</small></dd>"
        f"{_sources(answer)}<dt>Right</dt><dd>{right}</dd></dl>\n"
        f'<p class="story" dir="auto">{_story(item, marked)}</p>\n</article>'
    )


def _sources(answer: Answer) -> str:
    """The locations of an answer in documents, if any."""
    if not answer.sources:
        return ""
    places = dict.fromkeys(
        f"{one.document}, page {one.page}" if one.page is not None else f"{one.document}:{one.line}"
        for one in answer.sources
    )
    shown = ", ".join(_bdi(place) for place in [*places][:MAX_SOURCES])
    more = f" and {len(places) - MAX_SOURCES:,} more" if len(places) > MAX_SOURCES else ""
    return f'<dt>From</dt><dd class="from">{shown}{more}</dd>'


def _bdi(text: str) -> str:
    return f'<bdi dir="auto">{escape(text)}</bdi>'


def _story(item: JudgedAnswer, marked: bool) -> str:
    """The marked text: cut into pieces at both ends of sentences, given and right answers."""
    text, answer = item.example.plain_text, item.answer
    sentences = [(part.start, part.end) for part in answer.support]
    given = (answer.start or 0, answer.end or 0)
    golds = [
        (start, start + len(right))
        for right, start in zip(item.example.answers, item.example.answer_start, strict=False)
    ]
    kind = ' class="given"' if marked else ""
    shown = _shown(text, [given, *golds])
    ends = {end for pair in [*sentences, given, *golds, *shown] for end in pair}
    pieces: list[str] = []
    for start, end in itertools.pairwise(sorted({0, len(text), *ends})):
        if not _inside(start, shown):
            pieces += ["…"] if pieces[-1:] != ["…"] else []
            continue
        piece = escape(text[start:end])
        if _inside(start, [given]):
            piece = f"<mark{kind}>{piece}</mark>"
        if _inside(start, golds):
            piece = f'<mark class="right">{piece}</mark>'
        pieces.append(_supported(piece, start, item))
    return "".join(pieces)


def _supported(piece: str, place: int, item: JudgedAnswer) -> str:
    """A piece of a text, coloured by the support weight of its sentence, if it has one."""
    for part in item.answer.support:
        if part.start <= place < part.end:
            fact = " fact" if part.position in item.example.supporting_facts else ""
            return (
                f'<span class="support{fact}" style="--weight: {part.weight:.3f}" '
                f'title="weight {part.weight:.3f}">{piece}</span>'
            )
    return piece


def _shown(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts of a text to show: the whole text, or the surroundings of some spans."""
    if len(text) <= MAX_TEXT:
        return [(0, len(text))]
    around = [
        (max(0, start - CONTEXT), min(len(text), end + CONTEXT))
        for start, end in spans
        if start < end
    ]
    return around or [(0, MAX_TEXT)]


def _inside(place: int, spans: list[tuple[int, int]]) -> bool:
    return any(start <= place < end for start, end in spans)
