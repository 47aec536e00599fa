"""`keras-qa index`: makes or updates an index. And how the other commands open one."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from keras_qa._terminal import clock, plain
from keras_qa.answering import opening
from keras_qa.cli.interrupts import advise_after_interrupt
from keras_qa.cli.output import Results, count_of, say
from keras_qa.cli.parsing import Option, Options, add_options, given_options, positive, yes_or_no

if TYPE_CHECKING:
    from keras_qa.answering import TextEmbedder
    from keras_qa.documents import Index
    from keras_qa.documents.folder import Changes, Progress
    from keras_qa.documents.vector_search import TextEmbedderLike

HELP = "make an index of a folder of documents or of one document, or update it"
USAGE = "%(prog)s FOLDER|FILE [--output FILE.index] [options]"
EPILOG = """\
examples:
  keras-qa index handbook/
  keras-qa index letters/ --output letters.index --language en --encoding cp1252
  keras-qa index handbook/ --embed minilm
The same command again reads new and changed files, and removes deleted ones from the index.
"""

# Options for reading passages of an index.
READING: Options = {
    "passages": Option(
        "N",
        "passages to read (default: as calibrated, or 7 with a ranker and 10 without)",
        positive,
    ),
    "no_answer": Option("yes|no", "whether a text may have none (default: as trained)", yes_or_no),
    "embed": Option(
        "ENCODER",
        "the encoder of the index (default: the one that it names, if that is minilm or a folder)",
    ),
}
# Options for reading the files of a folder.
FOLDER: Options = {
    "language": Option("CODE", "language of the texts, such as en (default: detected)"),
    "encoding": Option("NAME", "encoding of texts that are not Unicode, such as cp1252"),
    "workers": Option("N", "processes that read files and compute vectors (default: 1)", positive),
    "max_seconds": Option("N", "leave out a document that takes longer (default: 60)", positive),
    "max_memory": Option("GIB", "leave out a document that takes more (default: 2)", positive),
}
INDEX: Options = {
    "output": Option("FILE.index", "the index, new or to update (default: FOLDER.index)"),
    **FOLDER,
    "embed": Option(
        "ENCODER",
        "search by vectors, too: minilm, a folder in Hugging Face's layout, hf://owner/name, or a "
        "reader",
    ),
}

# The most reasons for which files are left out that are printed.
_MAX_REASONS = 20
# The most kinds of files that are not read that are printed.
_MAX_KINDS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        help="a folder of .txt, .md, .rst, .html, .csv, .tsv, .jsonl, .pdf and .docx files, or one "
        "such file",
    )
    add_options(parser, INDEX)


def needs_backend(options: argparse.Namespace) -> bool:
    """Whether a model of the options needs a backend."""
    if options.embed is not None:
        return opening.needs_backend(options.embed)
    name = read_encoder_name(_index_path(options.folder, options.output, "--output"))
    return name is not None and not opening.is_exported_here(name)


def check(options: argparse.Namespace) -> None:
    """Checks the folder or document, its index, and the encoder."""
    _index_path(options.folder, options.output, "--output")
    check_document(options.folder)
    opening.check_names(options.embed)


def check_document(name: str) -> bool:
    """Whether a name is an index, rather than a folder or a document. Raises if it is none."""
    from keras_qa.documents.file_formats import SUFFIXES

    path = os.path.expanduser(name)
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no folder and no file {name!r}.")
    if os.path.isdir(path) or os.path.splitext(path)[1].lower() in SUFFIXES:
        return False
    check_index(name)
    return True


def check_index(name: str) -> None:
    """Raises an error if a file is no index, with the kinds of documents that an index reads."""
    # Not at the top: some builds of Python lack SQLite.
    from keras_qa.documents import Index
    from keras_qa.documents.file_formats import SUFFIXES

    try:
        Index.open(name).close()
    except ValueError as error:
        if name.endswith(".index"):
            raise
        raise ValueError(
            f"{error} Documents that can be read end in {', '.join(SUFFIXES)}."
        ) from None


def run(options: argparse.Namespace, results: Results) -> None:
    """Makes or updates the index of a folder."""
    with open_folder(options.folder, options.output, options, results):
        pass


def open_index(paths: list[str], embed: str | TextEmbedder | None, **options: float) -> Index:
    """Opens indexes as one with an encoder or its name. If it is `None`, the first names it."""
    from keras_qa.documents import Index

    return Index.open(paths, _find_encoder(paths[0], embed), **options)


@contextlib.contextmanager
def open_folder(
    folder: str,
    path: str | None,
    options: argparse.Namespace,
    results: Results | None = None,
    progress: Progress | None = None,
) -> Iterator[Index]:
    """Makes or updates the index of a folder, and opens it with its encoder while the block runs.

    `path` is the index: `None` for the one beside the folder. `options` has those of `FOLDER` and
    `--embed`. With `results`, the changes are the result of the command; without, it asks the
    index, and standard output is for the answers. `progress` is as in `Index.update`.
    """
    # Not at the top: some builds of Python lack SQLite.
    from keras_qa.data.sqlite import lock
    from keras_qa.documents import Index
    from keras_qa.documents.storage import TIMEOUT

    path = _index_path(folder, path, "--index" if results is None else "--output")
    encoder = _find_encoder(path, options.embed)
    with contextlib.ExitStack() as stack:
        # Two commands that ask may update the index one after the other.
        with lock(path, TIMEOUT if results is None else 0.0):
            is_new = not os.path.exists(os.path.expanduser(path))
            workers = options.workers or 1
            limits = given_options(options, ("max_seconds", "max_memory"))
            index = Index.create(path, options.language, encoder, exist_ok=True, workers=workers)
            stack.enter_context(index)
            changes, seconds = _update(
                index,
                folder,
                encoding=options.encoding,
                progress=progress,
                workers=workers,
                **limits,
            )
            if not len(index):
                index.close()
                if is_new:
                    index.path.unlink()
                raise ValueError(_no_documents(folder, changes))
        if results is not None:
            counts = {"documents": len(index), "passages": index.passages}
            results.add(output=str(index.path), **counts, **dataclasses.asdict(changes))
        if changes.written or changes.removed or results is not None:
            say(_summary(index, changes, seconds), error=results is None)
        yield index


def _index_path(folder: str, path: str | None, option: str) -> str:
    """Returns `path`, or `FOLDER.index` beside the folder. `option` is for the error message."""
    if not os.path.exists(os.path.expanduser(folder)):
        raise FileNotFoundError(f"There is no folder and no file {folder!r}.")
    if path is not None:
        return path
    beside = pathlib.Path(folder)
    if beside.name in ("", "..", "~"):
        beside = beside.expanduser().resolve()
    if not beside.name:
        raise ValueError(f"The folder {folder!r} has no name. Name its index by `{option}`.")
    return f"{beside}.index"


def _update(index: Index, folder: str, **settings: Any) -> tuple[Changes, float]:
    """Updates an index, prints the unreadable files, and returns the changes and the seconds."""
    began = time.monotonic()
    advice = "The files read so far are in the index: the same command continues after them."
    with advise_after_interrupt(advice):
        changes = index.update(folder, **settings)
    groups = _reasons(changes)
    # The error is about a single reason for which nothing can be read.
    if len(index) or len(groups) > 1:
        for reason, names in groups[:_MAX_REASONS]:
            say(f"Left out {_files(names)}: {reason}.", error=True)
    more = sum(len(names) for _, names in groups[_MAX_REASONS:])
    if more:
        say(f"Left out {more:,} more.", error=True)
    return changes, time.monotonic() - began


def _reasons(changes: Changes) -> list[tuple[str, list[str]]]:
    """Returns the reasons for which files were left out with their names, most frequent first."""
    reasons: dict[str, list[str]] = {}
    for name, reason in changes.unreadable.items():
        reasons.setdefault(reason.replace("`encoding`", "`--encoding`"), []).append(plain(name))
    return sorted(reasons.items(), key=lambda group: -len(group[1]))


def _files(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names):,} files, such as {names[0]}"


def _no_documents(folder: str, changes: Changes) -> str:
    """The message about a folder of which nothing can be read."""
    from keras_qa.documents.file_formats import SUFFIXES

    groups = _reasons(changes)
    if len(groups) == 1:
        reason, names = groups[0]
        return f"{folder!r} holds no document that can be read. {_files(names)}: {reason}."
    return (
        f"{folder!r} holds no document that can be read. Expected files that end in "
        f"{', '.join(SUFFIXES)}."
    )


def _summary(index: Index, changes: Changes, seconds: float) -> str:
    """One line: the content of the index, and what the update changed."""
    vectors = "" if index.encoder_name is None else " with vectors"
    encoder = ("encoder", index.encoder_name)
    settings = (("language", index.language), ("encoding", index.encoding), encoder)
    shown = ", ".join(f"{name} {value}" for name, value in settings if value is not None)
    return (
        f"{index.path}: {count_of(len(index), 'document')}, "
        f"{count_of(index.passages, 'passage')}{vectors}. "
        f"{changes.written:,} new or changed, {changes.removed:,} gone, "
        f"{len(changes.unreadable):,} left out, {_other_kinds(changes)}, in "
        f"{clock(seconds)}. Settings: {shown}."
    )


def _other_kinds(changes: Changes) -> str:
    """The files of other kinds: "25 of other kinds (21 .png, 4 .xlsx)"."""
    kinds = [
        f"{count:,} {plain(suffix) or 'without ending'}" for suffix, count in changes.others.items()
    ]
    more = ", …" if len(kinds) > _MAX_KINDS else ""
    shown = f" ({', '.join(kinds[:_MAX_KINDS])}{more})" if kinds else ""
    return f"{sum(changes.others.values()):,} of other kinds{shown}"


def _find_encoder(path: str, embed: str | TextEmbedder | None) -> TextEmbedderLike | None:
    """Loads an encoder by name; if it is `None`, the one that the index names, which is local."""
    from keras_qa.answering import TextEmbedder

    if embed is not None:
        return TextEmbedder(embed) if isinstance(embed, str) else embed
    name = read_encoder_name(path)
    if name is None:
        return None
    if not opening.is_local(name):
        raise ValueError(
            f"`{path}` names the encoder {name!r}, which is neither minilm nor a local folder. "
            "Pass it by `--embed` to load it."
        )
    try:
        return TextEmbedder(name)
    except (ImportError, OSError, ValueError) as error:
        raise ValueError(f"The encoder {name!r} of `{path}` cannot be loaded. {error}") from None


def read_encoder_name(path: str) -> str | None:
    """Returns the encoder that an index names, `None` if there is no index."""
    from keras_qa.documents import Index

    if not os.path.exists(os.path.expanduser(path)):
        return None
    with Index.open(path) as index:
        return index.encoder_name
