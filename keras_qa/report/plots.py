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
from keras_qa.recipes import FAILED, Run
from keras_qa.report.findings import Point
from keras_qa.text import sentence_spans

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TASKS = (
    *("one supporting fact", "two supporting facts", "three supporting facts"),
    *("two-argument relations", "three-argument relations", "yes or no", "counting"),
    *("lists and sets", "simple negation", "indefinite knowledge", "basic coreference"),
    *("conjunction", "compound coreference", "time", "basic deduction", "basic induction"),
    *("positions", "sizes", "path finding", "motivations"),
)
RED = "#b00020"

# A figure of each epoch, by name.
Curves: TypeAlias = Mapping[str, Sequence[float]]


class Trained(Protocol):
    """What has the curves of a training: what `fit` returns, or a `keras_qa.recipes.Run`."""

    @property
    def history(self) -> Curves: ...


# What comes of giving the surest answers alone, or that of several by name.
Risks: TypeAlias = Sequence[Point] | Mapping[str, Sequence[Point]]
# Runs, or records as `keras-qa train --results` writes them, or the file with these.
Results: TypeAlias = str | os.PathLike[str] | Iterable[Run | Mapping[str, Any]]


def attention(
    source: Answer | ArrayLike, text: str | Sequence[str] | None = None, title: str = ""
) -> Figure:
    """Draws how much each sentence counts, by hop or step.

    Args:
        source: An `Answer` with support, or the attention of one question as
            a model gives it: `(sentences,)` or `(steps, sentences)`. Entries
            beyond the sentences of the text are padding, and left out.
        text: The text, a string or a list of sentences, where `source` is no
            `Answer`.
        title: The title, such as the question.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If an answer has no support, there is no text, or the
            attention does not fit it.

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


def learning_curves(history: Trained | Curves | Sequence[Trained | Curves]) -> Figure:
    """Draws loss and accuracy by epoch.

    Args:
        history: What `fit` returns, its `history`, a `keras_qa.recipes.Run`,
            or a list of these, such as the runs of several seeds.

    Returns:
        A `matplotlib.figure.Figure` with the loss on the left and the accuracy
        on the right; lines of the validation part are dashed.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is nothing to draw.

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
                # A second output's metrics begin with its name.
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
    """Draws how many of the given answers are wrong against how many questions get one.

    Args:
        points: The `points` of a report of `evaluate_asking`, or a dict of those of several, by
            the name that the legend gives them.

    Returns:
        A `matplotlib.figure.Figure` with a line for each: a dot is a score, from which on answers
        are given.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is nothing to draw.

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
        # Without a name the label keeps a line out of the legend.
        axes.plot(coverage, risk, marker=".", label=name or "_")
    axes.set(xlim=(0, 1.02), ylim=(-0.02, 1))
    axes.set_xlabel("share of questions that are answered")
    axes.set_ylabel("share of wrong answers")
    axes.grid(alpha=0.3)
    if isinstance(points, Mapping):
        axes.legend()
    return figure


@dataclasses.dataclass(frozen=True)
class TaskRow:
    """A task in a table: errors in percent.

    Args:
        task: Number of the task.
        seeds: How many runs have it.
        mean: Mean error of the runs.
        best: Error of the run that did best on its whole validation part.
    """

    task: int
    seeds: int
    mean: float
    best: float


def task_rows(results: Results) -> list[TaskRow]:
    """Puts the results of runs together by task.

    Of several models that were trained on a task, with and without copies of the examples, only the
    runs of the one with the best run count, as in `recipes.train`.

    Args:
        results: As in `task_table`.

    Returns:
        A `TaskRow` for each task that was trained, in order.

    Raises:
        ValueError: If the results are of different variants, or have no tasks.

    Examples:
        >>> from keras_qa.report import plots
        >>> runs = [{"validation_error": 4.0, "errors": {"1": 4.0}},
        ...         {"validation_error": 1.0, "errors": {"1": 1.0}}]
        >>> plots.task_rows(runs)
        [TaskRow(task=1, seeds=2, mean=2.5, best=1.0)]
    """
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
        rows.append(TaskRow(task, len(errors), sum(errors) / len(errors), best))
    return rows


def task_table(results: Results) -> Figure:
    """Draws a table of the bAbI tasks: mean error and best seed's, failed ones in red.

    Args:
        results: `Run` objects, or records as `keras-qa train --results` writes
            them, or the file with these.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: As `task_rows` does.
    """
    rows = task_rows(results)
    cells = [
        [str(row.task), TASKS[row.task - 1], str(row.seeds), f"{row.mean:.2f}", f"{row.best:.2f}"]
        for row in rows
    ]
    means = [sum(getattr(row, name) for row in rows) / len(rows) for name in ("mean", "best")]
    failed = [sum(getattr(row, name) > FAILED for row in rows) for name in ("mean", "best")]
    cells.append(["", "mean", "", *(f"{mean:.2f}" for mean in means)])
    cells.append(["", f"failed (above {FAILED:g} %)", "", *map(str, failed)])
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
            if error > FAILED:
                table[place, column].get_text().set_color(RED)
    return figure


def _figure(width: float, height: float) -> Figure:
    try:
        # Not `pyplot`, which would choose a window system and keep every figure.
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError(
            'Plots need matplotlib, which is not installed: pip install "keras-qa[plots]".'
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def _by_sentence(
    source: Answer | ArrayLike, text: str | Sequence[str] | None
) -> tuple[list[str], np.ndarray, list[str]]:
    """Sentences, their weights of the shape `(steps, sentences)`, and the names of the steps."""
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
        raise ValueError("`text` is missing: whose sentences the attention is over.")
    plain = text if isinstance(text, str) else "\n".join(text)
    return [plain[start:end] for start, end in sentence_spans(text)]


def _curves(history: Trained | Curves) -> Curves:
    return history if isinstance(history, Mapping) else history.history
