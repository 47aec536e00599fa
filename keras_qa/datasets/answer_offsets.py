"""Whether the answers of examples stand in the text where their offsets say."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from keras_qa.example import Example, answer_problem


def checked(
    records: Iterable[tuple[str, Example]], strict: bool, unique_ids: bool = False
) -> list[Example]:
    """Examples whose every answer stands where its offset says.

    Args:
        records: What to call each example in a message, such as its file and
            line, and the example.
        strict: Whether to raise at an example that is wrong. Otherwise it is
            left out, and a warning says how many were.
        unique_ids: Whether an id that was there before is wrong, too.

    Returns:
        The examples, in order.

    Raises:
        ValueError: If an example is wrong and `strict` is true.
    """
    examples: list[Example] = []
    wrong: list[tuple[str, Example, str]] = []
    first: dict[str, str] = {}
    for place, example in records:
        problem = answer_problem(example)
        if problem is None and unique_ids and example.id is not None:
            before = first.setdefault(example.id, place)
            if before is not place:
                problem = f"its id was there before, at {before}. Give each question its own"
        if problem is None:
            examples.append(example)
        else:
            wrong.append((place, example, problem))
    if not wrong:
        return examples
    place, example, problem = wrong[0]
    total = len(examples) + len(wrong)
    if strict:
        others = f" So it is with {len(wrong)} of {total} questions." if len(wrong) > 1 else ""
        raise ValueError(
            f"{_named(place, example)}: {problem}, or pass `strict=False` (`--lenient`) to leave "
            f"it out.{others}"
        )
    names = ", ".join(_named(*entry[:2]) for entry in wrong[:5])
    more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    warnings.warn(
        f"Left out {len(wrong)} of {total} questions, whose answers do not stand where "
        f"`answer_start` says or whose id is not their own: {names}{more}.",
        stacklevel=3,
    )
    return examples


def _named(place: str, example: Example) -> str:
    return place if example.id is None else f"{place} (id {example.id!r})"
