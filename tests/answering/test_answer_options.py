"""How one call wants to be answered: what the pipeline of `transformers` took."""

from __future__ import annotations

import re

import pytest
from small_checkpoints import copy
from small_models import same_weights

import keras_qa
from keras_qa import Example

TEXT = "Mary went to the bathroom, then she slept at home. John slept in the garden."
QUESTION = "Who went?"
READER_OPTIONS = (
    "`max_answer_words`, `no_answer`, `whole_words`, `max_length`, `stride`, `max_question_length`"
)


@pytest.fixture(scope="module")
def qa(tmp_path_factory) -> keras_qa.QuestionAnswerer:
    return keras_qa.load(copy("bert", tmp_path_factory.mktemp("options") / "reader"))


@pytest.mark.parametrize("words", [1, 3])
def test_an_answer_has_no_more_words_than_asked(qa, words: int) -> None:
    answers = qa.answer(TEXT, QUESTION, top_k=50, max_answer_words=words)
    pieces = [answer.text.replace(",", " ,").replace(".", " .").split() for answer in answers]
    assert max(map(len, pieces)) == words


def test_no_answer_is_one_of_the_answers_where_asked(qa) -> None:
    assert all(answer.text for answer in qa.answer(TEXT, QUESTION, top_k=500))
    answers = qa.answer(TEXT, QUESTION, top_k=500, no_answer=True)
    assert sum(not answer.text for answer in answers) == 1
    assert sum(answer.score for answer in answers) <= 1 + 1e-6
    # That was for one call.
    assert not qa.model_.preprocessor.decoder.no_answer


def test_pieces_of_words_are_answers_where_asked(qa) -> None:
    starts = {answer.start for answer in qa.answer(TEXT, QUESTION, top_k=500)}
    begins = {0, *(place + 1 for place, letter in enumerate(TEXT) if letter == " ")}
    marks = {place for place, letter in enumerate(TEXT) if letter in ",."}
    assert starts <= begins | marks
    starts = {answer.start for answer in qa.answer(TEXT, QUESTION, top_k=500, whole_words=False)}
    assert starts - begins - marks


def test_a_question_is_cut_where_asked(qa) -> None:
    long = "Who went " + "there " * 60
    with pytest.raises(ValueError, match="too many for a window of 64 positions"):
        qa.answer(TEXT, long)
    cut = qa.answer(TEXT, long, max_question_length=9)
    windower = qa.model_.preprocessor.vectorizer
    ids = windower.tokenizer.encode(long)[0][:9]
    short = long[: windower.tokenizer.encode(long)[1][8, 1]]
    assert windower.tokenizer.encode(short)[0].tolist() == ids.tolist()
    assert cut == qa.answer(TEXT, short)


def test_windows_are_as_long_as_asked(qa, monkeypatch) -> None:
    fed, predict = [], qa.model_.predict

    def noted(feed, **options):
        fed.append(feed["token_ids"].shape)
        return predict(feed, **options)

    monkeypatch.setattr(qa.model_, "predict", noted)
    qa.answer(TEXT, QUESTION)
    assert [rows for rows, _ in fed] == [1]
    qa.answer(TEXT, QUESTION, max_length=24, stride=4)
    assert sum(rows for rows, _ in fed[1:]) > 1
    assert max(width for _, width in fed[1:]) <= 24
    with pytest.raises(ValueError, match="`max_length` is 65, but the backbone reads at most 64"):
        qa.answer(TEXT, QUESTION, max_length=65)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("top_k", True, "`top_k` must be a positive integer. Received: top_k=True."),
        ("batch_size", 0, "`batch_size` must be a positive integer. Received: batch_size=0."),
        ("max_answer_words", 1.5, "`max_answer_words` must be a positive integer."),
        ("max_length", 1.5, "`max_length` must be a positive integer. Received: max_length=1.5."),
        ("stride", -1, "`stride` must be a non-negative integer. Received: stride=-1."),
        ("no_answer", "a", "`no_answer` must be `True` or `False`. Received: no_answer='a'."),
        ("whole_words", 1, "`whole_words` must be `True` or `False`. Received: whole_words=1."),
    ],
)
def test_values_of_options_are_checked(qa, name: str, value, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        qa.answer(TEXT, QUESTION, **{name: value})


def test_unknown_options_are_listed(qa) -> None:
    for name in ("max_anwser_words", "min_score", "x" * 500):
        with pytest.raises(TypeError) as caught:
            qa.answer(TEXT, QUESTION, **{name: None})
        assert str(caught.value) == (
            f"There is no option `{name[:40]}`. The options are `question`, `top_k`, "
            f"`batch_size`, `verbose`, `all_spans`, `choices`, {READER_OPTIONS}."
        )
    for call in (qa.ask, qa.calibrate):
        message = r"^There is no option `nonsense`\. .*`passages`, "
        with pytest.raises(TypeError, match=message) as caught:
            call(None, [QUESTION], nonsense=1)
        assert READER_OPTIONS in str(caught.value)
        assert len(str(caught.value)) <= 300
    with pytest.raises(TypeError, match=r"^There is no option `nonsense`\. .*, `min_precision`, "):
        qa.ask(None, QUESTION, min_precision=0.9, nonsense=1)


def test_mappings_examples_and_generators_are_asked(qa) -> None:
    one = qa.answer(TEXT, QUESTION)
    assert qa.answer({"text": TEXT, "question": QUESTION}) == one
    assert qa.answer({"context": TEXT, "question": QUESTION}) == one
    assert qa.answer(Example(TEXT, QUESTION)) == one
    many = qa.answer(TEXT, [QUESTION, "Who slept?"])
    assert qa.answer(TEXT, (item for item in (QUESTION, "Who slept?"))) == many
    rows = ({"context": TEXT, "question": item} for item in (QUESTION, "Who slept?"))
    for got, expected in zip(qa.answer(rows), many, strict=True):
        assert (got.text, got.start) == (expected.text, expected.start)
    assert qa.answer([]) == []


def test_what_is_not_for_a_model_is_said() -> None:
    stories = keras_qa.datasets.babi.simulate(task=1, examples=20, seed=0)
    words = keras_qa.QuestionAnswerer(seed=0).fit(stories, epochs=1, verbose=0)
    before = words.model_.get_weights()
    with pytest.raises(ValueError, match="`max_length` is for span readers, but the model answers"):
        words.answer("Mary went home.", "Where is Mary?", max_length=20)
    with pytest.raises(TypeError, match=r"^There is no option `max_words`\. The options are "):
        words.answer("Mary went home.", "Where is Mary?", max_words=None)
    with pytest.raises(TypeError, match="must be an `Example`, a mapping, or a list of them"):
        words.answer("Mary went home.")
    assert same_weights(words.model_, before)


def test_a_text_of_another_language_is_warned_of(qa) -> None:
    # Servers log warnings, so they have no text.
    message = "tokenizer, in 1 of 2 texts. Use a reader for their language."
    with pytest.warns(UserWarning, match=rf"^More than 10 % of a text's .* {message}$"):
        qa.answer(["Mary went home.", "你你你 你你你 Mary"], [QUESTION, QUESTION])
