"""`ask` and `calibrate`: questions to an index of documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Unpack, cast, overload

import numpy as np

from keras_qa._arguments import (
    check_fraction,
    check_positive_integers,
    to_optional_integer,
)
from keras_qa._terminal import Bar
from keras_qa.answering.document_answers import (
    AnyReranker,
    Candidate,
    Selection,
    add_boxes,
    feature_rows,
    find_candidates,
    open_ranker,
    passages_to_read,
    rank_candidates,
    read_passages,
    select_passages,
)
from keras_qa.answering.encoded_text import AnswerOptions, AnswerResult, Questions
from keras_qa.answering.estimator import Estimator, Examples
from keras_qa.answering.opening import DEFAULT_RANKER, is_default
from keras_qa.answering.reranker import Reranker
from keras_qa.example import Answer, select_answers, to_examples, to_questions
from keras_qa.metrics.answers import contains_answer
from keras_qa.preprocessing.ask_calibration import AskCalibration, AskOptions, check_option_names
from keras_qa.preprocessing.confidence import cross_fit, default_confidence
from keras_qa.preprocessing.preprocessor import Preprocessor, Verbose
from keras_qa.preprocessing.selective import precision_thresholds

if TYPE_CHECKING:
    from keras_qa.documents import Retriever

# Number of questions that are searched and read at a time. More show a progress bar.
_QUESTIONS = 256


class RetrievalOptions(AnswerOptions, total=False):
    """Options of `QuestionAnswerer.ask`, which documents them."""

    passages: int | None
    min_score: float | None
    min_precision: float | None
    ranker: AnyReranker | None
    candidates: int | None
    boxes: bool


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
        batch_size: int = 32,
        verbose: Verbose = "auto",
        min_precision: float | None = None,
        ranker: AnyReranker | None = "auto",
        candidates: int | None = None,
        boxes: bool = True,
        **options: Unpack[AskOptions],
    ) -> AnswerResult:
        """Answers one or more questions from the documents of an index.

        The best passages for a question are read with it, with the headings above them. A score is
        the probability that the answer is right, by a logistic regression over what is known of it,
        see `preprocessing.confidence`. "No answer" has the probability that no document answers the
        question. Equal answers are one answer with several places. An answer that overlaps a better
        one is left out. The weights are those for `minilm-squad`: with another reader, only
        `calibrate` makes scores probabilities.

        Args:
            index: A `documents.Index`, or another `documents.Retriever`: an object with a method
                `search(questions, k)`.
            question: A question, or an iterable of questions, such as a list or a pandas Series.
            top_k: Number of answers to each question, best first. `None` for the best one only.
            passages: Number of passages to read for each question. `None` for the value of
                `calibrate`, and without it 7 with a ranker and 10 without one.
            min_score: Minimum score of an answer. If no answer reaches it, the answer is empty.
            batch_size: Number of windows in a step.
            verbose: 0 is silent, 1 shows a progress bar, `"auto"` shows it for many questions.
            min_precision: Minimum share of right answers. It sets `min_score` by the result of
                `calibrate`, with a confidence of 0.9.
            ranker: An `answering.Reranker`, or what `keras_qa.load` takes: a preset is loaded once
                in a process, another name in each call. It sorts the `candidates` of the search,
                and the first `passages` are read. `"auto"` for `ranker_`, which is `minilm-rerank`
                for the reader `minilm-squad`, and none for others. `None` for none.
            candidates: Number of passages that the ranker sorts. `None` for 16, as in `calibrate`.
            boxes: Whether answers from PDF files get `boxes`, which reads their pages again.
            **options: As in `answer`. Missing ones have the values of `calibrate`.

        Returns:
            An `Answer`, or with `top_k` a list of answers, best first. For several questions a list
            with one entry for each. Answers have `document`, `line` and `page`, and `start` and
            `end` in the document's text. The empty answer, yes and no have none of these.

        Raises:
            TypeError: If an argument has the wrong type, or `index` is not a retriever.
            ValueError: If an argument is out of its range or does not apply to the reader, or with
                `min_precision` if the answerer is not calibrated, or no score reaches it.

        Reference:
            Chen et al. 2017, "Reading Wikipedia to Answer Open-Domain Questions", arXiv:1704.00051.
            Kamath et al. 2020, arXiv:2006.09462: the logistic regression.
        """
        check_option_names(self.ask, options)
        top_k = to_optional_integer("top_k", top_k)
        passages = to_optional_integer("passages", passages)
        candidates = to_optional_integer("candidates", candidates)
        check_positive_integers(batch_size=batch_size)
        if min_score is not None:
            check_fraction("min_score", min_score)
        model, preprocessor = self._fitted()
        ranker = open_ranker(self.ranker_ if ranker == "auto" else ranker)
        has_ranker = ranker is not None
        fitted = preprocessor.asking
        if min_precision is not None:
            given = {"passages": passages, "candidates": candidates, **options}
            if min_score is not None:
                raise ValueError(
                    "`min_score` and `min_precision` exclude each other. Leave one of them out."
                )
            min_score = _min_score(fitted, min_precision, given, has_ranker)
        confidence = default_confidence(has_ranker)
        if fitted is not None:
            passages = passages or fitted.passages
            options = {**fitted.options, **_without_none(options)}
            if fitted.has_ranker == has_ranker:
                confidence = fitted.confidence
        passages = passages or passages_to_read(ranker)
        reader = preprocessor.for_documents(model, options)
        several = not isinstance(question, str)
        questions = to_questions(question)
        count = top_k or 1
        ranked: list[list[Answer]] = []
        for selection, results in self._find_candidates(
            index, questions, reader, passages, ranker, batch_size, verbose, candidates
        ):
            answers = rank_candidates(results, selection[0], confidence, reader.knows_no_answer)
            answers = _above(min_score, answers)[:count]
            ranked.append(add_boxes(index, answers) if boxes else answers)
        return select_answers(ranked, top_k, several) if questions else []

    def calibrate(
        self,
        index: Retriever,
        examples: Examples,
        passages: int | None = None,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        ranker: AnyReranker | None = "auto",
        **options: Unpack[AskOptions],
    ) -> AskCalibration:
        """Fits the scores of `ask` to questions with known answers.

        The weights of `ask` stay close to those without a calibration if there are few questions;
        50 help. Then the minimum scores for `min_precision` of `ask` are found, by a five-fold
        cross-validation. An answer is right if it is an accepted one, alone or with at most three
        more words. The precision above a score is a lower bound with a confidence of 0.9. If users
        will ask questions that the documents do not answer, the examples must contain such.

        The result is stored in `model_.preprocessor.asking`, and saved with the model. `ask` uses
        it, including its passages and options, until the next `fit`. The attribute `ranker_`
        changes, too: to `"minilm-rerank"` if that was the ranker, otherwise to `None`.

        Args:
            index: As in `ask`.
            examples: Examples, or mappings with the same keys. Only questions and answers are used.
                Pass no examples of the test set.
            passages, batch_size, verbose, **options: As in `ask`.
            ranker: As in `ask`, which needs the same one for `min_precision`.

        Returns:
            The settings: `confidence`, `has_ranker`, `passages`, `options`, and with
            `threshold(min_precision)` the minimum score for a precision.

        Raises:
            ValueError: As `ask`, or if there are no examples or no answer is right.

        Reference:
            Kamath et al. 2020, "Selective Question Answering under Domain Shift", arXiv:2006.09462.
            Geifman and El-Yaniv 2017, arXiv:1705.08500: the bound.
        """
        check_option_names(self.calibrate, options)
        passages = to_optional_integer("passages", passages)
        check_positive_integers(batch_size=batch_size)
        data = to_examples(examples)
        if not data:
            raise ValueError("`examples` is empty. Give some to calibrate on.")
        model, preprocessor = self._fitted()
        reader = preprocessor.for_documents(model, options)
        name = self.ranker_ if ranker == "auto" else ranker
        ranker, questions = open_ranker(name), [item.question for item in data]
        passages = passages or passages_to_read(ranker)
        results = self._find_candidates(
            index, questions, reader, passages, ranker, batch_size, verbose
        )
        features, right = [], []
        for (_, candidates), item in zip(results, data, strict=True):
            features.append(feature_rows(candidates))
            right.append(
                np.array([contains_answer(entry.text, item.answers) for entry in candidates], bool)
            )
        if not any(row.any() for row in right):
            raise ValueError(
                "No answer from these documents is right. Give examples whose answers they contain."
            )
        answerable = [bool(item.answers) for item in data]
        start = default_confidence(ranker is not None)
        scores, is_right = cross_fit(start, features, right, answerable, reader.knows_no_answer)
        precisions, thresholds = precision_thresholds(scores, is_right)
        preprocessor.asking = AskCalibration(
            start.fit(features, right, answerable),
            ranker is not None,
            passages,
            _without_none(options),
            is_default(name, DEFAULT_RANKER),
            precisions=tuple(precisions.tolist()),
            thresholds=tuple(thresholds.tolist()),
        )
        self.ranker_ = DEFAULT_RANKER if preprocessor.asking.default_ranker else None
        return preprocessor.asking

    def _find_candidates(
        self,
        index: Retriever,
        questions: list[str],
        reader: Preprocessor,
        passages: int,
        ranker: Reranker | None,
        batch_size: int,
        verbose: Verbose,
        candidates: int | None = None,
    ) -> Iterator[tuple[Selection, list[Candidate]]]:
        """Yields for each question the passages that are read, and what may answer it."""
        shown = len(questions) > _QUESTIONS if verbose == "auto" else verbose
        bar = Bar(len(questions)) if shown else None
        for start in range(0, len(questions), _QUESTIONS):
            part = questions[start : start + _QUESTIONS]
            selections = select_passages(index, part, passages, ranker, batch_size, candidates)
            spans = read_passages(self.model_, reader, part, selections, batch_size)
            for question, selection, row in zip(part, selections, spans, strict=True):
                yield selection, find_candidates(question, selection, row)
            if bar is not None:
                bar.show(start + len(part))
        if bar is not None:
            bar.end(len(questions))


def _min_score(
    fitted: AskCalibration | None,
    min_precision: float,
    options: Mapping[str, object],
    has_ranker: bool,
) -> float:
    """Returns the minimum score for a precision, which depends on the settings of `calibrate`."""
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
    if has_ranker != fitted.has_ranker:
        raise ValueError(
            "`min_precision` needs the `ranker` that `calibrate` had, or none if it had none. "
            "Calibrate again with or without a ranker, as you ask."
        )
    return fitted.threshold(min_precision)


def _without_none(options: AskOptions) -> AskOptions:
    return cast(AskOptions, {name: value for name, value in options.items() if value is not None})


def _above(min_score: float | None, answers: list[Answer]) -> list[Answer]:
    """Returns "no answer" and the answers that reach a score."""
    if min_score is None:
        return answers
    kept = [answer for answer in answers if not answer.text or answer.score >= min_score]
    return kept or [Answer("", 1.0 - answers[0].score)]
