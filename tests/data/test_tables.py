"""`datasets.tables`: every file format gives the same examples, and errors name the line."""

import csv
import dataclasses
import json
import re
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from keras_qa.data import tables
from keras_qa.example import Example, to_examples

ROWS = [
    {"text": "Mary went home.", "question": "Where is Mary?", "answers": "home"},
    {"text": "", "question": "", "answers": 'a, "b"\nc'},
]
EXAMPLES = [
    Example("Mary went home.", "Where is Mary?", "home"),
    Example("", "", 'a, "b"\nc'),
]


def write(path, rows):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        delimiter = "\t" if path.suffix == ".tsv" else ","
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            for row in rows:
                nested = {name: json.dumps(v) for name, v in row.items() if isinstance(v, dict)}
                writer.writerow({**row, **nested})
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".CSV"])
def test_every_format_gives_the_same_examples(tmp_path, suffix):
    path = write(tmp_path / f"qa{suffix}", ROWS)
    assert tables.load(path) == EXAMPLES
    assert tables.load(str(path)) == EXAMPLES
    without = tables.load(path, answers=None)
    assert [example.answers for example in without] == [(), ()]


def test_files_from_excel_start_with_a_byte_order_mark(tmp_path):
    for suffix, end in ((".csv", b"\n"), (".jsonl", b"\r\n")):
        path = write(tmp_path / f"t{suffix}", ROWS)
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", end) + end)
        assert tables.load(path) == EXAMPLES


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.lists(st.tuples(cells, cells, cells.filter(bool)), min_size=1, max_size=5),
    suffix=st.sampled_from([".csv", ".tsv", ".jsonl", ".parquet"]),
)
@example(data=[("a\r\nb\rc", "\u2028\x85\ufeff\x0b", '"\t,')], suffix=".csv")
@example(data=[("a\r\nb\rc", "\u2028\x85\ufeff\x0b", '"\t,')], suffix=".tsv")
@example(data=[("a\r\nb\rc", "\u2028\x85\ufeff\x0b", '"\t,')], suffix=".jsonl")
@example(data=[("", "", "{")], suffix=".csv")
@example(data=[("", "", "{}")], suffix=".jsonl")
def test_any_text_survives_a_round_trip(tmp_path, data, suffix):
    rows = [dict(zip(("question", "text", "answers"), row, strict=True)) for row in data]
    path = write(tmp_path / f"any{suffix}", rows)
    expected = [Example(text, question, answer) for question, text, answer in data]
    assert tables.load(path) == expected


TEXT = "He went home by bus."
MARKED = [
    Example(TEXT, "Where?", "home", 8, id="q1", document="7", source="news"),
    Example(TEXT, "How?", ("by bus", "bus"), (13, 16), id="q2", document="7", source="news"),
    Example(TEXT, "Why?", id="q3", document="7", source="news"),
]
NESTED = [
    {
        "id": item.id,
        "context": item.text,
        "question": item.question,
        "answers": {"text": list(item.answers), "answer_start": list(item.answer_start)},
        "document": 7,
        "source": "news",
    }
    for item in MARKED
]
DOTTED = [
    {name: value for name, value in row.items() if name != "answers"}
    | {f"answers.{name}": value for name, value in row["answers"].items()}
    for row in NESTED
]
FLAT = [
    {"id": "q1", "text": TEXT, "question": "Where?", "answer": "home", "answer_start": 8},
    {"id": "q2", "text": TEXT, "question": "How?", "answer": "by bus", "answer_start": 13},
]
FIRST_ANSWERS = [
    Example(TEXT, "Where?", "home", 8, id="q1"),
    Example(TEXT, "How?", "by bus", 13, id="q2"),
]
# BoolQ as it was published, and with strings.
PASSAGES = [
    {"question": "is it far", "title": "Home", "answer": True, "passage": TEXT},
    {"question": "was it a car", "title": "Home", "answer": False, "passage": TEXT},
]
CONTEXTS = [
    {"context": TEXT, "question": row["question"], "answer": "yes" if row["answer"] else "no"}
    for row in PASSAGES
]
YES_AND_NO = [Example(TEXT, "is it far", "yes"), Example(TEXT, "was it a car", "no")]


@pytest.mark.parametrize(
    ("rows", "suffixes", "expected"),
    [
        (NESTED, ("jsonl", "parquet", "csv", "tsv"), MARKED),
        (DOTTED, ("jsonl", "parquet"), MARKED),
        (FLAT, ("jsonl", "parquet", "csv", "tsv"), FIRST_ANSWERS),
        (PASSAGES, ("jsonl", "parquet"), YES_AND_NO),
        (CONTEXTS, ("jsonl", "parquet", "csv", "tsv"), YES_AND_NO),
    ],
)
def test_the_layout_is_detected(rows, suffixes, expected, tmp_path):
    for suffix in suffixes:
        path = write(tmp_path / f"questions.{suffix}", rows)
        assert tables.load(path) == expected
        assert tables.count(path) == len(expected)
        assert [item for _, item in tables.records(path, {}, answers=False)] == [
            dataclasses.replace(item, answers=(), answer_start=()) for item in expected
        ]
        if expected is YES_AND_NO:
            assert to_examples(rows) == expected
            continue
        # Given columns override detected ones.
        named = tables.load(path, question="id", id="question")
        assert [(item.question, item.id) for item in named[:1]] == [("q1", "Where?")]


def test_columns_are_selected_by_name(tmp_path):
    row = {"c": "a b", "q": "?", "a": "b", "at": 2, "x": "a", "y": "b", "n": 7, "from": "d", "s": 1}
    names = {"text": "c", "question": "q", "answers": "a", "answer_start": "at", "id": "n"}
    names |= {"document": "from", "source": "s"}
    expected = Example("a b", "?", "b", 2, ("a", "b"), id="7", document="d", source="1")
    for suffix in (".csv", ".jsonl", ".parquet"):
        path = write(tmp_path / f"t{suffix}", [row])
        assert tables.load(path, **names, choices=("x", "y")) == [expected]
    flat = [{"text": "t", "question": "q", "a.b": "x", "a": {"b": "y"}}]
    assert tables.load(write(tmp_path / "a.jsonl", flat), answers="a.b")[0].answers == ("x",)
    # Lists are sentences, answers, choices and negatives.
    row = {"text": ["A.", "B."], "question": "?", "answers": ["x", "y"], "choices": ["x", "z"]}
    expected = Example(["A.", "B."], "?", ("x", "y"), choices=("x", "z"), negatives=("n",))
    pairs = {"text": "A.", "question": "?", "negatives": ["n", "m"]}
    for suffix in (".jsonl", ".parquet"):
        path = write(tmp_path / f"lists{suffix}", [{**row, "negatives": ["n"]}])
        assert tables.load(path, choices="choices") == [expected]
        path = write(tmp_path / f"pairs{suffix}", [pairs])
        assert tables.load(path) == [Example("A.", "?", negatives=("n", "m"))]
    with pytest.raises(tables.rows.MissingColumnError, match="has no column `answers`"):
        tables.load(write(tmp_path / "none.jsonl", [{"text": "A.", "question": "?"}]))


def test_missing_answers_are_allowed_but_not_missing_texts(tmp_path):
    for missing in (None, float("nan")):
        row = {"text": "t", "question": "q", "answers": missing}
        assert tables.load(write(tmp_path / "t.jsonl", [row])) == [Example("t", "q")]
        for name in ("text", "question"):
            path = write(tmp_path / "t.jsonl", [ROWS[0], {**ROWS[0], name: missing}])
            with pytest.raises(ValueError, match=f"line 2 must have a {name}. Its column `{name}`"):
                tables.load(path)


def test_empty_cells_in_csv_are_empty_texts_but_no_answers(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,question,answers,at,source\n,,,,\n\nac,b,c,1,d\n")
    assert tables.load(path, answer_start="at") == [
        Example("", ""),
        Example("ac", "b", "c", answer_start=(1,), source="d"),
    ]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_whether_the_answers_are_one_set(suffix: str, tmp_path) -> None:
    row = {"text": "a or b", "question": "?", "answers": "a"}
    path = write(
        tmp_path / f"t{suffix}", [{**row, "all_spans": flag} for flag in (True, False, None)]
    )
    found = [item.all_spans for item in tables.load(path)]
    assert found == [True, False, False]


def test_large_cells_are_read_and_the_limit_of_the_process_stays(tmp_path):
    large = {"text": "word " * 50_000, "question": "?", "answers": "word"}
    before = csv.field_size_limit(100_000)
    try:
        assert tables.load(write(tmp_path / "t.csv", [large]))[0].text == large["text"]
        assert csv.field_size_limit() == 100_000
        (tmp_path / "t.csv").write_text("text,question\na\n")
        with pytest.raises(ValueError, match="line 2"):
            tables.load(tmp_path / "t.csv", answers=None)
        assert csv.field_size_limit() == 100_000
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_missing_column_lists_what_is_there(tmp_path, suffix):
    path = write(tmp_path / f"t{suffix}", [{"body": "a", "question": "b", "answers": "c"}])
    message = (
        r"has no column `text`\. It has: `body`, `question`, `answers`\. Name its column, for "
        r'example `text="context"`\.$'
    )
    with pytest.raises(ValueError, match=message):
        tables.load(path)
    with pytest.raises(ValueError, match=r"or pass `answers=None` if there are none\.$"):
        tables.load(path, text="body", answers="answer")
    with pytest.raises(ValueError, match=r"has no column `answer\.text`"):
        tables.load(path, text="body", answers="answer.text")


LONG = "x" * 50_000
FIELDS = {"text": "a", "question": "b", "answers": "c"}


@pytest.mark.parametrize(
    ("name", "content", "columns", "message"),
    [
        ("t.csv", ",".join(f"column{place}" for place in range(100_000)), {}, "and 99,995 more"),
        ("t.csv", ",".join([*[f"column{place}" for place in range(100_000)] * 2]), {}, "Rename"),
        ("t.jsonl", json.dumps({f"c{place}": 1 for place in range(100_000)}), {}, "99,995 more"),
        ("t.json", json.dumps({f"c{place}": 1 for place in range(100_000)}), {}, "99,995 more"),
        ("t.json", json.dumps({"data": LONG}), {}, "expected a list `data`"),
        ("t.csv", f"text,{LONG},{LONG}1\n", {}, "has no columns `question`, `answers`"),
        ("t.csv", "text,question,answers\n", {"text": LONG}, "has no column `xxx"),
        ("t.csv", f"text,question,answers\na,b,{LONG}\n", {"id": "answers.d"}, "expected JSON"),
        ("t.jsonl", f'{{"a": "{LONG}"', {}, "expected one JSON object"),
        ("t.jsonl", f'["{LONG}"]', {}, "expected a JSON object"),
        ("t.jsonl", json.dumps({**FIELDS, "text": {"a": LONG}}), {}, "`text` must be a str"),
        ("t.jsonl", json.dumps({**FIELDS, "answers": {"a": LONG}}), {}, "`answers` must be a str"),
        ("t.jsonl", json.dumps({**FIELDS, "question": [LONG]}), {}, "`question` must be a str"),
        ("t.jsonl", json.dumps({**FIELDS, "answer_start": LONG}), {}, "must be non-negative"),
        (
            "t.jsonl",
            json.dumps({**FIELDS, "id": LONG, "answers": LONG, "answer_start": 3}),
            {},
            "is not at 3",
        ),
        ("t.jsonl", json.dumps(FIELDS), {LONG: "a"}, "Columns must be given for"),
        ("t.jsonl", json.dumps(FIELDS), {"text": (LONG,)}, "must be the name of a column"),
    ],
)
def test_messages_about_long_tables_are_short(tmp_path, name, content, columns, message):
    (tmp_path / name).write_text(content)
    with pytest.raises((TypeError, ValueError), match=re.escape(message)) as caught:
        tables.load(tmp_path / name, **columns)
    line = str(caught.value).replace(str(tmp_path / name), name)
    assert "\n" not in line
    assert len(line) <= 300


def test_a_header_is_checked_even_without_rows(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,question,answers\n")
    assert (tables.load(path), tables.count(path)) == ([], 0)
    path.write_text("text,answers\n")
    with pytest.raises(ValueError, match="has no column `question`"):
        tables.load(path)
    path.write_text("text,question,text,answers\n")
    with pytest.raises(ValueError, match="t.csv` has two columns `text`. Rename one"):
        tables.load(path)
    path.write_text("")
    with pytest.raises(ValueError, match="is empty: expected a line with the names"):
        tables.load(path)
    (tmp_path / "t.jsonl").write_text("")
    assert (tables.load(tmp_path / "t.jsonl"), tables.count(tmp_path / "t.jsonl")) == ([], 0)


@pytest.mark.parametrize(
    ("name", "content", "line", "expected"),
    [
        ("t.jsonl", b'{"text": "a", "question": "b", "answers": "c"}\n{"text": ', 2, "JSON object"),
        ("t.jsonl", b"[" * 100_000, 1, "expected one JSON object a line"),
        ("t.jsonl", b'\n["a"]\n', 2, "expected a JSON object"),
        ("t.jsonl", b'{"text": "\xe9"}', 1, "expected UTF-8"),
        ("t.jsonl", b'{"text": "a", "question": "b", "answers": 3}', 1, ": `answers` must be a st"),
        ("t.csv", b"text,question,answers\na,b,c\na,b,c,d\n", 3, "expected 3 cells.*Received 4"),
        ("t.tsv", b"text\tquestion\tanswers\na\tb\n", 2, "expected 3 cells.*Received 2"),
        ("t.csv", b'text,question,answers\na,b,"c\n', 2, "unexpected end of data"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, name, content, line, expected):
    path = tmp_path / name
    path.write_bytes(content)
    pattern = f"^`{re.escape(str(path))}`, line {line}\\b.*{expected}"
    with pytest.raises((ValueError, TypeError), match=pattern):
        tables.load(path)


def test_files_with_the_wrong_ending(tmp_path):
    for name, content, expected in (
        ("t.csv", b"text,question\n\xe9,b\n", "must be UTF-8"),
        ("t.parquet", b"text,question\n", "must be a Parquet file"),
        ("t.txt", b"{}", r"must end in \.json, \.csv, \.tsv, \.jsonl, \.parquet"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=expected):
            tables.load(tmp_path / name, answers=None)
    for name in ("nothing.csv", "nothing.json"):
        with pytest.raises(FileNotFoundError, match=r"^There is no file '.*nothing"):
            tables.load(tmp_path / name)


def test_offsets_must_be_whole_numbers_one_an_answer(tmp_path):
    row = {"text": "t", "question": "q", "answers": ["a", "b"], "at": [0]}
    path = write(tmp_path / "t.jsonl", [row])
    with pytest.raises(ValueError, match=r"line 1 has 2 answers but 1 offsets in `at`"):
        tables.load(path, answer_start="at")
    for offset in ("x", -1, 1.5, True, [0, None]):
        write(path, [{**row, "at": offset}])
        with pytest.raises(ValueError, match="line 1: `answer_start` must be non-negative integer"):
            tables.load(path, answer_start="at")
    with pytest.raises(ValueError, match=r"^`answer_start` needs `answers`"):
        tables.load(path, answers=None, answer_start="at")


def test_an_answer_that_is_not_at_its_offset_is_named(tmp_path):
    path = write(tmp_path / "t.csv", [FLAT[0], {**FLAT[1], "answer_start": 12}])
    message = r"t\.csv`, line 3 \(id 'q2'\): the answer 'by bus' is not at 12, .*It is at 13\."
    with pytest.raises(ValueError, match=message):
        tables.load(path)
    with pytest.warns(UserWarning, match=r"Skipped 1 of 2 questions.*line 3 \(id 'q2'\)\.$"):
        assert tables.load(path, strict=False) == FIRST_ANSWERS[:1]


def test_nested_columns_of_csv_are_json(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('text,question,gold\na b,q,"{""all"": [""a"", ""b""]}"\na,r,\n')
    expected = [Example("a b", "q", ("a", "b")), Example("a", "r")]
    assert tables.load(path, answers="gold.all") == expected
    path.write_text("text,question,gold\na b,q,{'all': ['a']}\n")
    with pytest.raises(ValueError, match=r"line 2: expected JSON in the cell `gold`: .*\{'all'"):
        tables.load(path, answers="gold.all")


def test_wrong_columns_raise(tmp_path):
    path = write(tmp_path / "t.jsonl", ROWS)
    for columns, message in (
        ({"text": None}, r"^`text` must be the name of a column.*text=None"),
        ({"title": "a"}, r"^Columns must be given for text, .*Received: 'title'"),
        ({"choices": [1]}, r"^`choices` must be the name of a column"),
    ):
        with pytest.raises(TypeError, match=message):
            tables.load(path, **columns)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    path = write(tmp_path / "t.parquet", ROWS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'^Reading Parquet .* install "keras-qa\[tables\]"`\.$'):
        tables.load(path)


def test_any_flipped_byte_of_a_parquet_file_is_read_or_named_in_one_line(tmp_path):
    rows = {"text": ["Mary went home."] * 3, "question": ["Who?"] * 3, "answers": ["Mary"] * 3}
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(rows), path)
    content = path.read_bytes()
    messages = []
    for place in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[place] ^= 0x55
        path.write_bytes(bytes(flipped))
        try:
            tables.load(path)
        except (ValueError, TypeError) as error:
            messages.append(str(error))
    assert len(messages) > 10
    assert not [line for line in messages if "\n" in line or len(line) > 500]
