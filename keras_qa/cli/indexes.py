"""Indexes as the commands take them that ask one: options, and the encoder that it names."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from keras_qa.cli.options import positive
from keras_qa.cli.output import say

if TYPE_CHECKING:
    from keras_qa.documents import Index


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
        action=argparse.BooleanOptionalAction,
        help="whether the reader can say that there is no answer (default: as it was trained)",
    )


def open_index(path: str) -> Index:
    """Opens an index, with the encoder that it names where that can be loaded."""
    from keras_qa.answering import SentenceEncoder
    from keras_qa.documents import Index

    index = Index.open(path)
    name = index.encoder_name
    if name is None:
        return index
    try:
        encoder = SentenceEncoder(name)
    except (ImportError, OSError, ValueError) as error:
        # That it is searched by words alone, it says itself.
        say(f"keras-qa: The encoder of {path} cannot be loaded: {error}", error=True)
        return index
    index.close()
    return Index.open(path, encoder)
