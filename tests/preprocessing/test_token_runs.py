"""`find_runs` beside a loop over the words of each text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_qa import Example
from keras_qa.preprocessing import SpanDecoder, TokenPreprocessor
from keras_qa.preprocessing.token_preprocessor import find_runs
from keras_qa.text import Windower, WordTokenizer

# Texts of up to six words. A window has the pieces of some words, in order: (word, logit).
LOGITS = st.sampled_from([-2.0, -0.5, 0.5, 1.0, 3.0])
WINDOW = st.lists(st.tuples(st.integers(0, 5), LOGITS), max_size=8).map(
    lambda pieces: sorted(pieces, key=lambda piece: piece[0])
)
TEXTS = st.lists(st.lists(WINDOW, min_size=1, max_size=3), min_size=1, max_size=2)


def by_loops(windows: list[list[tuple[int, float]]]) -> tuple[list[tuple[int, int, float]], float]:
    """The runs of a text, best first, and the probability of no answer."""
    chances: dict[int, list[float]] = {}
    for word, logit in (piece for window in windows for piece in window):
        chances.setdefault(word, []).append(1 / (1 + np.exp(-logit)))
    runs: list[list[tuple[int, float]]] = [[]]
    means = {word: np.mean(chances[word]) for word in sorted(chances)}
    for word, mean in means.items():
        if mean > 0.5:
            runs[-1].append((word, mean))
        else:
            runs.append([])
    found = [(10 * r[0][0], 10 * r[-1][0] + 5, np.mean([m for _, m in r])) for r in runs if r]
    return sorted(found, key=lambda run: -run[2]), 1 - max(means.values(), default=0.0)


@given(TEXTS)
def test_runs_are_those_of_a_loop(texts) -> None:
    for windows in texts:
        inside = np.zeros((len(windows), 9))
        words = np.full((len(windows), 9, 2), -1)
        for row, window in enumerate(windows):
            for place, (word, logit) in enumerate(window, 1):
                inside[row, place], words[row, place] = logit, (10 * word, 10 * word + 5)
        found, nothing = find_runs(inside, words)
        runs, expected = by_loops(windows)
        assert [run[2] for run in found] == pytest.approx([run[2] for run in runs])
        assert {run[:2] for run in found} == {run[:2] for run in runs}
        assert nothing == pytest.approx(expected)


class Nan:
    """A model whose logits are not numbers."""

    inputs = ()

    def predict(self, x, batch_size=None, verbose="auto"):
        return np.full((1, 2, 2), np.nan)


def test_bad_logits() -> None:
    preprocessor = TokenPreprocessor(Windower(WordTokenizer.train(["Ann"])), SpanDecoder())
    with pytest.raises(ValueError, match="must not hold NaN or infinity. Received: nan"):
        preprocessor.answer_all(Nan(), [Example("Ann", "?")], 8, 0)
