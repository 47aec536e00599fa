"""What kind each character is: whether a word may end or begin beside it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SPACE, MARK, LETTER, JOINER, HALF, QUARTER = 1, 2, 4, 8, 16, 32
_UNKNOWN = 255

# Scripts without spaces whose words have some two letters: Han, Bopomofo, Hiragana, Katakana.
_HALVES = (
    *((0x2E80, 0x312F), (0x3190, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x1AFF0, 0x1B16F)),
    (0x20000, 0x3FFFF),
)
# And some four: Thai, Lao, Myanmar, Khmer, Tai Le, New Tai Lue, Tai Tham.
_QUARTERS = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19FF), (0x1A20, 0x1AAF)),
    *((0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)),
)
# Between two letters of these, too, there may be the border of a word anywhere: Korean writes
# particles to the word before, Tibetan sets a mark after each syllable, Yi has one a letter.
_SYLLABLES = (
    *((0x0F00, 0x0FFF), (0x1100, 0x11FF), (0x3130, 0x318F), (0xA000, 0xA4CF), (0xA960, 0xA97F)),
    *((0xAC00, 0xD7FF), (0xFFA0, 0xFFDC)),
)
# All of them, by first and last character.
UNSPACED = (*_HALVES, *_QUARTERS, *_SYLLABLES)
_UNSPACED = ((_HALVES, HALF), (_QUARTERS, QUARTER), (_SYLLABLES, 0))
# A letter with its marks, of a script that has no spaces, as a regular expression.
UNSPACED_LETTER = "[{}]\\p{{M}}*".format(
    "".join(f"\\x{{{first:X}}}-\\x{{{last:X}}}" for first, last in (*_HALVES, *_QUARTERS))
)
_REGIONAL = range(0x1F1E6, 0x1F200)
_SKIN_TONES = range(0x1F3FB, 0x1F400)
# Non-joiner, joiner and soft hyphen stand inside words and are not seen.
_JOINERS = (0x200C, 0x200D, 0x00AD)

# One byte for each character there can be, filled as texts bring them.
_kinds = np.full(0x110000, _UNKNOWN, "uint8")


def kinds(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The kind of every character of some texts, end to end.

    Args:
        texts: The texts.

    Returns:
        `(characters,)` uint8 of the flags `SPACE`, `MARK` (belongs to the
        character before), `LETTER` (forms a word with a letter beside it),
        `JOINER`, `HALF` and `QUARTER` (two or four such letters count as a
        word); and `(texts + 1,)` int64, where each text begins and the last
        one ends.
    """
    begins = np.zeros(len(texts) + 1, "int64")
    np.cumsum([len(text) for text in texts], out=begins[1:])
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), "<u4")
    found = _kinds[codes]
    new = found == _UNKNOWN
    if new.any():
        for code in np.unique(codes[new]).tolist():
            _kinds[code] = _kind(code)
        found = _kinds[codes]
    return found, begins


def _kind(code: int) -> int:
    letter = chr(code)
    unspaced = next((kind for ranges, kind in _UNSPACED if _within(code, ranges)), None)
    if letter.isspace():
        return SPACE
    if code in _JOINERS:
        return JOINER
    if unicodedata.category(letter)[0] == "M" or code in _SKIN_TONES:
        return MARK | LETTER if unspaced is None else MARK
    if letter.isalnum() or code in _REGIONAL:
        return LETTER if unspaced is None else unspaced
    return 0


def _within(code: int, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(first <= code <= last for first, last in ranges)
