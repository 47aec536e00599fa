"""Answers as spans of the text: where an answer starts and ends."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from keras_qa import metrics
from keras_qa._arguments import entry
from keras_qa._numbers import MASKED
from keras_qa._terminal import Bar
from keras_qa.example import Answer, Example
from keras_qa.preprocessing.answer_locating import locate_answers
from keras_qa.preprocessing.ask_calibration import AskCalibration, AskOptions
from keras_qa.preprocessing.decoder import ANSWER_TYPES, SpanDecoder, Spans
from keras_qa.preprocessing.passage_spans import SPANS, passage_spans
from keras_qa.preprocessing.preprocessor import (
    LONG_TEXT,
    Model,
    Options,
    PassageSpan,
    Preprocessor,
    RankedAnswers,
    SpanDetails,
    Verbose,
    plain_texts,
    select_inputs,
)
from keras_qa.preprocessing.span_answers import (
    best_texts,
    find_type,
    rank_answers,
    select_spans,
    weigh_no_answer,
)
from keras_qa.preprocessing.span_calibration import fit_decoder
from keras_qa.preprocessing.window_words import WindowOutputs, join_windows
from keras_qa.text import Windower, WordTokenizer
from keras_qa.text.windows import Windows, passage_windows

_WINDOWER_OPTIONS = ("max_length", "stride", "max_question_length")
_DECODER_OPTIONS = ("max_answer_words", "no_answer", "whole_words")

# Maximum number of windows in memory at a time.
WINDOWS = 256


class SpanPreprocessor(Preprocessor):
    """Answers with spans of the text, or none, for models with the outputs `start` and `end`.

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

    name = "spans"
    description = "marks spans of the text"
    options = ("vectors", "max_length", "stride", "max_answer_words", "no_answer_threshold")
    kind = 'span readers (model="span_reader")'
    answer_options = ("all_spans", *AskOptions.__annotations__)
    compares_passages = True
    exported_as = "question_answering"
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

    def configure(self, examples: list[Example], options: Options) -> None:
        # A model that was trained on texts without answers before still recognizes them.
        has_unanswerable = any(not item.answers for item in examples)
        previous = SpanDecoder() if has_unanswerable else self.decoder
        threshold = options["no_answer_threshold"]
        self.decoder = SpanDecoder(
            options["max_answer_words"] or self.decoder.max_answer_words,
            self.decoder.no_answer or has_unanswerable,
            previous.no_answer_threshold if threshold is None else threshold,
            answer_types=self.decoder.answer_types,
            no_answer_weights=previous.no_answer_weights,
        )
        # It was fitted to the outputs before this training.
        self.asking = None

    def apply_options(self, model: Model, options: Mapping[str, Any]) -> Self:
        windower = change_windows(model, self.vectorizer, options)
        decoder_options = {name: options[name] for name in _DECODER_OPTIONS if name in options}
        decoder = dataclasses.replace(self.decoder, **decoder_options)
        return type(self)(windower, decoder, self.asking)

    @classmethod
    def to_training_examples(cls, examples: list[Example], lenient: bool) -> list[Example]:
        return locate_answers(examples, ANSWER_TYPES, lenient)

    def make_training_data(self, model: Model, examples: list[Example]) -> tuple[Any, Any]:
        examples = locate_answers(examples, self.decoder.answer_types)
        windows, spans = self.make_labels(examples)
        feed = self.to_feed(model, windows)
        is_set = np.array([item.all_spans for item in examples])[windows.example]
        if is_set.any():
            rows, spans = split_labels(spans, is_set)
            feed = {name: array[rows] for name, array in feed.items()}
        return feed, {"start": spans[..., 0], "end": spans[..., 1]}

    def to_feed(self, model: Model, windows: Windows) -> dict[str, np.ndarray]:
        """Returns the inputs of a model for windows."""
        # The model and the decoder need the same positions of answer types.
        own, types = getattr(model, "answer_types", None), self.decoder.answer_types
        if own is not None and own != types:
            raise ValueError(
                f"The model has answer_types={own!r}, but its preprocessor has "
                f"answer_types={types!r}. Pass `SpanPreprocessor` a "
                "`SpanDecoder(answer_types=model.answer_types)`."
            )
        return select_inputs(model, windows.feed)

    def make_labels(self, examples: list[Example]) -> tuple[Windows, np.ndarray]:
        """Returns windows, and the positions of right answers in the outputs of a model."""
        # The positions of the text come after those of the decoder's answer types.
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
        ranked: RankedAnswers = []
        for part, spans in self._spans(model, examples, windows, batch_size, verbose, count):
            spans = weigh_no_answer(spans, self.decoder, part)
            ranked += rank_answers(spans, part, self.decoder, count)
        return ranked

    def answer_all(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> RankedAnswers:
        ranked = self.answer(model, examples, self.max_spans, batch_size, verbose)
        return [select_spans(answers, self.decoder.span_threshold) for answers in ranked]

    def for_documents(self, model: Model, options: AskOptions) -> Self:
        if not self.compares_passages:
            return super().for_documents(model, options)
        changed = self.with_options(model, **options)
        if not changed.decoder.no_answer and options.get("no_answer") is None:
            warnings.warn(
                "This reader was not trained on texts without an answer, so it finds one in every "
                "passage. Train it with such examples, or pass `no_answer=True` if it was trained "
                "on them elsewhere, and `no_answer=False` if not.",
                stacklevel=3,
            )
        return changed

    @property
    def knows_no_answer(self) -> bool:
        return self.decoder.no_answer

    def read_passages(
        self, model: Model, examples: list[Example], batch_size: int
    ) -> list[list[PassageSpan]]:
        # The odds between a span and no answer are comparable, whatever the reader's own settings.
        decoder = dataclasses.replace(self.decoder, no_answer=True, temperature=1.0)
        reader = type(self)(self.vectorizer, decoder)
        windows = self.vectorizer.batches(examples, WINDOWS)
        results: list[list[PassageSpan]] = []
        for part, spans in reader._spans(model, examples, windows, batch_size, 0, SPANS):
            for row, item in enumerate(part):
                text = item.plain_text
                offset = len(text) - len(item.text[-1]) if isinstance(item.text, list) else 0
                types = decoder.answer_types
                results.append(passage_spans(spans, row, text, offset, item.question, types))
        return results

    def answer_from_passages(
        self, model: Model, examples: list[Example], count: int, batch_size: int
    ) -> RankedAnswers:
        """Returns `count` answers and "no answer" to each example; its text is a list of passages.

        Each is read separately. Scores are normalized over all passages of an example.
        """
        windows = passage_windows(self.vectorizer, examples, WINDOWS)
        ranked: RankedAnswers = []
        for part, spans in self._spans(model, examples, windows, batch_size, 0, count):
            # No name counts as missing, since it may be in another part of the document.
            spans = weigh_no_answer(spans, self.decoder)
            ranked += rank_answers(spans, part, self.decoder, count + 1)
        return ranked

    def answer_in_detail(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> tuple[list[Answer], SpanDetails | None]:
        decoder = self.decoder
        answers: list[Answer] = []
        details = SpanDetails([], [], decoder.threshold if decoder.no_answer else 1.0)
        windows = self.vectorizer.batches(examples, WINDOWS)
        for part, spans in self._spans(model, examples, windows, batch_size, verbose, 1):
            spans = weigh_no_answer(spans, decoder, part)
            answers += [row[0] for row in rank_answers(spans, part, decoder, 1)]
            details.spans.extend(best_texts(spans, part, decoder))
            details.no_answer.extend(spans.no_answer.tolist())
        return answers, details

    def evaluate(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> dict[str, float]:
        """Returns SQuAD's official scores, or DROP's if an example has `all_spans`."""
        if not examples:
            raise ValueError("`examples` is empty. Give at least one to evaluate on.")
        if any(item.all_spans for item in examples):
            ranked = self.answer_all(model, examples, batch_size, verbose)
            sets = [[answer.text for answer in answers] for answers in ranked]
            return {**metrics.drop(sets, examples), "examples": len(examples)}
        texts = [row[0].text for row in self.answer(model, examples, 1, batch_size, verbose)]
        if all(item.answers for item in examples):
            return {**metrics.squad(texts, examples), "examples": len(examples)}
        scores = metrics.squad(texts, examples, "2.0")
        scores = {"exact_match": scores.pop("exact"), **scores}
        return {**scores, "examples": int(scores.pop("total"))}

    def calibrate(
        self, model: Model, examples: list[Example], batch_size: int, options: Options | None = None
    ) -> dict[str, float]:
        """Fits the decoder, unless no window has a right answer."""
        windows, spans = self.make_labels(examples)
        if not (spans[..., 0] > 0).any():
            return {}
        outputs = self.read_windows(model, windows, batch_size)
        self.decoder, errors = fit_decoder(
            self.decoder, outputs, spans, examples, options or {}, self.max_spans
        )
        return errors

    def recalibrate(self, model: Model, examples: list[Example], batch_size: int) -> None:
        # Answerable examples alone tell nothing about texts without an answer.
        is_answerable = all(item.answers for item in examples)
        threshold = self.decoder.no_answer_threshold if is_answerable else None
        most = self.decoder.max_answer_words
        options = {"max_answer_words": most, "no_answer_threshold": threshold}
        self.calibrate(model, examples, batch_size, options)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "decoder": self.decoder.get_config()}
        return config if self.asking is None else {**config, "asking": self.asking.get_config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        windower = Windower.from_config(entry(config, "vectorizer", dict))
        decoder = SpanDecoder.from_config(entry(config, "decoder", dict))
        asking = None
        if config.get("asking") is not None:
            asking = AskCalibration.from_config(entry(config, "asking", dict))
        return cls(windower, decoder, asking)

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
        # The progress of long texts is that in their characters.
        sizes = [len(item.plain_text) for item in examples] if verbose else [0]
        is_long = max(sizes, default=0) >= LONG_TEXT
        if is_long:
            bar, ends = Bar(sum(sizes), error=True), np.cumsum(sizes)
        pending: list[WindowOutputs] = []
        done = 0
        for batch in windows:
            outputs = self.read_windows(model, batch, batch_size)
            pending.append(outputs)
            if bar is not None and is_long:
                at = int(batch.example[-1])
                bar.show(int(ends[at] - sizes[at] + batch.offsets[-1].max(initial=0)))
            # The next batch may have more windows of the last text.
            last = int(batch.example[-1])
            if last > done:
                joined = join_windows(pending)
                is_ready = joined.example < last
                ready = WindowOutputs(*(array[is_ready] for array in joined))
                yield examples[done:last], self._decode(ready, count)
                pending, done = [WindowOutputs(*(array[~is_ready] for array in joined))], last
                if bar is not None and not is_long:
                    bar.show(done)
        if done < len(examples):
            yield examples[done:], self._decode(join_windows(pending), count)
        if bar is not None:
            bar.end(bar.total)

    def _decode(self, outputs: WindowOutputs, count: int) -> Spans:
        return self.decoder(*outputs[:4], count, outputs.word_sizes)

    def read_windows(self, model: Model, windows: Windows, batch_size: int) -> WindowOutputs:
        """Returns the outputs of a model for windows, as the decoder takes them."""
        feed = self.to_feed(model, windows)
        outputs = model.predict(feed, batch_size=batch_size, verbose=0)
        words, sizes = windows.words, windows.word_sizes
        if not self.decoder.whole_words:
            words, sizes = windows.offsets, np.ones_like(sizes)
        types = [1] * len(self.decoder.answer_types)
        if types:
            # Their positions come before those of the text and have no words.
            words, sizes = np.insert(words, types, -1, axis=1), np.insert(sizes, types, 0, axis=1)
        logits: list[np.ndarray] = [np.full(sizes.shape, MASKED, "float32") for _ in range(2)]
        for padded, array in zip(logits, self._to_logits(outputs), strict=True):
            width = min(padded.shape[1], array.shape[1])
            padded[:, :width] = array[:, :width]
        return WindowOutputs(logits[0], logits[1], words, windows.example, sizes)

    def _to_logits(self, outputs: Any) -> tuple[np.ndarray, np.ndarray]:
        return outputs["start"], outputs["end"]


def split_labels(
    spans: npt.NDArray[np.int32], is_set: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Returns the rows of windows, one for each span of a set, and their labels."""
    # The loss of several labels makes any one of them likely, but of a set all must be.
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


def longest_window(model: Model) -> int | None:
    """Returns the `max_length` of the first layer that has one."""
    return next((layer.max_length for layer in model.layers if hasattr(layer, "max_length")), None)


def check_windows(model: Model, windower: Windower) -> None:
    """Raises if windows are longer than the `max_length` of a layer."""
    limit = longest_window(model)
    if limit is not None and windower.max_length > limit:
        raise ValueError(
            f"`max_length` is {windower.max_length}, but the backbone reads at most {limit} "
            "positions. Use a smaller value."
        )
