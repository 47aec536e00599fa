"""Training by recipes: the best epoch, seed and model; checkpoints and resumed runs."""

import dataclasses
import itertools
import os
import re
import signal

import keras
import numpy as np
import pytest
import recipe_cases
from interpreters import HELPERS_OF_KERAS, python
from recipe_cases import RECIPE, SMALL, STORIES, Stop, StopAt, assert_same_run, small, without_time
from small_examples import EXAMPLES
from small_models import same_weights

import keras_qa
from keras_qa import Example
from keras_qa.data.augmentation import swap_words
from keras_qa.training import Recipe, train
from keras_qa.training import recipe as defaults
from keras_qa.training.checkpoints import TrainingCheckpoint
from keras_qa.training.runs import checkpoint_path


@pytest.fixture(scope="module")
def unbroken():
    return small()


def test_resume_after_an_exception_in_the_first_epoch(unbroken, tmp_path) -> None:
    out = tmp_path / "qa.keras"
    with pytest.raises(Stop):
        small(out=out, callbacks=[StopAt(0)])
    assert not list(tmp_path.iterdir())
    assert_same_run(small(out=out, resume=True), unbroken)
    assert [file.name for file in tmp_path.iterdir()] == ["qa.keras"]
    assert same_weights(keras_qa.load(out).model_, unbroken.answerer.model_.get_weights())


def test_resume_after_a_kill(unbroken, tmp_path) -> None:
    out = tmp_path / "qa.keras"
    tests = os.path.dirname(recipe_cases.__file__)
    code = (
        f"import sys; sys.path[:0] = [{tests!r}]\n"
        "from recipe_cases import StopAt, small\n"
        "small(out=sys.argv[1], callbacks=[StopAt(2, kill=True)])"
    )
    backend = keras.config.backend()
    done = python(code, str(out), hidden=HELPERS_OF_KERAS, KERAS_BACKEND=backend)
    assert done.returncode == -signal.SIGKILL
    assert TrainingCheckpoint.load(checkpoint_path(out, "memory_network", 3)).epochs == 2
    assert_same_run(small(out=out, resume=True), unbroken)


def test_resume_skips_complete_seeds(unbroken, tmp_path) -> None:
    class StopSecond(StopAt):
        runs = 0

        def on_train_begin(self, logs=None) -> None:
            self.runs += 1
            self.epoch = 1 if self.runs == 2 else -1

    out = tmp_path / "qa.keras"
    with pytest.raises(Stop):
        small(out=out, seeds=2, callbacks=[StopSecond(0)])
    seconds = TrainingCheckpoint.load(checkpoint_path(out, "memory_network", 3)).notes["seconds"]
    done = small(out=out, seeds=2, resume=True)
    assert done.runs[0].seconds == round(seconds, 2)
    alone = small(seed=4)
    single = [*unbroken.runs, *alone.runs]
    assert list(map(without_time, done.runs)) == list(map(without_time, single))
    assert done.mean_error == sum(run.validation_error for run in single) / 2
    scores = [
        (-run.validation_error, -run.history["val_loss"][run.best_epoch - 1]) for run in done.runs
    ]
    assert done.best == scores.index(max(scores))
    best = [unbroken, alone][done.best]
    assert same_weights(done.answerer.model_, best.answerer.model_.get_weights())


@pytest.mark.parametrize(
    ("changes", "epoch"),
    [
        ({"linear_start": 0.5}, 1),
        ({"batch_size": 8, "hard_example_share": 0.5}, 2),
        # With two batches per epoch, the first update uses a batch of the second epoch.
        ({"gradient_accumulation_steps": 3}, 2),
    ],
)
def test_resume_with_a_recipe(changes, epoch: int, tmp_path) -> None:
    recipe, out = dataclasses.replace(RECIPE, **changes), tmp_path / "qa.keras"
    assert recipe.steps(32) == 2
    with pytest.raises(Stop):
        small(recipe=recipe, out=out, callbacks=[StopAt(epoch)])
    assert TrainingCheckpoint.load(checkpoint_path(out, "memory_network", 3)).epochs == epoch
    assert_same_run(small(recipe=recipe, out=out, resume=True), small(recipe=recipe))


def test_best_epoch_is_kept(unbroken) -> None:
    run = unbroken.runs[0]
    scores = list(zip(run.history["val_accuracy"], -np.array(run.history["val_loss"]), strict=True))
    assert run.best_epoch == 1 + scores.index(max(scores))
    assert run.validation_error == pytest.approx(100 * (1 - scores[run.best_epoch - 1][0]))
    assert run.errors == {"1": run.validation_error}
    assert (run.questions, run.validation_questions, run.seed) == (32, 16, 3)


class Linear(keras.callbacks.Callback):
    """Records in each epoch whether the hops of a memory network attend without a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[float] = []

    def on_train_batch_end(self, step: int, logs=None) -> None:
        if step == 0:
            self.seen.append(float(self.model.get_layer("reasoner").linear))


def test_memory_hops_start_without_a_softmax() -> None:
    recipe = Recipe(epochs=5, batch_size=16, learning_rate=0.01, linear_start=0.5)
    noted = Linear()
    done = small(recipe=recipe, callbacks=[noted])
    assert noted.seen == [1.0, 1.0, 0.0, 0.0, 0.0]
    # The best epoch keeps its kind of attention.
    kept = float(done.answerer.model_.get_layer("reasoner").linear)
    assert kept == float(done.runs[0].best_epoch <= 2)


MODELS = ["answer_classifier", "memory_network"]


def test_best_of_several_models_is_kept(tmp_path, capsys) -> None:
    out = tmp_path / "qa.keras"
    arguments = {"recipe": RECIPE, "seed": 3, "seeds": 2, "verbose": 0}
    done = train(STORIES[:32], STORIES[32:], MODELS, out=out, **{**arguments, "verbose": 2})
    runs = [(run.model, run.seed) for run in done.runs]
    assert runs == list(itertools.product(MODELS, (3, 4)))
    errors = [run.validation_error for run in done.runs]
    assert done.runs[done.best].validation_error == min(errors)
    of_the_best = errors[:2] if done.best < 2 else errors[2:]
    assert done.mean_error == sum(of_the_best) / 2
    scores = done.answerer.evaluate(STORIES[32:])
    assert 100 - scores["exact_match"] == pytest.approx(min(errors), abs=1e-3)
    assert done.answerer.model_.name == done.runs[done.best].model
    # The second model does not depend on the first.
    alone = train(STORIES[:32], STORIES[32:], MODELS[1], **arguments)
    assert list(map(without_time, done.runs[2:])) == list(map(without_time, alone.runs))
    assert [file.name for file in tmp_path.iterdir()] == ["qa.keras"]
    assert capsys.readouterr().out.startswith("answer_classifier, seed 3\nEpoch 1/4\n")
    assert done.summary().splitlines()[:2] == [
        f"best error by model: answer_classifier {min(errors[:2]):.2f} %, "
        f"memory_network {min(errors[2:]):.2f} %",
        f"2 seeds: mean error {done.mean_error:.2f} %, best {min(errors):.2f} % (seed "
        f"{done.runs[done.best].seed}, chosen on the validation data)",
    ]


def test_no_more_models_after_zero_errors() -> None:
    recipe = Recipe(epochs=20, batch_size=9, learning_rate=0.06)
    done = train(EXAMPLES, EXAMPLES, MODELS, recipe=recipe, verbose=0)
    assert [(run.model, run.validation_error) for run in done.runs] == [("answer_classifier", 0.0)]


def test_checkpoint_of_another_run(unbroken, tmp_path) -> None:
    out = tmp_path / "qa.keras"
    path = checkpoint_path(out, "memory_network", 3)
    with pytest.raises(Stop):
        small(out=out, callbacks=[StopAt(1)])
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"is the checkpoint of an unfinished run.*--resume"):
        small(out=out)
    with pytest.raises(ValueError, match="its `learning_rate` is 0.01, but 0.02 here"):
        small(out=out, resume=True, recipe=dataclasses.replace(RECIPE, learning_rate=0.02))
    with pytest.raises(ValueError, match="its `data` is"):
        small(out=out, resume=True, questions=31)
    assert path.read_bytes() == before
    for damaged in (before[: len(before) // 2], b"", b"PK", before[:-400] + b"x" * 400):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"is not a checkpoint, or it is damaged. Delete it"):
            small(out=out, resume=True)
    path.write_bytes(before)
    # Training does not depend on sources.
    valid = [dataclasses.replace(story, source="babi") for story in STORIES[32:]]
    assert_same_run(small(out=out, resume=True, validation_data=valid), unbroken)
    assert [file.name for file in tmp_path.iterdir()] == ["qa.keras"]
    whole = out.read_bytes()
    with pytest.raises(ValueError, match=r"qa.keras` is finished: .* `keras_qa.load` and call `fi"):
        small(out=out, resume=True)
    assert out.read_bytes() == whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": 0}, "`seeds` must be a positive integer. Received: seeds=0."),
        ({"devices": 0}, "`devices` must be a positive integer. Received: devices=0."),
        ({"resume": True}, "`resume` needs `out`"),
        ({"out": "qa.h5"}, "`out` must end in `.keras`"),
        ({"out": "/none/qa.keras"}, "`out` is in a folder that does not exist: '/none'"),
        ({"model": "none"}, "`model` must be"),
        ({"model": MODELS, "validation_data": None}, "which the best one is chosen by. Received: "),
    ],
)
def test_bad_arguments(arguments, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        small(**arguments)


def test_training_with_and_without_copies(tmp_path, monkeypatch) -> None:
    seen = []
    fit = keras_qa.QuestionAnswerer.fit

    def noted(answerer, examples, *arguments, **options):
        seen.append(examples)
        return fit(answerer, examples, *arguments, **options)

    monkeypatch.setattr(keras_qa.QuestionAnswerer, "fit", noted)
    recipe = dataclasses.replace(RECIPE, augment_to=(64, 100))
    out = tmp_path / "qa.keras"
    done = small(recipe=recipe, out=out)
    # Training without copies comes last, because there were errors.
    assert [run.copies for run in done.runs] == [1, 2, 0]
    assert {(run.model, run.questions) for run in done.runs} == {("memory_network", 32)}
    assert seen == [STORIES[:32] + swap_words(STORIES[:32], count, seed=3) for count in (1, 2, 0)]
    errors = [run.validation_error for run in done.runs]
    assert done.runs[done.best].validation_error == done.mean_error == min(errors) > 0
    assert [file.name for file in tmp_path.iterdir()] == ["qa.keras"]
    assert done.summary().splitlines()[0] == (
        f"best error by model: memory_network with 1 copy {errors[0]:.2f} %, "
        f"memory_network with 2 copies {errors[1]:.2f} %, memory_network {errors[2]:.2f} %"
    )


def test_resume_with_copies(tmp_path) -> None:
    recipe = dataclasses.replace(RECIPE, augment_to=(64,))
    out = tmp_path / "qa.keras"
    with pytest.raises(Stop):
        small(recipe=recipe, out=out, callbacks=[StopAt(1)])
    assert checkpoint_path(out, "memory_network", 3, copies=1).exists()
    assert_same_run(small(recipe=recipe, out=out, resume=True), small(recipe=recipe))


def test_number_of_copies() -> None:
    recipe = Recipe(augment_to=(3_600, 9_000))
    assert [recipe.copies(count) for count in (900, 904, 1_801)] == [[3, 9], [2, 8], [3]]
    assert recipe.copies(4_501) == []
    assert Recipe().copies(1) == []
    assert Recipe(augment_to=[9]) == Recipe(augment_to=(9,))
    for model, sizes in (("universal_transformer", (3_600, 9_000)), ("span_reader", ())):
        assert defaults.recipe_for(model).augment_to == sizes
    recipe = dataclasses.replace(RECIPE, augment_to=(100,))
    run = train(STORIES[:32], None, "memory_network", SMALL, recipe, verbose=0).runs[0]
    assert run.copies == 0
    # These examples have no words to swap.
    alone = [Example("The sky is blue.", "Which colour is it?", "blue")] * 8
    done = train(alone, alone, "memory_network", SMALL, recipe, verbose=0)
    assert [run.copies for run in done.runs] == [0]
