"""The output of the commands: answers with their sentences, scores, and the end of a stream.

Only the functions `say` and `print_…` print, and they remove what could control the terminal.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from keras_qa._terminal import on_terminal, plain
from keras_qa.example import Answer
from keras_qa.text.sentence_splitting import sentence_spans

NO_ANSWER = "(no answer)"

# Marks before and after an answer: bold and inverse on a terminal.
TERMINAL_MARKS = ("\x1b[1;7m", "\x1b[0m")
PLAIN_MARKS = ("«", "»")
# On a terminal, unsupported sentences are red.
TERMINAL_WARNING_MARKS = ("\x1b[1;31m", "\x1b[0m")

# The most characters of its sentence that are printed before and after an answer.
CONTEXT = 120
# The most characters before and after an answer that are searched for the ends of its sentence.
SENTENCE_REACH = 2_000


def say(text: str, error: bool = False) -> None:
    """Prints lines without characters that control the terminal; `error` for standard error."""
    _write(_plain_lines(text), sys.stderr if error else sys.stdout)


def show_epochs() -> int:
    """Lets Keras print, and returns `verbose` of a training: a bar on a terminal, or else lines."""
    from keras import config

    # `main` restores the setting.
    config.enable_interactive_logging()
    return 1 if on_terminal() else 2


class Results:
    """The results of a command, which `--json` prints as one JSON object."""

    def __init__(self) -> None:
        self._results: list[dict[str, Any]] = []
        self._command: str | None = None
        self._stream: TextIO | None = None

    def add(self, **result: Any) -> None:
        """Adds a result: its fields are JSON values and dataclasses."""
        self._results.append(result)

    @contextlib.contextmanager
    def as_json(self, command: str) -> Iterator[None]:
        """Keeps standard output for the object: what the block prints there is discarded."""
        self._command, self._stream = command, sys.stdout
        with open(os.devnull, "w") as null, contextlib.redirect_stdout(null):
            yield

    def print(self, error: str | None = None) -> None:
        """Prints the object, only the first time and only after `as_json`."""
        if self._command is None:
            return
        content = {"command": self._command, "results": self._results}
        self._command = None
        if error is not None:
            content["error"] = error
        text = json.dumps(content, default=dataclasses.asdict)
        # JSON has no NaN, such as the loss of a training that diverged.
        content = json.loads(text, parse_constant=lambda name: None)
        _write(json.dumps(content), self._stream)


@contextlib.contextmanager
def say_warnings() -> Iterator[None]:
    """Prints each `UserWarning` of the block once, to standard error, and no other warnings."""

    def show(message: Warning | str, category: type[Warning], *location: object) -> None:
        if category is UserWarning:
            say(f"keras-qa: {message}", error=True)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show  # type: ignore[assignment]
        yield


def print_answers(answers: Sequence[Answer], text: str | None = None) -> None:
    """Prints each answer with its score and, if `text` is given, its sentence or best support."""
    for answer in answers:
        say(f"  {answer.score:6.1%}  {plain(answer.text) or NO_ANSWER}")
        if text is not None and answer.text and answer.start is not None and answer.end is not None:
            # `mark_answer` returns plain text and the marks, which `say` would remove.
            line = mark_answer(text, answer.start, answer.end, _marks())
            _write(f"          {line}", sys.stdout)
        elif text is not None and answer.support:
            say(f"          {plain(answer.support[0].text)}")


def print_marked(text: str, spans: Sequence[tuple[int, int]]) -> None:
    """Prints a text of several lines, with marks around its unsupported `spans`."""
    before, after = _marks(TERMINAL_WARNING_MARKS)
    parts, last = [], 0
    for start, end in spans:
        parts += [_plain_lines(text[last:start]), before, _plain_lines(text[start:end]), after]
        last = end
    _write("".join([*parts, _plain_lines(text[last:])]).rstrip(), sys.stdout)


def count_of(count: int, noun: str) -> str:
    """Returns a number with its noun: "1 passage", "1,200 passages"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def print_scores(scores: Mapping[str, float]) -> None:
    """Prints a line of scores."""
    f1 = f"F1 {scores['f1']:.1f} %, " if "f1" in scores else ""
    count = count_of(int(scores["examples"]), "example")
    say(f"exact match {scores['exact_match']:.1f} %, {f1}{count}")


def mark_answer(text: str, start: int, end: int, marks: Sequence[str] = PLAIN_MARKS) -> str:
    """Returns one line: the sentence of the answer `text[start:end]`, which is marked.

    Examples:
        >>> from keras_qa.cli.output import mark_answer
        >>> mark_answer("Ann left. Bob went home by bus. Then he slept.", 19, 23)
        'Bob went «home» by bus.'
    """
    first = max(0, start - SENTENCE_REACH)
    part = text[first : end + SENTENCE_REACH]
    inside = [
        (first + left, first + right)
        for left, right in sentence_spans(part)
        if first + left < end and first + right > start
    ]
    left = min([start, *(span[0] for span in inside)])
    right = max([end, *(span[1] for span in inside)])
    head, tail = max(left, start - CONTEXT), min(right, end + CONTEXT)
    before = f"{'…' if head > left else ''}{plain(text[head:start])}"
    after = f"{plain(text[end:tail])}{'…' if tail < right else ''}"
    return f"{before}{marks[0]}{plain(text[start:end])}{marks[1]}{after}"


def flush() -> None:
    """Flushes standard output. Raises `BrokenPipeError` if its reader has closed it."""
    if sys.stdout is not None:
        sys.stdout.flush()


def discard_unwritten() -> None:
    """Discards output that cannot be written, so that Python's own flush at exit does not fail."""
    try:
        flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _plain_lines(text: str) -> str:
    return "\n".join(map(plain, text.split("\n")))


def _marks(on_terminals: tuple[str, str] = TERMINAL_MARKS) -> tuple[str, str]:
    """The marks for standard output. `NO_COLOR` asks for plain ones: https://no-color.org."""
    no_color = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return PLAIN_MARKS if no_color or not on_terminal() else on_terminals


def _write(line: str, stream: TextIO | None) -> None:
    # A stream is `None` if it was closed before Python started.
    if stream is None:
        return
    encoding = stream.encoding or "utf-8"
    print(line.encode(encoding, "replace").decode(encoding), file=stream, flush=True)
