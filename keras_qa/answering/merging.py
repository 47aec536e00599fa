"""Merges answers from several passages: their places in documents, and equal answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_qa import metrics
from keras_qa.example import Answer, AnswerLocation

if TYPE_CHECKING:
    from keras_qa.documents import Passage


def locator(passages: Iterable[str]) -> Callable[[int], tuple[int, int]]:
    """Returns a function from an offset in joined passages to a passage's number and an offset."""
    begins = np.cumsum([0, *(len(passage) + 1 for passage in passages)])

    def locate(position: int) -> tuple[int, int]:
        number = int(np.searchsorted(begins, position, side="right")) - 1
        return number, int(position - begins[number])

    return locate


@dataclasses.dataclass
class _Place:
    """A mention of an answer. Several passages may contribute to its score."""

    text: str
    location: AnswerLocation

    def overlaps(self, document: str, start: int, end: int) -> bool:
        location = self.location
        return location.document == document and location.start < end and start < location.end


def merge_answers(answers: Sequence[Answer], hits: Sequence[Passage]) -> list[Answer]:
    """Returns answers with their places in documents, best first. Equal answers are merged.

    "No answer" stays first if it was first. Answers that are not spans stay without a place.
    """
    locate = locator(hit.text for hit in hits)
    found: dict[str, list[_Place]] = {}
    none: list[Answer] = []
    placeless: list[Answer] = []
    for answer in answers:
        if answer.start is None or answer.end is None:
            (placeless if answer.text else none).append(answer)
            continue
        number, within = locate(answer.start)
        hit = hits[number]
        start = within + hit.start
        at = (hit.document, start, start + answer.end - answer.start)
        key = metrics.normalize_answer(answer.text) or answer.text
        places = found.get(key, [])
        # The same mention in two overlapping passages, or with an article or a punctuation mark.
        same = next((one for one in places if one.overlaps(*at)), None)
        if same is not None:
            score = same.location.score + answer.score
            same.location = dataclasses.replace(same.location, score=score)
        elif not any(one.overlaps(*at) for others in found.values() for one in others):
            location = AnswerLocation(*at, answer.score, *hit.locate(start))
            found.setdefault(key, []).append(_Place(answer.text, location))
    merged = sorted(
        [*placeless, *(_answer(places) for places in found.values())], key=lambda one: -one.score
    )
    if none:
        better = sum(answer.score >= none[0].score for answer in merged)
        merged.insert(0 if answers[0] is none[0] else max(better, 1), none[0])
    return merged


def _answer(places: list[_Place]) -> Answer:
    places = sorted(places, key=lambda place: -place.location.score)
    best = places[0].location
    return Answer(
        places[0].text,
        min(sum(place.location.score for place in places), 1.0),
        best.start,
        best.end,
        document=best.document,
        line=best.line,
        page=best.page,
        sources=tuple(place.location for place in places),
    )
