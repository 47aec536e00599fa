"""Cases of models that reason over stories."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.measure import Apart, Contenders, sized

VOCABULARY, ANSWERS, BATCH, EPOCHS = 200, 20, 64, 2
SENTENCES, WORDS = 20, 8
OPTIONS = {"embedding_dim": 64, "hidden_dim": 256, "num_steps": 4, "num_heads": 4, "dropout": 0.1}


def full() -> tuple[list[np.ndarray], np.ndarray]:
    """Stories of 20 sentences of 8 words, without padding."""
    rows = sized(2_000, 64)
    rng = np.random.default_rng(0)
    text = rng.integers(1, VOCABULARY, (rows, SENTENCES, WORDS), dtype="int32")
    question = rng.integers(1, VOCABULARY, (rows, WORDS), dtype="int32")
    return [text, question], rng.integers(0, ANSWERS, rows)


def simulated() -> tuple[list[np.ndarray], np.ndarray]:
    """Simulated stories of bAbI's task 2, whose lengths differ widely."""
    import keras_qa

    stories = keras_qa.datasets.babi.simulate(task=2, examples=sized(2_000, 64), seed=0)
    vectorizer = keras_qa.text.Vectorizer(sentences=True).adapt(stories)
    feed = vectorizer(stories)
    return [feed["text"], feed["question"]], vectorizer.labels(stories)


def train(data: Callable[[], tuple[list[np.ndarray], np.ndarray]]):
    def make(device: str) -> tuple[Contenders, int]:
        import keras_qa
        from benchmarks.rivals.story_torch import StoryRival

        feed, labels = data()
        ours = keras_qa.models.universal_transformer(
            VOCABULARY, answer_vocabulary_size=ANSWERS, **OPTIONS
        )
        options = {
            "dim": OPTIONS["embedding_dim"],
            "hidden": OPTIONS["hidden_dim"],
            "steps": OPTIONS["num_steps"],
            "heads": OPTIONS["num_heads"],
            "dropout": OPTIONS["dropout"],
        }
        rival = Apart(StoryRival, feed, labels, VOCABULARY, ANSWERS, options, BATCH, device)
        return {
            "keras-qa": lambda: ours.fit(feed, labels, epochs=EPOCHS, batch_size=BATCH, verbose=0),
            "native PyTorch": lambda: rival("train", EPOCHS),
        }, EPOCHS * len(labels)

    return make


CASES = {"stories, full": train(full), "stories, simulated": train(simulated)}
