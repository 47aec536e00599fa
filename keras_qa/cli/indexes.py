"""Indexes as the commands use them: their options, their encoder, and updates from a folder."""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from keras_qa.cli.options import positive, yes_or_no
from keras_qa.cli.output import say
from keras_qa.terminal import clock

if TYPE_CHECKING:
    from keras_qa.documents import Encoder, Index
    from keras_qa.documents.folder import Changes

# At most this many files that could not be read are named.
_NAMED = 20


def add_reading(parser: argparse._ActionsContainer) -> None:
    """Adds the options for reading the passages that are found."""
    parser.add_argument(
        "--passages",
        type=positive,
        metavar="N",
        help="passages that are read for a question (default: as it was calibrated, or 10)",
    )
    parser.add_argument(
        "--no-answer",
        type=yes_or_no,
        metavar="yes|no",
        help="whether the reader can say that there is no answer (default: as it was trained)",
    )
    parser.add_argument(
        "--embed",
        metavar="ENCODER",
        help="the encoder of the index (default: the one that the index names, if it is minilm or "
        "a folder here: others are not downloaded unless you name them)",
    )


def add_updating(parser: argparse._ActionsContainer) -> None:
    """Adds the options for reading the files of a folder."""
    parser.add_argument(
        "--language",
        metavar="CODE",
        help="of the texts, such as en, whose words are found by their stem (default: told from "
        "the first texts)",
    )
    parser.add_argument(
        "--encoding",
        metavar="NAME",
        help="of texts that are not UTF-8 and do not say, such as cp1252 (default: they are left "
        "out)",
    )


@contextlib.contextmanager
def open_index(path: str, embed: str | None) -> Iterator[Index]:
    """Opens an index with its encoder while the block runs.

    Args:
        path: The index.
        embed: The encoder, as `TextEmbedder` takes it. `None` for the one that the index names,
            if that is at hand. If not, a line says so, and the index is searched by words.
    """
    from keras_qa.answering import TextEmbedder
    from keras_qa.documents import Index

    with Index.open(path) as index:
        encoder: Encoder | None = None
        if embed is not None:
            encoder = TextEmbedder(embed)
        else:
            try:
                encoder = _named_encoder(index)
            except ValueError as error:
                say(f"keras-qa: {index.path} is searched by words alone: {error}", error=True)
        index.use(encoder)
        yield index


@contextlib.contextmanager
def open_folder(folder: str, path: str | None, options: argparse.Namespace) -> Iterator[Index]:
    """Makes the index of a folder or updates it, and opens it with its encoder.

    Args:
        folder: The folder.
        path: The index. `None` for the one beside the folder.
        options: Those of `add_reading` and `add_updating`.

    Raises:
        ValueError: If the folder holds no documents, or the index names an encoder that is neither
            given nor at hand.
    """
    from keras_qa.documents.reading import SUFFIXES

    path = default_path(folder, "--index") if path is None else path
    is_new = not os.path.exists(os.path.expanduser(path))
    with make_or_open(path, options) as index:
        if options.embed is None and not is_new:
            try:
                index.use(_named_encoder(index))
            except ValueError as error:
                raise ValueError(f"`{index.path}` cannot be updated: {error}") from None
        changes, seconds = update_index(index, folder, options.encoding)
        if changes.written or changes.removed:
            say(summary(index, changes, seconds), error=True)
        if not len(index):
            index.close()
            if is_new:
                index.path.unlink()
            raise ValueError(
                f"The folder {folder!r} holds no documents that can be read. Expected files that "
                f"end in {', '.join(SUFFIXES)}."
            )
        yield index


def default_path(folder: str, option: str) -> str:
    """The index of a folder if no other is named: `FOLDER.index`, beside it.

    Args:
        folder: The folder.
        option: The option that names another index.

    Raises:
        ValueError: If the folder has no name, as the root folder.

    Examples:
        >>> from keras_qa.cli.indexes import default_path
        >>> default_path("texts/handbook/", "--out")
        'texts/handbook.index'
    """
    path = pathlib.Path(folder)
    if path.name in ("", "..", "~"):
        path = path.expanduser().resolve()
    if not path.name:
        raise ValueError(f"The folder {folder!r} has no name. Name its index by `{option}`.")
    return f"{path}.index"


def make_or_open(path: str, options: argparse.Namespace) -> Index:
    """Opens the index at a path, or makes it.

    Args:
        path: The index.
        options: `embed` and `language`.

    Raises:
        ValueError: If the index was made for another language or with another encoder.
    """
    from keras_qa.documents import Index

    encoder: Encoder | None = None
    if options.embed is not None:
        from keras_qa.answering import TextEmbedder

        encoder = TextEmbedder(options.embed)
    if not os.path.exists(os.path.expanduser(path)):
        return Index.create(path, options.language, encoder)
    index = Index.open(path, encoder)
    language = index.language
    if options.language is not None and language not in (None, options.language):
        index.close()
        raise ValueError(
            f"{path} was made for the language {language!r}, which stays. Name another file, or "
            "delete it."
        )
    return index


def update_index(index: Index, folder: str, encoding: str | None) -> tuple[Changes, float]:
    """Updates an index from a folder, and names the files that could not be read.

    Returns:
        The changes, and the seconds that they took.
    """
    began = time.monotonic()
    try:
        changes = index.update(folder, encoding)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "What was read is kept: the same command goes on after it."
        ) from None
    for entry in changes.unreadable[:_NAMED]:
        say(f"Left out {entry.name}: {entry.reason}.", error=True)
    more = len(changes.unreadable) - _NAMED
    if more > 0:
        say(f"Left out {more:,} more.", error=True)
    return changes, time.monotonic() - began


def summary(index: Index, changes: Changes, seconds: float) -> str:
    """A line that says what an index holds, and what an update changed."""
    vectors = "" if index.encoder_name is None else " with vectors"
    return (
        f"{index.path}: {len(index):,} documents, {index.passages:,} passages{vectors}. "
        f"{changes.written:,} new or changed, {changes.removed:,} gone, "
        f"{len(changes.unreadable):,} left out, {changes.others:,} of other kinds, in "
        f"{clock(seconds)}."
    )


def _named_encoder(index: Index) -> Encoder | None:
    """The encoder that an index names, or `None` if it names none.

    Raises:
        ValueError: If it is not at hand or cannot be loaded.
    """
    from keras_qa.answering import TextEmbedder

    name = index.encoder_name
    if name is None:
        return None
    if not _is_at_hand(name):
        raise ValueError(
            f"it names the encoder {name!r}, which is neither minilm nor a folder here. Give it by "
            "`--embed` if it is to be loaded."
        )
    try:
        return TextEmbedder(name)
    except (ImportError, OSError, ValueError) as error:
        raise ValueError(f"its encoder {name!r} cannot be loaded. {error}") from None


def _is_at_hand(name: str) -> bool:
    """Whether an encoder loads from this machine, whoever wrote its name."""
    from keras_qa.models.pretrained import PACKAGES, PREFIX

    # On Windows a path may lead to another machine.
    elsewhere = name.startswith((PREFIX, "//", "\\\\"))
    return name in PACKAGES or (not elsewhere and os.path.isdir(name))
