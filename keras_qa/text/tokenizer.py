"""Tokenizers on top of the `tokenizers` library, with character offsets."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from keras_qa._arguments import first_line, nested_objects
from keras_qa.text import pieces

if TYPE_CHECKING:
    import tokenizers

PADDING = "[PAD]"
UNKNOWN = "[UNK]"

# Limit of how many times longer all replacements together may make a text. Published tokenizers
# stay below 3.
_MAX_GROWTH = 64
# Limit of unused ids.
_MAX_UNUSED_IDS = 100_000


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Raises a `ValueError` for the errors of `tokenizers` that have no class of their own."""
    try:
        yield
    except BaseException as error:
        # In tokenizers 0.23 a panic derives from `BaseException`, and its class is not public.
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        line = first_line(error)
        raise ValueError(f"The tokenizer cannot be used: {line}. Get it again.") from None


class Tokenizer:
    """Base class of `WordTokenizer` and `SubwordTokenizer`.

    Special tokens spelled in a text are ordinary letters. The truncation and padding of the given
    tokenizer are ignored.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer | str) -> None:
        if not isinstance(tokenizer, str):
            tokenizer = tokenizer.to_str()
        self._tokenizer = parse_tokenizer(tokenizer)
        self._padding = self._tokenizer.padding
        # `Windower` truncates and pads. Some lengths and strides would even abort the process.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True
        # Some damaged tokenizers can be read, but fail with each text, or with an unknown letter.
        with translate_errors():
            self._tokenizer.encode("a \ue000", "b")

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # Copies of the `tokenizers` library lose this setting.
        self._tokenizer.encode_special_tokens = True

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, including padding and special tokens."""
        return self._tokenizer.get_vocab_size()

    def encode(self, text: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Returns the `(pieces,)` int32 ids of a text, and the `(pieces, 2)` int32 offsets."""
        encoded = self.pieces([text])
        return encoded.ids, encoded.offsets

    @translate_errors()
    def pieces(self, texts: Sequence[str], raw: bool = False) -> pieces.Pieces:
        """Returns the pieces of several texts, concatenated.

        With `raw`, offsets and words are those of the `tokenizers` library.
        """
        return pieces.encode(self._tokenizer, texts, raw)

    def to_json(self) -> str:
        """The tokenizer as JSON, in the format of the `tokenizers` library."""
        return self._tokenizer.to_str()


class WordTokenizer(Tokenizer):
    """Splits texts into words and punctuation marks.

    Texts are normalized to NFC. In scripts without spaces between words, such as those of Chinese,
    Japanese and Thai, every letter with its marks is a word. Id 0 is padding and id 1 the unknown
    word.

    Args:
        tokenizer: A `tokenizers.Tokenizer`, which is copied, or its JSON. Use `WordTokenizer.train`
            to build one from texts.

    Examples:
        >>> from keras_qa.text import WordTokenizer
        >>> tokenizer = WordTokenizer.train(["Mary went home."])
        >>> ids, offsets = tokenizer.encode("Mary slept.")
        >>> ids.tolist(), offsets.tolist()
        ([4, 1, 2], [[0, 4], [5, 10], [10, 11]])
    """

    @classmethod
    def train(
        cls, texts: Iterable[str], vocabulary_size: int | None = None, lowercase: bool = True
    ) -> WordTokenizer:
        """Builds a tokenizer with the words of the given texts as vocabulary.

        Args:
            texts: The texts.
            vocabulary_size: Maximum number of ids, including padding and the unknown word; the most
                frequent words are kept. `None` keeps all.
            lowercase: Whether to ignore case.

        Returns:
            A `WordTokenizer`. The same texts give the same ids.

        Raises:
            ValueError: If `vocabulary_size` is less than 3.
        """
        if vocabulary_size is not None and vocabulary_size < 3:
            raise ValueError(
                "`vocabulary_size` must be at least 3: padding, the unknown word and one word. "
                f"Received: vocabulary_size={vocabulary_size}."
            )
        from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.WordLevel({}, unk_token=UNKNOWN))
        tokenizer.normalizer = normalizers.Sequence(
            [
                normalizers.NFC(),
                normalizers.BertNormalizer(
                    clean_text=True,
                    handle_chinese_chars=True,
                    strip_accents=False,
                    lowercase=lowercase,
                ),
            ]
        )
        # Split before BertPreTokenizer: the regular expression is 5 times slower on single words.
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(pieces.UNSPACED_LETTER), "isolated"),
                pre_tokenizers.BertPreTokenizer(),
            ]
        )
        trainer = trainers.WordLevelTrainer(
            vocab_size=vocabulary_size or 2**31 - 1,
            show_progress=False,
            special_tokens=[PADDING, UNKNOWN],
        )
        tokenizer.train_from_iterator(map(pieces.replace_surrogates, texts), trainer)
        return cls(tokenizer)

    @property
    def vocabulary(self) -> list[str]:
        """All words, in the order of their ids."""
        words = self._tokenizer.get_vocab()
        return sorted(words, key=words.__getitem__)

    @translate_errors()
    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns a list of ids for each text. Without offsets it is faster than `encode`."""
        texts = [pieces.replace_surrogates(text) for text in texts]
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]


def parse_tokenizer(text: str) -> tokenizers.Tokenizer:
    """Parses a tokenizer from JSON and bounds the memory that it can use."""
    import tokenizers

    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The tokenizer is not JSON: {error}. Get it again.") from None
    if not isinstance(content, Mapping):
        raise ValueError("The tokenizer must be a JSON object, as `tokenizers` writes it.")
    ids = _ids(content)
    highest = max(ids, default=0)
    if highest >= len(ids) + _MAX_UNUSED_IDS:
        raise ValueError(
            f"The tokenizer has id {highest}, but {len(ids):,} tokens. Number its tokens from 0."
        )
    steps = nested_objects([content.get("normalizer"), content.get("pre_tokenizer")])
    growth = math.prod(map(_growth, steps))
    if growth > _MAX_GROWTH:
        raise ValueError(
            f"The tokenizer's replacements may make a text {growth:.0f} times as long, more than "
            f"{_MAX_GROWTH} times. Replace by fewer characters."
        )
    try:
        # `from_str` of tokenizers 0.23 raises a bare `Exception`.
        with translate_errors():
            return tokenizers.Tokenizer.from_buffer(text.encode())
    except ValueError as error:
        if str(error).startswith("The tokenizer"):
            raise
        line = first_line(error).removeprefix("Cannot instantiate Tokenizer from buffer: ")
        raise ValueError(f"The tokenizer cannot be read: {line}. Get it again.") from None


def _ids(content: Mapping[str, Any]) -> list[int]:
    model = content.get("model")
    vocabulary = model.get("vocab") if isinstance(model, Mapping) else None
    ids: list[Any] = list(range(len(vocabulary))) if isinstance(vocabulary, list) else []
    if isinstance(vocabulary, Mapping):
        ids = list(vocabulary.values())
    added = content.get("added_tokens")
    for token in added if isinstance(added, list) else ():
        if isinstance(token, Mapping):
            ids.append(token.get("id"))
    return [id for id in ids if isinstance(id, int)]


def _growth(step: Mapping[str, Any]) -> float:
    """How many times longer a step can make a text, at least 1."""
    if step.get("type") != "Replace":
        return 1.0
    content, pattern = step.get("content"), step.get("pattern")
    shortest = pattern.get("String") if isinstance(pattern, Mapping) else None
    length = len(shortest) if isinstance(shortest, str) else 1
    return max(1.0, len(content) / max(1, length)) if isinstance(content, str) else 1.0
