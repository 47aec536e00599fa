"""Preprocessors, with models that are NumPy functions."""

from __future__ import annotations

import dataclasses
import json
import re
import types

import numpy as np
import pytest
from small_tokenizers import wordpiece

from keras_qa import Example, metrics, preprocessing
from keras_qa.preprocessing import SpanDecoder, SpanPreprocessor, WordPreprocessor
from keras_qa.preprocessing.ask_calibration import AskCalibration
from keras_qa.preprocessing.calibration import fit_temperature
from keras_qa.preprocessing.choice_preprocessor import ChoicePreprocessor
from keras_qa.preprocessing.confidence import Confidence
from keras_qa.preprocessing.preprocessor import deserialize, serialize
from keras_qa.preprocessing.window_words import WindowOutputs
from keras_qa.text import SubwordTokenizer, Vectorizer, Windower, WordTokenizer

EXAMPLES = [
    Example("Ann left. Bob slept.", "Who left?", "Ann", 0),
    Example("Cat ran. Bob left.", "Who left?", "Bob", 9),
]
# The decoder's options that are chosen by calibration.
CALIBRATED = {"max_answer_words": None, "no_answer_threshold": None}
TEXT = "one two three four five six seven eight nine"
WORDS = TEXT.split()


class Table:
    """A model that gives each window logits by the ids of its words: the highest id wins."""

    inputs = (types.SimpleNamespace(name="text"), types.SimpleNamespace(name="question"))
    layers = ()
    output = types.MappingProxyType({"start": None, "end": None})

    def __init__(self) -> None:
        self.widths: list[tuple[int, int]] = []

    def predict(self, x, batch_size=None, verbose="auto"):
        self.widths.append(x["text"].shape)
        logits = np.pad(x["text"].astype("float32"), [(0, 0), (1, 0)])
        return {"start": logits, "end": logits}


def word_preprocessor() -> WordPreprocessor:
    return WordPreprocessor(Vectorizer().adapt(EXAMPLES))


def span_preprocessor(**options) -> SpanPreprocessor:
    tokenizer = WordTokenizer.train([TEXT])
    return SpanPreprocessor(Windower(tokenizer, max_length=4, stride=1), SpanDecoder(**options))


def test_words_leave_out_the_class_that_nobody_named() -> None:
    preprocessor = word_preprocessor()
    assert preprocessor.vectorizer.answers == ["", "Ann", "Bob"]
    probabilities = np.array([[0.5, 0.2, 0.3], [0.0, 1.0, 0.0]])
    ranked = preprocessor.decode(probabilities, EXAMPLES, count=2)
    assert [[answer.text for answer in row] for row in ranked] == [["Bob", "Ann"], ["Ann", "Bob"]]
    assert [answer.score for answer in ranked[0]] == pytest.approx([0.6, 0.4])
    # The first text says Bob from 10 on, and the second does not say Ann.
    assert (ranked[0][0].start, ranked[0][0].end) == (10, 13)
    assert ranked[1][0].start is None
    weights = np.array([[0.25, 0.75], [1.0, 0.0]])
    [[answer], _] = preprocessor.decode({"answer": probabilities, "support": weights}, EXAMPLES, 1)
    assert [(fact.text, fact.weight) for fact in answer.support] == [
        ("Bob slept.", 0.75),
        ("Ann left.", 0.25),
    ]


@pytest.mark.parametrize(
    ("text", "answer", "span"),
    [
        ("Mary moved to the bathroom. John went to the hallway.", "bathroom", (18, 26)),
        ("in the garden, then the Garden.", "garden", (24, 30)),
        ("bathrooms", "bathroom", (None, None)),
        ("c++ and c", "c++", (0, 3)),
        ("घर में", "घर", (0, 2)),
        ("", "x", (None, None)),
        ("text", " ", (None, None)),
    ],
)
def test_an_answer_of_words_is_located_at_its_last_mention(text: str, answer: str, span) -> None:
    preprocessor = WordPreprocessor(Vectorizer().adapt([Example("a", "b", answer)]))
    [[found]] = preprocessor.decode(np.array([[0.0, 1.0]]), [Example(text, "?")], 1)
    assert (found.text, found.start, found.end) == (answer, *span)


def test_equal_probabilities_are_in_the_order_of_the_vocabulary() -> None:
    [answers] = word_preprocessor().decode(np.array([[0.2, 0.4, 0.4]]), EXAMPLES[:1], 5)
    assert [answer.text for answer in answers] == ["Ann", "Bob"]


def test_words_train_on_labels_and_facts() -> None:
    preprocessor = word_preprocessor()
    feed, labels = preprocessor.make_training_data(
        types.SimpleNamespace(output=np.zeros(3)), EXAMPLES
    )
    assert sorted(feed) == ["question", "text"]
    assert labels.tolist() == [1, 2]
    facts = [Example(e.text, e.question, e.answers, supporting_facts=(1,)) for e in EXAMPLES]
    _, both = preprocessor.make_training_data(
        types.SimpleNamespace(output={"answer": 0, "support": 0}), facts
    )
    assert both["answer"].tolist() == [1, 2]
    assert both["support"].tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize("most", [2, 256])
def test_spans_are_found_over_all_windows_of_a_text(most: int, monkeypatch) -> None:
    monkeypatch.setattr(preprocessing.span_preprocessor, "WINDOWS", most)
    preprocessor, model = span_preprocessor(max_answer_words=1), Table()
    vocabulary = preprocessor.vectorizer.tokenizer.vocabulary
    words = TEXT.split()
    best = sorted(words, key=vocabulary.index, reverse=True)[:3]
    [found] = preprocessor.answer(model, [Example(TEXT, "one")], 3, 2, 0)
    assert [answer.text for answer in found] == best
    assert all(TEXT[answer.start : answer.end] == answer.text for answer in found)
    # Three windows of four words.
    assert model.widths == ([(2, 4), (1, 3)] if most == 2 else [(3, 4)])


def test_details_are_those_of_the_answers() -> None:
    preprocessor = span_preprocessor(no_answer=True, temperature=4.0, no_answer_threshold=0.9)
    examples = [Example(TEXT, "one"), Example("", "two"), Example("six seven", "three")]
    answers, details = preprocessor.answer_in_detail(Table(), examples, 32, 0)
    assert answers == [row[0] for row in preprocessor.answer(Table(), examples, 1, 32, 0)]
    assert [answer.text for answer in answers] == details.spans
    assert details.no_answer[1] == 1.0
    assert details.threshold == 0.9
    assert span_preprocessor().answer_in_detail(Table(), examples, 32, 0)[1].threshold == 1.0


def test_calibration_sets_the_decoder() -> None:
    preprocessor = span_preprocessor()
    golds = [Example(TEXT, "one", "nine", TEXT.index("nine")), Example(TEXT, "two", "one", 0)]
    preprocessor.configure(golds, CALIBRATED)
    assert preprocessor.decoder == SpanDecoder()
    found = preprocessor.calibrate(Table(), golds, 32)
    assert preprocessor.decoder.temperature == found["temperature"] != 1.0
    for most in (1, 2):
        preprocessor.calibrate(Table(), golds, 32, {"max_answer_words": most})
        assert preprocessor.decoder.max_answer_words == most
    # Without an answer that can be found there is nothing to fit.
    assert preprocessor.calibrate(Table(), [Example(TEXT, "one")], 32) == {}
    preprocessor.configure(
        [Example("a", "b")], {"max_answer_words": 2, "no_answer_threshold": 0.25}
    )
    assert preprocessor.decoder == SpanDecoder(2, True, 0.25)


class FirstToLast(Table):
    """Prefers the first word, and even more all words."""

    def predict(self, x, batch_size=None, verbose="auto"):
        logits = np.zeros((2, len(x["text"]), x["text"].shape[1] + 1), "float32")
        logits[0, :, 1], logits[1, :, 1], logits[1, :, 8] = 20.0, 10.0, 15.0
        return {"start": logits[0], "end": logits[1]}


def test_the_limit_of_words_has_the_highest_f1() -> None:
    text = "one two three four five six seven eight"
    windower = Windower(WordTokenizer.train([text]), max_length=12, stride=1)
    seven = Example(text, "one", text.removesuffix(" eight"), 0)
    one = Example(text, "one", "one", 0)
    # Up to five words the only exact match is "one"; all eight overlap more with seven of them.
    for golds, most in (([seven, seven, one], 15), ([one], 5)):
        preprocessor = SpanPreprocessor(windower, SpanDecoder())
        preprocessor.calibrate(FirstToLast(), golds, 32)
        assert preprocessor.decoder.max_answer_words == most


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_the_threshold_answers_most_of_those_with_nearly_the_highest_f1(
    loss: float, monkeypatch
) -> None:
    monkeypatch.setattr(preprocessing.span_calibration, "THRESHOLD_LOSS", loss)
    preprocessor = span_preprocessor(no_answer=True, max_answer_words=1)
    golds = [
        Example(TEXT, "one", "nine", TEXT.index("nine"), id="a"),
        Example("five six", "two", "six", 5, id="b"),
        Example("seven", "two", id="c"),
        Example("one two", "two", id="d"),
    ]
    preprocessor.calibrate(Table(), golds, 32)
    decoder = preprocessor.decoder
    free = SpanPreprocessor(
        preprocessor.vectorizer, dataclasses.replace(decoder, no_answer_threshold=1.0)
    )
    found = free.answer(Table(), golds, 30, 32, 0)
    texts = [next(answer.text for answer in row if answer.text) for row in found]
    none = [next(answer.score for answer in row if not answer.text) for row in found]
    # By the official script.
    scores = {
        threshold: metrics.squad(texts, golds, "2.0", none, no_answer_threshold=threshold)["f1"]
        for threshold in (0.0, *none)
    }
    good = [one for one in scores if scores[one] >= max(scores.values()) - 100 * loss]
    following = min([one for one in none if one > max(good)], default=1.0)
    middle = pytest.approx((max(good) + following) / 2, abs=1e-12)
    assert decoder.no_answer_threshold == middle
    # The threshold of an earlier fit is fitted again, one of the user stays.
    preprocessor.decoder = dataclasses.replace(decoder, no_answer_threshold=0.123)
    preprocessor.calibrate(Table(), golds, 32)
    assert preprocessor.decoder.no_answer_threshold == middle
    preprocessor.calibrate(Table(), golds, 32, {"no_answer_threshold": 0.123})
    assert preprocessor.decoder.no_answer_threshold == 0.123


@pytest.mark.parametrize("preprocessor", [word_preprocessor(), span_preprocessor()])
def test_unknown_options_are_listed(preprocessor: preprocessing.Preprocessor) -> None:
    message = "^There is no option `temperature`. The options are `max_answer_words`, `no_answer`, "
    with pytest.raises(TypeError, match=message):
        preprocessor.with_options(Table(), temperature=None)


def test_a_temperature_that_does_not_help_other_texts_is_left_out() -> None:
    # The table has `two` before `three` by a logit of 2. In three of four texts it is right.
    words = ("two", "two", "two", "three")
    golds = [Example(TEXT, "one", word, TEXT.index(word)) for word in words]
    preprocessor = span_preprocessor(temperature=3.0)
    preprocessor.configure(golds, {"max_answer_words": 1, "no_answer_threshold": None})
    found = preprocessor.calibrate(Table(), golds, 32, {"max_answer_words": 1})
    windows = preprocessor.vectorizer(golds, labels=True)
    logits = np.pad(windows.feed["text"].astype("float32"), [(0, 0), (1, 0)])
    arrays = logits, logits, windows.words, windows.example, windows.word_sizes
    assert fit_temperature(WindowOutputs(*arrays), windows.spans, SpanDecoder(1)) != 1.0
    assert preprocessor.decoder.temperature == found["temperature"] == 1.0
    assert found["calibration_error"] == found["calibration_error_before"]


@pytest.mark.parametrize(
    "preprocessor",
    [
        word_preprocessor(),
        span_preprocessor(no_answer=True, temperature=2.0),
        ChoicePreprocessor(Windower(SubwordTokenizer(wordpiece())), 0.5),
    ],
)
def test_round_trip_through_the_config(preprocessor: preprocessing.Preprocessor) -> None:
    config = serialize(preprocessor)
    again = deserialize(config)
    assert type(again) is type(preprocessor)
    assert serialize(again) == config


def test_an_unknown_preprocessor_raises() -> None:
    with pytest.raises(
        ValueError, match=r" 'sets', but .*'words', 'spans', 'tokens', 'pairs', 'choices'\."
    ):
        deserialize({"name": "sets"})


def test_what_was_calibrated_for_an_index_is_kept_until_the_next_training() -> None:
    preprocessor = span_preprocessor(no_answer=True)
    assert "asking" not in preprocessor.get_config()
    assert SpanPreprocessor.from_config(preprocessor.get_config()).asking is None
    confidence = Confidence({"odds": 1.5}, -0.5, (-1.0, -0.7))
    options = {"max_length": 4}
    table = {"precisions": (0.5, 1.0), "thresholds": (0.0, 0.9)}
    preprocessor.asking = AskCalibration(confidence, True, 5, options, **table)
    config = json.loads(json.dumps(preprocessor.get_config()))
    assert SpanPreprocessor.from_config(config).asking == preprocessor.asking
    assert preprocessor.with_options(Table(), no_answer=False).asking == preprocessor.asking
    preprocessor.configure(EXAMPLES, CALIBRATED)
    assert preprocessor.asking is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"has_ranker": 1}, "`has_ranker` must be `True` or `False`. Received: has_ranker=1."),
        ({"passages": 0}, "`passages` must be a positive integer. Received: passages=0."),
        ({"options": {"top_k": 1}}, "`options` must be those of `ask`. Received: 'top_k'."),
        (
            {"precisions": [0.5]},
            "`precisions` and `thresholds` must have the same length. Re",
        ),
        ({"precisions": ["a"], "thresholds": [0.5]}, "`precisions` must be a finite number."),
        ({"thresholds": 0.5}, "`thresholds` must be a list. Received: 0.5."),
        ({"confidence": None}, "`confidence` must be an object. Received: None."),
        ({"confidence": {"weights": {}}}, "`no_answer` must be a list. Received: none."),
    ],
)
def test_wrong_calibrations_raise(changes: dict, message: str) -> None:
    config = AskCalibration(Confidence({}, 0.0, (0.0, -1.0))).get_config()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        AskCalibration.from_config({**config, **changes})


def test_spans_of_passages_have_odds_against_no_answer() -> None:
    # The logits of a word are its id, and those of no answer 0, whatever the decoder's settings.
    preprocessor = span_preprocessor(max_answer_words=1, temperature=3.0)
    ids = {word: 2 * preprocessor.vectorizer.tokenizer.vocabulary.index(word) for word in WORDS}
    examples = [
        Example(["five six", "one two"], "nine"),
        Example("one two three four five", "nine"),
        Example("", "nine"),
    ]
    rows = preprocessor.read_passages(Table(), examples, 32)
    # What precedes the passage is no answer.
    assert sorted(rows[0]) == [
        ("one", 0, 3, pytest.approx(ids["one"])),
        ("two", 4, 7, pytest.approx(ids["two"])),
    ]
    # Two windows of four words share one, in which this one is twice as likely.
    odds = {span.text: span.odds for span in rows[1]}
    expected = {word: ids[word] for word in ("one", "two", "three", "four", "five")}
    expected["four"] += np.log(2)
    assert odds == pytest.approx(expected, rel=1e-5)
    assert list(odds) == sorted(odds, key=lambda word: -odds[word])
    assert rows[2] == []
    assert not preprocessor.knows_no_answer
    assert span_preprocessor(no_answer=True).knows_no_answer
    assert not word_preprocessor().knows_no_answer


def test_answers_from_passages_have_one_softmax() -> None:
    preprocessor = span_preprocessor(max_answer_words=2, no_answer=True, temperature=4.0)
    ids = {word: preprocessor.vectorizer.tokenizer.vocabulary.index(word) for word in WORDS}
    passages = ["five six", "one two"]
    examples = [Example(passages, "nine"), Example(passages[:1], "nine")]
    masses = {"": 1.0}
    for passage in passages:
        first, last = passage.split()
        for begin, end in ((first, first), (last, last), (first, last)):
            text = passage if begin != end else begin
            masses[text] = np.exp((ids[begin] + ids[end]) / 4)
    for item, row in zip(
        examples, preprocessor.answer_from_passages(Table(), examples, 9, 2), strict=True
    ):
        texts = [text for text in masses if text in item.plain_text]
        total = sum(masses[text] for text in texts)
        scores = {answer.text: answer.score for answer in row}
        assert scores == pytest.approx({text: masses[text] / total for text in texts}, rel=1e-5)
        for answer in row:
            if answer.text:
                assert item.plain_text[answer.start : answer.end] == answer.text
    # "No answer" is beside `count` spans.
    [row, _] = preprocessor.answer_from_passages(Table(), examples, 1, 2)
    assert [bool(answer.text) for answer in row] == [True, False]
