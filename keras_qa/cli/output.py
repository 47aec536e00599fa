"""What commands print, through one door: nothing that comes from a file acts on the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from keras_qa.cli.marked import marked, marks
from keras_qa.example import Answer
from keras_qa.terminal import plain

NONE = "(no answer)"


def say(text: str, error: bool = False) -> None:
    """Prints lines, without what could act on a terminal.

    Args:
        text: The lines.
        error: Whether to print them on standard error.
    """
    lines = "\n".join(plain(line) for line in text.split("\n"))
    _write(lines, sys.stderr if error else sys.stdout)


def print_answers(answers: Sequence[Answer], text: str | None = None) -> None:
    """Prints an answer a line, and below each the sentence that says it.

    Args:
        answers: The answers, best first.
        text: The text they are from. `None` for no sentences.
    """
    for answer in answers:
        say(f"  {answer.score:6.1%}  {plain(answer.text) or NONE}")
        if text is not None and answer.text and answer.start is not None and answer.end is not None:
            # It is plain but for the marks.
            line = marked(text, answer.start, answer.end, marks())
            _write(f"          {line}", sys.stdout)


def print_scores(scores: Mapping[str, float]) -> None:
    """Prints a line of scores."""
    say(
        f"exact match {scores['exact_match']:.1f} %, F1 {scores['f1']:.1f} %, "
        f"{scores['examples']} examples"
    )


def flush() -> None:
    """Hands all that was printed to whatever reads it.

    Raises:
        BrokenPipeError: If nobody does any more.
    """
    if sys.stdout is not None:
        sys.stdout.flush()


def settle() -> None:
    """Drops what cannot be handed on: else Python itself would try again when it ends, and fail."""
    try:
        flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _write(line: str, stream: TextIO | None) -> None:
    # A stream is `None` where it was closed before Python began.
    if stream is None:
        return
    encoding = stream.encoding or "utf-8"
    print(line.encode(encoding, "replace").decode(encoding), file=stream, flush=True)
