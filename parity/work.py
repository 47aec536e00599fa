"""What one backend does in the parity tests: save every model, or load and ask every model."""

import pathlib
import sys

import keras
import numpy as np

import keras_qa
from keras_qa import Example

MODELS = {
    f"{cell}-{pooling}-{'both' if bidirectional else 'forward'}": {
        "cell": cell,
        "pooling": pooling,
        "bidirectional": bidirectional,
    }
    for cell in ("lstm", "gru")
    for pooling in ("last", "mean", "max")
    for bidirectional in (False, True)
}
STORIES = keras_qa.datasets.babi.simulate(task=1, examples=60, seed=0)
QUESTIONS = [*STORIES[:20], Example("", "Where is Mary?"), Example("Mary is here.", "")]


def train(name: str) -> keras_qa.QuestionAnswerer:
    options = {**MODELS[name], "hidden_dim": 8, "dropout": 0.1}
    answerer = keras_qa.QuestionAnswerer(model_options=options, seed=0)
    return answerer.fit(STORIES, epochs=1, verbose=0)


def outputs(path: pathlib.Path) -> dict[str, np.ndarray]:
    answerer = keras_qa.load(path)
    feed = answerer.vectorizer_(QUESTIONS)
    ranked = answerer.answer(
        [item.text for item in QUESTIONS], [item.question for item in QUESTIONS], top_k=3
    )
    return {
        "words": feed["text"],
        "probabilities": answerer.model_.predict(feed, verbose=0),
        "raw": keras.saving.load_model(path).predict(feed, verbose=0),
        "scores": np.array([[answer.score for answer in row] for row in ranked]),
        "answers": np.array([[answer.text for answer in row] for row in ranked]),
    }


def main() -> None:
    command, backend = sys.argv[1:]
    assert command in ("save", "ask")
    if command == "save":
        for name in MODELS:
            train(name).save(f"{backend}-{name}.keras")
        return
    arrays = {}
    for path in sorted(pathlib.Path().glob("*.keras")):
        for key, value in outputs(path).items():
            arrays[f"{path.stem}/{key}"] = value
    np.savez(f"{backend}.npz", **arrays)


if __name__ == "__main__":
    main()
