"""Tokenization of many texts into one array of ids, with character offsets of pieces and words."""

from __future__ import annotations

import dataclasses
import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import tokenizers

# Texts are tokenized in chunks of this size: the library needs about 100 bytes per character.
MAX_CHARACTERS = 1_000_000

# The end of a part of a long text, before a word.
_BORDER = re.compile(r"[ \n](?=[A-Za-z0-9])")

# For so few texts the library's threads take longer to start than they save.
_FEW_TEXTS = 2

SPACE, MARK, LETTER, JOINER, HALF, QUARTER = 1, 2, 4, 8, 16, 32

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
_UNSPACED_KINDS = ((_HALVES, HALF), (_QUARTERS, QUARTER), (_SYLLABLES, 0))
# Regular expression of a letter, with its marks, in a script without spaces.
UNSPACED_LETTER = "[{}]\\p{{M}}*".format(
    "".join(f"\\x{{{first:X}}}-\\x{{{last:X}}}" for first, last in (*_HALVES, *_QUARTERS))
)
_REGIONAL = range(0x1F1E6, 0x1F200)
_SKIN_TONES = range(0x1F3FB, 0x1F400)
# Zero-width non-joiner, zero-width joiner and soft hyphen: invisible characters inside words.
_JOINERS = (0x200C, 0x200D, 0x00AD)

_UNKNOWN = 255
# Cache of the kind of every Unicode character.
_kind_of = np.full(0x110000, _UNKNOWN, "uint8")

_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclasses.dataclass(frozen=True, eq=False)
class Pieces:
    """The pieces of several texts, concatenated.

    Args:
        ids: `(pieces,)` int32.
        offsets: `(pieces, 2)` int32: `text[start:end]` is the piece as written, including combining
            marks and without white space around it. `start == end` for a piece of white space only.
        words: `(pieces, 2)` int32: offsets of the word that contains the piece. `(-1, -1)` for a
            piece of white space only.
        word_sizes: `(pieces,)` float32: the size of that word when words are counted: 1, or less in
            scripts without spaces (see `encode`). 0 for a piece of white space only.
        begins: `(texts + 1,)` int64: `begins[i]:begins[i + 1]` are the pieces of text `i`.
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int32]
    words: npt.NDArray[np.int32]
    word_sizes: npt.NDArray[np.float32]
    begins: npt.NDArray[np.int64]

    def select(self, first: int, last: int) -> Pieces:
        """The pieces of the texts `first` to `last - 1`."""
        begins = self.begins[first : last + 1]
        rows = slice(begins[0], begins[-1])
        return Pieces(
            self.ids[rows],
            self.offsets[rows],
            self.words[rows],
            self.word_sizes[rows],
            begins - begins[0],
        )


def encode(tokenizer: tokenizers.Tokenizer, texts: Sequence[str], raw: bool = False) -> Pieces:
    """Tokenizes texts, without special tokens.

    A word is a run of letters and digits with their marks, however the tokenizer splits it. Every
    other piece is a word of its own. In Korean and in scripts without spaces between words, each
    piece is a word. Such a word has the size of half a word per letter in Han, Hiragana and
    Katakana, and of a quarter per letter in Thai, Lao, Khmer and Myanmar, but at most 1.

    With `raw`, offsets and words are those of the `tokenizers` library: pieces may include white
    space, and words are what the tokenizer splits a text into before it looks for pieces.
    """
    is_long = any(len(text) > 2 * MAX_CHARACTERS for text in texts)
    if is_long and _reads_words_alone(tokenizer):
        return _encode_in_parts(tokenizer, texts, raw)
    return _encode_whole(tokenizer, texts, raw)


def _encode_whole(tokenizer: tokenizers.Tokenizer, texts: Sequence[str], raw: bool) -> Pieces:
    chunks = [_encode_chunk(tokenizer, chunk, raw) for chunk in _split_into_chunks(texts)]
    begins = np.zeros(len(texts) + 1, "int64")
    np.cumsum(np.concatenate([np.diff(chunk.begins) for chunk in chunks]), out=begins[1:])
    ids, offsets, words, word_sizes = (
        np.concatenate([getattr(chunk, name) for chunk in chunks])
        for name in ("ids", "offsets", "words", "word_sizes")
    )
    return Pieces(ids, offsets, words, word_sizes, begins)


def replace_surrogates(text: str) -> str:
    """Replaces lone surrogates, which UTF-8 cannot encode, by the replacement character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text)
    return text


def concat_ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Concatenates the ranges `start, start + 1, ..., start + count - 1`."""
    ends = np.cumsum(counts)
    return np.repeat(starts - ends + counts, counts) + np.arange(ends[-1] if len(ends) else 0)


def cells_of(shift: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of `counts` cells in each row, from column `shift` on."""
    return np.repeat(np.arange(len(counts)), counts), concat_ranges(shift, counts)


def _encode_in_parts(tokenizer: tokenizers.Tokenizer, texts: Sequence[str], raw: bool) -> Pieces:
    """Encodes long texts part by part, which needs less memory."""
    parts, owners, shifts = [], [], []
    for number, text in enumerate(texts):
        starts = [0]
        while border := _BORDER.search(text, starts[-1] + MAX_CHARACTERS):
            starts.append(border.end())
        parts += [text[start:end] for start, end in itertools.pairwise([*starts, len(text)])]
        owners += [number] * len(starts)
        shifts += starts
    encoded = _encode_whole(tokenizer, parts, raw)
    counts = np.diff(encoded.begins)
    moves = np.repeat(np.array(shifts, "int32"), counts)[:, None]
    words = np.where(encoded.words < 0, -1, encoded.words + moves)
    begins = np.append(0, np.cumsum(np.bincount(owners, counts))).astype("int64")
    return Pieces(encoded.ids, encoded.offsets + moves, words, encoded.word_sizes, begins)


def _reads_words_alone(tokenizer: tokenizers.Tokenizer) -> bool:
    """Whether the pieces of a word depend on nothing else, as with the tokenizer of BERT."""
    kinds = type(tokenizer.normalizer).__name__, type(tokenizer.pre_tokenizer).__name__
    added = tokenizer.get_added_tokens_decoder().values()
    # Special tokens in a text are ordinary words, see `Tokenizer`.
    is_plain = all(token.special for token in added)
    return is_plain and kinds == ("BertNormalizer", "BertPreTokenizer")


def _split_into_chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for text in texts:
        if chunk and size + len(text) > MAX_CHARACTERS:
            yield chunk
            chunk, size = [], 0
        chunk.append(replace_surrogates(text))
        size += len(text)
    yield chunk


def _encode_chunk(tokenizer: tokenizers.Tokenizer, texts: list[str], raw: bool) -> Pieces:
    if len(texts) > _FEW_TEXTS:
        encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    else:
        encodings = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    counts = np.fromiter(map(len, encodings), "int64", len(encodings))
    begins = np.zeros(len(texts) + 1, "int64")
    np.cumsum(counts, out=begins[1:])
    total = int(begins[-1])
    chain = itertools.chain.from_iterable
    ids = np.fromiter(chain(entry.ids for entry in encodings), "int32", total)
    pairs = chain(chain(entry.offsets for entry in encodings))
    offsets = np.fromiter(pairs, "int64", 2 * total).reshape(-1, 2)
    if raw:
        numbers = chain(entry.word_ids for entry in encodings)
        words = _raw_words(offsets, [-1 if word is None else word for word in numbers], counts)
        sizes = np.ones(total, "float32")
        return Pieces(ids, offsets.astype("int32"), words.astype("int32"), sizes, begins)
    # From here on, characters are counted through all texts of the chunk.
    kinds, text_begins = _kinds(texts)
    base = np.repeat(text_begins[:-1], counts)
    starts, ends = _trim(base + offsets[:, 0], base + offsets[:, 1], kinds, text_begins, counts)
    words = _find_words(starts, ends, kinds, begins)
    word_sizes = _measure_words(words, kinds)
    words -= np.where(words[:, :1] < 0, 0, base[:, None])
    offsets = np.stack([starts - base, ends - base], axis=1)
    return Pieces(ids, offsets.astype("int32"), words.astype("int32"), word_sizes, begins)


def _raw_words(offsets: np.ndarray, numbers: list[int], counts: np.ndarray) -> np.ndarray:
    """`(pieces, 2)`: offsets of the tokenizer's own words, from their numbers in each text."""
    # Pieces with the number -1 are in no word.
    word, text = np.array(numbers, "int64"), np.repeat(np.arange(len(counts)), counts)
    first = np.ones(len(word), bool)
    first[1:] = (word[1:] != word[:-1]) | (text[1:] != text[:-1]) | (word[1:] < 0)
    group = np.cumsum(first) - 1
    ends = offsets[np.roll(first, -1), 1]
    return np.stack([offsets[first, 0][group], ends[group]], axis=1)


def _kinds(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Looks up the kind of every character of several texts, concatenated.

    Returns `(characters,)` uint8 of flags: `SPACE`, `MARK` (part of the character before), `LETTER`
    (part of the same word as an adjacent letter), `JOINER`, `HALF` and `QUARTER` (two or four of
    these count as one word). And `(texts + 1,)` int64: `begins[i]:begins[i + 1]` are the characters
    of text `i`.
    """
    begins = np.zeros(len(texts) + 1, "int64")
    np.cumsum([len(text) for text in texts], out=begins[1:])
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), "<u4")
    kinds = _kind_of[codes]
    new = kinds == _UNKNOWN
    if new.any():
        for code in np.unique(codes[new]).tolist():
            _kind_of[code] = _kind(code)
        kinds = _kind_of[codes]
    return kinds, begins


def _kind(code: int) -> int:
    letter = chr(code)
    unspaced = next((kind for ranges, kind in _UNSPACED_KINDS if _within(code, ranges)), None)
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


def _trim(
    starts: np.ndarray,
    ends: np.ndarray,
    kinds: np.ndarray,
    text_begins: np.ndarray,
    counts: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Adds marks that the normalizer drops to their pieces, and strips white space."""
    if (kinds & MARK).any():
        limits = np.append(starts[1:], 0)
        limits[np.cumsum(counts)[counts > 0] - 1] = text_begins[1:][counts > 0]
        after = np.append(_next_positions(kinds & MARK == 0), len(kinds))
        grown = np.minimum(after[ends], limits)
        ends = np.where(ends > starts, np.maximum(ends, grown), ends)
    if (kinds[starts[starts < ends]] & SPACE).any():
        after = np.append(_next_positions(kinds & SPACE == 0), len(kinds))
        starts = np.minimum(after[starts], ends)
    if (kinds[ends[starts < ends] - 1] & SPACE).any():
        before = len(kinds) - _next_positions(kinds[::-1] & SPACE == 0)[::-1]
        ends = np.maximum(np.append(0, before)[ends], starts)
    # Tokenizers that trim pieces themselves may give white space at the start of a text smaller
    # offsets than the piece before it.
    return np.maximum.accumulate(starts), np.maximum.accumulate(ends)


def _next_positions(mask: np.ndarray) -> np.ndarray:
    """For each position, the first true one at or after it; `len(mask)` if there is none."""
    positions = np.where(mask, np.arange(len(mask)), len(mask))
    return np.minimum.accumulate(positions[::-1])[::-1]


def _find_words(
    starts: np.ndarray, ends: np.ndarray, kinds: np.ndarray, begins: np.ndarray
) -> np.ndarray:
    """`(pieces, 2)`: first and last character of the word that contains each piece."""
    real = np.flatnonzero(starts < ends)
    words = np.full((len(starts), 2), -1, "int64")
    if not len(real):
        return words
    left, right = ends[real][:-1], starts[real][1:]
    before, after = kinds[left - 1], kinds[right]
    joined = (after & (MARK | JOINER) != 0) | (before & JOINER != 0)
    joined |= before & after & LETTER != 0
    if (kinds & JOINER).any():
        # A joiner that is part of no piece does not separate its neighbours.
        left = np.append(_next_positions(kinds & JOINER == 0), len(kinds))[left]
    joined = (right <= left) & joined | (right < ends[real][:-1])
    text = np.searchsorted(begins, real, side="right")
    joined &= text[1:] == text[:-1]
    first, last = np.ones((2, len(real)), bool)
    first[1:] = last[:-1] = ~joined
    group = np.cumsum(first) - 1
    words[real, 0] = starts[real][first][group]
    words[real, 1] = ends[real][last][group]
    return words


def _measure_words(words: np.ndarray, kinds: np.ndarray) -> npt.NDArray[np.float32]:
    """The size of each word, as `encode` describes it."""
    sizes = (words[:, 0] >= 0).astype("float32")
    if (kinds & (HALF | QUARTER)).any():
        share = np.select([kinds & HALF != 0, kinds & QUARTER != 0], [0.5, 0.25], 1.0)
        share[kinds & (MARK | JOINER) != 0] = 0.0
        before = np.append(0.0, np.cumsum(share))
        real = words[:, 0] >= 0
        letters = before[words[real, 1]] - before[words[real, 0]]
        sizes[real] = np.where(letters > 0, np.minimum(letters, 1.0), 1.0)
    return sizes
