"""Answers as spans of the text: what `QuestionAnswerer` does with a `Windower`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_qa import decoding, metrics
from keras_qa.answering.passage import Ranked
from keras_qa.decoding import SpanDecoder
from keras_qa.example import Answer, Example
from keras_qa.execution import graph
from keras_qa.inputs.padding import rounded, sizes
from keras_qa.layers.spans import MASKED
from keras_qa.models import SpanReader, span_reader
from keras_qa.objectives import SpanLoss
from keras_qa.text import Windower, Windows, WordTokenizer, WordVectors

# So many windows are read at a time, whatever a text's length.
WINDOWS = 256

# Of pretrained vectors, so many of the first words are known beside those trained on.
VECTOR_WORDS = 100_000


class SpanAnswers:
    """Trains and asks a model that says where in the text an answer starts and ends.

    Args:
        model: A `SpanReader` whose `vectorizer` is a `Windower`.
    """

    def __init__(self, model: SpanReader) -> None:
        self.model = model
        self.windower: Windower = model.vectorizer
        self.names = [tensor.name for tensor in model.inputs]

    def training(self, examples: list[Example]) -> tuple[Any, Any]:
        """The feed and the labels of examples to train on."""
        if not examples:
            raise ValueError("`examples` is empty. Give at least one to train on.")
        windows = self.windower(examples, labels=True)
        assert windows.spans is not None
        labels = {"start": windows.spans[..., 0], "end": windows.spans[..., 1]}
        return self._feed(windows), labels

    def expect(
        self, examples: list[Example], max_answer_words: int, threshold: float | None
    ) -> None:
        """Sets how answers are found, after examples like those to come."""
        # What the model has learned before it still knows.
        no_answer = self.model.decoder.no_answer or any(not item.answers for item in examples)
        self.model.decoder = SpanDecoder(max_answer_words, no_answer, threshold)

    def calibrated(self, validation: list[Example], batch_size: int) -> dict[str, float]:
        """Fits the temperature on validation data, and then the threshold of no answer.

        Returns:
            The `temperature`, and how far scores are from how often answers are right with and
            without it: `calibration_error` and `calibration_error_before`. Nothing where no
            answer of the data can be found.
        """
        windows = self.windower(validation, labels=True)
        spans = windows.spans
        if spans is None or not (spans[..., 0] > 0).any():
            return {}
        logits = self._logits(windows, batch_size)
        decoder = dataclasses.replace(self.model.decoder, temperature=1.0)
        fixed = decoder.max_answer_words, decoder.no_answer
        found = windows.words, windows.example
        temperature = decoding.fit_temperature(*logits, *found, spans, *fixed)
        errors = []
        for heat in (1.0, temperature):
            decoder = dataclasses.replace(decoder, temperature=heat)
            best = decoder(*logits, *found, k=1)
            if decoder.no_answer and self.model.decoder.no_answer_threshold is None:
                threshold = _threshold(best, validation)
                decoder = dataclasses.replace(decoder, no_answer_threshold=threshold)
            answers = _ranked(best, validation, decoder, 1)
            right = [
                metrics.exact_match(row[0].text, item.answers or ("",))
                for row, item in zip(answers, validation, strict=True)
            ]
            scores = np.clip([row[0].score for row in answers], 0.0, 1.0)
            errors.append(decoding.expected_calibration_error(scores, np.array(right)))
        self.model.decoder = decoder
        return {
            "temperature": temperature,
            "calibration_error_before": errors[0],
            "calibration_error": errors[1],
        }

    def answers(self, examples: list[Example], count: int, batch_size: int, verbose: Any) -> Ranked:
        """The best answers of each example, best first."""
        ranked: Ranked = []
        progress = keras.utils.Progbar(len(examples)) if verbose else None
        for part, spans in self._spans(examples, count, batch_size):
            ranked += _ranked(spans, part, self.model.decoder, count)
            if progress is not None:
                progress.update(len(ranked))
        return ranked

    def evaluate(self, examples: list[Example], batch_size: int, verbose: Any) -> dict[str, float]:
        """The official scores: of version 1.1, or 2.0 where some have no answer."""
        if not examples:
            raise ValueError("`examples` is empty. Give at least one to evaluate on.")
        found = [row[0].text for row in self.answers(examples, 1, batch_size, verbose)]
        if all(item.answers for item in examples):
            return {**metrics.squad_in_order(found, examples), "examples": len(examples)}
        scores = metrics.squad_in_order(found, examples, "2.0")
        scores = {"exact_match": scores.pop("exact"), **scores}
        return {**scores, "examples": int(scores.pop("total"))}

    def read(self, example: Example) -> Callable[[list[Example], int], Ranked]:
        """What answers questions on a text, which is read with each question."""
        return lambda examples, count: self.answers(examples, count, 32, 0)

    def _spans(
        self, examples: list[Example], count: int, batch_size: int
    ) -> Iterator[tuple[list[Example], decoding.Spans]]:
        """Spans of some examples at a time, once all windows of their texts are read."""
        waiting: list[tuple[np.ndarray, ...]] = []
        done = 0
        for windows in self.windower.batches(examples, WINDOWS):
            logits = self._logits(windows, batch_size)
            waiting.append((*logits, windows.words, windows.example))
            # More windows of the last text may come.
            last = int(windows.example[-1])
            if last > done:
                whole = _joined(waiting)
                ready = whole[3] < last
                yield examples[done:last], self._decoded([part[ready] for part in whole], count)
                waiting, done = [tuple(part[~ready] for part in whole)], last
        if done < len(examples):
            yield examples[done:], self._decoded(_joined(waiting), count)

    def _decoded(self, parts: Any, count: int) -> decoding.Spans:
        start, end, words, example = parts
        return self.model.decoder(start, end, words, example, count)

    def _feed(self, windows: Windows) -> dict[str, np.ndarray]:
        feed = dict(windows.feed)
        if "padding_mask" in feed:
            # Padding is 0 here, whatever a tokenizer has for it: it is masked, and cut off by that.
            feed["token_ids"] = feed["token_ids"] * feed["padding_mask"]
        return {name: feed[name] for name in self.names}

    def _logits(self, windows: Windows, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
        """Logits of all windows, those of like length together and no wider than they are."""
        feed = self._feed(windows)
        axes = sizes(list(feed.values()))
        logits = np.full((2, *windows.words.shape[:2]), MASKED, "float32")
        order = np.argsort(axes.max(axis=1), kind="stable")
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            widths = axes[rows].max(axis=0)
            cut = {
                name: array[rows, : rounded(int(width))]
                for (name, array), width in zip(feed.items(), widths, strict=True)
            }
            outputs = self.model.predict(
                cut, batch_size=batch_size, verbose=0, length_buckets=False
            )
            for place, name in enumerate(("start", "end")):
                found = outputs[name][:, : logits.shape[2]]
                logits[place, rows, : found.shape[1]] = found
        return logits[0], logits[1]


def build(
    options: dict[str, Any],
    examples: list[Example],
    vocabulary_size: int | None,
    vectors: Any,
    length: int | None,
    overlap: int,
) -> SpanReader:
    """Builds a reader for the words of some examples, or on a backbone."""
    if options.get("backbone") is not None:
        if vectors is not None:
            raise ValueError(
                "`vectors` are for a reader from scratch, but `model_options` name a backbone, "
                "which has its own. Leave one of them out."
            )
        model = span_reader(**options)
        if model.vectorizer is None:
            raise ValueError(
                "The backbone's tokenizer is not known. Give its `tokenizer.json`, or the folder "
                'that holds it: `model_options={"backbone": …, "tokenizer": …}`.'
            )
        return _with_windows(model, model.vectorizer.tokenizer, length, overlap)
    texts = [text for item in examples for text in (item.plain_text, item.question)]
    if vectors is not None:
        if not isinstance(vectors, WordVectors):
            vectors = WordVectors.load(vectors)
        texts += vectors.words[:VECTOR_WORDS]
    tokenizer = WordTokenizer.train(texts, vocabulary_size)
    if vectors is not None:
        options = {**options, "word_vectors": vectors.table(tokenizer)}
    model = span_reader(tokenizer.vocabulary_size, **options)
    return _with_windows(model, tokenizer, length, overlap)


def adopt(
    model: keras.Model,
    examples: list[Example],
    vocabulary_size: int | None,
    length: int | None,
    overlap: int,
) -> SpanReader:
    """Makes a user's model with the outputs `start` and `end` one that strings can be fed to."""
    if not isinstance(model, SpanReader):
        plain = model
        model = SpanReader(plain.inputs, dict(plain.output), name=plain.name)
        if plain.compiled:
            model.compile_from_config(plain.get_compile_config())
        else:
            model.compile("adam", {name: SpanLoss() for name in ("start", "end")})
    if model.vectorizer is not None:
        return model
    names = [tensor.name for tensor in model.inputs]
    if sorted(names) != ["question", "text"]:
        raise ValueError(
            "`model` must have the inputs `text` and `question`, or a `vectorizer` that makes its "
            f"inputs {', '.join(f'`{name}`' for name in names)}. Build it by "
            "`keras_qa.models.span_reader(backbone=…, tokenizer=…)`, or set `model.vectorizer` of "
            "a `SpanReader` to a `keras_qa.text.Windower`."
        )
    texts = (text for item in examples for text in (item.plain_text, item.question))
    known = graph.smallest_vocabulary(model, vocabulary_size)
    tokenizer = WordTokenizer.train(texts, known)
    return _with_windows(model, tokenizer, length, overlap)


def reads_spans(model: keras.Model) -> bool:
    """Whether a model has the outputs `start` and `end`."""
    return isinstance(model.output, Mapping) and sorted(model.output) == ["end", "start"]


def _with_windows(model: Any, tokenizer: Any, length: int | None, overlap: int) -> SpanReader:
    longest = model.vectorizer.length if model.vectorizer is not None else None
    model.vectorizer = Windower(tokenizer, length or longest or 384, overlap)
    limit = next((layer.max_length for layer in model.layers if hasattr(layer, "max_length")), None)
    if limit is not None and model.vectorizer.length > limit:
        raise ValueError(
            f"`length` is {model.vectorizer.length}, but the backbone reads {limit} positions at "
            "most. Make it shorter."
        )
    return model


def _joined(parts: list[tuple[np.ndarray, ...]]) -> list[np.ndarray]:
    """Windows of several batches one after the other, filled up to the widest."""
    width = max(part[0].shape[1] for part in parts)
    joined = []
    for place, fill in enumerate((MASKED, MASKED, -1, None)):
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
        joined.append(np.concatenate(arrays))
    return joined


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


def _threshold(best: decoding.Spans, examples: list[Example]) -> float:
    """The threshold with the highest F1, as the official script of SQuAD v2.0 finds it."""
    answers = [
        item.plain_text[start:end] if start >= 0 else ""
        for item, start, end in zip(examples, best.start[:, 0], best.end[:, 0], strict=True)
    ]
    scores = metrics.squad_in_order(answers, examples, "2.0", best.no_answer.tolist())
    return min(scores["best_f1_thresh"], 1.0)
