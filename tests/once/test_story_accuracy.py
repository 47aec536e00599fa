"""Story models learn as well on each backend: at least 99 % on each, so within one point."""

import itertools

import pytest

import keras_qa
from keras_qa.datasets import babi
from keras_qa.recipes import Recipe, train

OPTIONS = {
    "embedding_dim": 32,
    "hidden_dim": 128,
    "num_steps": 3,
    "encoding": "multiplicative",
    "dropout": 0.0,
}
UNSEEN = 500


def stories(task: int, sentences: int, count: int) -> list[keras_qa.Example]:
    """Different ones, of one length: a backend that compiles does so for one shape of batch."""
    found = {}
    for seed in itertools.count():
        for story in babi.simulate(task, examples=5_000, seed=seed):
            if story.text.count("\n") == sentences - 1:
                found[story.text, story.question] = story
                if len(found) == count:
                    return list(found.values())


@pytest.mark.parametrize(
    ("task", "sentences", "questions", "epochs"),
    # Whole batches of 32 questions, for the sake of the one shape.
    [(1, 4, 2_496, 10), (6, 4, 4_992, 10), (15, 8, 2_976, 20)],
)
def test_at_least_99_percent_of_unseen_questions_are_answered_right(
    task: int, sentences: int, questions: int, epochs: int
) -> None:
    known = stories(task, sentences, UNSEEN + questions)
    recipe = Recipe(epochs=epochs, batch_size=32, learning_rate=3e-3)
    answerer = train(known[UNSEEN:], model_options=OPTIONS, recipe=recipe, verbose=0).answerer
    right = answerer.evaluate(known[:UNSEEN], verbose=0)["exact_match"]
    assert right >= 99.0
