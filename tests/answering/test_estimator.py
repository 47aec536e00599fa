"""`QuestionAnswerer` as scikit-learn's own functions use it."""

import keras
import numpy as np
import pandas as pd
import pytest
import sklearn.base
import sklearn.utils
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.utils.validation import check_is_fitted
from small_backbones import TOKENIZER, bert
from small_examples import EXAMPLES, SPANS

import keras_qa
from keras_qa import Example, QuestionAnswerer

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
    expected, answers = [], []
    for part in range(2):
        test = range(part * half, min((part + 1) * half, len(ROWS)))
        train = [place for place in range(len(ROWS)) if place not in test]
        alone = QuestionAnswerer(model_options=SMALL, seed=0)
        alone.fit([ROWS[i] for i in train], [ANSWERS[i] for i in train], **params)
        answers += alone.predict([ROWS[i] for i in test])
        expected.append(alone.score([ROWS[i] for i in test], [ANSWERS[i] for i in test]))
    np.testing.assert_allclose(scores, expected)
    predicted = cross_val_predict(qa, ROWS, ANSWERS, params=params, cv=2)
    assert predicted.tolist() == answers


def test_predictions_are_the_best_answers_as_strings(classifier) -> None:
    predicted = classifier.predict(EXAMPLES)
    assert predicted == classifier.predict(pd.DataFrame(ROWS)) == classifier.predict(iter(ROWS))
    assert predicted == [answer.text for answer in classifier.answer(EXAMPLES)] == ANSWERS
    assert {type(text) for text in predicted} == {str}
    assert classifier.predict([]) == []
    with pytest.raises(TypeError, match=r"^`examples` must be a list of examples\. Received one d"):
        classifier.predict(ROWS[0])
    with pytest.raises(ValueError, match=r"^This answerer is not fitted\."):
        QuestionAnswerer().predict(ROWS)


@pytest.mark.parametrize(
    "validation",
    [
        lambda rows, answers: (pd.DataFrame(rows), pd.Series(answers, index=[5] * len(answers))),
        lambda rows, answers: (tuple(rows), [[answer] for answer in answers]),
        # Two examples in a tuple are examples.
        lambda rows, answers: tuple(
            Example(**row, answers=answer) for row, answer in zip(rows, answers, strict=True)
        ),
    ],
)
def test_validation_data_may_be_a_pair(validation) -> None:
    def losses(data) -> list[float]:
        qa = QuestionAnswerer(model_options=SMALL, seed=0)
        return qa.fit(EXAMPLES, validation_data=data, epochs=2, verbose=0).history_.history[
            "val_loss"
        ]

    assert losses(validation(ROWS[:2], ANSWERS[:2])) == losses(EXAMPLES[:2])


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ((ROWS, ANSWERS[:1]), r"^`y` of `validation_data` has 1 answers, but there are \d+ exam"),
        ((ROWS, None), r"has no answer"),
        ((ROWS, ANSWERS, ANSWERS), r"^`examples` must hold `Example` objects or mappings\. Receiv"),
    ],
)
def test_a_pair_that_is_wrong_trains_nothing(classifier, tmp_path, validation, message) -> None:
    path = tmp_path / "qa.keras"
    classifier.save(path)
    loaded = keras_qa.load(path)
    before = loaded.model_.get_weights()
    with pytest.raises((TypeError, ValueError), match=message):
        loaded.fit(EXAMPLES, validation_data=validation, epochs=1, verbose=0)
    for old, new in zip(before, loaded.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


# Two sentences each: in a window of six words one of them is cut.
PAIRS = [
    Example(
        f"{other.text} {item.text}",
        item.question,
        item.answers,
        item.answer_start[0] + len(other.text) + 1,
    )
    for item, other in zip(SPANS, SPANS[5:] + SPANS[:5], strict=True)
]


@pytest.fixture(scope="module")
def reader_file(tmp_path_factory) -> str:
    sizes = {"units": 8, "embedding_dim": 8, "dropout": 0.0}
    qa = QuestionAnswerer(
        "span_reader", {**sizes, "optimizer": keras.optimizers.Adam(0.02)}, seed=1
    )
    path = tmp_path_factory.mktemp("reader") / "qa.keras"
    qa.fit(SPANS, epochs=30, batch_size=8, verbose=0).save(path)
    return str(path)


def test_a_grid_search_over_windows_of_a_loaded_reader_compares_them(reader_file) -> None:
    loaded = keras_qa.load(reader_file)
    before = loaded.model_.get_weights()
    grid = {"max_length": np.array([6, 64]), "stride": [0, 1]}
    search = GridSearchCV(loaded, grid, cv=2).fit(PAIRS, epochs=0, verbose=0)
    scores = dict(
        zip(map(str, grid["max_length"]), search.cv_results_["mean_test_score"][::2], strict=True)
    )
    # Nothing is trained: the windows alone make the difference.
    for length in grid["max_length"]:
        alone = keras_qa.load(reader_file).set_params(max_length=length, stride=0)
        assert alone.fit(PAIRS, epochs=0, verbose=0).score(PAIRS) == scores[str(length)]
    assert scores["6"] < scores["64"] == 1.0
    best = search.best_estimator_
    assert (best.vectorizer_.max_length, best.vectorizer_.stride) == (64, 0)
    assert best.model_.preprocessor.vectorizer is best.vectorizer_
    # What was loaded is as it was.
    windower = loaded.model_.preprocessor.vectorizer
    assert (windower.max_length, windower.stride) == (384, 128)
    assert all(
        (one == two).all() for one, two in zip(before, loaded.model_.get_weights(), strict=True)
    )


def test_a_loaded_reader_keeps_its_windows_and_takes_one_setting_alone(
    reader_file, tmp_path
) -> None:
    qa = keras_qa.load(reader_file).set_params(max_length=16, max_answer_words=2)
    qa.fit(PAIRS, epochs=0, verbose=0).save(tmp_path / "qa.keras")
    again = keras_qa.load(tmp_path / "qa.keras").fit(PAIRS, epochs=0, verbose=0)
    assert (again.vectorizer_.max_length, again.vectorizer_.stride) == (16, 128)
    assert again.model_.preprocessor.decoder.max_answer_words == 2


@pytest.mark.parametrize("name", ["vocabulary_size", "answer_vocabulary_size"])
def test_a_vocabulary_that_cannot_change_is_refused(
    reader_file, classifier_file, name: str
) -> None:
    path = reader_file if name == "vocabulary_size" else classifier_file
    examples = PAIRS if name == "vocabulary_size" else EXAMPLES
    loaded = keras_qa.load(path).set_params(**{name: 10})
    before, preprocessor = loaded.model_.get_weights(), loaded.model_.preprocessor
    with pytest.raises(
        ValueError, match=rf"^`{name}` is for models without a vocabulary, but .* Leave"
    ):
        loaded.fit(examples, epochs=1, verbose=0)
    assert loaded.model_.preprocessor is preprocessor
    assert all(
        (one == two).all() for one, two in zip(before, loaded.model_.get_weights(), strict=True)
    )


def test_windows_that_cannot_be_read_leave_the_loaded_ones(reader_file) -> None:
    loaded = keras_qa.load(reader_file)
    preprocessor = loaded.model_.preprocessor
    # The questions have five pieces.
    with pytest.raises(ValueError, match="too many for a window of 3 positions"):
        loaded.set_params(max_length=3).fit(PAIRS, epochs=1, verbose=0)
    assert loaded.model_.preprocessor is preprocessor
    assert preprocessor.vectorizer.max_length == 384


def test_a_backbone_has_a_vocabulary_of_its_own() -> None:
    options = {"backbone": bert(), "tokenizer": TOKENIZER}
    with pytest.raises(ValueError, match=r"^`vocabulary_size` is for a reader from scratch, but"):
        QuestionAnswerer("span_reader", options, vocabulary_size=50).fit(SPANS, epochs=1, verbose=0)
