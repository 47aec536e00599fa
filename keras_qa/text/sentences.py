"""Where the sentences of a text stand."""

from __future__ import annotations

import re
from collections.abc import Sequence

# A full stop inside a number ends nothing. Marks that close a quotation belong to what they close.
_SENTENCE = re.compile(
    r"""(?:[^\n\r.?!。！？।؟]|(?<=\d)[.](?=\d))*(?:[.?!。！？।؟]+["'”’»)\]]*)?"""
)


def sentence_spans(text: str | Sequence[str]) -> list[tuple[int, int]]:
    """Finds the sentences of a text.

    A sentence of a string ends at a line break or at `.`, `?` or `!` (or at
    these marks as Chinese, Hindi and Arabic write them), but not at the point
    of a number like 3.5. Space around it is left out, and so is what holds
    neither letter nor digit nor sign. The sentences of a list are its entries.

    Args:
        text: A string, or a list of sentences.

    Returns:
        `(start, end)` of each sentence, in characters: `text[start:end]` is
        the sentence. Offsets into a list count in its sentences joined by line
        breaks, as in `Example.plain_text`.

    Examples:
        >>> from keras_qa.text import sentence_spans
        >>> sentence_spans("Mary went home. Is it 3.5 km?")
        [(0, 15), (16, 29)]
        >>> sentence_spans(["Mary went home", "by bus"])
        [(0, 14), (15, 21)]
    """
    spans = []
    if not isinstance(text, str):
        start = 0
        for sentence in text:
            spans.append((start, start + len(sentence)))
            start += len(sentence) + 1
        return spans
    for match in _SENTENCE.finditer(text):
        sentence = match[0].strip()
        if sentence.strip(".?!。！？।؟\"'”’»)]"):
            start = match.start() + match[0].index(sentence)
            spans.append((start, start + len(sentence)))
    return spans
