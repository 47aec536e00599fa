"""Reports on spans: groups that are computed by hand, official scores, marked errors."""

import dataclasses

import pytest
from report_cases import Page

from keras_qa import Answer, Example, metrics, report
from keras_qa.preprocessing.preprocessor import SpanDetails
from keras_qa.report.findings import question_word

TEXT = "Ann went <home> in 1999. Bob & Carl left the big red house at noon."


def example(question: str, answer: str | None, id: str | None = None) -> Example:
    if answer is None:
        return Example(TEXT, question, id=id)
    return Example(TEXT, question, answer, TEXT.index(answer), id=id)


def answer(text: str, score: float) -> Answer:
    if not text:
        return Answer("", score)
    return Answer(text, score, TEXT.index(text), TEXT.index(text) + len(text))


ITEMS = [
    (example("When was that?", "1999"), answer("1999", 0.95)),
    (example("In which YEAR?", "1999"), answer("Bob", 0.45)),
    (example("Whom did she\nsee, and how many?", "Bob & Carl"), answer("Bob", 0.9)),
    (example("How  many left what?", "the big red house"), answer("big red", 0.85)),
    (example("Name them.", "left the big red house at noon"), answer("", 0.6)),
    (example("However, why?", None), answer("", 0.5)),
    (example("Why?", None, id="q7"), answer("home", 0.3)),
]


def judged(items=ITEMS, **options) -> report.Report:
    return report.judge(*map(list, zip(*items, strict=True)), **options)


def test_groups_and_errors() -> None:
    found = judged()
    # F1: 1, 0, 2/3 (one of two words), 4/5 (two of three words without “the”), 0, 1, 0.
    f1 = [1, 0, 2 / 3, 4 / 5, 0, 1, 0]
    assert found.exact_match == pytest.approx(100 * 2 / 7)
    assert found.f1 == pytest.approx(100 * sum(f1) / 7)
    assert found.version == "2.0"
    assert [(g.name, g.questions, g.right) for g in found.by_question_word] == [
        ("which", 1, 0),
        ("who", 1, 0),
        ("when", 1, 1),
        ("why", 2, 1),
        ("how many", 1, 0),
        ("other", 1, 0),
    ]
    assert [(g.name, g.questions, g.right) for g in found.by_length] == [
        ("no answer", 2, 1),
        ("1 word", 2, 1),
        ("3 words", 1, 0),
        ("4 to 5 words", 1, 0),
        ("6 to 10 words", 1, 0),
    ]
    by_name = {g.name: g.f1 for g in [*found.by_question_word, *found.by_length]}
    assert by_name["why"] == by_name["no answer"] == by_name["1 word"] == pytest.approx(50)
    assert by_name["who"] == pytest.approx(100 * 2 / 3)
    # Score times (1 - F1), such as 0.9 * 1/3 and 0.85 * 1/5.
    lacks = [item.answer.score * (1 - item.f1) for item in found.errors]
    assert lacks == pytest.approx([0.6, 0.45, 0.3, 0.3, 0.17])


def test_groups_by_source() -> None:
    sources = ["quiz", "news", "news", "quiz", "quiz", None, ""]
    items = [
        (dataclasses.replace(item, source=source), given)
        for (item, given), source in zip(ITEMS, sources, strict=True)
    ]
    found = judged(items)
    assert [(g.name, g.questions, g.right) for g in found.by_source] == [
        ("quiz", 3, 1),
        ("news", 2, 0),
        ("no source", 2, 1),
    ]
    page = Page(found.html())
    assert page.tables["sources"] == [
        ["source", "questions", "right", "exact match", "F1"],
        ["quiz", "3", "1", "33.3 %", "60.0 %"],
        ["news", "2", "0", "0.0 %", "33.3 %"],
        ["no source", "2", "1", "50.0 %", "50.0 %"],
    ]
    headings = ["By source", "By question word", "By answer length"]
    assert page.found("h2")[1:4] == headings
    assert judged().by_source == []
    assert "sources" not in Page(judged().html()).tables


def test_official_scores() -> None:
    found = judged()
    references = [
        Example(TEXT, item.question, item.answers, item.answer_start, id=f"x{place}")
        for place, (item, _) in enumerate(ITEMS)
    ]
    predictions = {f"x{place}": given.text for place, (_, given) in enumerate(ITEMS)}
    assert found.official == metrics.squad(predictions, references, "2.0")
    answered = judged(ITEMS[:5])
    assert answered.version == "1.1"
    assert answered.official == metrics.squad(predictions, references[:5], "1.1")
    forced = judged(ITEMS[:5], version="2.0")
    assert forced.official == metrics.squad(predictions, references[:5], "2.0")


def test_best_thresholds() -> None:
    spans = ["1999", "Bob", "Bob", "big red", "Ann", "home", "home"]
    chances = [0.1, 0.1, 0.1, 0.1, 0.6, 0.7, 0.3]
    found = judged(details=SpanDetails(spans, chances, 0.5))
    exact = {name: value for name, value in found.official.items() if name.endswith("exact")}
    # Two probabilities are above the threshold. One of these questions has no answer.
    expected = {"exact": 200 / 7, "HasAns_exact": 20, "NoAns_exact": 50, "best_exact": 300 / 7}
    assert exact == pytest.approx(expected)


def test_version_without_offsets() -> None:
    item, given = Example("A.", "Q?", "yes"), Answer("yes", 0.5)
    assert report.judge([item], [given]).official == {}
    found = report.judge([item], [given], version="1.1")
    assert found.official == {"exact_match": 100.0, "f1": 100.0}
    assert [group.name for group in found.by_length] == ["1 word"]


def test_tables_of_the_page() -> None:
    page = Page(judged().html("A reader"))
    assert page.tables["words"][:2] == [
        ["question word", "questions", "right", "exact match", "F1"],
        ["which", "1", "0", "0.0 %", "0.0 %"],
    ]
    assert page.tables["lengths"][1] == ["no answer", "2", "1", "50.0 %", "50.0 %"]
    assert page.tables["official"][0] == ["score", "SQuAD 2.0"]
    assert page.tables["official"][1] == ["exact", "28.57142857"]
    assert "answers" not in page.tables


def test_errors_mark_given_and_right_answers() -> None:
    page = Page(judged().html())
    given = page.found("mark", **{"class": "given"})
    right = page.found("mark", **{"class": "right"})
    # The first mark of each kind is the explanation. Overlaps are cut into pieces.
    assert given[1:] == ["Bob", "Bob", "home", "big red"]
    long = "left the big red house at noon"
    assert right[1:] == [long, "1999", "Bob", " & Carl", "the ", "big red", " house"]
    assert page.found("p", **{"class": "story"}) == [TEXT] * 5
    verdicts = page.found("dl", **{"class": "verdict"})
    assert verdicts[0] == f"Answeredno answer score 0.600, F1 0.0 %Right{long}"
    assert verdicts[3] == "Answeredhome score 0.300, F1 0.0 %Rightno answer"
    assert verdicts[4] == "Answeredbig red score 0.850, F1 80.0 %Rightthe big red house"
    assert page.found("small", dir="auto") == ["q7"]


def test_repeated_right_answers_are_shown_once() -> None:
    item = Example(TEXT, "Who?", ("Bob", "Carl", "Bob"), (25, 31, 25))
    page = Page(report.judge([item], [answer("1999", 0.9)]).html())
    assert page.found("dl", **{"class": "verdict"})[0].endswith("RightBob or Carl")


def test_long_texts_are_cut() -> None:
    text = "a" * 10_000 + " right " + "b" * 10_000 + " wrong " + "c" * 10_000
    item = Example(text, "Who?", "right", 10_001)
    start = text.index("wrong")
    page = Page(report.judge([item], [Answer("wrong", 0.9, start, start + 5)]).html())
    (story,) = page.found("p", **{"class": "story"})
    assert story == (f"…{'a' * 499} right {'b' * 499}…{'b' * 499} wrong {'c' * 499}…")
    page = Page(report.judge([item], [Answer("elsewhere", 0.9)]).html())
    assert page.found("p", **{"class": "story"}) == [f"…{'a' * 499} right {'b' * 499}…"]


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("Whose is it?", "who"),
        ("To whom?", "who"),
        ("HOW\nMUCH is it?", "how much"),
        ("How is it?", "how"),
        ("Show the somewhat whole.", "other"),
        ("", "other"),
    ],
)
def test_question_words(question, word) -> None:
    assert question_word(question) == word
