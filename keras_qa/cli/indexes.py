"""Indexes as the commands take them that ask one: options, and which encoder is loaded."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from keras_qa.cli.options import positive, yes_or_no
from keras_qa.cli.output import say

if TYPE_CHECKING:
    from keras_qa.documents import Encoder, Index


def add_reading(parser: argparse._ActionsContainer) -> None:
    """Adds the options that say how what was found is read."""
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
        help="the encoder that the index was made with, if that is neither minilm nor a folder "
        "here: what an index names is not downloaded untold",
    )


@contextlib.contextmanager
def open_index(path: str, embed: str | None) -> Iterator[Index]:
    """Opens an index while the block runs, with the encoder that is told, or that it names if that
    is at hand.

    Args:
        path: Where it is.
        embed: What `SentenceEncoder` takes. `None` for what the index names.
    """
    from keras_qa.answering import SentenceEncoder
    from keras_qa.documents import Index

    with Index.open(path) as index:
        index.use(_named(index) if embed is None else SentenceEncoder(embed))
        yield index


def _named(index: Index) -> Encoder | None:
    """The encoder that an index names, or `None` with a line that says why it is not loaded."""
    from keras_qa.answering import SentenceEncoder

    name = index.encoder_name
    if name is None:
        return None
    words = f"keras-qa: {index.path} is searched by words alone:"
    if not _at_hand(name):
        say(
            f"{words} it names the encoder {name!r}, which is neither minilm nor a folder here. "
            "Give it by `--embed` if it is to be loaded.",
            error=True,
        )
        return None
    try:
        return SentenceEncoder(name)
    except (ImportError, OSError, ValueError) as error:
        say(f"{words} its encoder {name!r} cannot be loaded. {error}", error=True)
        return None


def _at_hand(name: str) -> bool:
    """Whether loading an encoder reaches for nothing that is not here, whoever wrote its name."""
    from keras_qa.models.pretrained import PACKAGES, PREFIX

    # On Windows a path may lead to another machine.
    elsewhere = name.startswith((PREFIX, "//", "\\\\"))
    return name in PACKAGES or (not elsewhere and os.path.isdir(name))
