"""RACE, ARC and SWAG: their published files as examples with choices, and all errors."""

import csv
import json

import pytest

from keras_qa import Example
from keras_qa.data import choices

RACE = {
    "answers": ["B", "A"],
    "options": [["one", "two", "three", "four"], ["Ann", "Bob", "Cid", "Dan"]],
    "questions": ["How many?", "The man's name is   _  ."],
    "article": "Ann has two cats.",
    "id": "high7.txt",
}
ARC = {
    "id": "Mercury_7",
    "question": {
        "stem": "Which is hot?",
        "choices": [{"text": "ice", "label": "1"}, {"text": "fire", "label": "2"}],
    },
    "answerKey": "2",
}
# The first column of the published files has no name.
SWAG = {
    **{"": "0", "video-id": "anetv_7", "fold-ind": "34", "startphrase": "He sits. He"},
    **{"sent1": "He sits.", "sent2": "He", "gold-source": "gold"},
    **{f"ending{n}": ending for n, ending in enumerate(("rises.", "eats, too.", "", "flies."))},
    "label": "1",
}


def write_race(folder, row=RACE, name="high/7.txt"):
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(row))
    return folder


def write_arc(folder, row=ARC):
    (folder / "arc.jsonl").write_text(json.dumps(row) + "\n")
    return folder / "arc.jsonl"


def write_swag(folder, row=SWAG):
    with (folder / "swag.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    return folder / "swag.csv"


def test_race_is_read_from_its_folders_in_order(tmp_path) -> None:
    write_race(write_race(tmp_path), {**RACE, "article": "Bob."}, "middle/1.txt")
    found = choices.load_race(tmp_path)
    assert [item.text for item in found] == ["Ann has two cats."] * 2 + ["Bob."] * 2
    four = ("one", "two", "three", "four")
    assert found[0] == Example(
        "Ann has two cats.", "How many?", "two", choices=four, id="high7.txt.0"
    )
    assert [item.answers for item in found] == [("two",), ("Ann",)] * 2
    assert choices.load_race(tmp_path / "high" / "7.txt") == found[:2]


def test_arc_has_no_text_and_labels_of_its_own(tmp_path) -> None:
    (found,) = choices.load_arc(write_arc(tmp_path))
    expected = Example("", "Which is hot?", "fire", choices=("ice", "fire"), id="Mercury_7")
    assert found == expected


def test_swag_completes_a_sentence(tmp_path) -> None:
    (found,) = choices.load_swag(write_swag(tmp_path))
    endings = ("rises.", "eats, too.", "", "flies.")
    assert found == Example("He sits.", "He", "eats, too.", choices=endings, id="anetv_7")


@pytest.mark.parametrize(
    ("load", "write", "row", "key"),
    [
        (choices.load_race, write_race, RACE, "answers"),
        (choices.load_arc, write_arc, ARC, "answerKey"),
        (choices.load_swag, write_swag, SWAG, "label"),
    ],
)
def test_parts_without_answers_are_read(tmp_path, load, write, row, key) -> None:
    path = write(tmp_path, {name: value for name, value in row.items() if name != key})
    assert {item.answers for item in load(path)} == {()}


ARC_QUESTION = ARC["question"]


@pytest.mark.parametrize(
    ("load", "write", "row", "message"),
    [
        (
            "race",
            write_race,
            {**RACE, "article": 3},
            r"7.txt` must have the layout of RACE: `text` must be a st",
        ),
        (
            "race",
            write_race,
            {**RACE, "answers": ["A"]},
            r"zip\(\) argument 3 is shorter than arguments 1-2",
        ),
        (
            "race",
            write_race,
            {**RACE, "answers": ["A", "E"]},
            r"7.txt` must .*: answer 'E' of 'high7.txt.1' is none of A, B, C, D\.$",
        ),
        (
            "race",
            write_race,
            {**RACE, "questions": ["?", 1]},
            "`question` must be a string. Received: 1",
        ),
        (
            "arc",
            write_arc,
            {**ARC, "question": "?"},
            "line 1 must have the layout of ARC: string indices must",
        ),
        ("arc", write_arc, {**ARC, "answerKey": "A"}, "answer 'A' of 'Mercury_7' is none of 1, 2"),
        (
            "arc",
            write_arc,
            {**ARC, "question": {**ARC_QUESTION, "choices": [{"text": "x"}]}},
            "must have the layout of ARC: no 'label'",
        ),
        (
            "swag",
            write_swag,
            {**SWAG, "label": "4"},
            "answer '4' of 'anetv_7' is none of 0, 1, 2, 3",
        ),
        (
            "swag",
            write_swag,
            {name: value for name, value in SWAG.items() if name != "ending3"},
            "must have the layout of SWAG: no 'ending3'",
        ),
    ],
)
def test_another_layout_is_an_error_at_its_place(tmp_path, load, write, row, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        getattr(choices, f"load_{load}")(write(tmp_path, row))
    assert len(str(caught.value).replace(str(tmp_path), "")) <= 300


@pytest.mark.parametrize("name", ["race", "arc", "swag"])
def test_a_missing_file_is_an_error(tmp_path, name) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(FileNotFoundError, match="`path` must be a file"):
            getattr(choices, f"load_{name}")(path)
