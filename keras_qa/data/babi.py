"""The bAbI tasks: the original files and a simulator."""

from __future__ import annotations

import dataclasses
import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from keras_qa._arguments import check_choice, is_integer, must_be
from keras_qa.data import downloads
from keras_qa.data.babi_simulator import SIMULATED_TASKS, simulate
from keras_qa.example import Example

__all__ = ["load", "simulate"]

SPLITS = ("train", "valid", "test")
VARIANTS = (
    *("en", "en-10k", "en-valid", "en-valid-10k"),
    *("hn", "hn-10k", "shuffled", "shuffled-10k"),
)
# A task with a larger error, in percent, is failed (Weston et al. 2015, arXiv:1502.05698).
FAILED_TASK_ERROR = 5.0

FOLDER = "tasks_1-20_v1-2"
# The first address is that of the authors, which may answer 404. Size and checksum are from the
# Hugging Face data set `facebook/babi_qa`.
URLS = (
    "http://www.thespermwhale.com/jaseweston/babi/tasks_1-20_v1-2.tar.gz",
    "https://s3.amazonaws.com/text-datasets/babi_tasks_1-20_v1-2.tar.gz",
)
SIZE = 15_719_851
SHA256 = "0364ebde659f14d11bc21744516c5ec49d3d06cb692733f66680771244998898"

# The largest real file has 5 MB, the largest variant 30 MB.
MAX_FILE_BYTES = 64 * 2**20
MAX_BYTES = 2**30

# `qa1_train.txt` in the en-valid variants, `qa1_single-supporting-fact_train.txt` in the others.
_FILE = re.compile(r"qa(\d+)_(?:[^/]+_)?(train|valid|test)\.txt")
_LINE = re.compile(r"(\d+) (.*)")

_ID = re.compile(r"qa(\d+)_")

_Key = tuple[str, int, str]

# Seeds of the splits: far apart, so that no split shares simulated stories with another.
SEEDS = {"train": 0, "valid": 1_000_003, "test": 2_000_003}


class AbsentError(ValueError):
    """The archive or folder holds bAbI files, but not the requested one."""


def load(
    task: int = 1,
    split: str = "train",
    path: str | Path | None = None,
    variant: str = "en-valid-10k",
) -> list[Example]:
    """Reads one task of bAbI v1.2.

    Each question becomes an example. Its text holds the statements of the story before the
    question, one per line, without earlier questions.

    Args:
        task: The task, 1 to 20.
        split: `"train"`, `"valid"` or `"test"`.
        path: The archive `tasks_1-20_v1-2.tar.gz`, or the folder with its content. `None` downloads
            the original once (15.7 MB) into `~/.cache/keras-qa`, or into `$KERAS_QA_HOME`.
        variant: The folder in the archive: `"en"`, `"hn"` (Hindi) or `"shuffled"` (scrambled
            letters), each also with the suffix `-10k` for 10,000 questions; `"en-valid"` or
            `"en-valid-10k"`, which have a validation split.

    Returns:
        A list of `Example` objects with one answer each, such as `"bathroom"` or, in tasks with
        lists, `"milk,football"`. `supporting_facts` are positions of lines in the text, from 0, in
        the order of the file. The `id` is like `"qa1_train_17"`.

    Raises:
        FileNotFoundError: If `path` does not exist.
        AbsentError: A `ValueError`, if the archive or folder lacks the file.
        ValueError: If an argument is out of range, or a line is malformed.
        ConnectionError: If the download fails.

    Reference:
        Weston et al. 2015, "Towards AI-Complete Question Answering: A Set of Prerequisite Toy
        Tasks", arXiv:1502.05698.

    Examples:
        ```python
        train = keras_qa.datasets.babi.load(task=1, split="train")
        valid = keras_qa.datasets.babi.load(task=1, split="valid", path="tasks_1-20_v1-2.tar.gz")
        ```
    """
    if not is_integer(task) or task > 20:
        raise ValueError(must_be("task", "an integer from 1 to 20", task))
    check_choice("split", split, SPLITS)
    check_choice("variant", variant, VARIANTS)
    if path is None:
        target = downloads.cache_folder() / f"{FOLDER}.tar.gz"
        path = downloads.fetch(URLS, target, sha256=SHA256, size=SIZE)
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(
            "`path` must be an existing bAbI archive or folder. Received: "
            f"path={str(path)!r}. Leave out `path` to download the original."
        )
    key = (variant, int(task), split)
    available: dict[_Key, str] = {}
    for entry, name, content in _files(path, key):
        available[entry] = name
        if content is not None:
            return _parse(content, name, f"qa{task}_{split}")
    raise (AbsentError if available else ValueError)(_describe_missing(path, key, set(available)))


@dataclasses.dataclass(frozen=True)
class Parts:
    """The examples of `load_tasks`, how many are simulated, and a note for each replaced file."""

    train: list[Example]
    valid: list[Example]
    simulated: int = 0
    notes: tuple[str, ...] = ()


def load_tasks(
    tasks: int | Sequence[int] = range(1, 21),
    path: str | Path | None = None,
    variant: str = "en-valid-10k",
    simulate: int = 0,
    seed: int = 0,
) -> Parts:
    """Reads the training and validation splits of one or several tasks.

    Up to `simulate` simulated questions replace a missing training file, a tenth of it a missing
    validation file. If the variant without `-10k` exists, its questions are added, except for
    stories of the validation split. 0 never simulates: a missing file raises an `AbsentError`.
    """
    train: list[Example] = []
    valid: list[Example] = []
    notes: list[str] = []
    simulated = 0
    for task in [tasks] if isinstance(tasks, int) else tasks:
        seen: list[Example] = []
        # Validation first, because replaced training data must not overlap with it.
        for split, target, count in (("valid", valid, simulate // 10), ("train", train, simulate)):
            try:
                examples = load(task, split, path, variant)
            except AbsentError as error:
                if task not in SIMULATED_TASKS:
                    raise
                if count < 1:
                    raise AbsentError(
                        f"{error} Pass `simulate=9000` to use simulated questions instead."
                    ) from None
                examples, note = _replace_file(task, split, path, variant, count, seed, seen)
                notes.append(note)
                simulated += count
            target += examples
            seen = examples
    return Parts(train, valid, simulated, tuple(notes))


def task_of(example: Example) -> int | None:
    """Reads the bAbI task from the `id` of an example; `None` if it has none."""
    match = _ID.match(example.id or "")
    return int(match[1]) if match else None


def _replace_file(
    task: int,
    split: str,
    path: str | Path | None,
    variant: str,
    count: int,
    seed: int,
    valid: list[Example],
) -> tuple[list[Example], str]:
    note = (
        f"Task {task}: {variant} has no {split} file. Used instead: {count:,} simulated questions"
    )
    made = simulate(task, count, seed + SEEDS[split])
    small = variant.removesuffix("-10k")
    if small != variant:
        try:
            real = load(task, split, path, small)
        except AbsentError:
            return made, f"{note}."
        unseen = [item for item in real if not _shares_story(item, valid)]
        note += f" and {len(unseen):,} real questions of {small}"
        if len(unseen) < len(real):
            note += f" ({len(real) - len(unseen):,} more have stories of the validation split)"
        made = unseen + made
    return made, f"{note}."


def _shares_story(item: Example, others: list[Example]) -> bool:
    # Texts of later questions of a story begin with those of earlier ones.
    text = item.plain_text
    return any(
        other.plain_text.startswith(text) or text.startswith(other.plain_text) for other in others
    )


def _files(path: Path, wanted: _Key) -> Iterator[tuple[_Key, str, bytes | None]]:
    """Yields the key and name of each bAbI file, and the content of the wanted file."""
    if not path.is_dir():
        yield from _archive_files(path, wanted)
        return
    folders = [(name, path / top / name) for top in ("", FOLDER) for name in VARIANTS]
    for variant, folder in folders:
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            match = _FILE.fullmatch(file.name)
            if match and file.is_file():
                entry = (variant, int(match[1]), match[2])
                yield entry, str(file), file.read_bytes() if entry == wanted else None


def _archive_files(path: Path, wanted: _Key) -> list[tuple[_Key, str, bytes | None]]:
    files = []
    try:
        # Safety: members are read in memory, never extracted, and only regular files.
        with _BoundedGzip(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                parts = PurePosixPath(member.name).parts
                match = _FILE.fullmatch(parts[-1]) if len(parts) > 1 else None
                if not match or not member.isreg() or parts[0] == "/" or ".." in parts:
                    continue
                # A sparse file may be larger than what is read of the archive.
                if parts[-2] not in VARIANTS or member.issparse():
                    continue
                entry = (parts[-2], int(match[1]), match[2])
                content = archive.extractfile(member) if entry == wanted else None
                files.append((entry, f"{path}/{member.name}", content.read() if content else None))
            # gzip compares the checksum at the end of the stream.
            stream.seek(MAX_BYTES)
    except (gzip.BadGzipFile, zlib.error, tarfile.TarError, EOFError) as error:
        raise ValueError(
            f"`path` must be a .tar.gz archive or a folder. Received: path={str(path)!r}, "
            f"which cannot be read as one ({error})."
        ) from None
    return files


class _BoundedGzip(gzip.GzipFile):
    """A gzip stream that raises before an archive unpacks to more than the limits."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= MAX_FILE_BYTES:
            raise ValueError(
                f"`path` must be a bAbI archive. Received: path={self.name!r}, which has a "
                f"member of more than {MAX_FILE_BYTES:,} bytes."
            )
        return super().read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        if offset > MAX_BYTES:
            raise ValueError(
                f"`path` must be a bAbI archive. Received: path={self.name!r}, which unpacks "
                f"to more than {MAX_BYTES:,} bytes."
            )
        return super().seek(offset, whence)


def _describe_missing(path: Path, wanted: _Key, available: set[_Key]) -> str:
    variant, task, split = wanted
    message = f"`{path}` has no file for `task={task}`, `split={split!r}`, `variant={variant!r}`."
    if not available:
        return f"{message} It has no bAbI files."
    if all(other != split for _, _, other in available):
        message += f" It has no {split} files."
    for_task = {(name, kind) for name, number, kind in available if number == task}
    if not for_task:
        tasks = sorted({number for _, number, _ in available})
        return f"{message} It has the tasks {', '.join(map(str, tasks))}."
    parts = []
    for name in VARIANTS:
        splits = [kind for kind in SPLITS if (name, kind) in for_task]
        if splits:
            parts.append(f"{name!r} ({', '.join(splits)})")
    return f"{message} For this task it has the variants {', '.join(parts)}."


def _parse(content: bytes, name: str, prefix: str) -> list[Example]:
    examples: list[Example] = []
    statements: list[str] = []
    # From line numbers, which count questions too, to positions of statements in the text.
    positions: dict[int, int] = {}
    last = 0
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"`{name}` must be UTF-8: {error}.") from None
    for at, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise _malformed(name, at, line, "a number, a space and a sentence")
        number, rest = int(match[1]), match[2]
        if number == 1:
            statements, positions = [], {}
        elif number != last + 1:
            raise _malformed(name, at, line, f"the number {last + 1}, or 1 for a new story")
        last = number
        fields = [field.strip() for field in rest.split("\t")]
        if len(fields) == 1 and fields[0] and not fields[0].endswith("?"):
            positions[number] = len(statements)
            statements.append(fields[0])
            continue
        if len(fields) != 3 or not all(fields):
            raise _malformed(
                name, at, line, "a question, its answer and its supporting lines between tabs"
            )
        question, answer, facts = fields
        try:
            supporting = tuple(positions[int(fact)] for fact in facts.split())
        except (KeyError, ValueError):
            raise _malformed(
                name, at, line, "numbers of earlier statements of the story at its end"
            ) from None
        examples.append(
            Example(
                "\n".join(statements),
                question,
                (answer,),
                supporting_facts=supporting,
                id=f"{prefix}_{len(examples)}",
            )
        )
    return examples


def _malformed(name: str, at: int, line: str, expected: str) -> ValueError:
    return ValueError(f"`{name}`, line {at}: expected {expected}. Received: {line[:200]!r}.")
