"""Checks that answers are at their offsets."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from keras_qa.example import Example, answer_problem


def check_answers(
    records: Iterable[tuple[str, Example]], strict: bool, unique_ids: bool = False
) -> list[Example]:
    """Returns the examples whose answers are at their offsets.

    `records` are pairs of a description, such as file and line, and an example. A wrong example
    raises a `ValueError` if `strict`; otherwise it is skipped, and a warning counts the skipped.
    """
    examples: list[Example] = []
    wrong: list[tuple[str, Example, str]] = []
    first: dict[str, str] = {}
    for location, example in records:
        problem = answer_problem(example)
        if problem is None and unique_ids and example.id is not None:
            before = first.setdefault(example.id, location)
            if before is not location:
                problem = f"its id was used before, at {before}. Give each question its own"
        if problem is None:
            examples.append(example)
        else:
            wrong.append((location, example, problem))
    if not wrong:
        return examples
    location, example, problem = wrong[0]
    total = len(examples) + len(wrong)
    if strict:
        others = f" {len(wrong)} of {total} questions are wrong." if len(wrong) > 1 else ""
        raise ValueError(
            f"{_describe(location, example)}: {problem}, or pass `strict=False` (`--lenient`) to "
            f"skip it.{others}"
        )
    warnings.warn(
        f"Skipped {len(wrong)} of {total} questions with an answer that is not at its "
        f"`answer_start`, or with the id of another question, the first is "
        f"{_describe(location, example)}.",
        stacklevel=3,
    )
    return examples


def _describe(location: str, example: Example) -> str:
    return location if example.id is None else f"{location} (id {example.id!r:.40})"
