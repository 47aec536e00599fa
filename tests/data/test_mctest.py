"""MCTest: examples with four choices, and all errors."""

import re

import pytest

from keras_qa.data import mctest
from keras_qa.example import Example

STORY = "Jessie had a party.\\newlineLion came\\newline\\newline\\tabTiger came, too.  "
QUESTIONS = [
    ("one: Who had a party?", "Jessie", "Lion", "Tiger", "no one"),
    ("multiple: Who came? ", "Jessie", "Lion and Tiger", "Snake", "no one"),
    ("one: one: or two?", "1", "2", "3", "4"),
    ("multiple:Why?", "a", "b", "c", "d "),
]


def line(number=0, story=STORY, questions=QUESTIONS):
    cells = [f"mc160.dev.{number}", "Author: 7;Work Time(s): 9", story]
    return "\t".join(cells + [cell for question in questions for cell in question])


@pytest.fixture
def write(tmp_path):
    def write(stories, answers=None, name="mc160.dev"):
        (tmp_path / f"{name}.tsv").write_bytes("".join(s + "\r\n" for s in stories).encode())
        if answers is not None:
            lines = "".join(entry + "\r\n" for entry in answers)
            (tmp_path / f"{name}.ans").write_bytes(lines.encode())
        return tmp_path

    return write


def test_every_question_is_an_example_with_its_choices(write):
    folder = write([line(), line(1, "Café.")], ["A\tB\tC\tD", "D\tA\tB\tC"])
    examples = mctest.load(folder, "mc160", "valid")
    story = "Jessie had a party.\nLion came\n\n\tTiger came, too."
    choices = ("Jessie", "Lion and Tiger", "Snake", "no one")
    assert len(examples) == 8
    assert examples[1] == Example(
        story, "Who came?", "Lion and Tiger", choices=choices, id="mc160.dev.0.1.multiple"
    )
    assert [example.answers for example in examples[:4]] == [
        ("Jessie",),
        ("Lion and Tiger",),
        ("3",),
        ("d",),
    ]
    assert examples[2].question == "one: or two?"
    assert examples[4].text == "Café."
    assert examples[4].answers == ("no one",)
    assert examples[4].id == "mc160.dev.1.0.one"
    assert mctest.load(folder / "mc160.dev.tsv") == examples


def test_answers_are_optional(write):
    (example, *_) = mctest.load(write([line()], name="mc500.test"), "mc500", "test")
    assert example.answers == ()
    assert len(example.choices) == 4


@pytest.mark.parametrize(
    ("story", "answers", "message"),
    [
        (line() + "\tmore", "A\tB\tC\tD", "mc160.dev.tsv`, line 2: expected 23 cells.*Received 24"),
        (line().replace("one: Who", "two: Who"), "A\tB\tC\tD", "dev.tsv`, line 2: .*'two: Who"),
        (line(), "A\tB\tC", r"mc160.dev.ans`, line 2: expected four letters.*'A\\tB\\tC'"),
        (line(), "A\tB\tC\tE", "mc160.dev.ans`, line 2: expected four letters"),
        (line(), "A\tB\tC\tCD", "mc160.dev.ans`, line 2: expected four letters"),
        (line(), "", "mc160.dev.ans` has 1 lines, but `mc160.dev.tsv` has 2"),
    ],
)
def test_malformed_lines_raise(write, story, answers, message):
    folder = write([line(), story], ["A\tB\tC\tD", answers])
    with pytest.raises(ValueError, match=message):
        mctest.load(folder, "mc160", "valid")


def test_bad_arguments_raise(tmp_path):
    with pytest.raises(ValueError, match="`variant` must be one of 'mc160', 'mc500'.*='mc5'"):
        mctest.load(tmp_path, "mc5")
    with pytest.raises(ValueError, match="`split` must be one of 'train', 'valid', 'test'.*='dev'"):
        mctest.load(tmp_path, split="dev")
    with pytest.raises(FileNotFoundError, match=re.escape("a folder with `mc500.train.tsv`")):
        mctest.load(tmp_path)
    (tmp_path / "mc500.train.tsv").write_bytes(b"\xe9")
    with pytest.raises(ValueError, match="must be UTF-8"):
        mctest.load(tmp_path)
