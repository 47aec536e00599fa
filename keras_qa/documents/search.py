"""Searches an index by BM25, as SQLite computes it, and by vectors."""

from __future__ import annotations

from collections.abc import Sequence

from keras_qa.data.sqlite import sqlite3
from keras_qa.documents import storage
from keras_qa.documents.document import Passage, page_at
from keras_qa.documents.full_text import FullTextTokenizer
from keras_qa.documents.storage import get_setting
from keras_qa.documents.vector_search import Floats, Scored, VectorSearch
from keras_qa.documents.visible_text import Edit, visible_part

# Maximum number of passages to rank, which takes 1.3 µs for each. Words in more passages do not
# select passages, they only add to the scores.
RANKED = 60_000
# Maximum number of passages in which such words are looked up, which takes 0.07 µs for each.
COUNTED = 400_000
# Maximum number of words of a question. Rare words are preferred.
WORDS = 64
# Passages taken from each ranking if words and vectors are combined.
DEPTH = 1_000
# Questions searched at a time by vectors.
QUESTIONS = 256


def search(
    connection: sqlite3.Connection,
    tokenizer: FullTextTokenizer,
    questions: Sequence[str],
    k: int,
    vector_search: VectorSearch,
    vectors: Floats | None,
) -> list[Scored]:
    """Returns up to `k` passages and their scores for each question, best first.

    `vectors` are those of the questions, `(questions, dimension)`; `None` to search by words only.
    """
    if vectors is None:
        return _search_words(connection, tokenizer, questions, k)
    depth = max(k, DEPTH)
    results: list[Scored] = []
    for start in range(0, len(questions), QUESTIONS):
        batch = slice(start, start + QUESTIONS)
        by_words = _search_words(connection, tokenizer, questions[batch], depth)
        by_vectors = vector_search(connection, vectors[batch], depth)
        rankings = zip(questions[batch], by_words, by_vectors, strict=True)
        for question, likely, near in rankings:
            results.append(fuse(likely, near, depth)[:k] if tokenizer.words(question) else [])
    return results


def fuse(by_words: Scored, by_vectors: Scored, depth: int) -> Scored:
    """Combines two rankings: the mean of the scores, each divided by its best score.

    A passage missing from a ranking of `depth` passages has the lowest score in it; one missing
    from a shorter ranking has 0. A convex combination as in Bruch et al. 2023, arXiv:2210.11934.
    """
    scores: dict[int, float] = dict.fromkeys([id for id, _ in (*by_words, *by_vectors)], 0.0)
    for ranking in (by_words, by_vectors):
        best = ranking[0][1] if ranking else 0.0
        if best <= 0:
            continue
        missing = ranking[-1][1] if len(ranking) >= depth else 0.0
        score_of = dict(ranking)
        for id in scores:
            scores[id] += max(score_of.get(id, missing), 0.0) / best / 2
    fitting = [entry for entry in scores.items() if entry[1] > 0]
    return sorted(fitting, key=lambda entry: -entry[1])


def _search_words(
    connection: sqlite3.Connection, tokenizer: FullTextTokenizer, questions: Sequence[str], k: int
) -> list[Scored]:
    total = int(get_setting(connection, "counted") or 0)
    counts: dict[str, int] = {}
    rankings = []
    for question in questions:
        words = tokenizer.words(question)
        for stem in {tokenizer.stem(word) for word in words} - counts.keys():
            counts[stem] = _count_passages(connection, stem)
        passage_counts = {word: counts[tokenizer.stem(word)] for word in words}
        expression, scale = match_expression(passage_counts, total, tokenizer.stop_words)
        rankings.append(_ranked(connection, expression, scale, k))
    return rankings


def _count_passages(connection: sqlite3.Connection, stem: str) -> int:
    for table, name, count in (("frequent", "word", "passages"), ("vocabulary", "term", "doc")):
        row = connection.execute(
            f"SELECT {count} FROM {table} WHERE {name} = ?", (stem,)
        ).fetchone()
        if row is not None:
            return int(row[0])
    return 0


def match_expression(
    counts: dict[str, int], total: int, stop_words: frozenset[str]
) -> tuple[str, float]:
    """Builds the FTS5 query: passages with one of the rarer words, ranked by all words.

    `counts` has the number of passages with each word of the question, of `total` in the index.
    Returns the query, empty if no passage has a word of the question, and how often it contains
    each word, which multiplies the BM25 scores.
    """
    content = {word: count for word, count in counts.items() if word not in stop_words} or counts
    present = {word: count for word, count in content.items() if count}
    # A word in more than half of the passages has no weight in BM25.
    rare = {word: count for word, count in present.items() if count <= max(total, 1) / 2}
    chosen = sorted((rare or present).items(), key=lambda item: item[1])[:WORDS]
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
    # BM25 adds a word's score each time it occurs in the expression. Here all words occur twice.
    both = " OR ".join(_quoted(word) for word, _ in [*searched, *ranked, *ranked])
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


def read_passages(
    connection: sqlite3.Connection, ranked: Scored, verified: set[int]
) -> list[Passage]:
    """Reads passages. Texts of documents that are not in `verified` are verified, and added."""
    passages = []
    edits: dict[int, list[Edit]] = {}
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
        if number not in verified:
            storage.verify_document(connection, number)
            verified.add(number)
        if number not in edits:
            edits[number] = storage.read_edits(connection, number)
        text = storage.read_text(connection, number, start, stop)
        source = visible_part(text, edits[number], start)
        pages = storage.decode_pages(raw)
        passages.append(
            Passage(
                storage.decode_text(name),
                source.text,
                score,
                start,
                stop,
                storage.decode_text(heading),
                line,
                page_at(pages, start),
                pages,
                source if edits[number] else None,
            )
        )
    return passages
