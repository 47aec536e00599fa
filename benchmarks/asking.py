"""`python -m benchmarks.asking FOLDER`: how well an index of documents is asked, and how fast.

FOLDER holds `train.json` and `valid.json` in SQuAD's format. Each of their paragraphs is a document
of one index. On the questions of every other paragraph of `valid.json` asking is calibrated, those
of the others are what is measured: read in their own paragraph, and asked of all of them, with what
was calibrated and without it. Every record is added to the file of results as soon as it is there.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

from benchmarks.measure import RESULTS, circumstances

PRECISIONS = (0.8, 0.9)
# What is timed: so many questions, in so many rounds, each both ways.
TIMED, ROUNDS = 8, 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.asking", description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--reader", default="minilm-squad-small", help="as `keras_qa.load` has it")
    parser.add_argument("--questions", type=int, help="of each half, spread over it (default: all)")
    parser.add_argument("--out", default=RESULTS / "asking.json", help="file of results")
    options = parser.parse_args()

    import keras

    import keras_qa
    from keras_qa import metrics, recipes, report
    from keras_qa.datasets import squad

    train, valid = (squad.load(options.folder / f"{part}.json") for part in ("train", "valid"))
    texts = list(dict.fromkeys(item.plain_text for item in [*train, *valid]))
    own = list(dict.fromkeys(item.plain_text for item in valid))
    fitted_on, held_out = (
        _spread([item for item in valid if own.index(item.plain_text) % 2 == half], options)
        for half in (0, 1)
    )
    reader = keras_qa.load(options.reader)
    about = {
        "reader": options.reader,
        "backend": keras.config.backend(),
        "documents": len(texts),
        "calibration_questions": len(fitted_on),
        "questions": len(held_out),
        **circumstances(),
    }

    def add(what: str, record: dict[str, Any]) -> None:
        print(f"{what}: {record}", flush=True)
        recipes.add_results(options.out, [{"what": what, **record, **about}])

    path = pathlib.Path(tempfile.mkdtemp()) / "paragraphs.index"
    with keras_qa.documents.Index.create(path, language="en") as index:
        index.add({"name": f"{n}.txt", "text": text} for n, text in enumerate(texts))
        about["passages"] = index.passages
        add("time", _times(reader, index, held_out))

        _remember(reader.model_)
        alone = {}
        for name, no_answer in (("always", False), ("as it decides", None)):
            answers = reader.answer(held_out, verbose=0, no_answer=no_answer)
            alone[name] = _rounded(
                metrics.squad_in_order([answer.text for answer in answers], held_out)
            )
        add("own paragraph", alone)

        fitted = reader.calibrate(index, fitted_on, verbose=0)
        found = report.evaluate_asking(reader, index, held_out, verbose=0)
        at = {}
        for precision in PRECISIONS:
            threshold = fitted.threshold(precision)
            given = [point for point in found.points if point.threshold >= threshold]
            last = given[-1] if given else report.Point(threshold, 0, 0.0, 0.0)
            at[str(precision)] = {
                "threshold": round(threshold, 4),
                "answers": last.answers,
                "coverage": round(last.coverage, 4),
                "right": round(1 - last.risk, 4),
            }
        add("calibrated", {**_scores(found), **_weights(fitted), "min_precision": at})

        reader.model_.task.asking = None
        add("default", _scores(report.evaluate_asking(reader, index, held_out, verbose=0)))


def _spread(examples: list[Any], options: argparse.Namespace) -> list[Any]:
    count = min(options.questions or len(examples), len(examples))
    return [examples[n * len(examples) // count] for n in range(count)]


def _remember(model: Any) -> None:
    """Lets a model give again what it gave for the same feed: each passage is read once."""
    predict, known = model.predict, {}

    def remembered(feed: dict[str, Any], **options: Any) -> Any:
        key = tuple((name, one.shape, one.tobytes()) for name, one in feed.items())
        if key not in known:
            known[key] = predict(feed, **options)
        return known[key]

    model.predict = remembered


def _scores(found: Any) -> dict[str, Any]:
    return {
        **_rounded(found.scores),
        "unanswered": found.questions - (found.points[-1].answers if found.points else 0),
        "calibration_error": round(found.calibration_error, 4),
        "located": found.located,
        "recall": {str(most): round(share, 2) for most, share in found.recall.items()},
    }


def _weights(fitted: Any) -> dict[str, float]:
    return {
        "temperature": round(fitted.temperature, 4),
        "retrieval_weight": round(fitted.retrieval_weight, 4),
    }


def _rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in scores.items()}


def _times(reader: Any, index: Any, examples: list[Any]) -> dict[str, Any]:
    """CPU seconds of asking, and of reading the very passages that are found, in alternation."""
    questions = [item.question for item in examples[:TIMED]]
    hits = index.search(questions, 10)
    pairs = [(hit.text, one) for one, found in zip(questions, hits, strict=True) for hit in found]
    texts, asked = (list(part) for part in zip(*pairs, strict=True))

    def read() -> None:
        reader.answer(texts, asked, verbose=0)

    def ask() -> None:
        reader.ask(index, questions, verbose=0)

    read(), ask()
    seconds = {"read": [], "ask": []}
    for _ in range(ROUNDS):
        for name, call in (("read", read), ("ask", ask)):
            seconds[name].append(_processor_time(call))
    ratios = [ask / read for ask, read in zip(seconds["ask"], seconds["read"], strict=True)]
    return {
        "timed_questions": len(questions),
        "passages_read": len(texts),
        "ask_to_read": round(statistics.median(ratios), 3),
        **{f"{name}_seconds": round(statistics.median(s), 3) for name, s in seconds.items()},
    }


def _processor_time(call: Callable[[], None]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    main()
