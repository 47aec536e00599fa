"""`python -m benchmarks.confidence FOLDER...`: fits the weights of the scores of `ask`.

Each FOLDER has `docs/` and `questions.jsonl`, as `benchmarks.documents` reads them. The folders in
`docs/` are projects: the figures that are printed are of weights that were fitted without the
project that is asked. In a second row each project is asked alone, so that the questions of the
others have no answer. "No answer" is made less likely as long as 75 % of the unanswerable questions
are refused. `--out keras_qa/preprocessing/confidence.json` writes the weights fitted to all of
them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import pickle
import tempfile
from typing import Any

import numpy as np

import keras_qa
from benchmarks.documents import Asked, add, summarize
from benchmarks.measure import RESULTS, circumstances
from keras_qa.answering.document_answers import (
    feature_rows,
    find_candidates,
    passages_to_read,
    read_passages,
    select_passages,
)
from keras_qa.metrics.answers import contains_answer, plain_words
from keras_qa.preprocessing.confidence import Confidence, default_confidence

# The fit starts from no knowledge, except that numbers of sections, which these questions do not
# ask for, are no answers, and that no answer is likelier the less likely an answer is.
START = Confidence({"section": -2.0}, -2.0, (-1.0, -0.5))
STRENGTH = 0.3
# The share of the unanswerable questions that are to be refused, in percent.
REFUSED = 75.0
# What may become of an answerable question.
KINDS = ("right", "refused", "outranked", "not marked", "not retrieved")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.confidence", description=__doc__)
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--cache", type=pathlib.Path, help="keep what the models compute here")
    parser.add_argument("--only", choices=("search", "ranker"), help="fit these weights only")
    parser.add_argument("--together", action="store_true", help="ask no project alone")
    parser.add_argument("--out", type=pathlib.Path, help="write the weights to this file")
    options = parser.parse_args()
    fitted = {}
    for kind in ("search", "ranker"):
        if options.only not in (None, kind):
            fitted[kind] = default_confidence(kind == "ranker").get_config()
            continue
        rows = [
            add_features(row)
            for folder in options.folders
            for row in read(folder, kind, options.cache, options.together)
        ]
        shift = report(kind, rows)
        fitted[kind] = rounded(shifted(fit(rows), shift).get_config())
        print(json.dumps(fitted[kind]), flush=True)
    if options.out is not None:
        options.out.write_text(json.dumps(fitted, indent=2) + "\n")


def read(
    folder: pathlib.Path, kind: str, cache: pathlib.Path | None, together: bool
) -> list[dict[str, Any]]:
    """Returns the questions of a folder with the features of their candidates."""
    kept = None if cache is None else cache / f"{folder.resolve().name}-{kind}.pickle"
    if kept is not None and kept.exists():
        return pickle.loads(kept.read_bytes())  # type: ignore[no-any-return]
    questions = [json.loads(line) for line in (folder / "questions.jsonl").open(encoding="utf-8")]
    documents = folder / "docs"
    projects = sorted(path for path in documents.iterdir() if path.is_dir())
    names = [project.name for project in projects]
    rows = ask(documents, questions, kind, names)
    for name in () if together else names:
        rows += ask(documents, questions, kind, names, alone=name)
    if kept is not None:
        kept.write_bytes(pickle.dumps(rows))
    return rows


def ask(
    documents: pathlib.Path,
    questions: list[dict[str, Any]],
    kind: str,
    projects: list[str],
    alone: str = "",
) -> list[dict[str, Any]]:
    """Returns a row for each question to the documents, which are all or those of a project."""
    reader = keras_qa.load("minilm-squad")
    ranker = keras_qa.load("minilm-rerank") if kind == "ranker" else None
    with (
        tempfile.TemporaryDirectory() as folder,
        keras_qa.documents.Index.create(pathlib.Path(folder, "x.index")) as index,
    ):
        index.update(documents / alone, verbose=0)
        texts = [row["question"] for row in questions]
        selections = select_passages(index, texts, passages_to_read(ranker), ranker, 32)
        model = reader.model_
        spans = read_passages(model, model.preprocessor, texts, selections, 32)
    rows = []
    for number, row in enumerate(questions):
        owners = {name.split("/")[0] for name in row["documents"]} & {*projects}
        answers = row["answers"] if not alone or alone in owners else []
        # Questions without an answer belong to the projects in turn.
        owner = projects[number % len(projects)] if projects else ""
        rows.append(
            {
                "question": row["question"],
                "answers": answers,
                "selection": selections[number],
                "spans": spans[number],
                "project": min(owners, default=owner),
                "alone": alone,
            }
        )
    return rows


def add_features(row: dict[str, Any]) -> dict[str, Any]:
    """Adds the features of the candidates of a question, and which are right."""
    candidates = find_candidates(row["question"], row["selection"], row["spans"])
    right = np.array([contains_answer(item.text, row["answers"]) for item in candidates], bool)
    return {
        **row,
        "features": feature_rows(candidates),
        "right": right,
        "answerable": bool(row["answers"]),
    }


def fit(rows: list[dict[str, Any]]) -> Confidence:
    """Fits to the questions that were asked of all documents of their folder together."""
    rows = [row for row in rows if not row["alone"]]
    return START.fit(
        [row["features"] for row in rows],
        [row["right"] for row in rows],
        [row["answerable"] for row in rows],
        STRENGTH,
    )


def report(kind: str, rows: list[dict[str, Any]]) -> float:
    """Adds the figures of each project by weights fitted without it to the results.

    Returns the shift of "no answer" that was chosen on all projects.
    """
    projects = sorted({row["project"] for row in rows} - {""})
    others = {
        project: fit([row for row in rows if row["project"] != project]) for project in projects
    }
    rows = [row for row in rows if row["project"]]
    together = [row for row in rows if not row["alone"]]

    def refused(shift: float) -> float:
        pairs = [(row, shifted(others[row["project"]], shift)) for row in together]
        return figures(pairs)["refused_unanswerable"]

    shift = max((n / 20 for n in range(40) if refused(n / 20) >= REFUSED), default=0.0)
    weights = {project: shifted(confidence, shift) for project, confidence in others.items()}
    counts = failures(rows, weights)
    add(RESULTS / "documents.json", {"what": "failures", "kind": kind, "projects": counts}, {})
    for part in (together, [row for row in rows if row["alone"]]):
        if part:
            record = {"what": "left out", "ranker": kind == "ranker", "alone": part is not together}
            pairs = [(row, weights[row["project"]]) for row in part]
            add(RESULTS / "documents.json", {**record, **figures(pairs)}, circumstances())
    return shift


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
        if row["alone"] or not row["answerable"] or not row["project"]:
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


def figures(rows: list[tuple[dict[str, Any], Confidence]]) -> dict[str, float]:
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
            )
        )
    return summarize(results, forced)


def rounded(config: dict[str, Any]) -> dict[str, Any]:
    """Returns weights with three decimals."""
    return json.loads(json.dumps(config), parse_float=lambda text: round(float(text), 3))  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
