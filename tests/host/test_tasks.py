"""Ways of answering, asked for their answers by models that are functions of NumPy."""

from __future__ import annotations

import json
import types

import numpy as np
import pytest

from keras_qa import Example, tasks
from keras_qa.decoding import SpanDecoder, fit_temperature
from keras_qa.tasks import SpanTask, WordTask
from keras_qa.text import Vectorizer, Windower, WordTokenizer

EXAMPLES = [
    Example("Ann left. Bob slept.", "Who left?", "Ann", 0),
    Example("Cat ran. Bob left.", "Who left?", "Bob", 9),
]
TEXT = "one two three four five six seven eight nine"


class Table:
    """A model that gives each window logits by the ids of its words: the highest id wins."""

    inputs = (types.SimpleNamespace(name="text"), types.SimpleNamespace(name="question"))
    output = types.MappingProxyType({"start": None, "end": None})

    def __init__(self) -> None:
        self.widths: list[tuple[int, int]] = []

    def predict(self, x, batch_size=None, verbose="auto", length_buckets=True):
        self.widths.append(x["text"].shape)
        logits = np.pad(x["text"].astype("float32"), [(0, 0), (1, 0)])
        return {"start": logits, "end": logits}


def word_task() -> WordTask:
    return WordTask(Vectorizer().adapt(EXAMPLES))


def span_task(**options) -> SpanTask:
    tokenizer = WordTokenizer.train([TEXT])
    return SpanTask(Windower(tokenizer, length=4, overlap=1), SpanDecoder(**options))


def test_words_leave_out_the_class_that_nobody_named() -> None:
    task = word_task()
    assert task.vectorizer.answers == ["", "Ann", "Bob"]
    probabilities = np.array([[0.5, 0.2, 0.3], [0.0, 1.0, 0.0]])
    ranked = task.decoded(probabilities, EXAMPLES, count=2)
    assert [[answer.text for answer in row] for row in ranked] == [["Bob", "Ann"], ["Ann", "Bob"]]
    assert [answer.score for answer in ranked[0]] == pytest.approx([0.6, 0.4])
    # The first text says Bob from 10 on, and the second does not say Ann.
    assert (ranked[0][0].start, ranked[0][0].end) == (10, 13)
    assert ranked[1][0].start is None
    weights = np.array([[0.25, 0.75], [1.0, 0.0]])
    [[answer], _] = task.decoded(probabilities, EXAMPLES, 1, weights)
    assert [(fact.text, fact.weight) for fact in answer.support] == [
        ("Bob slept.", 0.75),
        ("Ann left.", 0.25),
    ]


def test_words_train_on_labels_and_facts() -> None:
    task = word_task()
    feed, labels = task.training(types.SimpleNamespace(output=np.zeros(3)), EXAMPLES)
    assert sorted(feed) == ["question", "text"]
    assert labels.tolist() == [1, 2]
    facts = [Example(e.text, e.question, e.answers, supporting_facts=(1,)) for e in EXAMPLES]
    _, both = task.training(types.SimpleNamespace(output={"answer": 0, "support": 0}), facts)
    assert both["answer"].tolist() == [1, 2]
    assert both["support"].tolist() == [[0, 1], [0, 1]]


def test_spans_are_found_over_all_windows_of_a_text() -> None:
    task, model = span_task(max_answer_words=1), Table()
    vocabulary = task.vectorizer.tokenizer.vocabulary
    words = TEXT.split()
    best = sorted(words, key=vocabulary.index, reverse=True)[:3]
    [found] = task.answers(model, [Example(TEXT, "one")], 3, 2, 0)
    assert [answer.text for answer in found] == best
    assert all(TEXT[answer.start : answer.end] == answer.text for answer in found)
    # Three windows of four words, two at a time.
    assert model.widths == [(3, 4)]


def test_details_are_those_of_the_answers() -> None:
    task = span_task(no_answer=True, temperature=4.0, no_answer_threshold=0.9)
    examples = [Example(TEXT, "one"), Example("", "two"), Example("six seven", "three")]
    answers, details = task.details(Table(), examples, 32, 0)
    assert answers == [row[0] for row in task.answers(Table(), examples, 1, 32, 0)]
    assert [answer.text for answer in answers] == details.spans
    assert details.no_answer[1] == 1.0
    assert details.threshold == 0.9
    cold = span_task(no_answer=True, no_answer_threshold=0.9)
    assert details.before == cold.details(Table(), examples, 32, 0)[0]
    assert details.before[0].score > answers[0].score
    assert span_task().details(Table(), examples, 32, 0)[1].threshold == 1.0
    assert word_task().name != task.name


def test_calibration_sets_the_decoder() -> None:
    task = span_task()
    golds = [Example(TEXT, "one", "nine", TEXT.index("nine")), Example(TEXT, "two", "one", 0)]
    task.expect(golds, {"max_answer_words": None, "no_answer_threshold": None})
    assert task.decoder == SpanDecoder()
    found = task.calibrate(Table(), golds, 32)
    assert task.decoder.temperature == found["temperature"] != 1.0
    # Without an answer that can be found there is nothing to fit.
    assert task.calibrate(Table(), [Example(TEXT, "one")], 32) == {}
    task.expect([Example("a", "b")], {"max_answer_words": 2, "no_answer_threshold": 0.25})
    assert task.decoder == SpanDecoder(2, True, 0.25)


@pytest.mark.parametrize("task", [word_task(), span_task()])
def test_unknown_options_are_listed(task: tasks.Task) -> None:
    with pytest.raises(TypeError) as caught:
        task.asked_with(temperature=None)
    assert str(caught.value) == (
        "There is no option `temperature`. The options are `max_answer_words`, `no_answer`, "
        "`whole_words`, `length`, `overlap`, `max_question_length`."
    )


def test_a_temperature_that_does_not_help_other_texts_is_left_out() -> None:
    # The table has `two` before `three` by a logit of 2. In three of four texts it is right.
    words = ("two", "two", "two", "three")
    golds = [Example(TEXT, "one", word, TEXT.index(word)) for word in words]
    task = span_task(temperature=3.0)
    task.expect(golds, {"max_answer_words": 1, "no_answer_threshold": None})
    found = task.calibrate(Table(), golds, 32)
    windows = task.vectorizer(golds, labels=True)
    logits = np.pad(windows.feed["text"].astype("float32"), [(0, 0), (1, 0)])
    inputs = logits, logits, windows.words, windows.example, windows.spans, 1, False
    assert fit_temperature(*inputs) != 1.0
    assert task.decoder.temperature == found["temperature"] == 1.0
    assert found["calibration_error"] == found["calibration_error_before"]


@pytest.mark.parametrize("task", [word_task(), span_task(no_answer=True, temperature=2.0)])
def test_a_task_is_made_again_from_what_is_kept_of_it(task: tasks.Task) -> None:
    config = tasks.serialize(task)
    again = tasks.deserialize(config)
    assert type(again) is type(task)
    assert tasks.serialize(again) == config


def test_both_older_forms_are_read() -> None:
    for task, key in ((word_task(), "vectorizer"), (span_task(no_answer=True), "windower")):
        config = {"layers": [], key: task.vectorizer.get_config(), "decoder": {"no_answer": True}}
        again = tasks.take(config)
        assert config == {"layers": []}
        assert tasks.serialize(again) == tasks.serialize(task)
    assert tasks.take({"layers": []}) is None


def test_a_task_that_nobody_knows_is_named() -> None:
    with pytest.raises(ValueError, match=r"is 'choices', but .* knows 'words', 'spans'\."):
        tasks.deserialize({"name": "choices"})


def test_what_was_calibrated_for_an_index_is_kept_until_the_next_training() -> None:
    task = span_task(no_answer=True)
    # A file of an earlier version says nothing of it.
    assert "asking" not in task.get_config()
    assert SpanTask.from_config(task.get_config()).asking is None
    task.asking = tasks.AskCalibration(1.5, 3.0, 5, {"length": 4}, (0.5, 1.0), (0.0, 0.9))
    config = json.loads(json.dumps(task.get_config()))
    assert SpanTask.from_config(config).asking == task.asking
    assert task.asked_with(no_answer=False).asking == task.asking
    task.expect(EXAMPLES, {"max_answer_words": None, "no_answer_threshold": None})
    assert task.asking is None
