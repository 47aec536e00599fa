"""Offsets of answers that a table gives without them."""

from __future__ import annotations

import collections
import dataclasses
import re
import warnings
from collections.abc import Sequence

from keras_qa.example import Example
from keras_qa.preprocessing.span_answers import first_letters

_WORD = re.compile(r"\w+")
# Number of rows that a message names.
_NAMED = 5


def locate_answers(
    examples: Sequence[Example], types: Sequence[str] = (), lenient: bool = False
) -> list[Example]:
    """Adds `answer_start` to examples without it, unless the answer is one of some `types`.

    Of several places of an answer, the one nearest the words of the question counts. Examples
    without such a place raise a `ValueError` that has their positions from 1. `lenient` leaves them
    out, with a warning.
    """
    located: list[Example] = []
    absent: list[int] = []
    unclear: list[int] = []
    for position, item in enumerate(examples, start=1):
        is_typed = any(answer.strip().casefold() in types for answer in item.answers)
        if not item.answers or item.answer_start or is_typed:
            located.append(item)
            continue
        nearest = [nearest_spans(item, answer) for answer in item.answers]
        spans = [*dict.fromkeys(places[0] for places in nearest if len(places) == 1)]
        if spans:
            # The text may write an answer with other capitals.
            answers = tuple(item.plain_text[start:end] for start, end in spans)
            starts = tuple(start for start, _ in spans)
            located.append(dataclasses.replace(item, answers=answers, answer_start=starts))
        else:
            (unclear if any(nearest) else absent).append(position)
    if absent or unclear:
        places = {"none": absent, "several equally near the question's words": unclear}
        reasons = "; ".join(f"{kind} in {_rows(at)}" for kind, at in places.items() if at)
        problem = (
            f"{len(absent) + len(unclear)} of {len(examples)} answers have no `answer_start` and "
            f"no single place in the text: {reasons} (counted from 1)."
        )
        if not lenient:
            first = examples[min(absent + unclear) - 1].answers[0]
            raise ValueError(
                f"{problem} The first is {first!r:.20}. `train(lenient=True)` (`--lenient`) leaves "
                "them out; for yes and no, build the reader with `answer_types`."
            )
        warnings.warn(f"{problem} They are left out.", stacklevel=2)
    return located


def _rows(positions: Sequence[int]) -> str:
    named = ", ".join(map(str, positions[:_NAMED])) + ", …" * (len(positions) > _NAMED)
    return f"row{'s' * (len(positions) > 1)} {named}"


def nearest_spans(item: Example, answer: str) -> list[tuple[int, int]]:
    """Returns the spans of an answer that are nearest the words of the question: one, mostly."""
    text = item.plain_text
    words = r"\s+".join(map(re.escape, answer.split()))
    matches = re.finditer(rf"(?<!\w)(?:{words})(?!\w)", text, re.IGNORECASE) if words else ()
    spans = [match.span() for match in matches]
    spans = [span for span in spans if text[slice(*span)] == answer] or spans
    if len(spans) < 2:
        return spans
    asked_for = {first_letters(word) for word in _WORD.findall(item.question)}
    mentions = collections.defaultdict(list)
    for match in _WORD.finditer(text):
        if first_letters(match[0]) in asked_for:
            mentions[first_letters(match[0])].append(match.span())
    nearness = [
        sum(
            1 / (1 + min(max(start - last, first - end, 0) for first, last in places))
            for places in mentions.values()
        )
        for start, end in spans
    ]
    most = max(nearness)
    return [span for span, value in zip(spans, nearness, strict=True) if value == most]
