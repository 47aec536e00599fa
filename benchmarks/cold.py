"""The time of a new process: `python -m benchmarks.cold CONTENDER dense|padded` prints it.

A user who tries a model trains once, predicts once and asks one question, and waits for each
compilation. Imports and building the model are not timed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np

from benchmarks import measure
from benchmarks.data import ANSWERS, BATCH, VOCABULARY, data, rows_of_data, words
from benchmarks.measure import Contenders, Seconds, timed

EPOCHS = 10


def feed(padded: bool) -> tuple[list[np.ndarray], np.ndarray]:
    """1,000 rows of 100 + 100 words; padded: texts of 3 to 100 words, half of them up to 25, and
    questions of 3 to 20."""
    if not padded:
        return data(False)
    rng = np.random.default_rng(0)
    rows = rows_of_data()
    texts = np.clip(rng.lognormal(np.log(25), 0.77, rows).astype(int), 3, 100)
    sizes = [texts, rng.integers(3, 21, rows)]
    return words(rng, sizes, (100, 20)), rng.integers(0, ANSWERS, rows)


def seconds(contender: str, padded: bool) -> float:
    """Seconds of training, a first `predict` and a first question, in this process."""
    inputs, labels = feed(padded)
    one = [array[:1] for array in inputs]
    if contender == "plain Keras":
        from benchmarks.rivals.plain_keras import classic

        model = classic(VOCABULARY, ANSWERS, padded)
    else:
        import keras_qa

        model = keras_qa.models.answer_classifier(VOCABULARY, VOCABULARY, ANSWERS)

    def run() -> None:
        model.fit(inputs, labels, epochs=EPOCHS, batch_size=BATCH, verbose=0)
        model.predict(inputs, batch_size=BATCH, verbose=0)
        model.predict(one, verbose=0)

    return timed(run)


def case(padded: bool) -> Callable[[str], tuple[Contenders, int]]:
    """Each call runs a contender in a new process."""

    def make(device: str) -> tuple[Contenders, int]:
        def run(contender: str) -> Seconds:
            command = [sys.executable, "-m", "benchmarks.cold", contender]
            options = ["padded" if padded else "dense", "quick" if measure.quick else "full"]
            done = subprocess.run([*command, *options], stdout=subprocess.PIPE, check=True)
            return Seconds(done.stdout.splitlines()[-1])

        names = ("keras-qa", "plain Keras")
        return {name: lambda name=name: run(name) for name in names}, rows_of_data() * EPOCHS

    return make


if __name__ == "__main__":
    measure.quick = sys.argv[3] == "quick"
    print(seconds(sys.argv[1], sys.argv[2] == "padded"))
