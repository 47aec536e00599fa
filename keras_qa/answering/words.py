"""Answers out of a vocabulary: what `QuestionAnswerer` does with a `Vectorizer`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_qa import decoding, metrics
from keras_qa.answering.passage import Ranked
from keras_qa.example import Answer, Example, Support, answered_examples
from keras_qa.execution import graph
from keras_qa.inputs import to_arrays
from keras_qa.inputs.labels import answer_of
from keras_qa.inputs.padding import pad, trim
from keras_qa.models import QAModel
from keras_qa.models.evidence import Evidence
from keras_qa.text import Vectorizer, sentence_spans


class WordAnswers:
    """Trains and asks a model that gives a probability to each of its answers.

    Args:
        model: A `QAModel` whose `vectorizer` is a `Vectorizer`.
    """

    def __init__(self, model: QAModel) -> None:
        self.model = model
        self.vectorizer: Vectorizer = model.vectorizer

    def training(self, examples: list[Example]) -> tuple[Any, Any]:
        """The feed and the labels of examples to train on."""
        labels = self.vectorizer.labels(examples)
        if not isinstance(self.model.output, Mapping):
            return self.vectorizer(examples), labels
        support = self.vectorizer.support(examples)
        return self.vectorizer(examples), {"answer": labels, "support": support}

    def calibrated(self, validation: list[Example], batch_size: int) -> dict[str, float]:
        """Nothing is fitted on validation data."""
        return {}

    def answers(
        self,
        examples: list[Example],
        count: int,
        batch_size: int,
        verbose: Any,
        explain: bool = True,
    ) -> Ranked:
        """The best answers of each example, best first."""
        feed = self.vectorizer(examples)
        evidence = self._evidence() if explain else None
        if evidence is not None:
            found = evidence.predict(feed, batch_size, verbose)
            return self.decoded(found["answer"], examples, count, found["support"])
        outputs = self.model.predict(feed, batch_size=batch_size, verbose=verbose)
        return self.decoded(answer_of(outputs), examples, count)

    def evaluate(self, examples: list[Example], batch_size: int, verbose: Any) -> dict[str, float]:
        """Scores of examples, each of which has an answer."""
        data = answered_examples(examples)
        found = self.answers(data, 1, batch_size, verbose, explain=False)
        pairs = [(row[0].text, item.answers) for row, item in zip(found, data, strict=True)]
        scores = {
            name: 100.0 * sum(score(text, golds) for text, golds in pairs) / len(pairs)
            for name, score in (("exact_match", metrics.exact_match), ("f1", metrics.f1))
        }
        return {**scores, "examples": len(data)}

    def read(self, example: Example) -> Callable[[list[Example], int], Ranked]:
        """Keeps what the model computes from a text alone; gives what answers questions on it."""
        try:
            parts = self.model.split("text")
        except NotImplementedError:
            # Nothing can be kept: a question then costs as much as in `answer`.
            return lambda examples, count: self.answers(examples, count, 32, 0)
        feed = to_arrays(self.vectorizer([example]), self.model)
        kept = parts.encode(trim(feed["text"]))

        def ask(examples: list[Example], count: int) -> Ranked:
            ids = self.vectorizer.ids([item.question for item in examples])
            rows = pad(trim(ids))
            vectors = [np.repeat(vector, len(rows), axis=0) for vector in kept]
            outputs = answer_of(parts.finish(vectors, [rows]))
            return self.decoded(outputs[: len(examples)], examples, count)

        return ask

    def decoded(
        self,
        probabilities: np.ndarray,
        examples: list[Example],
        count: int,
        weights: np.ndarray | None = None,
    ) -> Ranked:
        """Answers for rows of probabilities, and for weights of sentences where they are known."""
        words = self.vectorizer.answers
        # Label 0 stands for answers nobody named. What is left adds up to one again. A model
        # given by the user may have more classes than there are answers.
        known = np.array(probabilities[:, 1 : len(words)], "float64")
        known /= np.maximum(known.sum(axis=1, keepdims=True), np.finfo("float64").tiny)
        best = decoding.top_k(known, count)
        support = [()] * len(examples) if weights is None else map(_support, examples, weights)
        return [
            [_located(words[place + 1], float(known[row, place]), item, facts) for place in places]
            for row, (places, item, facts) in enumerate(zip(best, examples, support, strict=True))
        ]

    def _evidence(self) -> Evidence | None:
        if not self.vectorizer.sentences:
            return None
        try:
            return self.model.evidence()
        except NotImplementedError:
            return None


def build(
    name: str,
    factory: Callable[..., QAModel],
    options: dict[str, Any],
    examples: list[Example],
    vocabulary_size: int | None,
    answer_vocabulary_size: int | None,
) -> QAModel:
    """Builds a model for the words and answers of some examples."""
    vectorizer = Vectorizer(vocabulary_size, answer_vocabulary_size).adapt(examples)
    words = vectorizer.tokenizer.vocabulary_size
    sizes = {"text_vocabulary_size": words, "answer_vocabulary_size": len(vectorizer.answers)}
    if name == "answer_classifier":
        # The others look up the words of both in one table.
        sizes["question_vocabulary_size"] = words
    model = factory(**sizes, **options)
    vectorizer.sentences = _reads_sentences(model)
    model.vectorizer = vectorizer
    return model


def adopt(
    model: keras.Model,
    examples: list[Example],
    vocabulary_size: int | None,
    answer_vocabulary_size: int | None,
) -> QAModel:
    """Makes a user's model one that strings can be fed to."""
    names = [tensor.name for tensor in model.inputs]
    several = len(model.outputs) != 1
    if several and isinstance(model.output, Mapping):
        several = sorted(model.output) != ["answer", "support"]
    if sorted(names) != ["question", "text"] or several:
        raise ValueError(
            "`model` must have the inputs `text` and `question` and one output, or a dict of "
            "the outputs `answer` and `support`, or of `start` and `end`. Received: "
            f"inputs {', '.join(f'`{name}`' for name in names)} and "
            f"{len(model.outputs)} outputs."
        )
    if not isinstance(model, QAModel):
        plain = model
        outputs = plain.output if isinstance(plain.output, Mapping) else plain.outputs[0]
        model = QAModel(inputs=plain.inputs, outputs=outputs, name=plain.name)
        if plain.compiled:
            model.compile_from_config(plain.get_compile_config())
        else:
            model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    if model.vectorizer is None:
        known = graph.smallest_vocabulary(model, vocabulary_size)
        classes = answer_of(model.output).shape[-1]
        answers = min(answer_vocabulary_size or classes, classes)
        model.vectorizer = Vectorizer(known, answers, sentences=_reads_sentences(model)).adapt(
            examples
        )
    return model


def _reads_sentences(model: keras.Model) -> bool:
    return any(tensor.name == "text" and len(tensor.shape) == 3 for tensor in model.inputs)


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
