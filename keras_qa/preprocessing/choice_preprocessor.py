"""Answers among given choices: a score for each of them."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Unpack

import numpy as np
import numpy.typing as npt

from keras_qa import metrics
from keras_qa._arguments import check_number, entry
from keras_qa.decoding import expected_calibration_error, fit_temperature
from keras_qa.decoding.decoder import MASKED
from keras_qa.example import Answer, Example, Support
from keras_qa.preprocessing.ask_options import (
    AskOptions,
    Model,
    RankedAnswers,
    SpanDetails,
    Verbose,
    check_option_names,
)
from keras_qa.preprocessing.span_calibration import FOLDS
from keras_qa.preprocessing.span_preprocessor import WINDOWS, change_windows
from keras_qa.terminal import Bar
from keras_qa.text import SubwordTokenizer, Windower, Windows
from keras_qa.text.gold_spans import describe
from keras_qa.text.sentence_splitting import sentence_spans

# Number of examples whose windows are read at a time.
EXAMPLES = 64


class ChoicePreprocessor:
    """Answers with one of the choices of an example, for models of `models.choice_ranker`.

    The scores are a softmax over the choices. A long text is read in windows. Each window gives
    probabilities of the choices; of each choice the highest one counts, and the scores are these,
    normalized. `Answer.support` has the sentences in that window which share words with the
    question and the choice, weighted by how rare these are in the window.

    Args:
        vectorizer: Cuts texts into windows.
        temperature: The logits are divided by it. `calibrate` fits it.

    Raises:
        ValueError: If `temperature` is not a positive number.
    """

    name: ClassVar[str] = "choices"
    description: ClassVar[str] = "chooses among given answers"
    options: ClassVar[tuple[str, ...]] = ("vectors", "max_length", "stride")

    def __init__(self, vectorizer: Windower, temperature: float = 1.0) -> None:
        check_number("temperature", temperature, positive=True)
        self.vectorizer = vectorizer
        self.temperature = float(temperature)

    def with_options(self, model: Model, **options: Unpack[AskOptions]) -> ChoicePreprocessor:
        """Returns a preprocessor with another `max_length` or `stride` of the windows."""
        check_option_names(self.with_options, options)
        given = {name: value for name, value in options.items() if value is not None}
        other = next((name for name in given if name not in self.options), None)
        if other is not None:
            raise ValueError(
                f"`{other}` is for span readers, but the model {self.description}. Leave it out."
            )
        return ChoicePreprocessor(change_windows(model, self.vectorizer, given), self.temperature)

    def make_training_data(self, model: Model, examples: list[Example]) -> tuple[Any, Any]:
        """Returns inputs and labels for `fit`.

        Of a long text a row has the window with most words of the question and the choices.
        """
        if not examples:
            raise ValueError("`examples` is empty. Give at least one to train on.")
        labels = gold_choices(examples)
        counts = [len(item.choices) for item in examples]
        places = [(row, number) for row, count in enumerate(counts) for number in range(count)]
        pairs = [(row, examples[row].choices[number]) for row, number in places]
        asked = [
            {*self.vectorizer.tokenizer.pieces([item.question, *item.choices]).ids.tolist()}
            for item in examples
        ]
        rows: list[dict[str, np.ndarray]] = [{}] * len(pairs)
        most = [-1] * len(pairs)
        for windows, feed in self._read(model, examples, pairs):
            # The first input has the words of the text; so has `words`, at its last positions.
            ids = next(iter(feed.values())).reshape(len(windows), -1)
            is_text = windows.words[:, -ids.shape[1] :, 0] >= 0
            for row, pair in enumerate(windows.example.tolist()):
                found = len(asked[pairs[pair][0]].intersection(ids[row][is_text[row]].tolist()))
                if found > most[pair]:
                    most[pair] = found
                    # A copy, so that the windows can be freed.
                    rows[pair] = {name: array[row].flatten() for name, array in feed.items()}
        feed = {}
        for tensor in model.inputs:
            parts = [row[tensor.name] for row in rows]
            whole = np.zeros((len(counts), max(counts), max(map(len, parts))), "int32")
            for place, part in zip(places, parts, strict=True):
                whole[place][: len(part)] = part
            # An input without an axis of choices is the same for all of them.
            feed[tensor.name] = whole if len(tensor.shape) == 3 else whole[:, 0]
        return feed, labels

    def answer(
        self, model: Model, examples: list[Example], count: int, batch_size: int, verbose: Verbose
    ) -> RankedAnswers:
        """Returns the best choices of each example, best first."""
        sentences = functools.lru_cache(4)(sentence_spans)
        ranked: RankedAnswers = []
        for item, logits, ends in self._logits(model, examples, batch_size, verbose):
            scores = _softmax(logits / self.temperature)
            spans = sentences(item.text if isinstance(item.text, str) else tuple(item.text))
            ranked.append([])
            for place in np.argsort(-scores, kind="stable")[:count]:
                choice = item.choices[place]
                support = _support(item, choice, spans, ends[place])
                ranked[-1].append(Answer(choice, float(scores[place]), support=support))
        return ranked

    def answer_in_detail(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> tuple[list[Answer], SpanDetails | None]:
        """Returns the best choice of each example, and no details."""
        return [row[0] for row in self.answer(model, examples, 1, batch_size, verbose)], None

    def evaluate(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> dict[str, float]:
        """Returns the scores of examples whose right answers are choices."""
        if not examples:
            raise ValueError("`examples` is empty. Give at least one to evaluate on.")
        gold_choices(examples)
        read = self._logits(model, examples, batch_size, verbose)
        found = [(item.choices[int(logits.argmax())], item.answers) for item, logits, _ in read]
        right = 100.0 * sum(choice in answers for choice, answers in found) / len(found)
        f1 = 100.0 * sum(metrics.f1(choice, answers) for choice, answers in found) / len(found)
        return {"exact_match": right, "f1": f1, "examples": len(found)}

    def calibrate(self, model: Model, examples: list[Example], batch_size: int) -> dict[str, float]:
        """Fits the temperature. Returns what `span_calibration.fit_decoder` returns."""
        gold = gold_choices(examples)
        read = [logits for _, logits, _ in self._logits(model, examples, batch_size, 0)]
        # Each choice is a text of one word, after the position for no answer.
        start = np.full((len(read), 1 + max(map(len, read))), MASKED)
        for row, logits in zip(start, read, strict=True):
            row[1 : 1 + len(logits)] = logits
        words = np.full((*start.shape, 2), -1)
        words[start > MASKED] = np.argwhere(start > MASKED)[:, 1:] + [0, 1]
        spans = np.repeat(gold[:, None, None] + 1, 2, axis=2)
        windows = start, np.zeros_like(start), words, np.arange(len(read))
        self.temperature = fit_temperature(*windows, spans, 1, False, folds=FOLDS)
        best = [item.choices[int(row.argmax())] for item, row in zip(examples, read, strict=True)]
        right = [choice in item.answers for choice, item in zip(best, examples, strict=True)]
        before, after = (
            expected_calibration_error([_softmax(row / heat).max() for row in read], right)
            for heat in (1.0, self.temperature)
        )
        errors = {"calibration_error_before": before, "calibration_error": after}
        return {"temperature": self.temperature, **errors}

    def get_config(self) -> dict[str, Any]:
        """Returns the config that `from_config` takes."""
        return {"vectorizer": self.vectorizer.get_config(), "temperature": self.temperature}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ChoicePreprocessor:
        """Creates a preprocessor from its config."""
        windower = Windower.from_config(entry(config, "vectorizer", dict))
        return cls(windower, config.get("temperature", 1.0))

    def _logits(
        self, model: Model, examples: list[Example], batch_size: int, verbose: Verbose
    ) -> Iterator[tuple[Example, npt.NDArray[np.float64], npt.NDArray[np.int32]]]:
        """Yields examples with a logit for each choice, and the `(start, end)` of its best window.

        The logits are the highest logarithms of the probabilities that the windows give.
        """
        check_choices(examples)
        bar = Bar(len(examples)) if verbose else None
        for start in range(0, len(examples), EXAMPLES):
            if bar is not None:
                bar.show(start)
            part = examples[start : start + EXAMPLES]
            # Equal choices have equal logits, and the order of the choices does not matter.
            known = [sorted({*item.choices}) for item in part]
            pairs = [(place, choice) for place, some in enumerate(known) for choice in some]
            numbers, logits, ends = self._predict(model, part, pairs, batch_size)
            edges = np.searchsorted(numbers, np.arange(len(part) + 1))
            for item, some, first, last in zip(part, known, edges, edges[1:], strict=False):
                of_choices = logits[first:last].reshape(len(some), -1)
                of_choices = of_choices - np.logaddexp.reduce(of_choices, axis=0)
                best = of_choices.argmax(axis=1)
                reach = ends[first:last].reshape(len(some), -1, 2)
                rows = [some.index(choice) for choice in item.choices]
                columns = best[rows]
                yield item, of_choices[rows, columns], reach[rows, columns]
        if bar is not None:
            bar.end(len(examples))

    def _predict(
        self, model: Model, examples: list[Example], pairs: list[tuple[int, str]], batch_size: int
    ) -> tuple[np.ndarray, npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Returns for each window of pairs the example, the logit, and its ends in the text."""
        numbers, logits, ends = [], [], []
        for windows, feed in self._read(model, examples, pairs):
            numbers += [pairs[pair][0] for pair in windows.example]
            logits.append(model.predict(feed, batch_size=batch_size, verbose=0)[:, 0])
            begins = windows.offsets[..., 0]
            begins = np.where(begins < 0, np.iinfo("int32").max, begins).min(axis=1)
            ends.append(np.stack([begins, windows.offsets[..., 1].max(axis=1)], axis=1))
        found = np.concatenate(logits).astype("float64")
        if not np.isfinite(found).all():
            raise ValueError("The logits hold NaN or infinity. Check the model's weights.")
        return np.array(numbers), found, np.concatenate(ends)

    def _read(
        self, model: Model, examples: list[Example], pairs: list[tuple[int, str]]
    ) -> Iterator[tuple[Windows, dict[str, np.ndarray]]]:
        """Yields windows of pairs of an example and a choice, and the model's inputs for them."""
        tokenizer = self.vectorizer.tokenizer
        joins = isinstance(tokenizer, SubwordTokenizer)
        asked = []
        for place, choice in pairs:
            item = examples[place]
            question = f"{item.question} {choice}".strip() if joins else item.question
            asked.append(Example(item.text, question, id=f"a choice of {describe(place, item)}"))
        groups = [place for place, _ in pairs]
        for windows in self.vectorizer.batches(asked, WINDOWS, groups=groups):
            feed = dict(windows.feed)
            if joins:
                feed["token_ids"] = feed["token_ids"] * feed["padding_mask"]
                feed = {name: array[:, None] for name, array in feed.items()}
            else:
                choices = tokenizer.pieces([pairs[pair][1] for pair in windows.example])
                counts = np.diff(choices.begins)
                # A choice without words is not padding.
                feed["choices"] = np.zeros((len(counts), 1, max(int(counts.max()), 1)), "int32")
                feed["choices"][:, 0, 0] = 1
                for row, ids in enumerate(np.split(choices.ids, choices.begins[1:-1])):
                    feed["choices"][row, 0, : len(ids)] = ids
            yield windows, {tensor.name: feed[tensor.name] for tensor in model.inputs}


def check_choices(examples: Sequence[Example]) -> None:
    """Raises if an example has no choices."""
    for place, item in enumerate(examples):
        if not item.choices:
            raise ValueError(
                f"{describe(place, item, 'The')} has no choices. Pass `choices`, or set those of "
                "the example."
            )


def gold_choices(examples: Sequence[Example]) -> npt.NDArray[np.int32]:
    """Returns the position of the right choice of each example. Raises if there is none."""
    check_choices(examples)
    labels = []
    for place, item in enumerate(examples):
        right = next(
            (number for number, one in enumerate(item.choices) if one in item.answers), None
        )
        if right is None:
            raise ValueError(
                f"{describe(place, item, 'The')} must have a right answer among its choices. "
                f"Received: answers={item.answers!r:.60}, choices={item.choices!r:.90}."
            )
        labels.append(right)
    return np.array(labels, "int32")


def _softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    scores: npt.NDArray[np.float64] = np.exp(logits - np.logaddexp.reduce(logits))
    return scores


def _words(text: str) -> set[str]:
    return {*re.findall(r"\w+", text.casefold())}


def _support(
    item: Example, choice: str, sentences: list[tuple[int, int]], ends: np.ndarray
) -> tuple[Support, ...]:
    """The sentences of a window that share words with a question and a choice, the best first."""
    asked, text = _words(f"{item.question} {choice}"), item.plain_text
    inside = [
        (place, span, asked & _words(text[slice(*span)]))
        for place, span in enumerate(sentences)
        if span[0] < ends[1] and span[1] > ends[0]
    ]
    counts = Counter(word for *_, words in inside for word in words)
    weights = {word: float(np.log1p(1 / count)) for word, count in counts.items()}
    total = math.fsum(weights.values())
    found = [
        Support(
            text[slice(*span)], math.fsum(weights[word] for word in words) / total, *span, place
        )
        for place, span, words in inside
        if words
    ]
    return tuple(sorted(found, key=lambda sentence: -sentence.weight))
