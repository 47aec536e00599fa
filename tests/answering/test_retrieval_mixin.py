"""`ask` and `calibrate`: fitted weights are used and saved, and thresholds keep their precision."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from pdf_files import at, write_pdf
from small_checkpoints import cross_encoder
from small_models import same_weights

import keras_qa
from keras_qa import Answer, Example, QuestionAnswerer
from keras_qa.answering import Reranker, retrieval_mixin
from keras_qa.answering.document_answers import (
    Candidate,
    Selection,
    feature_rows,
    find_candidates,
    rank_candidates,
    search_shares,
)
from keras_qa.answering.opening import Opened, needs_backend
from keras_qa.documents import Document, Index, Passage
from keras_qa.metrics.answers import contains_answer
from keras_qa.preprocessing import SpanDecoder, SpanPreprocessor
from keras_qa.preprocessing.ask_calibration import AskCalibration
from keras_qa.preprocessing.confidence import cross_fit, default_confidence
from keras_qa.preprocessing.selective import precision_thresholds

COLOURS = {"door": "red", "box": "green", "car": "blue", "sky": "dark grey"}
DOCUMENTS = [Document(thing, f"the {thing} is {shade}.") for thing, shade in COLOURS.items()]
# The reader has not learned questions about two things. The documents do not mention the moon.
EXAMPLES = [
    *(Example("", f"What colour is the {thing}?", shade) for thing, shade in COLOURS.items()),
    *(
        Example("", f"What colour is the {thing} beside the {other}?", COLOURS.get(thing, ()))
        for thing in (*COLOURS, "moon")
        for other in COLOURS
        if thing != other
    ),
]
QUESTIONS = [item.question for item in EXAMPLES]


@pytest.fixture
def qa(doubting, monkeypatch) -> QuestionAnswerer:
    """Nothing is calibrated, and texts may have no answer."""
    vectorizer = doubting.model_.preprocessor.vectorizer
    preprocessor = SpanPreprocessor(vectorizer, SpanDecoder(4, True, 1.0, 2.0))
    monkeypatch.setattr(doubting.model_, "preprocessor", preprocessor)
    monkeypatch.setattr(doubting, "ranker_", None)
    return doubting


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    with Index.create(tmp_path_factory.mktemp("calibrated") / "a.index", language="en") as made:
        made.add(DOCUMENTS)
        yield made


def candidates(
    qa: QuestionAnswerer, selections: list[Selection], questions: list[str]
) -> list[list[Candidate]]:
    """The candidates of each question, read passage by passage."""
    results = []
    for (passages, logits), question in zip(selections, questions, strict=True):
        texts = [[hit.heading, hit.text] if hit.heading else hit.text for hit in passages]
        spans = [
            qa.model_.preprocessor.read_passages(qa.model_, [Example(text, question)], 1)[0]
            for text in texts
        ]
        results.append(find_candidates(question, (passages, logits), spans))
    return results


def searched(index: Index, questions: list[str], passages: int) -> list[Selection]:
    return [(hits, None) for hits in index.search(questions, passages)]


def close(answers: list[list[Answer]], expected: list[list[Answer]]) -> None:
    """Both have the same answers at the same places with the same scores, best first."""
    for row, others in zip(answers, expected, strict=True):
        # Answers with equal scores have no order.
        scores, other_scores = (
            {(answer.text, answer.document, answer.start): answer.score for answer in part}
            for part in (row, others)
        )
        assert scores == pytest.approx(other_scores, rel=1e-4, abs=1e-6)
        assert [*scores.values()] == sorted(scores.values(), reverse=True)


def test_scores_are_those_of_the_candidates(qa, index) -> None:
    selections = searched(index, QUESTIONS, 10)
    expected = [
        rank_candidates(row, hits, default_confidence(False), True)
        for row, (hits, _) in zip(candidates(qa, selections, QUESTIONS), selections, strict=True)
    ]
    answers = qa.ask(index, QUESTIONS, top_k=99)
    close(answers, expected)
    assert qa.ask(index, QUESTIONS) == [row[0] for row in answers]
    close([[qa.ask(index, QUESTIONS[0])]], [answers[0][:1]])
    # Without "no answer" the others stay the same.
    answers = qa.ask(index, QUESTIONS, top_k=99, no_answer=False)
    close(answers, [[answer for answer in row if answer.text] for row in expected])


def test_headings_are_read_before_passages(qa) -> None:
    hit = Passage("a.txt", "the door is red.", 1.0, heading="the box")

    class Shelf:
        def search(self, questions, k):
            return [[hit] for _ in questions]

    [answers] = qa.ask(Shelf(), QUESTIONS[:1], top_k=99)
    selections = [([hit], None)]
    [row] = candidates(qa, selections, QUESTIONS[:1])
    close([answers], [rank_candidates(row, [hit], default_confidence(False), True)])
    # The heading itself is no answer, and offsets are those of the passage.
    for answer in answers:
        assert answer.text == (hit.text[answer.start : answer.end] if answer.text else "")
    plain = [([Passage("a.txt", hit.text, 1.0)], None)]
    [other] = candidates(qa, plain, QUESTIONS[:1])
    assert [entry.features[0] for entry in other] != [entry.features[0] for entry in row]


def test_answers_from_pdf_files_have_boxes(qa, tmp_path) -> None:
    write_pdf(tmp_path / "a.pdf", [b"", at(50, 700, "the door is red.")])
    with Index.create(tmp_path / "a.index", language="en") as index:
        index.update(tmp_path / "a.pdf")
        answers = qa.ask(index, QUESTIONS[0], top_k=99)
        assert [answer.page for answer in answers if answer.text] == [2] * (len(answers) - 1)
        for answer in answers:
            own = index.boxes("a.pdf", answer.start, answer.end) if answer.text else ()
            assert answer.boxes == own
            assert len(own) == bool(answer.text)
        [(plain, *_)] = qa.ask(index, QUESTIONS[:1], top_k=99, boxes=False)
        assert plain == replace(answers[0], boxes=())
        shelf = SimpleNamespace(search=index.search)
        assert qa.ask(shelf, QUESTIONS[0], top_k=1) == [plain]
        # An answer does not need the file.
        (tmp_path / "a.pdf").unlink()
        assert qa.ask(index, QUESTIONS[0]) == plain


def test_fitted_weights_are_used(qa, index) -> None:
    preprocessor, before = qa.model_.preprocessor, qa.model_.get_weights()
    fitted = qa.calibrate(index, EXAMPLES, passages=1, verbose=0)
    assert qa.model_.preprocessor is preprocessor
    assert preprocessor.asking is fitted
    assert preprocessor.decoder == SpanDecoder(4, True, 1.0, 2.0)
    assert same_weights(qa.model_, before)
    assert (fitted.passages, fitted.options, fitted.has_ranker) == (1, {}, False)
    selections = searched(index, QUESTIONS, 1)
    rows = candidates(qa, selections, QUESTIONS)
    features = [feature_rows(row) for row in rows]
    right = [
        np.array([contains_answer(entry.text, item.answers) for entry in row], bool)
        for row, item in zip(rows, EXAMPLES, strict=True)
    ]
    answerable = [bool(item.answers) for item in EXAMPLES]
    expected = default_confidence(False).fit(features, right, answerable)
    assert fitted.confidence.weights == pytest.approx(expected.weights, abs=1e-4)
    assert fitted.confidence.bias == pytest.approx(expected.bias, abs=1e-4)
    assert fitted.confidence.no_answer == pytest.approx(expected.no_answer, abs=1e-4)
    # The thresholds are of weights of other questions.
    scores, is_right = cross_fit(default_confidence(False), features, right, answerable, True)
    precisions, thresholds = precision_thresholds(scores, is_right)
    assert fitted.precisions == pytest.approx(precisions.tolist())
    assert fitted.thresholds == pytest.approx(thresholds.tolist(), abs=1e-4)
    answers = qa.ask(index, QUESTIONS, top_k=99)
    ranked = [
        rank_candidates(row, hits, fitted.confidence, True)
        for row, (hits, _) in zip(rows, selections, strict=True)
    ]
    close(answers, ranked)
    # Other numbers of passages, and other weights.
    assert qa.ask(index, QUESTIONS, top_k=99, passages=3) != answers
    preprocessor.asking = None
    unfitted = qa.ask(index, QUESTIONS, top_k=99, passages=1)
    assert [row[0].score for row in unfitted] != [row[0].score for row in answers]


def test_questions_are_read_in_parts(qa, index, monkeypatch, capsys) -> None:
    expected = qa.calibrate(index, EXAMPLES, verbose=0)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(retrieval_mixin, "_QUESTIONS", 5)
    fitted = qa.calibrate(index, iter(EXAMPLES), batch_size=3)
    assert f"] {len(EXAMPLES)}/{len(EXAMPLES)}  100 %" in capsys.readouterr().out
    assert fitted.confidence.weights == pytest.approx(expected.confidence.weights, abs=1e-4)
    assert fitted.thresholds == pytest.approx(expected.thresholds, abs=1e-4)


def test_an_answer_with_more_words_is_right(qa, index) -> None:
    data = [Example("", "What colour is the sky?", "grey")]
    assert "dark grey" in [answer.text for answer in qa.ask(index, data[0].question, top_k=9)]
    before = qa.ask(index, data[0].question).score
    qa.calibrate(index, data * 20)
    after = qa.ask(index, data[0].question)
    assert contains_answer(after.text, ["grey"])
    assert after.score > before


@pytest.mark.parametrize("no_answer", [True, False])
def test_a_precision_sets_the_minimum_score(qa, index, no_answer: bool) -> None:
    fitted = qa.calibrate(index, EXAMPLES, no_answer=no_answer)
    answers = qa.ask(index, QUESTIONS)
    # With an answer to each question, wrong ones have lower scores.
    assert no_answer or (all(answer.text for answer in answers) and len(fitted.precisions) > 1)
    for least in fitted.precisions:
        lowest = fitted.threshold(least)
        assert lowest == dict(zip(fitted.precisions, fitted.thresholds, strict=True))[least]
        strict = qa.ask(index, QUESTIONS, min_precision=least)
        assert strict == qa.ask(index, QUESTIONS, min_score=lowest)
        assert [answer.text for answer in strict] == [
            answer.text if answer.score >= lowest else "" for answer in answers
        ]
    with pytest.raises(ValueError, match=r"^`min_precision` is 1, but the questions of `calibrate"):
        qa.ask(index, QUESTIONS[0], min_precision=1)


def test_it_is_saved_and_loaded(qa, index, tmp_path) -> None:
    fitted = qa.calibrate(index, EXAMPLES, passages=2, no_answer=True, max_answer_words=3)
    assert fitted.options == {"no_answer": True, "max_answer_words": 3}
    assert json.loads(json.dumps(fitted.get_config())) == fitted.get_config()
    qa.save(tmp_path / "a.keras")
    loaded = keras_qa.load(tmp_path / "a.keras")
    assert loaded.model_.preprocessor.asking == fitted
    answers = qa.ask(index, QUESTIONS[:6], top_k=2)
    assert loaded.ask(index, QUESTIONS[:6], top_k=2) == answers
    # The options, too, are those of the calibration.
    assert qa.ask(index, QUESTIONS[:6], top_k=2, no_answer=True, max_answer_words=3) == answers
    assert all(len(answer.text.split()) <= 3 for row in answers for answer in row)
    # A text of its own is answered as before.
    before = qa.answer(DOCUMENTS[0].text, QUESTIONS[0])
    qa.model_.preprocessor.asking = None
    assert qa.answer(DOCUMENTS[0].text, QUESTIONS[0]) == before


def test_a_reader_that_finds_an_answer_everywhere_is_calibrated(qa, index) -> None:
    qa.model_.preprocessor.decoder = SpanDecoder(4)
    with pytest.warns(UserWarning, match=r"^This reader was not trained on texts without an"):
        qa.calibrate(index, EXAMPLES)
    fitted = qa.calibrate(index, EXAMPLES, no_answer=False)
    # Without a warning: the option is known now.
    assert qa.ask(index, QUESTIONS[0]).text
    assert fitted.options == {"no_answer": False}


@pytest.mark.parametrize(
    ("examples", "options", "message"),
    [
        ([], {}, "`examples` is empty. Give some to calibrate on."),
        (EXAMPLES, {"passages": 0}, "`passages` must be a positive integer. Received: passages=0."),
        (EXAMPLES, {"batch_size": -1}, "`batch_size` must be a positive integer."),
        (
            [Example("", QUESTIONS[0], "zebra"), Example("", QUESTIONS[1])],
            {},
            "No answer from these documents is right. Give examples whose answers they contain.",
        ),
    ],
)
def test_wrong_arguments_calibrate_nothing(qa, index, examples, options, message: str) -> None:
    before = qa.model_.get_weights()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        qa.calibrate(index, examples, **options)
    assert same_weights(qa.model_, before)
    assert qa.model_.preprocessor.asking is None
    with pytest.raises(ValueError, match=r"^`min_precision` needs a calibration\. Call `calibrate"):
        qa.ask(index, QUESTIONS[0], min_precision=0.9)
    with pytest.raises(ValueError, match="^`min_score` and `min_precision` exclude each other. Le"):
        qa.ask(index, QUESTIONS[0], min_precision=0.9, min_score=0.5)


def test_a_precision_needs_the_settings_of_the_calibration(qa, index) -> None:
    qa.calibrate(index, EXAMPLES, max_answer_words=3)
    for name, value in (("passages", 4), ("candidates", 9), ("no_answer", False)):
        message = f"`min_precision` answers with the settings of `calibrate`. Leave `{name}` out, "
        with pytest.raises(ValueError, match=f"^{message}"):
            qa.ask(index, QUESTIONS[0], min_precision=0.1, **{name: value})
    assert qa.ask(index, QUESTIONS[0], min_precision=0.1)
    with pytest.raises(ValueError, match=r"^`min_precision` must be a number above 0 and at most"):
        qa.ask(index, QUESTIONS[0], min_precision=0)


@pytest.fixture(scope="module")
def ranker(tmp_path_factory) -> Reranker:
    """Untrained, but its logits differ from text to text."""
    ranker = Reranker(cross_encoder(tmp_path_factory.mktemp("ranker") / "cross"))
    logits = ranker.model_.get_layer("logits").logits
    logits.kernel.assign(logits.kernel * 5)
    return ranker


# With the opposite logits, the best two of three passages are others.
@pytest.mark.parametrize("sign", [1, -1])
def test_a_ranker_selects_and_weighs_passages(sign, qa, index, ranker, tmp_path) -> None:
    kernel = ranker.model_.get_layer("logits").logits.kernel
    kernel.assign(kernel * sign)
    questions = ["door, box or car?", "door, car or sky?", "box, car or sky?"]
    results = index.search(questions, 3)
    assert [len(hits) for hits in results] == [3] * 3
    logits = ranker.logits(questions, [[hit.text for hit in hits] for hits in results])
    selections = []
    for hits, row in zip(results, logits, strict=True):
        order = np.argsort(-row - 4 * search_shares(hits), kind="stable")[:2]
        selections.append(([hits[number] for number in order], row[order]))
    expected = [
        rank_candidates(row, hits, default_confidence(True), True)
        for row, (hits, _) in zip(candidates(qa, selections, questions), selections, strict=True)
    ]
    options = {"top_k": 9, "passages": 2}
    # By default there are more candidates than passages here.
    close(qa.ask(index, questions, ranker=ranker, **options), expected)
    close(qa.ask(index, questions, ranker=ranker, candidates=3, **options), expected)
    ranker.save(tmp_path / "ranker.keras")
    close(qa.ask(index, questions, ranker=tmp_path / "ranker.keras", **options), expected)
    # Two candidates are the passages of the search, in another order.
    ranked = qa.ask(index, questions, ranker=ranker, candidates=2, **options)
    for hits, row in zip(results, ranked, strict=True):
        names = {place.document for answer in row for place in answer.sources}
        assert names <= {hit.document for hit in hits[:2]}


def test_a_calibration_counts_for_the_same_kind_of_search(qa, index, ranker, tmp_path) -> None:
    options = {"top_k": 9, "passages": 2}
    ways = {True: {"ranker": ranker, **options}, False: options}
    default = {has: qa.ask(index, QUESTIONS, **way) for has, way in ways.items()}
    for has_ranker in (True, False):
        given = {"ranker": ranker} if has_ranker else {}
        fitted = qa.calibrate(index, EXAMPLES, passages=2, **given)
        assert (fitted.passages, fitted.has_ranker) == (2, has_ranker)
        assert bool(fitted.confidence.weights["ranker"]) is has_ranker
        qa.save(tmp_path / "a.keras")
        assert keras_qa.load(tmp_path / "a.keras").model_.preprocessor.asking == fitted
        # The other kind of search has the default weights.
        close(qa.ask(index, QUESTIONS, **ways[not has_ranker]), default[not has_ranker])
        answers = qa.ask(index, QUESTIONS, **ways[has_ranker])
        scores = [[row[0].score for row in rows] for rows in (answers, default[has_ranker])]
        assert np.abs(np.subtract(*scores)).max() > 1e-3
        assert qa.ask(index, QUESTIONS[0], min_precision=0.1, **given)
        message = "^`min_precision` needs the `ranker` that `calibrate` had, or none if it had none"
        other = {} if has_ranker else {"ranker": ranker}
        with pytest.raises(ValueError, match=message):
            qa.ask(index, QUESTIONS[0], min_precision=0.1, **other)


def test_fewer_passages_are_read_with_a_ranker(qa, ranker) -> None:
    passages = [Passage(f"d{n}", f"the door is {n}.", 30.0 - n) for n in range(30)]
    index = SimpleNamespace(search=lambda questions, k: [passages[:k]] * len(questions))
    read = {"no_answer": False, "top_k": 20}
    for given, count in (({}, 10), ({"ranker": ranker}, 7)):
        expected = qa.ask(index, "What colour is the door?", passages=count, **read, **given)
        close([qa.ask(index, "What colour is the door?", **read, **given)], [expected])
        documents = {place.document for answer in expected for place in answer.sources}
        assert len(documents) == count
        examples = [Example("", "What colour is the door?", expected[0].text)]
        assert qa.calibrate(index, examples, **given).passages == count
        qa.model_.preprocessor.asking = None


def test_only_the_default_reader_has_a_default_ranker(qa, tmp_path) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx/keras_qa.json").write_text("{}")
    exported = str(tmp_path / "onnx")
    assert not needs_backend(exported)
    preprocessor = qa.model_.preprocessor
    # The documentation of `save` says that a copy has none.
    names = {"minilm-squad": "minilm-rerank", "mine.keras": None, exported: None}

    def ranker(name: str) -> str | None:
        opened = QuestionAnswerer._from_opened(Opened(qa.model_, True, name), name)
        qa.model_.preprocessor = preprocessor
        return opened.ranker_

    assert {name: ranker(name) for name in names} == names
    # A calibration decides for every reader that needs Keras.
    for is_default, name in ((True, "minilm-rerank"), (False, None)):
        preprocessor.asking = AskCalibration(default_confidence(True), True, 2, {}, is_default)
        assert [ranker(other) for other in names] == [name, name, None]
    trained = copy.copy(qa)
    trained.ranker_ = "minilm-rerank"
    trained._set_model(qa.model_)
    assert trained.ranker_ is None


def test_auto_is_the_ranker_of_the_reader_or_of_its_calibration(
    qa, index, ranker, tmp_path
) -> None:
    options = {"top_k": 9, "passages": 2}
    ranker.save(tmp_path / "mine.keras")
    without, expected = (qa.ask(index, QUESTIONS, ranker=r, **options) for r in (None, ranker))
    close(qa.ask(index, QUESTIONS, **options), without)
    qa.ranker_ = str(tmp_path / "mine.keras")
    close(qa.ask(index, QUESTIONS, **options), expected)
    close(qa.ask(index, QUESTIONS, ranker=None, **options), without)
    assert without != expected
    fitted = qa.calibrate(index, EXAMPLES, passages=2)
    assert (fitted.has_ranker, fitted.default_ranker, qa.ranker_) == (True, False, None)
    fitted = qa.calibrate(index, EXAMPLES, passages=2, ranker="minilm-rerank")
    assert (fitted.has_ranker, fitted.default_ranker) == (True, True)
    qa.save(tmp_path / "a.keras")
    loaded = keras_qa.load(tmp_path / "a.keras")
    assert loaded.ranker_ == qa.ranker_ == "minilm-rerank"
    expected = qa.ask(index, QUESTIONS, top_k=9, ranker=keras_qa.load("minilm-rerank"))
    close(loaded.ask(index, QUESTIONS, top_k=9), expected)
    assert loaded.ask(index, QUESTIONS[0], min_precision=0.1).document == "door"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranker": 3}, "`ranker` must be a `Reranker` or its name. Received: ranker=3"),
        ({"ranker": "babi"}, "`babi` is not a ranker. Expected"),
        ({"candidates": 0}, "`candidates` must be a positive integer. Received: candidates=0"),
    ],
)
def test_bad_rankers_and_candidates(qa, index, options, message: str) -> None:
    before = qa.model_.get_weights()
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}"):
        qa.ask(index, QUESTIONS[0], **options)
    assert same_weights(qa.model_, before)
