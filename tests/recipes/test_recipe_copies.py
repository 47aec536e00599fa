"""Recipes with augmentation."""

import dataclasses

import pytest
from recipe_cases import RECIPE, SMALL, STORIES, Stop, StopAt, assert_same_run, small

import keras_qa
from keras_qa import Example
from keras_qa.datasets.augmentation import swap_words
from keras_qa.recipes import Recipe, train
from keras_qa.recipes.recipe import recipe_for
from keras_qa.recipes.training import checkpoint_path


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
        assert recipe_for(model).augment_to == sizes
    recipe = dataclasses.replace(RECIPE, augment_to=(100,))
    run = train(STORIES[:32], None, "memory_network", SMALL, recipe, verbose=0).runs[0]
    assert run.copies == 0
    # These examples have no words to swap.
    alone = [Example("The sky is blue.", "Which colour is it?", "blue")] * 8
    done = train(alone, alone, "memory_network", SMALL, recipe, verbose=0)
    assert [run.copies for run in done.runs] == [0]
