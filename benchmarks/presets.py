"""`python -m benchmarks.presets FOLDER`: the scores of the presets that mark spans.

FOLDER holds `valid.json` in SQuAD's format. Each preset answers its questions twice: it must always
answer; and it may say “no answer”, with unanswerable questions added. The record is added to the
file of results.
"""

from __future__ import annotations

import argparse
import pathlib

from benchmarks.measure import RESULTS, circumstances

# The share of questions that are repeated with a text that does not answer them.
UNANSWERABLE = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.presets", description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--presets", nargs="+", default=["minilm-squad-small"])
    parser.add_argument("--out", default=RESULTS / "presets.json", help="file of results")
    options = parser.parse_args()

    import keras

    import keras_qa
    from keras_qa import metrics
    from keras_qa.datasets import squad
    from keras_qa.datasets.unanswerable import add_unanswerable
    from keras_qa.recipes.results import add_results

    valid = squad.load(options.folder / "valid.json")
    both = add_unanswerable(valid, UNANSWERABLE)
    for name in options.presets:
        reader = keras_qa.load(name)
        always = [answer.text for answer in reader.answer(valid, verbose=0, no_answer=False)]
        scores = metrics.squad(always, valid)
        with_unanswerable = reader.evaluate(both, verbose=0)
        record = {
            "preset": name,
            "backend": keras.config.backend(),
            "validation_questions": len(valid),
            "unanswerable_questions": len(both) - len(valid),
            **{key: round(value, 3) for key, value in scores.items()},
            "with_unanswerable": {key: round(value, 3) for key, value in with_unanswerable.items()},
            **circumstances(),
        }
        add_results(options.out, [record])
        print(f"{name}: {scores}; with unanswerable questions: {with_unanswerable}")


if __name__ == "__main__":
    main()
