"""A text that was read, and can be asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keras_qa.example import Example
from keras_qa.tasks import Ask, Ranked


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

    def ask(self, question: str | Sequence[str], top_k: int | None = None) -> Any:
        """Answers one question about the text, or many at once.

        Args:
            question: The question, or a list of questions.
            top_k: Number of answers a question, best first. `None` for the
                best one alone.

        Returns:
            As `QuestionAnswerer.answer` gives.

        Raises:
            TypeError: If a question is no string.
            ValueError: If `top_k` is not positive.
        """
        check_top_k(top_k)
        many = not isinstance(question, str)
        if many and (not isinstance(question, Iterable) or isinstance(question, (Mapping, bytes))):
            raise TypeError(
                f"`question` must be a string or a list of strings. Received: {question!r}."
            )
        asked: Any = question if many else [question]
        examples = [Example(self._example.text, item) for item in asked]
        return shaped(self._answers(examples, top_k or 1), top_k, many) if examples else []


def shaped(ranked: Ranked, top_k: int | None, many: bool) -> Any:
    """One answer a question without `top_k`, and no list around what one question got."""
    results = ranked if top_k is not None else [answers[0] for answers in ranked]
    return results if many else results[0]


def check_top_k(top_k: int | None) -> None:
    """Raises where `top_k` is no number of answers."""
    if top_k is not None and (not isinstance(top_k, int) or top_k < 1):
        raise ValueError(f"`top_k` must be a positive integer. Received: top_k={top_k!r}.")
