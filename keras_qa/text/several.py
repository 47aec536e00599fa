"""Several passages for each question, each read by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from keras_qa.example import Example
from keras_qa.text.windows import Windower, Windows


def passage_windows(
    windower: Windower,
    examples: Sequence[Example],
    priors: Sequence[Sequence[float]],
    windows: int = 256,
) -> Iterator[Windows]:
    """Cuts several passages for each question into windows, none of which spans two.

    Args:
        windower: What cuts a passage, beside the question.
        examples: `Example` objects, whose text is a list of passages, one at least. Offsets count
            in it as in `Example.plain_text`.
        priors: For each example, how much likelier an answer stands in each of its passages, as a
            logarithm.
        windows: Most windows at a time. Those of one example may come in several batches.

    Yields:
        `Windows`, whose `example` says which example each is of, and `prior` what was given of its
        passage.

    Examples:
        >>> from keras_qa import Example
        >>> from keras_qa.text import Windower, WordTokenizer
        >>> from keras_qa.text.several import passage_windows
        >>> windower = Windower(WordTokenizer.train(["Ann left. Bob stayed."]), length=8)
        >>> example = Example(["Ann left.", "Bob stayed."], "Who stayed?")
        >>> [windows] = passage_windows(windower, [example], [[-1.0, 0.0]])
        >>> windows.example.tolist(), windows.offsets[1, 1:3].tolist(), windows.prior.tolist()
        ([0, 0], [[10, 13], [14, 20]], [-1.0, 0.0])
    """
    flat = [Example(text, item.question) for item in examples for text in item.text]
    counts = [len(item.text) for item in examples]
    owner = np.repeat(np.arange(len(examples)), counts).astype("int32")
    # Where each passage begins in the text of its example.
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
