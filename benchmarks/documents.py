"""`python -m benchmarks.documents FOLDER`: how well `ask` and `verify` do on real documents.

FOLDER has `docs/`, the documents, and two files of JSON Lines: `questions.jsonl` with `question`,
`answers` (accepted ones; none if the documents do not answer) and `documents` (names of documents
that answer), and, if there is one, `claims.jsonl` with `claim`, `supported` and `kind`. An answer
is right if it is an accepted one, alone or with at most three more words; exact match and F1 of the
first answer stand beside it. A calibration error is that of the answers that are given, in ten bins
of the score.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import tempfile
import time
from typing import Any, NamedTuple

import keras
import numpy as np

import keras_qa
from benchmarks.measure import RESULTS, circumstances
from keras_qa.metrics.answers import contains_answer, exact_match, f1
from keras_qa.training.results import add_results


class Asked(NamedTuple):
    """What became of a question."""

    answerable: bool
    answered: bool
    right: bool
    right_among_three: bool
    score: float
    # Of the first answer, or 0 if none is given.
    exact_match: float
    f1: float
    # Whether an answer among three is from a document that answers.
    document: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.documents", description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--reader", default="minilm-squad", help="as `keras_qa.load` takes it")
    parser.add_argument(
        "--ranker", default="minilm-rerank", help="as `keras_qa.load` takes it, or none"
    )
    parser.add_argument("--vectors", action="store_true", help="search by minilm-embed, too")
    parser.add_argument("--out", default=RESULTS / "documents.json", help="file of results")
    options = parser.parse_args()
    ranker = None if options.ranker == "none" else options.ranker
    questions = read(options.folder / "questions.jsonl")
    claims = options.folder / "claims.jsonl"
    about = {
        "folder": options.folder.resolve().name,
        "backend": keras.config.backend(),
        "reader": options.reader,
        "ranker": ranker,
        "search": "words and vectors" if options.vectors else "words",
        **circumstances(),
    }
    with tempfile.TemporaryDirectory() as folder:
        encoder = keras_qa.load("minilm-embed") if options.vectors else None
        start = time.perf_counter()
        with keras_qa.documents.Index.create(f"{folder}/a.index", encoder=encoder) as index:
            index.update(options.folder / "docs", verbose=0)
            about["documents"] = len(index)
            about["index_seconds"] = round(time.perf_counter() - start, 1)
            add(options.out, ask(index, questions, options.reader, ranker), about)
            if claims.exists() and ranker and not options.vectors:
                add(options.out, verify(index, read(claims)), about)


def add(path: pathlib.Path, record: dict[str, Any], about: dict[str, Any]) -> None:
    """Prints a record, and adds it to a file of results."""
    print(record, flush=True)
    add_results(path, [{**record, **about}])


def read(path: pathlib.Path) -> list[dict[str, Any]]:
    """Returns the rows of a file of JSON Lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def ask(
    index: Any, questions: list[dict[str, Any]], reader: str, ranker: str | None
) -> dict[str, Any]:
    """Asks all questions, and returns the figures."""
    qa = keras_qa.load(reader)
    options = {"ranker": None if ranker is None else keras_qa.load(ranker)}
    qa.ask(index, questions[0]["question"], **options)
    start = time.perf_counter()
    # One by one, as users ask.
    rows = [qa.ask(index, row["question"], top_k=3, **options) for row in questions]
    seconds = (time.perf_counter() - start) / len(questions)
    results, forced = [], []
    for row, answers in zip(questions, rows, strict=True):
        given = [answer for answer in answers if answer.text]
        right = [contains_answer(answer.text, row["answers"]) for answer in given]
        first = bool(answers[0].text)
        sources = [str(answer.document).endswith(tuple(row["documents"])) for answer in given]
        results.append(
            Asked(
                bool(row["answers"]),
                first,
                first and right[0],
                any(right),
                answers[0].score,
                *exactness(answers[0].text, row["answers"]),
                bool(row["documents"]) and any(sources),
            )
        )
        # The first answer if "no answer" is left out.
        forced.append(bool(row["answers"]) and bool(right) and right[0])
    return {"what": "questions", "seconds": round(seconds, 2), **summarize(results, forced)}


def exactness(text: str, answers: list[str]) -> tuple[float, float]:
    """Returns the exact match and the F1 of an answer, zeros if it is empty."""
    return (exact_match(text, answers), f1(text, answers)) if text and answers else (0.0, 0.0)


def summarize(results: list[Asked], forced: list[bool]) -> dict[str, float]:
    """Returns the figures, shares in percent.

    `forced` tells for each question whether the first answer is right if "no answer" is left out.
    """
    answerable = [row for row in results if row.answerable]
    unanswerable = [row for row in results if not row.answerable]
    given = [row for row in results if row.answered]
    scores, right = np.array([row.score for row in given]), np.array([row.right for row in given])
    bins = np.clip((scores * 10).astype(int), 0, 9)
    error = sum(
        abs(scores[bins == number].mean() - right[bins == number].mean()) * (bins == number).mean()
        for number in set(bins.tolist())
    )
    high = scores >= 0.5
    lost = sum(forced) - sum(row.right for row in answerable)
    return {
        "answerable": len(answerable),
        "unanswerable": len(unanswerable),
        "first_right": share([row.right for row in answerable]),
        "exact_match": share([row.exact_match for row in answerable]),
        "f1": share([row.f1 for row in answerable]),
        "among_three": share([row.right_among_three for row in answerable]),
        "document_among_three": share([row.document for row in answerable]),
        "refused_answerable": share([not row.answered for row in answerable]),
        "right_lost": round(100 * lost / max(len(answerable), 1), 1),
        "refused_unanswerable": share([not row.answered for row in unanswerable]),
        "calibration_error": round(float(error), 3),
        "high": int(high.sum()),
        "high_right": share(right[high]),
        "right_high": share(high[right]),
    }


def share(values: Any) -> float:
    """Returns the mean in percent."""
    return round(100 * float(np.mean(values)), 1) if len(values) else 0.0


def verify(index: Any, claims: list[dict[str, Any]]) -> dict[str, Any]:
    """Checks all claims, and returns the figures. A claim is marked if it is not supported."""
    keras_qa.verify(claims[0]["claim"], index)
    start = time.perf_counter()
    marked = np.array(
        [not all(item.supported for item in keras_qa.verify(row["claim"], index)) for row in claims]
    )
    seconds = (time.perf_counter() - start) / len(claims)
    true = np.array([row["supported"] for row in claims])
    number = np.array([row["kind"] == "number" for row in claims])
    return {
        "what": "claims",
        "claims": len(claims),
        "seconds": round(seconds, 2),
        "balanced_accuracy": round(50 * float((~marked[true]).mean() + marked[~true].mean()), 1),
        "false_marked": share(marked[~true]),
        "true_marked": share(marked[true]),
        "false_numbers_marked": share(marked[number & ~true]),
    }


if __name__ == "__main__":
    main()
