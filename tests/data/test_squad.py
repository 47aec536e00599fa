"""SQuAD's layouts: values, offsets and all errors."""

import json
import re

import pytest

from keras_qa.data import squad
from keras_qa.example import Example

TEXT = "Zoë — she went home. She slept at home."
OTHER = "😀 John\r\nwent out."


def question(id, answers, **more):
    found = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": id, "question": f"What of {id}?", "answers": found, **more}


def content(*qas, version="1.1", others=()):
    return {
        "version": version,
        "data": [
            {"title": "one", "source": "news", "paragraphs": [{"context": TEXT, "qas": list(qas)}]},
            {"paragraphs": [{"context": OTHER, "qas": list(others), "document": "two.txt"}]},
        ],
    }


@pytest.fixture
def write(tmp_path):
    def write(data, name="squad.json"):
        path = tmp_path / name
        path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        return path

    return write


def test_version_1(write):
    path = write(
        content(
            question("a", [("home", 15), ("at home", 31), ("home", 34)]),
            question("b", [("Zoë", 0)]),
            others=[question(7, [("John", 2)])],
        )
    )
    expected = [
        Example(
            TEXT, "What of a?", ("home", "at home", "home"), (15, 31, 34), id="a", source="news"
        ),
        Example(TEXT, "What of b?", ("Zoë",), (0,), id="b", source="news"),
        Example(OTHER, "What of 7?", ("John",), (2,), id="7", document="two.txt"),
    ]
    assert squad.load(path) == expected
    # A byte order mark is skipped.
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert squad.load(str(path)) == expected


def test_version_2_has_unanswerable_questions(write):
    plausible = [{"text": "home", "answer_start": 15}]
    path = write(
        content(
            question("a", [], is_impossible=True, plausible_answers=plausible),
            question("b", [("home", 15)], is_impossible=False),
            version="v2.0",
        )
    )
    assert squad.load(path) == [
        Example(TEXT, "What of a?", id="a", source="news"),
        Example(TEXT, "What of b?", "home", 15, id="b", source="news"),
    ]
    assert squad.load(path.rename(path.with_name("dev-v2.0.json")).parent, "valid", "2.0") != []


@pytest.mark.parametrize(
    ("answer", "start", "message"),
    [
        ("home", 16, "'home' is not at 16, where its text has 'ome.'. It is at 15."),
        ("home", 14, "'home' is not at 14, where its text has ' hom'. It is at 15."),
        ("Home", 15, "where its text has 'home'. The text does not hold it."),
        ("home", -5, "'home' is not at -5, where its text has 'Zoë '. It is at 15."),
        ("home", 99, "'home' is not at 99, where its text has ''. It is at 15."),
        ("", 3, "an answer is empty. Leave it out of `answers`"),
    ],
)
def test_wrong_offsets_raise_with_the_id(write, answer, start, message):
    good = question("good", [("home", 15)])
    path = write(content(good, question("bad", [("Zoë", 0), (answer, start)])))
    pattern = (
        rf"^`{re.escape(str(path))}`, data\[0\]\.paragraphs\[0\]\.qas\[1\] \(id 'bad'\): .*"
        rf"{re.escape(message)}.*`strict=False` \(`--lenient`\) to skip it\.$"
    )
    with pytest.raises(ValueError, match=pattern):
        squad.load(path)
    with pytest.warns(UserWarning, match=r"^Skipped 1 of 2 questions.*\(id 'bad'\)\.$"):
        assert [example.id for example in squad.load(path, strict=False)] == ["good"]


def test_many_wrong_questions_are_counted(write):
    bad = [question(f"q{number}", [("x", number)]) for number in range(7)]
    path = write(content(question("good", [("home", 15)]), *bad))
    with pytest.raises(ValueError, match=r"\(id 'q0'\).* 7 of 8 questions are wrong\.$"):
        squad.load(path)
    with pytest.warns(UserWarning, match=r"^Skipped 7 of 8 .*, the first is .*\(id '[^']*'\)\.$"):
        assert len(squad.load(path, strict=False)) == 1


def test_repeated_ids_raise(write):
    path = write(content(question("a", []), question("a", [("home", 15)])))
    message = r"qas\[1\] \(id 'a'\): its id was used before, at .*qas\[0\]\. Give each question"
    with pytest.raises(ValueError, match=message):
        squad.load(path)
    with pytest.warns(UserWarning, match="Skipped 1 of 2"):
        assert squad.load(path, strict=False) == [
            Example(TEXT, "What of a?", id="a", source="news")
        ]


def test_malformed_json_raises(write):
    path = write(content(question("a", [("home", 15)])))
    raw = path.read_bytes()
    for bad, message in (
        (raw[: len(raw) // 2], "char"),
        (raw[:20] + b"\xff" + raw[20:], "'utf-8' codec can't decode byte 0xff in position 20"),
        (b'{"id": 1}\n{"id": 2}\n', "Extra data: line 2 .* is an object, rename it to .jsonl"),
        (b"[" * 200_000, "recursion"),
    ):
        path.write_bytes(bad)
        pattern = rf"^`{re.escape(str(path))}` must be JSON: .*{message}"
        with pytest.raises(ValueError, match=pattern):
            squad.load(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], ": expected an object. Received: []."),
        ({"version": "1.1"}, ": expected a list `data`. Received only: `version`."),
        ({"data": [3]}, ", data[0]: expected an object. Received: 3."),
        ({"data": [{"paragraphs": {}}]}, ", data[0]: expected a list `paragraphs`. Received: {}."),
        (
            {"data": [{"paragraphs": [{"context": None, "qas": []}]}]},
            ", data[0].paragraphs[0]: expected a string `context`. Received: None.",
        ),
        (
            {"data": [{"paragraphs": [{"context": "", "qas": [], "document": 7}]}]},
            ", data[0].paragraphs[0]: expected a string `document`. Received: 7.",
        ),
        (
            {"data": [{"paragraphs": [], "source": ["news"]}]},
            ", data[0]: expected a string `source`. Received: ['news'].",
        ),
        (content({"id": "a"}), ".qas[0]: expected a string `question`. Received only: `id`."),
        (content({"question": "?"}), ".qas[0]: expected a string `id`. Received only: `q"),
        (
            content({"id": "a", "question": "?"}),
            "(id 'a'): expected a list `answers`. Received only:",
        ),
        (
            content({"id": "a", "question": "?", "answers": [{"text": "home"}]}),
            "(id 'a'), answers[0]: expected a whole number `answer_start`. Received only: `t",
        ),
        (
            content(question("a", [("home", 15.0)])),
            "answers[0]: expected a whole number `answer_start`. Received: 15.0.",
        ),
        (
            content(question("a", [("home", 15)], is_impossible=True)),
            "(id 'a'): `answers` must be empty if `is_impossible` is true. Received: 1 answers.",
        ),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_other_layouts_raise_with_the_place(write, data, message, strict):
    path = write(data)
    pattern = rf"^`{re.escape(str(path))}`.*{re.escape(message)}"
    with pytest.raises(ValueError, match=pattern):
        squad.load(path, strict=strict)


def test_bad_arguments_raise(tmp_path):
    with pytest.raises(ValueError, match=r"`split` must be one of 'train', 'valid'.*='dev'"):
        squad.load(split="dev")
    with pytest.raises(ValueError, match=r"`version` must be one of '1\.1', '2\.0'.*=2\.0"):
        squad.load(version=2.0)
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(FileNotFoundError, match=r"Leave out `path` to download"):
            squad.load(path)
