"""A kind of answer that the package does not know, added from outside by `register`."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import same_weights

import keras_qa
from keras_qa import Answer, Example, QuestionAnswerer, report
from keras_qa.documents import Index
from keras_qa.models import answer_classifier
from keras_qa.onnx import export
from keras_qa.preprocessing import Preprocessor, register
from keras_qa.preprocessing.preprocessor import FACTORIES, PREPROCESSORS
from keras_qa.text import Vectorizer

EXAMPLES = [
    Example("Ann left.", "Did Ann leave?", "yes"),
    Example("Bob slept.", "Did Ann leave?", "no"),
] * 20


class LabelPreprocessor(Preprocessor):
    """Yes or no."""

    name = "labels"
    description = "says yes or no"

    def __init__(self, vectorizer, cut=0.5):
        self.vectorizer, self.cut = vectorizer, cut

    @classmethod
    def train(cls, examples, sizes, words):
        return cls(Vectorizer(sizes[0]).adapt(examples))

    def sizes(self):
        words = super().sizes()["text_vocabulary_size"]
        names = "text_vocabulary_size", "question_vocabulary_size"
        return {**dict.fromkeys(names, words), "answer_vocabulary_size": 2}

    def make_training_data(self, model, examples):
        labels = [item.answers[0] == "yes" for item in examples]
        return self.vectorizer(examples), np.array(labels, "int32")

    def answer(self, model, examples, count, batch_size, verbose):
        feed = self.vectorizer(examples)
        yes = model.predict(feed, batch_size=batch_size, verbose=verbose)[:, 1].tolist()
        pairs = [(Answer("yes", chance), Answer("no", 1 - chance)) for chance in yes]
        return [[*(pair if pair[0].score > self.cut else pair[::-1])][:count] for pair in pairs]

    def evaluate(self, model, examples, batch_size, verbose):
        ranked = self.answer(model, examples, 1, batch_size, verbose)
        is_right = [row[0].text in item.answers for row, item in zip(ranked, examples, strict=True)]
        right = 100 * float(np.mean(is_right))
        return {"exact_match": right, "f1": right, "examples": len(examples)}

    def calibrate(self, model, examples, batch_size, options=None):
        self.cut = 0.4
        return {"temperature": 1.0}

    def get_config(self):
        return {**super().get_config(), "cut": self.cut}

    @classmethod
    def from_config(cls, config):
        return cls(Vectorizer.from_config(config["vectorizer"]), config["cut"])


@pytest.fixture(scope="module")
def trained():
    """An answerer of the new kind, which is known until the tests of this file end."""
    assert register(LabelPreprocessor, {"yes_no": answer_classifier}) is LabelPreprocessor
    qa = QuestionAnswerer("yes_no", {"text_units": 16}, seed=0)
    try:
        yield qa.fit(
            EXAMPLES,
            validation_data=EXAMPLES,
            epochs=1,
            steps_per_epoch=40,
            batch_size=8,
            verbose=0,
        )
    finally:
        del PREPROCESSORS["labels"], FACTORIES["yes_no"]


def test_it_trains_calibrates_answers_and_reports(trained) -> None:
    assert trained.calibration_ == {"temperature": 1.0}
    assert trained.model_.preprocessor.cut == 0.4
    best, other = trained.answer("Ann left.", "Did Ann leave?", top_k=2)
    assert (best.text, other.text) == ("yes", "no")
    assert best.score + other.score == pytest.approx(1.0)
    assert trained.read("Bob slept.").ask("Did Ann leave?").text == "no"
    scores = {"exact_match": 100.0, "f1": 100.0, "examples": 40}
    assert trained.evaluate(EXAMPLES) == scores
    assert report.evaluate(trained, EXAMPLES).scores == scores


def test_it_is_saved_and_loaded(trained, tmp_path) -> None:
    trained.save(tmp_path / "a.keras")
    again = keras_qa.load(tmp_path / "a.keras")
    assert type(again.model_.preprocessor) is LabelPreprocessor
    assert again.model_.preprocessor.cut == 0.4
    asked = "Bob slept.", "Did Ann leave?", 2
    assert again.answer(*asked) == trained.answer(*asked)
    # It goes on training as a model of this kind.
    assert again.fit(EXAMPLES, epochs=1, verbose=0).evaluate(EXAMPLES)["f1"] == 100.0


WRONG = {
    "all_spans": (
        lambda qa, _: qa.answer("a", "b", all_spans=True),
        "`all_spans` is for span readers, but the model says yes or no. Leave it out.",
    ),
    "choices": (
        lambda qa, _: qa.answer("a", "b", choices=["a"]),
        "`choices` is for multiple-choice models, but the model says yes or no. Leave it out.",
    ),
    "max_length of a call": (
        lambda qa, _: qa.answer("a", "b", max_length=3),
        "`max_length` is for span readers, but the model says yes or no. Leave it out.",
    ),
    "unknown option": (
        lambda qa, _: qa.answer("a", "b", cut=3),
        "There is no option `cut`. The options are `question`, `top_k`, ",
    ),
    "max_length": (
        lambda qa, _: QuestionAnswerer("yes_no", max_length=3).fit(EXAMPLES),
        "`max_length` is for span readers (model=\"span_reader\"), but model='yes_no' says yes or",
    ),
    "answers": (
        lambda qa, _: QuestionAnswerer("yes_no", answer_vocabulary_size=3).fit(EXAMPLES),
        "`answer_vocabulary_size` is for models that answer with words of a vocabulary, but model=",
    ),
    "documents": (
        lambda qa, path: qa.ask(Index.create(path / "a.index"), "b"),
        "Only span readers answer from documents, but this model says yes or no.",
    ),
    "calibrate for documents": (
        lambda qa, path: qa.calibrate(Index.create(path / "a.index"), EXAMPLES),
        "Only span readers answer from documents, but this model says yes or no.",
    ),
    "export": (
        lambda qa, path: export(qa, path / "exported"),
        "The model `answer_classifier` says yes or no, but no task of exported folders fits",
    ),
    "adapter": (
        lambda qa, path: qa.save_adapter(path / "a.keras"),
        "Only models on a published encoder that were trained with LoRA have an adapter, and ",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_are_one_line_and_no_weight_moves(name: str, trained, tmp_path) -> None:
    call, message = WRONG[name]
    before = trained.model_.get_weights()
    with pytest.raises((TypeError, ValueError)) as raised:
        call(trained, tmp_path)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) <= 300
    assert same_weights(trained.model_, before)


def other_factory(**options):
    raise AssertionError


class Nameless(Preprocessor):
    description = "says nothing"


class Undescribed(Preprocessor):
    name = "undescribed"


class Other(LabelPreprocessor):
    name = "others"


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ((dict,), TypeError, "`preprocessor` must be a subclass of `Preprocessor`. Received: "),
        ((Preprocessor(),), TypeError, "`preprocessor` must be a subclass of `Preprocessor`."),
        ((Nameless,), ValueError, "`Nameless` has no `name`. Set this attribute to a string."),
        ((Undescribed,), ValueError, "`Undescribed` has no `description`. Set this attribute"),
        (
            (type("Copy", (LabelPreprocessor,), {}),),
            ValueError,
            "Another class has `name='labels'`. Choose another name.",
        ),
        (
            (Other, {"others": other_factory, "yes_no": answer_classifier}),
            ValueError,
            "Another factory is called 'yes_no'. Choose another name.",
        ),
        (
            (LabelPreprocessor, {"yes_no": other_factory}),
            ValueError,
            "Another factory is called 'yes_no'. Choose another name.",
        ),
    ],
)
def test_a_wrong_registration_changes_nothing(given, kind, message: str, trained) -> None:
    before = dict(PREPROCESSORS), dict(FACTORIES)
    with pytest.raises(kind) as raised:
        register(*given)
    assert str(raised.value).startswith(message)
    assert before == (PREPROCESSORS, FACTORIES)
    # The same again changes nothing either.
    register(LabelPreprocessor, {"yes_no": answer_classifier})
    assert before == (PREPROCESSORS, FACTORIES)
