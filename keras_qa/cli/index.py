"""`keras-qa index`: makes an index of a folder of documents."""

from __future__ import annotations

import argparse
import os

from keras_qa.cli.indexes import (
    add_updating,
    default_path,
    make_or_open,
    summary,
    update_index,
)
from keras_qa.cli.output import say

HELP = "make an index of a folder of documents, or bring it up to date"
USAGE = "%(prog)s FOLDER [--out FILE.index] [options]"
EPILOG = """\
examples:
  keras-qa index handbook/
  keras-qa index letters/ --out letters.index --language en --encoding cp1252
  keras-qa index handbook/ --embed minilm
The same command again reads what is new or has changed, and drops what is gone.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        help="a folder of .txt, .md, .rst, .html, .csv, .tsv, .jsonl, .pdf and .docx files, or one",
    )
    parser.add_argument(
        "--out",
        metavar="FILE.index",
        help="the index; if there is one, it is updated (default: FOLDER.index, beside the folder)",
    )
    add_updating(parser)
    parser.add_argument(
        "--embed",
        metavar="ENCODER",
        help="keep vectors of passages, to search by them beside words: minilm, a folder in "
        "Hugging Face's layout, hf://owner/name, or a reader (default: words alone)",
    )


def needs_backend(options: argparse.Namespace) -> bool:
    """Whether something is computed that needs a backend."""
    return options.embed is not None


def run(options: argparse.Namespace) -> None:
    """Makes the index of a folder, or updates it."""
    if not os.path.exists(os.path.expanduser(options.folder)):
        raise FileNotFoundError(f"There is no folder {options.folder!r}.")
    path = default_path(options.folder, "--out") if options.out is None else options.out
    with make_or_open(path, options) as index:
        changes, seconds = update_index(index, options.folder, options.encoding)
        say(summary(index, changes, seconds))
