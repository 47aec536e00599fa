"""Questions to an index: passages are found, read together, and answers say where they stand."""

import numpy as np
import pytest

from keras_qa import Answer, Example, QuestionAnswerer
from keras_qa.answering import document_answers, retrieval_mixin
from keras_qa.documents import Document, Index, Passage
from keras_qa.metrics.answers import normalize_answer
from keras_qa.preprocessing import SpanDecoder, SpanPreprocessor, span_preprocessor

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


def expected(golden_reader: QuestionAnswerer, index: Index, question: str, weight: float) -> dict:
    """The mass of each span of each passage, and of no answer, one by one."""
    preprocessor = golden_reader.model_.preprocessor
    hits = index.search(question, 10)
    windows = preprocessor.vectorizer([Example(hit.text, question) for hit in hits])
    outputs = golden_reader.model_.predict(dict(windows.feed), verbose=0)
    masses, lowest = {}, np.inf
    for row, hit in enumerate(hits):
        start, end, words = outputs["start"][row], outputs["end"][row], windows.words[row]
        lowest = min(lowest, start[0] + end[0])
        prior = -weight * (1 - hit.score / hits[0].score)
        there = np.flatnonzero(words[:, 0] >= 0)
        for first in there:
            for last in there[there >= first][: preprocessor.decoder.max_answer_words]:
                ends = int(hit.start + words[first, 0]), int(hit.start + words[last, 1])
                logit = float(start[first] + end[last] + prior)
                masses[hit.document, *ends] = np.exp(logit / preprocessor.decoder.temperature)
    none = np.exp(lowest / preprocessor.decoder.temperature)
    total = sum(masses.values()) + none
    return {"": none / total, **{place: mass / total for place, mass in masses.items()}}


def overlap(one: tuple, other: tuple) -> bool:
    return one[0] == other[0] and one[1] < other[2] and other[1] < one[2]


def said(index: Index, place: tuple) -> str:
    text = index.text(place[0])[place[1] : place[2]]
    return normalize_answer(text) or text


def test_places_of_answers_are_in_the_text_with_markup(tmp_path) -> None:
    text = "*Mary* went\nto the **red** *hall*."
    edits = ((0, 1, ""), (5, 6, ""), (19, 21, ""), (24, 26, ""), (27, 28, ""), (32, 33, ""))
    with Index.create(tmp_path / "a.index", language="en") as index:
        index.add([Document("a.md", text, (), edits)])
        passages = index.search("Mary")
    assert passages[0].text == "Mary went\nto the red hall."
    (answer,) = document_answers.merge_answers([Answer("red hall", 0.5, 17, 25)], passages)
    assert text[answer.start : answer.end] == "red** *hall"
    assert (answer.text, answer.line) == ("red hall", 2)


@pytest.mark.parametrize("weight", [0.0, 4.0])
def test_scores_are_of_all_passages_and_no_answer_together(
    golden_reader, index, weight, monkeypatch
) -> None:
    masses = expected(golden_reader, index, QUESTION, weight)
    assert {place[0] for place in masses if place} == {"one.txt", "two.pdf", "three.txt"}
    assert sum(masses.values()) == pytest.approx(1.0)
    monkeypatch.setattr(retrieval_mixin, "_SPANS", 500)
    answers = golden_reader.ask(index, QUESTION, top_k=99, retrieval_weight=weight)
    places = []
    for answer in answers:
        if not answer.text:
            assert answer.score == pytest.approx(masses[""], rel=1e-4)
            continue
        assert answer.score == pytest.approx(sum(source.score for source in answer.sources))
        key = normalize_answer(answer.text) or answer.text
        for source in answer.sources:
            # All that says it in this place, with an article or a mark more or less. What is
            # likelier and is not taken overlaps a better answer.
            place = (source.document, source.start, source.end)
            same = [p for p in masses if p and overlap(p, place) and said(index, p) == key]
            same = [p for p in same if masses[p] <= masses[place]]
            assert said(index, place) == key
            assert source.score == pytest.approx(sum(masses[p] for p in same), rel=1e-4)
            places.append(place)
    # What overlaps a better answer is left out, and nothing else.
    best = max((place for place in masses if place), key=lambda place: masses[place])
    assert best in places
    for one in places:
        assert not any(one != other and overlap(one, other) for other in places)
    for place in masses:
        assert not place or any(overlap(place, other) for other in places)
    assert [a.score for a in answers[1:]] == sorted((a.score for a in answers[1:]), reverse=True)


def test_an_answer_says_where_it_stands(golden_reader, index) -> None:
    seen = set()
    for answer in golden_reader.ask(index, QUESTION, top_k=9):
        if answer.text:
            text = index.text(answer.document)
            assert text[answer.start : answer.end] == answer.text
            assert answer.line == text.count("\n", 0, answer.start) + 1
            assert answer.page == ({1: 1, 3: 2}[answer.line] if ".pdf" in answer.document else None)
            for name in ("document", "start", "end", "line", "page"):
                assert getattr(answer.sources[0], name) == getattr(answer, name)
            seen.add((answer.document, answer.line))
    assert {("one.txt", 4), ("two.pdf", 3)} <= seen


def test_no_answer_stays_where_it_was() -> None:
    hits = [Passage("a", "red blue", 1.0, 0, 8)]
    spans = [Answer("red", 0.3, 0, 3), Answer("blue", 0.2, 4, 8)]
    none = Answer("", 0.25)
    for given, expected in (
        ([none, *spans], ["", "red", "blue"]),
        ([spans[0], none, spans[1]], ["red", "", "blue"]),
        (spans, ["red", "blue"]),
        ([none], [""]),
    ):
        assert [answer.text for answer in document_answers.merge_answers(given, hits)] == expected


def test_there_being_no_answer_is_said_beside_the_spans(golden_reader) -> None:
    model = golden_reader.model_
    passages = [document.text for document in DOCUMENTS[:2]]
    # However unlikely it is: here a span is likelier than that.
    example, sure = Example(passages, QUESTION), SpanDecoder(4, True, 1.0, 0.1)
    [found] = SpanPreprocessor(model.preprocessor.vectorizer, sure).answer_from_passages(
        model, [example], [[9.0, 9.0]], 1, 32
    )
    assert [bool(answer.text) for answer in found] == [True, False]
    assert found[1].score < found[0].score


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


def test_scores_of_a_retriever_that_cannot_be_divided_by_the_best_are_said(golden_reader) -> None:
    far = Shelf({"a": "Mary went home.", "b": "She slept."}, {"a": -0.5, "b": -2.0})
    with pytest.raises(ValueError, match="^The scores of passages") as caught:
        golden_reader.ask(far, QUESTION)
    assert str(caught.value) == (
        "The scores of passages must be finite and the best one positive, because they are divided "
        "by it. Received: -0.5, -2. Return other scores, or pass `retrieval_weight=0`."
    )
    answers = golden_reader.ask(far, QUESTION, top_k=9, retrieval_weight=0)
    assert answers[1].document in ("a", "b")


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
        ("retrieval_weight", -1, "`retrieval_weight` must be a finite non-negative number."),
        ("retrieval_weight", "a", "`retrieval_weight` must be a finite non-negative number."),
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
