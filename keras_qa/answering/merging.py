"""Answers from several passages: where they stand, and which say the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_qa import metrics
from keras_qa.example import Answer, Source

if TYPE_CHECKING:
    from keras_qa.documents import Hit


def locator(passages: Iterable[str]) -> Callable[[int], tuple[int, int]]:
    """What finds a position in passages that are one text, with a break after each.

    Args:
        passages: The passages.

    Returns:
        A function that takes a position in the text, in characters, and gives the number of the
        passage, from 0, and the position in it.
    """
    begins = np.cumsum([0, *(len(passage) + 1 for passage in passages)])

    def locate(position: int) -> tuple[int, int]:
        number = int(np.searchsorted(begins, position, side="right")) - 1
        return number, int(position - begins[number])

    return locate


@dataclasses.dataclass
class _Place:
    """A place that says an answer, of which several passages may hold parts of the mass."""

    text: str
    source: Source

    def overlaps(self, document: str, start: int, end: int) -> bool:
        source = self.source
        return source.document == document and source.start < end and start < source.end


def merged(answers: Sequence[Answer], hits: Sequence[Hit]) -> list[Answer]:
    """Answers with their places in documents, best first; what says the same is one.

    That there is no answer stays the first one where it was.
    """
    locate = locator(hit.text for hit in hits)
    found: dict[str, list[_Place]] = {}
    none: list[Answer] = []
    for answer in answers:
        if answer.start is None or answer.end is None:
            none.append(answer)
            continue
        number, within = locate(answer.start)
        hit = hits[number]
        start = within + hit.start
        at = (hit.document, start, start + answer.end - answer.start)
        key = metrics.normalize_answer(answer.text) or answer.text
        places = found.get(key, [])
        # In two passages that overlap, or with an article or a mark more.
        same = next((one for one in places if one.overlaps(*at)), None)
        if same is not None:
            score = same.source.score + answer.score
            same.source = dataclasses.replace(same.source, score=score)
        elif not any(one.overlaps(*at) for others in found.values() for one in others):
            source = Source(*at, answer.score, *hit.place(start))
            found.setdefault(key, []).append(_Place(answer.text, source))
    merged = sorted((_answer(places) for places in found.values()), key=lambda one: -one.score)
    if none:
        better = sum(answer.score >= none[0].score for answer in merged)
        merged.insert(0 if answers[0] is none[0] else max(better, 1), none[0])
    return merged


def _answer(places: list[_Place]) -> Answer:
    places = sorted(places, key=lambda place: -place.source.score)
    best = places[0].source
    return Answer(
        places[0].text,
        min(sum(place.source.score for place in places), 1.0),
        best.start,
        best.end,
        document=best.document,
        line=best.line,
        page=best.page,
        sources=tuple(place.source for place in places),
    )
