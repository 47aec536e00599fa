"""The cases. Each returns its contenders and the number of samples of a call.

Cases import the backend themselves, so that their names can be listed without one.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import cold, export_cases, serving, span_cases, story_cases
from benchmarks.data import ANSWERS, BATCH, EPOCHS, VOCABULARY, data, rows_of_data
from benchmarks.measure import Apart, Contenders


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
        "Keras' predict_on_batch": each(lambda single: plain.predict_on_batch(single)),
        "native PyTorch": lambda: rival("ask_each", len(singles)),
    }, 100


CASES: dict[str, Callable[[str], tuple[Contenders, int]]] = {
    "train, dense": train(False),
    "train, masked": train(True),
    "predict, dense": predict(False),
    "predict, masked": predict(True),
    "one question": one_question,
    "cold, dense": cold.case(False),
    "cold, padded": cold.case(True),
    **story_cases.CASES,
    **span_cases.CASES,
    **export_cases.CASES,
    **serving.CASES,
}
