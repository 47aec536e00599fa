"""Questions to an index of documents."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack, cast, overload

import numpy as np

from keras_qa import decoding, metrics
from keras_qa._arguments import (
    check_fraction,
    check_positive_integers,
    is_number,
    must_be,
    to_integer,
    to_optional_integer,
)
from keras_qa.answering import building
from keras_qa.answering.merging import merged
from keras_qa.answering.passage import Answered, Questions, shaped
from keras_qa.example import Answer, Example, to_examples, to_questions
from keras_qa.models import QAModel
from keras_qa.tasks import AskCalibration, AskOptions, SpanTask, Task
from keras_qa.tasks.task import Verbose, check_option_names
from keras_qa.terminal import Bar

if TYPE_CHECKING:
    from keras_qa.documents import Hit, Retriever

# How much less likely an answer stands in a passage that fits its question not at all than in the
# one that fits it best, as a logarithm; and how many passages are read. Where nothing was fitted.
RETRIEVAL_WEIGHT, PASSAGES = 4.0, 10

# So many questions are looked for and read at a time, and shown a progress bar for.
_QUESTIONS = 256
# Spans of which the same answers are merged: so many for each that is asked for.
_SPANS = 20


class Asking:
    """Questions to an index of documents."""

    @overload
    def ask(
        self,
        index: Retriever,
        question: str,
        top_k: None = None,
        passages: int | None = None,
        min_score: float | None = None,
        retrieval_weight: float | None = None,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        min_precision: float | None = None,
        **options: Unpack[AskOptions],
    ) -> Answer: ...

    @overload
    def ask(
        self,
        index: Retriever,
        question: str,
        top_k: int,
        passages: int | None = None,
        min_score: float | None = None,
        retrieval_weight: float | None = None,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        min_precision: float | None = None,
        **options: Unpack[AskOptions],
    ) -> list[Answer]: ...

    @overload
    def ask(
        self,
        index: Retriever,
        question: Questions,
        top_k: None = None,
        passages: int | None = None,
        min_score: float | None = None,
        retrieval_weight: float | None = None,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        min_precision: float | None = None,
        **options: Unpack[AskOptions],
    ) -> list[Answer]: ...

    @overload
    def ask(
        self,
        index: Retriever,
        question: Questions,
        top_k: int,
        passages: int | None = None,
        min_score: float | None = None,
        retrieval_weight: float | None = None,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        min_precision: float | None = None,
        **options: Unpack[AskOptions],
    ) -> list[list[Answer]]: ...

    def ask(
        self,
        index: Retriever,
        question: str | Questions,
        top_k: int | None = None,
        passages: int | None = None,
        min_score: float | None = None,
        retrieval_weight: float | None = None,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        min_precision: float | None = None,
        **options: Unpack[AskOptions],
    ) -> Answered:
        """Answers a question, or many, from the documents of an index.

        The passages that fit a question best are read with it. One softmax over the spans of all of
        them, and there being no answer in any, makes their scores comparable. The logarithm of a
        span's mass counts with `-retrieval_weight * (1 - score / best score)` of its passage's
        retrieval score. Equal answers are one, with the sum of their scores and all their sources;
        what overlaps a better answer is left out.

        Args:
            index: A `documents.Index`, or another `documents.Retriever`: anything with
                `search(questions, k)`.
            question: The question; or several, as a list or any other iterable of strings, such
                as a pandas Series.
            top_k: Number of answers a question, best first. `None` for the best one alone.
            passages: Number of passages that are read for a question. `None` for as many as
                `calibrate` has read, and 10 without it.
            min_score: Gives no answer whose score is less: an empty one where none is left. `None`
                to give all.
            retrieval_weight: How much retrieval counts beside reading, 0 for not at all. `None` for
                what `calibrate` has fitted, and 4.0 without it.
            batch_size: Number of windows a step.
            verbose: 0 is silent, 1 shows a progress bar, `"auto"` shows it for many questions.
            min_precision: Gives answers only from that score on from which at least such a share of
                the best answers is right, by those of `calibrate`, with a confidence of 0.9.
            **options: As in `answer`. What is not given is as in `calibrate`.

        Returns:
            An `Answer`, or with `top_k` a list of them, best first; for several questions a list of
            either. It says `document`, `line` and `page`, and `start` and `end` in the document's
            text; the empty answer, that there is none, does not.

        Raises:
            TypeError: If a question is no string, there is no such option, or `index` is no
                retriever or finds something else than hits.
            ValueError: If an argument is out of its range, the model is no reader of spans, there
                has been no `fit`, or the scores of hits cannot be compared; or with
                `min_precision`, if there has been no `calibrate`, or no score comes to it.

        Reference:
            Chen et al. 2017, "Reading Wikipedia to Answer Open-Domain Questions",
            arXiv:1704.00051. Clark and Gardner 2018, arXiv:1710.10723: scores shared by all
            passages.
        """
        # `documents` needs SQLite, which not every Python has.
        from keras_qa.documents.retriever import retrieve

        check_option_names(self.ask, options)
        top_k = to_optional_integer("top_k", top_k)
        passages = to_optional_integer("passages", passages)
        check_positive_integers(batch_size=batch_size)
        _check_weights(min_score, retrieval_weight)
        model, task = self._fitted()
        fitted = task.asking if isinstance(task, SpanTask) else None
        if min_precision is not None:
            min_score = _least_score(
                fitted,
                min_precision,
                {
                    "min_score": min_score,
                    "passages": passages,
                    "retrieval_weight": retrieval_weight,
                    **options,
                },
            )
        if fitted is None:
            passages, weight = passages or PASSAGES, RETRIEVAL_WEIGHT
        else:
            passages, weight = passages or fitted.passages, fitted.retrieval_weight
            options = {**fitted.options, **_given(options)}
        weight = weight if retrieval_weight is None else retrieval_weight
        task = _reader(model, task, options)
        if fitted is not None:
            decoder = dataclasses.replace(task.decoder, temperature=fitted.temperature)
            task = SpanTask(task.vectorizer, decoder)
        many = not isinstance(question, str)
        questions = to_questions(question)
        shown = len(questions) > _QUESTIONS if verbose == "auto" else verbose
        bar = Bar(len(questions)) if shown else None
        ranked: list[list[Answer]] = []
        for start in range(0, len(questions), _QUESTIONS):
            part = questions[start : start + _QUESTIONS]
            found = retrieve(index, part, passages)
            examples = [_example(hits, one) for hits, one in zip(found, part, strict=True)]
            priors = [_priors(hits, weight) or [0.0] for hits in found]
            spans = task.answers_from(model, examples, priors, _SPANS * (top_k or 1), batch_size)
            for answers, hits in zip(spans, found, strict=True):
                ranked.append(_sure(merged(answers, hits), min_score)[: top_k or 1])
            if bar is not None:
                bar.show(len(ranked))
        if bar is not None:
            bar.end(len(ranked))
        return shaped(ranked, top_k, many) if questions else []

    def calibrate(
        self,
        index: Retriever,
        examples: Iterable[Example | Mapping[str, Any]],
        passages: int = PASSAGES,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        **options: Unpack[AskOptions],
    ) -> AskCalibration:
        """Fits how an index is asked on questions whose answers are known.

        The weight of retrieval and the temperature are those with which the right answers are
        likeliest, wherever a passage says them; the temperature stays 1.0 if a five-fold
        cross-validation finds no gain. Then the scores are found from which on so many of
        the best answers are right, for `min_precision` of `ask`: the share among all answers of at
        least that score counts, an answer being right that `metrics.exact_match` says is. What
        counts is how many are right of answers like these with a confidence of 0.9, which is less
        than how many of these are: the more answers, the closer. Questions that the documents do
        not answer belong to the examples, too, if such will be asked.

        What was fitted is kept in `model_.task.asking`, and by `save`. `ask` takes it from then on,
        the passages and options included; the next `fit` drops it. When a text has no answer is
        left as it is.

        Args:
            index: As in `ask`.
            examples: Examples, or mappings with the same keys, of which the questions and the
                answers count. Some hundred at least; not those that the results are judged by.
            passages: Number of passages to read for a question.
            batch_size: Number of windows a step.
            verbose: As in `ask`.
            **options: As in `answer`.

        Returns:
            The `tasks.AskCalibration`.

        Raises:
            TypeError: If an example is none, or a field has the wrong type; or as `ask`.
            ValueError: If there are no examples, or no passage that is found has a right answer; an
                argument is out of its range, the model is no reader of spans, or there has been no
                `fit`.

        Reference:
            Kamath et al. 2020, "Selective Question Answering under Domain Shift", arXiv:2006.09462.
            Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural Networks",
            arXiv:1705.08500: the bound.
        """
        # `documents` needs SQLite, which not every Python has.
        from keras_qa.documents.retriever import retrieve

        check_option_names(self.calibrate, options)
        passages = to_integer("passages", passages)
        check_positive_integers(batch_size=batch_size)
        data = to_examples(examples)
        if not data:
            raise ValueError("`examples` is empty. Give some to calibrate on.")
        model, own = self._fitted()
        task = _reader(model, own, options)
        shown = len(data) > _QUESTIONS if verbose == "auto" else verbose
        found = retrieve(index, [item.question for item in data], passages)
        read = [
            dataclasses.replace(_example(hits, item.question), answers=item.answers)
            for hits, item in zip(found, data, strict=True)
        ]
        temperature, weight, ranked = task.fit_retrieval(
            model, read, [_priors(hits, 1.0) or [0.0] for hits in found], _SPANS, batch_size, shown
        )
        best = [merged(answers, hits)[0] for answers, hits in zip(ranked, found, strict=True)]
        given = [(one, item) for one, item in zip(best, data, strict=True) if one.text]
        precisions, thresholds = decoding.precision_thresholds(
            [answer.score for answer, _ in given],
            [metrics.exact_match(answer.text, item.answers or ("",)) for answer, item in given],
        )
        assert isinstance(own, SpanTask)
        own.asking = AskCalibration(
            temperature,
            RETRIEVAL_WEIGHT if weight is None else weight,
            passages,
            _given(options),
            tuple(precisions.tolist()),
            tuple(thresholds.tolist()),
        )
        return own.asking

    def _fitted(self) -> tuple[QAModel, Task]:
        """The trained model, and its way of answering."""
        raise NotImplementedError


def _check_weights(min_score: float | None, retrieval_weight: float | None) -> None:
    if min_score is not None:
        check_fraction("min_score", min_score)
    if retrieval_weight is not None and not (
        is_number(retrieval_weight) and 0 <= retrieval_weight < float("inf")
    ):
        expected = "a finite non-negative number"
        raise ValueError(must_be("retrieval_weight", expected, retrieval_weight))


def _least_score(
    fitted: AskCalibration | None, min_precision: float, asked: Mapping[str, object]
) -> float:
    """The score that comes to a precision, where what is asked is as it was calibrated."""
    if asked["min_score"] is not None:
        raise ValueError(
            "`min_score` and `min_precision` both say which answers to give. Leave one of them out."
        )
    if fitted is None:
        raise ValueError(
            "`min_precision` needs to know how often answers are right: call "
            "`calibrate(index, examples)` first, with questions whose answers are known."
        )
    threshold = fitted.threshold(min_precision)
    own = {"passages": fitted.passages, "retrieval_weight": fitted.retrieval_weight}
    for name, value in asked.items():
        if value is not None and value != {**own, **fitted.options}.get(name):
            raise ValueError(
                f"`min_precision` is what `calibrate` found, which was not called with {name}="
                f"{value!r}. Leave `{name}` out, or calibrate with it."
            )
    return threshold


def _given(options: AskOptions) -> AskOptions:
    """The options that are not left as they are."""
    return cast(AskOptions, {name: one for name, one in options.items() if one is not None})


def _reader(model: QAModel, task: Task, options: AskOptions) -> SpanTask:
    """The way of answering, with some options. Warns where each passage would have an answer."""
    task = building.asked_with(model, task, options)
    if not isinstance(task, SpanTask):
        raise ValueError(
            f"Only readers of spans answer from documents, but this model {task.does}."
        )
    if not task.decoder.no_answer and options.get("no_answer") is None:
        warnings.warn(
            "This reader has not learned to say that a passage has no answer, and finds one in "
            "each. Train it with such examples; or say `no_answer=True` if it has learned it "
            "elsewhere, and `no_answer=False` if not.",
            stacklevel=3,
        )
    return task


def _example(hits: Sequence[Hit], question: str) -> Example:
    """The passages of a question, which are one text. Where nothing was found, nothing is read."""
    return Example([hit.text for hit in hits] or [""], question)


def _priors(hits: Sequence[Hit], weight: float) -> list[float]:
    """How much likelier an answer stands in each passage, as a logarithm."""
    scores = [hit.score for hit in hits]
    # Where none fits better than another, or that does not count, a score may be any number.
    if not weight or len(set(scores)) < 2:
        return [0.0] * len(hits)
    best = max(scores)
    if not np.isfinite(scores).all() or best <= 0:
        raise ValueError(
            "The scores of hits count by their share of the best one, which must be positive, and "
            f"all finite. Received: {', '.join(f'{score:g}' for score in scores[:5])}. Give "
            "others, or ask with `retrieval_weight=0`."
        )
    return [-weight * (1 - score / best) for score in scores]


def _sure(answers: list[Answer], min_score: float | None) -> list[Answer]:
    """The answers that are sure enough; that there is none, where no other is."""
    if min_score is None:
        return answers
    kept = [answer for answer in answers if not answer.text or answer.score >= min_score]
    return kept or [Answer("", 1.0 - answers[0].score)]
