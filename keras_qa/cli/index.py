"""`keras-qa index`: a folder of documents as an index, to be asked."""

from __future__ import annotations

import argparse
import os
import time

from keras_qa.cli.output import say
from keras_qa.terminal import clock

HELP = "make an index of a folder of documents, or bring it up to date"
USAGE = "%(prog)s FOLDER --out FILE.index [options]"
EPILOG = """\
examples:
  keras-qa index handbook/ --out handbook.index
  keras-qa index letters/ --out letters.index --language en --encoding cp1252
  keras-qa index handbook/ --out handbook.index --embed minilm
The same command again reads what is new or has changed, and drops what is gone.
"""

# So many files that could not be read are named one by one.
_NAMED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        help="a folder of .txt, .md, .rst, .html, .csv, .tsv, .jsonl, .pdf and .docx files, or one",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE.index",
        help="the index; where there is one, what is new, changed or gone in the folder is written",
    )
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
    """Makes the index say what the folder says."""
    from keras_qa.documents import Index

    if not os.path.exists(os.path.expanduser(options.folder)):
        raise FileNotFoundError(f"There is no folder {options.folder!r}.")
    encoder = None
    if options.embed is not None:
        from keras_qa.answering import SentenceEncoder

        encoder = SentenceEncoder(options.embed)
    began = time.monotonic()
    if os.path.exists(os.path.expanduser(options.out)):
        index = Index.open(options.out, encoder)
        language = index.language
        if options.language is not None and language not in (None, options.language):
            index.close()
            raise ValueError(
                f"{options.out} was made for the language {language!r}, which stays. Name another "
                "file, or delete it."
            )
    else:
        index = Index.create(options.out, options.language, encoder)
    with index:
        try:
            changes = index.update(options.folder, options.encoding)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "What was read is kept: the same command goes on after it."
            ) from None
        for entry in changes.unreadable[:_NAMED]:
            say(f"Left out {entry.name}: {entry.reason}.", error=True)
        more = len(changes.unreadable) - _NAMED
        if more > 0:
            say(f"Left out {more:,} more.", error=True)
        vectors = "" if encoder is None else " with vectors"
        say(
            f"{options.out}: {len(index):,} documents, {index.passages:,} passages{vectors}. "
            f"{changes.written:,} new or changed, {changes.removed:,} gone, "
            f"{len(changes.unreadable):,} left out, {changes.others:,} of other kinds, in "
            f"{clock(time.monotonic() - began)}."
        )
