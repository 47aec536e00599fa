"""Ways of answering: what makes feeds of examples, answers of outputs, and scores mean something.

NumPy: a task is handed the model that it asks.
"""

from collections.abc import Mapping
from typing import Any

from keras_qa._arguments import entry
from keras_qa.tasks.asking import AskCalibration
from keras_qa.tasks.spans import SpanTask
from keras_qa.tasks.task import Ask, AskOptions, Ranked, SpanDetails, Task
from keras_qa.tasks.words import WordTask

__all__ = [
    "Ask",
    "AskCalibration",
    "AskOptions",
    "Ranked",
    "SpanDetails",
    "SpanTask",
    "Task",
    "WordTask",
    "deserialize",
    "serialize",
    "take",
]

TASKS: dict[str, type[SpanTask] | type[WordTask]] = {
    task.name: task for task in (WordTask, SpanTask)
}


def serialize(task: Task) -> dict[str, Any]:
    """What `deserialize` takes, as a `.keras` file keeps it."""
    return {"name": task.name, **task.get_config()}


def deserialize(config: Mapping[str, Any]) -> Task:
    """Makes the task again that gave this config.

    Args:
        config: What `serialize` gave.

    Returns:
        The task.

    Raises:
        TypeError: If it has a setting that the task does not know.
        ValueError: If no task has the name in `config`, or a setting is missing or out of its
            range.
    """
    if not isinstance(config, Mapping):
        raise ValueError(f"`task` must be an object. Received: task={config!r:.80}.")
    rest = dict(config)
    entry(rest, "name", str)
    name = rest.pop("name")
    if name not in TASKS:
        raise ValueError(
            f"The file's way of answering is {name!r:.80}, but this version of keras-qa knows "
            f"{', '.join(map(repr, TASKS))}. Install a newer version."
        )
    return TASKS[name].from_config(rest)


def take(config: dict[str, Any]) -> Task | None:
    """Takes the task out of a model's config, in whichever form a file has it.

    Args:
        config: The config. What it says of a task is taken out of it.

    Returns:
        The task, or `None` where there is none.

    Raises:
        ValueError: As `deserialize`.
    """
    task, vectorizer, windower, decoder = (
        config.pop(name, None) for name in ("task", "vectorizer", "windower", "decoder")
    )
    if vectorizer is not None:
        task = {"name": WordTask.name, "vectorizer": vectorizer}
    elif windower is not None:
        task = {"name": SpanTask.name, "vectorizer": windower, "decoder": decoder or {}}
    return None if task is None else deserialize(task)
