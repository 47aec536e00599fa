"""The wrong answers of a report, each in its text, and the form that filters them."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Sequence
from html import escape

from keras_qa.datasets import babi
from keras_qa.example import Answer
from keras_qa.report import spans
from keras_qa.report.findings import Findings, Group, Judged

# Of a longer text, in characters, an error shows what is around the answers.
MOST_TEXT, AROUND = 4_000, 500
# So many places in documents that say an answer are named.
MOST_SOURCES = 5
NO_ANSWER = spans.NONE


@dataclasses.dataclass(frozen=True)
class Facet:
    """What errors may be filtered by.

    Args:
        name: Its name, after `data-` and in the form.
        label: Its name for the reader.
        groups: Groups of questions, in whose order its values are offered.
        values: The value of each error, which names a group.
    """

    name: str
    label: str
    groups: Sequence[Group]
    values: Sequence[str]

    @property
    def counts(self) -> dict[str, int]:
        """How many errors have each value."""
        found = collections.Counter(self.values)
        names = [group.name for group in self.groups]
        # An empty value stands for all of them.
        return {name: found[name] for name in names if name and found[name]}


def facets(found: Findings) -> list[Facet]:
    """What the errors of a report may be filtered by: whatever tells some of them apart."""
    items = [item.example for item in found.errors]
    words = [spans.question_word(item.question) for item in items]
    lengths = [spans.answer_length(item.answers) for item in items]
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
    """Writes all errors of a report, as HTML.

    Args:
        found: What was found, with an error at least.

    Returns:
        What the marks in the texts mean, the form, and the errors.
    """
    offered = facets(found)
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
    return (
        f"{which} wrong answers, first those with the highest scores and the least in common with "
        "the right one."
    )


def _legend(errors: Sequence[Judged], marked: bool) -> str:
    lines = []
    given = any(item.answer.start is not None for item in errors)
    if marked and given:
        lines.append('In the texts, given answers are <mark class="given">highlighted</mark>.')
    elif given:
        lines.append("In the texts, the last mention of the given answer is <mark>bold</mark>.")
    if any(item.example.answer_start for item in errors):
        lines.append('Right answers are <mark class="right">underlined</mark>.')
    if any(item.answer.support for item in errors):
        lines.append("The stronger a sentence is coloured, the more the answer rests on it.")
        if any(item.example.supporting_facts for item in errors):
            fact = '<span class="fact">underlined</span>'
            lines.append(f"Sentences that the right answer rests on, as the data says, are {fact}.")
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
    # Without its script, which shows it, it would do nothing.
    return (
        '<form id="filter" role="search" aria-label="Errors" autocomplete="off" hidden>\n'
        '<div class="fields">\n' + "\n".join(fields) + "\n</div>\n"
        f'<output id="count" aria-live="polite">{errors:,} of {errors:,} shown</output>\n</form>'
    )


def _error(number: int, item: Judged, values: dict[str, str], marked: bool) -> str:
    example, answer = item.example, item.answer
    data = "".join(f' data-{name}="{escape(value)}"' for name, value in values.items())
    name = f' <small dir="auto">{escape(example.id)}</small>' if example.id else ""
    given = _bdi(answer.text or NO_ANSWER)
    # Several people often gave the same answer.
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
    """Where in documents an answer stands, if it is from some."""
    if not answer.sources:
        return ""
    places = dict.fromkeys(
        f"{one.document}, page {one.page}" if one.page is not None else f"{one.document}:{one.line}"
        for one in answer.sources
    )
    shown = ", ".join(_bdi(place) for place in [*places][:MOST_SOURCES])
    more = f" and {len(places) - MOST_SOURCES:,} more" if len(places) > MOST_SOURCES else ""
    return f'<dt>From</dt><dd class="from">{shown}{more}</dd>'


def _bdi(text: str) -> str:
    return f'<bdi dir="auto">{escape(text)}</bdi>'


def _story(item: Judged, marked: bool) -> str:
    """The text, cut wherever a sentence, the answer or a right answer begins or ends."""
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


def _supported(piece: str, place: int, item: Judged) -> str:
    """A piece of a text on the ground of the sentence that it is in, if an answer rests on it."""
    for part in item.answer.support:
        if part.start <= place < part.end:
            fact = " fact" if part.position in item.example.supporting_facts else ""
            return (
                f'<span class="support{fact}" style="--weight: {part.weight:.3f}" '
                f'title="weight {part.weight:.3f}">{piece}</span>'
            )
    return piece


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
