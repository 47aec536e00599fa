"""Many texts as one run of ids, with the characters each piece and each word came from."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from keras_qa.text import characters
from keras_qa.text.characters import (
    HALF,
    JOINER,
    LETTER,
    MARK,
    QUARTER,
    SPACE,
    UNSPACED_LETTER,
)

if TYPE_CHECKING:
    import tokenizers

# So many characters are tokenised at a time: the library needs some 100 bytes for each.
MOST_CHARACTERS = 1_000_000

# Among fewer characters too few words come again for it to pay to look for them.
FEW_CHARACTERS = 4_096

# A text and its question: to share them out among threads takes longer than it saves.
FEW_TEXTS = 2

# With these alone, what stands beyond a space changes nothing.
_LOCAL_NORMALIZERS = {"BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "StripAccents"}
_LOCAL_CUTS = ["BertPreTokenizer"]
_LOCAL_MODELS = {"WordLevel", "WordPiece"}
# Cut out before or after: there is no space in it.
_LETTERS = {"Regex": UNSPACED_LETTER}

# Ids of pieces, their first and last characters counted through all texts, pieces a text.
_Cut = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclasses.dataclass(frozen=True, eq=False)
class Pieces:
    """The pieces of some texts, end to end.

    Args:
        ids: `(pieces,)` int32.
        offsets: `(pieces, 2)` int32: `text[start:end]` is what the piece
            stands for, with the marks on its last letter and without white
            space around it. The same twice for a piece of white space alone.
        words: `(pieces, 2)` int32: the same for the word that the piece is
            part of. `(-1, -1)` for a piece of white space alone.
        word_sizes: `(pieces,)` float32: what that word counts as where words
            are counted: 1, or less in scripts without spaces, see `encode`. 0
            for a piece of white space alone.
        begins: `(texts + 1,)` int64: where the pieces of each text begin, and
            those of the last one end.
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int32]
    words: npt.NDArray[np.int32]
    word_sizes: npt.NDArray[np.float32]
    begins: npt.NDArray[np.int64]

    def of(self, first: int, last: int) -> Pieces:
        """The pieces of the texts from one on to before another."""
        begins = self.begins[first : last + 1]
        here = slice(begins[0], begins[-1])
        return Pieces(
            self.ids[here],
            self.offsets[here],
            self.words[here],
            self.word_sizes[here],
            begins - begins[0],
        )


def encode(tokenizer: tokenizers.Tokenizer, texts: Sequence[str], by_words: bool) -> Pieces:
    """Tokenises texts.

    A word is a run of letters and digits with their marks, wherever the
    tokenizer cuts it; every other piece is a word of its own. In scripts
    without spaces between words, and in Korean, each piece is one. Of these
    words, those of Han, Hiragana and Katakana count as half a word a letter,
    those of Thai, Lao, Khmer and Myanmar as a quarter, marks aside, and none
    as more than one word.

    Args:
        tokenizer: A tokenizer of the `tokenizers` library. Its special tokens
            are not added.
        texts: The texts.
        by_words: What `splits_at_spaces` says of the tokenizer.

    Returns:
        The `Pieces`, the texts in order.
    """
    by_words = by_words and sum(map(len, texts)) > FEW_CHARACTERS
    cut = cut_words if by_words else cut_texts
    parts = [_encode(cut(tokenizer, part), part) for part in _parts(texts)]
    if len(parts) == 1:
        return parts[0]
    begins = np.zeros(len(texts) + 1, "int64")
    if not parts:
        none = np.zeros((0, 2), "int32")
        return Pieces(none[:, 0], none, none, np.zeros(0, "float32"), begins)
    np.cumsum(np.concatenate([np.diff(part.begins) for part in parts]), out=begins[1:])
    ids, offsets, words, word_sizes = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("ids", "offsets", "words", "word_sizes")
    )
    return Pieces(ids, offsets, words, word_sizes, begins)


def valid(text: str) -> str:
    """A text that can be written as UTF-8: half a character becomes the replacement character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATES.sub("\ufffd", text)
    return text


def ragged(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`start, start + 1, …`, as many as counted, for each start, end to end."""
    ends = np.cumsum(counts)
    return np.repeat(starts - ends + counts, counts) + np.arange(ends[-1] if len(ends) else 0)


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for text in texts:
        if part and size + len(text) > MOST_CHARACTERS:
            yield part
            part, size = [], 0
        part.append(valid(text))
        size += len(text)
    if part:
        yield part


def splits_at_spaces(settings: Mapping[str, Any]) -> bool:
    """Whether a text gives the same pieces as its parts between spaces, each on its own.

    Args:
        settings: What the tokenizer's JSON holds.
    """
    normalizer = settings["normalizer"] or {"type": "Sequence", "normalizers": []}
    steps = normalizer["normalizers"] if normalizer["type"] == "Sequence" else [normalizer]
    cut = settings["pre_tokenizer"] or {"type": None}
    cuts = cut["pretokenizers"] if cut["type"] == "Sequence" else [cut]
    return (
        all(step["type"] in _LOCAL_NORMALIZERS for step in steps)
        and [step["type"] for step in cuts if step.get("pattern") != _LETTERS] == _LOCAL_CUTS
        and settings["model"]["type"] in _LOCAL_MODELS
        and all(token["special"] for token in settings["added_tokens"])
    )


def cut_texts(tokenizer: tokenizers.Tokenizer, texts: Sequence[str]) -> _Cut:
    """Tokenises whole texts."""
    if len(texts) > FEW_TEXTS:
        encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
    else:
        encodings = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    counts = np.fromiter(map(len, encodings), "int64", len(encodings))
    total = int(counts.sum())
    chain = itertools.chain.from_iterable
    ids = np.fromiter(chain(entry.ids for entry in encodings), "int32", total)
    pairs = chain(chain(entry.offsets for entry in encodings))
    offsets = np.fromiter(pairs, "int64", 2 * total).reshape(-1, 2)
    lengths = np.fromiter(map(len, texts), "int64", len(texts))
    base = np.repeat(np.cumsum(lengths) - lengths, counts)
    return ids, base + offsets[:, 0], base + offsets[:, 1], counts


def cut_words(tokenizer: tokenizers.Tokenizer, texts: Sequence[str]) -> _Cut:
    """Tokenises what stands between spaces, the same only once: most words come again."""
    split = [text.split(" ") for text in texts]
    words = list(itertools.chain.from_iterable(split))
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    number = np.fromiter(map(numbers.__getitem__, words), "int64", len(words))
    known = list(numbers)
    ids, starts, ends, counts = cut_texts(tokenizer, known)
    lengths = np.fromiter(map(len, known), "int64", len(known))
    shift = np.repeat(np.cumsum(lengths) - lengths, counts)
    each = counts[number]
    places = ragged((np.cumsum(counts) - counts)[number], each)
    in_text = np.fromiter(map(len, split), "int64", len(split))
    # A space follows every word but the last one of a text.
    steps = lengths[number] + 1
    begins = np.cumsum(steps) - steps - np.repeat(np.arange(len(texts)), in_text)
    base = np.repeat(begins, each) - shift[places]
    counts = np.add.reduceat(each, np.cumsum(in_text) - in_text)
    return ids[places], base + starts[places], base + ends[places], counts


def _encode(cut: _Cut, texts: list[str]) -> Pieces:
    ids, starts, ends, counts = cut
    begins = np.zeros(len(texts) + 1, "int64")
    np.cumsum(counts, out=begins[1:])
    kinds, first = characters.kinds(texts)
    base = np.repeat(first[:-1], counts)
    starts, ends = _trimmed(starts, ends, kinds, first, counts)
    words = _words(starts, ends, kinds, begins)
    word_sizes = _sizes(words, kinds)
    words -= np.where(words[:, :1] < 0, 0, base[:, None])
    offsets = np.stack([starts - base, ends - base], axis=1)
    return Pieces(ids, offsets.astype("int32"), words.astype("int32"), word_sizes, begins)


def _trimmed(
    starts: np.ndarray, ends: np.ndarray, kinds: np.ndarray, first: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pieces with the marks that a normaliser drops, and without white space around."""
    if (kinds & MARK).any():
        limits = np.append(starts[1:], 0)
        limits[np.cumsum(counts)[counts > 0] - 1] = first[1:][counts > 0]
        after = np.append(_next(kinds & MARK == 0), len(kinds))
        grown = np.minimum(after[ends], limits)
        ends = np.where(ends > starts, np.maximum(ends, grown), ends)
    if (kinds[starts[starts < ends]] & SPACE).any():
        after = np.append(_next(kinds & SPACE == 0), len(kinds))
        starts = np.minimum(after[starts], ends)
    if (kinds[ends[starts < ends] - 1] & SPACE).any():
        before = len(kinds) - _next(kinds[::-1] & SPACE == 0)[::-1]
        ends = np.maximum(np.append(0, before)[ends], starts)
    # Where a tokenizer trims by itself, white space at the start of a text may stand before the
    # piece that it follows.
    return np.maximum.accumulate(starts), np.maximum.accumulate(ends)


def _next(wanted: np.ndarray) -> np.ndarray:
    """For each position, the first one from there on that is wanted; else the length."""
    places = np.where(wanted, np.arange(len(wanted)), len(wanted))
    return np.minimum.accumulate(places[::-1])[::-1]


def _words(
    starts: np.ndarray, ends: np.ndarray, kinds: np.ndarray, begins: np.ndarray
) -> np.ndarray:
    real = np.flatnonzero(starts < ends)
    words = np.full((len(starts), 2), -1, "int64")
    if not len(real):
        return words
    left, right = ends[real][:-1], starts[real][1:]
    before, after = kinds[left - 1], kinds[right]
    together = (after & (MARK | JOINER) != 0) | (before & JOINER != 0)
    together |= before & after & LETTER != 0
    if (kinds & JOINER).any():
        # A joiner that no piece stands for does not part the two at its sides.
        left = np.append(_next(kinds & JOINER == 0), len(kinds))[left]
    together = (right <= left) & together | (right < ends[real][:-1])
    text = np.searchsorted(begins, real, side="right")
    together &= text[1:] == text[:-1]
    first, last = np.ones((2, len(real)), bool)
    first[1:] = last[:-1] = ~together
    group = np.cumsum(first) - 1
    words[real, 0] = starts[real][first][group]
    words[real, 1] = ends[real][last][group]
    return words


def _sizes(words: np.ndarray, kinds: np.ndarray) -> npt.NDArray[np.float32]:
    """What each word counts as."""
    sizes = (words[:, 0] >= 0).astype("float32")
    if (kinds & (HALF | QUARTER)).any():
        share = np.select([kinds & HALF != 0, kinds & QUARTER != 0], [0.5, 0.25], 1.0)
        share[kinds & (MARK | JOINER) != 0] = 0.0
        before = np.append(0.0, np.cumsum(share))
        real = words[:, 0] >= 0
        letters = before[words[real, 1]] - before[words[real, 0]]
        sizes[real] = np.where(letters > 0, np.minimum(letters, 1.0), 1.0)
    return sizes
