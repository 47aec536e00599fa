"""An answer in its sentence, as a terminal or a plain line can show it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from keras_qa.terminal import on_terminal, plain
from keras_qa.text import sentence_spans

# Bold and inverse, and back.
TERMINAL = ("\x1b[1;7m", "\x1b[0m")
PLAIN = ("«", "»")

# So many characters are shown before and after an answer.
AROUND = 120
# Where a sentence ends is looked for so far from an answer: a text may have no sentences at all.
REACH = 2_000


def marks() -> tuple[str, str]:
    """What to put before and after an answer that is printed.

    Follows https://no-color.org: `NO_COLOR` asks for plain marks.
    """
    plainly = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return PLAIN if plainly or not on_terminal() else TERMINAL


def marked(text: str, start: int, end: int, around: Sequence[str] = PLAIN) -> str:
    """The sentence, or the sentences, of an answer with the answer marked.

    Args:
        text: The text.
        start: Offset of the answer's first character.
        end: Offset one past its last.
        around: What to put before and after it.

    Returns:
        One line, cut where it is long.

    Examples:
        >>> from keras_qa.cli.marked import marked
        >>> marked("Ann left. Bob went home by bus. Then he slept.", 19, 23)
        'Bob went «home» by bus.'
    """
    first = max(0, start - REACH)
    part = text[first : end + REACH]
    inside = [
        (first + left, first + right)
        for left, right in sentence_spans(part)
        if first + left < end and first + right > start
    ]
    left = min([start, *(span[0] for span in inside)])
    right = max([end, *(span[1] for span in inside)])
    head, tail = max(left, start - AROUND), min(right, end + AROUND)
    return "".join(
        [
            "…" if head > left else "",
            plain(text[head:start]),
            around[0],
            plain(text[start:end]),
            around[1],
            plain(text[end:tail]),
            "…" if tail < right else "",
        ]
    )
