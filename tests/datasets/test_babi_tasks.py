"""`babi.load_tasks`: several tasks, and replacements of missing files."""

import pytest
from babi_archive import TOP, write_archive

from keras_qa.datasets import babi
from keras_qa.example import Example

BIG, SMALL = f"{TOP}/en-valid-10k", f"{TOP}/en-valid"
VALID = "1 Mary went home.\n2 Where is Mary?\thome\t1\n3 John left.\n4 Where is John?\taway\t3\n"
# The story of the validation split, cut shorter, equally long and longer; and another story.
LEAK = "1 Mary went home.\n2 Who is at home?\tMary\t1\n3 John left.\n4 Ann came.\n5 Who?\tAnn\t4\n"
OTHER = "1 Mary went home by bus.\n2 Where is Mary?\thome\t1\n"
FILES = {
    f"{BIG}/qa1_train.txt": b"1 A.\n2 Q?\tone\t1\n",
    f"{BIG}/qa1_valid.txt": b"1 B.\n2 Q?\ttwo\t1\n",
    f"{BIG}/qa3_valid.txt": VALID.encode(),
    f"{SMALL}/qa3_train.txt": (LEAK + OTHER).encode(),
    f"{BIG}/qa2_train.txt": b"1 C.\n2 Q?\tthree\t1\n",
    f"{BIG}/qa4_valid.txt": b"1 D.\n2 Q?\tfour\t1\n",
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("babi") / "babi.tar.gz", FILES)


def answers(examples: list[Example]) -> list[str]:
    return [item.answers[0] for item in examples]


def test_complete_tasks_are_not_simulated(archive) -> None:
    parts = babi.load_tasks(1, archive, simulate=50)
    assert (answers(parts.train), answers(parts.valid)) == (["one"], ["two"])
    assert (parts.simulated, parts.notes) == (0, ())


def test_missing_training_file_is_replaced(archive) -> None:
    parts = babi.load_tasks([1, 3], archive, simulate=50, seed=4)
    assert answers(parts.valid) == ["two", "home", "away"]
    other = Example("Mary went home by bus.", "Where is Mary?", "home", (), (), (0,), "qa3_train_2")
    assert parts.train == [*babi.load(1, "train", archive), other, *babi.simulate(3, 50, 4)]
    assert parts.simulated == 50
    assert parts.notes == (
        "Task 3: en-valid-10k has no train file. Used instead: 50 simulated questions and 1 real "
        "questions of en-valid (2 more have stories of the validation split).",
    )


def test_missing_validation_file_is_replaced_by_a_tenth(archive) -> None:
    parts = babi.load_tasks(2, archive, simulate=50)
    assert answers(parts.train) == ["three"]
    assert parts.valid == babi.simulate(2, 5, 1_000_003)
    assert parts.notes == (
        "Task 2: en-valid-10k has no valid file. Used instead: 5 simulated questions.",
    )


def test_missing_files_raise_by_default(archive) -> None:
    message = r"no file for `task=3`, `split='train'`.* Pass `simulate=9000`"
    with pytest.raises(babi.AbsentError, match=message):
        babi.load_tasks(3, archive)


def test_missing_files_of_other_tasks_raise(archive) -> None:
    with pytest.raises(babi.AbsentError, match=r"no file for `task=4`, `split='train'`"):
        babi.load_tasks(4, archive, simulate=50)


def test_other_archives_raise(tmp_path) -> None:
    archive = write_archive(tmp_path / "other.tar.gz", {"notes/a.txt": b"1 A.\n"})
    with pytest.raises(ValueError, match="has no bAbI files") as caught:
        babi.load_tasks(1, archive, simulate=50)
    assert not isinstance(caught.value, babi.AbsentError)


@pytest.mark.parametrize(
    ("name", "task"), [("qa7_train_0", 7), ("qa20_simulated_9", 20), ("q7", None), (None, None)]
)
def test_task_of_an_example(name: str | None, task: int | None) -> None:
    assert babi.task_of(Example("A.", "Q?", id=name)) == task
