"""Readers that label tokens as inside or outside an answer."""

import keras
import numpy as np
import pytest
from small_checkpoints import bert_tokens, with_head
from small_models import same_weights

import keras_qa
from keras_qa import Example, QuestionAnswerer
from keras_qa.models import text_classifier
from keras_qa.preprocessing.token_preprocessor import IGNORED, TokenPreprocessor
from keras_qa.text import Windower

TEXT = "Mary went to the bathroom, then she slept at home. John slept in the garden."
QUESTION = "Who slept?"


def example(text: str, *answers: str, several: bool = True) -> Example:
    starts = [text.index(answer) for answer in answers]
    return Example(text, QUESTION, answers, starts, all_spans=several)


DATA = [
    example(TEXT, "Mary", "John"),
    example("John went home.", "John"),
    example("then Mary slept in the bathroom, she and John.", "Mary", "John"),
    example("she went to the garden."),
]
QUIET = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return bert_tokens(tmp_path_factory.mktemp("tokens") / "tokens", **QUIET)


@pytest.fixture(scope="module")
def trained(folder) -> QuestionAnswerer:
    qa = QuestionAnswerer(text_classifier(folder), max_length=40, stride=20, seed=0)
    optimizer = keras.optimizers.Adam(0.005)
    steps = {"epochs": 1, "steps_per_epoch": 80}
    return qa.fit(DATA, validation_data=DATA, **steps, verbose=0, optimizer=optimizer)


def test_a_published_classifier_answers_with_its_runs(folder) -> None:
    qa = keras_qa.load(folder)
    windows = qa.vectorizer_(DATA[:1])
    feed = {tensor.name: windows.feed[tensor.name] for tensor in qa.model_.inputs}
    logits = qa.model_.predict(feed, verbose=0)
    inside = 1 / (1 + np.exp(logits[0, :, 0] - logits[0, :, 1]))
    words: dict[tuple[int, int], list[float]] = {}
    for place, chance in zip(map(tuple, windows.words[0].tolist()), inside, strict=True):
        if place[0] >= 0:
            words.setdefault(place, []).append(chance)
    expected = {place for place, chances in words.items() if np.mean(chances) > 0.5}
    found = qa.answer(TEXT, QUESTION, all_spans=True)
    assert found
    for answer in found:
        mine = [np.mean(words[place]) for place in words if answer.start <= place[0] < answer.end]
        assert answer.score == pytest.approx(np.mean(mine), abs=1e-5)
        assert TEXT[answer.start : answer.end] == answer.text
    covered = [place for place in words if any(a.start <= place[0] < a.end for a in found)]
    assert {*covered} == expected
    assert found[0] == qa.answer(TEXT, QUESTION)
    assert qa.answer([TEXT, ""], [QUESTION] * 2, all_spans=True) == [found, []]


def test_it_learns_all_spans_and_is_saved(trained, tmp_path) -> None:
    assert trained.evaluate(DATA) == {"exact_match": 100.0, "f1": 100.0, "examples": 4}
    assert trained.calibration_ == {}
    trained.save(tmp_path / "tokens.keras")
    loaded = keras_qa.load(tmp_path / "tokens.keras")
    assert isinstance(loaded.model_.preprocessor, TokenPreprocessor)
    assert (loaded.vectorizer_.max_length, loaded.vectorizer_.stride) == (40, 20)
    assert loaded.evaluate(DATA)["exact_match"] == 100.0
    trained.save_pretrained(tmp_path / "folder")
    again = keras_qa.load(tmp_path / "folder")
    assert again.evaluate(DATA)["exact_match"] == 100.0
    assert trained.answer(DATA[3]).text == ""
    # Further training starts from these weights.
    loaded.fit(DATA, epochs=1, verbose=0, optimizer=keras.optimizers.SGD(1e-4))
    assert loaded.evaluate(DATA)["exact_match"] == 100.0


def test_labels_of_windows(folder) -> None:
    model = text_classifier(folder)
    preprocessor = TokenPreprocessor(Windower(model.preprocessor.vectorizer.tokenizer, 64))
    # All alternatives are inside.
    sets = [("Mary", "the bathroom"), ("slept", "she"), ()]
    data = [example(TEXT, *sets[0]), example(TEXT, "slept", "she", several=False), example(TEXT)]
    _, labels = preprocessor.make_training_data(model, data)
    words = preprocessor.vectorizer(data).words
    assert ((labels == IGNORED) == (words[..., 0] < 0)).all()
    for answers, row, places in zip(sets, labels, words, strict=True):
        chosen = {TEXT[start:end] for start, end in places[row == 1].tolist()}
        assert chosen == {word for answer in answers for word in answer.split()}


def test_three_labels_are_no_reader(tmp_path) -> None:
    labels = {"id2label": {str(n): f"L{n}" for n in range(3)}}
    heads = {"classifier.weight": (3, 16), "classifier.bias": (3,)}
    folder = with_head(tmp_path / "three", "bert", "ForTokenClassification", heads, **labels)
    with pytest.raises(ValueError, match="`model` must answer questions, but `text_classifier`"):
        QuestionAnswerer(text_classifier(folder)).fit(DATA)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda qa, _: qa.ask(None, "Who?"),
            "Only span readers answer from documents, but this mo",
        ),
        (lambda qa, path: qa.save_adapter(path / "a.keras"), "Only models on a published encod"),
        (lambda qa, _: qa.fit([]), "`examples` is empty. Give at least one to train on."),
    ],
)
def test_bad_use(trained, use, message: str, tmp_path) -> None:
    before = trained.model_.get_weights()
    with pytest.raises(ValueError, match=message) as caught:
        use(trained, tmp_path)
    assert "\n" not in str(caught.value)
    assert same_weights(trained.model_, before)
