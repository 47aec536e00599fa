"""BM25 over the passages of several indexes, as SQLite's `bm25` computes it for one table."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from keras_qa.documents.shards import Shard
from keras_qa.documents.storage import translate_sqlite_errors
from keras_qa.documents.vector_search import Scored

# The constants of SQLite's `bm25`: https://sqlite.org/fts5.html#the_bm25_function
_K1, _B = 1.2, 0.75
_LOWEST_WEIGHT = 1e-6

_OCCURRENCES = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.occurrences USING fts5vocab(main, words, instance)"
)

# Rows of a passage's id, the number of its occurrences of a word, and its number of words.
_Postings = npt.NDArray[np.int64]


def rank_shards(shards: Sequence[Shard], searched: list[str], ranked: list[str], k: int) -> Scored:
    """Returns up to `k` passages and their scores, best first.

    Args:
        shards: Indexes that have a table of words.
        searched: Stems, of which a passage must contain one.
        ranked: Stems that add to the scores of these passages.
        k: Maximum number of passages.
    """
    if not searched:
        return []
    passages, words = np.sum([_read_totals(shard) for shard in shards], axis=0).tolist()
    postings = {stem: _read_postings(shards, stem, stem in searched) for stem in searched + ranked}
    rows = np.concatenate([postings[stem] for stem in searched])
    ids, first = np.unique(rows[:, 0], return_index=True)
    lengths = rows[first, 2].astype("float64")
    scores = np.zeros(len(ids))
    for stem in searched + ranked:
        entries = postings[stem]
        at = np.searchsorted(ids, entries[:, 0]).clip(max=len(ids) - 1)
        is_candidate = ids[at] == entries[:, 0]
        counts = np.zeros(len(ids))
        counts[at[is_candidate]] = entries[is_candidate, 1]
        weight = math.log((passages - len(entries) + 0.5) / (len(entries) + 0.5))
        saturation = counts + _K1 * (1 - _B + _B * lengths / (words / passages))
        scores += max(weight, _LOWEST_WEIGHT) * (counts * (_K1 + 1) / saturation)
    best = np.lexsort((ids, -scores))[:k]
    return list(zip(ids[best].tolist(), scores[best].tolist(), strict=True))


def _read_postings(shards: Sequence[Shard], stem: str, with_lengths: bool) -> _Postings:
    length = "(SELECT sz FROM words_docsize WHERE id = doc)" if with_lengths else "NULL"
    rows: list[tuple[int, int, int]] = []
    for shard in shards:
        with translate_sqlite_errors(shard.path):
            shard.connection.execute(_OCCURRENCES)
            entries = shard.connection.execute(
                f"SELECT doc, count(*), {length} FROM occurrences WHERE term = ? GROUP BY doc",
                (stem,),
            )
            rows += [
                (shard.first_id + id, count, sum(_read_varints(raw))) for id, count, raw in entries
            ]
    return np.array(rows, "int64").reshape(-1, 3)


def _read_totals(shard: Shard) -> tuple[int, int]:
    """Reads the numbers of passages and of their words."""
    with translate_sqlite_errors(shard.path):
        # FTS5's record of averages: https://sqlite.org/fts5.html#fts5_data_structures
        (raw,) = shard.connection.execute("SELECT block FROM words_data WHERE id = 1").fetchone()
        passages, words = _read_varints(raw) or (0, 0)
        return passages, words


def _read_varints(raw: bytes | None) -> list[int]:
    """Decodes integers as SQLite writes them: seven bits in a byte, the highest first."""
    values, value = [], 0
    for byte in raw or b"":
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            values.append(value)
            value = 0
    return values
