"""Examples to model inputs, and answers to labels."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import check_flag, must_be, to_optional_integer
from keras_qa.example import Example
from keras_qa.text.sentence_splitting import sentence_spans
from keras_qa.text.tokenizer import WordTokenizer


class Vectorizer:
    """Converts examples to model inputs, and answers to labels.

    Texts and questions share one vocabulary, built by `adapt`. Label 0 stands for answers outside
    the answer vocabulary and is never predicted.

    Args:
        vocabulary_size: Maximum number of word ids, including padding and the unknown word; the
            most frequent words are kept. `None` keeps all.
        answer_vocabulary_size: Maximum number of labels, including label 0; the most frequent
            answers are kept. `None` keeps all.
        lowercase: Whether to ignore case.
        tokenizer: JSON of a `WordTokenizer`, or `None`.
        answers: The answers in the order of their labels, or `None`.
        sentences: Whether to split texts into sentences, which gives them one more axis. A sentence
            ends at a line break or at `.`, `?` or `!`.

    Examples:
        >>> from keras_qa import Example
        >>> from keras_qa.text import Vectorizer
        >>> examples = [Example("Mary went home.", "Where is Mary?", "home")]
        >>> vectorizer = Vectorizer().adapt(examples)
        >>> feed = vectorizer(examples)
        >>> feed["question"].shape, vectorizer.labels(examples).tolist()
        ((1, 4), [1])
    """

    def __init__(
        self,
        vocabulary_size: int | None = None,
        answer_vocabulary_size: int | None = None,
        lowercase: bool = True,
        tokenizer: str | None = None,
        answers: Sequence[str] | None = None,
        sentences: bool = False,
    ) -> None:
        check_flag("lowercase", lowercase)
        check_flag("sentences", sentences)
        _check_answers(answers, is_adapted=tokenizer is not None)
        self.vocabulary_size = to_optional_integer("vocabulary_size", vocabulary_size, least=3)
        # Label 0 and one answer.
        self.answer_vocabulary_size = to_optional_integer(
            "answer_vocabulary_size", answer_vocabulary_size, least=2
        )
        self.lowercase = lowercase
        self.sentences = sentences
        self.tokenizer = WordTokenizer(tokenizer) if tokenizer is not None else None
        self.answers = list(answers or ())

    def adapt(self, examples: Sequence[Example]) -> Vectorizer:
        """Builds the vocabulary of words and of first answers from examples, and returns itself.

        Raises:
            ValueError: If there are no examples, or one has no answer.
        """
        if not examples:
            raise ValueError("`examples` is empty. Give at least one to build a vocabulary from.")
        texts = (text for item in examples for text in (item.plain_text, item.question))
        self.tokenizer = WordTokenizer.train(texts, self.vocabulary_size, self.lowercase)
        counts = collections.Counter(_first_answer(examples))
        ranked = sorted(counts, key=lambda answer: (-counts[answer], answer))
        limit = self.answer_vocabulary_size
        self.answers = ["", *ranked[: limit - 1 if limit is not None else None]]
        return self

    def __call__(self, examples: Sequence[Example]) -> dict[str, npt.NDArray[np.int32]]:
        """Converts examples to model inputs.

        Args:
            examples: `Example` objects. Their answers are ignored.

        Returns:
            `{"text": (batch, words), "question": (batch, words)}`, int32, padded with zeros on the
            right to at least one word. With `sentences` the text is `(batch, sentences, words)`.

        Raises:
            ValueError: If `adapt` was not called.
        """
        if self.sentences:
            text = self.story_ids([item.text for item in examples])
        else:
            text = self.ids([item.plain_text for item in examples])
        return {"text": text, "question": self.ids([item.question for item in examples])}

    def story_ids(self, texts: Sequence[str | Sequence[str]]) -> npt.NDArray[np.int32]:
        """Converts strings or lists of sentences to `(batch, sentences, words)` int32 ids."""
        self._adapted()
        stories = [_sentences(text) for text in texts]
        # Stories repeat sentences: tokenize each distinct sentence once.
        row_of = {sentence: 0 for story in stories for sentence in story}
        row_of = {sentence: row for row, sentence in enumerate(row_of, 1)}
        sentence_ids = self.ids(["", *row_of])
        counts = np.fromiter(map(len, stories), "int64", len(stories))
        rows = np.zeros((len(stories), max(counts.max(initial=0), 1)), "int64")
        rows[np.arange(rows.shape[1]) < counts[:, None]] = np.fromiter(
            (row_of[sentence] for story in stories for sentence in story), "int64", counts.sum()
        )
        return sentence_ids[rows]

    def ids(self, texts: Sequence[str]) -> npt.NDArray[np.int32]:
        """Converts strings to `(batch, words)` int32 ids, padded to at least one word."""
        rows = self._adapted().encode_batch(texts)
        lengths = np.fromiter(map(len, rows), "int64", len(rows))
        ids = np.zeros((len(rows), max(lengths.max(initial=0), 1)), "int32")
        present = np.arange(ids.shape[1]) < lengths[:, None]
        ids[present] = np.fromiter((word for row in rows for word in row), "int32", lengths.sum())
        return ids

    def labels(self, examples: Sequence[Example]) -> npt.NDArray[np.int32]:
        """Converts the first answer of each example to its label, `(batch,)` int32, 0 if unknown.

        Raises a `ValueError` if `adapt` was not called, or an example has no answer.
        """
        self._adapted()
        labels = {answer: label for label, answer in enumerate(self.answers)}
        return np.array([labels.get(answer, 0) for answer in _first_answer(examples)], "int32")

    def support(self, examples: Sequence[Example]) -> npt.NDArray[np.float32]:
        """Returns `(batch, sentences)` float32: 1 for supporting facts of the examples, else 0.

        Raises a `ValueError` if no example has supporting facts, or a fact is no sentence of the
        text.
        """
        counts = [len(sentence_spans(item.text)) for item in examples]
        labels = np.zeros((len(examples), max(counts, default=0) or 1), "float32")
        if not any(item.supporting_facts for item in examples):
            raise ValueError(
                "At least one example must have `supporting_facts`. Set them, or build the model "
                "with `supporting_facts=False`."
            )
        for row, (item, count) in enumerate(zip(examples, counts, strict=True)):
            for fact in item.supporting_facts:
                if not 0 <= fact < count:
                    raise ValueError(
                        f"The example at position {row} has the supporting fact {fact}, but its "
                        f"text has {count} sentences. Positions count from 0."
                    )
                labels[row, fact] = 1.0
        return labels

    def get_config(self) -> dict[str, Any]:
        """The constructor arguments."""
        return {
            "vocabulary_size": self.vocabulary_size,
            "answer_vocabulary_size": self.answer_vocabulary_size,
            "lowercase": self.lowercase,
            "tokenizer": self.tokenizer.to_json() if self.tokenizer is not None else None,
            "answers": self.answers,
            "sentences": self.sentences,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Vectorizer:
        """Creates a `Vectorizer` from the output of `get_config`."""
        return cls(**config)

    def _adapted(self) -> WordTokenizer:
        if self.tokenizer is None:
            raise ValueError("The vectorizer has no vocabulary. Call `adapt(examples)` first.")
        return self.tokenizer


def _check_answers(answers: object, is_adapted: bool) -> None:
    is_list = isinstance(answers, (list, tuple)) and all(isinstance(item, str) for item in answers)
    if not is_list and answers is not None:
        raise ValueError(must_be("answers", "a list of strings", answers))
    if is_adapted and not answers:
        raise ValueError(
            "`answers` must be given with a `tokenizer`: the answers in the order of their "
            f"labels, '' first. Received: answers={answers!r}."
        )


def _sentences(text: str | Sequence[str]) -> list[str]:
    if isinstance(text, str):
        return [text[start:end] for start, end in sentence_spans(text)]
    return list(text)


def _first_answer(examples: Sequence[Example]) -> list[str]:
    for position, item in enumerate(examples):
        if not item.answers:
            name = f" (id {item.id})" if item.id is not None else ""
            raise ValueError(
                f"The example at position {position}{name} has no answer. "
                "Training and evaluation need one for each example: set `answers`."
            )
    return [item.answers[0] for item in examples]
