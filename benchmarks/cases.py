"""The cases. Each returns its contenders and the number of samples of a call.

Cases import the backend themselves, so that their names can be listed without one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np

from benchmarks import cold, span_cases, story_cases
from benchmarks.data import ANSWERS, BATCH, EPOCHS, VOCABULARY, data, rows_of_data
from benchmarks.measure import Apart, Contenders, Seconds, compiling


def _trio(masked: bool, device: str):
    import keras_qa
    from benchmarks.rivals.native_torch import Rival
    from benchmarks.rivals.plain_keras import classic

    feed, labels = data(masked)
    ours = keras_qa.models.answer_classifier(VOCABULARY, VOCABULARY, ANSWERS)
    return (
        feed,
        labels,
        ours,
        classic(VOCABULARY, ANSWERS, masked),
        Apart(Rival, feed, labels, VOCABULARY, ANSWERS, BATCH, masked, device),
    )


def train(masked: bool) -> Callable[[str], tuple[Contenders, int]]:
    def make(device: str) -> tuple[Contenders, int]:
        feed, labels, ours, plain, rival = _trio(masked, device)
        options = {"epochs": EPOCHS, "batch_size": BATCH, "verbose": 0}
        return {
            "keras-qa": lambda: ours.fit(feed, labels, **options),
            "plain Keras": lambda: plain.fit(feed, labels, **options),
            "native PyTorch": lambda: rival("train", EPOCHS),
        }, rows_of_data() * EPOCHS

    return make


def predict(masked: bool) -> Callable[[str], tuple[Contenders, int]]:
    def make(device: str) -> tuple[Contenders, int]:
        feed, _, ours, plain, rival = _trio(masked, device)
        options = {"batch_size": BATCH, "verbose": 0}
        return {
            "keras-qa": lambda: ours.predict(feed, **options),
            "plain Keras": lambda: plain.predict(feed, **options),
            "native PyTorch": lambda: rival("predict"),
        }, rows_of_data()

    return make


def one_question(device: str) -> tuple[Contenders, int]:
    """100 questions one by one, arrays to scores, 100 + 100 words each."""
    feed, _, ours, plain, rival = _trio(False, device)
    singles = [[array[row : row + 1] for array in feed] for row in range(100)]

    def each(ask):
        return lambda: [ask(single) for single in singles]

    return {
        "keras-qa": each(lambda single: ours.predict(single, verbose=0)),
        "plain Keras": each(lambda single: plain.predict(single, verbose=0)),
        "Keras' predict_on_batch": each(lambda single: plain.predict_on_batch(single)),
        "native PyTorch": lambda: rival("ask_each", len(singles)),
    }, 100


def levers(device: str) -> tuple[Contenders, int]:
    """Masked training with kernels alone, batches by length alone, both and neither."""
    import keras_qa

    feed, labels = data(True)

    def fit(fused: str | bool, buckets: bool) -> Callable[[], object]:
        model = keras_qa.models.answer_classifier(VOCABULARY, VOCABULARY, ANSWERS)
        for encoder in model.layers[2:4]:
            encoder.recurrent.fused = fused
        options = {"epochs": EPOCHS, "batch_size": BATCH, "verbose": 0, "shuffle": buckets}
        return lambda: model.fit(feed, labels, **options)

    return {
        "kernels and buckets": fit("auto", True),
        "kernels alone": fit("auto", False),
        "buckets alone": fit(False, True),
        "neither": fit(False, False),
    }, rows_of_data() * EPOCHS


def growth(device: str) -> tuple[Contenders, int]:
    """Dense training with one size at a time doubled and quadrupled."""
    import keras_qa

    rng = np.random.default_rng(0)

    def fit(words: int = 100, rows: int = BATCH, vocabulary: int = VOCABULARY, units: int = 32):
        model = keras_qa.models.answer_classifier(
            vocabulary, vocabulary, ANSWERS, text_units=units, question_units=units // 2
        )
        feed = [rng.integers(1, vocabulary, (512, words), dtype="int32") for _ in range(2)]
        labels = rng.integers(0, ANSWERS, 512)
        return lambda: model.fit(feed, labels, batch_size=rows, verbose=0)

    sizes = {"words": 100, "rows": BATCH, "vocabulary": VOCABULARY, "units": 32}
    grown = {
        f"{name} {size * factor}": fit(**{name: size * factor})
        for name, size in sizes.items()
        for factor in (2, 4)
    }
    return {**grown, "all as they are": fit()}, 512


def passage(device: str) -> tuple[Contenders, int]:
    """100 questions on one text of 400 words: `read` once and `ask`, or `answer`."""
    import keras_qa

    stories = keras_qa.datasets.babi.simulate(task=1, examples=200, seed=0)
    answerer = keras_qa.QuestionAnswerer(seed=0).fit(stories, epochs=1, verbose=0)
    words = " ".join(story.plain_text for story in stories).split()[:400]
    text, questions = " ".join(words), [story.question for story in stories[:100]]

    def ask():
        read = answerer.read(text)
        return [read.ask(question) for question in questions]

    return {
        "read and ask": ask,
        "answer": lambda: [answerer.answer(text, question) for question in questions],
    }, 100


def strings(device: str) -> tuple[Contenders, int]:
    """Strings to arrays, counted in words, in one process on one core."""
    import keras_qa

    stories = keras_qa.datasets.babi.simulate(task=3, examples=1_000, seed=0)
    vectorizer = keras_qa.text.Vectorizer().adapt(stories)
    words = sum(len(f"{story.plain_text} {story.question}".split()) for story in stories)
    return {"Vectorizer": lambda: vectorizer(stories)}, words


def importing(device: str) -> tuple[Contenders, int]:
    """`import keras_qa` after `import keras`, timed inside new processes."""

    def run(before: str, timed: str) -> Callable[[], Seconds]:
        start, end = "start = time.perf_counter()", "print(time.perf_counter() - start)"
        command = [sys.executable, "-c", "\n".join(["import time", before, start, timed, end])]
        return lambda: Seconds(
            subprocess.check_output(command, env=compiling(), stderr=subprocess.DEVNULL)
        )

    return {
        "keras_qa after keras": run("import keras", "import keras_qa"),
        "keras": run("", "import keras"),
    }, 1


CASES: dict[str, Callable[[str], tuple[Contenders, int]]] = {
    "train, dense": train(False),
    "train, masked": train(True),
    "predict, dense": predict(False),
    "predict, masked": predict(True),
    "one question": one_question,
    "levers": levers,
    "growth": growth,
    "passage": passage,
    "strings": strings,
    "import": importing,
    "cold, dense": cold.case(False),
    "cold, padded": cold.case(True),
    "cold, answer": cold.answering,
    **story_cases.CASES,
    **span_cases.CASES,
}
