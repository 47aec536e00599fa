"""The official scores of SQuAD, and of MLQA for other languages."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from keras_qa._arguments import check_choice
from keras_qa.example import Example, to_examples
from keras_qa.metrics.answers import normalize_answer, word_f1

Normalize = Callable[[str], str]

VERSIONS = ("1.1", "2.0")

# Examples with ids, or the JSON of SQuAD, or its list of articles.
References = Iterable[Example | Mapping[str, Any]] | Mapping[str, Any]

# The id of a question and its right answers.
_Gold = tuple[Any, Sequence[str]]

# "exact" and "f1" of each question, by id.
_Scores = dict[str, dict[Any, float]]


def squad(
    predictions: Mapping[str, str] | Sequence[str],
    references: References,
    version: str = "1.1",
    no_answer_probabilities: Mapping[str, float] | Sequence[float] | None = None,
    no_answer_threshold: float = 1.0,
    language: str | None = None,
) -> dict[str, float]:
    """Computes the official scores of SQuAD, in percent.

    The scores equal the output of `evaluate-v1.1.py` and `evaluate-v2.0.py` in every digit. In
    version 1.1, a question without a prediction scores 0. In version 2.0, the empty string is right
    for questions without an answer.

    Args:
        predictions: The answers by question id, or a list of the answers to `Example` objects. The
            empty string means "no answer". Unknown ids are ignored.
        references: The right answers: `Example` objects with ids, or SQuAD's parsed JSON, `{"data":
            [...]}` or its list of articles. For a list of answers, `Example` objects in the same
            order.
        version: `"1.1"` or `"2.0"`.
        no_answer_probabilities: Scores of "no answer", given like the answers, on any scale that
            increases with confidence. Version 2.0 only.
        no_answer_threshold: If the score of "no answer" is higher, the prediction is replaced by
            the empty string.
        language: Code of the language of the answers, such as `"de"`, for the scores of MLQA (Lewis
            et al. 2020, arXiv:1910.07475), see `normalize_answer`. `None` for SQuAD.

    Returns:
        In version 1.1 `exact_match` and `f1`. In version 2.0 `exact`, `f1` and `total`; the same
        with the prefixes `HasAns_` and `NoAns_` for questions with and without an answer, if there
        are any; and with `no_answer_probabilities` the scores at the best threshold and that
        threshold: `best_exact`, `best_exact_thresh`, `best_f1`, `best_f1_thresh`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If `version` or `language` is unknown; if `references` is empty or one has no
            id; if a question of version 1.1 has no right answer; or if a question of version 2.0
            has no prediction or no probability.

    Reference:
        Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text",
        arXiv:1606.05250. Rajpurkar et al. 2018, "Know What You Don't Know: Unanswerable Questions
        for SQuAD", arXiv:1806.03822.

    Examples:
        >>> from keras_qa import Example
        >>> from keras_qa.metrics import squad
        >>> where = Example("Mary went home.", "Where is Mary?", "home", id="q1")
        >>> why = Example("Mary went home.", "Why?", id="q2")
        >>> squad(["Home!"], [where])
        {'exact_match': 100.0, 'f1': 100.0}
        >>> scores = squad({"q1": "her home", "q2": ""}, [where, why], version="2.0")
        >>> scores["exact"], round(scores["f1"], 1), scores["NoAns_f1"]
        (50.0, 83.3, 100.0)
    """
    check_choice("version", version, VERSIONS)
    normalize = functools.partial(normalize_answer, language=language)
    normalize("")
    if isinstance(predictions, (list, tuple)):
        examples = to_examples(cast("Iterable[Example]", references))
        predictions = _by_position("predictions", predictions, examples)
        if no_answer_probabilities is not None:
            no_answer_probabilities = _by_position(
                "no_answer_probabilities", no_answer_probabilities, examples
            )
        golds: list[_Gold] = [(position, item.answers) for position, item in enumerate(examples)]
    else:
        golds = _golds(references)
    if not golds:
        raise ValueError("`references` must hold at least one question. Received none.")
    predictions = _mapping("predictions", predictions)
    for id, _ in golds:
        if not isinstance(predictions.get(id, ""), str):
            raise TypeError(
                f"`predictions` must map ids to strings. Received: {predictions[id]!r} for the "
                f'question {id!r}. Use "" for no answer.'
            )
    if version == "1.1":
        if no_answer_probabilities is not None:
            raise ValueError(
                '`no_answer_probabilities` are for version="2.0". Received: version="1.1".'
            )
        return _squad_1(predictions, golds, normalize)
    _check_complete("predictions", predictions, golds)
    raw = _raw_scores(predictions, golds, normalize)
    if no_answer_probabilities is None:
        return _squad_2(golds, raw, dict.fromkeys(predictions, 0.0), no_answer_threshold)
    probabilities = _mapping("no_answer_probabilities", no_answer_probabilities)
    _check_complete("no_answer_probabilities", probabilities, golds)
    for id, value in probabilities.items():
        if value != value:
            raise ValueError(
                f"`no_answer_probabilities` must be numbers. Received: nan for the question {id!r}."
            )
    scores = _squad_2(golds, raw, probabilities, no_answer_threshold)
    return scores | _best_thresholds(predictions, golds, raw, probabilities)


def _squad_1(
    predictions: Mapping[str, str], golds: Sequence[_Gold], normalize: Normalize
) -> dict[str, float]:
    exact: float = 0
    overlap: float = 0
    for id, answers in golds:
        if id not in predictions:
            continue
        if not answers:
            raise ValueError(
                "`references` must have an answer for each question in version 1.1. Received none "
                f'for {id!r}. Pass version="2.0".'
            )
        predicted = normalize(predictions[id])
        expected = [normalize(answer) for answer in answers]
        exact += predicted in expected
        # In version 1.1 the F1 of two empty answers is 0.
        overlap += max(word_f1(predicted, answer) if predicted else 0 for answer in expected)
    return {"exact_match": 100.0 * exact / len(golds), "f1": 100.0 * overlap / len(golds)}


def _squad_2(
    golds: Sequence[_Gold], raw: _Scores, probabilities: Mapping[Any, float], threshold: float
) -> dict[str, float]:
    answerable = {id: bool(answers) for id, answers in golds}
    chosen = {
        name: {
            id: float(not answerable[id]) if probabilities[id] > threshold else score
            for id, score in by_id.items()
        }
        for name, by_id in raw.items()
    }
    parts = {
        "": list(answerable),
        "HasAns_": [id for id in answerable if answerable[id]],
        "NoAns_": [id for id in answerable if not answerable[id]],
    }
    scores: dict[str, float] = {}
    for name, ids in parts.items():
        if ids:
            for kind, by_id in chosen.items():
                scores[f"{name}{kind}"] = 100.0 * sum(by_id[id] for id in ids) / len(ids)
            scores[f"{name}total"] = len(ids)
    return scores


def _raw_scores(
    predictions: Mapping[str, str], golds: Sequence[_Gold], normalize: Normalize
) -> _Scores:
    exact: dict[Any, float] = {}
    overlap: dict[Any, float] = {}
    for id, answers in golds:
        predicted = normalize(predictions[id])
        # The official script ignores answers of articles and punctuation only.
        expected = [gold for gold in map(normalize, answers) if gold] or [""]
        exact[id] = int(predicted in expected)
        overlap[id] = max(word_f1(predicted, answer) for answer in expected)
    return {"exact": exact, "f1": overlap}


def _best_thresholds(
    predictions: Mapping[str, str],
    golds: Sequence[_Gold],
    raw: _Scores,
    probabilities: Mapping[str, float],
) -> dict[str, float]:
    answerable = {id: bool(answers) for id, answers in golds}
    ranked = sorted(probabilities, key=probabilities.__getitem__)
    best: dict[str, float] = {}
    for name, scores in raw.items():
        # Start with "no answer" for all questions.
        score: float = sum(not answerable[id] for id in answerable)
        highest, threshold = score, 0.0
        for id in ranked:
            if id not in scores:
                continue
            if answerable[id]:
                score += scores[id]
            elif predictions[id]:
                score -= 1
            if score > highest:
                highest, threshold = score, probabilities[id]
        best[f"best_{name}"] = 100.0 * highest / len(scores)
        best[f"best_{name}_thresh"] = threshold
    return best


def _golds(references: Any) -> list[_Gold]:
    if isinstance(references, Mapping) and "data" in references:
        references = references["data"]
    if isinstance(references, (str, bytes, Mapping)) or not isinstance(references, Iterable):
        raise TypeError(
            "`references` must be a list of `Example` objects, or the JSON of SQuAD as "
            f"`json.load` gives it. Received: {str(references)[:80]!r} "
            f"(of type {type(references).__name__})."
        )
    golds: list[_Gold] = []
    for position, entry in enumerate(references):
        if isinstance(entry, Example):
            if entry.id is None:
                raise ValueError(
                    "`references` must have ids, which identify their predictions. Received none "
                    f"at position {position}."
                )
            golds.append((entry.id, entry.answers))
            continue
        try:
            golds += [
                (question["id"], [answer["text"] for answer in question["answers"]])
                for paragraph in entry["paragraphs"]
                for question in paragraph["qas"]
            ]
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(
                "`references` must hold `Example` objects or articles of SQuAD's JSON. The entry "
                f"at position {position} is neither: {type(error).__name__}: {error}."
            ) from None
    return golds


def _by_position(name: str, values: Any, examples: list[Example]) -> dict[Any, Any]:
    if not isinstance(values, (list, tuple)) or len(values) != len(examples):
        is_list = isinstance(values, (list, tuple))
        received = f"{len(values)} entries" if is_list else f"a {type(values).__name__}"
        raise ValueError(
            f"`{name}` must be a list with an entry for each of the {len(examples)} `references`. "
            f"Received: {received}."
        )
    return dict(enumerate(values))


def _mapping(name: str, value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(
            f"`{name}` must be a dict with question ids as keys. Received a {type(value).__name__}."
        )
    return value


def _check_complete(name: str, values: Mapping[str, object], golds: Sequence[_Gold]) -> None:
    missing = [id for id, _ in golds if id not in values]
    if missing:
        raise ValueError(
            f"`{name}` must have an entry for each question in version 2.0. Missing: "
            f"{len(missing)} of {len(golds)}, the first {missing[0]!r}."
        )
