"""Words of texts and questions for full-text search with SQLite's FTS5."""

from __future__ import annotations

import functools
import re
import unicodedata

from keras_qa.data.sqlite import sqlite3
from keras_qa.text import pieces

# Scripts without spaces between words, as a part of a regular expression's character class.
UNSPACED = "".join(f"{chr(first)}-{chr(last)}" for first, last in pieces.UNSPACED)

# Letters, digits and combining marks (Mn, Mc), such as the vowel signs of Devanagari.
_TOKENIZER = "unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'"

_RUN = re.compile(f"[{UNSPACED}]+")
# Punctuation marks and full-width spaces of these scripts.
_PUNCTUATION = re.compile(r"[\u2e80-\u3004\u3008-\u3030\u3036-\u303f\u30a0\u30fb\s]+")

_STOP_WORDS = (
    "a an and are as at be been but by can could did do does for from had has have he her him his "
    "how i if in into is it its me my no not of on or our she should so such than that the their "
    "them then there these they this those to was we were what when where which who whom whose why "
    "will with would you your"
)
# Words of no other language, and the share of them that an English text exceeds.
_ENGLISH = "the and that with are this were which have from they their by you your would been"
_ENGLISH_SHARE = 0.04
# Texts with fewer words are English if they are ASCII.
_FEW_WORDS = 20


def create_words(connection: sqlite3.Connection, language: str) -> None:
    """Creates the full-text table of an index, and stores its language."""
    _create_table(connection, "words", _stemmer(language))
    connection.execute("INSERT INTO settings VALUES ('language', ?)", (language,))
    connection.execute("CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, row)")


def _create_table(connection: sqlite3.Connection, name: str, options: str) -> None:
    connection.execute(
        f"CREATE VIRTUAL TABLE {name} USING fts5(text, content='', tokenize=\"{options}\")"
    )


def _stemmer(language: str) -> str:
    """Returns the `tokenize` option of an FTS5 table. English words are stemmed."""
    return f"porter {_TOKENIZER}" if language == "en" else _TOKENIZER


def detect_language(text: str) -> str:
    """Returns `"en"` if a text has the most frequent English words, else `"und"` (undetermined)."""
    words = re.findall(r"\w+", text[:100_000].lower())
    if len(words) < _FEW_WORDS:
        return "en" if all(word.isascii() for word in words) else "und"
    common = frozenset(_ENGLISH.split())
    english = sum(word in common for word in words)
    return "en" if english > _ENGLISH_SHARE * len(words) else "und"


def split_unspaced(text: str) -> str:
    """Normalizes a text (NFKC), and splits scripts without spaces into overlapping bigrams."""
    # Fujii and Croft 1993, "A Comparison of Indexing Techniques for Japanese Text Retrieval".
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", text).encode("utf-8", "replace").decode()
    return _RUN.sub(_bigrams, text)


def _bigrams(match: re.Match[str]) -> str:
    bigrams = []
    for run in _PUNCTUATION.split(match[0]):
        bigrams += [run[at : at + 2] for at in range(len(run) - 1)] or [run]
    return f" {' '.join(bigrams)} "


class FullTextTokenizer:
    """Splits questions into words exactly as an index does: by FTS5, in a database in memory."""

    def __init__(self, language: str) -> None:
        self.stop_words = frozenset(_STOP_WORDS.split() if language == "en" else ())
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        for table, options in (("plain", _TOKENIZER), ("stems", _stemmer(language))):
            _create_table(self._connection, table, options)
            self._connection.execute(
                f"CREATE VIRTUAL TABLE {table}_found USING fts5vocab({table}, instance)"
            )
        self.stem = functools.lru_cache(maxsize=100_000)(self._stem)

    def words(self, text: str) -> list[str]:
        """Returns the distinct words of a text in order, in lower case and without accents."""
        return list(dict.fromkeys(self._split("plain", split_unspaced(text).replace("\0", " "))))

    def _stem(self, word: str) -> str:
        return "".join(self._split("stems", word))

    def _split(self, table: str, text: str) -> list[str]:
        run = self._connection.execute
        run(f"INSERT INTO {table}(rowid, text) VALUES (1, ?)", (text,))
        rows = run(f"SELECT term FROM {table}_found ORDER BY offset").fetchall()
        run(f"INSERT INTO {table}({table}) VALUES ('delete-all')")
        # A combining mark alone becomes an empty word.
        return [term for (term,) in rows if term]

    def close(self) -> None:
        """Closes the database in memory."""
        self._connection.close()
