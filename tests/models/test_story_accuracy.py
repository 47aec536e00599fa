"""Story models learn to reason: at least 99 % of unseen questions right."""

import itertools

import pytest

import keras_qa
from keras_qa.data import babi
from keras_qa.training import Recipe, train

# The short test run has the quickstart's test, with 98 %.
pytestmark = pytest.mark.full

OPTIONS = {"embedding_dim": 32, "encoding": "matrix", "dropout": 0.0}
LONG = {"hidden_dim": 128, "num_steps": 3}
SHORT = {"hidden_dim": 64, "num_steps": 2}
UNSEEN = 500


def stories(task: int, sentences: int, count: int) -> list[keras_qa.Example]:
    """Distinct stories of the same length, to compile once."""
    found = {}
    for seed in itertools.count():
        for story in babi.simulate(task, examples=5_000, seed=seed):
            if story.text.count("\n") == sentences - 1:
                found[story.text, story.question] = story
                if len(found) == count:
                    return list(found.values())


@pytest.mark.parametrize(
    ("task", "sentences", "questions", "epochs", "rate", "sizes"),
    # Whole batches of 32 questions, to compile once.
    [
        # Deduction: the answer follows from two of eight sentences.
        (15, 8, 2_976, 10, 4e-3, SHORT),
        (1, 4, 2_496, 10, 3e-3, LONG),
        (6, 4, 4_992, 10, 3e-3, LONG),
        (15, 8, 2_976, 20, 3e-3, LONG),
    ],
)
def test_accuracy_is_at_least_99_percent(
    task: int, sentences: int, questions: int, epochs: int, rate: float, sizes: dict[str, int]
) -> None:
    known = stories(task, sentences, UNSEEN + questions)
    recipe = Recipe(epochs=epochs, batch_size=32, learning_rate=rate)
    options = {**OPTIONS, **sizes}
    answerer = train(known[UNSEEN:], model_options=options, recipe=recipe, verbose=0).answerer
    right = answerer.evaluate(known[:UNSEEN], verbose=0)["exact_match"]
    assert right >= 99.0
