"""Places of known answers in an index, found by the text or the document of an example."""

import json

import pytest

from keras_qa import Example
from keras_qa.datasets import squad, tables, unanswerable
from keras_qa.documents import Document, Hit, Index, gold
from keras_qa.documents.gold import Place
from keras_qa.example import to_examples

FILLER = "Nothing else was said. "
DOCUMENTS = [
    Document("a.txt", "Ann left. Bob stayed at home."),
    Document("b.txt", FILLER * 40 + "Carl came on Monday." + FILLER * 40),
    # The same text twice.
    Document("c.txt", "Ann left. Bob stayed at home."),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    with Index.create(tmp_path_factory.mktemp("gold") / "a.index", language="en") as made:
        made.add(DOCUMENTS)
        yield made


def test_answers_are_located_by_their_texts(index) -> None:
    text = DOCUMENTS[0].text
    whole = Example(text, "Who left?", ("Ann", "Ann left"), (0, 0))
    named = Example(text, "Who stayed?", "Bob", 10, document="c.txt")
    part = Example("Carl came on Monday.", "When?", "Monday", 13, document="b.txt")
    at_all = Example("", "When?", "Carl", 920, document="b.txt")
    elsewhere = Example("Carl came on Monday.", "When?", "Monday", 13)
    changed = Example("Carl came on Tuesday.", "When?", "Carl", 0, document="b.txt")
    unanswered = Example(text, "Why?", document="a.txt")
    unplaced = Example(text, "Who left?", "Ann")
    examples = [whole, named, part, at_all, elsewhere, changed, unanswered, unplaced]
    texts = gold.texts_in(index, examples)
    found = [gold.answers_in(item, at) for item, at in zip(examples, texts, strict=True)]
    begin = len(FILLER) * 40
    assert begin == 920
    assert found[0] == [Place(name, 0, end) for name in ("a.txt", "c.txt") for end in (3, 8)]
    assert found[1] == [Place("c.txt", 10, 13)]
    assert found[2] == [Place("b.txt", begin + 13, begin + 19)]
    assert index.text("b.txt", *found[2][0][1:]) == "Monday"
    assert found[3] == [Place("b.txt", begin, begin + 4)]
    assert found[4:] == [[], [], [], []]
    assert [len(at) for at in texts[4:]] == [0, 0, 1, 2]


def test_the_rank_is_that_of_the_first_passage_with_a_whole_answer(index) -> None:
    hits = [Hit("a", "", 3.0, 0, 10), Hit("b", "", 2.0, 5, 20), Hit("b", "", 1.0, 15, 30)]
    for places, expected in (
        ([Place("b", 5, 6)], 2),
        ([Place("b", 18, 21)], 3),
        ([Place("b", 4, 6)], None),
        ([Place("b", 18, 21), Place("a", 9, 10)], 1),
        ([Place("a", 9, 11), Place("c", 1, 2)], None),
        ([], None),
    ):
        assert gold.rank(hits, places) == expected
    [part] = gold.texts_in(index, [Example("Carl came on Monday.", "", document="b.txt")])
    hits = index.search("On which day came Carl?", 20)
    assert gold.rank(hits, part) == 1


def test_data_may_name_documents(tmp_path) -> None:
    row = {"text": "Ann left.", "question": "Who?", "answers": "Ann", "document": "a.txt"}
    wanted = Example("Ann left.", "Who?", "Ann", document="a.txt")
    assert to_examples([row]) == [wanted]
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({**row, "document": 7}), "utf-8")
    assert [item.document for item in tables.load(path)] == ["7"]
    path = tmp_path / "a.csv"
    path.write_text("text,question,answers,from\nAnn left.,Who?,Ann,a.txt\n", "utf-8")
    assert tables.load(path, document="from") == [wanted]
    assert [item.document for item in tables.load(path)] == [None]
    asked = {"id": "1", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 0}]}
    paragraphs = [
        {"context": "Ann left.", "qas": [asked], "document": "a.txt"},
        {"context": "Ann left.", "qas": [{**asked, "id": "2"}]},
    ]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), "utf-8")
    assert [item.document for item in squad.load(path)] == ["a.txt", None]
    paragraphs[0]["document"] = 7  # type: ignore[assignment]
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), "utf-8")
    with pytest.raises(
        ValueError, match=r"paragraphs\[0\]: expected a string `document`\. Received"
    ):
        squad.load(path)


def test_unanswerable_questions_have_no_document() -> None:
    items = [
        Example("Ann left the house.", "Who left the house?", "Ann", 0, document="a.txt"),
        Example("Bob left the house.", "Who stood at home?", "Bob", 0, document="b.txt"),
    ]
    both = unanswerable.add_unanswerable(items, 1.0)
    assert len(both) > 2
    assert {item.document for item in both[2:]} == {None}
