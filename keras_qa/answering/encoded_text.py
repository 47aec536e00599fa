"""One text with many questions, and the forms of questions and answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from keras_qa._arguments import to_optional_integer
from keras_qa.example import Answer, Example, select_answers, to_questions
from keras_qa.preprocessing.ask_calibration import AskOptions
from keras_qa.preprocessing.preprocessor import Ask, Verbose

# A string, or a list of sentences.
Text = str | Sequence[str]

# A text for each question, or one text for all of them.
Texts = str | Sequence[Text]

# Not any sequence: a string is one too.
Questions = list[str] | tuple[str, ...] | Iterator[str]

# One answer, or the best ones; a list of either for several questions.
AnswerResult = Answer | list[Answer] | list[list[Answer]]

# The answers to choose from, for all questions or for each.
Choices = Sequence[str] | Sequence[Sequence[str]]


class AnswerOptions(AskOptions, total=False):
    """Options of `QuestionAnswerer.answer`, which documents them."""

    batch_size: int
    verbose: Verbose


class ChoiceOptions(AnswerOptions, total=False):
    """`AnswerOptions`, and the answers to choose from."""

    choices: Choices | None


class EncodedText:
    """A text that is encoded once for many questions. Created by `QuestionAnswerer.read`.

    Examples:
        >>> import keras_qa
        >>> stories = keras_qa.datasets.babi.simulate(task=1, examples=50, seed=0)
        >>> qa = keras_qa.QuestionAnswerer(seed=0).fit(stories, epochs=1, verbose=0)
        >>> encoded = qa.read("Mary moved to the garden.")
        >>> question = "Where is Mary?"
        >>> encoded.ask(question) == qa.answer("Mary moved to the garden.", question)
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

    def ask(self, question: str | Questions, top_k: int | None = None) -> AnswerResult:
        """Answers one or more questions about the text, as `QuestionAnswerer.answer` does."""
        top_k = to_optional_integer("top_k", top_k)
        several = not isinstance(question, str)
        examples = [Example(self._example.text, item) for item in to_questions(question)]
        if not examples:
            return []
        return select_answers(self._answers(examples, top_k or 1), top_k, several)
