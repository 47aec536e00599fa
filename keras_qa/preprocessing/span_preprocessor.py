"""Answers as spans of the text: where an answer starts and ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Unpack

import numpy as np

from keras_qa import decoding, metrics
from keras_qa._arguments import accept_old_names, entry
from keras_qa.decoding import SpanDecoder
from keras_qa.example import Answer, Example
from keras_qa.preprocessing.ask_calibration import AskCalibration, gold_mentions
from keras_qa.preprocessing.ask_options import (
    AskOptions,
    Model,
    Ranked,
    SpanDetails,
    Verbose,
    check_option_names,
    progress,
)
from keras_qa.preprocessing.span_answers import (
    best_limit,
    best_texts,
    find_threshold,
    rank_answers,
)
from keras_qa.preprocessing.window_logits import (
    answer_places,
    join_windows,
    make_feed,
    read_windows,
)
from keras_qa.text import Windower, Windows
from keras_qa.text.passage_windows import passage_windows

_WINDOWER_OPTIONS = ("max_length", "stride", "max_question_length")
_DECODER_OPTIONS = ("max_answer_words", "no_answer", "whole_words")

# Number of folds in the cross-validation of the temperature.
FOLDS = 5

# Maximum number of windows in memory at a time.
WINDOWS = 256


class SpanPreprocessor:
    """Answers with spans of the text, or with no answer.

    For models with the outputs `start` and `end`, such as `models.span_reader`. Long texts are read
    in windows.

    Args:
        vectorizer: Cuts examples into windows, which are the model's inputs.
        decoder: Turns logits into answers. `None` for the defaults.
        asking: The result of `QuestionAnswerer.calibrate` for an index of documents, or `None`.

    Attributes:
        name: Its name in a `.keras` file.
        description: What the model does, for messages.
        options: The options of `QuestionAnswerer` that only such models take.
        decoder: The `decoding.SpanDecoder`. Training replaces it.

    Examples:
        >>> from keras_qa import Example
        >>> from keras_qa.preprocessing import SpanPreprocessor
        >>> from keras_qa.text import Windower, WordTokenizer
        >>> preprocessor = SpanPreprocessor(Windower(WordTokenizer.train(["Ann left."])))
        >>> preprocessor.decoder.max_answer_words
        15
    """

    name: ClassVar[str] = "spans"
    description: ClassVar[str] = "marks spans of the text"
    options: ClassVar[tuple[str, ...]] = (
        "vectors",
        "max_length",
        "stride",
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

    def configure_decoding(self, examples: list[Example], options: Mapping[str, Any]) -> None:
        """Sets the decoder for training on examples.

        Args:
            examples: The examples to train on. If one has no answer, texts may have none.
            options: The options `max_answer_words` and `no_answer_threshold` of
                `QuestionAnswerer`.
        """
        # A model that was trained on texts without answers before still recognizes them.
        no_answer = self.decoder.no_answer or any(not item.answers for item in examples)
        self._limit_is_given = options["max_answer_words"] is not None
        most = options["max_answer_words"] or self.decoder.max_answer_words
        self.decoder = SpanDecoder(most, no_answer, options["no_answer_threshold"])
        # It was fitted to the outputs before this training.
        self.asking = None

    @accept_old_names
    def with_options(self, **options: Unpack[AskOptions]) -> SpanPreprocessor:
        """Returns a preprocessor with other options.

        Args:
            **options: See `AskOptions`.

        Returns:
            A `SpanPreprocessor`.

        Raises:
            TypeError: If an option is unknown.
            ValueError: If an option is out of its range.
        """
        check_option_names(self.with_options, options)
        given: dict[str, Any] = {
            name: value for name, value in options.items() if value is not None
        }
        if not given:
            return self
        windower = self.vectorizer
        windower_options = {name: given[name] for name in _WINDOWER_OPTIONS if name in given}
        decoder_options = {name: given[name] for name in _DECODER_OPTIONS if name in given}
        if windower_options:
            settings = {name: getattr(windower, name) for name in _WINDOWER_OPTIONS}
            windower = Windower(windower.tokenizer, **{**settings, **windower_options})
        return SpanPreprocessor(
            windower, dataclasses.replace(self.decoder, **decoder_options), self.asking
        )

    def make_training_data(self, model: Model, examples: list[Example]) -> tuple[Any, Any]:
        """Returns inputs and labels for `fit`."""
        if not examples:
            raise ValueError("`examples` is empty. Give at least one to train on.")
        windows = self.vectorizer(examples, labels=True)
        assert windows.spans is not None
        labels = {"start": windows.spans[..., 0], "end": windows.spans[..., 1]}
        return make_feed(model, windows), labels

    def calibrate(
        self, model: Model, validation: list[Example], batch_size: int
    ) -> dict[str, float]:
        """Fits `max_answer_words`, the temperature and the threshold on validation data.

        `max_answer_words` stays if the user has set it. The temperature is 1.0 unless another one
        increases the likelihood of right answers in a five-fold cross-validation.

        Returns:
            The `temperature`, and the expected calibration error with and without it:
            `calibration_error` and `calibration_error_before`. An empty dict if no window contains
            a right answer.
        """
        windows = self.vectorizer(validation, labels=True)
        spans = windows.spans
        if spans is None or not (spans[..., 0] > 0).any():
            return {}
        logits = read_windows(model, windows, batch_size)
        if not self._limit_is_given:
            most = best_limit(self.decoder, logits, windows, validation)
            self.decoder = dataclasses.replace(self.decoder, max_answer_words=most)
        decoder = dataclasses.replace(self.decoder, temperature=1.0)
        fixed = decoder.max_answer_words, decoder.no_answer
        places, sizes = answer_places(windows, self.decoder)
        found = *logits, places, windows.example
        temperature = decoding.fit_temperature(*found, spans, *fixed, sizes, FOLDS)
        errors = []
        for heat in (1.0, temperature):
            decoder = dataclasses.replace(decoder, temperature=heat)
            best = decoder(*found, 1, sizes)
            if decoder.no_answer and self.decoder.no_answer_threshold is None:
                threshold = find_threshold(best, validation)
                decoder = dataclasses.replace(decoder, no_answer_threshold=threshold)
            answers = rank_answers(best, validation, decoder, 1)
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

    def answer(
        self, model: Model, examples: list[Example], count: int, batch_size: int, verbose: Verbose
    ) -> Ranked:
        """Returns the best answers to each example, best first."""
        ranked: Ranked = []
        windows = self.vectorizer.batches(examples, WINDOWS)
        decoder = self.decoder, count
        with progress(len(examples), verbose) as show:
            for part, (spans,) in self._spans(model, examples, windows, batch_size, decoder):
                ranked += rank_answers(spans, part, self.decoder, count)
                show(len(ranked))
        return ranked

    def answer_from_passages(
        self,
        model: Model,
        examples: list[Example],
        priors: Sequence[Sequence[float]],
        count: int,
        batch_size: int,
    ) -> Ranked:
        """Returns the best answers to each example from several passages.

        Each passage is read separately. The scores are normalized over all passages of an example.

        Args:
            model: The reader.
            examples: Examples whose text is a list of at least one passage.
            priors: For each example, the log prior of an answer in each of its passages.
            count: Number of answers to each example, in addition to "no answer".
            batch_size: Number of windows in a step.

        Returns:
            The answers to each example, best first, with offsets in its `plain_text`.
        """
        windows = passage_windows(self.vectorizer, examples, priors, WINDOWS)
        decoder = self.decoder, count
        found = self._spans(model, examples, windows, batch_size, decoder)
        return [
            row
            for part, (spans,) in found
            for row in rank_answers(spans, part, self.decoder, count + 1)
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
        """Fits the temperature and the retrieval weight, and answers with them.

        The temperature is 1.0 unless another one increases the likelihood of right answers in a
        five-fold cross-validation. All logits are in memory at once.

        Args:
            model: The reader.
            examples: As in `answer_from_passages`, with answers. Every mention of an answer in a
                passage counts as right.
            priors: As in `decoding.fit_retrieval`, for each passage.
            count: Number of answers to each example.
            batch_size: Number of windows in a step.
            verbose: Whether to show a progress bar.

        Returns:
            The temperature, the weight or `None`, and the answers as `answer_from_passages` returns
            them.

        Raises:
            ValueError: If no passage has a right answer.
        """
        parts: list[tuple[np.ndarray, ...]] = []
        log_priors: list[np.ndarray] = []
        with progress(len(examples), verbose) as show:
            for some in passage_windows(self.vectorizer, examples, priors, WINDOWS):
                parts.append(self._read(model, some, batch_size))
                assert some.prior is not None
                log_priors.append(some.prior)
                show(int(some.example[-1]))
        start, end, words, example, sizes = join_windows(parts)
        prior = np.concatenate(log_priors)
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
        return temperature, weight, rank_answers(best, examples, decoder, count + 1)

    def answer_in_detail(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> tuple[list[Answer], SpanDetails | None]:
        """Returns the best answer to each example, and the details of a report."""
        decoder = self.decoder
        answers, details = [], SpanDetails([], [], decoder.threshold)
        if not decoder.no_answer:
            details = dataclasses.replace(details, threshold=1.0)
        windows = self.vectorizer.batches(examples, WINDOWS)
        found = self._spans(model, examples, windows, batch_size, (decoder, 1))
        with progress(len(examples), verbose) as show:
            for part, (spans,) in found:
                answers += [row[0] for row in rank_answers(spans, part, decoder, 1)]
                details.spans.extend(best_texts(spans, part))
                details.no_answer.extend(spans.no_answer.tolist())
                show(len(answers))
        return answers, details

    def evaluate(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> dict[str, float]:
        """Returns SQuAD's official scores: version 2.0 if an example has no answer, else 1.1."""
        if not examples:
            raise ValueError("`examples` is empty. Give at least one to evaluate on.")
        found = [row[0].text for row in self.answer(model, examples, 1, batch_size, verbose)]
        if all(item.answers for item in examples):
            return {**metrics.squad(found, examples), "examples": len(examples)}
        scores = metrics.squad(found, examples, "2.0")
        scores = {"exact_match": scores.pop("exact"), **scores}
        return {**scores, "examples": int(scores.pop("total"))}

    def get_config(self) -> dict[str, Any]:
        """Returns the config that `from_config` takes."""
        config = {"vectorizer": self.vectorizer.get_config(), "decoder": self.decoder.get_config()}
        return config if self.asking is None else {**config, "asking": self.asking.get_config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SpanPreprocessor:
        """Creates a preprocessor from its config."""
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
        """Yields examples whose windows have all been read, with their spans by each decoder."""
        pending: list[tuple[np.ndarray, ...]] = []
        done = 0
        for some in windows:
            read = self._read(model, some, batch_size)
            if some.prior is not None:
                # Position 0, no answer, has no prior: it refers to all windows together.
                read[0][:, 1:] += some.prior[:, None]
            pending.append(read)
            # The next batch may have more windows of the last text.
            last = int(some.example[-1])
            if last > done:
                whole = join_windows(pending)
                ready = whole[3] < last
                found = [part[ready] for part in whole]
                yield examples[done:last], _decode(found, decoders)
                pending, done = [tuple(part[~ready] for part in whole)], last
        if done < len(examples):
            yield examples[done:], _decode(join_windows(pending), decoders)

    def _read(self, model: Model, windows: Windows, batch_size: int) -> tuple[np.ndarray, ...]:
        """Returns the arguments of a decoder: logits, places, examples and sizes of places."""
        logits = read_windows(model, windows, batch_size)
        places, sizes = answer_places(windows, self.decoder)
        return (*logits, places, windows.example, sizes)


def _decode(
    parts: list[np.ndarray], decoders: Sequence[tuple[SpanDecoder, int]]
) -> list[decoding.Spans]:
    start, end, words, example, sizes = parts
    return [decode(start, end, words, example, count, sizes) for decode, count in decoders]
