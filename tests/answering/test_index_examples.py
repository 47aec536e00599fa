"""Training examples from questions and an index: passages, offsets, examples without an answer."""

import json

import pytest

from keras_qa import datasets, recipes
from keras_qa.answering.index_examples import NO_PASSAGE, OTHER_DOCUMENT, OTHER_TEXT
from keras_qa.documents import Index

LAMP = "# Care\n\n## Lamp\n\nThe **lamp** lasts two years. Dust it with `dry --soft` cloths."
DESK = "# Care\n\n## Desk\n\nThe desk lasts ten years. Two years is the warranty of a desk."
# Words of most documents are no words of a search, so there are others.
OTHERS = {
    f"{name}.md": f"{name.title()} grow." for name in ("oaks", "elms", "firs", "pines", "figs")
}
FILES = OTHERS | {
    "lamp.md": LAMP,
    "desk.md": DESK,
    "chair.md": "A lamp beside the chair lasts long.",
}


@pytest.fixture
def index(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    with Index.create(tmp_path / "a.index", language="en") as index:
        index.update(folder, verbose=0)
        yield index


def ask(question: str, answers, **more) -> dict:
    return {"text": "", "question": question, "answers": answers, **more}


def test_the_answer_is_at_its_offset_below_the_headings(index) -> None:
    result = recipes.examples_from_index(index, [ask("How long is the lamp?", "Two Years")], 0)
    (example,) = result.examples
    assert example.text == [
        "Care > Lamp",
        "Care\n\nLamp\n\nThe lamp lasts two years. Dust it with dry --soft cloths.",
    ]
    assert example.answers == ("two years",)
    assert example.answer_start == (len("Care > Lamp\nCare\n\nLamp\n\nThe lamp lasts "),)
    assert example.document == "lamp.md"
    assert result.summary() == "1 of 1 questions have a passage with their answer."


def test_answers_lose_the_marks_that_passages_lack(index) -> None:
    result = recipes.examples_from_index(index, [ask("Dust the lamp?", "`dry --soft` cloths")], 0)
    assert result.examples[0].answers == ("dry --soft cloths",)


def test_documents_and_texts_choose_the_passage(index) -> None:
    question = "How long does it last, the lamp or desk?"
    rows = [
        ask(question, "two years", document="desk.md"),
        {**ask(question, "two years"), "text": "Two years is the warranty of a desk."},
    ]
    for example in recipes.examples_from_index(index, rows, 0).examples:
        assert example.document == "desk.md"
        assert example.answers == ("Two years",)


def test_passages_without_the_answer_are_examples_without_one(index) -> None:
    question = ask("How long does the lamp of a desk last?", "two years", document="lamp.md")
    examples = recipes.examples_from_index(index, [question], 3).examples
    # The desk's passage has "two years", too, so it may answer.
    assert [(item.document, item.answers) for item in examples] == [
        ("lamp.md", ("two years",)),
        ("chair.md", ()),
    ]
    nothing = ask("What does the desk of the lamp cost?", ())
    rows = [ask("How long does the desk last?", "ten years"), nothing]
    examples = recipes.examples_from_index(index, rows, 1).examples
    assert [item.answers for item in examples if item.question == nothing["question"]] == [()]


def test_the_reasons_are_counted(index) -> None:
    rows = [
        ask("How long does the lamp last?", "two years"),
        ask("How long does the lamp last?", "forty years"),
        ask("How long does the desk last?", "ten years", document="lamp.md"),
        {**ask("How long does the desk last?", "ten years"), "text": "Nobody knows them, or why."},
        ask("What does the lamp cost?", ()),
    ]
    result = recipes.examples_from_index(index, rows)
    assert result.missing == {2: NO_PASSAGE, 3: OTHER_DOCUMENT, 4: OTHER_TEXT}
    assert result.summary() == (
        "1 of 4 questions have a passage with their answer (1: no passage has an accepted answer; "
        "1: only other documents have it; 1: the passages that have it differ from the text of "
        "the table)."
    )
    with pytest.raises(ValueError, match="0 of 1 questions have a passage"):
        recipes.examples_from_index(index, rows[1:2])


def test_tables_of_questions_need_no_text(tmp_path) -> None:
    path = tmp_path / "questions.jsonl"
    rows = [
        {"question": "A?", "answers": ["x"], "documents": ["a.md", "b.md"]},
        {"question": "B?", "answers": [], "documents": []},
        {"question": "C?", "answers": "y", "context": "It is y."},
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    first, second, third = datasets.tables.load_questions(path)
    assert (first.text, first.answers, first.document) == ("", ("x",), "a.md")
    assert (second.text, second.answers, second.document) == ("", (), None)
    assert (third.text, third.answers) == ("It is y.", ("y",))
    table = tmp_path / "questions.csv"
    table.write_text("question,answer,document\nA?,x,a.md\n", encoding="utf-8")
    assert datasets.tables.load_questions(table) == [first]
    table.write_text("question,reply,proof\nA?,x,It is x.\n", encoding="utf-8")
    (example,) = datasets.tables.load_questions(table, answers="reply", text="proof")
    assert (example.text, example.answers) == ("It is x.", ("x",))
