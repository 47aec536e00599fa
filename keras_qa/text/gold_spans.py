"""Positions of gold answers in the pieces of a text and in its windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_qa.example import Example, answer_problem
from keras_qa.text.pieces import Pieces


def find_in_texts(
    examples: Sequence[Example], text_ids: list[int], text: Pieces, texts: list[str], first: int
) -> np.ndarray:
    """Finds the first and last piece of each answer.

    `text_ids` has the position in `texts` of each example's text, and `first` is the position of
    `examples[0]` in the data set. Returns `(examples, answers, 2)` int64: positions in `text.ids`,
    -1 for missing answers.
    """
    most = max((len(item.answers) for item in examples), default=0)
    golds = np.full((len(examples), max(most, 1), 2), -1, "int64")
    spans = []
    for row, item in enumerate(examples):
        problem = answer_problem(item)
        if problem is None and item.answers and not item.answer_start:
            problem = (
                f"the answer {item.answers[0]!r:.80} has no offset. Give its `answer_start`, or, "
                "for yes and no, build the reader with `answer_types`"
            )
        if problem is not None:
            raise ValueError(f"{describe(row + first, item, 'The')}: {problem}.")
        for column, (answer, start) in enumerate(zip(item.answers, item.answer_start, strict=True)):
            spans.append((row, column, text_ids[row], start, start + len(answer)))
    if not spans:
        return golds
    rows, columns, owners, starts, ends = np.array(spans, "int64").T
    # Offsets through all texts, so that one search finds the pieces of all answers.
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
            f"{describe(row + first, examples[row], 'The')}: the tokenizer drops all of the answer "
            f"{examples[row].answers[column]!r}. Remove it from `answers`."
        )
    golds[rows, columns] = np.stack([real[firsts], real[lasts]], axis=1)
    return golds


def find_in_windows(
    golds: np.ndarray, begins: np.ndarray, counts: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """Finds the positions of the answers in each window, without repetitions, as `Windows.spans`.

    `golds` are the rows of `find_in_texts`, one per window. `begins`, `counts` and `shift`,
    `(windows,)` each, are the first piece of each window, the number of its pieces, and the
    position of the first one in the sequence.
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


def describe(position: int, item: Example, article: str = "the") -> str:
    """The description of an example in an error message."""
    id = f" (id {item.id!r})" if item.id is not None else ""
    return f"{article} example at position {position}{id}"
