"""SQuAD v1.1 and v2.0, and files in the same layout."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_qa._arguments import check_choice, quote_names, short_repr
from keras_qa.data import downloads
from keras_qa.example import Example, answer_problem

SPLITS = ("train", "valid")
VERSIONS = ("1.1", "2.0")
URLS = (
    "https://rajpurkar.github.io/SQuAD-explorer/dataset/",
    "https://raw.githubusercontent.com/rajpurkar/SQuAD-explorer/master/dataset/",
)
# Name, size and SHA-256 of the original files.
FILES = {
    ("train", "1.1"): (
        "train-v1.1.json",
        30_288_272,
        "3527663986b8295af4f7fcdff1ba1ff3f72d07d61a20f487cb238a6ef92fd955",
    ),
    ("valid", "1.1"): (
        "dev-v1.1.json",
        4_854_279,
        "95aa6a52d5d6a735563366753ca50492a658031da74f301ac5238b03966972c9",
    ),
    ("train", "2.0"): (
        "train-v2.0.json",
        42_123_633,
        "68dcfbb971bd3e96d5b46c7177b16c1a4e7d4bdef19fb204502738552dede002",
    ),
    ("valid", "2.0"): (
        "dev-v2.0.json",
        4_370_528,
        "80a5225e94905956a6446d296ca1093975c4d3b3260f1d6c8f68bc2ab77182d8",
    ),
}

_KINDS: dict[type, str] = {
    str: "a string",
    list: "a list",
    int: "a whole number",
    dict: "an object",
}


def load(
    path: str | Path | None = None, split: str = "train", version: str = "1.1", strict: bool = True
) -> list[Example]:
    """Reads SQuAD or a file in its layout.

    Args:
        path: A JSON file in the layout of SQuAD, or a folder with the original files. `None`
            downloads the original once into `~/.cache/keras-qa`, or into `$KERAS_QA_HOME`. For
            other files see `tables.load`.
        split: `"train"` or `"valid"` (SQuAD's `dev`) of the original. Its test split is not public.
        version: `"1.1"` or `"2.0"` of the original. Ignored if `path` is a file.
        strict: Whether to raise for a question whose answer is not at its `answer_start`, or whose
            id is not unique. If false, such questions are skipped with a warning.

    Returns:
        A list of `Example` objects with `id`, `answers`, one `answer_start` per answer, `document`
        if the paragraph has one, and `source` if the article has one. Questions marked as
        impossible in version 2.0 have no answers.

    Raises:
        FileNotFoundError: If `path` does not exist.
        ValueError: If an argument is out of range, if the file has another layout, or if a question
            is wrong and `strict` is true.
        ConnectionError: If the download fails.

    Reference:
        Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text",
        arXiv:1606.05250. Rajpurkar et al. 2018, "Know What You Don't Know: Unanswerable Questions
        for SQuAD", arXiv:1806.03822.

    Examples:
        ```python
        train = keras_qa.datasets.squad.load(split="train", version="2.0")
        valid = keras_qa.datasets.squad.load("dev-v2.0.json")
        ```
    """
    check_choice("split", split, SPLITS)
    check_choice("version", version, VERSIONS)
    original, size, sha256 = FILES[split, version]
    if path is None:
        target = downloads.cache_folder() / original
        path = downloads.fetch([url + original for url in URLS], target, sha256=sha256, size=size)
    path = Path(path).expanduser()
    if path.is_dir():
        path = path / original
    if not path.is_file():
        raise FileNotFoundError(
            f"`path` must be an existing file. Received: path={str(path)!r}. Leave out `path` to "
            "download the original."
        )
    return check_answers(_questions(path), strict, unique_ids=True)


def _questions(path: Path) -> Iterator[tuple[str, Example]]:
    content = _read_json(path)
    location = f"`{path}`"
    for at, article in enumerate(_field(location, content, "data", list)):
        outer = f"{location}, data[{at}]"
        paragraphs = _field(outer, article, "paragraphs", list)
        source = _field(outer, article, "source", str, optional=True)
        for part, paragraph in enumerate(paragraphs):
            inner = f"{outer}.paragraphs[{part}]"
            text = _field(inner, paragraph, "context", str)
            document = _field(inner, paragraph, "document", str, optional=True)
            for number, question in enumerate(_field(inner, paragraph, "qas", list)):
                name = f"{inner}.qas[{number}]"
                yield name, _example(name, text, question, document, source)


def _example(
    location: str, text: str, question: Any, document: str | None, source: str | None
) -> Example:
    question_text = _field(location, question, "question", str)
    id = question.get("id")
    if isinstance(id, bool) or not isinstance(id, (str, int)):
        raise _field_error(location, question, "id", "a string")
    location = f"{location} (id {id!r:.40})"
    entries = _field(location, question, "answers", list)
    # `plausible_answers` of version 2.0 are wrong answers.
    if question.get("is_impossible") and entries:
        raise ValueError(
            f"{location}: `answers` must be empty if `is_impossible` is true. Received: "
            f"{len(entries)} answers."
        )
    answers, starts = [], []
    for number, answer in enumerate(entries):
        name = f"{location}, answers[{number}]"
        answers.append(_field(name, answer, "text", str))
        starts.append(_field(name, answer, "answer_start", int))
    spans = tuple(answers), tuple(starts)
    return Example(text, question_text, *spans, id=str(id), document=document, source=source)


def _field(location: str, holder: Any, name: str, kind: type, optional: bool = False) -> Any:
    if not isinstance(holder, dict):
        raise ValueError(f"{location}: expected an object. Received: {short_repr(holder)}.")
    value = holder.get(name)
    if optional and value is None:
        return None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _field_error(location, holder, name, _KINDS[kind])
    return value


def _field_error(
    location: str, holder: Mapping[str, object], name: str, expected: str
) -> ValueError:
    if name not in holder:
        return ValueError(
            f"{location}: expected {expected} `{name}`. Received only: {quote_names(holder)}."
        )
    return ValueError(
        f"{location}: expected {expected} `{name}`. Received: {short_repr(holder[name])}."
    )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"`{path}` must be JSON: {error}. The file may be damaged; if each line is an object, "
            "rename it to .jsonl."
        ) from None


def check_answers(
    records: Iterable[tuple[str, Example]], strict: bool, unique_ids: bool = False
) -> list[Example]:
    """Returns the examples whose answers are at their offsets.

    `records` are pairs of a description, such as file and line, and an example. A wrong example
    raises a `ValueError` if `strict`; otherwise it is skipped, and a warning counts the skipped.
    """
    examples: list[Example] = []
    wrong: list[tuple[str, Example, str]] = []
    first: dict[str, str] = {}
    for location, example in records:
        problem = answer_problem(example)
        if problem is None and unique_ids and example.id is not None:
            before = first.setdefault(example.id, location)
            if before is not location:
                problem = f"its id was used before, at {before}. Give each question its own"
        if problem is None:
            examples.append(example)
        else:
            wrong.append((location, example, problem))
    if not wrong:
        return examples
    location, example, problem = wrong[0]
    total = len(examples) + len(wrong)
    if strict:
        others = f" {len(wrong)} of {total} questions are wrong." if len(wrong) > 1 else ""
        raise ValueError(
            f"{_describe(location, example)}: {problem}, or pass `strict=False` (`--lenient`) to "
            f"skip it.{others}"
        )
    warnings.warn(
        f"Skipped {len(wrong)} of {total} questions with an answer that is not at its "
        f"`answer_start`, or with the id of another question, the first is "
        f"{_describe(location, example)}.",
        stacklevel=3,
    )
    return examples


def _describe(location: str, example: Example) -> str:
    return location if example.id is None else f"{location} (id {example.id!r:.40})"
