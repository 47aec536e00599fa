"""The time of a new process: `python -m benchmarks.cold CONTENDER CASE` prints its parts.

A user who tries a model trains once, predicts once and asks one question, and waits for each
compilation. Imports and building the model are not timed.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import measure
from benchmarks.data import ANSWERS, BATCH, VOCABULARY, data, rows_of_data, words
from benchmarks.measure import Contenders, Parts, Seconds, compiling, timed

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


def parts(contender: str, padded: bool) -> dict[str, float]:
    """Seconds of each part, in this process."""
    inputs, labels = feed(padded)
    one = [array[:1] for array in inputs]
    if contender == "native PyTorch":
        from benchmarks.rivals.native_torch import Rival

        rival = Rival(inputs, labels, VOCABULARY, ANSWERS, BATCH, padded, "cpu")
        return {
            "first epoch": timed(lambda: rival.train(1)),
            "nine more": timed(lambda: rival.train(EPOCHS - 1)),
            "predict": timed(rival.predict),
            "one question": timed(lambda: rival.ask(one)),
        }
    model = _model(contender, padded)
    ends: list[float] = []
    start = time.perf_counter()
    model.fit(
        inputs, labels, epochs=EPOCHS, batch_size=BATCH, verbose=0, callbacks=[_on_epoch_end(ends)]
    )
    return {
        "first epoch": ends[0] - start,
        "nine more": time.perf_counter() - ends[0],
        "predict": timed(lambda: model.predict(inputs, batch_size=BATCH, verbose=0)),
        "one question": timed(lambda: model.predict(one, verbose=0)),
    }


def _model(contender: str, padded: bool) -> Any:
    if contender == "plain Keras":
        from benchmarks.rivals.plain_keras import classic

        return classic(VOCABULARY, ANSWERS, padded)
    import keras_qa

    return keras_qa.models.answer_classifier(VOCABULARY, VOCABULARY, ANSWERS)


def _on_epoch_end(ends: list[float]) -> Any:
    import keras

    return keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter())
    )


def case(padded: bool) -> Callable[[str], tuple[Contenders, int]]:
    """Each call runs a contender in a new process."""

    def make(device: str) -> tuple[Contenders, int]:
        def run(contender: str) -> Parts:
            command = [sys.executable, "-m", "benchmarks.cold", contender]
            options = ["padded" if padded else "dense", "quick" if measure.quick else "full"]
            done = subprocess.run([*command, *options], stdout=subprocess.PIPE, check=True)
            return Parts(json.loads(done.stdout.splitlines()[-1]))

        names = ("keras-qa", "plain Keras", "native PyTorch")
        return {name: lambda name=name: run(name) for name in names}, rows_of_data() * EPOCHS

    return make


def answering(device: str) -> tuple[Contenders, int]:
    """`keras-qa answer` on a saved classifier as a new process, beside `import keras` in one."""
    import keras_qa

    folder = pathlib.Path(tempfile.mkdtemp())
    stories = keras_qa.datasets.babi.simulate(task=1, examples=200, seed=0)
    keras_qa.QuestionAnswerer(seed=0).fit(stories, epochs=1, verbose=0).save(folder / "qa.keras")
    text, question = stories[0].plain_text, stories[0].question
    # The package recognises the command by this file name.
    script = folder / "keras-qa"
    script.write_text("from keras_qa.cli import command; command()")
    answer = [str(script), "answer", str(folder / "qa.keras"), "--text", text]

    def run(*arguments: str) -> None:
        subprocess.run(
            [sys.executable, *arguments],
            env=compiling(),
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    return {
        "keras-qa answer": lambda: Seconds(timed(lambda: run(*answer, "--question", question))),
        "import keras": lambda: Seconds(timed(lambda: run("-c", "import keras"))),
    }, 1


if __name__ == "__main__":
    measure.quick = sys.argv[3] == "quick"
    print(json.dumps(parts(sys.argv[1], sys.argv[2] == "padded")))
