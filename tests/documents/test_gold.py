"""Places of known answers in an index, found by the text or the document of an example."""

import dataclasses

import pytest

from keras_qa import Example
from keras_qa.documents import Document, Index, Passage, gold, hard_negatives
from keras_qa.documents.gold import DocumentSpan
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
    row = {"text": text, "question": "Who stayed?", "answers": "Bob", "answer_start": 10}
    [named] = to_examples([{**row, "document": "c.txt"}])
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
    assert found[0] == [DocumentSpan(name, 0, end) for name in ("a.txt", "c.txt") for end in (3, 8)]
    assert found[1] == [DocumentSpan("c.txt", 10, 13)]
    assert found[2] == [DocumentSpan("b.txt", begin + 13, begin + 19)]
    assert index.text("b.txt", *found[2][0][1:]) == "Monday"
    assert found[3] == [DocumentSpan("b.txt", begin, begin + 4)]
    assert found[4:] == [[], [], [], []]
    assert [len(at) for at in texts[4:]] == [0, 0, 1, 2]


def test_the_rank_is_that_of_the_first_passage_with_a_whole_answer(index) -> None:
    passages = [
        Passage("a", "", 3.0, 0, 10),
        Passage("b", "", 2.0, 5, 20),
        Passage("b", "", 1.0, 15, 30),
    ]
    for places, expected in (
        ([DocumentSpan("b", 5, 6)], 2),
        ([DocumentSpan("b", 18, 21)], 3),
        ([DocumentSpan("b", 4, 6)], None),
        ([DocumentSpan("b", 18, 21), DocumentSpan("a", 9, 10)], 1),
        ([DocumentSpan("a", 9, 11), DocumentSpan("c", 1, 2)], None),
        ([], None),
    ):
        assert gold.rank(passages, places) == expected
    [part] = gold.texts_in(index, [Example("Carl came on Monday.", "", document="b.txt")])
    passages = index.search("On which day came Carl?", 20)
    assert gold.rank(passages, part) == 1


THINGS = {
    "lamp": "The lamp lasts two years.",
    "desk": "The desk lasts ten years.",
    "sofa": "The sofa lasts as long as two lamps: TWO years.",
    "shop": "How long does the shop open? Until two.",
    **{town: f"{town} lies on a river." for town in ("Rome", "Riga", "Oslo")},
}


def test_hard_negatives_match_the_question_but_do_not_answer_it(tmp_path) -> None:
    question = "How long does the lamp last?"
    with Index.create(tmp_path / "a.index", language="en") as index:
        index.add([Document(name, text) for name, text in THINGS.items()])
        ranked = [passage.text for passage in index.search(question)]
        examples = [
            Example(THINGS["lamp"], question, "two years"),
            # An answer inside a word is not mentioned, one beside it is.
            Example("", question, ("wo year", "Two")),
            # Neither a part of the text nor a passage that contains it.
            Example(f"{THINGS['lamp']} {THINGS['desk']}", question),
            Example("lasts as long as two lamps", question, id="part"),
            Example("", ""),
        ]
        found = hard_negatives(index, [*examples[:4], {"text": "", "question": ""}], 3)
        kept = [("desk", "shop"), ("desk",), ("sofa", "shop"), ("lamp", "desk", "shop"), ()]
        for item, example, names in zip(found, examples, kept, strict=True):
            expected = sorted((THINGS[name] for name in names), key=ranked.index)
            assert list(item.negatives) == expected
            assert dataclasses.replace(item, negatives=()) == example
        assert hard_negatives(index, examples[:1], 1)[0].negatives == found[0].negatives[:1]
        with pytest.raises(ValueError, match=r"`k` must be a positive integer. Received: k=0\."):
            hard_negatives(index, examples, 0)


def test_hard_negatives_are_searched_beyond_passages_that_answer() -> None:
    class Many:
        def search(self, questions, k):
            passages = [Passage(str(n), f"{n} 北京是首都", 1.0) for n in range(40)]
            passages += [Passage("twice", "Some other text.", 0.5)] * 2 + [
                Passage("last", "Another.", 0.1)
            ]
            return [passages[:k] for _ in questions]

    [found] = hard_negatives(Many(), [Example("", "首都?", "北京")], 2)
    assert found.negatives == ("Some other text.", "Another.")
    with pytest.raises(TypeError, match="`index` must be a `documents.Index`"):
        hard_negatives(3, [Example("", "?")])
