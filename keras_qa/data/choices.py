"""Data sets of multiple-choice questions in their published files: RACE, ARC and SWAG."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from keras_qa._arguments import read_object
from keras_qa.data.rows import Row, csv_rows, jsonl_rows
from keras_qa.example import Example

_ENDINGS = ("ending0", "ending1", "ending2", "ending3")

# A text, a question, its choices by label, the label of the right one if it is known, and an id.
_Fields = tuple[str, str, dict[str, str], str | None, str | None]


def load_race(path: str | Path) -> list[Example]:
    """Reads RACE (Lai et al. 2017, arXiv:1704.04683): questions of English exams.

    Args:
        path: A folder, such as `RACE/train` or `RACE/train/high`, with files such as `1.txt`; or
            one of them.

    Returns:
        A list of `Example` objects with `choices` and the right one in `answers`.

    Raises:
        FileNotFoundError: If `path` does not exist, or has no such files.
        ValueError: If a file has another layout.

    Examples:
        ```python
        train = keras_qa.datasets.choices.load_race("RACE/train")
        ```
    """

    def read(row: dict[str, Any]) -> Iterator[_Fields]:
        letters = row.get("answers", [None] * len(row["questions"]))
        questions = zip(row["questions"], row["options"], letters, strict=True)
        for number, (question, choices, letter) in enumerate(questions):
            by_letter = dict(zip(string.ascii_uppercase, choices, strict=False))
            yield row["article"], question, by_letter, letter, f"{row['id']}.{number}"

    files = sorted(Path(path).expanduser().rglob("*.txt")) or [_existing(path)]
    return _load("RACE", ((f"`{file}`", read_object(file)) for file in files), read)


def load_arc(path: str | Path) -> list[Example]:
    """Reads ARC (Clark et al. 2018, arXiv:1803.05457): questions of science exams without texts.

    Args:
        path: A file such as `ARC-Challenge-Train.jsonl`.

    Returns:
        As `load_race`, with an empty `text`.
    """

    def read(row: dict[str, Any]) -> Iterator[_Fields]:
        question = row["question"]
        choices = {choice["label"]: choice["text"] for choice in question["choices"]}
        yield "", question["stem"], choices, row.get("answerKey"), row["id"]

    return _load("ARC", jsonl_rows(_existing(path)), read)


def load_swag(path: str | Path) -> list[Example]:
    """Reads SWAG (Zellers et al. 2018, arXiv:1808.05326): how a description of a video goes on.

    Args:
        path: A file such as `train.csv`.

    Returns:
        As `load_race`. The `text` is the first sentence, and the `question` the start of the second
        one, which the choices complete.
    """

    def read(row: dict[str, Any]) -> Iterator[_Fields]:
        choices = {name[-1]: row[name] for name in _ENDINGS}
        yield row["sent1"], row["sent2"], choices, row.get("label") or None, row["video-id"]

    return _load("SWAG", csv_rows(_existing(path), ",", {}), read)


def _existing(path: str | Path) -> Path:
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"`path` must be a file. Received: path={str(path)!r}.")
    return file


def _load(
    name: str, rows: Iterable[Row], read: Callable[[dict[str, Any]], Iterator[_Fields]]
) -> list[Example]:
    examples = []
    for location, row in rows:
        try:
            for text, question, choices, right, id in read(row):
                if right is not None and right not in choices:
                    labels = ", ".join(choices)
                    raise ValueError(f"answer {right!r:.80} of {id!r:.80} is none of {labels}")
                answers = () if right is None else (choices[right],)
                texts = tuple(choices.values())
                examples.append(Example(text, question, answers, choices=texts, id=id))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            problem = f"no {error}" if isinstance(error, KeyError) else f"{error}"[:150]
            raise ValueError(f"{location} must have the layout of {name}: {problem}.") from None
    return examples
