"""Plots of attention, learning curves, risk against coverage, and tasks. Needs matplotlib."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from keras_qa.example import Answer
from keras_qa.recipes import Run
from keras_qa.recipes.results import FAILED_TASK_ERROR
from keras_qa.report.findings import Point
from keras_qa.text.sentence_splitting import sentence_spans

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The names of the bAbI tasks.
TASKS = (
    *("one supporting fact", "two supporting facts", "three supporting facts"),
    *("two-argument relations", "three-argument relations", "yes or no", "counting"),
    *("lists and sets", "simple negation", "indefinite knowledge", "basic coreference"),
    *("conjunction", "compound coreference", "time", "basic deduction", "basic induction"),
    *("positions", "sizes", "path finding", "motivations"),
)
RED = "#b00020"

# Values of each epoch by metric.
Curves: TypeAlias = Mapping[str, Sequence[float]]


class HasHistory(Protocol):
    """A `QuestionAnswerer`'s or Keras' `History`, or a `keras_qa.recipes.Run`."""

    @property
    def history(self) -> Curves: ...


# The points of a report, or of several reports by name.
Risks: TypeAlias = Sequence[Point] | Mapping[str, Sequence[Point]]
# Runs, or the records of `keras-qa train --results`, or the file with these records.
Results: TypeAlias = str | os.PathLike[str] | Iterable[Run | Mapping[str, Any]]


def attention(
    source: Answer | ArrayLike, text: str | Sequence[str] | None = None, title: str = ""
) -> Figure:
    """Draws the attention to each sentence, by hop or step.

    Args:
        source: An `Answer` with support, or the attention of one question from
            a model: `(sentences,)` or `(steps, sentences)`. Entries after the
            last sentence of the text are padding and are ignored.
        text: The text, a string or a list of sentences, if `source` is not an
            `Answer`.
        title: The title, such as the question.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If an answer has no support, the text is missing, or the
            shape of the attention does not fit it.

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


def learning_curves(history: HasHistory | Curves | Sequence[HasHistory | Curves]) -> Figure:
    """Draws loss and accuracy by epoch.

    Args:
        history: A Keras `History`, its dict, a `keras_qa.recipes.Run`, or a
            list of these, such as the runs of several seeds.

    Returns:
        A `matplotlib.figure.Figure` with the loss on the left and the accuracy
        on the right. Validation curves are dashed.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there are no values.

    Examples:
        >>> from keras_qa.report import plots
        >>> figure = plots.learning_curves({"loss": [2.0, 1.0], "val_loss": [2.1, 1.5]})
        >>> tuple(line.get_ydata().tolist() for line in figure.axes[0].get_lines())
        ([2.0, 1.0], [2.1, 1.5])
    """
    many = [history] if isinstance(history, Mapping) or hasattr(history, "history") else history
    curves = [_curves(one) for one in many]
    if not any(curves):
        raise ValueError("`history` holds no epochs.")
    figure = _figure(9, 3.5)
    for place, name in enumerate(("loss", "accuracy"), start=1):
        axes = figure.add_subplot(1, 2, place)
        for number, found in enumerate(curves):
            label = f"{number + 1}: " if len(curves) > 1 else ""
            for key, values in found.items():
                # Metrics of a model with two outputs start with the output's name.
                if key.removeprefix("val_") not in (name, f"answer_{name}"):
                    continue
                valid = key.startswith("val_")
                axes.plot(
                    range(1, len(values) + 1),
                    values,
                    color=f"C{number % 10}",
                    linestyle="--" if valid else "-",
                    label=f"{label}{'validation' if valid else 'training'}",
                )
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        if axes.get_lines():
            axes.legend()
    return figure


def risk_coverage(points: Risks) -> Figure:
    """Draws the share of wrong answers against the share of answered questions.

    Args:
        points: The `points` of a report of `evaluate_asking`, or a dict of the points of several
            reports by name, for the legend.

    Returns:
        A `matplotlib.figure.Figure` with a curve per report. Each dot is a threshold of the score.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there are no values.

    Reference:
        El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification",
        JMLR 11.

    Examples:
        >>> from keras_qa.report import Point, plots
        >>> figure = plots.risk_coverage([Point(0.9, 1, 0.5, 0.0), Point(0.4, 2, 1.0, 0.25)])
        >>> [line.get_xydata().tolist() for line in figure.axes[0].get_lines()]
        [[[0.5, 0.0], [1.0, 0.25]]]
    """
    curves = points if isinstance(points, Mapping) else {"": points}
    if not any(curves.values()):
        raise ValueError("`points` hold no answers. Give those of a report of `evaluate_asking`.")
    figure = _figure(4.5, 4)
    axes = figure.add_subplot()
    for name, found in curves.items():
        coverage, risk = [one.coverage for one in found], [one.risk for one in found]
        # matplotlib leaves labels that start with an underscore out of the legend.
        axes.plot(coverage, risk, marker=".", label=name or "_")
    axes.set(xlim=(0, 1.02), ylim=(-0.02, 1))
    axes.set_xlabel("share of questions that are answered")
    axes.set_ylabel("share of wrong answers")
    axes.grid(alpha=0.3)
    if isinstance(points, Mapping):
        axes.legend()
    return figure


def task_table(results: Results) -> Figure:
    """Draws a table of the bAbI tasks: mean error, and error of the best seed. Failures are red.

    If several models were trained on a task, or one model with several numbers of copies, only the
    runs of the best one count, as in `recipes.train`. The best run has the lowest error on all its
    validation data.

    Args:
        results: `Run` objects, or the records of `keras-qa train --results`,
            or the file with these records.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the results have different variants of the data, or no tasks.
    """
    rows = _task_rows(results)
    cells = [
        [str(row.task), TASKS[row.task - 1], str(row.seeds), f"{row.mean:.2f}", f"{row.best:.2f}"]
        for row in rows
    ]
    means = [sum(getattr(row, name) for row in rows) / len(rows) for name in ("mean", "best")]
    failed = [
        sum(getattr(row, name) > FAILED_TASK_ERROR for row in rows) for name in ("mean", "best")
    ]
    cells.append(["", "mean", "", *(f"{mean:.2f}" for mean in means)])
    cells.append(["", f"failed (above {FAILED_TASK_ERROR:g} %)", "", *map(str, failed)])
    figure = _figure(7, 0.6 + 0.26 * len(cells))
    from matplotlib.transforms import Bbox

    axes = figure.add_subplot()
    axes.set_axis_off()
    table = axes.table(
        cellText=cells,
        colLabels=["task", "", "seeds", "mean error, %", "best seed, %"],
        colWidths=[0.1, 0.4, 0.1, 0.2, 0.2],
        cellLoc="right",
        bbox=Bbox.unit(),
    )
    for place, row in enumerate(rows, start=1):
        for column, error in ((3, row.mean), (4, row.best)):
            if error > FAILED_TASK_ERROR:
                table[place, column].get_text().set_color(RED)
    return figure


@dataclasses.dataclass(frozen=True)
class _TaskRow:
    """Errors of a bAbI task in percent: the mean of some runs, and that of the best run."""

    task: int
    seeds: int
    mean: float
    best: float


def _task_rows(results: Results) -> list[_TaskRow]:
    """A row per task. Of several models, or numbers of copies, only the runs of the best count."""
    given: Iterable[Run | Mapping[str, Any]] = (
        json.loads(pathlib.Path(results).read_text(encoding="utf-8"))
        if isinstance(results, (str, os.PathLike))
        else results
    )
    records = [dataclasses.asdict(run) if isinstance(run, Run) else run for run in given]
    variants = sorted({str(record["variant"]) for record in records if record.get("variant")})
    if len(variants) > 1:
        raise ValueError(
            f"`results` are of more than one variant: {', '.join(variants)}. Pass those of one."
        )
    tasks: dict[int, list[tuple[float, float, Any]]] = {}
    for record in records:
        for task, error in record["errors"].items():
            kind = record.get("model"), record.get("copies", 0)
            run = record["validation_error"], error, kind
            tasks.setdefault(int(task), []).append(run)
    if not tasks:
        raise ValueError("`results` hold no errors by task.")
    rows = []
    for task, runs in sorted(tasks.items()):
        _, best, kind = min(runs, key=lambda run: run[0])
        errors = [error for _, error, other in runs if other == kind]
        rows.append(_TaskRow(task, len(errors), sum(errors) / len(errors), best))
    return rows


def _figure(width: float, height: float) -> Figure:
    try:
        # `pyplot` would open a window system and keep each figure in memory.
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            'Plots need matplotlib, which is not installed: pip install "keras-qa[plots]".'
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


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
    sentences = _sentences(text)
    weights = np.atleast_2d(np.asarray(source, "float64"))
    if weights.ndim != 2 or weights.shape[1] < len(sentences):
        raise ValueError(
            f"`source` must have the shape (steps, sentences) of one question, and `text` has "
            f"{len(sentences)} sentences. Received the shape {np.shape(source)}."
        )
    weights = weights[:, : len(sentences)]
    return sentences, weights, [str(step) for step in range(1, len(weights) + 1)]


def _sentences(text: str | Sequence[str] | None) -> list[str]:
    if text is None:
        raise ValueError("`text` is missing. Pass the text whose sentences the attention is over.")
    plain = text if isinstance(text, str) else "\n".join(text)
    return [plain[start:end] for start, end in sentence_spans(text)]


def _curves(history: HasHistory | Curves) -> Curves:
    return history if isinstance(history, Mapping) else history.history
