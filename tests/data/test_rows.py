"""Blocks of JSON Lines and Parquet files."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from keras_qa.data import rows, tables

VALUES = [f"é {number}" for number in range(11)]


@pytest.mark.parametrize("size", [1, 3, 4, 11, 12])
@pytest.mark.parametrize("group", [2, 4, 100])
def test_blocks_of_parquet_have_every_row_once(size, group, tmp_path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": VALUES}), path, row_group_size=group)
    blocks = list(rows.split(path, size))
    assert [block.begin for block in blocks] == list(range(0, 11, size))
    assert sum(block.rows for block in blocks) == len(VALUES)
    read = [row for block in blocks for row in rows.parquet_rows(path, {}, block)]
    assert [row["text"] for _, row in read] == VALUES
    assert [location for location, _ in read] == [f"`{path}`, row {n}" for n in range(11)]


@pytest.mark.parametrize("size", [1, 3, 4, 11, 12])
def test_blocks_of_json_lines_have_every_row_once(size, tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in VALUES]
    # Blank lines are no rows, and the last line has no end.
    path.write_text("\ufeff" + "\n\n".join(lines), encoding="utf-8")
    blocks = list(rows.split(path, size))
    assert [block.rows for block in blocks[:-1]] == [size] * (len(blocks) - 1)
    read = [row for block in blocks for row in rows.jsonl_rows(path, block)]
    assert [row["text"] for _, row in read] == VALUES
    assert [location for location, _ in read] == [f"`{path}`, line {2 * n + 1}" for n in range(11)]


def test_an_empty_file_has_no_blocks(tmp_path) -> None:
    (tmp_path / "a.jsonl").write_text("\ufeff\n\n", encoding="utf-8")
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    assert list(rows.split(tmp_path / "a.jsonl", 2)) == []
    assert list(rows.split(tmp_path / "a.parquet", 2)) == []


def test_examples_of_a_block_have_the_columns_of_the_file(tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    first = {"context": "a b", "question": "Which?", "id": 1}
    lines = [first, {**first, "id": 2}, {**first, "id": 3}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    _, block = rows.split(path, 2)
    ((location, example),) = tables.records(path, {}, answers=False, block=block)
    assert (location, example.text, example.id) == (f"`{path}`, line 3", "a b", "3")
