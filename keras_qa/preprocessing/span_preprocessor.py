"""Answers as spans of the text: where an answer starts and ends."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Unpack

import numpy as np
import numpy.typing as npt

from keras_qa import metrics
from keras_qa._arguments import accept_old_names, entry
from keras_qa._numbers import MASKED
from keras_qa.decoding import SpanDecoder
from keras_qa.decoding.decoder import Spans
from keras_qa.example import Answer, Example
from keras_qa.preprocessing.ask_calibration import AskCalibration
from keras_qa.preprocessing.ask_options import (
    AskOptions,
    Model,
    RankedAnswers,
    SpanDetails,
    Verbose,
    check_option_names,
)
from keras_qa.preprocessing.no_answer import weigh_no_answer
from keras_qa.terminal import Bar
from keras_qa.text import Windower, Windows
from keras_qa.text.passage_windows import passage_windows

_WINDOWER_OPTIONS = ("max_length", "stride", "max_question_length")
_DECODER_OPTIONS = ("max_answer_words", "no_answer", "whole_words")

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
        max_spans: Number of spans of which `answer_all` selects some.
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
    max_spans: ClassVar[int] = 100

    def __init__(
        self,
        vectorizer: Windower,
        decoder: SpanDecoder | None = None,
        asking: AskCalibration | None = None,
    ) -> None:
        self.vectorizer = vectorizer
        self.decoder = decoder or SpanDecoder()
        self.asking = asking

    def configure_decoding(self, examples: list[Example], options: Mapping[str, Any]) -> None:
        """Sets the decoder for training on examples.

        Args:
            examples: The examples to train on. If one has no answer, texts may have none;
                otherwise the threshold and the weights of no answer stay as they are.
            options: The options `max_answer_words` and `no_answer_threshold` of
                `QuestionAnswerer`.
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

    @accept_old_names
    def with_options(self, model: Model, **options: Unpack[AskOptions]) -> SpanPreprocessor:
        """Returns a preprocessor with other options.

        Args:
            model: The reader.
            **options: See `AskOptions`.

        Returns:
            A `SpanPreprocessor`.

        Raises:
            TypeError: If an option is unknown.
            ValueError: If an option is out of its range, or the model reads no such windows.
        """
        check_option_names(self.with_options, options)
        given: dict[str, Any] = {
            name: value for name, value in options.items() if value is not None
        }
        if not given:
            return self
        windower = change_windows(model, self.vectorizer, given)
        decoder_options = {name: given[name] for name in _DECODER_OPTIONS if name in given}
        decoder = dataclasses.replace(self.decoder, **decoder_options)
        return type(self)(windower, decoder, self.asking)

    def make_training_data(self, model: Model, examples: list[Example]) -> tuple[Any, Any]:
        """Returns inputs and labels for `fit`."""
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
        """Returns the best answers to each example, best first."""
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


def find_type(item: Example, types: Sequence[str]) -> int:
    """Returns the number of an example's answer among answer types, from 1; 0 for other answers.

    An answer with `answer_start` is a span, even if it is "no". Of several answers without it, all
    must be types, and the first counts.
    """
    names = [metrics.normalize_answer(answer) for answer in item.answers if types]
    if not names or item.answer_start or not set(names) <= set(types):
        return 0
    return types.index(names[0]) + 1


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


def rank_answers(
    spans: Spans, examples: list[Example], decoder: SpanDecoder, count: int
) -> RankedAnswers:
    """Returns the answers to each example, with "no answer" at its place."""
    ranked = []
    for row, item in enumerate(examples):
        nothing = float(spans.no_answer[row])
        answers = _answers(spans, row, item.plain_text, decoder.answer_types)
        if decoder.no_answer or not answers:
            none = Answer("", nothing)
            first = nothing > decoder.threshold or not answers
            place = 0 if first else max(1, sum(answer.score >= nothing for answer in answers))
            answers.insert(place, none)
        ranked.append(answers[:count])
    return ranked


def select_spans(answers: list[Answer], threshold: float) -> list[Answer]:
    """Returns the answers with a score above a threshold that do not overlap a better one.

    The answers are best first. If the first one is "no answer", none is returned; if it is an
    answer type, such as "yes", it is the only one.

    Starts and ends are independent in the output of a reader. If it marks two spans, the span from
    the start of the first to the end of the second is as likely. So a span is left out if each of
    two such spans is at least half as likely.

    Reference:
        Hu et al. 2019, arXiv:1908.05514: several spans without overlaps.
    """
    if answers[0].start is None:
        return [one for one in answers[:1] if one.text and one.score > threshold]
    selected: list[Any] = []
    spans: list[Any] = [one for one in answers if one.start is not None]
    for span in spans:
        if span.score <= threshold:
            break
        likely = [one for one in spans if one.score >= span.score / 2]
        first_end = min(one.end for one in likely if one.start == span.start)
        last_start = max(one.start for one in likely if one.end == span.end)
        is_apart = all(span.end <= one.start or one.end <= span.start for one in selected)
        if is_apart and first_end > last_start:
            selected.append(span)
    return selected


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


def best_texts(spans: Spans, examples: list[Example], decoder: SpanDecoder) -> list[str]:
    """Returns the best answer to each example other than no answer, empty if there is none."""
    types = decoder.answer_types
    ranked = (_answers(spans, row, item.plain_text, types) for row, item in enumerate(examples))
    return [answers[0].text if answers else "" for answers in ranked]


def _answers(spans: Spans, row: int, text: str, types: Sequence[str]) -> list[Answer]:
    """Returns the spans of an example and its answer types, best first."""
    answers = [
        Answer(text[start:end], float(score), int(start), int(end))
        for start, end, score in zip(
            spans.start[row], spans.end[row], spans.score[row], strict=True
        )
        if start >= 0
    ]
    answers += map(Answer, types, spans.answer_types[row].tolist())
    return sorted(answers, key=lambda answer: -answer.score)


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
