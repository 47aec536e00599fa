"""The text that a command is given: a file, standard input, or the text itself."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys

from keras_qa.cli.output import say

WAYS = "Give a file, - to read standard input, or the text itself in quotes"

# With one of these there is no file of that name, and maybe none can have it.
_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.EINVAL}


def read_text(given: str) -> str:
    """Reads the text that a command is given.

    Args:
        given: A file in UTF-8; `-` for standard input; or, where there is no such file and it holds
            a space or is too long for a name, the text itself. An empty one is an empty text.

    Returns:
        The text.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If there is no such file and `given` cannot be a text, or what is read is not
            UTF-8.

    Examples:
        >>> from keras_qa.cli.texts import read_text
        >>> read_text("Mary went home. She slept.")
        'Mary went home. She slept.'
    """
    if given == "-":
        return _standard_input()
    path = os.path.expanduser(given)
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return given
        if error.errno not in _NO_FILE:
            raise
        return _text_itself(given)
    if stat.S_ISDIR(mode):
        raise ValueError(f"{given!r} is a folder: `keras-qa ask` answers from one. {WAYS}.")
    with open(path, "rb") as file:
        return _decoded(file.read(), given)


def _text_itself(given: str) -> str:
    if given and not re.search(r"\s", given):
        raise ValueError(
            f"There is no text file {given!r}, and without a space it is no text. {WAYS}."
        )
    if re.search(r"^[^\n]*\.\w{1,5}$", given):
        say(f"keras-qa: there is no file {given!r}, so this is taken as the text.", error=True)
    return given


def _standard_input() -> str:
    if sys.stdin is None:
        raise ValueError("- reads the text from standard input, which is closed. Give a file.")
    if sys.stdin.isatty():
        end = "Ctrl-Z and Enter" if os.name == "nt" else "Ctrl-D on a line of its own"
        say(f"keras-qa: type or paste the text, then press {end}.", error=True)
    return _decoded(sys.stdin.buffer.read(), "standard input")


def _decoded(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"`{name}` is not UTF-8 at byte {error.start}: {error.reason}. Save it as UTF-8."
        ) from None
