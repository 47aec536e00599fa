"""`pipeline`: answers and scores beside a plain computation, the forms of inputs, and errors."""

import pathlib
import types

import numpy as np
import pytest
import tokenizers
from small_checkpoints import copy, cross_encoder

import keras_qa
from keras_qa import Example, QuestionAnswerer
from keras_qa.answering.opening import Opened
from keras_qa.models import span_reader

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
QUESTION = "Where did she sleep?"
# Long words of several pieces, which windows cut, and a mark that the tokenizer drops.
CONTEXT = (
    "Mary went to the bathroom, then she slept at home. The bathroomhomeslept slept; mary went "
    "homeslepthome to the home\u0301."
)


@pytest.fixture(scope="module")
def qa(tmp_path_factory) -> QuestionAnswerer:
    """A small reader with random weights, and logits far from each other."""
    reader = span_reader(backbone=copy("bert", tmp_path_factory.mktemp("reader") / "bert"))
    reader.layers[-1].set_weights([20 * weight for weight in reader.layers[-1].get_weights()])
    return QuestionAnswerer._from_opened(Opened(reader, True, "reader"), "reader")


@pytest.fixture(scope="module")
def pipe(qa):
    return keras_qa.pipeline("question-answering", model=qa)


def probabilities(logits: np.ndarray, kept: list[bool]) -> np.ndarray:
    exponents = np.where(kept, np.exp(logits - logits.max(), dtype="float64"), 0.0)
    return exponents / exponents.sum()


def close(answer: dict) -> dict:
    """An answer whose score may differ as it does between batches."""
    return {**answer, "score": pytest.approx(answer["score"], abs=1e-4)}


def expected(
    qa, top_k=1, doc_stride=24, max_answer_len=15, max_seq_len=48, align_to_words=True, none=False
) -> list[dict]:
    """The answers by the windows of `tokenizers`, and by loops over all spans of each."""
    tokenizer = tokenizers.Tokenizer.from_str(qa.vectorizer_.tokenizer.to_json())
    tokenizer.enable_truncation(max_seq_len, stride=doc_stride, strategy="only_second")
    encoding = tokenizer.encode(QUESTION, CONTEXT)
    answers, lowest = {}, 1.0
    for window in [encoding, *encoding.overflowing]:
        names = ("ids", "type_ids", "attention_mask")
        feed = [np.array([getattr(window, name)], "int32") for name in names]
        outputs = qa.model_.predict(feed, verbose=0)
        kept = [position in (1, None) for position in window.sequence_ids]
        kept = [kept[0], *(number == 1 for number in window.sequence_ids[1:])]
        start, end = (probabilities(outputs[name][0], kept) for name in ("start", "end"))
        lowest = min(lowest, start[0] * end[0])
        spans = [
            (start[first] * end[last], first, last)
            for first in range(1, len(window))
            for last in range(first, min(first + max_answer_len, len(window)))
            if kept[first] and kept[last]
        ]
        count = 2 * top_k + 10 if align_to_words else top_k
        for score, first, last in sorted(spans, reverse=True)[:count]:
            if align_to_words:
                left = window.word_to_chars(window.token_to_word(first), 1)[0]
                right = window.word_to_chars(window.token_to_word(last), 1)[1]
            else:
                left, right = window.offsets[first][0], window.offsets[last][1]
            text = CONTEXT[left:right]
            answer = {"score": 0.0, "start": left, "end": right, "answer": text}
            answers.setdefault(text.lower(), answer)["score"] += score
    ranked = [*answers.values()]
    if none:
        ranked.append({"score": lowest, "start": 0, "end": 0, "answer": ""})
    return sorted(ranked, key=lambda answer: -answer["score"])[:top_k]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"top_k": 4},
        {"top_k": 3, "max_answer_len": 2},
        {"top_k": 3, "align_to_words": False},
        {"max_seq_len": 24, "doc_stride": 3, "top_k": 5},
        # Windows of 13 positions for the text: more than half of each is in the next one.
        {"max_seq_len": 28, "doc_stride": 10, "top_k": 5},
    ],
)
def test_answers_are_those_of_a_plain_computation(qa, pipe, options) -> None:
    answers = pipe(question=QUESTION, context=CONTEXT, **{"max_seq_len": 48, **options})
    answers = answers if isinstance(answers, list) else [answers]
    wanted = expected(qa, **options)
    assert len(answers) == options.get("top_k", 1)
    for answer, other in zip(answers, wanted, strict=True):
        assert answer == close(other)
        assert CONTEXT[answer["start"] : answer["end"]] == answer["answer"]
        assert [type(value) for value in answer.values()] == [float, int, int, str]


def test_no_answer_has_its_lowest_score_over_windows(qa, pipe) -> None:
    options = {"max_seq_len": 24, "doc_stride": 3, "top_k": 60, "max_answer_len": 1}
    answers = pipe(question=QUESTION, context=CONTEXT, handle_impossible_answer=True, **options)
    wanted = expected(qa, none=True, **options)
    assert answers == [close(answer) for answer in wanted]
    [none] = [answer for answer in answers if not answer["answer"]]
    assert (none["start"], none["end"]) == (0, 0)
    assert all(answer["answer"] for answer in pipe(question=QUESTION, context=CONTEXT, **options))


def test_all_forms_of_inputs(pipe) -> None:
    contexts = [CONTEXT, "She slept."]
    first, second = (close(pipe(question=QUESTION, context=context)) for context in contexts)
    assert first != second
    squad = types.SimpleNamespace(question_text=QUESTION, context_text=CONTEXT)
    row = {"question": QUESTION, "context": CONTEXT}
    for inputs in (row, [row], squad, [squad], Example(CONTEXT, QUESTION)):
        assert pipe(inputs) == first
    for answer in (pipe(QUESTION, CONTEXT), pipe(data=row), pipe(X=[row])):
        assert answer == first
    both = [row, {"question": QUESTION, "context": contexts[1], "id": 7}]
    assert pipe(both) == [first, second]
    assert pipe(*both) == [first, second]
    assert pipe(question=[QUESTION] * 2, context=contexts) == [first, second]
    assert pipe({"question": [QUESTION] * 2, "context": contexts}) == [first, second]
    assert pipe(question=[QUESTION] * 2, context=CONTEXT) == [first, first]
    assert pipe(pipe.create_sample(QUESTION, CONTEXT)) == first
    assert pipe(pipe.create_sample([QUESTION] * 2, contexts)) == [first, second]
    assert pipe([]) == []
    stream = pipe((row for row in both), batch_size=1)
    assert next(stream) == first
    assert list(stream) == [second]
    assert [len(answers) for answers in pipe(both, top_k=2)] == [2, 2]


def test_defaults_of_calls_and_arguments_without_effect(qa, pipe) -> None:
    other = keras_qa.pipeline(model=qa, tokenizer=qa, device=0, torch_dtype="auto", top_k=2)
    two = pipe(question=QUESTION, context=CONTEXT, topk=2)
    assert other(question=QUESTION, context=CONTEXT) == two
    # With a smaller `top_k` fewer spans are added to an answer, as in transformers.
    first = pipe(question=QUESTION, context=CONTEXT)
    assert other(question=QUESTION, context=CONTEXT, top_k=1, padding=True) == first
    # As with the fast tokenizers of transformers 4.
    assert other(question=QUESTION, context=CONTEXT, max_question_len=1) == two


def test_texts_without_tokens_and_questions_longer_than_the_stride(pipe) -> None:
    empty = {"score": 0.0, "start": 0, "end": 0, "answer": ""}
    assert pipe(question=QUESTION, context="  ") == empty
    # Room for 2 positions of the text, which transformers cannot read.
    answer = pipe(question=QUESTION, context=CONTEXT, max_seq_len=17, doc_stride=5)
    assert CONTEXT[answer["start"] : answer["end"]] == answer["answer"] != ""


def test_presets_folders_and_other_kinds_of_readers(qa, tmp_path) -> None:
    qa.save_pretrained(tmp_path / "saved")
    again = keras_qa.pipeline(model=tmp_path / "saved", revision="main")
    assert again(QUESTION, CONTEXT) == keras_qa.pipeline(model=qa)(QUESTION, CONTEXT)
    # On ONNX Runtime, and a reader from scratch.
    for path in (GOLDEN / "exported" / "reader", GOLDEN / "reader.keras"):
        answer = keras_qa.pipeline(model=path)("Where is Mary?", "Mary went to the bathroom.")
        assert answer["answer"] == "Mary went to the bathroom."[answer["start"] : answer["end"]]
    preset = keras_qa.pipeline("question-answering")
    answer = preset("Who lives in Berlin?", "Ann lives in Berlin.")
    assert (answer["start"], answer["end"], answer["answer"]) == (0, 3, "Ann")
    assert answer["score"] > 0.9


BOTH = {"question": QUESTION, "context": CONTEXT}
LIMIT = "`max_seq_len` is 999, but the model reads at most 64 positions. Use a smaller value."


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "`question` must be a string that is not empty. Received: question=None."),
        ({**BOTH, "question": ""}, ValueError, "`question` must be a string that is not empty."),
        ({**BOTH, "context": 7}, ValueError, "`context` must be a string that is not empty."),
        ({**BOTH, "context": ["a", "b"]}, ValueError, "Received: 1 questions and 2 contexts."),
        ({"data": [7]}, ValueError, '`inputs` must be dicts with "question" and "context"'),
        ({"data": "Who?"}, ValueError, '`inputs` must be dicts with "question" and "context"'),
        ({"data": BOTH, **BOTH}, ValueError, "`question` and `context` exclude other inputs."),
        ({**BOTH, "top_k": 0}, ValueError, "`top_k` must be a positive integer. Received: top_k=0"),
        ({**BOTH, "max_answer_len": 0}, ValueError, "`max_answer_len` must be a positive integer."),
        ({**BOTH, "doc_stride": -1}, ValueError, "`doc_stride` must be a non-negative integer."),
        (
            {**BOTH, "align_to_words": "no"},
            ValueError,
            "`align_to_words` must be `True` or `False`",
        ),
        ({**BOTH, "max_seq_len": 999}, ValueError, LIMIT),
        (
            {**BOTH, "doc_stride": 65},
            ValueError,
            "`doc_stride` is 65, but `max_seq_len` is 64. Use a smaller value.",
        ),
        ({**BOTH, "max_seq_len": 5}, ValueError, "Shorten it, or make the windows longer"),
        ({**BOTH, "temperature": 1}, TypeError, "The pipeline has no argument `temperature`."),
    ],
)
def test_bad_inputs_of_a_call(qa, pipe, options, error, message: str) -> None:
    before = [weight.copy() for weight in qa.model_.get_weights()]
    with pytest.raises(error) as raised:
        pipe(**options)
    text = str(raised.value)
    assert message in text
    assert len(text) <= 300
    assert "\n" not in text
    for weight, other in zip(qa.model_.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_bad_arguments_of_the_pipeline(qa, tmp_path) -> None:
    with pytest.raises(ValueError, match='^`task` must be "question-answering", the only one here'):
        keras_qa.pipeline("text-classification")
    with pytest.raises(ValueError, match="^`tokenizer` must be `None` or the same as `model`"):
        keras_qa.pipeline(model=qa, tokenizer="other")
    with pytest.raises(
        TypeError, match="^The pipeline has no argument `colour`. Expected: `top_k`"
    ):
        keras_qa.pipeline(model=qa, colour="red")
    reader = "^`model` must be a trained reader of spans, without `answer_types`. Received a model"
    with pytest.raises(ValueError, match=reader):
        keras_qa.pipeline(model="babi")
    with pytest.raises(ValueError, match=reader):
        keras_qa.pipeline(model=cross_encoder(tmp_path / "ranker"))
    with pytest.raises(ValueError, match=f"{reader} that has no head for question answering"):
        keras_qa.pipeline(model=QuestionAnswerer())
    with pytest.raises(FileNotFoundError, match="^There is no file `missing/qa.keras`"):
        keras_qa.pipeline(model="missing/qa.keras")


def test_names_of_the_hub_need_no_prefix(monkeypatch) -> None:
    # The library reads `HF_HUB_OFFLINE` when it is imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name, full in (
        ("owner/missing-name", "hf://owner/missing-name@v1"),
        ("hf://owner/missing-name", "hf://owner/missing-name@v1"),
        ("missing-name", "hf://missing-name@v1"),
    ):
        with pytest.raises(ValueError, match=f"^`{full}`"):
            keras_qa.pipeline(model=name, revision="v1")
