"""`ask` and `calibrate`: questions to an index of documents."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack, cast, overload

import numpy as np

from keras_qa import metrics
from keras_qa._arguments import (
    check_fraction,
    check_positive_integers,
    is_number,
    must_be,
    to_integer,
    to_optional_integer,
)
from keras_qa._terminal import Bar
from keras_qa.answering.document_answers import (
    AnyReranker,
    Selection,
    log_priors,
    merge_answers,
    open_ranker,
    select_passages,
)
from keras_qa.answering.encoded_text import AnswerOptions, AnswerResult, Questions
from keras_qa.answering.estimator import Estimator
from keras_qa.example import Answer, Example, select_answers, to_examples, to_questions
from keras_qa.preprocessing.ask_calibration import AskCalibration, AskOptions, check_option_names
from keras_qa.preprocessing.calibration import combine_priors
from keras_qa.preprocessing.preprocessor import Verbose
from keras_qa.preprocessing.selective import precision_thresholds

if TYPE_CHECKING:
    from keras_qa.documents import Retriever

# Defaults without a calibration. The retrieval weight is the log-odds between an answer in the best
# passage and in a passage with a retrieval score of 0. A trained ranker's logits are log-odds.
RETRIEVAL_WEIGHT, RANKER_WEIGHT, PASSAGES = 4.0, 1.0, 10

# Number of questions that are searched and read at a time. More show a progress bar.
_QUESTIONS = 256
# Number of spans to decode for each requested answer, before equal answers are merged.
_SPANS = 20


class RetrievalOptions(AnswerOptions, total=False):
    """Options of `QuestionAnswerer.ask`, which documents them."""

    passages: int | None
    min_score: float | None
    retrieval_weight: float | None
    min_precision: float | None
    ranker: AnyReranker | None
    candidates: int | None


class RetrievalMixin(Estimator):
    """Methods that answer questions from an index of documents."""

    @overload
    def ask(
        self,
        index: Retriever,
        question: str,
        top_k: None = None,
        **options: Unpack[RetrievalOptions],
    ) -> Answer: ...

    @overload
    def ask(
        self,
        index: Retriever,
        question: str,
        top_k: int,
        **options: Unpack[RetrievalOptions],
    ) -> list[Answer]: ...

    @overload
    def ask(
        self,
        index: Retriever,
        question: Questions,
        top_k: None = None,
        **options: Unpack[RetrievalOptions],
    ) -> list[Answer]: ...

    @overload
    def ask(
        self,
        index: Retriever,
        question: Questions,
        top_k: int,
        **options: Unpack[RetrievalOptions],
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
        ranker: AnyReranker | None = None,
        candidates: int | None = None,
        **options: Unpack[AskOptions],
    ) -> AnswerResult:
        """Answers one or more questions from the documents of an index.

        The best passages for a question are read with it. One softmax over the spans of all of
        them, and "no answer", makes their scores comparable. The logit of a span is increased by
        `-retrieval_weight * (1 - score / best score)`, with the retrieval score of its passage, and
        with a `ranker` by `-ranker_weight * (best logit - logit)`, with the ranker's logit and the
        weight of `calibrate`, or 1.0 without it.
        Equal answers are merged: their scores are added, and all places are kept. An answer that
        overlaps a better one is dropped.

        Args:
            index: A `documents.Index`, or another `documents.Retriever`: an object with a method
                `search(questions, k)`.
            question: A question, or an iterable of questions, such as a list or a pandas Series.
            top_k: Number of answers to each question, best first. `None` for the best one only.
            passages: Number of passages to read for each question. `None` for the value of
                `calibrate`, or 10 without it.
            min_score: Minimum score of an answer. If no answer reaches it, the answer is empty.
            retrieval_weight: Weight of the retrieval score; 0 ignores it. `None` for the value of
                `calibrate`, or 4.0 without it.
            batch_size: Number of windows in a step.
            verbose: 0 is silent, 1 shows a progress bar, `"auto"` shows it for many questions.
            min_precision: Minimum share of right answers. It sets `min_score` by the result of
                `calibrate`, with a confidence of 0.9.
            ranker: An `answering.Reranker`, or what `keras_qa.load` takes: a name is loaded in each
                call. It sorts the `candidates` of the search, and the first `passages` are read.
            candidates: Number of passages that the ranker sorts. `None` for 50, as in `calibrate`.
            **options: As in `answer`. Missing ones have the values of `calibrate`.

        Returns:
            An `Answer`, or with `top_k` a list of answers, best first. For several questions a list
            with one entry for each. Answers have `document`, `line` and `page`, and `start` and
            `end` in the document's text. The empty answer, yes and no have none of these.

        Raises:
            TypeError: If an argument has the wrong type, or `index` is not a retriever.
            ValueError: If an argument is out of its range or does not apply to the reader, or the
                scores of passages cannot be compared. With `min_precision` also if the answerer is
                not calibrated, with a ranker if there is one, or no score reaches it.

        Reference:
            Chen et al. 2017, "Reading Wikipedia to Answer Open-Domain Questions",
            arXiv:1704.00051. Clark and Gardner 2018, arXiv:1710.10723: shared normalization.
        """
        check_option_names(self.ask, options)
        top_k = to_optional_integer("top_k", top_k)
        passages = to_optional_integer("passages", passages)
        candidates = to_optional_integer("candidates", candidates)
        check_positive_integers(batch_size=batch_size)
        _check_weights(min_score, retrieval_weight)
        model, preprocessor = self._fitted()
        ranker = open_ranker(ranker)
        fitted = preprocessor.asking
        if min_precision is not None:
            min_score = _min_score(
                fitted,
                min_precision,
                {
                    "min_score": min_score,
                    "passages": passages,
                    "retrieval_weight": retrieval_weight,
                    "candidates": candidates,
                    **options,
                },
                ranker is not None,
            )
        calibration = fitted or AskCalibration(1.0, RETRIEVAL_WEIGHT, PASSAGES)
        passages = passages or calibration.passages
        options = {**calibration.options, **_without_none(options)}
        weights = (
            calibration.retrieval_weight if retrieval_weight is None else retrieval_weight,
            RANKER_WEIGHT if calibration.ranker_weight is None else calibration.ranker_weight,
        )
        temperature = None if fitted is None else fitted.temperature
        reader = preprocessor.for_documents(model, options, temperature)
        several = not isinstance(question, str)
        questions = to_questions(question)
        shown = len(questions) > _QUESTIONS if verbose == "auto" else verbose
        count = top_k or 1
        ranked: list[list[Answer]] = []
        bar = Bar(len(questions)) if shown else None
        for start in range(0, len(questions), _QUESTIONS):
            part = questions[start : start + _QUESTIONS]
            selections = select_passages(index, part, passages, ranker, batch_size, candidates)
            priors = [log_priors(selection, bool(weights[0])) for selection in selections]
            spans = reader.answer_from_passages(
                model,
                _examples(selections, part),
                [combine_priors(prior, weights, np.array([0])).tolist() for prior in priors],
                _SPANS * count,
                batch_size,
            )
            for answers, (retrieved, _) in zip(spans, selections, strict=True):
                ranked.append(_above(min_score, merge_answers(answers, retrieved))[:count])
            if bar is not None:
                bar.show(len(ranked))
        if bar is not None:
            bar.end(len(questions))
        return select_answers(ranked, top_k, several) if questions else []

    def calibrate(
        self,
        index: Retriever,
        examples: Iterable[Example | Mapping[str, Any]],
        passages: int = PASSAGES,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        ranker: AnyReranker | None = None,
        **options: Unpack[AskOptions],
    ) -> AskCalibration:
        """Fits the settings of `ask` on questions with known answers.

        The weights of the retrieval and of a ranker, if there is one, and the temperature maximize
        the likelihood of the right answers, wherever a passage mentions them. The temperature stays
        1.0 unless another one helps in a five-fold cross-validation. Then the minimum scores for
        `min_precision` of `ask` are found.
        An answer is right if `metrics.exact_match` is 1. The precision above a score is a lower
        bound with a confidence of 0.9. If users will ask questions that the documents do not
        answer, the examples must contain such questions.

        The result is stored in `model_.preprocessor.asking`, and saved with the model. `ask` uses
        it, including its passages and options, until the next `fit`.

        Args:
            index: As in `ask`.
            examples: Examples, or mappings with the same keys. Only questions and answers are used.
                Pass several hundred, and no examples of the test set.
            passages: Number of passages to read for each question.
            batch_size: Number of windows in a step.
            verbose: As in `ask`.
            ranker: As in `ask`, which needs the same one for `min_precision`.
            **options: As in `answer`.

        Returns:
            The settings: `temperature`, `retrieval_weight`, `ranker_weight` if there is a ranker,
            `passages`, `options`, and with `threshold(min_precision)` the minimum score for a
            precision.

        Raises:
            TypeError: As `ask`, or if an example or one of its fields has the wrong type.
            ValueError: As `ask`, or if there are no examples or no retrieved passage has a right
                answer.

        Reference:
            Kamath et al. 2020, "Selective Question Answering under Domain Shift", arXiv:2006.09462.
            Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural Networks",
            arXiv:1705.08500: the bound.
        """
        check_option_names(self.calibrate, options)
        passages = to_integer("passages", passages)
        check_positive_integers(batch_size=batch_size)
        data = to_examples(examples)
        if not data:
            raise ValueError("`examples` is empty. Give some to calibrate on.")
        model, preprocessor = self._fitted()
        reader = preprocessor.for_documents(model, options)
        shown = len(data) > _QUESTIONS if verbose == "auto" else verbose
        ranker, questions = open_ranker(ranker), [item.question for item in data]
        selections = select_passages(index, questions, passages, ranker, batch_size)
        read = [
            dataclasses.replace(example, answers=item.answers)
            for example, item in zip(_examples(selections, questions), data, strict=True)
        ]
        priors = [log_priors(selection).tolist() for selection in selections]
        temperature, (weight, ranker_weight), ranked = reader.calibrate_passages(
            model, read, priors, _SPANS, batch_size, shown
        )
        answered = []
        for answers, (retrieved, _), item in zip(ranked, selections, data, strict=True):
            best = merge_answers(answers, retrieved)[0]
            if best.text:
                answered.append((best.score, metrics.exact_match(best.text, item.answers or ("",))))
        precisions, thresholds = precision_thresholds(
            [score for score, _ in answered], [is_right for _, is_right in answered]
        )
        preprocessor.asking = AskCalibration(
            temperature,
            RETRIEVAL_WEIGHT if weight is None else weight,
            passages,
            _without_none(options),
            tuple(precisions.tolist()),
            tuple(thresholds.tolist()),
            RANKER_WEIGHT if ranker is not None and ranker_weight is None else ranker_weight,
        )
        return preprocessor.asking


def _check_weights(min_score: float | None, retrieval_weight: float | None) -> None:
    if min_score is not None:
        check_fraction("min_score", min_score)
    if retrieval_weight is not None and not (
        is_number(retrieval_weight) and 0 <= retrieval_weight < float("inf")
    ):
        expected = "a finite non-negative number"
        raise ValueError(must_be("retrieval_weight", expected, retrieval_weight))


def _min_score(
    fitted: AskCalibration | None,
    min_precision: float,
    options: Mapping[str, object],
    has_ranker: bool,
) -> float:
    """Returns the minimum score for a precision, which depends on the settings of `calibrate`."""
    if options["min_score"] is not None:
        raise ValueError(
            "`min_score` and `min_precision` exclude each other. Leave one of them out."
        )
    if fitted is None:
        raise ValueError(
            "`min_precision` needs a calibration. Call `calibrate(index, examples)` first, with "
            "questions whose answers are known."
        )
    for name, value in options.items():
        if value is not None:
            raise ValueError(
                f"`min_precision` answers with the settings of `calibrate`. Leave `{name}` out, or "
                "calibrate with it."
            )
    if has_ranker != (fitted.ranker_weight is not None):
        raise ValueError(
            "`min_precision` needs the `ranker` that `calibrate` had, or none if it had none. "
            "Calibrate again with or without a ranker, as you ask."
        )
    return fitted.threshold(min_precision)


def _without_none(options: AskOptions) -> AskOptions:
    return cast(AskOptions, {name: value for name, value in options.items() if value is not None})


def _examples(selections: Sequence[Selection], questions: Sequence[str]) -> list[Example]:
    """Returns the passages of each question as one text, empty if there are no passages."""
    return [
        Example([passage.text for passage in retrieved] or [""], question)
        for (retrieved, _), question in zip(selections, questions, strict=True)
    ]


def _above(min_score: float | None, answers: list[Answer]) -> list[Answer]:
    """Returns "no answer" and the answers that reach a score."""
    if min_score is None:
        return answers
    kept = [answer for answer in answers if not answer.text or answer.score >= min_score]
    return kept or [Answer("", 1.0 - answers[0].score)]
