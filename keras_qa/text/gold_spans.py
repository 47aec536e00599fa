"""Gold answers: which pieces of a text they are, and at which positions of its windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_qa.example import Example, answer_problem
from keras_qa.text.pieces import Pieces


def in_texts(
    examples: Sequence[Example], places: list[int], text: Pieces, texts: list[str], first: int
) -> np.ndarray:
    """First and last piece of each answer, `(examples, answers, 2)`; -1 where there is none.

    Args:
        examples: The examples.
        places: Which of the texts each example has.
        text: The pieces of all texts.
        texts: The texts, each once.
        first: Position of the first of these examples among all, for messages.

    Returns:
        int64, counted in the pieces of all texts.

    Raises:
        ValueError: If an answer has no offset, or is not there, or is of no piece.
    """
    most = max((len(item.answers) for item in examples), default=0)
    golds = np.full((len(examples), max(most, 1), 2), -1, "int64")
    found = []
    for row, item in enumerate(examples):
        problem = answer_problem(item)
        if problem is None and item.answers and not item.answer_start:
            problem = f"the answer {item.answers[0]!r} has no offset. Give its `answer_start`"
        if problem is not None:
            raise ValueError(f"{named(row + first, item, 'The')}: {problem}.")
        for column, (answer, start) in enumerate(zip(item.answers, item.answer_start, strict=True)):
            found.append((row, column, places[row], start, start + len(answer)))
    if not found:
        return golds
    rows, columns, owners, starts, ends = np.array(found, "int64").T
    # Characters are counted through all texts.
    base = np.cumsum([0, *map(len, texts)])
    real = np.flatnonzero(text.words[:, 0] >= 0)
    owner = np.searchsorted(text.begins, real, side="right") - 1
    ranges = text.offsets[real] + base[owner][:, None]
    firsts = np.searchsorted(ranges[:, 1], starts + base[owners], side="right")
    lasts = np.searchsorted(ranges[:, 0], ends + base[owners], side="left") - 1
    lost = np.flatnonzero(firsts > lasts)
    if len(lost):
        row, column = rows[lost[0]], columns[lost[0]]
        raise ValueError(
            f"{named(row + first, examples[row], 'The')}: the tokenizer keeps nothing of the "
            f"answer {examples[row].answers[column]!r}. Leave it out of `answers`."
        )
    golds[rows, columns] = np.stack([real[firsts], real[lasts]], axis=1)
    return golds


def in_windows(
    golds: np.ndarray, begins: np.ndarray, counts: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """Positions of the answers that each window holds, each once and the first ones first.

    Args:
        golds: `(windows, answers, 2)`: what `in_texts` gives, for the example of each window.
        begins: `(windows,)`: the first piece of each window.
        counts: `(windows,)`: how many pieces it has.
        shift: `(windows,)`: the position at which it begins.

    Returns:
        int32, as `Windows.spans`.
    """
    ends = begins + counts
    inside = (golds[..., 0] >= begins[:, None]) & (golds[..., 1] < ends[:, None])
    inside &= golds[..., 0] >= 0
    same = (golds[:, :, None] == golds[:, None]).all(axis=-1)
    inside &= ~np.tril(same, -1).any(axis=-1)
    spans = np.where(inside[..., None], golds + (shift - begins)[:, None, None], -1)
    order = np.argsort(~inside, axis=1, kind="stable")
    spans = np.take_along_axis(spans, order[..., None], axis=1)
    spans[~inside.any(axis=1), 0] = 0
    return spans.astype("int32")


def named(position: int, item: Example, article: str = "the") -> str:
    """What an example is called in a message."""
    id = f" (id {item.id!r})" if item.id is not None else ""
    return f"{article} example at position {position}{id}"
