"""One text with many questions, and the forms of questions and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast, overload

from keras_qa._arguments import to_optional_integer
from keras_qa.example import Answer, Example, to_examples, to_questions
from keras_qa.models import QAModel
from keras_qa.models.copies import split_model, with_evidence
from keras_qa.preprocessing import AskOptions, Preprocessor, Ranked, WordPreprocessor
from keras_qa.preprocessing.ask_options import Verbose

# A string, or a list of sentences.
Text = str | Sequence[str]

# A text for each question, or one text for all of them.
Texts = str | Sequence[Text]

# Not any sequence: a string is one too.
Questions = list[str] | tuple[str, ...] | Iterator[str]

# Texts with their questions.
Examples = Iterable[Example | Mapping[str, Any]]

# One answer, or the best ones; a list of either for several questions.
AnswerResult = Answer | list[Answer] | list[list[Answer]]

# Takes examples with one text, and the number of answers to each.
Ask = Callable[[list[Example], int], Ranked]


class AnswerOptions(AskOptions, total=False):
    """Options of `QuestionAnswerer.answer`.

    Attributes:
        batch_size: Number of questions in a step.
        verbose: 0 is silent, 1 shows a progress bar, `"auto"` shows it for many questions.
    """

    batch_size: int
    verbose: Verbose


class Passage:
    """A text that is encoded once for many questions. Created by `QuestionAnswerer.read`.

    Args:
        example: The text.
        answers: Takes examples with this text and the number of answers to each, and returns the
            answers, best first.

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

    def ask(self, question: str | Questions, top_k: int | None = None) -> AnswerResult:
        """Answers one or more questions about the text.

        Args:
            question: A question, or an iterable of questions.
            top_k: Number of answers to each question, best first. `None` for the best one only.

        Returns:
            As `QuestionAnswerer.answer`.

        Raises:
            TypeError: If a question is not a string.
            ValueError: If `top_k` is not a positive integer.
        """
        top_k = to_optional_integer("top_k", top_k)
        several = not isinstance(question, str)
        examples = [Example(self._example.text, item) for item in to_questions(question)]
        if not examples:
            return []
        return select_answers(self._answers(examples, top_k or 1), top_k, several)


def read_text(model: QAModel, preprocessor: Preprocessor, example: Example) -> Ask:
    """Encodes a text, if the model can be split, and returns a function that answers questions."""
    if isinstance(preprocessor, WordPreprocessor):
        try:
            parts = split_model(model, "text")
        except NotImplementedError:
            pass
        else:
            vectorizer, decode = preprocessor.vectorizer, preprocessor.decode
            encoded = parts.encode(vectorizer([example])["text"])

            def ask(examples: list[Example], count: int) -> Ranked:
                ids = vectorizer.ids([item.question for item in examples])
                return decode(parts.finish(encoded, [ids]), examples, count)

            return ask
    return lambda examples, count: preprocessor.answer(with_evidence(model), examples, count, 32, 0)


def select_answers(ranked: Ranked, top_k: int | None, several: bool) -> AnswerResult:
    """Returns the best answer only without `top_k`, and no outer list for a single question."""
    results = ranked if top_k is not None else [answers[0] for answers in ranked]
    return results if several else results[0]


def make_examples(
    text: Text | Texts | Example | Mapping[str, Any] | Examples,
    question: str | Questions | None,
) -> tuple[list[Example], bool]:
    """Returns the arguments of `answer` as examples, and whether they are several."""
    if question is None:
        if isinstance(text, (Example, Mapping)):
            return to_examples([text]), False
        if isinstance(text, (str, bytes)) or not isinstance(text, Iterable):
            raise TypeError(
                "`question` is missing. Without it, `text` must be an `Example`, a mapping, or a "
                f"list of them. Received: text={text!r:.80}."
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
            f"`text` has {len(texts)} texts, but `question` has {len(questions)} questions. "
            "Pass one text for each question, or one string for all of them."
        )
    pairs = zip(texts, questions, strict=True)
    return [Example(text, question) for text, question in pairs], True
