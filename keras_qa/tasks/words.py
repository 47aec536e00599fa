"""Answers out of a vocabulary: a probability for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Unpack

import numpy as np

from keras_qa import decoding, metrics
from keras_qa._arguments import entry
from keras_qa.example import Answer, Example, Support, answered_examples
from keras_qa.tasks.task import (
    Ask,
    AskOptions,
    Model,
    Outputs,
    Ranked,
    SpanDetails,
    Verbose,
    check_option_names,
)
from keras_qa.text import Vectorizer, sentence_spans


class WordTask:
    """Answers with words of a vocabulary, which `fit` has seen.

    For models with the inputs `text` and `question` and one output of probabilities, or the
    outputs `answer` and `support`.

    Args:
        vectorizer: What turns examples into the model's inputs, and answers
            into labels.

    Examples:
        >>> import numpy as np
        >>> from keras_qa import Example
        >>> from keras_qa.tasks import WordTask
        >>> from keras_qa.text import Vectorizer
        >>> examples = [Example("Ann left. Bob slept.", "Who left?", "Ann")]
        >>> task = WordTask(Vectorizer().adapt(examples))
        >>> [[answer]] = task.decoded(np.array([[0.5, 0.5]]), examples, count=1)
        >>> answer.text, answer.score, answer.start
        ('Ann', 1.0, 0)
    """

    name: ClassVar[str] = "words"
    does: ClassVar[str] = "answers with words of a vocabulary"
    options: ClassVar[tuple[str, ...]] = ("answer_vocabulary_size",)

    def __init__(self, vectorizer: Vectorizer) -> None:
        self.vectorizer = vectorizer

    def expect(self, examples: list[Example], options: Mapping[str, Any]) -> None:
        """Does nothing: the answers are those of the vocabulary."""

    def asked_with(self, **options: Unpack[AskOptions]) -> WordTask:
        """The same way of answering: it has no such options.

        Raises:
            TypeError: If there is no such option.
            ValueError: If one is given.
        """
        check_option_names(self.asked_with, options)
        for name, value in options.items():
            if value is not None:
                raise ValueError(
                    f"`{name}` is for readers of spans, but the model {self.does}. Leave it out."
                )
        return self

    def training(self, model: Model, examples: list[Example]) -> tuple[Any, Any]:
        """The feed and the labels of examples to train on."""
        labels = self.vectorizer.labels(examples)
        if not isinstance(model.output, Mapping):
            return self.vectorizer(examples), labels
        support = self.vectorizer.support(examples)
        return self.vectorizer(examples), {"answer": labels, "support": support}

    def calibrate(
        self, model: Model, validation: list[Example], batch_size: int
    ) -> dict[str, float]:
        """Nothing is fitted on validation data."""
        return {}

    def answers(
        self, model: Model, examples: list[Example], count: int, batch_size: int, verbose: Verbose
    ) -> Ranked:
        """The best answers of each example, best first, with the sentences they rest on."""
        if self.vectorizer.sentences:
            try:
                evidence = model.evidence()
            except NotImplementedError:
                pass
            else:
                found = evidence.predict(self.vectorizer(examples), batch_size, verbose)
                return self.decoded(found["answer"], examples, count, found["support"])
        return self._unexplained(model, examples, count, batch_size, verbose)

    def details(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> tuple[list[Answer], SpanDetails | None]:
        """The best answer of each example. There is nothing more to say."""
        return [row[0] for row in self.answers(model, examples, 1, batch_size, verbose)], None

    def evaluate(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> dict[str, float]:
        """Scores of examples, each of which has an answer."""
        data = answered_examples(examples)
        found = self._unexplained(model, data, 1, batch_size, verbose)
        pairs = [(row[0].text, item.answers) for row, item in zip(found, data, strict=True)]
        scores = {
            name: 100.0 * sum(score(text, golds) for text, golds in pairs) / len(pairs)
            for name, score in (("exact_match", metrics.exact_match), ("f1", metrics.f1))
        }
        return {**scores, "examples": len(data)}

    def read(self, model: Model, example: Example) -> Ask:
        """Keeps what the model computes from a text alone; gives what answers questions on it."""
        try:
            parts = model.split("text")
        except NotImplementedError:
            # Nothing can be kept: a question then costs as much as in `answer`.
            return lambda examples, count: self.answers(model, examples, count, 32, 0)
        kept = parts.encode(self.vectorizer([example])["text"])

        def ask(examples: list[Example], count: int) -> Ranked:
            ids = self.vectorizer.ids([item.question for item in examples])
            return self.decoded(_answer_of(parts.finish(kept, [ids])), examples, count)

        return ask

    def decoded(
        self,
        probabilities: np.ndarray,
        examples: list[Example],
        count: int,
        weights: np.ndarray | None = None,
    ) -> Ranked:
        """Turns outputs into answers.

        Args:
            probabilities: `(examples, classes)`. Class 0 stands for answers
                that nobody named.
            examples: The examples.
            count: Number of answers for each.
            weights: `(examples, sentences)`: how much of an answer rests on
                each sentence, where it is known.

        Returns:
            The best answers of each example, best first.
        """
        words = self.vectorizer.answers
        # What is left without class 0 adds up to one again. A model given by the user may have
        # more classes than there are answers.
        known = np.array(probabilities[:, 1 : len(words)], "float64")
        known /= np.maximum(known.sum(axis=1, keepdims=True), np.finfo("float64").tiny)
        best = decoding.top_k(known, count)
        support = [()] * len(examples) if weights is None else map(_support, examples, weights)
        return [
            [_located(words[place + 1], float(known[row, place]), item, facts) for place in places]
            for row, (places, item, facts) in enumerate(zip(best, examples, support, strict=True))
        ]

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes, as a `.keras` file keeps it."""
        return {"vectorizer": self.vectorizer.get_config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> WordTask:
        """Makes the task again that gave this config."""
        vectorizer = entry(config, "vectorizer", dict)
        if vectorizer.get("tokenizer") is not None:
            entry(vectorizer, "tokenizer", str)
        return cls(Vectorizer.from_config(vectorizer))

    def _unexplained(
        self, model: Model, examples: list[Example], count: int, batch_size: int, verbose: Verbose
    ) -> Ranked:
        feed = self.vectorizer(examples)
        outputs = model.predict(feed, batch_size=batch_size, verbose=verbose)
        return self.decoded(_answer_of(outputs), examples, count)


def _answer_of(outputs: Outputs) -> np.ndarray:
    return outputs["answer"] if isinstance(outputs, Mapping) else outputs


def _located(answer: str, score: float, item: Example, support: tuple[Support, ...]) -> Answer:
    start, end = decoding.find_mention(item.plain_text, answer) or (None, None)
    return Answer(answer, score, start, end, support)


def _support(item: Example, weights: np.ndarray) -> tuple[Support, ...]:
    text = item.plain_text
    sentences = [
        Support(text[start:end], float(weight), start, end, position)
        for position, ((start, end), weight) in enumerate(
            zip(sentence_spans(item.text), weights, strict=False)
        )
    ]
    return tuple(sorted(sentences, key=lambda sentence: -sentence.weight))
