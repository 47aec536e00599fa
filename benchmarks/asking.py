"""`python -m benchmarks.asking FOLDER`: the scores and the time of answers from an index.

FOLDER holds `train.json` and `valid.json` in SQuAD's format. Each of their paragraphs is a document
of two indexes: one is searched by words, the other by words and vectors. `calibrate` gets the
questions of every other paragraph of `valid.json`. The remaining questions are measured: in their
own paragraph, and over all documents with and without calibration. Each record is added to the file
of results at once.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.measure import RESULTS, circumstances
from benchmarks.retrieval import Remembered

PRECISIONS = (0.7, 0.8, 0.9)
SEARCHES = ("words", "words and vectors")
# Questions and rounds of the timing.
TIMED, ROUNDS = 8, 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.asking", description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--reader", default="minilm-squad-small", help="as `keras_qa.load` has it")
    parser.add_argument("--encoder", default="minilm", help="of the vectors; default: %(default)s")
    parser.add_argument(
        "--vectors", type=pathlib.Path, metavar="FILE.npz", help="as `benchmarks.retrieval` has it"
    )
    parser.add_argument("--search", choices=SEARCHES, help="measure this one alone")
    parser.add_argument("--questions", type=int, help="of each half, spread over it (default: all)")
    parser.add_argument("--out", default=RESULTS / "asking.json", help="file of results")
    options = parser.parse_args()

    import keras

    import keras_qa
    from keras_qa import metrics
    from keras_qa.answering import TextEmbedder
    from keras_qa.datasets import squad
    from keras_qa.recipes.results import add_results

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
        add_results(options.out, [{"what": what, **record, **about}])

    folder = pathlib.Path(tempfile.mkdtemp())
    searches = [options.search] if options.search else SEARCHES
    encoder: Any = None
    if SEARCHES[1] in searches:
        encoder = TextEmbedder(options.encoder)
        if options.vectors:
            encoder = Remembered(encoder, options.vectors)
    with contextlib.ExitStack() as stack:
        indexes = {}
        for search in searches:
            used = encoder if search == SEARCHES[1] else None
            index = keras_qa.documents.Index.create(folder / f"{search}.index", "en", used)
            indexes[search] = stack.enter_context(index)
            index.add({"name": f"{n}.txt", "text": text} for n, text in enumerate(texts))
        about["passages"] = index.passages
        for search, index in indexes.items():
            # With cached vectors the time of a search means nothing.
            if search == SEARCHES[0] or not options.vectors:
                add("time", {"search": search, **_times(reader, index, held_out)})

        _remember(reader.model_)
        if SEARCHES[0] in searches:
            alone = {}
            for name, no_answer in (("always", False), ("as it decides", None)):
                answers = reader.answer(held_out, verbose=0, no_answer=no_answer)
                texts = [answer.text for answer in answers]
                alone[name] = _rounded(metrics.squad(texts, held_out))
            add("own paragraph", alone)
        for search, index in indexes.items():
            for what, record in _asked(reader, index, fitted_on, held_out):
                add(what, {"search": search, **record})
    if isinstance(encoder, Remembered):
        encoder.save()


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
    yield "calibrated", {**_scores(found), **_weights(fitted), **precise}
    reader.model_.preprocessor.asking = None
    yield "default", _scores(report.evaluate(reader, held_out, index, verbose=0))


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


def _spread(examples: list[Any], options: argparse.Namespace) -> list[Any]:
    count = min(options.questions or len(examples), len(examples))
    return [examples[n * len(examples) // count] for n in range(count)]


def _remember(model: Any) -> None:
    """Caches the outputs of a model by question and passage."""
    from keras_qa.inputs.batching import axis_lengths

    predict, known = model.predict, {}

    def remembered(feed: dict[str, Any], **options: Any) -> dict[str, np.ndarray]:
        arrays = list(feed.values())
        lengths = axis_lengths(arrays).max(axis=-1).tolist()
        keys = [
            tuple(one[row, :length].tobytes() for one in arrays)
            for row, length in enumerate(lengths)
        ]
        new = [row for row, key in enumerate(keys) if key not in known]
        if new:
            found = predict({name: one[new] for name, one in feed.items()}, **options)
            for place, row in enumerate(new):
                rows = {name: one[place, : lengths[row]] for name, one in found.items()}
                known[keys[row]] = rows
        outputs = {}
        for name in ("start", "end"):
            # No answer is in the padding, so its logits do not matter.
            outputs[name] = np.zeros((len(keys), arrays[0].shape[1]), "float32")
            for row, key in enumerate(keys):
                outputs[name][row, : lengths[row]] = known[key][name]
        return outputs

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
    """CPU seconds of `ask`, and of reading the same passages, in alternation."""
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
