"""Pairs of texts as single sequences for a pretrained encoder, truncated as in `transformers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import to_integer
from keras_qa.text.pieces import cells_of, concat_ranges
from keras_qa.text.subwords import SubwordTokenizer

# What is truncated if a pair is too long, by the names in `transformers`.
TRUNCATIONS = ("longest_first", "only_second")

# Ids of pieces; for each row the first piece of a text, and the number of its pieces.
Rows: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]

Feed: TypeAlias = dict[str, npt.NDArray[np.int32]]


def encode_pairs(
    tokenizer: SubwordTokenizer,
    first: Sequence[str],
    second: Sequence[str],
    max_length: int,
    truncation: str = "longest_first",
) -> Feed:
    """Encodes pairs of texts as `token_ids`, `segment_ids` and `padding_mask`.

    `"longest_first"` truncates the longer text, or both to the same length, so that each pair has
    at most `max_length` positions, special tokens included; `"only_second"` truncates the second.
    """
    special = sum(map(len, (tokenizer.before, tokenizer.between, tokenizer.after)))
    room = to_integer("max_length", max_length, least=special + 2) - special
    text_ids: dict[str, int] = {}
    numbers = [text_ids.setdefault(text, len(text_ids)) for text in (*first, *second)]
    pieces = tokenizer.pieces(list(text_ids))
    begins = pieces.begins[:-1][numbers].reshape(2, -1)
    counts = np.diff(pieces.begins)[numbers].reshape(2, -1)
    if truncation == "only_second":
        short = (counts[0] >= room) & (counts.sum(axis=0) > room)
        if short.any():
            position = int(short.argmax())
            raise ValueError(
                f"The first text at position {position} has {counts[0, position]} pieces, which "
                f"leaves no room for the second in {max_length} positions. Shorten it."
            )
        limits = np.stack([counts[0], room - counts[0]])
    else:
        limits = _longest_first(counts, room)
    first_count, second_count = np.minimum(counts, limits)
    return join_pairs(
        tokenizer, (pieces.ids, begins[0], first_count), (pieces.ids, begins[1], second_count)
    )


def _longest_first(counts: np.ndarray, room: int) -> np.ndarray:
    """`(2, pairs)`: how many pieces to keep of each text, by the rule of `tokenizers`."""
    shorter = counts.min(axis=0)
    longer = np.maximum(shorter, room - shorter)
    both = shorter + longer > room
    shorter = np.where(both, room // 2, shorter)
    longer = np.where(both, room - room // 2, longer)
    swapped = counts[0] > counts[1]
    return np.where(swapped, np.stack([longer, shorter]), np.stack([shorter, longer]))


def join_pairs(tokenizer: SubwordTokenizer, first: Rows, second: Rows) -> Feed:
    """Makes a sequence of each pair, with the tokenizer's special tokens, padded to the longest."""
    before, after = first[2], second[2]
    between = len(tokenizer.before) + before
    end = between + len(tokenizer.between) + after
    lengths = end + len(tokenizer.after)
    shape = (len(lengths), int(lengths.max(initial=1)))
    ids = np.full(shape, tokenizer.padding_id, "int32")
    segments = np.zeros(shape, "int32")
    rows = np.arange(len(lengths))
    for at, specials, kinds in zip(
        (np.zeros_like(between), between, end),
        (tokenizer.before, tokenizer.between, tokenizer.after),
        tokenizer.segments[::2],
        strict=True,
    ):
        for offset, (id, kind) in enumerate(zip(specials, kinds, strict=True)):
            ids[rows, at + offset] = id
            segments[rows, at + offset] = kind
    shifts = np.full_like(before, len(tokenizer.before)), between + len(tokenizer.between)
    for shift, (pieces, begins, counts), kinds in zip(
        shifts, (first, second), tokenizer.segments[1::2], strict=True
    ):
        cells = cells_of(shift, counts)
        ids[cells] = pieces[concat_ranges(begins, counts)]
        segments[cells] = kinds[0]
    mask = (np.arange(shape[1]) < lengths[:, None]).astype("int32")
    return {"token_ids": ids, "segment_ids": segments, "padding_mask": mask}
