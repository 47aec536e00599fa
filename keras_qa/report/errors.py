"""The section of errors on the page of a report: wrong answers in their texts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from html import escape

from keras_qa.example import Answer
from keras_qa.report.findings import NO_ANSWER, JudgedAnswer

# A text with more characters is cut to the surroundings of its answers.
MAX_TEXT, CONTEXT = 4_000, 500
# The most locations in documents that are shown for an answer.
MAX_SOURCES = 5


def errors_section(errors: Sequence[JudgedAnswer], wrong: int, marked: bool) -> str:
    """Returns the HTML of an explanation and of each error.

    `wrong` is the number of all wrong answers. If answers are spans, `marked` is true, and both the
    given and the right ones are marked.
    """
    return "\n".join(
        [
            f"<p>{_which(len(errors), wrong)} {_legend(marked)}</p>",
            *(_error(number, item, marked) for number, item in enumerate(errors, start=1)),
        ]
    )


def _which(kept: int, wrong: int) -> str:
    if wrong == 1:
        return "The one wrong answer."
    which = f"The {kept:,} of {wrong:,}" if kept < wrong else f"All {kept:,}"
    return f"{which} wrong answers. Those with the highest scores and the lowest F1 come first."


def _legend(marked: bool) -> str:
    if marked:
        return (
            'In the texts, given answers are <mark class="given">highlighted</mark> and right '
            'answers are <mark class="right">underlined</mark>.'
        )
    return (
        "In the texts, the last mention of the given answer is <mark>bold</mark>. A stronger "
        "colour of a sentence means more support for the answer. Sentences that support the right "
        'answer in the data are <span class="fact">underlined</span>.'
    )


def _error(number: int, item: JudgedAnswer, marked: bool) -> str:
    example, answer = item.example, item.answer
    name = f' <small dir="auto">{escape(example.id)}</small>' if example.id else ""
    answered = _bdi(answer.text or NO_ANSWER)
    # The data may repeat an answer that several annotators gave.
    right = " or ".join(_bdi(text) for text in dict.fromkeys(example.answers or (NO_ANSWER,)))
    overlap = f", F1 {100.0 * item.f1:.1f} %" if marked else ""
    return (
        f'<article class="error" aria-labelledby="error-{number}">\n'
        f'<h3 id="error-{number}"><span class="number">{number}</span>'
        f"{_bdi(example.question)}{name}</h3>\n"
        f'<dl class="verdict"><dt>Answered</dt><dd>{answered} '
        f"<small>score {answer.score:.3f}{overlap}</small></dd>"
        f"{_sources(answer)}<dt>Right</dt><dd>{right}</dd></dl>\n"
        f'<p class="story" dir="auto">{_story(item, marked)}</p>\n</article>'
    )


def _sources(answer: Answer) -> str:
    """The locations of an answer in documents, if any."""
    if not answer.sources:
        return ""
    names = dict.fromkeys(
        f"{part.document}:{part.line}"
        if part.page is None
        else f"{part.document}, page {part.page}"
        for part in answer.sources
    )
    shown = ", ".join(map(_bdi, [*names][:MAX_SOURCES]))
    more = f" and {len(names) - MAX_SOURCES:,} more" if len(names) > MAX_SOURCES else ""
    return f'<dt>From</dt><dd class="from">{shown}{more}</dd>'


def _bdi(text: str) -> str:
    return f'<bdi dir="auto">{escape(text)}</bdi>'


def _story(item: JudgedAnswer, marked: bool) -> str:
    """The marked text: cut into pieces at both ends of sentences, given and right answers."""
    text, answer = item.example.plain_text, item.answer
    sentences = [(part.start, part.end) for part in answer.support]
    span = (answer.start or 0, answer.end or 0)
    golds = [
        (start, start + len(right))
        for right, start in zip(item.example.answers, item.example.answer_start, strict=False)
    ]
    kind = ' class="given"' if marked else ""
    shown = _shown(text, [span, *golds])
    ends = {end for pair in [*sentences, span, *golds, *shown] for end in pair}
    pieces: list[str] = []
    for start, end in itertools.pairwise(sorted({0, len(text), *ends})):
        if not _inside(start, shown):
            pieces += ["…"] if pieces[-1:] != ["…"] else []
            continue
        piece = escape(text[start:end])
        if _inside(start, [span]):
            piece = f"<mark{kind}>{piece}</mark>"
        if _inside(start, golds):
            piece = f'<mark class="right">{piece}</mark>'
        pieces.append(_supported(piece, start, item))
    return "".join(pieces)


def _supported(piece: str, offset: int, item: JudgedAnswer) -> str:
    """A piece of a text, coloured by the support weight of its sentence, if it has one."""
    for part in item.answer.support:
        if part.start <= offset < part.end:
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


def _inside(offset: int, spans: list[tuple[int, int]]) -> bool:
    return any(start <= offset < end for start, end in spans)
