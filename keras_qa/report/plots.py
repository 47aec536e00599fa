"""Plots of attention, and of risk against coverage. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from keras_qa._arguments import import_extra
from keras_qa.example import Answer
from keras_qa.report.findings import Point
from keras_qa.text.sentence_splitting import sentence_spans

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def attention(
    source: Answer | ArrayLike, text: str | Sequence[str] | None = None, title: str = ""
) -> Figure:
    """Draws the attention to each sentence, by hop or step.

    Args:
        source: An `Answer` with support, or the attention of one question from a model:
            `(sentences,)` or `(steps, sentences)`. Entries after the last sentence of the text are
            padding and are ignored.
        text: The text, a string or a list of sentences, if `source` is not an `Answer`.
        title: The title, such as the question.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If an answer has no support, or attention and text do not fit.

    Examples:
        >>> from keras_qa.report import plots
        >>> figure = plots.attention([[0.9, 0.1], [0.2, 0.8]], "Ann left. Bob came.", "Who came?")
        >>> tuple(label.get_text() for label in figure.axes[0].get_yticklabels())
        ('Ann left.', 'Bob came.')
    """
    sentences, weights, steps = _by_sentence(source, text)
    longest = max(map(len, sentences), default=0)
    figure = _figure(2 + 0.08 * longest + 0.6 * len(steps), 1.2 + 0.3 * len(sentences))
    axes = figure.add_subplot()
    axes.imshow(weights.T, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    axes.set_yticks(range(len(sentences)), sentences)
    axes.set_xticks(range(len(steps)), steps)
    axes.set_xlabel("answer" if isinstance(source, Answer) else "step")
    axes.set_title(title)
    for (step, sentence), weight in np.ndenumerate(weights):
        colour = "white" if weight > 0.5 else "black"
        axes.text(step, sentence, f"{weight:.2f}", ha="center", va="center", color=colour)
    return figure


def risk_coverage(points: Sequence[Point] | Mapping[str, Sequence[Point]]) -> Figure:
    """Draws the share of wrong answers against the share of answered questions.

    There is a curve per report. Each dot is a threshold of the score.

    Args:
        points: The `points` of a report of answers from an index, or a dict of the points of
            several reports by name, for the legend.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there are no values.

    Reference:
        El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification",
        JMLR 11.

    Examples:
        >>> from keras_qa.report import plots
        >>> from keras_qa.report.findings import Point
        >>> figure = plots.risk_coverage([Point(0.9, 1, 0.5, 0.0), Point(0.4, 2, 1.0, 0.25)])
        >>> [line.get_xydata().tolist() for line in figure.axes[0].get_lines()]
        [[[0.5, 0.0], [1.0, 0.25]]]
    """
    curves = points if isinstance(points, Mapping) else {"": points}
    if not any(curves.values()):
        raise ValueError(
            "`points` hold no answers. Give those of a report of answers from an index."
        )
    figure = _figure(4.5, 4)
    axes = figure.add_subplot()
    for name, curve in curves.items():
        coverage, risk = [point.coverage for point in curve], [point.risk for point in curve]
        # matplotlib leaves labels that start with an underscore out of the legend.
        axes.plot(coverage, risk, marker=".", label=name or "_")
    axes.set(xlim=(0, 1.02), ylim=(-0.02, 1))
    axes.set_xlabel("share of questions that are answered")
    axes.set_ylabel("share of wrong answers")
    axes.grid(alpha=0.3)
    if isinstance(points, Mapping):
        axes.legend()
    return figure


def _figure(width: float, height: float) -> Figure:
    # `pyplot` would open a window system and keep each figure in memory.
    module = import_extra("A plot", "matplotlib.figure", "plots")
    figure: Figure = module.Figure(figsize=(width, height), layout="constrained")
    return figure


def _by_sentence(
    source: Answer | ArrayLike, text: str | Sequence[str] | None
) -> tuple[list[str], np.ndarray, list[str]]:
    """Sentences, their weights `(steps, sentences)`, and the names of the steps."""
    if isinstance(source, Answer):
        if not source.support:
            raise ValueError(
                "`source` is an answer without support. Only models that read sentences give it: "
                "`universal_transformer` and `memory_network`."
            )
        parts = sorted(source.support, key=lambda part: part.position)
        sentences = [part.text for part in parts]
        weights = np.array([[part.weight for part in parts]])
        return sentences, weights, [source.text]
    if text is None:
        raise ValueError("`text` is missing. Pass the text whose sentences the attention is over.")
    plain = text if isinstance(text, str) else "\n".join(text)
    sentences = [plain[start:end] for start, end in sentence_spans(text)]
    weights = np.atleast_2d(np.asarray(source, "float64"))
    if weights.ndim != 2 or weights.shape[1] < len(sentences):
        raise ValueError(
            f"`source` must have the shape (steps, sentences) of one question, and `text` has "
            f"{len(sentences)} sentences. Received the shape {np.shape(source)}."
        )
    weights = weights[:, : len(sentences)]
    return sentences, weights, [str(step) for step in range(1, len(weights) + 1)]
