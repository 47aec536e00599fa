"""The HTML page of a report: content, escaping, no external resources."""

import pytest
from report_cases import ITEMS, TEXT, Page

from keras_qa import Answer, Example, Support, report

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
# Every text from the data is an attack.
EVIL = "\"><script>alert('1')</script> & 'onload=x' <b so"


def judged(errors: int = 20) -> report.Report:
    return report.judge(*map(list, zip(*ITEMS, strict=True)), errors)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(judged().html("A <title>"))


def given(page: Page, tag: str, name: str) -> list[str | None]:
    """Returns the values of an attribute of a tag."""
    return [found[name] for kind, found in page.elements if kind == tag and name in found]


def test_tables(page) -> None:
    assert page.found("h1") == ["A <title>"]
    assert page.found("title")[0] == "A <title>"
    assert page.found("dt")[:4] == ["Questions", "Exact match", "F1", "Calibration error"]
    assert page.found("dd", **{"class": "value"}) == ["5", "40.00 %", "53.33 %", "0.4340"]
    assert page.found("dd", **{"class": "hint"})[0] == "3 answered wrong"
    assert page.tables["tasks"] == [
        ["task", "questions", "right", "accuracy", "mostly taken for"],
        ["1: one supporting fact", "3", "1", "33.3 %", "away"],
        ["2: two supporting facts", "1", "1", "100.0 %", ""],
        ["12: conjunction", "1", "0", "0.0 %", "home"],
    ]
    assert page.found("td", **{"class": "share failed"}) == ["33.3 %", "0.0 %"]
    assert given(page, "td", "style")[:3] == ["--share: 33.3%", "--share: 100.0%", "--share: 0.0%"]
    assert page.tables["answers"] == [
        ["right answer", "questions", "right", "accuracy", "mostly taken for"],
        ["home", "3", "1", "33.3 %", "away"],
        ["home now", "1", "0", "0.0 %", "home"],
        ["no", "1", "1", "100.0 %", ""],
    ]
    assert page.tables["calibration"] == [
        ["score", "answers", "mean score", "share right"],
        ["0.2 to 0.3", "2", "27.5 %", "50.0 %"],
        ["0.8 to 0.9", "1", "85.0 %", "0.0 %"],
        ["0.9 to 1.0", "2", "93.5 %", "50.0 %"],
    ]
    bars = ["--share: 27.5%", "--share: 50.0%", "--share: 85.0%"]
    assert given(page, "td", "style")[6:9] == bars


def test_tables_have_row_and_column_headers(page) -> None:
    rows = [row for table in page.tables.values() for row in table]
    assert len(page.found("th", scope="row")) == len(rows) - len(page.tables)
    assert len(page.found("th", scope="col")) == sum(len(t[0]) for t in page.tables.values())


def test_empty_sections_are_left_out() -> None:
    page = Page(report.judge([Example("A.", "Q?", "yes")], [Answer("yes", 0.0)]).html())
    assert page.tables.keys() == {"answers", "calibration"}
    assert page.tables["answers"][1:] == [["yes", "1", "1", "100.0 %", ""]]
    assert page.tables["calibration"][1:] == [["0.0 to 0.1", "1", "0.0 %", "100.0 %"]]
    assert page.found("h2") == ["By answer", "Calibration"]
    for tag in ("nav", "article", "small"):
        assert page.found(tag) == [], tag
    # An example without answers, and a single error.
    page = Page(report.judge([Example("A.", "Q?")], [Answer("yes", 0.5)]).html())
    assert page.tables.keys() == {"calibration"}
    assert any(text.startswith("The one wrong answer. ") for text in page.found("p"))
    assert Page(judged(errors=0).html()).found("h2")[-1] == "Calibration"


def test_table_of_contents(page) -> None:
    headings = ["By task", "By answer", "Calibration", "Errors with the highest scores"]
    assert page.found("h2") == page.found("a") == headings
    names = given(page, "h2", "id")
    assert given(page, "a", "href") == [f"#{name}" for name in names]
    assert given(page, "section", "aria-labelledby") == names
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert len(ids) == len(set(ids))


def test_errors_show_support(page) -> None:
    assert page.found("p", **{"class": "story"}) == [TEXT] * 3
    spans = [
        (found["style"], found["class"], page.texts[place])
        for place, (tag, found) in enumerate(page.elements)
        if tag == "span" and "style" in found
    ]
    dark, light = "--weight: 0.750", "--weight: 0.250"
    assert spans == [
        (light, "support fact", "Ann went <home>."),
        (dark, "support", "Bob left & ran."),
        # Cut at the mention of the answer.
        (light, "support", "Ann went <home>."),
        (dark, "support", "Bob "),
        (dark, "support", "left"),
        (dark, "support", " & ran."),
    ]
    # The first mark is the explanation.
    assert page.found("mark") == ["bold", "left"]
    assert page.found("dl", **{"class": "verdict"}) == [
        "Answeredaway score 0.920Righthome",
        "Answeredaway score 0.850Righthome",
        "Answeredhome score 0.300Righthome now",
    ]


def test_shown_and_total_number_of_errors() -> None:
    items = [Example("A.", "Q?", f"a{place}") for place in range(103)]
    page = Page(report.judge(items, [Answer("", 0.5)] * 103).html())
    assert len(page.tables["answers"]) == 101
    assert page.tables["answers"][1] == ["a0", "1", "0", "0.0 %", "no answer"]
    assert "3 rarer answers are not shown." in page.found("p")
    assert len(page.found("article")) == 20
    assert any(text.startswith("The 20 of 103 wrong answers. ") for text in page.found("p"))
    assert any(text.startswith("All 3 wrong") for text in Page(judged().html()).found("p"))


@pytest.mark.parametrize("spans", [False, True])
def test_texts_are_escaped_and_nothing_is_loaded(spans) -> None:
    start = (0,) if spans else ()
    items = [
        Example(f"{EVIL}\nNo.", EVIL, EVIL, start, id=EVIL, source=EVIL),
        Example(f"{EVIL}\nNo.", EVIL, EVIL + " then", id=EVIL, source=EVIL),
    ]
    # Metrics ignore punctuation, so the wrong answer has another word.
    wrong = Answer(EVIL + " now", 0.9, 3, 9, (Support(EVIL, 0.5, 0, len(EVIL), 0),))
    written = report.judge(items, [wrong, wrong]).html(EVIL)
    page = Page(written)
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "link", "img", "iframe", "b"})
    for _, found in page.elements:
        assert not {"src", "onload"} & found.keys()
    assert page.found("h1") == [EVIL]
    assert page.found("p", **{"class": "story"}) == [f"{EVIL}\nNo."] * 2
    # Question, given answer and right answer. The second error has the higher F1.
    first, second = [EVIL, EVIL + " now", EVIL + " then"], [EVIL, EVIL + " now", EVIL]
    assert page.found("bdi") == [*first, *second]
    assert page.found("small", dir="auto") == [EVIL] * 2
    assert page.tables["sources"][1][:3] == [EVIL, "2", "0"]
    if not spans:
        assert [row[0] for row in page.tables["answers"][1:]] == [EVIL, EVIL + " then"]
        assert [row[4] for row in page.tables["answers"][1:]] == [EVIL + " now"] * 2
    for word in ("http:", "https:", "//", "url(", "@import", "import(", "fetch", "src="):
        assert word not in written, word
    assert all((found or "").startswith("#") for found in given(page, "a", "href"))
    assert page.found("meta", content=POLICY, **{"http-equiv": "Content-Security-Policy"}) == [""]
