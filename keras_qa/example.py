"""The records that travel through the package: `Example` in, `Answer` out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Example:
    """A text, a question about it, and what is known of the answer.

    Only `text` and `question` are needed to ask. `answers` is needed to train
    and to evaluate.

    Args:
        text: The text to answer from. A string, or a list of sentences, which
            is taken as it is. Offsets into a list count in its sentences
            joined by line breaks, which is what `plain_text` returns.
        question: The question, a string. May be empty.
        answers: Every answer that counts as right. One string stands for one
            answer.
        answer_start: Character offset of each answer in the text, where known.
        choices: The answers to choose from, where the question offers them.
        supporting_facts: Positions of the sentences the answer rests on, from 0.
        id: A name for the example, used in reports and error messages.
        document: The name of the document of an index that the text is, or is
            a part of.

    Raises:
        TypeError: If a field holds something else than text where text belongs.

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

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            object.__setattr__(self, "text", list(_strings("text", self.text)))
        if not isinstance(self.question, str):
            raise TypeError(
                f"`question` must be a string. Received: {self.question!r} "
                f"(of type {type(self.question).__name__})."
            )
        for name in ("answers", "choices"):
            value = getattr(self, name)
            value = (value,) if isinstance(value, str) else _strings(name, value)
            object.__setattr__(self, name, value)
        for name in ("answer_start", "supporting_facts"):
            value = getattr(self, name)
            value = (value,) if isinstance(value, int) else tuple(int(item) for item in value)
            object.__setattr__(self, name, value)

    @property
    def plain_text(self) -> str:
        """The text as one string: sentences of a list joined by line breaks."""
        return self.text if isinstance(self.text, str) else "\n".join(self.text)


@dataclasses.dataclass(frozen=True)
class Support:
    """A sentence, and how much of an answer rests on it.

    Args:
        text: The sentence.
        weight: How much rests on it, between 0 and 1.
        start: Character offset of the sentence in the text.
        end: Offset one past its last character.
        position: Its position among the sentences of the text, from 0.
    """

    text: str
    weight: float
    start: int
    end: int
    position: int


@dataclasses.dataclass(frozen=True)
class AnswerLocation:
    """A place in a document that says an answer.

    Args:
        document: The document's name.
        start: Character offset of the answer in the document's text.
        end: Offset one past its last character.
        score: The part of the answer's probability that is from here.
        line: The line that it begins in, from 1.
        page: The page that it begins on, from 1, or `None` where there are no
            pages.
    """

    document: str
    start: int
    end: int
    score: float
    line: int
    page: int | None = None


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer, with how sure the model is and where the text says it.

    Args:
        text: The answer.
        score: Its probability, between 0 and 1.
        start: Character offset of its last mention in the text, or `None`
            where the text does not hold it as whole words. In the document's
            text, where there is one.
        end: Offset one past its last character, or `None`.
        support: The sentences of the text, those that the answer rests on
            most first, where the model reads sentences; else empty.
        document: The name of the document that it is from, where an index was
            asked.
        line: The line of the document's text that it begins in, from 1.
        page: The page that it begins on, from 1, where there are pages.
        sources: All places that say it, the likeliest first, which `document`
            is that of; where an index was asked.
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


def _strings(name: str, values: object) -> tuple[str, ...]:
    if isinstance(values, Iterable) and not isinstance(values, (Mapping, bytes)):
        values = tuple(values)
        if all(isinstance(value, str) for value in values):
            return values
    raise TypeError(f"`{name}` must be a string or a list of strings. Received: {values!r}.")


def to_examples(examples: Iterable[Example | Mapping[str, Any]]) -> list[Example]:
    """Turns mappings with the fields of `Example` as keys into examples.

    Args:
        examples: An iterable of `Example` objects, or of mappings with the
            keys `text` and `question` and, where known, `answers`,
            `answer_start`, `choices`, `supporting_facts`, `id` and
            `document`; or of rows of SQuAD as Hugging Face has them, with
            `context` and `answers`; or a pandas or polars DataFrame with such
            columns.

    Returns:
        A list of `Example` objects, in the same order.

    Raises:
        TypeError: If an entry is neither, or a field has the wrong type.
        ValueError: If a key is missing or unknown.
    """
    if isinstance(examples, (str, bytes, Mapping, Example)):
        raise TypeError(
            f"`examples` must be a list of examples. Received one {type(examples).__name__}. "
            "Put it in a list."
        )
    if is_frame(examples):
        examples = frame_rows(examples)
    names = [field.name for field in dataclasses.fields(Example)]
    result = []
    for position, entry in enumerate(examples):
        if isinstance(entry, Example):
            result.append(entry)
            continue
        if not isinstance(entry, Mapping):
            raise TypeError(
                f"`examples` must hold `Example` objects or mappings. Received a "
                f"{type(entry).__name__} at position {position}."
            )
        if "context" in entry and "text" not in entry:
            entry = _of_squad(entry)
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


def _of_squad(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of SQuAD in the layout of Hugging Face."""
    entry = {key: value for key, value in row.items() if key not in ("context", "title")}
    entry["text"] = row["context"]
    answers = entry.get("answers")
    if isinstance(answers, Mapping):
        entry["answers"] = list(answers.get("text", ()))
        entry["answer_start"] = list(answers.get("answer_start", ()))
    return entry


def to_questions(question: str | Iterable[str]) -> list[str]:
    """The questions that a method is given, as a list.

    Args:
        question: A string, or an iterable of strings, such as a list or a pandas Series.

    Returns:
        A list of strings.

    Raises:
        TypeError: If it is neither.

    Examples:
        >>> from keras_qa.example import to_questions
        >>> to_questions("Who?"), to_questions(iter(["Who?", "Where?"]))
        (['Who?'], ['Who?', 'Where?'])
    """
    if isinstance(question, str):
        return [question]
    expected = "`question` must be a string or a list of strings. Received:"
    if is_frame(question):
        raise TypeError(f"{expected} a DataFrame. Give one of its columns.")
    if not isinstance(question, Iterable) or isinstance(question, (Mapping, bytes)):
        raise TypeError(f"{expected} {question!r:.80} (of type {type(question).__name__}).")
    questions = list(question)
    for position, one in enumerate(questions):
        if not isinstance(one, str):
            raise TypeError(
                f"{expected} {one!r:.80} (of type {type(one).__name__}) at position {position}."
            )
    return questions


def is_frame(value: object) -> bool:
    """Whether a value is a pandas or polars DataFrame."""
    return hasattr(value, "to_dict") and hasattr(value, "columns")


def frame_rows(frame: object) -> list[dict[str, Any]]:
    """The rows of a pandas or polars DataFrame."""
    table: Any = frame
    rows: list[dict[str, Any]]
    rows = table.to_dicts() if hasattr(table, "to_dicts") else table.to_dict("records")
    return rows


def answer_problem(example: Example) -> str | None:
    """What is wrong with the offsets of an example's answers.

    Args:
        example: The example.

    Returns:
        A line that says which answer is not where `answer_start` says, and
        where it is; or `None` where all are right or no offset is known.

    Examples:
        >>> from keras_qa.example import Example, answer_problem
        >>> problem = answer_problem(Example("He went home.", "Where?", "home", 7))
        >>> problem.split(". ")[0]
        "the answer 'home' is not at 7, where its text has ' hom'"
    """
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
        found = text.find(answer)
        there = text[max(start, 0) : max(start, 0) + len(answer)]
        where = f"It is at {found}" if found >= 0 else "The text does not hold it"
        return (
            f"the answer {_short(answer)} is not at {start}, where its text has {_short(there)}. "
            f"{where}. Correct `answer_start`"
        )
    return None


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def answered_examples(examples: Iterable[Example | Mapping[str, Any]]) -> list[Example]:
    """As `to_examples`, for examples to evaluate on: at least one, each with an answer.

    Args:
        examples: As there.

    Returns:
        A list of `Example` objects, in the same order.

    Raises:
        TypeError: As there.
        ValueError: As there, and if there are none or one has no answer.
    """
    data = to_examples(examples)
    if not data:
        raise ValueError("`examples` is empty. Give at least one to evaluate on.")
    odd = next((place for place, item in enumerate(data) if not item.answers), None)
    if odd is not None:
        raise ValueError(
            f"The example at position {odd} has no answer to compare with: set `answers`."
        )
    return data


def with_answers(
    examples: list[Example],
    answers: Sequence[str | Sequence[str]] | None,
    name: str = "`y`",
) -> list[Example]:
    """Examples with answers that stand apart from them.

    Args:
        examples: The examples.
        answers: One entry an example: a string, or all that count as right.
            `None` to leave the examples as they are.
        name: What an error calls the answers.

    Returns:
        A list of `Example` objects, in the same order.

    Raises:
        ValueError: If there are not as many entries as examples.
    """
    if answers is None:
        return examples
    if len(answers) != len(examples):
        raise ValueError(
            f"{name} holds {len(answers)} answers, but there are {len(examples)} examples. Give "
            "one entry for each."
        )
    return [
        dataclasses.replace(item, answers=entry)  # type: ignore[arg-type]
        for item, entry in zip(examples, answers, strict=True)
    ]
