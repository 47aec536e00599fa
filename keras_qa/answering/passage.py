"""A text that was read, and can be asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast, overload

from keras_qa._arguments import to_optional_integer
from keras_qa.example import Answer, Example, to_examples, to_questions
from keras_qa.tasks import Ask, Ranked

# A string, or a list of sentences.
Text = str | Sequence[str]

# A text for each of several questions, or one for all of them.
Texts = str | Sequence[Text]

# Any sequence would be a string, too.
Questions = list[str] | tuple[str, ...] | Iterator[str]

# Texts with their questions.
Examples = Iterable[Example | Mapping[str, Any]]

# One answer, the best ones of a question, the best one of each question, or the best ones of each.
Answered = Answer | list[Answer] | list[list[Answer]]


class Passage:
    """A text that was read, and can be asked. Made by `QuestionAnswerer.read`.

    Args:
        example: The text.
        answers: What gives the best answers to some questions about it, so
            many for each, best first.

    Examples:
        >>> import keras_qa
        >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=50, seed=0)
        >>> qa = keras_qa.QuestionAnswerer(seed=0).fit(stories, epochs=1, verbose=0)
        >>> passage = qa.read("Mary moved to the garden.")
        >>> question = "Where is Mary?"
        >>> passage.ask(question) == qa.answer("Mary moved to the garden.", question)
        True
    """

    def __init__(self, example: Example, answers: Ask) -> None:
        self.text = example.plain_text
        self._example = example
        self._answers = answers

    @overload
    def ask(self, question: str, top_k: None = None) -> Answer: ...

    @overload
    def ask(self, question: str, top_k: int) -> list[Answer]: ...

    @overload
    def ask(self, question: Questions, top_k: None = None) -> list[Answer]: ...

    @overload
    def ask(self, question: Questions, top_k: int) -> list[list[Answer]]: ...

    def ask(self, question: str | Questions, top_k: int | None = None) -> Answered:
        """Answers one question about the text, or many at once.

        Args:
            question: The question; or several, as a list or any other iterable of strings.
            top_k: Number of answers a question, best first. `None` for the
                best one alone.

        Returns:
            As `QuestionAnswerer.answer` gives.

        Raises:
            TypeError: If a question is no string.
            ValueError: If `top_k` is not a positive integer.
        """
        top_k = to_optional_integer("top_k", top_k)
        many = not isinstance(question, str)
        examples = [Example(self._example.text, item) for item in to_questions(question)]
        return shaped(self._answers(examples, top_k or 1), top_k, many) if examples else []


def shaped(ranked: Ranked, top_k: int | None, many: bool) -> Answered:
    """One answer a question without `top_k`, and no list around what one question got."""
    results = ranked if top_k is not None else [answers[0] for answers in ranked]
    return results if many else results[0]


def asked(
    text: Text | Texts | Example | Mapping[str, Any] | Examples,
    question: str | Questions | None,
) -> tuple[list[Example], bool]:
    """What is asked, and whether it is several questions.

    Args:
        text: As `QuestionAnswerer.answer` takes it.
        question: As there.
    """
    if question is None:
        if isinstance(text, (Example, Mapping)):
            return to_examples([text]), False
        if isinstance(text, (str, bytes)) or not isinstance(text, Iterable):
            raise TypeError(
                "`question` must be given beside a text. Without it, `text` must be an `Example`, "
                f"a mapping, or a list of them. Received: text={text!r:.80}."
            )
        return to_examples(text), True  # type: ignore[arg-type]
    if isinstance(question, str):
        return [Example(text, question)], False  # type: ignore[arg-type]
    for name, value in (("text", text), ("question", question)):
        if not isinstance(value, Iterable) or isinstance(value, (Mapping, bytes)):
            raise TypeError(f"`{name}` must be a string or a list of strings. Received: {value!r}.")
    questions = list(question)
    texts: list[Any] = [text] * len(questions) if isinstance(text, str) else [*cast(Any, text)]
    if len(texts) != len(questions):
        raise ValueError(
            f"`text` holds {len(texts)} texts, but `question` holds {len(questions)} questions. "
            "Give a text for each, or one string for all of them."
        )
    pairs = zip(texts, questions, strict=True)
    return [Example(text, question) for text, question in pairs], True
