"""Windows of several passages per question."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from keras_qa.example import Example
from keras_qa.text.windows import Windower, Windows


def passage_windows(
    windower: Windower,
    examples: Sequence[Example],
    priors: Sequence[Sequence[float | Sequence[float]]],
    windows: int = 256,
) -> Iterator[Windows]:
    """Splits the passages of each question into windows. No window spans two passages.

    The texts of `examples` are lists of passages, with one or several log-priors each. Yields
    `Windows` with `prior` set, at most `windows` at a time. Offsets refer to `plain_text`.
    """
    flat = [Example(text, item.question) for item in examples for text in item.text]
    counts = [len(item.text) for item in examples]
    owner = np.repeat(np.arange(len(examples)), counts).astype("int32")
    # Offset of each passage in `plain_text` of its example.
    ends = np.cumsum([len(item.plain_text) + 1 for item in flat])
    begins = np.append(0, ends[:-1])
    begins -= begins[np.cumsum(counts) - counts][owner]
    prior = np.array([one for given in priors for one in given], "float32")
    for found in windower.batches(flat, windows):
        shift = begins[found.example][:, None, None]
        offsets, words = (
            np.where(places >= 0, places + shift, -1).astype("int32")
            for places in (found.offsets, found.words)
        )
        yield dataclasses.replace(
            found,
            example=owner[found.example],
            offsets=offsets,
            words=words,
            prior=prior[found.example],
        )
