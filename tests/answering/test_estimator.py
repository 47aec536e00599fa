"""`QuestionAnswerer` as an estimator: its arguments, and scikit-learn's own functions."""

import numpy as np
import pandas as pd
import pytest
import sklearn.base
import sklearn.utils
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.utils.validation import check_is_fitted
from small_examples import EXAMPLES, SPANS
from small_models import same_weights

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
        qa.fit(EXAMPLES, validation_data=data, epochs=2, verbose=0)
        return qa.history_.history["val_loss"]

    assert losses(validation(ROWS[:2], ANSWERS[:2])) == losses(EXAMPLES[:2])


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ((ROWS, ANSWERS[:1]), r"^`y` of `validation_data` has 1 answers, but there are \d+ exam"),
        ((ROWS, None), r"has no answer"),
        ((ROWS, ANSWERS, ANSWERS), r"^`examples` must hold `Example` objects or mappings\. Receiv"),
    ],
)
def test_a_pair_that_is_wrong_trains_nothing(classifier, validation, message) -> None:
    before = classifier.model_.get_weights()
    with pytest.raises((TypeError, ValueError), match=message):
        classifier.fit(EXAMPLES, validation_data=validation, epochs=1, verbose=0)
    assert same_weights(classifier.model_, before)


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
def reader_file(reader, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("reader") / "qa.keras"
    reader.save(path)
    return str(path)


def test_a_grid_search_over_windows_of_a_loaded_reader_compares_them(reader_file) -> None:
    loaded = keras_qa.load(reader_file)
    before = loaded.model_.get_weights()
    grid = {"max_length": np.array([6, 64]), "stride": [0]}
    search = GridSearchCV(loaded, grid, cv=2).fit(PAIRS, epochs=0, verbose=0)
    short, long = search.cv_results_["mean_test_score"]
    # Nothing is trained: the windows alone make the difference.
    for length, score in ((6, short), (64, long)):
        alone = keras_qa.load(reader_file).set_params(max_length=length, stride=0)
        assert alone.fit(PAIRS, epochs=0, verbose=0).score(PAIRS) == score
    assert short < long == 1.0
    best = search.best_estimator_
    assert (best.vectorizer_.max_length, best.vectorizer_.stride) == (64, 0)
    assert best.model_.preprocessor.vectorizer is best.vectorizer_
    # What was loaded is as it was.
    windower = loaded.model_.preprocessor.vectorizer
    assert (windower.max_length, windower.stride) == (384, 128)
    assert same_weights(loaded.model_, before)


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
    path, examples = {
        "vocabulary_size": (reader_file, PAIRS),
        "answer_vocabulary_size": (classifier_file, EXAMPLES),
    }[name]
    loaded = keras_qa.load(path).set_params(**{name: 10})
    before, preprocessor = loaded.model_.get_weights(), loaded.model_.preprocessor
    message = rf"^`{name}` is for models without a vocabulary, but .* Leave"
    with pytest.raises(ValueError, match=message):
        loaded.fit(examples, epochs=1, verbose=0)
    assert loaded.model_.preprocessor is preprocessor
    assert same_weights(loaded.model_, before)


def test_windows_that_cannot_be_read_leave_the_loaded_ones(reader_file) -> None:
    loaded = keras_qa.load(reader_file)
    preprocessor = loaded.model_.preprocessor
    # The questions have five pieces.
    with pytest.raises(ValueError, match="too many for a window of 3 positions"):
        loaded.set_params(max_length=3).fit(PAIRS, epochs=1, verbose=0)
    assert loaded.model_.preprocessor is preprocessor
    assert preprocessor.vectorizer.max_length == 384


OF_READERS = {
    "vectors": "glove.txt",
    "max_length": 128,
    "stride": 16,
    "max_answer_words": 5,
    "no_answer_threshold": 0.5,
}


@pytest.mark.parametrize("name", OF_READERS)
def test_options_of_readers_are_refused_by_models_of_words(name: str) -> None:
    qa = QuestionAnswerer("answer_classifier", **{name: OF_READERS[name]})
    message = (
        rf"^`{name}` is for span readers \(model=\"span_reader\"\), but "
        r"model='answer_classifier' answers with words of a vocabulary\. Leave it out\.$"
    )
    with pytest.raises(ValueError, match=message):
        qa.fit(EXAMPLES)
    assert not hasattr(qa, "model_")


def test_a_model_that_is_given_says_what_it_does() -> None:
    model = keras_qa.models.answer_classifier(30, 30, 5)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"^`max_length` is for .*, but the model `answer_cl"):
        QuestionAnswerer(model, max_length=9).fit(EXAMPLES)
    for name, value in (("vectors", "glove.txt"), ("model_options", {"cell": "gru"})):
        with pytest.raises(ValueError, match=rf"^`{name}` is for a factory, but"):
            QuestionAnswerer(model, **{name: value}).fit(EXAMPLES)
    assert same_weights(model, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "reader"}, "`model` must be a `keras.Model` or one of .* Received: model='rea"),
        ({"vocabulary_size": 0}, "`vocabulary_size` must be a positive integer"),
        ({"model": "span_reader", "max_length": 1.5}, "`max_length` must be a positive integer"),
        ({"model": "span_reader", "stride": 1.5}, "`stride` must be a non-negative"),
        ({"model": "span_reader", "no_answer_threshold": "a"}, "`no_answer_threshold` must be"),
        (
            {"model": "span_reader", "answer_vocabulary_size": 5},
            r"`answer_vocabulary_size` is for models that .* marks spans of the text\. Leave it",
        ),
        ({"seed": 1.5}, "`seed` must be a non-negative integer. Received: seed=1.5."),
        ({"model_options": [("cell", "gru")]}, "`model_options` must be a mapping"),
    ],
)
def test_arguments_are_checked_in_fit(options, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        QuestionAnswerer(**options).fit(EXAMPLES)


def test_integers_of_numpy_are_taken_and_saved(tmp_path) -> None:
    sizes = {"vocabulary_size": np.int64(9), "answer_vocabulary_size": np.int64(3)}
    qa = QuestionAnswerer(**sizes, seed=np.int64(1)).fit(EXAMPLES, epochs=np.int64(1), verbose=0)
    qa.save(tmp_path / "qa.keras")
    found = keras_qa.load(tmp_path / "qa.keras").vectorizer_
    assert (found.vocabulary_size, found.answer_vocabulary_size) == (9, 3)
    same = QuestionAnswerer("answer_classifier", None, 9, 3, 1).fit(EXAMPLES, epochs=1, verbose=0)
    assert same_weights(qa.model_, same.model_.get_weights())


def test_a_table_and_answers_that_stand_apart_are_taken() -> None:
    qa = QuestionAnswerer(seed=0).fit(pd.DataFrame(ROWS), ANSWERS, epochs=1, verbose=0)
    same = QuestionAnswerer(seed=0).fit(EXAMPLES, epochs=1, verbose=0)
    assert same_weights(qa.model_, same.model_.get_weights())
    found = qa.predict(EXAMPLES)
    right = sum(text == answer for text, answer in zip(found, ANSWERS, strict=True))
    assert qa.score(ROWS, ANSWERS) == qa.score(EXAMPLES) == pytest.approx(right / len(EXAMPLES))
    message = rf"^`y` has 1 answers, but there are {len(EXAMPLES)} examples\."
    with pytest.raises(ValueError, match=message):
        qa.fit(ROWS, ANSWERS[:1])


def test_params_are_given_and_set() -> None:
    qa = QuestionAnswerer(seed=3)
    assert qa.get_params()["seed"] == 3
    assert qa.get_params()["max_length"] is None
    assert qa.set_params(seed=4, model_options={"cell": "gru"}) is qa
    assert repr(qa) == "QuestionAnswerer(model_options={'cell': 'gru'}, seed=4)"
    with pytest.raises(ValueError, match=r"^There is no argument `size`\. Expected: `model`, "):
        qa.set_params(size=1)
