"""Character offsets of sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

# A point in a number or before a small letter does not end a sentence. Closing quotation marks
# belong to it.
_SENTENCE = re.compile(
    r"""(?:[^\n\r.?!。！？।؟]|(?<=\w)[.](?=[a-z\d_]))*(?:[.?!。！？।؟]+["'”’»)\]]*)?"""
)


def sentence_spans(text: str | Sequence[str]) -> list[tuple[int, int]]:
    """Returns the `(start, end)` of each sentence of a text.

    In a string, a sentence ends at a line break or at `.`, `?` or `!` (or at the Chinese, Hindi and
    Arabic forms of these marks), but not at the point in 3.5 or Cargo.toml. White space around it
    is stripped, and a sentence of punctuation marks only is skipped. In a list, each entry is a
    sentence, and offsets refer to the entries joined by line breaks, as in `Example.plain_text`.
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
