"""`python -m benchmarks.confidence PROJECT...`: fits the weights of the scores of `ask`.

Each PROJECT is a folder with `docs/` and `questions.jsonl`, as `benchmarks.documents` reads them,
that the reader and the ranker did not learn from. The figures that are printed are of weights that
were fitted without the project that is asked. "No answer" is made less likely as long as the share
`--refused` of the unanswerable questions is refused. `--ablate` also prints what each feature is
worth. `--out keras_qa/preprocessing/confidence.json` writes the weights fitted to all projects.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import pickle
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

import keras_qa
from benchmarks.documents import Asked, add, exactness, summarize
from benchmarks.documents import read as read_rows
from benchmarks.measure import RESULTS, circumstances
from keras_qa.answering.document_answers import (
    feature_rows,
    find_candidates,
    passages_to_read,
    read_passages,
    select_passages,
)
from keras_qa.metrics.answers import contains_answer, plain_words
from keras_qa.preprocessing.confidence import FEATURES, Confidence, default_confidence

# The fit starts from no knowledge, except that no answer is likelier the less likely an answer is.
START = Confidence({}, -2.0, (-1.0, -0.5))
STRENGTH = 0.3
# What may become of an answerable question.
KINDS = ("right", "refused", "outranked", "not marked", "not retrieved")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.confidence", description=__doc__)
    parser.add_argument("projects", nargs="+", type=pathlib.Path)
    parser.add_argument("--reader", default="minilm-squad", help="as `keras_qa.load` takes it")
    parser.add_argument("--ranker", default="minilm-rerank", help="as `keras_qa.load` takes it")
    parser.add_argument("--passages", type=int, help="read so many of each question")
    parser.add_argument("--refused", type=float, default=65.0, help="in percent")
    parser.add_argument("--cache", type=pathlib.Path, help="keep what the models compute here")
    parser.add_argument("--only", choices=("search", "ranker"), help="fit these weights only")
    parser.add_argument("--ablate", action="store_true", help="leave out each feature in turn")
    parser.add_argument("--out", type=pathlib.Path, help="write the weights to this file")
    options = parser.parse_args()
    fitted = {}
    for kind in ("search", "ranker"):
        if options.only not in (None, kind):
            fitted[kind] = default_confidence(kind == "ranker").get_config()
            continue
        rows = [
            add_features(row)
            for project in options.projects
            for row in read(project, kind, options)
        ]
        shift = report(kind, rows, options.refused)
        if options.ablate:
            ablate(rows, options.refused)
        fitted[kind] = rounded(shifted(fit(rows), shift).get_config())
        print(json.dumps(fitted[kind]), flush=True)
    if options.out is not None:
        options.out.write_text(json.dumps(fitted, indent=2) + "\n")


def read(project: pathlib.Path, kind: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Returns the questions of a project with the passages that were read and their spans."""
    cache = options.cache and options.cache / f"{project.resolve().name}-{kind}.pickle"
    if cache and cache.exists():
        return pickle.loads(cache.read_bytes())  # type: ignore[no-any-return]
    questions = read_rows(project / "questions.jsonl")
    texts = [row["question"] for row in questions]
    model = keras_qa.load(options.reader).model_
    ranker = keras_qa.load(options.ranker) if kind == "ranker" else None
    count = options.passages or passages_to_read(ranker)
    with (
        tempfile.TemporaryDirectory() as folder,
        keras_qa.documents.Index.create(pathlib.Path(folder, "x.index")) as index,
    ):
        index.update(project / "docs", verbose=0)
        selections = select_passages(index, texts, count, ranker, 32)
        spans = read_passages(model, model.preprocessor, texts, selections, 32)
    rows = [
        {**row, "project": project.resolve().name, "selection": selection, "spans": found}
        for row, selection, found in zip(questions, selections, spans, strict=True)
    ]
    if cache:
        cache.write_bytes(pickle.dumps(rows))
    return rows


def add_features(row: dict[str, Any]) -> dict[str, Any]:
    """Adds the features of the candidates of a question, their texts, and which are right."""
    candidates = find_candidates(row["question"], row["selection"], row["spans"])
    right = np.array([contains_answer(item.text, row["answers"]) for item in candidates], bool)
    return {
        **row,
        "features": feature_rows(candidates),
        "texts": [item.text for item in candidates],
        "right": right,
        "answerable": bool(row["answers"]),
    }


def fit(rows: list[dict[str, Any]]) -> Confidence:
    """Fits weights to questions."""
    return START.fit(
        [row["features"] for row in rows],
        [row["right"] for row in rows],
        [row["answerable"] for row in rows],
        STRENGTH,
    )


def left_out(rows: list[dict[str, Any]], refused: float) -> tuple[dict[str, Confidence], float]:
    """Returns weights for each project, fitted to the others, and the shift of "no answer"."""
    projects = sorted({row["project"] for row in rows})
    others = {
        project: fit([row for row in rows if row["project"] != project]) for project in projects
    }

    def share(shift: float) -> float:
        pairs = [(row, shifted(others[row["project"]], shift)) for row in rows]
        return figures(pairs)["refused_unanswerable"]

    shift = max((n / 20 for n in range(-40, 40) if share(n / 20) >= refused), default=0.0)
    weights = {project: shifted(confidence, shift) for project, confidence in others.items()}
    return weights, shift


def report(kind: str, rows: list[dict[str, Any]], refused: float) -> float:
    """Adds the figures of left-out projects to the results. Returns the shift of "no answer"."""
    weights, shift = left_out(rows, refused)
    counts = failures(rows, weights)
    add(RESULTS / "documents.json", {"what": "failures", "kind": kind, "projects": counts}, {})
    record = {"what": "left out", "ranker": kind == "ranker", "projects": len(weights)}
    pairs = [(row, weights[row["project"]]) for row in rows]
    add(RESULTS / "documents.json", {**record, **figures(pairs)}, circumstances())
    return shift


def ablate(rows: list[dict[str, Any]], refused: float) -> None:
    """Prints the figures without each of the features."""
    for position, name in enumerate(FEATURES):
        without = np.arange(len(FEATURES)) != position
        changed = [{**row, "features": row["features"] * without} for row in rows]
        weights, _ = left_out(changed, refused)
        print(name, figures([(row, weights[row["project"]]) for row in changed]), flush=True)


def shifted(confidence: Confidence, shift: float) -> Confidence:
    """Returns weights with which "no answer" has a lower logit."""
    first, second = confidence.no_answer
    return dataclasses.replace(confidence, no_answer=(first - shift, second))


def failures(
    rows: list[dict[str, Any]], weights: dict[str, Confidence]
) -> dict[str, dict[str, int]]:
    """Counts for each project what became of its answerable questions."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        if not row["answerable"]:
            continue
        confidence = weights[row["project"]]
        chances = confidence.answers(row["features"])
        best = int(np.argmax(chances)) if len(chances) else None
        texts = [f" {plain_words(passage.text)} " for passage in row["selection"][0]]
        answers = [f" {plain_words(answer)} " for answer in row["answers"]]
        if best is not None and row["right"][best]:
            is_refused = confidence.unanswered(chances[best]) > chances[best]
            kind = "refused" if is_refused else "right"
        elif row["right"].any():
            kind = "outranked"
        elif any(answer in text for answer in answers for text in texts):
            kind = "not marked"
        else:
            kind = "not retrieved"
        project = counts.setdefault(row["project"], dict.fromkeys(KINDS, 0))
        project[kind] += 1
    return counts


def figures(rows: Sequence[tuple[dict[str, Any], Confidence]]) -> dict[str, float]:
    """Returns the figures of `benchmarks.documents` for questions with the weights of each."""
    forced: list[bool] = []
    results: list[Asked] = []
    for row, weights in rows:
        chances = weights.answers(row["features"])
        order = np.argsort(-chances, kind="stable")
        best = float(chances[order[0]]) if len(order) else 0.0
        nothing = weights.unanswered(best)
        is_refused = not len(order) or nothing > best
        right = row["right"][order]
        first = "" if is_refused else row["texts"][order[0]]
        exact, overlap = exactness(first, row["answers"])
        # "No answer" has its place in the list.
        most = 3 - int(nothing > chances[order[2]]) if len(order) > 2 else 3
        forced.append(row["answerable"] and bool(right[:1].any()))
        results.append(
            Asked(
                answerable=row["answerable"],
                answered=not is_refused,
                right=not is_refused and bool(right[:1].any()),
                right_among_three=bool(right[:most].any()),
                score=nothing if is_refused else best,
                exact_match=exact,
                f1=overlap,
            )
        )
    return summarize(results, forced)


def rounded(config: dict[str, Any]) -> dict[str, Any]:
    """Returns weights with three decimals."""
    return json.loads(json.dumps(config), parse_float=lambda text: round(float(text), 3))  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
