"""Candidates from passages, their features, scores and places; and `ask` with an index."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from keras_qa import Answer, AnswerLocation
from keras_qa.answering import retrieval_mixin
from keras_qa.answering.answer_features import QuestionWords
from keras_qa.answering.document_answers import (
    Candidate,
    feature_rows,
    find_candidates,
    rank_candidates,
    search_shares,
    select_passages,
)
from keras_qa.documents import Document, Index, Passage
from keras_qa.preprocessing import SpanDecoder, SpanPreprocessor, span_preprocessor
from keras_qa.preprocessing.confidence import FEATURES, Confidence, default_confidence
from keras_qa.preprocessing.preprocessor import PassageSpan

QUESTION = "Where is Mary?"
# Of one length, so that there is one shape to compile for.
DOCUMENTS = [
    Document("one.txt", "A line.\n\n\nMary moved to the bathroom."),
    Document("two.pdf", "Page one. \n\nJohn and Mary went there.", (0, 12)),
    Document("three.txt", "Once more Mary went to the hallway."),
    *(Document(f"{number}.txt", f"Nothing {number} was said.") for number in range(4)),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    with Index.create(tmp_path_factory.mktemp("asking") / "a.index", language="en") as made:
        made.add(DOCUMENTS)
        yield made


@pytest.mark.parametrize(
    ("scores", "shares"),
    [
        ([4.0, 2.0, 0.0], [1.0, 0.5, 0.0]),
        ([2.0, 4.0], [0.5, 1.0]),
        ([4.0, -2.0], [1.0, 0.0]),
        # Scores that cannot be divided by the best one.
        ([-1.0, -2.0], [1.0, 1.0]),
        ([0.0, 0.0], [1.0, 1.0]),
        ([math.nan, 1.0], [1.0, 1.0]),
        ([math.inf, 1.0], [1.0, 1.0]),
        ([], []),
    ],
)
def test_shares_of_the_best_score(scores: list[float], shares: list[float]) -> None:
    passages = [Passage("a", "b", score) for score in scores]
    assert search_shares(passages).tolist() == shares


BRIDGE = "When was the Bridge of Ann built?"
PASSAGES = [
    Passage("a.txt", "Ann built it in 1932 or 1940.", 4.0, heading="Bridges > Bridge"),
    Passage("b.txt", "The 1940 one fell.", 2.0),
    Passage("c.txt", "It is old.", -1.0),
]
SPANS = [
    [PassageSpan("1932", 16, 20, 2.0), PassageSpan("1940", 24, 28, 1.0)],
    [PassageSpan("The 1940", 0, 8, 3.5)],
    [PassageSpan("It is old", 0, 9, -2.0), PassageSpan("yes", -1, -1, -3.0)],
]

BRIDGE_SPAN = PassageSpan("a bridge", 0, 8, 1.0)
SECTION_SPAN = PassageSpan("3", 5, 6, 1.0)


def named(candidate: Candidate) -> dict[str, float]:
    return dict(zip(FEATURES, candidate.features.tolist(), strict=True))


def logarithm(value: float) -> Any:
    """The logarithm, of which NumPy's and `math`'s may differ in the last bit."""
    return pytest.approx(math.log(value), rel=1e-12)


def test_features_of_candidates_by_hand() -> None:
    candidates = find_candidates(BRIDGE, (PASSAGES, None), SPANS)
    # By the odds and four times the share of the search: 2 + 4, 3.5 + 2, -2 + 0, -3 + 0.
    assert [candidate.text for candidate in candidates] == ["1932", "The 1940", "It is old", "yes"]
    words = QuestionWords(BRIDGE, PASSAGES)
    common = {"absent": 0.0, "ranker": 0.0, "echo": 0.0, "section": 0.0}
    assert named(candidates[0]) == {
        **common,
        "odds": 0.5,
        "margin": -0.375,
        "search": 1.0,
        "position": 0.0,
        "agreement": 0.0,
        "misfit": 0.0,
        "title": 0.0,
        "heading": words.in_heading(0),
        "missing": 0.0,
    }
    # Two passages have the second one, and the other one has the best mention, by 1 + 4 to 3.5 + 2.
    assert candidates[1].mentions == ((1, SPANS[1][0]), (0, SPANS[0][1]))
    assert named(candidates[1]) == {
        **common,
        "odds": 0.875,
        "margin": 0.0,
        "search": 0.5,
        "position": logarithm(2),
        "agreement": logarithm(2),
        "misfit": 0.0,
        "title": 0.0,
        "heading": 0.0,
        "missing": 1.0,
    }
    assert named(candidates[3]) == {
        **common,
        "odds": -0.75,
        "margin": -1.625,
        "search": 0.0,
        "position": logarithm(3),
        "agreement": 0.0,
        "misfit": 1.0,
        "title": 0.0,
        "heading": 0.0,
        "missing": 1.0,
    }
    assert feature_rows(candidates).tolist() == [
        candidate.features.tolist() for candidate in candidates
    ]
    assert feature_rows([]).shape == (0, len(FEATURES))
    assert named(find_candidates("Ann or Zoe?", (PASSAGES, None), SPANS)[0])["absent"] == 1.0
    [echo] = find_candidates("Which Bridge?", (PASSAGES, None), [[], [], [BRIDGE_SPAN]])
    assert (named(echo)["echo"], named(echo)["section"], named(echo)["title"]) == (1.0, 0.0, 0.0)
    [title] = find_candidates("?", (PASSAGES, None), [[BRIDGE_SPAN]])
    assert named(title)["title"] == 1.0
    [section] = find_candidates("?", ([Passage("a", "Page 3.", 1.0)], None), [[SECTION_SPAN]])
    assert (named(section)["echo"], named(section)["section"]) == (0.0, 1.0)


def test_a_ranker_decides_which_mention_is_the_best() -> None:
    candidates = find_candidates(BRIDGE, (PASSAGES, np.array([6.0, -2.0, 0.5])), SPANS)
    # 2 + 6, 1 + 6, -2 + 0.5, -3 + 0.5.
    assert [candidate.text for candidate in candidates] == ["1932", "1940", "It is old", "yes"]
    assert candidates[1].mentions == ((0, SPANS[0][1]), (1, SPANS[1][0]))
    assert [named(candidate)["ranker"] for candidate in candidates] == [1.5, 1.5, 0.125, 0.125]
    assert [named(candidate)["search"] for candidate in candidates] == [1.0, 1.0, 0.0, 0.0]


def test_only_the_best_answers_are_candidates() -> None:
    spans = [[PassageSpan(f"w{number}", number, number + 1, float(number)) for number in range(12)]]
    candidates = find_candidates("?", (PASSAGES[:1], None), spans)
    assert [candidate.text for candidate in candidates] == [
        f"w{number}" for number in range(11, 1, -1)
    ]
    assert find_candidates(BRIDGE, ([], None), []) == []
    assert find_candidates(BRIDGE, (PASSAGES, None), [[], [], []]) == []
    # Punctuation and articles alone are answers of their own.
    marks = [[PassageSpan("the", 0, 3, 1.0), PassageSpan("%", 4, 5, 0.5)]]
    assert len(find_candidates("?", (PASSAGES[:1], None), marks)) == 2


# The probability of an answer has the logit of its odds, and that of no answer the opposite one.
PLAIN = Confidence({"odds": 4.0}, 0.0, (0.0, -1.0))


def chance(logit: float) -> float:
    return pytest.approx(1 / (1 + math.exp(-logit)))


def rank(
    spans: list[list[PassageSpan]], passages=PASSAGES, confidence=PLAIN, no_answer: bool = True
) -> list[Answer]:
    candidates = find_candidates(BRIDGE, (passages, None), spans)
    return rank_candidates(candidates, passages, confidence, no_answer)


def test_equal_answers_are_one_answer_with_places() -> None:
    answers = rank(SPANS, no_answer=False)
    # In the order of their scores, which differs from that of the candidates.
    assert [answer.text for answer in answers] == ["The 1940", "1932", "It is old", "yes"]
    assert [answer.score for answer in answers] == [*map(chance, (3.5, 2.0, -2.0, -3.0))]
    best = answers[0]
    assert (best.document, best.start, best.end, best.line, best.page) == ("b.txt", 0, 8, 1, None)
    # The parts of the score are in the ratio of the odds.
    assert [(s.document, s.start, s.end) for s in best.sources] == [
        ("b.txt", 0, 8),
        ("a.txt", 24, 28),
    ]
    assert best.sources[0].score / best.sources[1].score == pytest.approx(math.exp(2.5))
    for answer in answers[:3]:
        assert sum(source.score for source in answer.sources) == pytest.approx(answer.score)
    assert answers[3] == Answer("yes", answers[3].score)


def test_no_answer_is_at_the_place_of_its_score() -> None:
    for first, second, expected in (
        # The logit of no answer is that of the best answer with the other sign, plus `first`.
        (0.0, -1.0, ["The 1940", "1932", "It is old", "yes", ""]),
        (3.0, -1.0, ["The 1940", "1932", "", "It is old", "yes"]),
        (6.0, -1.0, ["The 1940", "", "1932", "It is old", "yes"]),
        (9.0, -1.0, ["", "The 1940", "1932", "It is old", "yes"]),
        # Of equal scores, that of an answer comes first.
        (3.5, 0.0, ["The 1940", "", "1932", "It is old", "yes"]),
    ):
        confidence = dataclasses.replace(PLAIN, no_answer=(first, second))
        answers = rank(SPANS, confidence=confidence)
        assert [answer.text for answer in answers] == expected
        [none] = [answer for answer in answers if not answer.text]
        assert none == Answer("", chance(first + second * 3.5))
        scores = [answer.score for answer in answers]
        assert scores == sorted(scores, reverse=True)
    for no_answer in (True, False):
        assert rank([[], [], []], no_answer=no_answer) == [Answer("", 1.0)]


def test_answers_that_overlap_a_better_one_are_left_out() -> None:
    spans = [
        [PassageSpan("1932", 16, 20, 2.0), PassageSpan("in 1932 or", 13, 23, 1.0)],
        [PassageSpan("1932 or 1940", 4, 8, 0.5)],
        [PassageSpan("in 1932 or", 0, 9, -2.0)],
    ]
    # "in 1932 or" has another place, too.
    assert [answer.text for answer in rank(spans)] == ["1932", "in 1932 or", "1932 or 1940", ""]
    answers = rank([*spans[:2], []])
    assert [answer.text for answer in answers] == ["1932", "1932 or 1940", ""]
    # The same offsets in another document do not overlap.
    assert [answer.document for answer in answers] == ["a.txt", "b.txt", None]


def test_one_mention_in_two_passages_is_one_place() -> None:
    passages = [
        Passage("a.pdf", "Ann. Bob left.\nBob", 1.0, 10, line=3, pages=(0, 24)),
        Passage("a.pdf", "Bob left.\nBob", 1.0, 15, line=3, pages=(0, 24)),
    ]
    spans = [
        [PassageSpan("Bob", 5, 8, 1.0)],
        [PassageSpan("Bob", 0, 3, 0.0), PassageSpan("Bob", 10, 13, 1.0)],
    ]
    # Two passages agree, although there are three mentions.
    [candidate] = find_candidates("?", (passages, None), spans)
    assert named(candidate)["agreement"] == logarithm(2)
    [answer] = rank(spans, passages, no_answer=False)
    assert answer.score == chance(1.0)
    total = 2 * math.e + 1
    parts = [answer.score * (math.e + 1) / total, answer.score * math.e / total]
    assert answer.sources == (
        AnswerLocation("a.pdf", 15, 18, pytest.approx(parts[0]), 3, 1),
        AnswerLocation("a.pdf", 25, 28, pytest.approx(parts[1]), 4, 2),
    )


def test_places_of_answers_are_in_the_text_with_markup(tmp_path) -> None:
    text = "*Mary* went\nto the **red** *hall*."
    edits = ((0, 1, ""), (5, 6, ""), (19, 21, ""), (24, 26, ""), (27, 28, ""), (32, 33, ""))
    with Index.create(tmp_path / "a.index", language="en") as index:
        index.add([Document("a.md", text, (), edits)])
        passages = index.search("Mary")
    assert passages[0].text == "Mary went\nto the red hall."
    spans = [[PassageSpan("red hall", 17, 25, 3.0)]]
    candidates = find_candidates("Where is Mary?", (passages, None), spans)
    (answer,) = rank_candidates(candidates, passages, default_confidence(False), False)
    assert text[answer.start : answer.end] == "red** *hall"
    assert (answer.text, answer.line) == ("red hall", 2)


def test_an_answer_says_where_it_stands(golden_reader, index) -> None:
    passages = index.search(QUESTION, 10)
    words = {"one.txt": "bathroom", "two.pdf": "John and Mary", "three.txt": "hallway"}
    starts = [passage.text.index(words[passage.document]) for passage in passages]
    spans = [
        [PassageSpan(words[passage.document], start, start + len(words[passage.document]), 1.0)]
        for passage, start in zip(passages, starts, strict=True)
    ]
    answers = rank(spans, passages, no_answer=False)
    locations = {(answer.text, answer.document, answer.line, answer.page) for answer in answers}
    assert locations == {
        ("bathroom", "one.txt", 4, None),
        ("John and Mary", "two.pdf", 3, 2),
        ("hallway", "three.txt", 1, None),
    }
    ranked = golden_reader.ask(index, QUESTION, top_k=99)
    assert len(ranked) > 3
    for answer in (*answers, *ranked):
        if answer.text:
            text = index.text(answer.document)
            assert text[answer.start : answer.end] == answer.text
            assert answer.line == text.count("\n", 0, answer.start) + 1
            for name in ("document", "start", "end", "line", "page"):
                assert getattr(answer.sources[0], name) == getattr(answer, name)
    assert [a.score for a in ranked] == sorted((a.score for a in ranked), reverse=True)


def test_text_is_that_of_the_document_not_its_markup(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.md").write_text("# Lamp\n\nIt is **really *red* today**.\n")
    with Index.create(tmp_path / "a.index") as index:
        index.update(tmp_path / "a")
        [passage] = index.search("Is it red today?")
        text = index.text("a.md")
    start = passage.text.index("red today")
    spans = [[PassageSpan("red today", start, start + 9, 1.0)]]
    [answer] = rank(spans, [passage], no_answer=False)
    assert (answer.text, answer.line) == ("red today", 3)
    assert text[answer.start : answer.end] == "red* today"


def test_many_questions_are_read_together(golden_reader, index, monkeypatch, capsys) -> None:
    questions = [f"Where is {name}?" for name in ("Mary", "John", "Once", "Sandra")]
    alone = [golden_reader.ask(index, question, top_k=2) for question in questions]
    assert len({answers[-1].text for answers in alone}) > 1
    monkeypatch.setattr(retrieval_mixin, "_QUESTIONS", 3)
    monkeypatch.setattr(span_preprocessor, "WINDOWS", 2)
    together = golden_reader.ask(index, questions, top_k=2)
    for one, other in zip(alone, together, strict=True):
        places = [[(a.text, a.document, a.start) for a in answers] for answers in (one, other)]
        assert places[0] == places[1]
        assert [a.score for a in one] == pytest.approx([a.score for a in other], abs=1e-5)
    capsys.readouterr()
    assert golden_reader.ask(index, iter(questions), verbose=1) == golden_reader.ask(
        index, questions
    )
    assert "] 4/4  100 %" in capsys.readouterr().out
    assert golden_reader.ask(index, []) == []
    assert [len(answers) for answers in golden_reader.ask(index, questions, top_k=1)] == [1] * 4


def test_what_no_passage_has_a_word_of_has_no_answer(golden_reader, index, tmp_path) -> None:
    assert golden_reader.ask(index, "zebra?") == Answer("", 1.0)
    assert golden_reader.ask(index, ["", "zebra?"], top_k=3) == [[Answer("", 1.0)]] * 2
    with Index.create(tmp_path / "a.index") as empty:
        assert golden_reader.ask(empty, QUESTION) == Answer("", 1.0)


def test_answers_that_are_not_sure_are_left_out(golden_reader, index) -> None:
    answers = golden_reader.ask(index, QUESTION, top_k=5)
    said = [answer for answer in answers if answer.text]
    sure = golden_reader.ask(index, QUESTION, top_k=5, min_score=said[1].score)
    assert [answer for answer in sure if answer.text] == said[:2]
    best = golden_reader.ask(index, QUESTION, no_answer=False)
    assert golden_reader.ask(index, QUESTION, min_score=best.score, no_answer=False) == best
    none = golden_reader.ask(index, QUESTION, min_score=1.0, no_answer=False)
    assert none == Answer("", pytest.approx(1 - best.score))


class Shelf:
    """A retriever over a dict: texts as they are, with the scores that were given."""

    def __init__(self, texts: dict[str, str], scores: dict[str, float]) -> None:
        self.texts, self.scores = texts, scores

    def search(self, questions, k):
        hits = [Passage(name, self.texts[name], score) for name, score in self.scores.items()]
        return [sorted(hits, key=lambda hit: -hit.score)[:k] for _ in questions]


def test_any_retriever_stands_in_the_place_of_an_index(golden_reader, index) -> None:
    hits = index.search(QUESTION, 10)
    # Each of these documents is one passage.
    assert all(hit.start == 0 and hit.text == index.text(hit.document) for hit in hits)
    shelf = Shelf({d.name: d.text for d in DOCUMENTS}, {hit.document: hit.score for hit in hits})
    found, same = (golden_reader.ask(each, QUESTION, top_k=9) for each in (shelf, index))
    for one, other in zip(found, same, strict=True):
        for name in ("text", "score", "document", "start", "end", "line"):
            assert getattr(one, name) == getattr(other, name)
    assert any(a.page for a in same)
    assert not any(a.page for a in found)
    # As many as are asked for, and for each question.
    one = golden_reader.ask(shelf, [QUESTION, "Where is John?"], top_k=9, passages=1)
    assert [{a.document for a in answers if a.text} for answers in one] == [{hits[0].document}] * 2
    assert golden_reader.ask(Shelf({}, {}), QUESTION) == Answer("", 1.0)


def test_copies_of_a_passage_are_read_once(golden_reader) -> None:
    texts = {"a": "Mary went home.", "b": "Mary went home.", "c": "John slept."}
    shelf = Shelf(texts, {"a": 3.0, "b": 2.0, "c": 1.0})
    [(passages, _)] = select_passages(shelf, [QUESTION], 2, None, 32)
    assert [passage.document for passage in passages] == ["a", "c"]


@pytest.mark.parametrize("scores", [(-0.5, -2.0), (0.0, 0.0), (np.nan, 1.0)])
def test_any_scores_of_a_retriever(golden_reader, scores) -> None:
    texts = {"a": "Mary went home.", "b": "She slept."}
    given, equal = (Shelf(texts, dict(zip("ab", row, strict=True))) for row in (scores, (1.0, 1.0)))
    answers = golden_reader.ask(given, QUESTION, top_k=9)
    assert answers == golden_reader.ask(equal, QUESTION, top_k=9)
    assert all(np.isfinite(answer.score) for answer in answers)


def test_a_reader_that_knows_no_texts_without_an_answer_says_so(
    golden_reader, index, monkeypatch
) -> None:
    plain = SpanPreprocessor(golden_reader.model_.preprocessor.vectorizer, SpanDecoder())
    monkeypatch.setattr(golden_reader.model_, "preprocessor", plain)
    with pytest.warns(UserWarning, match=r"^This reader was not trained on texts without an"):
        assert golden_reader.ask(index, QUESTION).text
    # Said to be known.
    assert golden_reader.ask(index, QUESTION, no_answer=False).text
    answers = golden_reader.ask(index, QUESTION, top_k=9, no_answer=True)
    assert "" in [answer.text for answer in answers]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("top_k", 0, "`top_k` must be a positive integer. Received: top_k=0."),
        ("passages", True, "`passages` must be a positive integer. Received: passages=True."),
        ("batch_size", 0, "`batch_size` must be a positive integer. Received: batch_size=0."),
        ("max_length", 0, "`max_length` must be a positive integer. Received: max_length=0."),
        ("min_score", 1.1, "`min_score` must be between 0 and 1. Received: min_score=1.1."),
    ],
)
def test_options_are_checked(golden_reader, index, name: str, value, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        golden_reader.ask(index, QUESTION, **{name: value})


def test_what_is_asked_is_checked(golden_reader, index, classifier) -> None:
    numbers = np.int64(2), np.int64(5)
    assert golden_reader.ask(index, QUESTION, *numbers) == golden_reader.ask(index, QUESTION, 2, 5)
    with pytest.raises(ValueError, match=r"^Only span readers answer from documents, but this"):
        classifier.ask(index, QUESTION)
