"""`python -m benchmarks.asking FOLDER`: the scores of answers from an index.

FOLDER holds `train.json` and `valid.json` in SQuAD's format. Each of their paragraphs is a document
of two indexes: one is searched by words, the other by words and vectors. `calibrate` gets the
questions of every other paragraph of `valid.json`. The remaining questions are measured: in their
own paragraph, and over all documents with and without calibration. Each record is added to the file
of results at once.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

from benchmarks.measure import RESULTS, circumstances

PRECISIONS = (0.7, 0.8, 0.9)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.asking", description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--reader", default="minilm-squad", help="as `keras_qa.load` has it")
    parser.add_argument("--encoder", default="minilm", help="of the vectors; default: %(default)s")
    parser.add_argument("--out", default=RESULTS / "asking.json", help="file of results")
    options = parser.parse_args()

    import keras

    import keras_qa
    from keras_qa import datasets, metrics
    from keras_qa.answering import TextEmbedder
    from keras_qa.training.results import add_results

    train, valid = (
        datasets.squad.load(options.folder / f"{part}.json") for part in ("train", "valid")
    )
    texts = list(dict.fromkeys(item.plain_text for item in [*train, *valid]))
    own = list(dict.fromkeys(item.plain_text for item in valid))
    fitted_on, held_out = (
        [item for item in valid if own.index(item.plain_text) % 2 == half] for half in (0, 1)
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
        add_results(options.out, [{"what": what, **record, **about}])

    alone = {}
    for name, no_answer in (("always", False), ("as it decides", None)):
        answers = reader.answer(held_out, verbose=0, no_answer=no_answer)
        scores = metrics.squad([answer.text for answer in answers], held_out)
        alone[name] = _rounded(scores)
    add("own paragraph", alone)
    folder = pathlib.Path(tempfile.mkdtemp())
    encoders = {"words": None, "words and vectors": TextEmbedder(options.encoder)}
    for search, encoder in encoders.items():
        with keras_qa.documents.Index.create(folder / f"{search}.index", "en", encoder) as index:
            index.add({"name": f"{n}.txt", "text": text} for n, text in enumerate(texts))
            for what, record in _asked(reader, index, fitted_on, held_out):
                add(what, {"search": search, "passages": index.passages, **record})


def _asked(
    reader: Any, index: Any, fitted_on: list[Any], held_out: list[Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The scores of an index with and without calibration."""
    from keras_qa import report

    fitted = reader.calibrate(index, fitted_on, verbose=0)
    found = report.evaluate(reader, held_out, index, verbose=0)
    # The highest precision, and the results at those of `PRECISIONS` that are reached.
    most = max(fitted.precisions)
    at = {str(one): _at(fitted.threshold(one), found) for one in PRECISIONS if one <= most}
    precise = {"most_precise": round(most, 4), "min_precision": at}
    yield "calibrated", {**_rounded(found.scores), **precise}
    reader.model_.preprocessor.asking = None
    found = report.evaluate(reader, held_out, index, verbose=0)
    yield "default", _rounded(found.scores)


def _at(threshold: float, found: Any) -> dict[str, float]:
    """The coverage above a threshold of the score, and the share of right answers."""
    given = [point for point in found.points if point.threshold >= threshold]
    if not given:
        return {"threshold": round(threshold, 4), "answers": 0, "coverage": 0.0}
    return {
        "threshold": round(threshold, 4),
        "answers": given[-1].answers,
        "coverage": round(given[-1].coverage, 4),
        "right": round(1 - given[-1].risk, 4),
    }


def _rounded(scores: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in scores.items()}


if __name__ == "__main__":
    main()
