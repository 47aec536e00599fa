"""Answers as spans of the text: where in it an answer starts and ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Unpack

import numpy as np

from keras_qa import decoding, metrics
from keras_qa._arguments import entry
from keras_qa.decoding import SpanDecoder
from keras_qa.example import Answer, Example
from keras_qa.tasks import reading
from keras_qa.tasks.asking import AskCalibration, gold_mentions
from keras_qa.tasks.task import (
    Ask,
    AskOptions,
    Model,
    Ranked,
    SpanDetails,
    Verbose,
    check_option_names,
)
from keras_qa.terminal import Bar
from keras_qa.text import Windower, Windows
from keras_qa.text.passage_windows import passage_windows

_OF_WINDOWS = ("length", "overlap", "max_question_length")
_OF_DECODER = ("max_answer_words", "no_answer", "whole_words")

# Words of an answer at most, of which the best is found on validation data.
LIMITS = (5, 8, 10, 15, 20, 30, 50)

# A temperature is 1.0 unless it helps in a cross-validation of so many folds.
FOLDS = 5

# So many windows are read at a time, whatever a text's length.
WINDOWS = 256


class SpanTask:
    """Marks spans of the text, or says that there is no answer in it.

    For models with the outputs `start` and `end`, such as `models.span_reader`. Texts of any length
    are read in windows.

    Args:
        vectorizer: What cuts examples into windows, the model's inputs.
        decoder: How logits become answers. `None` for the defaults.
        asking: See below.

    Attributes:
        decoder: The `decoding.SpanDecoder`. Training sets it.
        asking: What `QuestionAnswerer.calibrate` fitted for an index of documents: an
            `AskCalibration`, or `None`.

    Examples:
        >>> from keras_qa import Example
        >>> from keras_qa.tasks import SpanTask
        >>> from keras_qa.text import Windower, WordTokenizer
        >>> task = SpanTask(Windower(WordTokenizer.train(["Ann left."])))
        >>> task.decoder.max_answer_words
        15
    """

    name: ClassVar[str] = "spans"
    does: ClassVar[str] = "marks spans of the text"
    options: ClassVar[tuple[str, ...]] = (
        "vectors",
        "length",
        "overlap",
        "max_answer_words",
        "no_answer_threshold",
    )

    def __init__(
        self,
        vectorizer: Windower,
        decoder: SpanDecoder | None = None,
        asking: AskCalibration | None = None,
    ) -> None:
        self.vectorizer = vectorizer
        self.decoder = decoder or SpanDecoder()
        self.asking = asking
        self._limit_is_given = False

    def expect(self, examples: list[Example], options: Mapping[str, Any]) -> None:
        """Sets how answers are found, after examples like those to come."""
        # What the model has learned before it still knows.
        no_answer = self.decoder.no_answer or any(not item.answers for item in examples)
        self._limit_is_given = options["max_answer_words"] is not None
        most = options["max_answer_words"] or self.decoder.max_answer_words
        self.decoder = SpanDecoder(most, no_answer, options["no_answer_threshold"])
        # It was fitted to what the model said before.
        self.asking = None

    def asked_with(self, **options: Unpack[AskOptions]) -> SpanTask:
        """The same way of answering, but for what some options ask.

        Args:
            **options: See `AskOptions`.

        Returns:
            A `SpanTask`.

        Raises:
            TypeError: If there is no such option.
            ValueError: If an option is out of its range.
        """
        check_option_names(self.asked_with, options)
        given: dict[str, Any] = {
            name: value for name, value in options.items() if value is not None
        }
        if not given:
            return self
        windower = self.vectorizer
        of_windows = {name: given[name] for name in _OF_WINDOWS if name in given}
        of_decoder = {name: given[name] for name in _OF_DECODER if name in given}
        if of_windows:
            settings = {name: getattr(windower, name) for name in _OF_WINDOWS}
            windower = Windower(windower.tokenizer, **{**settings, **of_windows})
        return SpanTask(windower, dataclasses.replace(self.decoder, **of_decoder), self.asking)

    def training(self, model: Model, examples: list[Example]) -> tuple[Any, Any]:
        """The feed and the labels of examples to train on."""
        if not examples:
            raise ValueError("`examples` is empty. Give at least one to train on.")
        windows = self.vectorizer(examples, labels=True)
        assert windows.spans is not None
        labels = {"start": windows.spans[..., 0], "end": windows.spans[..., 1]}
        return reading.feed(model, windows), labels

    def calibrate(
        self, model: Model, validation: list[Example], batch_size: int
    ) -> dict[str, float]:
        """Fits how long answers may be on validation data, then temperature and threshold.

        The limit of words stays as it is where `expect` was told it. The temperature is 1.0 unless
        another one makes right answers likelier in a cross-validation of five folds.

        Returns:
            The `temperature`, and how far scores are from how often answers are right with and
            without it: `calibration_error` and `calibration_error_before`. Nothing where no
            answer of the data can be found.
        """
        windows = self.vectorizer(validation, labels=True)
        spans = windows.spans
        if spans is None or not (spans[..., 0] > 0).any():
            return {}
        logits = reading.read(model, windows, batch_size)
        if not self._limit_is_given:
            most = _best_limit(self.decoder, logits, windows, validation)
            self.decoder = dataclasses.replace(self.decoder, max_answer_words=most)
        decoder = dataclasses.replace(self.decoder, temperature=1.0)
        fixed = decoder.max_answer_words, decoder.no_answer
        places, sizes = reading.places(windows, self.decoder)
        found = *logits, places, windows.example
        temperature = decoding.fit_temperature(*found, spans, *fixed, sizes, FOLDS)
        errors = []
        for heat in (1.0, temperature):
            decoder = dataclasses.replace(decoder, temperature=heat)
            best = decoder(*found, 1, sizes)
            if decoder.no_answer and self.decoder.no_answer_threshold is None:
                threshold = _threshold(best, validation)
                decoder = dataclasses.replace(decoder, no_answer_threshold=threshold)
            answers = _ranked(best, validation, decoder, 1)
            right = [
                metrics.exact_match(row[0].text, item.answers or ("",))
                for row, item in zip(answers, validation, strict=True)
            ]
            scores = np.clip([row[0].score for row in answers], 0.0, 1.0)
            errors.append(decoding.expected_calibration_error(scores, np.array(right)))
        self.decoder = decoder
        return {
            "temperature": temperature,
            "calibration_error_before": errors[0],
            "calibration_error": errors[1],
        }

    def answers(
        self, model: Model, examples: list[Example], count: int, batch_size: int, verbose: Verbose
    ) -> Ranked:
        """The best answers of each example, best first."""
        ranked: Ranked = []
        bar = Bar(len(examples)) if verbose else None
        windows = self.vectorizer.batches(examples, WINDOWS)
        decoder = self.decoder, count
        for part, (spans,) in self._spans(model, examples, windows, batch_size, decoder):
            ranked += _ranked(spans, part, self.decoder, count)
            if bar is not None:
                bar.show(len(ranked))
        if bar is not None:
            bar.end(len(ranked))
        return ranked

    def answers_from(
        self,
        model: Model,
        examples: list[Example],
        priors: Sequence[Sequence[float]],
        count: int,
        batch_size: int,
    ) -> Ranked:
        """The best answers of each example from several passages, its sentences.

        Each passage is read by itself. The scores are of all of them together.

        Args:
            model: The reader.
            examples: Examples whose text is a list of passages, one at least.
            priors: For each example, how much likelier an answer stands in each of its passages, as
                a logarithm.
            count: Number of answers an example, beside that there is none.
            batch_size: Number of windows a step.

        Returns:
            The answers of each example, best first, with offsets in its `plain_text`.
        """
        windows = passage_windows(self.vectorizer, examples, priors, WINDOWS)
        decoder = self.decoder, count
        found = self._spans(model, examples, windows, batch_size, decoder)
        return [
            row for part, (spans,) in found for row in _ranked(spans, part, self.decoder, count + 1)
        ]

    def fit_retrieval(
        self,
        model: Model,
        examples: list[Example],
        priors: Sequence[Sequence[float]],
        count: int,
        batch_size: int,
        verbose: Verbose = 0,
    ) -> tuple[float, float | None, Ranked]:
        """Fits what is asked of several passages, and answers with what was fitted.

        The temperature is 1.0 unless another one makes right answers likelier in a
        cross-validation of five folds. All logits are held at once.

        Args:
            model: The reader.
            examples: As in `answers_from`, with their answers, which are right wherever a passage
                says them.
            priors: As in `decoding.fit_retrieval`, for each passage.
            count: Number of answers an example.
            batch_size: Number of windows a step.
            verbose: Whether to show a progress bar.

        Returns:
            The temperature; the weight, or `None`; and the answers, as `answers_from` gives them.

        Raises:
            ValueError: If no passage has a right answer.
        """
        parts: list[tuple[np.ndarray, ...]] = []
        given: list[np.ndarray] = []
        bar = Bar(len(examples)) if verbose else None
        for some in passage_windows(self.vectorizer, examples, priors, WINDOWS):
            parts.append(self._read(model, some, batch_size))
            assert some.prior is not None
            given.append(some.prior)
            if bar is not None:
                bar.show(int(some.example[-1]))
        if bar is not None:
            bar.end(len(examples))
        start, end, words, example, sizes = reading.joined(parts)
        prior = np.concatenate(given)
        temperature, weight = decoding.fit_retrieval(
            start,
            end,
            words,
            example,
            gold_mentions(words, example, examples),
            prior,
            self.decoder.max_answer_words,
            self.decoder.no_answer,
            sizes,
            FOLDS,
        )
        decoder = dataclasses.replace(self.decoder, temperature=temperature)
        start[:, 1:] += np.float32(weight or 0.0) * prior[:, None]
        best = decoder(start, end, words, example, count, sizes)
        return temperature, weight, _ranked(best, examples, decoder, count + 1)

    def details(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> tuple[list[Answer], SpanDetails | None]:
        """The best answer of each example, and what the reader says beside it."""
        decoder = self.decoder
        cold = dataclasses.replace(decoder, temperature=1.0)
        answers, details = [], SpanDetails([], [], [], decoder.threshold)
        if not decoder.no_answer:
            details = dataclasses.replace(details, threshold=1.0)
        bar = Bar(len(examples)) if verbose else None
        windows = self.vectorizer.batches(examples, WINDOWS)
        for part, (spans, before) in self._spans(
            model, examples, windows, batch_size, (decoder, 1), (cold, 1)
        ):
            answers += [row[0] for row in _ranked(spans, part, decoder, 1)]
            details.before.extend(row[0] for row in _ranked(before, part, cold, 1))
            details.spans.extend(_best_texts(spans, part))
            details.no_answer.extend(spans.no_answer.tolist())
            if bar is not None:
                bar.show(len(answers))
        if bar is not None:
            bar.end(len(answers))
        return answers, details

    def evaluate(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> dict[str, float]:
        """The official scores: of version 1.1, or 2.0 where some have no answer."""
        if not examples:
            raise ValueError("`examples` is empty. Give at least one to evaluate on.")
        found = [row[0].text for row in self.answers(model, examples, 1, batch_size, verbose)]
        if all(item.answers for item in examples):
            return {**metrics.squad_in_order(found, examples), "examples": len(examples)}
        scores = metrics.squad_in_order(found, examples, "2.0")
        scores = {"exact_match": scores.pop("exact"), **scores}
        return {**scores, "examples": int(scores.pop("total"))}

    def read(self, model: Model, example: Example) -> Ask:
        """What answers questions on a text, which is read with each question."""
        return lambda examples, count: self.answers(model, examples, count, 32, 0)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` takes, as a `.keras` file keeps it."""
        config = {"vectorizer": self.vectorizer.get_config(), "decoder": self.decoder.get_config()}
        return config if self.asking is None else {**config, "asking": self.asking.get_config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SpanTask:
        """Makes the task again that gave this config."""
        decoder, asking = {}, None
        if "decoder" in config:
            decoder = entry(config, "decoder", dict)
        if config.get("asking") is not None:
            asking = AskCalibration.from_config(entry(config, "asking", dict))
        windower = Windower.from_config(entry(config, "vectorizer", dict))
        return cls(windower, SpanDecoder.from_config(decoder), asking)

    def _spans(
        self,
        model: Model,
        examples: list[Example],
        windows: Iterator[Windows],
        batch_size: int,
        *decoders: tuple[SpanDecoder, int],
    ) -> Iterator[tuple[list[Example], list[decoding.Spans]]]:
        """Spans of some examples at a time, once all windows of their texts are read.

        Each decoder finds as many spans a text as are asked of it.
        """
        waiting: list[tuple[np.ndarray, ...]] = []
        done = 0
        for some in windows:
            read = self._read(model, some, batch_size)
            if some.prior is not None:
                # There being no answer has none: it is said of all windows together.
                read[0][:, 1:] += some.prior[:, None]
            waiting.append(read)
            # More windows of the last text may come.
            last = int(some.example[-1])
            if last > done:
                whole = reading.joined(waiting)
                ready = whole[3] < last
                found = [part[ready] for part in whole]
                yield examples[done:last], _decoded(found, decoders)
                waiting, done = [tuple(part[~ready] for part in whole)], last
        if done < len(examples):
            yield examples[done:], _decoded(reading.joined(waiting), decoders)

    def _read(self, model: Model, windows: Windows, batch_size: int) -> tuple[np.ndarray, ...]:
        """What decoding takes of windows: logits, places, examples, and what a place counts as."""
        logits = reading.read(model, windows, batch_size)
        places, sizes = reading.places(windows, self.decoder)
        return (*logits, places, windows.example, sizes)


def _decoded(
    parts: list[np.ndarray], decoders: Sequence[tuple[SpanDecoder, int]]
) -> list[decoding.Spans]:
    start, end, words, example, sizes = parts
    return [decode(start, end, words, example, count, sizes) for decode, count in decoders]


def _ranked(
    spans: decoding.Spans, examples: list[Example], decoder: SpanDecoder, count: int
) -> Ranked:
    ranked = []
    for row, item in enumerate(examples):
        text, nothing = item.plain_text, float(spans.no_answer[row])
        answers = [
            Answer(text[start:end], float(score), int(start), int(end))
            for start, end, score in zip(
                spans.start[row], spans.end[row], spans.score[row], strict=True
            )
            if start >= 0
        ]
        if decoder.no_answer or not answers:
            none = Answer("", nothing)
            first = nothing > decoder.threshold or not answers
            place = 0 if first else max(1, sum(answer.score >= nothing for answer in answers))
            answers.insert(place, none)
        ranked.append(answers[:count])
    return ranked


def _best_texts(spans: decoding.Spans, examples: list[Example]) -> list[str]:
    """The text of the best span of each example, empty where there is none."""
    return [
        item.plain_text[start:end] if start >= 0 else ""
        for item, start, end in zip(examples, spans.start[:, 0], spans.end[:, 0], strict=True)
    ]


def _best_limit(
    decoder: SpanDecoder,
    logits: tuple[np.ndarray, np.ndarray],
    windows: Windows,
    examples: list[Example],
) -> int:
    """How many words an answer may have, for the most answers that are right."""
    places, sizes = reading.places(windows, decoder)

    def right(most: int) -> float:
        free = dataclasses.replace(decoder, max_answer_words=most, no_answer=False)
        best = free(*logits, places, windows.example, 1, sizes)
        texts = zip(_best_texts(best, examples), examples, strict=True)
        return sum(
            metrics.exact_match(text, item.answers) for text, item in texts if text and item.answers
        )

    # Where it makes no difference, it stays.
    return max(LIMITS, key=lambda most: (right(most), most == decoder.max_answer_words))


def _threshold(best: decoding.Spans, examples: list[Example]) -> float:
    """The threshold with the highest F1, as the official script of SQuAD v2.0 finds it."""
    answers = _best_texts(best, examples)
    scores = metrics.squad_in_order(answers, examples, "2.0", best.no_answer.tolist())
    return min(scores["best_f1_thresh"], 1.0)
