"""Options of `QuestionAnswerer`, which `fit` checks."""

import numpy as np
import pandas
import pytest
from small_examples import EXAMPLES

import keras_qa
from keras_qa import QuestionAnswerer

SPANS = {
    "vectors": "glove.txt",
    "max_length": 128,
    "stride": 16,
    "max_answer_words": 5,
    "no_answer_threshold": 0.5,
}


@pytest.mark.parametrize("name", SPANS)
def test_options_of_readers_are_refused_by_models_of_words(name: str) -> None:
    qa = QuestionAnswerer("answer_classifier", **{name: SPANS[name]})
    message = (
        rf"^`{name}` is for span readers \(model=\"span_reader\"\), but "
        r"model='answer_classifier' answers with words of a vocabulary\. Leave it out\.$"
    )
    with pytest.raises(ValueError, match=message):
        qa.fit(EXAMPLES)
    assert not hasattr(qa, "model_")


def test_options_of_words_are_refused_by_readers() -> None:
    message = r"^`answer_vocabulary_size` is for models that .* marks spans of the text\. Leave it"
    with pytest.raises(ValueError, match=message):
        QuestionAnswerer("span_reader", answer_vocabulary_size=5).fit(EXAMPLES)


def test_a_model_that_is_given_says_what_it_does() -> None:
    model = keras_qa.models.answer_classifier(30, 30, 5)
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"^`max_length` is for .*, but the model `answer_cl"):
        QuestionAnswerer(model, max_length=9).fit(EXAMPLES)
    with pytest.raises(ValueError, match=r"^`vectors` is for a factory, but"):
        QuestionAnswerer(model, vectors="glove.txt").fit(EXAMPLES)
    assert all((one == two).all() for one, two in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"model": "reader"}, ValueError, "`model` must be a `keras.Model` or one of "),
        ({"vocabulary_size": 0}, ValueError, "`vocabulary_size` must be a positive integer"),
        ({"vocabulary_size": True}, ValueError, "`vocabulary_size` must be a positive integer"),
        ({"model": "span_reader", "max_length": 1.5}, ValueError, "`max_length` must be a pos"),
        ({"model": "span_reader", "stride": 1.5}, ValueError, "`stride` must be a non-negative"),
        ({"model": "span_reader", "no_answer_threshold": "a"}, ValueError, "`no_answer_threshold`"),
        ({"seed": 1.5}, ValueError, "`seed` must be a non-negative integer. Received: seed=1.5."),
        ({"model_options": [("cell", "gru")]}, TypeError, "`model_options` must be a mapping"),
    ],
)
def test_arguments_are_checked_in_fit(options, kind, message: str) -> None:
    qa = QuestionAnswerer(**options)
    with pytest.raises(kind, match=f"^{message}"):
        qa.fit(EXAMPLES)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda qa: qa.fit(EXAMPLES, epochs=None), "`epochs` must be a non-negative integer."),
        (lambda qa: qa.fit(EXAMPLES, batch_size=0), "`batch_size` must be a positive integer."),
        (lambda qa: qa.fit(EXAMPLES, initial_epoch=-1), "`initial_epoch` must be a non-negative"),
        (lambda qa: qa.fit(EXAMPLES, lora_rank=True), "`lora_rank` must be a positive integer."),
        (lambda qa: qa.evaluate(EXAMPLES, batch_size=-1), "`batch_size` must be a positive"),
    ],
)
def test_arguments_of_methods_are_checked(classifier, use, message: str) -> None:
    model = classifier.model_
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"^{message}"):
        use(classifier)
    assert classifier.model_ is model
    assert all((one == two).all() for one, two in zip(before, model.get_weights(), strict=True))


def test_integers_of_numpy_are_taken_and_saved(tmp_path) -> None:
    sizes = {"vocabulary_size": np.int64(9), "answer_vocabulary_size": np.int64(3)}
    qa = QuestionAnswerer(**sizes, seed=np.int64(1)).fit(EXAMPLES, epochs=np.int64(1), verbose=0)
    qa.save(tmp_path / "qa.keras")
    found = keras_qa.load(tmp_path / "qa.keras").vectorizer_
    assert (found.vocabulary_size, found.answer_vocabulary_size) == (9, 3)
    same = QuestionAnswerer("answer_classifier", None, 9, 3, 1).fit(EXAMPLES, epochs=1, verbose=0)
    for one, other in zip(qa.model_.get_weights(), same.model_.get_weights(), strict=True):
        assert (one == other).all()


def test_a_table_and_answers_that_stand_apart_are_taken() -> None:
    bare = [{"text": item.text, "question": item.question} for item in EXAMPLES]
    answers = [item.answers[0] for item in EXAMPLES]
    qa = QuestionAnswerer(seed=0).fit(pandas.DataFrame(bare), answers, epochs=1, verbose=0)
    same = QuestionAnswerer(seed=0).fit(EXAMPLES, epochs=1, verbose=0)
    for one, other in zip(qa.model_.get_weights(), same.model_.get_weights(), strict=True):
        assert (one == other).all()
    found = qa.predict(EXAMPLES)
    right = sum(text == answer for text, answer in zip(found, answers, strict=True))
    assert qa.score(bare, answers) == qa.score(EXAMPLES) == pytest.approx(right / len(EXAMPLES))
    message = rf"^`y` has 1 answers, but there are {len(EXAMPLES)} examples\."
    with pytest.raises(ValueError, match=message):
        qa.fit(bare, answers[:1])


def test_params_are_given_and_set() -> None:
    qa = QuestionAnswerer(seed=3)
    assert qa.get_params()["seed"] == 3
    assert qa.get_params()["max_length"] is None
    assert qa.set_params(seed=4, model_options={"cell": "gru"}) is qa
    assert repr(qa) == "QuestionAnswerer(model_options={'cell': 'gru'}, seed=4)"
    with pytest.raises(ValueError, match=r"^There is no argument `size`\. Expected: `model`, "):
        qa.set_params(size=1)


def test_old_names_of_params_warn() -> None:
    with pytest.warns(FutureWarning, match="`length` was renamed to `max_length`"):
        qa = QuestionAnswerer("span_reader", length=9)
    with pytest.warns(FutureWarning, match="`overlap` was renamed to `stride`"):
        assert qa.set_params(overlap=2) is qa
    assert repr(qa) == "QuestionAnswerer(model='span_reader', max_length=9, stride=2)"
    with pytest.raises(TypeError, match=r"only\. Received: length=8, max_length=7\.$"):
        qa.set_params(length=8, max_length=7)
    assert qa.get_params()["max_length"] == 9
