"""Answers as spans of the text: where an answer starts and ends."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from keras_qa import metrics
from keras_qa._arguments import entry
from keras_qa._numbers import MASKED
from keras_qa._terminal import Bar
from keras_qa.example import Answer, Example
from keras_qa.preprocessing.ask_calibration import AskCalibration, AskOptions
from keras_qa.preprocessing.decoder import SpanDecoder, Spans
from keras_qa.preprocessing.preprocessor import (
    Model,
    Preprocessor,
    RankedAnswers,
    SpanDetails,
    Verbose,
    plain_texts,
)
from keras_qa.preprocessing.span_answers import (
    best_texts,
    find_type,
    rank_answers,
    select_spans,
    weigh_no_answer,
)
from keras_qa.preprocessing.span_calibration import fit_decoder, fit_passages
from keras_qa.text import Windower, WordTokenizer
from keras_qa.text.windows import Windows, passage_windows

_WINDOWER_OPTIONS = ("max_length", "stride", "max_question_length")
_DECODER_OPTIONS = ("max_answer_words", "no_answer", "whole_words")

# The options of `QuestionAnswerer` that are fitted if they are not given.
FITTED = ("max_answer_words", "no_answer_threshold")

# Maximum number of windows in memory at a time.
WINDOWS = 256


class SpanPreprocessor(Preprocessor):
    """Answers with spans of the text, or with no answer.

    For models with the outputs `start` and `end`, such as `models.span_reader`. Long texts are read
    in windows.

    Args:
        vectorizer: Cuts examples into windows, which are the model's inputs.
        decoder: Turns logits into answers. `None` for the defaults.
        asking: The result of `QuestionAnswerer.calibrate` for an index of documents, or `None`.

    Attributes:
        max_spans: Number of spans of which `answer_all` selects some.
        decoder: The `preprocessing.SpanDecoder`. Training replaces it.

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
    kind: ClassVar[str] = 'span readers (model="span_reader")'
    answer_options: ClassVar[tuple[str, ...]] = ("all_spans", *AskOptions.__annotations__)
    compares_passages: ClassVar[bool] = True
    exported_as: ClassVar[str] = "question_answering"
    max_spans: ClassVar[int] = 100
    vectorizer: Windower

    def __init__(
        self,
        vectorizer: Windower,
        decoder: SpanDecoder | None = None,
        asking: AskCalibration | None = None,
    ) -> None:
        self.vectorizer = vectorizer
        self.decoder = decoder or SpanDecoder()
        self.asking = asking

    @classmethod
    def fits(cls, model: Model) -> bool:
        names = sorted(model.output) if isinstance(model.output, Mapping) else []
        return super().fits(model) or names == ["end", "start"]

    @classmethod
    def train(
        cls, examples: list[Example], sizes: tuple[int | None, int | None], words: list[str]
    ) -> Self:
        return cls(Windower(WordTokenizer.train(plain_texts(examples) + words, sizes[0])))

    def attach(self, model: Model) -> None:
        types = getattr(model, "answer_types", ())
        self.decoder = dataclasses.replace(self.decoder, answer_types=types)

    def configure(self, examples: list[Example], options: Mapping[str, Any]) -> None:
        """Sets the decoder for training on examples.

        If one has no answer, texts may have none; otherwise the threshold and the weights of no
        answer stay as they are.
        """
        # A model that was trained on texts without answers before still recognizes them.
        has_unanswerable = any(not item.answers for item in examples)
        known = SpanDecoder() if has_unanswerable else self.decoder
        threshold = options["no_answer_threshold"]
        self.decoder = SpanDecoder(
            options["max_answer_words"] or self.decoder.max_answer_words,
            self.decoder.no_answer or has_unanswerable,
            known.no_answer_threshold if threshold is None else threshold,
            answer_types=self.decoder.answer_types,
            no_answer_weights=known.no_answer_weights,
        )
        # It was fitted to the outputs before this training.
        self.asking = None

    def apply_options(self, model: Model, given: Mapping[str, Any]) -> Self:
        windower = change_windows(model, self.vectorizer, given)
        decoder_options = {name: given[name] for name in _DECODER_OPTIONS if name in given}
        decoder = dataclasses.replace(self.decoder, **decoder_options)
        return type(self)(windower, decoder, self.asking)

    def make_training_data(self, model: Model, examples: list[Example]) -> tuple[Any, Any]:
        self._check_types(model)
        windows, spans = self.make_labels(examples)
        feed = make_feed(model, windows)
        is_set = np.array([item.all_spans for item in examples])[windows.example]
        if is_set.any():
            rows, spans = split_labels(spans, is_set)
            feed = {name: array[rows] for name, array in feed.items()}
        return feed, {"start": spans[..., 0], "end": spans[..., 1]}

    def make_labels(self, examples: list[Example]) -> tuple[Windows, np.ndarray]:
        """Returns windows, and the positions of right answers in the outputs of a model.

        The positions are those of `Windows.spans`, after the positions of the decoder's
        `answer_types`. Each window of an example whose answer is such a type has its position.
        """
        if not examples:
            raise ValueError("`examples` is empty. Give at least one to train on.")
        types = self.decoder.answer_types
        right = np.array([find_type(item, types) for item in examples], "int32")
        windows = self.vectorizer(
            [
                dataclasses.replace(item, answers=()) if type else item
                for item, type in zip(examples, right, strict=True)
            ],
            labels=True,
        )
        assert windows.spans is not None
        spans = np.where(windows.spans > 0, windows.spans + np.int32(len(types)), windows.spans)
        typed = right[windows.example]
        spans[typed > 0, 0] = typed[typed > 0, None]
        return windows, spans

    def answer(
        self, model: Model, examples: list[Example], count: int, batch_size: int, verbose: Verbose
    ) -> RankedAnswers:
        windows = self.vectorizer.batches(examples, WINDOWS)
        found = self._spans(model, examples, windows, batch_size, verbose, count)
        return [
            row
            for part, spans in found
            for row in rank_answers(self._weighed(spans, part), part, self.decoder, count)
        ]

    def answer_all(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> RankedAnswers:
        """Returns all spans above the decoder's threshold that answer each example, best first."""
        ranked = self.answer(model, examples, self.max_spans, batch_size, verbose)
        return [select_spans(answers, self.decoder.span_threshold) for answers in ranked]

    def for_documents(
        self, model: Model, options: AskOptions, temperature: float | None = None
    ) -> Self:
        """Returns a preprocessor to read passages. Warns if it finds an answer in every passage."""
        if not self.compares_passages:
            return super().for_documents(model, options, temperature)
        found = self.with_options(model, **options)
        if not found.decoder.no_answer and options.get("no_answer") is None:
            warnings.warn(
                "This reader was not trained on texts without an answer, so it finds one in every "
                "passage. Train it with such examples, or pass `no_answer=True` if it was trained "
                "on them elsewhere, and `no_answer=False` if not.",
                stacklevel=3,
            )
        if temperature is None:
            return found
        decoder = dataclasses.replace(found.decoder, temperature=temperature)
        return type(self)(found.vectorizer, decoder)

    def answer_from_passages(
        self,
        model: Model,
        examples: list[Example],
        priors: Sequence[Sequence[float]],
        count: int,
        batch_size: int,
    ) -> RankedAnswers:
        """Returns the best answers to each example from several passages.

        Each passage is read separately. The scores are normalized over all passages of an example.
        No name counts as missing, since it may be in another part of the document.

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
        found = self._spans(model, examples, windows, batch_size, 0, count)
        return [
            row
            for part, spans in found
            for row in rank_answers(self._weighed(spans), part, self.decoder, count + 1)
        ]

    def answer_in_detail(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> tuple[list[Answer], SpanDetails | None]:
        """Returns the best answer to each example, and the details of a report."""
        decoder = self.decoder
        answers, details = [], SpanDetails([], [], decoder.threshold)
        if not decoder.no_answer:
            details = dataclasses.replace(details, threshold=1.0)
        windows = self.vectorizer.batches(examples, WINDOWS)
        for part, spans in self._spans(model, examples, windows, batch_size, verbose, 1):
            spans = self._weighed(spans, part)
            answers += [row[0] for row in rank_answers(spans, part, decoder, 1)]
            details.spans.extend(best_texts(spans, part, decoder))
            details.no_answer.extend(spans.no_answer.tolist())
        return answers, details

    def evaluate(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> dict[str, float]:
        """Returns SQuAD's official scores: version 2.0 if an example has no answer, else 1.1.

        If an example has `all_spans`, returns DROP's scores of all spans instead.
        """
        if not examples:
            raise ValueError("`examples` is empty. Give at least one to evaluate on.")
        if any(item.all_spans for item in examples):
            ranked = self.answer_all(model, examples, batch_size, verbose)
            sets = [[answer.text for answer in answers] for answers in ranked]
            return {**metrics.drop(sets, examples), "examples": len(examples)}
        found = [row[0].text for row in self.answer(model, examples, 1, batch_size, verbose)]
        if all(item.answers for item in examples):
            return {**metrics.squad(found, examples), "examples": len(examples)}
        scores = metrics.squad(found, examples, "2.0")
        scores = {"exact_match": scores.pop("exact"), **scores}
        return {**scores, "examples": int(scores.pop("total"))}

    def calibrate(
        self,
        model: Model,
        examples: list[Example],
        batch_size: int,
        options: Mapping[str, Any] | None = None,
    ) -> dict[str, float]:
        """Fits the decoder, see `fit_decoder`. Returns nothing if no window has a right answer."""
        windows, spans = self.make_labels(examples)
        if not (spans[..., 0] > 0).any():
            return {}
        read = self.read_windows(model, windows, batch_size)
        given = {name: (options or {}).get(name) for name in FITTED}
        self.decoder, found = fit_decoder(
            self.decoder, read, spans, examples, max_spans=self.max_spans, **given
        )
        return found

    def recalibrate(self, model: Model, examples: list[Example], batch_size: int) -> None:
        # Answerable examples alone tell nothing about texts without an answer.
        is_answerable = all(item.answers for item in examples)
        threshold = self.decoder.no_answer_threshold if is_answerable else None
        most = self.decoder.max_answer_words
        given = {"max_answer_words": most, "no_answer_threshold": threshold}
        self.calibrate(model, examples, batch_size, given)

    def calibrate_passages(
        self,
        model: Model,
        examples: list[Example],
        priors: Sequence[Sequence[Sequence[float]]],
        count: int,
        batch_size: int,
        verbose: Verbose = 0,
    ) -> tuple[float, list[float | None], RankedAnswers]:
        """Fits the temperature and the weights of priors, and answers with them.

        `priors` has several log priors for each passage. Every mention of an answer in a passage
        counts as right. All logits are in memory at once.
        """
        parts: list[tuple[np.ndarray, ...]] = []
        log_priors: list[np.ndarray] = []
        bar = Bar(len(examples)) if verbose else None
        for some in passage_windows(self.vectorizer, examples, priors, WINDOWS):
            parts.append(self.read_windows(model, some, batch_size))
            assert some.prior is not None
            log_priors.append(some.prior)
            if bar is not None:
                bar.show(int(some.example[-1]))
        if bar is not None:
            bar.end(len(examples))
        read = join_windows(parts)
        return fit_passages(self.decoder, read, np.concatenate(log_priors), examples, count)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "decoder": self.decoder.get_config()}
        return config if self.asking is None else {**config, "asking": self.asking.get_config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
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
        verbose: Verbose,
        count: int,
    ) -> Iterator[tuple[list[Example], Spans]]:
        """Yields examples whose windows have all been read, with their best spans."""
        bar = Bar(len(examples)) if verbose else None
        pending: list[tuple[np.ndarray, ...]] = []
        done = 0
        for some in windows:
            read = self.read_windows(model, some, batch_size)
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
                yield examples[done:last], self._decode(found, count)
                pending, done = [tuple(part[~ready] for part in whole)], last
                if bar is not None:
                    bar.show(done)
        if done < len(examples):
            yield examples[done:], self._decode(join_windows(pending), count)
        if bar is not None:
            bar.end(len(examples))

    def _weighed(self, spans: Spans, examples: list[Example] | None = None) -> Spans:
        if self.decoder.weighs_no_answer:
            return weigh_no_answer(spans, self.decoder, examples)
        return spans

    def _decode(self, parts: list[np.ndarray], count: int) -> Spans:
        start, end, words, example, sizes = parts
        return self.decoder(start, end, words, example, count, sizes)

    def read_windows(
        self, model: Model, windows: Windows, batch_size: int
    ) -> tuple[np.ndarray, ...]:
        """Returns the first arguments of a decoder, and the sizes of words: its last one."""
        self._check_types(model)
        outputs = model.predict(make_feed(model, windows), batch_size=batch_size, verbose=0)
        words, sizes = windows.words, windows.word_sizes
        if not self.decoder.whole_words:
            words, sizes = windows.offsets, np.ones_like(sizes)
        types = [1] * len(self.decoder.answer_types)
        if types:
            # Their positions come before those of the text and have no words.
            words, sizes = np.insert(words, types, -1, axis=1), np.insert(sizes, types, 0, axis=1)
        logits = np.full((2, *sizes.shape), MASKED, "float32")
        for place, found in enumerate(self._to_logits(outputs)):
            found = found[:, : logits.shape[2]]
            logits[place, :, : found.shape[1]] = found
        return (*logits, words, windows.example, sizes)

    def _to_logits(self, outputs: Any) -> tuple[np.ndarray, np.ndarray]:
        return outputs["start"], outputs["end"]

    def _check_types(self, model: Model) -> None:
        """Raises if the model has other positions of answer types than the decoder."""
        own, types = getattr(model, "answer_types", None), self.decoder.answer_types
        if own is not None and own != types:
            raise ValueError(
                f"The model has answer_types={own!r}, but its preprocessor has "
                f"answer_types={types!r}. Pass `SpanPreprocessor` a "
                "`SpanDecoder(answer_types=model.answer_types)`."
            )


def make_feed(model: Model, windows: Windows) -> dict[str, np.ndarray]:
    """Returns the inputs of a model for windows."""
    arrays = dict(windows.feed)
    if "padding_mask" in arrays:
        # Padding is id 0 in every model, whatever id the tokenizer uses for it. The padding mask
        # excludes it either way, and batches can be trimmed.
        arrays["token_ids"] = arrays["token_ids"] * arrays["padding_mask"]
    return {tensor.name: arrays[tensor.name] for tensor in model.inputs}


def join_windows(parts: list[tuple[np.ndarray, ...]]) -> list[np.ndarray]:
    """Concatenates the windows of several batches, padded to the widest."""
    if len(parts) == 1:
        return list(parts[0])
    width = max(part[0].shape[1] for part in parts)
    whole = []
    for place, fill in enumerate((MASKED, MASKED, -1, None, 0)):
        arrays = [part[place] for part in parts]
        if fill is not None:
            arrays = [
                np.pad(
                    array,
                    [(0, 0), (0, width - array.shape[1]), *[(0, 0)] * (array.ndim - 2)],
                    constant_values=fill,
                )
                for array in arrays
            ]
        whole.append(np.concatenate(arrays))
    return whole


def split_labels(
    spans: npt.NDArray[np.int32], is_set: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Returns the rows of windows, one for each span of a set, and their labels.

    The loss of several labels makes any one of them likely, but of a set all must be.
    """
    is_kept = (spans[..., 0] > 0) & is_set[:, None]
    is_kept[:, 0] = True
    rows, numbers = np.nonzero(is_kept)
    labels = np.where(is_set[rows, None, None], -1, spans[rows])
    labels[:, 0] = spans[rows, numbers]
    return rows, labels


def change_windows(model: Model, windower: Windower, options: Mapping[str, Any]) -> Windower:
    """Returns a windower with those options that it has, checked for the model."""
    options = {name: options[name] for name in _WINDOWER_OPTIONS if name in options}
    if not options:
        return windower
    settings = {name: getattr(windower, name) for name in _WINDOWER_OPTIONS}
    windower = Windower(windower.tokenizer, **{**settings, **options})
    check_windows(model, windower)
    return windower


def check_windows(model: Model, windower: Windower) -> None:
    """Raises if windows are longer than the `max_length` of a layer."""
    limit = next((layer.max_length for layer in model.layers if hasattr(layer, "max_length")), None)
    if limit is not None and windower.max_length > limit:
        raise ValueError(
            f"`max_length` is {windower.max_length}, but the backbone reads at most {limit} "
            "positions. Use a smaller value."
        )
