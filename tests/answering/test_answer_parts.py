"""Parts of files of questions: their names, what is missing, and what a changed run raises."""

import json
import pathlib

import pandas as pd
import pytest
from small_examples import EXAMPLES, read_lines

from keras_qa.answering.answer_parts import PartPlan, PartWriter

ROWS = [
    {"id": f"q{place}", "text": item.text, "question": item.question}
    for place, item in enumerate(EXAMPLES)
]
PLACES = ["id", "question", "answer", "score", "start", "end"]


@pytest.fixture
def files(tmp_path):
    """Files of 4 and 5 questions, in JSON Lines and Parquet."""
    folder = tmp_path / "questions"
    folder.mkdir()
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS[:4]))
    pd.DataFrame(ROWS[4:]).to_parquet(folder / "b.parquet")
    return folder


@pytest.fixture
def plan(files, tmp_path, classifier_file):
    def make(pattern="*", **options):
        options = {"size": 3, "columns": {}, **options}
        return PartPlan(classifier_file, str(files / pattern), tmp_path / "out", **options)

    return make


def write(plan, numbers=slice(None)):
    writer = PartWriter(*plan.arguments)
    return [writer.write(part) for part in plan.missing()[numbers]]


def test_parts_have_the_answers_in_order(plan, classifier, tmp_path) -> None:
    first = plan()
    assert write(first, slice(1, 3)) == [(1, ""), (3, "")]
    # What a killed process has left is no part.
    (tmp_path / "out" / ".a.12345678.partial.jsonl").write_text("{")
    later = plan()
    missing = [pathlib.Path(part.target).name for part in later.missing()]
    assert missing == ["a-00000.jsonl", "b-00001.parquet"]
    assert write(later) == [(3, ""), (2, "")]
    assert plan().missing() == []
    later.clean()
    names = ["_run.json", "a-00000.jsonl", "a-00001.jsonl", "b-00000.parquet", "b-00001.parquet"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    lines = read_lines(tmp_path / "out" / names[1]) + read_lines(tmp_path / "out" / names[2])
    table = pd.concat([pd.read_parquet(tmp_path / "out" / name) for name in names[3:]])
    assert list(table) == list(lines[0]) == PLACES
    rows = lines + table.to_dict("records")
    answers = classifier.answer(EXAMPLES)
    assert [row["id"] for row in rows] == [row["id"] for row in ROWS]
    assert [row["answer"] for row in rows] == [answer.text for answer in answers]
    assert [(row["start"], row["end"]) for row in rows] == [(a.start, a.end) for a in answers]
    assert [row["score"] for row in rows] == pytest.approx([a.score for a in answers], abs=2e-6)


def test_several_answers_and_one_text_for_all(plan, classifier, tmp_path) -> None:
    text = EXAMPLES[0].text
    made = plan("b.parquet", text=text, top_k=2)
    assert write(made) == [(3, ""), (2, "")]
    table = pd.read_parquet(tmp_path / "out" / "b-00000.parquet")
    ranked = classifier.answer(text, ROWS[4]["question"], top_k=2)
    assert [entry["text"] for entry in table["answers"][0]] == [item.text for item in ranked]
    assert table["answer"][0] == ranked[0].text


def test_a_wrong_question_is_named_and_its_part_is_missing(plan, files) -> None:
    with (files / "a.jsonl").open("a") as file:
        file.write(json.dumps({**ROWS[0], "question": 7}) + "\n")
    made = plan("a.jsonl")
    path = (files / "a.jsonl").resolve()
    expected = f"`{path}`, line 5: `question` must be a string. Received: 7 (of type int)."
    assert write(made) == [(3, ""), (0, expected)]
    assert len(made.missing()) == 1


def test_a_file_that_changes_is_no_part(plan, files) -> None:
    made = plan("a.jsonl")
    (files / "a.jsonl").write_text(json.dumps(ROWS[0]))
    expected = f"`{(files / 'a.jsonl').resolve()}` has changed since the command began."
    assert write(made) == [(0, expected)] * 2
    assert len(made.missing()) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 2}, "was begun with top_k=None. Received: top_k=2. Use the same top_k or"),
        ({"size": 4}, "was begun with size=3. Received: size=4. Use the same size or another"),
        ({"text": "a"}, "was begun with text=None. Received: text='"),
        ({"batch_size": 0}, "`batch_size` must be a positive integer. Received: batch_size=0."),
        ({"pattern": "*.csv"}, r"No file matches '.*\*.csv'."),
        ({"columns": {"question": "asked"}}, "has no column `asked`. It has: `id`, `text`, `qu"),
    ],
)
def test_wrong_and_changed_options_raise(options, message, plan) -> None:
    plan()
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        plan(**options)


def test_changed_and_wrong_files_raise(plan, files, classifier_file) -> None:
    plan()
    (files / "c.jsonl").write_text(json.dumps(ROWS[0]))
    # A new file is answered, too.
    assert len(plan().missing()) == 5
    (files / "c.jsonl").write_text(json.dumps(ROWS[1]))
    with pytest.raises(ValueError, match="has answers to other questions of `c.jsonl` than the"):
        plan()
    (files / "c.jsonl").unlink()
    (files / "more").mkdir()
    (files / "more" / "a.jsonl").write_text(json.dumps(ROWS[0]))
    with pytest.raises(ValueError, match=r"files with different names. Received two 'a.jsonl'."):
        plan("**/*.jsonl")
    (files / "d.csv").write_text("text,question\n")
    with pytest.raises(ValueError, match=r"must match .jsonl or .parquet files. Received: '.*csv"):
        plan("*.csv")
