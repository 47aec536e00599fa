"""The data types of the package: `Example`, `Answer` with its parts, and `Ranked`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

from keras_qa._arguments import is_frame, is_ordered, must_be, shorten

_Record = TypeVar("_Record")


@dataclasses.dataclass(frozen=True)
class Example:
    """A text, a question about it, and its right answers if they are known.

    `answers` is only needed for training and evaluation.

    Args:
        text: The text: a string, or a list of sentences. Offsets in a list refer to its sentences
            joined by line breaks, see `plain_text`.
        question: The question. May be empty.
        answers: All right answers, each of which is right on its own. A string is one answer; true
            and false are "yes" and "no".
        answer_start: Character offset of each answer in the text, if known.
        choices: The answers to choose from, if the question has any.
        supporting_facts: Numbers of the sentences that support the answer, from 0.
        id: A name for reports and error messages.
        document: The name of the document in an index that the text comes from.
        source: Where the question comes from, such as a data set. Reports have a table by source;
            training ignores it.
        all_spans: Whether the answers are right only together, as in DROP and MultiSpanQA: the
            question asks for several spans of the text, and these are all.
        negatives: Passages that do not answer the question, to train an `answering.Reranker`, see
            `documents.hard_negatives`.

    Raises:
        TypeError: If a field has the wrong type.

    Examples:
        >>> from keras_qa import Example
        >>> example = Example("Mary went home.", "Where is Mary?", "home")
        >>> example.answers
        ('home',)
    """

    text: str | list[str]
    question: str
    answers: tuple[str, ...] = ()
    answer_start: tuple[int, ...] = ()
    choices: tuple[str, ...] = ()
    supporting_facts: tuple[int, ...] = ()
    id: str | None = None
    document: str | None = None
    source: str | None = None
    all_spans: bool = False
    negatives: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            object.__setattr__(self, "text", list(_strings("text", self.text)))
        for name, kinds in (("question", (str,)), ("source", (str, type(None)))):
            value = getattr(self, name)
            if not isinstance(value, kinds):
                raise TypeError(
                    f"`{name}` must be a string. Received: {value!r:.80} "
                    f"(of type {type(value).__name__})."
                )
        if isinstance(self.answers, bool):
            object.__setattr__(self, "answers", "yes" if self.answers else "no")
        for name in ("answers", "choices", "negatives"):
            value = getattr(self, name)
            value = (value,) if isinstance(value, str) else _strings(name, value)
            object.__setattr__(self, name, value)
        for name in ("answer_start", "supporting_facts"):
            value = getattr(self, name)
            value = (value,) if isinstance(value, int) else tuple(int(item) for item in value)
            object.__setattr__(self, name, value)
        # A DataFrame has flags of NumPy.
        if self.all_spans not in (True, False):
            raise TypeError(
                f"`all_spans` must be `True` or `False`. Received: {self.all_spans!r:.80}."
            )
        object.__setattr__(self, "all_spans", bool(self.all_spans))

    @property
    def plain_text(self) -> str:
        """The text as one string: sentences of a list joined by line breaks."""
        return self.text if isinstance(self.text, str) else "\n".join(self.text)


@dataclasses.dataclass(frozen=True)
class Support:
    """A sentence, and how much it supports an answer.

    Args:
        text: The sentence.
        weight: How much it supports the answer, between 0 and 1.
        start: Character offset of the sentence in the text.
        end: Offset one past its last character.
        position: Its number among the sentences of the text, from 0.
    """

    text: str
    weight: float
    start: int
    end: int
    position: int


@dataclasses.dataclass(frozen=True)
class AnswerLocation:
    """A place in a document that mentions an answer.

    Args:
        document: The document's name.
        start: Character offset of the answer in the document's text.
        end: Offset one past its last character.
        score: This place's part of the answer's probability.
        line: The line where it starts, from 1.
        page: The page where it starts, from 1, or `None` if the document has no pages.
    """

    document: str
    start: int
    end: int
    score: float
    line: int
    page: int | None = None


@dataclasses.dataclass(frozen=True)
class Box:
    """A rectangle on a page of a PDF file.

    Its edges are between 0 and 1: shares of the width and the height of the page as it is shown,
    from the top left corner. Pages count from 1.
    """

    page: int
    left: float
    top: float
    right: float
    bottom: float


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer with its probability and its place in the text.

    Args:
        text: The answer. Empty for no answer.
        score: Its probability, between 0 and 1.
        start: Character offset in the text, or in the document's text. For an answer from a
            vocabulary this is its last mention, or `None` if the text does not contain it as whole
            words. `None` for no answer, and for yes and no of a reader with `answer_types`.
        end: Offset one past its last character, or `None`.
        support: The sentences of the text with their weights, the highest first, if the model reads
            sentences; otherwise empty.
        document: For an index, the name of the document.
        line: For an index, the line of the document's text where it starts, from 1.
        page: For an index, the page where it starts, from 1, if the document has pages.
        sources: For an index, all places that mention it, the most likely first, to which
            `document` belongs.
        boxes: For an index, where the answer is on the page of a PDF file, with a `Box` for each
            line. Empty for other documents, and if the file is missing or has changed since.
    """

    text: str
    score: float
    start: int | None = None
    end: int | None = None
    support: tuple[Support, ...] = ()
    document: str | None = None
    line: int | None = None
    page: int | None = None
    sources: tuple[AnswerLocation, ...] = ()
    boxes: tuple[Box, ...] = ()


@dataclasses.dataclass(frozen=True)
class Ranked:
    """A text with its score for a question, as `answering.Reranker` returns it.

    Args:
        index: Position of the text among the texts that were ranked.
        text: The text.
        score: How well it answers the question. Higher is better.
    """

    index: int
    text: str
    score: float


def _strings(name: str, values: object) -> tuple[str, ...]:
    if isinstance(values, Iterable) and not isinstance(values, (Mapping, bytes)):
        values = tuple(values)
        if all(isinstance(value, str) for value in values):
            return values
    raise TypeError(f"`{name}` must be a string or a list of strings. Received: {values!r:.80}.")


def to_examples(examples: Iterable[Example | Mapping[str, Any]]) -> list[Example]:
    """Returns examples, and mappings with the fields of `Example` as keys, as examples.

    It also takes rows of SQuAD and BoolQ in Hugging Face's layout, with `context` or `passage` and
    `answers` or `answer`, and a pandas or polars DataFrame with such columns.
    """
    names = [field.name for field in dataclasses.fields(Example)]
    result = []
    for position, entry in enumerate_records("examples", examples, Example):
        if isinstance(entry, Example):
            result.append(entry)
            continue
        if "text" not in entry and ("context" in entry or "passage" in entry):
            entry = _of_row(entry)
        for key in entry:
            if key not in names:
                raise ValueError(
                    f"The example at position {position} has an unknown key `{key}`. "
                    f"Expected keys: {', '.join(f'`{name}`' for name in names)}."
                )
        for key in ("text", "question"):
            if key not in entry:
                raise ValueError(
                    f"The example at position {position} has no key `{key}`. "
                    f"It has: {', '.join(f'`{name}`' for name in entry)}."
                )
        try:
            result.append(Example(**dict(entry)))
        except TypeError as error:
            raise TypeError(f"The example at position {position}: {error}") from None
    return result


def enumerate_records(
    name: str,
    records: Iterable[_Record | Mapping[str, Any]],
    kind: type[_Record],
    advice: str = "Put it in a list.",
) -> Iterator[tuple[int, _Record | Mapping[str, Any]]]:
    """Yields each position and its entry, an object of a class or a mapping, or raises."""
    if isinstance(records, (str, bytes, Mapping, kind)):
        raise TypeError(
            f"`{name}` must be a list of {name}. Received one {type(records).__name__}. {advice}"
        )
    for position, entry in enumerate(frame_rows(records) if is_frame(records) else records):
        if not isinstance(entry, (kind, Mapping)):
            raise TypeError(
                f"`{name}` must hold `{kind.__name__}` objects or mappings. Received a "
                f"{type(entry).__name__} at position {position}."
            )
        yield position, entry


def _of_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of a row of SQuAD or BoolQ in Hugging Face's layout."""
    names = {"context": "text", "passage": "text", "answer": "answers"}
    entry = {names.get(key, key): value for key, value in row.items() if key != "title"}
    answers = entry.get("answers")
    if isinstance(answers, Mapping):
        entry["answers"] = list(answers.get("text", ()))
        entry["answer_start"] = list(answers.get("answer_start", ()))
    return entry


def to_questions(question: str | Iterable[str]) -> list[str]:
    """Returns one question, or an iterable of questions such as a pandas Series, as a list."""
    if isinstance(question, str):
        return [question]
    expected = "`question` must be a string or a list of strings. Received:"
    if is_frame(question):
        raise TypeError(f"{expected} a DataFrame. Give one of its columns.")
    if not is_ordered(question):
        raise TypeError(f"{expected} {question!r:.80} (of type {type(question).__name__}).")
    questions = list(question)
    for position, item in enumerate(questions):
        if not isinstance(item, str):
            raise TypeError(
                f"{expected} {item!r:.80} (of type {type(item).__name__}) at position {position}."
            )
    return questions


def frame_rows(frame: object) -> list[dict[str, Any]]:
    """Returns the rows of a pandas or polars DataFrame."""
    table: Any = frame
    rows: list[dict[str, Any]]
    rows = table.to_dicts() if hasattr(table, "to_dicts") else table.to_dict("records")
    return rows


def answer_problem(example: Example) -> str | None:
    """Returns a line about the first answer that is not at its `answer_start`, or `None`."""
    if not example.answer_start:
        return None
    if len(example.answer_start) != len(example.answers):
        return (
            f"there are {len(example.answers)} answers but {len(example.answer_start)} offsets. "
            "Give an `answer_start` for each answer"
        )
    text = example.plain_text
    for answer, start in zip(example.answers, example.answer_start, strict=True):
        if not answer:
            return "an answer is empty. Leave it out of `answers`"
        if start >= 0 and text.startswith(answer, start):
            continue
        first = text.find(answer)
        passage = text[max(start, 0) : max(start, 0) + len(answer)]
        correction = f"It is at {first}" if first >= 0 else "The text does not hold it"
        return (
            f"the answer {shorten(answer)!r} is not at {start}, where its text has "
            f"{shorten(passage)!r}. {correction}. Correct `answer_start`"
        )
    return None


def answered_examples(examples: Iterable[Example | Mapping[str, Any]]) -> list[Example]:
    """Converts examples like `to_examples`, and checks that each has an answer."""
    data = to_examples(examples)
    if not data:
        raise ValueError("`examples` is empty. Give at least one to evaluate on.")
    for position, item in enumerate(data):
        if not item.answers:
            raise ValueError(
                f"The example at position {position} has no right answer: set its `answers`."
            )
    return data


def with_answers(
    examples: list[Example],
    answers: Sequence[str | Sequence[str]] | None,
    name: str = "`y`",
    field: str = "answers",
) -> list[Example]:
    """Returns examples with other answers, or unchanged if `answers` is `None`."""
    if answers is None:
        return examples
    if len(answers) != len(examples):
        raise ValueError(
            f"{name} has {len(answers)} {field}, but there are {len(examples)} examples. Pass one "
            "entry for each."
        )
    return [
        dataclasses.replace(item, **{field: entry})  # type: ignore[arg-type]
        for item, entry in zip(examples, answers, strict=True)
    ]


def with_choices(
    examples: list[Example], choices: Sequence[str] | Sequence[Sequence[str]], several: bool
) -> list[Example]:
    """Returns examples with other choices: a list of strings for all, or if `several` for each."""
    is_list = isinstance(choices, (list, tuple))
    strings = [isinstance(entry, str) for entry in choices] if is_list else [True, False]
    if not all(strings) and (any(strings) or not several):
        expected = "a list of strings, or for several questions a list of such lists"
        raise TypeError(must_be("choices", expected, choices))
    each: Any = [choices] * len(examples) if all(strings) else choices
    return with_answers(examples, each, "`choices`", "choices")


def make_examples(text: object, question: str | Iterable[str] | None) -> tuple[list[Example], bool]:
    """Returns the arguments of `answer` as examples, and whether they are several."""
    if question is None:
        if isinstance(text, (Example, Mapping)):
            return to_examples([text]), False
        if isinstance(text, (str, bytes)) or not isinstance(text, Iterable):
            raise TypeError(
                "`question` is missing. Without it, `text` must be an `Example`, a mapping, or a "
                f"list of them. Received: text={text!r:.80}."
            )
        return to_examples(text), True
    if isinstance(question, str):
        return [Example(text, question)], False  # type: ignore[arg-type]
    for name, value in (("text", text), ("question", question)):
        if not isinstance(value, Iterable) or isinstance(value, (Mapping, bytes)):
            raise TypeError(
                f"`{name}` must be a string or a list of strings. Received: {value!r:.80}."
            )
    questions = list(question)
    texts: list[Any] = [text] * len(questions) if isinstance(text, str) else [*cast(Any, text)]
    if len(texts) != len(questions):
        raise ValueError(
            f"`text` has {len(texts)} texts, but `question` has {len(questions)} questions. "
            "Pass one text for each question, or one string for all of them."
        )
    pairs = zip(texts, questions, strict=True)
    return [Example(text, question) for text, question in pairs], True


def select_answers(
    ranked: list[list[Answer]], top_k: int | None, several: bool
) -> Answer | list[Answer] | list[list[Answer]]:
    """Returns the best answer only without `top_k`, and no outer list for a single question."""
    results = ranked if top_k is not None else [answers[0] for answers in ranked]
    return results if several else results[0]
