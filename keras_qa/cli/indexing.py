"""`keras-qa index`: makes or updates an index. And how the other commands open one."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import pathlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from keras_qa.cli.output import say
from keras_qa.cli.parsing import need_backend, positive, yes_or_no
from keras_qa.exported import is_exported
from keras_qa.terminal import clock

if TYPE_CHECKING:
    from keras_qa.documents import Encoder, Index
    from keras_qa.documents.folder import Changes

HELP = "make an index of a folder of documents, or update it"
USAGE = "%(prog)s FOLDER [--out FILE.index] [options]"
EPILOG = """\
examples:
  keras-qa index handbook/
  keras-qa index letters/ --out letters.index --language en --encoding cp1252
  keras-qa index handbook/ --embed minilm
The same command again reads new and changed files, and removes deleted ones from the index.
"""

# The most unreadable files that are named.
_MAX_UNREADABLE = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        help="a folder of .txt, .md, .rst, .html, .csv, .tsv, .jsonl, .pdf and .docx files, or one "
        "such file",
    )
    parser.add_argument(
        "--out",
        metavar="FILE.index",
        help="the index; an existing one is updated (default: FOLDER.index, beside the folder)",
    )
    add_folder_options(parser)
    parser.add_argument(
        "--embed",
        metavar="ENCODER",
        help="store vectors of passages, and search by words and vectors: minilm, which is in this "
        "package, a folder in Hugging Face's layout, hf://owner/name, or a reader (default: search "
        "by words alone)",
    )


def needs_backend(options: argparse.Namespace) -> bool:
    """Whether a model of the options needs a backend."""
    return need_backend(options.embed)


def run(options: argparse.Namespace) -> None:
    """Makes or updates the index of a folder."""
    if not os.path.exists(os.path.expanduser(options.folder)):
        raise FileNotFoundError(f"There is no folder {options.folder!r}.")
    path = _default_path(options.folder, "--out") if options.out is None else options.out
    encoder = None if options.embed is None else _find_encoder(path, options.embed)
    with _make_or_open(path, options.language, encoder) as index:
        changes, seconds = _update(index, options.folder, options.encoding)
        say(_summary(index, changes, seconds))


def add_reading_options(parser: argparse._ActionsContainer) -> None:
    """Adds the options for reading passages of an index."""
    parser.add_argument(
        "--passages",
        type=positive,
        metavar="N",
        help="passages to read per question (default: the calibrated number, or 10)",
    )
    parser.add_argument(
        "--no-answer",
        type=yes_or_no,
        metavar="yes|no",
        help="whether the reader may give no answer (default: as it was trained)",
    )
    parser.add_argument(
        "--embed",
        metavar="ENCODER",
        help="the encoder of the index (default: the one that the index names, if it is minilm or "
        "a local folder: others are downloaded only if you name them)",
    )


def add_folder_options(parser: argparse._ActionsContainer) -> None:
    """Adds the options for reading the files of a folder."""
    parser.add_argument(
        "--language",
        metavar="CODE",
        help="language of the texts, such as en, for stemming (default: detected from the first "
        "texts)",
    )
    parser.add_argument(
        "--encoding",
        metavar="NAME",
        help="encoding of texts that are not Unicode and declare none, such as cp1252 (default: "
        "these are skipped)",
    )


@contextlib.contextmanager
def open_index(path: str, embed: str | None) -> Iterator[Index]:
    """Opens an index with its encoder while the block runs.

    `embed` names the encoder; if it is `None`, the index does.
    """
    from keras_qa.documents import Index

    with Index.open(path, _find_encoder(path, embed)) as index:
        yield index


@contextlib.contextmanager
def open_folder(folder: str, path: str | None, options: argparse.Namespace) -> Iterator[Index]:
    """Makes or updates the index of a folder, and opens it with its encoder while the block runs.

    `path` is the index: `None` for the one beside the folder. `options` has those of
    `add_reading_options` and `add_folder_options`.
    """
    from keras_qa.documents.file_formats import SUFFIXES

    path = _default_path(folder, "--index") if path is None else path
    is_new = not os.path.exists(os.path.expanduser(path))
    encoder = _find_encoder(path, options.embed)
    with _make_or_open(path, options.language, encoder) as index:
        changes, seconds = _update(index, folder, options.encoding)
        if changes.written or changes.removed:
            say(_summary(index, changes, seconds), error=True)
        if not len(index):
            index.close()
            if is_new:
                index.path.unlink()
            raise ValueError(
                f"The folder {folder!r} holds no documents that can be read. Expected files that "
                f"end in {', '.join(SUFFIXES)}."
            )
        yield index


def _default_path(folder: str, option: str) -> str:
    """Returns `FOLDER.index`, beside the folder. `option` is for the error message."""
    path = pathlib.Path(folder)
    if path.name in ("", "..", "~"):
        path = path.expanduser().resolve()
    if not path.name:
        raise ValueError(f"The folder {folder!r} has no name. Name its index by `{option}`.")
    return f"{path}.index"


def _make_or_open(path: str, language: str | None, encoder: Encoder | None) -> Index:
    """Opens the index at a path, or makes it."""
    from keras_qa.documents import Index

    if not os.path.exists(os.path.expanduser(path)):
        return Index.create(path, language, encoder)
    index = Index.open(path, encoder)
    made_for = index.language
    if language is not None and made_for not in (None, language):
        index.close()
        raise ValueError(
            f"{path} was made for the language {made_for!r}, which cannot change. Name another "
            "file, or delete it."
        )
    return index


def _update(index: Index, folder: str, encoding: str | None) -> tuple[Changes, float]:
    """Updates an index, prints the unreadable files, and returns the changes and the seconds."""
    began = time.monotonic()
    try:
        changes = index.update(folder, encoding)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "The files read so far are in the index: the same command continues after them."
        ) from None
    for name, reason in itertools.islice(changes.unreadable.items(), _MAX_UNREADABLE):
        say(f"Left out {name}: {reason}.", error=True)
    more = len(changes.unreadable) - _MAX_UNREADABLE
    if more > 0:
        say(f"Left out {more:,} more.", error=True)
    return changes, time.monotonic() - began


def _summary(index: Index, changes: Changes, seconds: float) -> str:
    """One line: the content of the index, and what the update changed."""
    vectors = "" if index.encoder_name is None else " with vectors"
    return (
        f"{index.path}: {len(index):,} documents, {index.passages:,} passages{vectors}. "
        f"{changes.written:,} new or changed, {changes.removed:,} gone, "
        f"{len(changes.unreadable):,} left out, {changes.others:,} of other kinds, in "
        f"{clock(seconds)}."
    )


def _find_encoder(path: str, embed: str | None) -> Encoder | None:
    """Loads an encoder by name; if it is `None`, the one that the index names, which is local."""
    from keras_qa.answering import TextEmbedder
    from keras_qa.documents import Index

    if embed is not None:
        return TextEmbedder(embed)
    if not os.path.exists(os.path.expanduser(path)):
        return None
    with Index.open(path) as index:
        name = index.encoder_name
    if name is None:
        return None
    if not _is_local(name):
        raise ValueError(
            f"`{path}` names the encoder {name!r}, which is neither minilm nor a local folder. "
            "Pass it by `--embed` to load it."
        )
    try:
        return TextEmbedder(name)
    except (ImportError, OSError, ValueError) as error:
        raise ValueError(f"The encoder {name!r} of `{path}` cannot be loaded. {error}") from None


def _is_local(name: str) -> bool:
    """Whether an encoder loads from this machine. The name comes from a file, so be strict."""
    # On Windows, such a path may name another machine.
    elsewhere = name.startswith(("//", "\\\\"))
    if not elsewhere and os.path.isabs(name) and is_exported(name):
        return True
    # Not at the top: it needs Keras.
    from keras_qa.models.pretrained import PACKAGES, PREFIX

    elsewhere = elsewhere or name.startswith(PREFIX)
    return name in PACKAGES or (not elsewhere and os.path.isdir(name))
