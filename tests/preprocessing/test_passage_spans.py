"""`passage_spans`: from the spans that a decoder finds to whole phrases without overlaps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_qa.preprocessing.decoder import Spans
from keras_qa.preprocessing.passage_spans import passage_spans
from keras_qa.preprocessing.preprocessor import PassageSpan

# The probability of no answer.
NOTHING = 0.2


def read(
    text: str,
    marked: list[tuple[str, float]],
    question: str = "?",
    offset: int = 0,
    **types: float,
) -> list[PassageSpan]:
    """The spans of a passage whose decoder marks parts of the text, each with its probability."""
    starts = [text.index(part) for part, _ in marked]
    ends = [start + len(part) for start, (part, _) in zip(starts, marked, strict=True)]
    # A decoder pads its spans.
    spans = Spans(
        np.array([[*starts, -1]], "int32"),
        np.array([[*ends, -1]], "int32"),
        np.array([[*(score for _, score in marked), 0.0]]),
        np.array([NOTHING]),
        np.array([list(types.values())]).reshape(1, len(types)),
    )
    results = passage_spans(spans, 0, text, offset, question, tuple(types))
    passage = text[offset:]
    assert all(passage[s.start : s.end] == s.text for s in results if s.start >= 0)
    assert [s.odds for s in results] == sorted((s.odds for s in results), reverse=True)
    return results


def texts(*arguments, **options) -> list[str]:
    return [span.text for span in read(*arguments, **options)]


def test_odds_against_no_answer_best_first() -> None:
    results = read("Ann met Bob in Rome", [("Rome", 0.1), ("Ann", 0.5), ("Bob", 0.2)])
    assert [tuple(span[:3]) for span in results] == [
        ("Ann", 0, 3),
        ("Bob", 8, 11),
        ("Rome", 15, 19),
    ]
    expected = [math.log(score / NOTHING) for score in (0.5, 0.2, 0.1)]
    assert [span.odds for span in results] == pytest.approx(expected)
    assert read("Ann met Bob", []) == []
    assert read("", []) == []


def test_odds_are_finite() -> None:
    spans = Spans(
        np.array([[0, 4], [0, 4]]),
        np.array([[3, 8], [3, 8]]),
        np.array([[1.0, 1e-9], [1e-9, 1e-300]]),
        np.array([0.0, 1.0]),
        np.zeros((2, 0)),
    )
    odds = [
        [span.odds for span in passage_spans(spans, row, "Ann left", 0, "?")] for row in range(2)
    ]
    most = -math.log(1e-30)
    # A reader that always finds an answer prefers one to another.
    assert odds == [
        [pytest.approx(most), pytest.approx(most + math.log(1e-9))],
        [pytest.approx(math.log(1e-9)), -30.0],
    ]


def test_a_better_span_replaces_those_that_overlap_it() -> None:
    text = "on 3 May 2020 in Rome"
    # With a wider one of at least `exp(-2.5)` of its odds and at most three more words.
    for wide, score, expected in (
        ("3 May 2020", 0.1, ["3 May 2020", "Rome"]),
        ("3 May 2020", 0.5 * math.exp(-2.49), ["3 May 2020", "Rome"]),
        ("3 May 2020", 0.5 * math.exp(-2.51), ["2020", "Rome"]),
        # Four more words: this overlaps Rome.
        ("on 3 May 2020 in", 0.4, ["2020", "Rome"]),
        # It does not contain the best one.
        ("3 May", 0.4, ["2020", "3 May", "Rome"]),
    ):
        results = read(text, [("2020", 0.5), (wide, score), ("Rome", 0.02)])
        assert [span.text for span in results] == expected
        # The odds are those of the best of all.
        assert results[0].odds == pytest.approx(math.log(0.5 / NOTHING))


def test_long_spans_must_be_likelier() -> None:
    text = "Rome is the capital of Italy today and the largest city"
    long = "the capital of Italy today and the largest city"
    # Eight more words cost 8 * 0.15 logits.
    for factor, expected in ((math.exp(1.25), long), (math.exp(1.15), "Italy")):
        [span] = read(text, [("Italy", 0.1), (long, 0.1 * factor)])
        assert span.text == expected
        # The odds are the highest ones, without the costs.
        assert span.odds == pytest.approx(math.log(0.1 * factor / NOTHING))


def test_completed_spans_do_not_overlap() -> None:
    # "floor" does not overlap "35th", but "35th floor" does.
    text = "on the 35th floor of it"
    marked = [("35th", 0.5), ("floor", 0.2)]
    assert texts(text, marked) == ["35th", "floor"]
    assert texts(text, marked, "Which floor?") == ["35th floor"]
    # So does the wider span.
    assert texts(text, [*marked, ("35th floor of", 0.1)]) == ["35th floor of"]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("Ann slept. Bob left.", "slept. Bob"),
        ("He said (no.) Then left.", "no.) Then"),
        ("one\n\ntwo", "one\n\ntwo"),
        ("one\n- two", "one\n- two"),
        ("one\n2. two", "one\n2. two"),
        ("size: big; weight: low", "big; weight: low"),
        ("big\tlow", "big\tlow"),
        ("3\ndebug = false", "3\ndebug = false"),
        ('{"a": 1,\n "b": null}', '1,\n "b": null'),
        ('x links": null', 'links": null'),
        ("true\n[profile.dev]", "true\n[profile"),
    ],
)
def test_a_span_over_a_boundary_is_left_out(text: str, span: str) -> None:
    first = text.split()[0].strip('{":')
    assert texts(text, [(span, 0.5), (first, 0.01)]) == [first]
    # Without another one it counts.
    assert len(texts(text, [(span, 0.5)])) == 1


@pytest.mark.parametrize("span", ["Final\n\nType", "Final.\n \nType: Meta"])
def test_no_answer_crosses_the_end_of_a_unit(span: str) -> None:
    assert texts(f"Status: {span}", [(span, 0.5), (span[:-1], 0.2)]) == ["Final"]


@pytest.mark.parametrize(
    "span",
    [
        "e.g. in Rome",
        "St. 5",
        "version 3.12 of it",
        "a; b",
        "a\nb",
        "one\nin two: three",
        "at 5:30",
    ],
)
def test_other_marks_are_no_boundaries(span: str) -> None:
    assert texts(f"So {span}", [(span, 0.5), ("So", 0.01)])[0] == span


@pytest.mark.parametrize(
    ("text", "span", "expected"),
    [
        ("in Cargo.toml, at", "toml", "Cargo.toml"),
        ("in Cargo.toml. Then", "Cargo", "Cargo.toml"),
        ("set MAX_LINE_LENGTH=3", "LINE", "MAX_LINE_LENGTH"),
        ("is 4.0.1 or", "1 or", "4.0.1 or"),
        ("at 127.0.0.1:80 now", "127.0", "127.0.0.1:80"),
        ("mail a.b@c-d.org.", "c", "a.b@c-d.org"),
        ("uses std::vec::Vec here", "vec", "std::vec::Vec"),
        ("pass --no-color or", "color", "--no-color"),
        ("in ~/.config/a now", "config", "~/.config/a"),
        ("the ../src/main.rs file", "main", "../src/main.rs"),
        ("see https://a.org/b?c=d-e.", "a", "https://a.org/b?c=d-e"),
        # Marks between words are no parts of a name.
        ("is 1989-1993", "1989", "1989"),
        ("the and/or of", "or", "or"),
        ("is 3.5 km/h", "km", "km"),
        ("the end.Next one", "Next", "Next"),
        ("at 10 a.m. on", "10 a.m.", "10 a.m"),
    ],
)
def test_a_span_has_whole_names(text: str, span: str, expected: str) -> None:
    assert texts(text, [(span, 0.5)]) == [expected]


def test_spans_of_one_name_are_one_answer() -> None:
    [span] = read("in Cargo.toml, at", [("Cargo", 0.3), ("toml", 0.1), ("Cargo.toml", 0.05)])
    assert span == PassageSpan("Cargo.toml", 3, 13, pytest.approx(math.log(0.45 / NOTHING)))


def test_names_are_sought_in_linear_time() -> None:
    assert texts("a-" * 100_000 + " b", [("b", 0.5)]) == ["b"]


@pytest.mark.parametrize(
    ("text", "span", "expected"),
    [
        # Marks around a span, but not those of numbers, paths and addresses.
        ("is red, and", "red,", "red"),
        ("is `red`.", "`red`.", "red"),
        ("costs $5.", "$5.", "$5"),
        ("is -5 %.", "-5 %.", "-5 %"),
        ("in ~/.config/a/ now", "~/.config/a/", "~/.config/a/"),
        ("is *…* it", "*…*", None),
        # Brackets and quotes without their pair.
        ("the sea (see page 5)", "sea (see page", "sea (see page 5)"),
        ("the sea (blue) is", "(blue)", "blue"),
        ("the sea (the blue one that is so large) is", "sea (the blue", "sea"),
        ("the sea (the blue one that is so large) is", "(the blue", "the blue"),
        ("(for 90 days.) It", "90 days.)", "90 days"),
        ("f(x) is", "f(x)", "f(x)"),
        ('it is "red."', '"red."', "red"),
        ("it is \"red\" and 'blue'", "red\" and 'blue'", "red\" and 'blue'"),
        ('a 5" screen', '5"', "5"),
        # The address of a link.
        ("see Home page (https://a.org/b) for it", "Home page (https://a.org/b)", "Home page"),
        ("see Home page (https://a.org/b) for it", "Home page (https://a", "Home page"),
        ("see Home (b) for it", "Home (b)", "Home (b)"),
        ("see Home page (", "Home page (", "Home page"),
        ("(https://a.org/b)", "(https://a.org/b)", "https://a.org/b"),
    ],
)
def test_punctuation_around_a_span(text: str, span: str, expected: str | None) -> None:
    assert texts(text, [(span, 0.5)]) == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("text", "span", "question", "expected"),
    [
        ("on the 35th floor", "35th", "On which floor is it?", "35th floor"),
        ("takes 30-day periods", "30", "How many days?", "30"),
        ("takes 30-day periods", "30", "Which periods?", "30-day periods"),
        ("is five working days long", "five", "How many working days?", "five working"),
        ("is five working days long", "five", "How many days?", "five working days"),
        # Words are equal by their first five letters.
        ("has 12 documents", "12", "How many documented ones?", "12 documents"),
        ("since version of 3.5 on", "3.5", "Which version?", "version of 3.5"),
        ("since version 3.5", "3.5", "Which version?", "3.5"),
        # Not a number, or not a word of the question.
        ("on the top floor", "top", "On which floor is it?", "top"),
        ("on the 35th floor", "35th", "Where is it?", "35th"),
        ("35th. Floor", "35th", "On which floor is it?", "35th"),
    ],
)
def test_a_number_takes_its_noun(text: str, span: str, question: str, expected: str) -> None:
    assert texts(text, [(span, 0.5)], question) == [expected]


def test_answer_types_have_no_place() -> None:
    results = read("Ann left", [("Ann", 0.3)], yes=0.4, no=0.0)
    odds = math.log(0.4 / NOTHING)
    assert results == [PassageSpan("yes", -1, -1, pytest.approx(odds)), *results[1:]]
    assert [span.text for span in results] == ["yes", "Ann"]
    # A span at the start of a passage does not overlap them.
    assert texts("A", [("A", 0.3)], yes=0.4, no=0.1) == ["yes", "A", "no"]


def test_spans_of_what_precedes_the_passage_are_left_out() -> None:
    text = "Rome\nAnn met Bob"
    marked = [("Rome", 0.5), ("Bob", 0.3), ("Rome\nAnn", 0.4)]
    results = read(text, marked, offset=5)
    assert results == [PassageSpan("Bob", 8, 11, pytest.approx(math.log(0.3 / NOTHING)))]
    # Nor is a passage completed by it.
    assert texts("version of\n3.5", [("3.5", 0.5)], "Which version?", 11) == ["3.5"]


WORDS = st.sampled_from(
    ["35th", "floor", "of", "(see", "page)", "5", "\n\n", "-", "Ann.", "(", ")", '"x', "www.a.b)"]
    + [
        "Cargo.toml",
        "a_b",
        "--no-x",
        "\nkey = 3",
        "(https://a.b/c",
        "days.)",
        'end."',
        "…",
        "\t",
        "30",
    ]
)


@given(st.lists(WORDS, max_size=14), st.data())
def test_any_spans_become_phrases_without_overlaps(words: list[str], data) -> None:
    text = " ".join(words)
    places = st.integers(0, len(text))
    pairs = data.draw(st.lists(st.tuples(places, places, st.floats(0, 1)), max_size=10))
    pairs = [(*sorted(pair[:2]), pair[2]) for pair in pairs if pair[0] != pair[1]]
    columns = np.array(pairs, "float64").reshape(-1, 3).T[:, None]
    none = np.array([data.draw(st.floats(0, 1))])
    spans = Spans(*columns[:2].astype("int32"), columns[2], none, np.zeros((1, 0)))
    offset = data.draw(st.integers(0, len(text) // 2))
    results = passage_spans(spans, 0, text, offset, "Which floor of the page?")
    passage = text[offset:]
    for number, span in enumerate(results):
        assert passage[span.start : span.end] == span.text != ""
        assert span.text[0] not in " \n\t…"
        assert span.text[-1] not in " \n\t.…("
        # Up to ten equal spans add up, from the least probability of no answer.
        assert -30 <= span.odds <= math.log(10 / 1e-30)
        for other in results[:number]:
            assert span.end <= other.start or other.end <= span.start
            assert other.odds >= span.odds
