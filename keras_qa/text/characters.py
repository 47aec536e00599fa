"""Kinds of characters, which decide where words begin and end."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SPACE, MARK, LETTER, JOINER, HALF, QUARTER = 1, 2, 4, 8, 16, 32
_UNKNOWN = 255

# Scripts without spaces with about two letters per word: Han, Bopomofo, Hiragana, Katakana.
_HALVES = (
    *((0x2E80, 0x312F), (0x3190, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x1AFF0, 0x1B16F)),
    (0x20000, 0x3FFFF),
)
# Scripts without spaces with about four letters per word: Thai, Lao, Myanmar, Khmer, Tai Le,
# New Tai Lue, Tai Tham.
_QUARTERS = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19FF), (0x1A20, 0x1AAF)),
    *((0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)),
)
# Scripts in which a word may end after any letter: Korean appends particles to words, Tibetan
# separates syllables by a mark, and each letter of Yi is a syllable.
_SYLLABLES = (
    *((0x0F00, 0x0FFF), (0x1100, 0x11FF), (0x3130, 0x318F), (0xA000, 0xA4CF), (0xA960, 0xA97F)),
    *((0xAC00, 0xD7FF), (0xFFA0, 0xFFDC)),
)
# First and last character of each range.
UNSPACED = (*_HALVES, *_QUARTERS, *_SYLLABLES)
_UNSPACED = ((_HALVES, HALF), (_QUARTERS, QUARTER), (_SYLLABLES, 0))
# Regular expression of a letter, with its marks, in a script without spaces.
UNSPACED_LETTER = "[{}]\\p{{M}}*".format(
    "".join(f"\\x{{{first:X}}}-\\x{{{last:X}}}" for first, last in (*_HALVES, *_QUARTERS))
)
_REGIONAL = range(0x1F1E6, 0x1F200)
_SKIN_TONES = range(0x1F3FB, 0x1F400)
# Zero-width non-joiner, zero-width joiner and soft hyphen: invisible characters inside words.
_JOINERS = (0x200C, 0x200D, 0x00AD)

# Cache of the kind of every Unicode character.
_kinds = np.full(0x110000, _UNKNOWN, "uint8")


def kinds(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Looks up the kind of every character of several texts, concatenated.

    Args:
        texts: The texts.

    Returns:
        `(characters,)` uint8 of flags: `SPACE`, `MARK` (part of the character
        before), `LETTER` (part of the same word as an adjacent letter),
        `JOINER`, `HALF` and `QUARTER` (two or four of these count as one
        word). And `(texts + 1,)` int64: `begins[i]:begins[i + 1]` are the
        characters of text `i`.
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
