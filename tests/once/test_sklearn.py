"""`QuestionAnswerer` as scikit-learn's own functions use it."""

import numpy as np
import pytest
import sklearn.base
import sklearn.utils
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.validation import check_is_fitted
from small_examples import EXAMPLES

from keras_qa import QuestionAnswerer

ROWS = [{"text": item.text, "question": item.question} for item in EXAMPLES]
ANSWERS = [item.answers[0] for item in EXAMPLES]
SMALL = {"text_embedding_dim": 4, "text_units": 3, "question_embedding_dim": 4}


def test_a_clone_has_the_arguments_and_has_learned_nothing() -> None:
    qa = QuestionAnswerer(model_options=SMALL, seed=0).fit(EXAMPLES, epochs=1, verbose=0)
    check_is_fitted(qa)
    copy = sklearn.base.clone(qa)
    assert copy.get_params() == qa.get_params()
    with pytest.raises(sklearn.exceptions.NotFittedError):
        check_is_fitted(copy)


def test_tags_say_what_it_takes() -> None:
    tags = sklearn.utils.get_tags(QuestionAnswerer(seed=0))
    assert (tags.estimator_type, tags.target_tags.required) == (None, False)
    assert (tags.input_tags.string, tags.non_deterministic) == (True, False)
    assert sklearn.utils.get_tags(QuestionAnswerer()).non_deterministic


def test_cross_validation_scores_each_part_on_the_others() -> None:
    qa = QuestionAnswerer(model_options=SMALL, seed=0)
    params = {"epochs": 2, "verbose": 0}
    scores = cross_val_score(qa, ROWS, ANSWERS, params=params, cv=2)
    half = -(-len(ROWS) // 2)
    expected = []
    for part in range(2):
        test = range(part * half, min((part + 1) * half, len(ROWS)))
        train = [place for place in range(len(ROWS)) if place not in test]
        alone = QuestionAnswerer(model_options=SMALL, seed=0)
        alone.fit([ROWS[i] for i in train], [ANSWERS[i] for i in train], **params)
        expected.append(alone.score([ROWS[i] for i in test], [ANSWERS[i] for i in test]))
    np.testing.assert_allclose(scores, expected)


def test_a_grid_search_takes_model_options() -> None:
    grid = {"model_options": [SMALL, {**SMALL, "text_units": 2}]}
    search = GridSearchCV(QuestionAnswerer(seed=0), grid, cv=2)
    search.fit(ROWS, ANSWERS, epochs=1, verbose=0)
    assert [found["model_options"] for found in search.cv_results_["params"]] == [
        *grid["model_options"]
    ]
    best = search.best_estimator_
    assert best.model_options == search.best_params_["model_options"]
    assert best.score(ROWS, ANSWERS) == search.score(ROWS, ANSWERS)
