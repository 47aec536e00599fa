"""Asking that was calibrated: what is fitted counts, is kept and saved, and holds its precision."""

import dataclasses
import re

import keras
import numpy as np
import pytest
from small_checkpoints import cross_encoder
from small_examples import SPANS, WITHOUT

import keras_qa
from keras_qa import Answer, Example, QuestionAnswerer, metrics
from keras_qa.answering import Reranker
from keras_qa.documents import Document, Index
from keras_qa.preprocessing import SpanDecoder, SpanPreprocessor
from keras_qa.preprocessing.ask_calibration import AskCalibration
from keras_qa.preprocessing.selective import precision_bounds, precision_thresholds

COLOURS = {"door": "red", "box": "green", "car": "blue", "sky": "dark grey"}
DOCUMENTS = [Document(thing, f"the {thing} is {shade}.") for thing, shade in COLOURS.items()]
# What is asked about two things the reader has not learned, and what is asked about the moon has no
# answer.
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


@pytest.fixture(scope="module")
def trained() -> QuestionAnswerer:
    """Knows texts without an answer."""
    options = {"units": 16, "embedding_dim": 8, "dropout": 0.0}
    options["optimizer"] = keras.optimizers.Adam(0.02)
    data = SPANS + WITHOUT
    qa = QuestionAnswerer("span_reader", options, seed=1)
    return qa.fit(data, validation_data=data, epochs=40, batch_size=16, verbose=0)


@pytest.fixture
def qa(trained) -> QuestionAnswerer:
    """Nothing is calibrated, and there is always an answer."""
    preprocessor = trained.model_.preprocessor
    trained.model_.preprocessor = SpanPreprocessor(
        preprocessor.vectorizer, SpanDecoder(4, True, 1.0, 2.0)
    )
    return trained


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    with Index.create(tmp_path_factory.mktemp("calibrated") / "a.index", language="en") as made:
        made.add(DOCUMENTS)
        yield made


def right(answers: list[Answer]) -> list[bool]:
    """Whether each answer is right that is given."""
    return [
        metrics.exact_match(answer.text, item.answers or ("",)) == 1
        for answer, item in zip(answers, EXAMPLES, strict=True)
        if answer.text
    ]


def test_what_was_fitted_is_asked_with(qa, index) -> None:
    preprocessor = qa.model_.preprocessor
    fitted = qa.calibrate(index, EXAMPLES, passages=3, verbose=0)
    assert qa.model_.preprocessor is preprocessor
    assert preprocessor.asking is fitted
    assert preprocessor.decoder.temperature == 2.0
    assert fitted.passages == 3
    answers = qa.ask(index, QUESTIONS, top_k=3)
    # The same, said one by one to a reader that nothing was fitted for.
    decoder = dataclasses.replace(preprocessor.decoder, temperature=fitted.temperature)
    qa.model_.preprocessor = SpanPreprocessor(preprocessor.vectorizer, decoder)
    weight = fitted.retrieval_weight
    assert qa.ask(index, QUESTIONS, top_k=3, passages=3, retrieval_weight=weight) == answers
    # And it is not what is taken without it.
    defaults = qa.ask(index, QUESTIONS, top_k=3, passages=3)
    assert [row[0].score for row in defaults] != [row[0].score for row in answers]
    qa.model_.preprocessor = preprocessor
    assert qa.ask(index, QUESTIONS, top_k=3, retrieval_weight=weight) == answers
    assert qa.ask(index, QUESTIONS, top_k=3, passages=1) != answers


def test_a_precision_is_kept_on_the_examples_with_most_answers(qa, index) -> None:
    fitted = qa.calibrate(index, EXAMPLES, verbose=0)
    answers = qa.ask(index, QUESTIONS)
    scores = np.array([answer.score for answer in answers])
    correct = np.array(right(answers))
    assert len(correct) == len(scores) == len(QUESTIONS)
    found = precision_thresholds(scores, correct)
    assert fitted.precisions == pytest.approx(found[0].tolist())
    assert fitted.thresholds == pytest.approx(found[1].tolist(), abs=1e-5)
    assert len(fitted.precisions) > 1
    for least in fitted.precisions:
        given = right(qa.ask(index, QUESTIONS, min_precision=least))
        most = max(
            (scores >= one).sum()
            for one in scores
            if precision_bounds(correct[scores >= one].sum(), (scores >= one).sum()) >= least
        )
        assert len(given) == most
        assert np.mean(given) > least


def test_it_is_saved_and_loaded(qa, index, tmp_path) -> None:
    fitted = qa.calibrate(index, EXAMPLES, passages=2, no_answer=True, max_answer_words=3)
    assert fitted.options == {"no_answer": True, "max_answer_words": 3}
    qa.save(tmp_path / "a.keras")
    loaded = keras_qa.load(tmp_path / "a.keras")
    assert loaded.model_.preprocessor.asking == fitted
    answers = qa.ask(index, QUESTIONS[:6], top_k=2)
    assert loaded.ask(index, QUESTIONS[:6], top_k=2) == answers
    # The options, too, are those of the calibration.
    assert qa.ask(index, QUESTIONS[:6], top_k=2, no_answer=True, max_answer_words=3) == answers
    assert all(len(one.text.split()) <= 3 for row in answers for one in row)
    # A text of its own is answered as before.
    before = qa.answer(DOCUMENTS[0].text, QUESTIONS[0])
    qa.model_.preprocessor.asking = None
    assert qa.answer(DOCUMENTS[0].text, QUESTIONS[0]) == before


def test_a_reader_that_finds_an_answer_everywhere_is_calibrated(qa, index) -> None:
    qa.model_.preprocessor.decoder = SpanDecoder(4)
    with pytest.warns(UserWarning, match=r"^This reader was not trained on texts without an"):
        qa.calibrate(index, EXAMPLES)
    fitted = qa.calibrate(index, EXAMPLES, no_answer=False)
    # Without a warning: it is known now.
    assert qa.ask(index, QUESTIONS[0]).text
    assert fitted.options == {"no_answer": False}


def test_passages_that_all_fit_alike_leave_the_weight(qa, tmp_path) -> None:
    with Index.create(tmp_path / "one.index", language="en") as one:
        one.add(DOCUMENTS[:1])
        fitted = qa.calibrate(one, EXAMPLES[:1])
    assert fitted.retrieval_weight == 4.0


@pytest.mark.parametrize(
    ("examples", "options", "message"),
    [
        ([], {}, "`examples` is empty. Give some to calibrate on."),
        (EXAMPLES, {"passages": 0}, "`passages` must be a positive integer. Received: passages=0."),
        (EXAMPLES, {"batch_size": -1}, "`batch_size` must be a positive integer."),
        ([Example("", QUESTIONS[0], "zebra")], {}, "No passage holds a right answer of at most "),
    ],
)
def test_wrong_arguments_calibrate_nothing(qa, index, examples, options, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        qa.calibrate(index, examples, **options)
    assert qa.model_.preprocessor.asking is None
    with pytest.raises(ValueError, match=r"^`min_precision` needs a calibration\. Call `calibrate"):
        qa.ask(index, QUESTIONS[0], min_precision=0.9)
    with pytest.raises(ValueError, match="^`min_score` and `min_precision` exclude each other. Le"):
        qa.ask(index, QUESTIONS[0], min_precision=0.9, min_score=0.5)


def test_a_precision_needs_the_settings_of_the_calibration(qa, index) -> None:
    qa.calibrate(index, EXAMPLES, max_answer_words=3)
    for name, value in (("passages", 4), ("retrieval_weight", 1.0), ("no_answer", False)):
        message = f"`min_precision` answers with the settings of `calibrate`. Leave `{name}` out, "
        with pytest.raises(ValueError, match=f"^{message}"):
            qa.ask(index, QUESTIONS[0], min_precision=0.1, **{name: value})
    assert qa.ask(index, QUESTIONS[0], min_precision=0.1)
    with pytest.raises(ValueError, match=r"^`min_precision` must be a number above 0 and at most"):
        qa.ask(index, QUESTIONS[0], min_precision=0)


class Fixed:
    """Returns the same hits for each question."""

    def __init__(self, hits) -> None:
        self.hits = hits

    def search(self, questions, k):
        return [hits[:k] for hits, _ in zip(self.hits, questions, strict=True)]


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
    found = index.search(questions, 3)
    assert [len(hits) for hits in found] == [3] * 3
    logits = ranker.logits(questions, [[hit.text for hit in hits] for hits in found])
    best = [np.argsort(-some, kind="stable")[:2].tolist() for some in logits]
    selected = [[hits[n] for n in order] for hits, order in zip(found, best, strict=True)]
    options = {"top_k": 9, "passages": 2}
    ranked = {"ranker": ranker, **options}
    weighted = [
        [dataclasses.replace(hits[n], score=1 - (some.max() - some[n]) / 100) for n in order]
        for hits, some, order in zip(found, logits, best, strict=True)
    ]
    # Only the selection of passages by the ranker counts; then its logits, too.
    expected = [
        qa.ask(Fixed(selected), questions, **options),
        qa.ask(Fixed(weighted), questions, retrieval_weight=70, **options),
    ]
    answers = qa.ask(index, questions, **ranked)
    ranker.save(tmp_path / "ranker.keras")
    close(qa.ask(index, questions, **{**ranked, "ranker": tmp_path / "ranker.keras"}), answers)
    # Without a calibration the weight is 1, and there are more candidates than passages here.
    qa.model_.preprocessor.asking = AskCalibration(2.0, 4.0, ranker_weight=1.0)
    close(qa.ask(index, questions, **ranked), answers)
    for calibration, one in zip(
        (AskCalibration(2.0, 4.0, ranker_weight=0.0), AskCalibration(2.0, 0.0, ranker_weight=0.7)),
        expected,
        strict=True,
    ):
        qa.model_.preprocessor.asking = calibration
        close(qa.ask(index, questions, candidates=3, **ranked), one)


def close(answers, expected) -> None:
    """Both have the same answers with the same scores."""
    for some, others in zip(answers, expected, strict=True):
        assert [one.text for one in some] == [one.text for one in others]
        np.testing.assert_allclose(
            [one.score for one in some], [one.score for one in others], rtol=1e-4, atol=1e-6
        )


def test_a_calibration_with_a_ranker_is_asked_with(qa, index, ranker, tmp_path) -> None:
    fitted = qa.calibrate(index, EXAMPLES, passages=2, ranker=ranker)
    assert fitted.passages == 2
    assert fitted.ranker_weight is not None
    answers = qa.ask(index, QUESTIONS, ranker=ranker)
    scores = [answer.score for answer in answers]
    found = precision_thresholds(scores, right(answers))
    assert fitted.precisions == pytest.approx(found[0].tolist())
    assert fitted.thresholds == pytest.approx(found[1].tolist(), abs=1e-5)
    qa.save(tmp_path / "a.keras")
    assert keras_qa.load(tmp_path / "a.keras").model_.preprocessor.asking == fitted
    given = {"retrieval_weight": fitted.retrieval_weight, "passages": 2}
    assert qa.ask(index, QUESTIONS, ranker=ranker, **given) == answers
    assert qa.ask(index, QUESTIONS[0], ranker=ranker, min_precision=0.1)
    with pytest.raises(ValueError, match="^`min_precision` needs the `ranker` that `calibrate` ha"):
        qa.ask(index, QUESTIONS[0], min_precision=0.1)
    qa.calibrate(index, EXAMPLES)
    with pytest.raises(ValueError, match="^`min_precision` needs the `ranker` that `calibrate` ha"):
        qa.ask(index, QUESTIONS[0], min_precision=0.1, ranker=ranker)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranker": 3}, "`ranker` must be a `Reranker` or its name. Received: ranker=3"),
        ({"ranker": "babi"}, "`babi` is not a ranker. Expected"),
        ({"candidates": 0}, "`candidates` must be a positive integer. Received: candidates=0"),
    ],
)
def test_bad_rankers_and_weights(qa, index, options, message: str) -> None:
    before = qa.model_.get_weights()
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(message)}"):
        qa.ask(index, QUESTIONS[0], **options)
    for one, other in zip(before, qa.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
