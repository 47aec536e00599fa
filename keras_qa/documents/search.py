"""Which passages fit a question: BM25, as SQLite computes it, and vectors beside it."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from keras_qa.documents import storage
from keras_qa.documents.checksums import Verifier
from keras_qa.documents.document import Hit, page
from keras_qa.documents.storage import setting
from keras_qa.documents.vectors import Floats, Nearest, Scored
from keras_qa.documents.words import Words
from keras_qa.documents.writing import text_of
from keras_qa.files.sqlite import sqlite3

# Passages that are ranked at most, about: 1.3 µs each. Words that more of them have count in
# ranking alone.
RANKED = 60_000
# Passages of such words, which are counted at 0.07 µs each, all words together.
COUNTED = 400_000
# Words of a question, the rarest ones.
WORDS = 64
# Passages that are taken by words, and by vectors, where both count; and for how many questions at
# a time.
DEPTH, QUESTIONS = 1_000, 256


def search(
    connection: sqlite3.Connection,
    words: Words,
    questions: Sequence[str],
    k: int,
    nearest: Nearest | None = None,
    vectors: Floats | None = None,
    verifier: Verifier | None = None,
) -> list[list[Hit]]:
    """The best passages for each question, best first.

    Args:
        connection: The index.
        words: What cuts questions into words.
        questions: The questions.
        k: Number of passages a question.
        nearest: What finds vectors.
        vectors: `(questions, dimension)`: the vectors of the questions. `None` to search by words
            alone.
        verifier: What verifies what is read. `None` for a new one.

    Returns:
        A list for each question, with less than `k` where no more passages have a word of it, nor
        a vector whose cosine is above 0. Empty for a question without a word.

    Reference:
        Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond".
    """
    verifier = verifier or Verifier()
    with storage.transaction(connection, writes=False):
        verifier.verify(connection)
        if nearest is None or vectors is None:
            by_words = _by_words(connection, words, questions, k)
            return [_hits(connection, ranked, verifier) for ranked in by_words]
        depth = max(k, DEPTH)
        found: list[list[Hit]] = []
        for start in range(0, len(questions), QUESTIONS):
            some = slice(start, start + QUESTIONS)
            by_words = _by_words(connection, words, questions[some], depth)
            by_vectors = nearest(connection, vectors[some], depth)
            for question, one, other in zip(questions[some], by_words, by_vectors, strict=True):
                ranked = fused(one, other, depth)[:k] if words.of(question) else []
                found.append(_hits(connection, ranked, verifier))
        return found


def fused(by_words: Scored, by_vectors: Scored, depth: int) -> Scored:
    """Two rankings as one: the mean of both scores, each as a share of the best one.

    Args:
        by_words: The ids of passages and their scores by BM25, best first.
        by_vectors: The same by cosines.
        depth: How many there are in each where there are more. What is in one alone then counts
            in the other as the last of it, and else as 0.

    Returns:
        All whose score is above 0, at most 1, best first.

    Reference:
        Bruch, Gai and Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval",
        arXiv:2210.11934: a convex combination.

    Examples:
        >>> from keras_qa.documents.search import fused
        >>> fused([(1, 8.0), (2, 6.0)], [(2, 0.5), (3, 0.25)], depth=20)
        [(2, 0.875), (1, 0.5), (3, 0.25)]
    """
    scores: dict[int, float] = dict.fromkeys([id for id, _ in (*by_words, *by_vectors)], 0.0)
    for ranking in (by_words, by_vectors):
        best = ranking[0][1] if ranking else 0.0
        if best <= 0:
            continue
        missing = ranking[-1][1] if len(ranking) >= depth else 0.0
        known = dict(ranking)
        for id in scores:
            scores[id] += max(known.get(id, missing), 0.0) / best / 2
    fitting = [entry for entry in scores.items() if entry[1] > 0]
    return sorted(fitting, key=lambda entry: -entry[1])


def _by_words(
    connection: sqlite3.Connection, words: Words, questions: Sequence[str], k: int
) -> list[Scored]:
    total = int(setting(connection, "counted") or 0)
    counts: dict[str, int] = {}
    found = []
    for question in questions:
        asked = words.of(question)
        for stem in {words.stem(word) for word in asked} - counts.keys():
            counts[stem] = _count(connection, stem)
        known = {word: counts[words.stem(word)] for word in asked}
        expression, scale = expression_of(known, total, words.stop_words)
        found.append(_ranked(connection, expression, scale, k))
    return found


def _count(connection: sqlite3.Connection, stem: str) -> int:
    """How many passages have a word."""
    for table, name, count in (("frequent", "word", "passages"), ("vocabulary", "term", "doc")):
        row = connection.execute(
            f"SELECT {count} FROM {table} WHERE {name} = ?", (stem,)
        ).fetchone()
        if row is not None:
            return int(row[0])
    return 0


def expression_of(
    counts: dict[str, int], total: int, stop_words: frozenset[str] = frozenset()
) -> tuple[str, float]:
    """What FTS5 is asked: passages with one of the rarer words, ranked by these and others.

    Args:
        counts: The words of a question, and how many passages have each.
        total: How many passages there are.
        stop_words: Words that are left out where the question has others.

    Returns:
        The expression, empty where no passage has a word of it; and how often each word stands in
        it, by which the sum over all of them is too large.

    Examples:
        >>> from keras_qa.documents.search import expression_of
        >>> expression_of({"city": 9, "founded": 3, "paris": 1, "quickly": 0}, 10)
        ('"paris" OR "founded"', 1.0)
    """
    content = {word: count for word, count in counts.items() if word not in stop_words} or counts
    known = {word: count for word, count in content.items() if count}
    # What half of the passages have says nothing, as BM25 has it.
    telling = {word: count for word, count in known.items() if count <= max(total, 1) / 2}
    chosen = sorted((telling or known).items(), key=lambda item: item[1])[:WORDS]
    if not chosen:
        return "", 1.0
    searched = [chosen[0]]
    ranked: list[tuple[str, int]] = []
    for word, count in chosen[1:]:
        if sum(size for _, size in searched) + count <= RANKED:
            searched.append((word, count))
        elif sum(size for _, size in ranked) + count <= COUNTED:
            ranked.append((word, count))
    either = " OR ".join(_quoted(word) for word, _ in searched)
    if not ranked:
        return either, 1.0
    if searched[0][1] > RANKED:
        # All are frequent: the passages that have the rarest two.
        either = f"{either} AND {_quoted(ranked[0][0])}"
        alike = [word for word, _ in ranked[1:]]
        pair = [searched[0][0], ranked[0][0]]
    else:
        alike, pair = [word for word, _ in ranked], [word for word, _ in searched]
    # BM25 adds up what stands in an expression: here each word twice, so that all count alike.
    both = " OR ".join(_quoted(word) for word in [*pair, *alike, *alike])
    return f"({either}) AND ({both})", 2.0


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'


def _ranked(connection: sqlite3.Connection, expression: str, scale: float, k: int) -> Scored:
    if not expression:
        return []
    rows = connection.execute(
        "SELECT rowid, bm25(words) AS score FROM words WHERE words MATCH ? "
        "ORDER BY score, rowid LIMIT ?",
        (expression, k),
    )
    return [(id, -score / scale) for id, score in rows]


def _hits(connection: sqlite3.Connection, ranked: Scored, verifier: Verifier) -> list[Hit]:
    hits = []
    for id, score in ranked:
        row = connection.execute(
            "SELECT documents.name, documents.id, passages.start, passages.stop, passages.line, "
            "passages.heading, documents.pages FROM passages "
            "JOIN documents ON documents.id = passages.document WHERE passages.id = ?",
            (id,),
        ).fetchone()
        if row is None:
            raise sqlite3.DatabaseError("a passage is missing")
        name, number, start, stop, line, heading, raw = row
        verifier.verify_document(connection, number)
        pages = struct.unpack(f"<{len(raw) // 8}Q", raw) if raw else ()
        hits.append(
            Hit(
                storage.decoded(name),
                text_of(connection, number, start, stop),
                score,
                start,
                stop,
                storage.decoded(heading),
                line,
                page(pages, start),
                pages,
            )
        )
    return hits
