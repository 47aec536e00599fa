"""`babi.load` and `babi.load_tasks` on archives and folders written by the tests."""

import gzip
import io
import re
import tarfile
import zlib

import pytest
from babi_archive import TOP, write_archive

from keras_qa.data import babi
from keras_qa.example import Example

STORY = (
    "1 Mary moved to the bathroom.\n"
    "2 John went to the hallway.\n"
    "3 Where is Mary? \tbathroom\t1\n"
    "4 Mary got the milk there.\n"
    "5 Mary went to the office.\n"
    "6 What is Mary carrying? \tmilk,football\t4 1\n"
    "7 Where is Mary?\toffice\t5\n"
    "1 Daniel moved to the garden.\n"
    "2 Where is Daniel?\tgarden\t1\n"
)
FIRST = "Mary moved to the bathroom.\nJohn went to the hallway."
SECOND = FIRST + "\nMary got the milk there.\nMary went to the office."
QUESTIONS = [
    (FIRST, "Where is Mary?", "bathroom", (0,)),
    (SECOND, "What is Mary carrying?", "milk,football", (2, 0)),
    (SECOND, "Where is Mary?", "office", (3,)),
    ("Daniel moved to the garden.", "Where is Daniel?", "garden", (0,)),
]
EXPECTED = [
    Example(text, question, answer, supporting_facts=facts, id=f"qa1_train_{number}")
    for number, (text, question, answer, facts) in enumerate(QUESTIONS)
]


def write_folder(path, files):
    for name, content in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path


FILES = {
    f"{TOP}/README": b"1 not a story\n",
    f"{TOP}/en-valid-10k/qa1_train.txt": STORY.encode(),
    f"{TOP}/en-valid-10k/qa1_valid.txt": b"1 A.\n2 Q?\tvalid\t1\n",
    f"{TOP}/en-valid-10k/qa11_train.txt": b"1 A.\n2 Q?\televen\t1\n",
    f"{TOP}/en/qa1_single-supporting-fact_test.txt": b"1 A.\n2 Q?\ttest\t1\n",
    f"{TOP}/hn/qa1_single-supporting-fact_train.txt": "1 सीता।\n2 कहाँ?\tबाग\t1\n".encode(),
}


@pytest.fixture
def archive(tmp_path):
    return write_archive(tmp_path / "babi.tar.gz", FILES)


def test_arguments_select_the_file(archive):
    def answers(*args):
        return [example.answers[0] for example in babi.load(*args)]

    assert babi.load(1, "train", archive) == EXPECTED
    assert answers(1, "valid", str(archive)) == ["valid"]
    assert answers(11, "train", archive) == ["eleven"]
    assert answers(1, "test", archive, "en") == ["test"]
    assert babi.load(1, "train", archive, "hn") == [
        Example("सीता।", "कहाँ?", "बाग", supporting_facts=(0,), id="qa1_train_0")
    ]


def test_folders_read_like_the_archive(tmp_path):
    write_folder(tmp_path, FILES)
    (tmp_path / TOP / "en-valid-10k" / "qa2_train.txt").mkdir()
    for path in (tmp_path, tmp_path / TOP):
        assert babi.load(1, path=path) == EXPECTED
    assert babi.load(1, "test", tmp_path / TOP, "en")[0].answers == ("test",)
    with pytest.raises(ValueError, match="has no file for `task=2`"):
        babi.load(2, path=tmp_path)


@pytest.mark.parametrize("break_", ["\n", "\r\n"])
def test_line_breaks_blank_lines_and_a_byte_order_mark_change_nothing(tmp_path, break_):
    content = b"\xef\xbb\xbf" + (STORY + "\n \n").replace("\n", break_).encode()
    path = write_archive(tmp_path / "a.tar.gz", {f"{TOP}/en-valid-10k/qa1_train.txt": content})
    assert babi.load(1, path=path) == EXPECTED


def test_a_missing_file_raises_with_the_existing_ones(archive, tmp_path):
    with pytest.raises(ValueError, match="has no file for") as caught:
        babi.load(1, "test", archive)
    assert str(caught.value) == (
        f"`{archive}` has no file for `task=1`, `split='test'`, `variant='en-valid-10k'`. "
        "For this task it has the variants 'en' (test), 'en-valid-10k' (train, valid), "
        "'hn' (train)."
    )
    with pytest.raises(ValueError, match=r"It has the tasks 1, 11\.$"):
        babi.load(3, path=archive)
    path = write_archive(tmp_path / "a.tar.gz", {"x/en/qa1_train.txt": b"", "x/b.txt": b""})
    with pytest.raises(ValueError, match=r"It has no test files\. For this task it has"):
        babi.load(1, "test", path, "en")


def test_members_outside_the_archive_are_skipped(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("1 A.\n2 Q?\tsecret\t1\n")
    path = tmp_path / "evil.tar.gz"
    name = "en-valid-10k/qa1_train.txt"
    with tarfile.open(path, "w:gz") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"{TOP}/{name}")
            member.type = kind
            member.linkname = str(secret)
            archive.addfile(member)
        for evil in (f"../{name}", f"/{name}", f"{TOP}/../{name}"):
            member = tarfile.TarInfo(evil)
            member.size = 4
            archive.addfile(member, io.BytesIO(b"1 A."))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=r"It has no bAbI files\.$"):
        babi.load(1, path=path)
    # It is not taken for bAbI with missing tasks.
    with pytest.raises(ValueError, match=r"It has no bAbI files\.$") as caught:
        babi.load_tasks(1, path, simulate=50)
    assert not isinstance(caught.value, babi.AbsentError)
    assert sorted(tmp_path.rglob("*")) == before


class Zeros(io.RawIOBase):
    def read(self, size=-1):
        return bytes(size)


@pytest.mark.parametrize(
    ("name", "kind", "size", "message"),
    [
        (
            "qa1_train.txt",
            tarfile.REGTYPE,
            65 * 2**20,
            "has a member of more than 67,108,864 bytes",
        ),
        # A pax header is read whole by `tarfile` itself.
        ("x", tarfile.XHDTYPE, 65 * 2**20, "has a member of more than 67,108,864 bytes"),
        ("big", tarfile.REGTYPE, 2**40, "unpacks to more than 1,073,741,824 bytes"),
    ],
)
def test_too_large_archives_raise(tmp_path, name, kind, size, message):
    path = tmp_path / "bomb.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        member = tarfile.TarInfo(f"{TOP}/en-valid-10k/{name}")
        member.type, member.size = kind, size
        archive.addfile(member, Zeros() if size < 2**30 else None)
    with pytest.raises(ValueError, match=rf"{message}\.$"):
        babi.load(1, path=path)


def test_other_files_raise(tmp_path, archive):
    plain = tmp_path / "plain.tar.gz"
    plain.write_bytes(b"1 Mary went home.\n")
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(archive.read_bytes()[:200])
    bad = tmp_path / "bad.tar.gz"
    member = tarfile.TarInfo(f"{TOP}/en-valid-10k/qa1_train.txt")
    member.size = 2**20
    # The archive is damaged after the header.
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(member.tobuf() + bytes(2**19)) + packer.flush(zlib.Z_FULL_FLUSH)
    bad.write_bytes(start + b"\xff" * 50)
    for path in (plain, cut, bad):
        with pytest.raises(ValueError, match=r"`path` must be a \.tar\.gz archive or a folder\."):
            babi.load(1, path=path)
    with pytest.raises(FileNotFoundError, match="`path` must be an existing bAbI archive"):
        babi.load(1, path=tmp_path / "nothing.tar.gz")


def test_flipped_bits_raise(tmp_path, archive):
    plain = gzip.decompress(archive.read_bytes())
    # Not compressed, so that the text changes, and nothing but the checksum shows it.
    content = gzip.compress(plain, compresslevel=0)
    path = tmp_path / "flipped.tar.gz"
    path.write_bytes(content)
    assert babi.load(1, path=path) == EXPECTED
    for part in (b"Mary moved", b"README", b"office\t5"):
        damaged = bytearray(content)
        damaged[content.index(part)] ^= 2
        path.write_bytes(damaged)
        for split in ("train", "valid"):
            with pytest.raises(ValueError, match=r"cannot be read as one \("):
                babi.load(1, split, path)
    assert babi.load(1, path=archive) == EXPECTED


@pytest.mark.parametrize(
    ("lines", "at", "expected"),
    [
        ("Mary went home.", 1, "a number, a space and a sentence"),
        ("1 A.\n3 B.", 2, "the number 2, or 1 for a new story"),
        ("2 A.", 1, "the number 1, or 1 for a new story"),
        ("1 A.\n2 Where?", 2, "a question, its answer"),
        ("1 A.\n2 Where?\tb", 2, "a question, its answer"),
        ("1 A.\n2 Where?\t\t1", 2, "a question, its answer"),
        ("1 A.\n2 Where?\tb\t1\tc", 2, "a question, its answer"),
        ("1 A.\n2 Where?\tb\tc", 2, "numbers of earlier statements"),
        ("1 A.\n2 Where?\tb\t2", 2, "numbers of earlier statements"),
        ("1 A.\n2 Where?\tb\t1\n1 B.\n2 C.\n3 Where?\tb\t4", 5, "numbers of earlier statements"),
    ],
)
def test_malformed_lines_raise(tmp_path, lines, at, expected):
    file = tmp_path / "en" / "qa1_x_train.txt"
    write_folder(tmp_path, {"en/qa1_x_train.txt": lines.encode()})
    pattern = f"^`{re.escape(str(file))}`, line {at}: expected {expected}.*Received: '"
    with pytest.raises(ValueError, match=pattern):
        babi.load(1, path=tmp_path, variant="en")


def test_other_encodings_raise(tmp_path):
    write_folder(tmp_path, {"en/qa1_x_train.txt": b"1 caf\xe9.\n"})
    with pytest.raises(ValueError, match=r"qa1_x_train\.txt` must be UTF-8"):
        babi.load(1, path=tmp_path, variant="en")


def test_bad_arguments_raise(archive):
    pattern = r"^`task` must be an integer from 1 to 20\. Received: task="
    for task in (0, 21, -1, 1.0, True, "1", None):
        with pytest.raises(ValueError, match=pattern):
            babi.load(task, path=archive)
    with pytest.raises(ValueError, match=r"^`split` must be one of 'train', 'valid', 'test'"):
        babi.load(1, "dev", archive)
    with pytest.raises(ValueError, match=r"^`variant` must be one of 'en', .*variant='de'"):
        babi.load(1, "train", archive, "de")


def test_sparse_members_are_skipped(tmp_path):
    path = tmp_path / "sparse.tar.gz"
    # The GNU header of a sparse file of 2**40 bytes with one block of 512 bytes.
    member = tarfile.TarInfo(f"{babi.FOLDER}/en/qa1_train.txt")
    member.size, member.type = 512, tarfile.GNUTYPE_SPARSE
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[386:398], header[398:410] = b"00000000000\0", b"00000001000\0"
    header[482], header[483:495] = 0, b"17777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with gzip.open(path, "wb") as file:
        file.write(bytes(header) + b"1 Mary went home.\n".ljust(512, b"\0") + bytes(1024))
    with pytest.raises(ValueError, match=r"It has no bAbI files\.$"):
        babi.load(1, path=path)


BIG, SMALL = f"{TOP}/en-valid-10k", f"{TOP}/en-valid"
VALID = "1 Mary went home.\n2 Where is Mary?\thome\t1\n3 John left.\n4 Where is John?\taway\t3\n"
# The story of the validation split, cut shorter, equally long and longer; and another story.
LEAK = "1 Mary went home.\n2 Who is at home?\tMary\t1\n3 John left.\n4 Ann came.\n5 Who?\tAnn\t4\n"
OTHER = "1 Mary went home by bus.\n2 Where is Mary?\thome\t1\n"
TASK_FILES = {
    f"{BIG}/qa1_train.txt": b"1 A.\n2 Q?\tone\t1\n",
    f"{BIG}/qa1_valid.txt": b"1 B.\n2 Q?\ttwo\t1\n",
    f"{BIG}/qa3_valid.txt": VALID.encode(),
    f"{SMALL}/qa3_train.txt": (LEAK + OTHER).encode(),
    f"{BIG}/qa2_train.txt": b"1 C.\n2 Q?\tthree\t1\n",
    f"{BIG}/qa4_valid.txt": b"1 D.\n2 Q?\tfour\t1\n",
}


@pytest.fixture
def tasks(tmp_path):
    return write_archive(tmp_path / "tasks.tar.gz", TASK_FILES)


def answers(examples: list[Example]) -> list[str]:
    return [item.answers[0] for item in examples]


def test_complete_tasks_are_not_simulated(tasks):
    parts = babi.load_tasks(1, tasks, simulate=50)
    assert (answers(parts.train), answers(parts.valid)) == (["one"], ["two"])
    assert (parts.simulated, parts.notes) == (0, ())


def test_missing_training_file_is_replaced(tasks):
    parts = babi.load_tasks([1, 3], tasks, simulate=50, seed=4)
    assert answers(parts.valid) == ["two", "home", "away"]
    other = Example("Mary went home by bus.", "Where is Mary?", "home", (), (), (0,), "qa3_train_2")
    assert parts.train == [*babi.load(1, "train", tasks), other, *babi.simulate(3, 50, 4)]
    assert parts.simulated == 50
    assert parts.notes == (
        "Task 3: en-valid-10k has no train file. Used instead: 50 simulated questions and 1 real "
        "questions of en-valid (2 more have stories of the validation split).",
    )


def test_missing_validation_file_is_replaced_by_a_tenth(tasks):
    parts = babi.load_tasks(2, tasks, simulate=50)
    assert answers(parts.train) == ["three"]
    assert parts.valid == babi.simulate(2, 5, 1_000_003)
    assert parts.notes == (
        "Task 2: en-valid-10k has no valid file. Used instead: 5 simulated questions.",
    )


def test_missing_files_raise_by_default_and_of_other_tasks(tasks):
    message = r"no file for `task=3`, `split='train'`.* Pass `simulate=9000`"
    with pytest.raises(babi.AbsentError, match=message):
        babi.load_tasks(3, tasks)
    with pytest.raises(babi.AbsentError, match=r"no file for `task=4`, `split='train'`"):
        babi.load_tasks(4, tasks, simulate=50)


@pytest.mark.parametrize(
    ("name", "task"), [("qa7_train_0", 7), ("qa20_simulated_9", 20), ("q7", None), (None, None)]
)
def test_task_of_an_example(name: str | None, task: int | None):
    assert babi.task_of(Example("A.", "Q?", id=name)) == task
