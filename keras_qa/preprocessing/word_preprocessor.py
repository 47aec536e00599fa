"""Answers from a vocabulary: a probability for each of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_qa import metrics
from keras_qa._arguments import entry
from keras_qa.example import Answer, Example, Support, answered_examples
from keras_qa.preprocessing.preprocessor import (
    Ask,
    Model,
    Outputs,
    Preprocessor,
    RankedAnswers,
    Verbose,
)
from keras_qa.text import Vectorizer
from keras_qa.text.sentence_splitting import sentence_spans


class WordPreprocessor(Preprocessor):
    """Answers with words of a vocabulary.

    For models with the inputs `text` and `question` and one output of probabilities, or the
    outputs `answer` and `support`.

    Args:
        vectorizer: Turns examples into the model's inputs, and answers into labels.

    Examples:
        >>> import numpy as np
        >>> from keras_qa import Example
        >>> from keras_qa.preprocessing import WordPreprocessor
        >>> from keras_qa.text import Vectorizer
        >>> examples = [Example("Ann left. Bob slept.", "Who left?", "Ann")]
        >>> preprocessor = WordPreprocessor(Vectorizer().adapt(examples))
        >>> [[answer]] = preprocessor.decode(np.array([[0.5, 0.5]]), examples, count=1)
        >>> answer.text, answer.score, answer.start
        ('Ann', 1.0, 0)
    """

    name = "words"
    description = "answers with words of a vocabulary"
    kind = "models that answer with words of a vocabulary"
    options = ("answer_vocabulary_size",)
    exported_as = "answer_classification"
    vectorizer: Vectorizer

    def __init__(self, vectorizer: Vectorizer) -> None:
        self.vectorizer = vectorizer

    @classmethod
    def train(
        cls, examples: list[Example], sizes: tuple[int | None, int | None], words: list[str]
    ) -> WordPreprocessor:
        return cls(Vectorizer(*sizes).adapt(examples))

    def sizes(self) -> dict[str, int]:
        return {**super().sizes(), "answer_vocabulary_size": len(self.vectorizer.answers)}

    def attach(self, model: Model) -> None:
        shapes = {tensor.name: tensor.shape for tensor in model.inputs}
        self.vectorizer.sentences = len(shapes["text"]) == 3

    @classmethod
    def to_training_examples(cls, examples: list[Example], lenient: bool) -> list[Example]:
        spans = [item.answers[0] for item in examples if item.answer_start]
        # Answers that rarely repeat cannot be learned as words of a vocabulary.
        if len({*spans}) > len(examples) / 2:
            raise ValueError(
                "These answers are spans of their texts, by `answer_start`, but this model "
                f'{cls.description}. Train a reader of spans on them: model="span_reader" '
                "(--model span_reader)."
            )
        return examples

    def make_training_data(self, model: Model, examples: list[Example]) -> tuple[Any, Any]:
        labels = self.vectorizer.labels(examples)
        if not isinstance(model.output, Mapping):
            return self.vectorizer(examples), labels
        support = self.vectorizer.support(examples)
        return self.vectorizer(examples), {"answer": labels, "support": support}

    def answer(
        self, model: Model, examples: list[Example], count: int, batch_size: int, verbose: Verbose
    ) -> RankedAnswers:
        if self.vectorizer.sentences:
            model = model.with_evidence()
        return self._answer(model, examples, count, batch_size, verbose)

    def _answer(
        self, model: Model, examples: list[Example], count: int, batch_size: int, verbose: Verbose
    ) -> RankedAnswers:
        feed = self.vectorizer(examples)
        outputs = model.predict(feed, batch_size=batch_size, verbose=verbose)
        return self.decode(outputs, examples, count)

    def read(self, model: Model, example: Example) -> Ask:
        parts = model.split("text")
        if parts is None:
            return super().read(model, example)
        encoded = parts.encode(self.vectorizer([example])["text"])

        def ask(examples: list[Example], count: int) -> RankedAnswers:
            ids = self.vectorizer.ids([item.question for item in examples])
            return self.decode(parts.finish(encoded, [ids]), examples, count)

        return ask

    def evaluate(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> dict[str, float]:
        data = answered_examples(examples)
        ranked = self._answer(model, data, 1, batch_size, verbose)
        pairs = [(row[0].text, item.answers) for row, item in zip(ranked, data, strict=True)]
        scores = {
            name: 100.0 * sum(score(text, golds) for text, golds in pairs) / len(pairs)
            for name, score in (("exact_match", metrics.exact_match), ("f1", metrics.f1))
        }
        return {**scores, "examples": len(data)}

    def decode(self, outputs: Outputs, examples: list[Example], count: int) -> RankedAnswers:
        """Turns outputs into answers.

        Args:
            outputs: Probabilities, `(examples, classes)`, where class 0 stands for all unknown
                answers; or a dict of them as `answer`, and `support`, `(examples, sentences)`: how
                much each sentence supports the answer.
            examples: The examples.
            count: Number of answers to each.

        Returns:
            The best answers to each example, best first.
        """
        named = outputs if isinstance(outputs, Mapping) else {"answer": outputs}
        words = self.vectorizer.answers
        # Without class 0 the rest is normalized again. A user's model may have more classes than
        # there are answers.
        scores = np.array(named["answer"][:, 1 : len(words)], "float64")
        scores /= np.maximum(scores.sum(axis=1, keepdims=True), np.finfo("float64").tiny)
        # Equal probabilities are in the order of the vocabulary.
        order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        support: list[tuple[Support, ...]] = [()] * len(examples)
        if "support" in named:
            support = [*map(_support, examples, named["support"])]
        return [
            [_locate(words[best + 1], float(row[best]), item, facts) for best in ranked]
            for row, ranked, item, facts in zip(scores, order, examples, support, strict=True)
        ]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> WordPreprocessor:
        vectorizer = entry(config, "vectorizer", dict)
        if vectorizer.get("tokenizer") is not None:
            entry(vectorizer, "tokenizer", str)
        return cls(Vectorizer.from_config(vectorizer))


def _locate(answer: str, score: float, item: Example, support: tuple[Support, ...]) -> Answer:
    """Returns an answer with its last mention in the text, as whole words, ignoring case."""
    start, end = None, None
    if answer.strip():
        # In a story, later sentences override earlier ones.
        pattern = rf"(?<!\w){re.escape(answer)}(?!\w)"
        for mention in re.finditer(pattern, item.plain_text, re.IGNORECASE):
            start, end = mention.span()
    return Answer(answer, score, start, end, support)


def _support(item: Example, weights: np.ndarray) -> tuple[Support, ...]:
    text, spans = item.plain_text, zip(sentence_spans(item.text), weights, strict=False)
    sentences = [
        Support(text[start:end], float(weight), start, end, position)
        for position, ((start, end), weight) in enumerate(spans)
    ]
    return tuple(sorted(sentences, key=lambda sentence: -sentence.weight))
