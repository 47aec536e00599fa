"""`question_files`: detection of the layout."""

import json

import pandas as pd
import pytest

from keras_qa import Example
from keras_qa.datasets import question_files

TEXT = "He went home by bus."
EXPECTED = [
    Example(TEXT, "Where?", "home", 8, id="q1"),
    Example(TEXT, "How?", ("by bus", "bus"), (13, 16), id="q2"),
]
NESTED = [
    {
        "id": item.id,
        "context": item.text,
        "question": item.question,
        "answers": {"text": list(item.answers), "answer_start": list(item.answer_start)},
    }
    for item in EXPECTED
]
DOTTED = [
    {
        "id": row["id"],
        "context": row["context"],
        "question": row["question"],
        "answers.text": row["answers"]["text"],
        "answers.answer_start": row["answers"]["answer_start"],
    }
    for row in NESTED
]
FLAT = [
    {
        "id": item.id,
        "text": item.text,
        "question": item.question,
        "answer": item.answers[0],
        "answer_start": item.answer_start[0],
    }
    for item in EXPECTED
]


def written(folder, rows, suffix: str):
    path = folder / f"questions.{suffix}"
    if suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif suffix == "parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        cells = [
            {
                name: json.dumps(value) if isinstance(value, dict) else value
                for name, value in row.items()
            }
            for row in rows
        ]
        pd.DataFrame(cells).to_csv(path, index=False, sep="\t" if suffix == "tsv" else ",")
    return path


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv", "tsv"])
def test_hugging_face_layout(suffix, tmp_path) -> None:
    path = written(tmp_path, NESTED, suffix)
    assert question_files.load(path) == EXPECTED
    assert question_files.count(path) == 2
    assert [item for _, item in question_files.records(path, answers=False)] == [
        Example(item.text, item.question, id=item.id) for item in EXPECTED
    ]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_dotted_columns(suffix, tmp_path) -> None:
    assert question_files.load(written(tmp_path, DOTTED, suffix)) == EXPECTED


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv", "tsv"])
def test_flat_columns(suffix, tmp_path) -> None:
    path = written(tmp_path, FLAT, suffix)
    assert question_files.load(path) == [
        Example(item.text, item.question, item.answers[0], item.answer_start[0], id=item.id)
        for item in EXPECTED
    ]
    # Given columns override detected ones.
    named = question_files.load(path, {"question": "id", "id": "question"})
    assert [(item.question, item.id) for item in named] == [("q1", "Where?"), ("q2", "How?")]


def test_wrong_offsets_raise_or_are_skipped(tmp_path) -> None:
    rows = [FLAT[0], {**FLAT[1], "answer_start": 12}]
    path = written(tmp_path, rows, "jsonl")
    with pytest.raises(ValueError, match=r"line 2 \(id 'q2'\): the answer 'by bus' is not at 12"):
        question_files.load(path)
    with pytest.warns(UserWarning, match="Skipped 1 of 2 questions"):
        assert len(question_files.load(path, strict=False)) == 1


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_file_without_rows(suffix, tmp_path) -> None:
    path = tmp_path / f"empty.{suffix}"
    path.write_text("text,question,answers\n" if suffix == "csv" else "")
    assert question_files.load(path) == []
    assert question_files.count(path) == 0


def test_bad_files_raise(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        question_files.load(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="`path` must end in .csv, .tsv, .jsonl, .parquet"):
        question_files.load(tmp_path / "questions.txt")
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        question_files.load(tmp_path / "none.json")
    path = written(tmp_path, [{"id": 1, "question": "?"}], "jsonl")
    with pytest.raises(ValueError, match="line 1 has no column `text`"):
        question_files.load(path)
