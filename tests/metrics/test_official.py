"""`metrics.squad` against scores computed by hand and against the official evaluations."""

import random

import official_squad as official
import pytest

from keras_qa import Example
from keras_qa.metrics import squad

WORDS = [
    *("the", "a", "an", "The", "theatre", "red", "Red.", "wine", "U.S.A.", "usa"),
    *("é", "É", "-", "«x»", "\u00a0", "12", "1,2"),
]


def article(golds: dict[str, list[str]]) -> list[dict]:
    """SQuAD's JSON with these right answers."""
    qas = [
        {
            "id": id,
            "question": "?",
            "answers": [{"text": text, "answer_start": 0} for text in answers],
        }
        for id, answers in golds.items()
    ]
    return [
        {"title": "t", "paragraphs": [{"context": "c", "qas": qas[::2]}]},
        {"title": "u", "paragraphs": [{"context": "d", "qas": qas[1::2]}]},
    ]


def test_the_best_thresholds_by_hand() -> None:
    data = article({"1": ["wine"], "2": [], "3": ["red wine"], "4": []})
    predictions = {"1": "wine", "2": "wine", "3": "wine", "4": ""}
    probabilities = {"1": 0.25, "2": 0.75, "3": 0.5, "4": 0.875, "other": 0.1}
    scores = squad(predictions, data, "2.0", probabilities, no_answer_threshold=0.5)
    assert scores["exact"] == 75.0
    assert scores["NoAns_exact"] == 100.0
    # Start with 2 right answers. 1 adds 1, 3 adds 0 or 2/3, 2 subtracts 1, 4 changes nothing.
    assert scores["best_exact"] == 75.0
    assert scores["best_exact_thresh"] == 0.25
    assert scores["best_f1"] == 100 * (3 + 2 / 3) / 4
    assert scores["best_f1_thresh"] == 0.5
    assert list(scores)[-4:] == ["best_exact", "best_exact_thresh", "best_f1", "best_f1_thresh"]


def random_case(rng: random.Random):
    def text() -> str:
        return " ".join(rng.choice(WORDS) for _ in range(rng.choice((0, 1, 1, 2, 3, 6))))

    golds = {
        f"q{number}": [text() for _ in range(rng.choice((0, 1, 1, 3)))]
        for number in range(rng.randint(1, 12))
    }
    ids = [*golds, "elsewhere"]
    rng.shuffle(ids)
    predictions = {id: rng.choice([text(), *golds.get(id, [])]) for id in ids}
    values = [round(rng.uniform(-1, 2), 1) for _ in ids]
    return golds, predictions, dict(zip(ids, values, strict=True))


def test_equal_to_the_official_evaluations() -> None:
    rng = random.Random(0)
    for _ in range(700):
        golds, predictions, probabilities = random_case(rng)
        data = article(golds)
        for threshold in (1.0, rng.choice(list(probabilities.values()))):
            expected = official.evaluate_2(data, predictions, probabilities, threshold)
            scores = squad(predictions, data, "2.0", probabilities, threshold)
            assert list(scores.items()) == list(expected.items())
        assert squad(predictions, data, "2.0") == official.evaluate_2(data, predictions)
        answered = {id: answers or ["the"] for id, answers in golds.items()}
        some = {id: text for id, text in predictions.items() if rng.random() < 0.8}
        data = article(answered)
        assert squad(some, data) == official.evaluate_1(data, some)


def test_a_repeated_id_counts_as_in_the_official_evaluations() -> None:
    data = [*article({"1": ["red wine"], "2": []}), *article({"1": []})]
    predictions = {"1": "wine", "2": "wine"}
    assert squad(predictions, data, "2.0") == official.evaluate_2(data, predictions)
    data = [*article({"1": ["red wine"]}), *article({"1": ["wine"]})]
    assert squad(predictions, data) == official.evaluate_1(data, predictions)


def test_references_and_predictions_of_every_form() -> None:
    golds = {"1": ["red wine"], "3": ["x", "y"], "2": []}
    data = article(golds)
    examples = [Example("t", "q", answers, id=id) for id, answers in golds.items()]
    predictions = {"1": "wine", "2": "", "3": "y"}
    expected = official.evaluate_2(data, predictions)
    for references in (data, {"version": "v2.0", "data": data}, examples, iter(examples)):
        assert squad(predictions, references, version="2.0") == expected
    # Without ids, lists are in the order of the examples.
    examples = [Example("t", "q", answers) for answers in golds.values()]
    found = squad(["wine", "y", "z"], examples, "2.0", [0.5, 0.1, 0.9], 0.6)
    predictions, chances = {"1": "wine", "3": "y", "2": "z"}, {"1": 0.5, "3": 0.1, "2": 0.9}
    assert found == official.evaluate_2(data, predictions, chances, 0.6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, [Example("t", "q", "x", id="1")]), "`predictions` must be a dict.*a NoneType"),
        (({"1": 3}, [Example("t", "q", "x", id="1")]), "map ids to strings. Received: 3 .*'1'"),
        (({}, []), "`references` must hold at least one question"),
        (({}, [Example("t", "q", "x")]), "`references` must have ids.*at position 0"),
        (({}, [{"context": "c"}]), "position 0 is neither: KeyError: 'paragraphs'"),
        (({}, "dev.json"), "`references` must be a list .*Received: 'dev.json'"),
        (({"1": "x"}, article({"1": []})), "an answer for each question .*'1'. Pass version="),
        (({}, article({"1": []}), "3.0"), "`version` must be one of '1.1', '2.0'.*='3.0'"),
        (({}, article({"7": []}), "2.0"), "`predictions` must have an entry .*1 of 1, .*'7'"),
        (({"7": ""}, article({"7": []}), "2.0", {}), "`no_answer_probabilities` must have an en"),
        (({"7": ""}, article({"7": []}), "2.0", [0.5]), "`no_answer_probabilities` must be a d"),
        (({"7": ""}, article({"7": []}), "2.0", {"7": float("nan")}), "Received: nan .*'7'"),
        (({"7": ""}, article({"7": ["x"]}), "1.1", {"7": 0.5}), 'are for version="2.0"'),
        ((["x"], []), "`predictions` must be a list .* the 0 `references`. Received: 1 entries"),
        (
            ([""], [Example("t", "q")], "2.0", {"7": 0.5}),
            "`no_answer_probabilities` must be a list with an entry for each of the 1 `references`",
        ),
    ],
)
def test_bad_arguments_raise(arguments, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        squad(*arguments)
