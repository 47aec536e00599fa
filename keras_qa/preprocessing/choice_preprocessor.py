"""Answers among given choices: a score for each of them."""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_qa import metrics
from keras_qa._arguments import check_flag, check_number, entry
from keras_qa._numbers import MASKED
from keras_qa.example import Answer, Example
from keras_qa.preprocessing.calibration import FOLDS, expected_calibration_error, fit_temperature
from keras_qa.preprocessing.decoder import SpanDecoder
from keras_qa.preprocessing.pair_preprocessor import PairPreprocessor, stack_rows
from keras_qa.preprocessing.preprocessor import (
    Model,
    Options,
    Preprocessor,
    RankedAnswers,
    Verbose,
    plain_texts,
)
from keras_qa.preprocessing.span_preprocessor import WINDOWS, change_windows
from keras_qa.preprocessing.window_words import WindowOutputs
from keras_qa.text import SubwordTokenizer, Windower, WordTokenizer
from keras_qa.text.windows import describe


class ChoicePreprocessor(Preprocessor):
    """Answers with one of the choices of an example, by a softmax over them.

    Of a long text the highest probability of a choice in a window counts, normalized. With
    `question_first` the question with a choice is the first text of a pair, as rankers read it, and
    the highest logit counts.
    """

    name = "choices"
    description = "chooses among given answers"
    kind = 'multiple-choice models (model="multiple_choice")'
    options = ("vectors", "max_length", "stride")
    answer_options = ("choices", "max_length", "stride")
    exported_as = "multiple_choice"
    vectorizer: Windower

    def __init__(
        self, vectorizer: Windower, temperature: float = 1.0, question_first: bool = False
    ) -> None:
        check_number("temperature", temperature, positive=True)
        check_flag("question_first", question_first)
        self.vectorizer = vectorizer
        self.temperature = float(temperature)
        self.question_first = question_first

    @classmethod
    def train(
        cls, examples: list[Example], sizes: tuple[int | None, int | None], words: list[str]
    ) -> ChoicePreprocessor:
        choices = [choice for item in examples for choice in item.choices]
        texts = plain_texts(examples) + choices + words
        return cls(Windower(WordTokenizer.train(texts, sizes[0])))

    def configure(self, examples: list[Example], options: Options) -> None:
        # It was fitted to the outputs before this training.
        self.temperature = 1.0

    def apply_options(self, model: Model, options: Mapping[str, Any]) -> ChoicePreprocessor:
        windower = change_windows(model, self.vectorizer, options)
        return ChoicePreprocessor(windower, self.temperature, self.question_first)

    def make_training_data(self, model: Model, examples: list[Example]) -> tuple[Any, Any]:
        # Of a long text a row has the window with most words of the question and the choices, or
        # with `question_first` of the question and its own choice.
        labels = gold_choices(examples)
        words = [
            [_words(f"{item.question} {choice}") for choice in item.choices] for item in examples
        ]
        if not self.question_first:
            words = [[set().union(*row)] * len(row) for row in words]
        best = [[(-1, "")] * len(row) for row in words]
        for number, start, end in self._windows(examples):
            part = examples[number].plain_text[start:end]
            own = _words(part)
            best[number] = [
                max(window, (len(row & own), part), key=operator.itemgetter(0))
                for window, row in zip(best[number], words[number], strict=True)
            ]
        rows = [
            ([part for _, part in windows], item.question, item.choices)
            for windows, item in zip(best, examples, strict=True)
        ]
        return self._make_feed(model, rows), labels

    def answer(
        self, model: Model, examples: list[Example], count: int, batch_size: int, verbose: Verbose
    ) -> RankedAnswers:
        ranked: RankedAnswers = []
        read = self._read(model, examples, batch_size, verbose)
        for item, rows in zip(examples, read, strict=True):
            scores = _softmax(rows / self.temperature)
            best = np.argsort(-scores, kind="stable")[:count]
            ranked.append([Answer(item.choices[n], float(scores[n])) for n in best])
        return ranked

    def evaluate(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> dict[str, float]:
        """Returns the scores of examples whose right answers are choices."""
        gold_choices(examples)
        answers = self.answer(model, examples, 1, batch_size, verbose)
        scores = [
            (answer.text in item.answers, metrics.f1(answer.text, item.answers))
            for [answer], item in zip(answers, examples, strict=True)
        ]
        exact_match, f1 = (100.0 * np.mean(scores, axis=0)).tolist()
        return {"exact_match": exact_match, "f1": f1, "examples": len(examples)}

    def calibrate(
        self, model: Model, examples: list[Example], batch_size: int, options: Options | None = None
    ) -> dict[str, float]:
        gold = gold_choices(examples)
        read = self._read(model, examples, batch_size, 0)
        # Each choice is a text of one word, after the position for no answer.
        start = np.array([*itertools.zip_longest(*read, fillvalue=MASKED)]).T
        start = np.insert(start, 0, MASKED, axis=1)
        offsets = np.arange(start.shape[1])[:, None] + [0, 1]
        words = np.where(start[..., None] > MASKED, offsets, -1)
        spans = np.repeat(gold[:, None, None] + 1, 2, axis=2)
        end, sizes = np.zeros_like(start), np.ones_like(start)
        outputs = WindowOutputs(start, end, words, np.arange(len(start)), sizes)
        self.temperature = fit_temperature(outputs, spans, SpanDecoder(1), FOLDS)
        best = zip(examples, start.argmax(axis=1) - 1, strict=True)
        right = [item.choices[number] in item.answers for item, number in best]
        before, after = (
            expected_calibration_error([_softmax(row / temperature).max() for row in read], right)
            for temperature in (1.0, self.temperature)
        )
        errors = {"calibration_error_before": before, "calibration_error": after}
        return {"temperature": self.temperature, **errors}

    def get_config(self) -> dict[str, Any]:
        own = {"temperature": self.temperature, "question_first": self.question_first}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ChoicePreprocessor:
        windower = Windower.from_config(entry(config, "vectorizer", dict))
        return cls(windower, config.get("temperature", 1.0), config.get("question_first", False))

    def _read(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> list[np.ndarray]:
        """Returns the logits of the choices of each example."""
        check_choices(examples)
        # Equal choices have equal logits, and the order of the choices does not matter.
        choices = [sorted({*item.choices}) for item in examples]
        windows = self._windows(examples)
        # Without other choices in its row, a choice needs no padding.
        rows = [
            ([examples[number].plain_text[start:end]], examples[number].question, [choice])
            for number, start, end in windows
            for choice in choices[number]
        ]
        feed = self._make_feed(model, rows)
        logits = model.predict(feed, batch_size=batch_size, verbose=verbose)[:, 0].astype("float64")
        if not np.isfinite(logits).all():
            raise ValueError("The logits hold NaN or infinity. Check the model's weights.")
        edges = np.cumsum([len(choices[number]) for number, *_ in windows])
        # The highest logarithm of the probabilities, or logit, that a window gives to each choice.
        best = [np.full(len(texts), -np.inf) for texts in choices]
        for (number, *_), part in zip(windows, np.split(logits, edges[:-1]), strict=True):
            total = 0.0 if self.question_first else np.logaddexp.reduce(part)
            best[number] = np.maximum(best[number], part - total)
        return [
            rows[[*map(texts.index, item.choices)]]
            for item, texts, rows in zip(examples, choices, best, strict=True)
        ]

    def _windows(self, examples: list[Example]) -> list[tuple[int, int, int]]:
        """Returns the example of each window, and where it starts and ends in the text."""
        # The windows leave room for the longest choice, so that they are the same for all.
        texts = [
            Example(item.text, _join(item.question, max(sorted(item.choices), key=len)), id=item.id)
            for item in examples
        ]
        result: list[tuple[int, int, int]] = []
        for windows in self.vectorizer.batches(texts, WINDOWS):
            starts, ends = windows.offsets[..., 0], windows.offsets[..., 1].max(axis=1)
            starts = np.where(starts < 0, np.iinfo("int32").max, starts).min(axis=1)
            result += zip(windows.example.tolist(), starts.tolist(), ends.tolist(), strict=True)
        return result

    def _make_feed(
        self, model: Model, rows: Sequence[tuple[Sequence[str], str, Sequence[str]]]
    ) -> dict[str, np.ndarray]:
        """Returns the inputs of a model for questions with their choices and the text of each."""
        tokenizer = self.vectorizer.tokenizer
        counts = np.array([len(choices) for *_, choices in rows])
        if isinstance(tokenizer, SubwordTokenizer):
            texts = [text for texts, *_ in rows for text in texts]
            pairs = [_join(question, choice) for _, question, choices in rows for choice in choices]
            both = (pairs, texts) if self.question_first else (texts, pairs)
            feed = PairPreprocessor(self.vectorizer).make_feed(model, *both)
            return {name: stack_rows(array, counts) for name, array in feed.items()}
        windows = self.vectorizer([Example(texts[0], question) for texts, question, _ in rows])
        firsts = np.searchsorted(windows.example, np.arange(len(rows)))
        feed = {name: array[firsts] for name, array in windows.feed.items()}
        # A choice without words is not padding.
        words = tokenizer.encode_batch([choice for *_, choices in rows for choice in choices])
        ids = [row or [1] for row in words]
        padded = np.array([*itertools.zip_longest(*ids, fillvalue=0)], "int32").T
        return {**feed, "choices": stack_rows(padded, counts)}


def check_choices(examples: Sequence[Example]) -> None:
    """Raises if an example has no choices."""
    for number, item in enumerate(examples):
        if not item.choices:
            raise ValueError(
                f"{describe(number, item, 'The')} has no choices. Pass `choices`, or set those of "
                "the example."
            )


def gold_choices(examples: Sequence[Example]) -> npt.NDArray[np.int32]:
    """Returns the position of the right choice of each example. Raises if there is none."""
    if not examples:
        raise ValueError("`examples` is empty. Give at least one.")
    check_choices(examples)
    labels = []
    for number, item in enumerate(examples):
        right = [index for index, choice in enumerate(item.choices) if choice in item.answers]
        if not right:
            raise ValueError(
                f"{describe(number, item, 'The')} must have a right answer among its choices. "
                f"Received: answers={item.answers!r:.60}, choices={item.choices!r:.90}."
            )
        labels.append(right[0])
    return np.array(labels, "int32")


def _join(question: str, choice: str) -> str:
    """The second text of a pair, as an encoder reads it."""
    return f"{question} {choice}".strip()


def _softmax(logits: np.ndarray) -> npt.NDArray[np.float64]:
    scores: npt.NDArray[np.float64] = np.exp(logits - np.logaddexp.reduce(logits))
    return scores


def _words(text: str) -> set[str]:
    return {*re.findall(r"\w+", text.casefold())}
