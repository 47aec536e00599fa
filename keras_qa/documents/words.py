"""The words of texts and questions, as the index keeps them and looks for them."""

from __future__ import annotations

import functools
import re
import unicodedata

from keras_qa.files.sqlite import sqlite3
from keras_qa.text import characters

# Scripts that write no spaces between words, as a part of a character class.
UNSPACED = "".join(f"{chr(first)}-{chr(last)}" for first, last in characters.UNSPACED)

# Letters, digits and the marks that belong to them; what Devanagari writes as marks are vowels.
_TOKENIZER = "unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'"

_RUN = re.compile(f"[{UNSPACED}]+")
# Their punctuation marks, and spaces as wide as a letter.
_PUNCTUATION = re.compile(r"[\u2e80-\u3004\u3008-\u3030\u3036-\u303f\u30a0\u30fb\s]+")

_STOP_WORDS = (
    "a an and are as at be been but by can could did do does for from had has have he her him his "
    "how i if in into is it its me my no not of on or our she should so such than that the their "
    "them then there these they this those to was we were what when where which who whom whose why "
    "will with would you your"
)
# Words that other languages do not have, and their share of an English text at least.
_ENGLISH = "the and that with are this were which have from they their by you your would been"
_ENGLISH_SHARE = 0.04
# Less text says nothing.
_FEW_WORDS = 20


def tokenizer(language: str) -> str:
    """What FTS5 cuts words of a language by. Those of English are cut to their stem."""
    return f"porter {_TOKENIZER}" if language == "en" else _TOKENIZER


def language_of(text: str) -> str:
    """Tells English from other languages by its commonest words.

    Args:
        text: A text, of which the first words are looked at.

    Returns:
        `"en"`, or `"und"` (ISO 639: undetermined). A few words in Latin letters pass for English.

    Examples:
        >>> from keras_qa.documents.words import language_of
        >>> language_of("The cat sat on the mat. " * 9), language_of("Die Katze schlief. " * 9)
        ('en', 'und')
    """
    found = re.findall(r"\w+", text[:100_000].lower())
    if len(found) < _FEW_WORDS:
        return "en" if all(word.isascii() for word in found) else "und"
    common = frozenset(_ENGLISH.split())
    english = sum(word in common for word in found)
    return "en" if english > _ENGLISH_SHARE * len(found) else "und"


def spaced(text: str) -> str:
    """A text as the index takes it: scripts without spaces as pairs of characters.

    Args:
        text: A text.

    Returns:
        It in the normal form NFKC, pairs of characters with spaces between them.

    Reference:
        Fujii and Croft 1993, "A Comparison of Indexing Techniques for Japanese Text Retrieval".

    Examples:
        >>> from keras_qa.documents.words import spaced
        >>> spaced("猫が好き, yes")
        ' 猫が が好 好き , yes'
    """
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", text).encode("utf-8", "replace").decode()
    return _RUN.sub(_pairs, text)


def _pairs(match: re.Match[str]) -> str:
    found = []
    for run in _PUNCTUATION.split(match[0]):
        found += [run[at : at + 2] for at in range(len(run) - 1)] or [run]
    return f" {' '.join(found)} "


class Words:
    """Cuts texts into words exactly as an index does: SQLite itself does it, in memory.

    Args:
        language: The language of the index.

    Attributes:
        stop_words: Words without which a question asks the same.

    Examples:
        >>> from keras_qa.documents.words import Words
        >>> words = Words("en")
        >>> words.of("Who founded the cities?")
        ['who', 'founded', 'the', 'cities']
        >>> words.stem("cities")
        'citi'
    """

    def __init__(self, language: str) -> None:
        self.stop_words = frozenset(_STOP_WORDS.split() if language == "en" else ())
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        for table, cut in (("plain", _TOKENIZER), ("stems", tokenizer(language))):
            self._connection.execute(
                f"CREATE VIRTUAL TABLE {table} USING fts5(text, content='', tokenize=\"{cut}\")"
            )
            self._connection.execute(
                f"CREATE VIRTUAL TABLE {table}_found USING fts5vocab({table}, instance)"
            )
        self.stem = functools.lru_cache(maxsize=100_000)(self._stem)

    def of(self, text: str) -> list[str]:
        """The words of a text, each once, in order, lower case and without accents."""
        return list(dict.fromkeys(self._cut("plain", spaced(text).replace("\0", " "))))

    def _stem(self, word: str) -> str:
        return "".join(self._cut("stems", word))

    def _cut(self, table: str, text: str) -> list[str]:
        run = self._connection.execute
        run(f"INSERT INTO {table}(rowid, text) VALUES (1, ?)", (text,))
        found = run(f"SELECT term FROM {table}_found ORDER BY offset").fetchall()
        run(f"INSERT INTO {table}({table}) VALUES ('delete-all')")
        # A mark alone leaves nothing.
        return [term for (term,) in found if term]

    def close(self) -> None:
        """Frees its memory."""
        self._connection.close()
