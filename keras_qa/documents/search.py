"""Searches an index, or several as one, by BM25 and by vectors."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence

from keras_qa.data.sqlite import sqlite3
from keras_qa.documents import storage
from keras_qa.documents.bm25 import rank_shards
from keras_qa.documents.document import Passage, page_at
from keras_qa.documents.full_text import FullTextTokenizer
from keras_qa.documents.shards import SPACING, Shard
from keras_qa.documents.storage import get_setting, translate_sqlite_errors
from keras_qa.documents.vector_search import Floats, Scored, read_encoder_name
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


def find_problems(
    path: pathlib.Path, connection: sqlite3.Connection, has_encoder: bool
) -> Iterator[str]:
    """Yields why a search of an index may not find what it could."""
    if get_setting(connection, "reading", int) != storage.READING:
        yield (
            f"`{path}` was made by a keras-qa that reads files in another way. Read them again "
            "with `keras-qa index FOLDER`, or `Index.update`."
        )
    name = read_encoder_name(connection)
    if name is not None and not has_encoder:
        yield (
            f"`{path}` has vectors of the encoder {name!r}, but was opened without it, so it is "
            "searched by words only. Open it with `Index.open(path, encoder=…)`."
        )


def search(
    shards: Sequence[Shard],
    tokenizer: FullTextTokenizer,
    questions: Sequence[str],
    k: int,
    vectors: Floats | None,
) -> list[Scored]:
    """Returns up to `k` passages and their scores for each question, best first.

    `vectors` are those of the questions, `(questions, dimension)`; `None` to search by words only.
    Several shards are searched as one index of all their passages.
    """
    if vectors is None:
        return _search_words(shards, tokenizer, questions, k)
    depth = max(k, DEPTH)
    results: list[Scored] = []
    for start in range(0, len(questions), QUESTIONS):
        batch = slice(start, start + QUESTIONS)
        by_words = _search_words(shards, tokenizer, questions[batch], depth)
        by_vectors = _search_vectors(shards, vectors[batch], depth)
        rankings = zip(questions[batch], by_words, by_vectors, strict=True)
        for question, likely, near in rankings:
            results.append(fuse(likely, near, depth)[:k] if tokenizer.words(question) else [])
    return results


def _search_vectors(shards: Sequence[Shard], vectors: Floats, depth: int) -> list[Scored]:
    rankings: list[Scored] = [[] for _ in vectors]
    for shard in shards:
        with translate_sqlite_errors(shard.path):
            nearest = shard.vector_search(shard.connection, vectors, depth)
        for ranking, scored in zip(rankings, nearest, strict=True):
            ranking += [(shard.first_id + id, score) for id, score in scored]
    # The sort is stable: passages of the same score stay in the order of shards and ids.
    return [sorted(ranking, key=lambda entry: -entry[1])[:depth] for ranking in rankings]


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
    shards: Sequence[Shard], tokenizer: FullTextTokenizer, questions: Sequence[str], k: int
) -> list[Scored]:
    # An index has no table of words before its first text.
    shards = [
        shard for shard in shards if get_setting(shard.connection, "language", str) is not None
    ]
    total = sum(get_setting(shard.connection, "counted", int) or 0 for shard in shards)
    counts: dict[str, int] = {}
    rankings = []
    for question in questions:
        words = tokenizer.words(question)
        for stem in {tokenizer.stem(word) for word in words} - counts.keys():
            counts[stem] = sum(_count_passages(shard.connection, stem) for shard in shards)
        passage_counts = {word: counts[tokenizer.stem(word)] for word in words}
        chosen = select_words(passage_counts, total, tokenizer.stop_words)
        if len(shards) == 1:
            rankings.append(_ranked(shards[0], *chosen, k))
        else:
            searched, ranked = ([tokenizer.stem(word) for word in part] for part in chosen)
            rankings.append(rank_shards(shards, searched, ranked, k))
    return rankings


def _count_passages(connection: sqlite3.Connection, stem: str) -> int:
    for table, name, count in (("frequent", "word", "passages"), ("vocabulary", "term", "doc")):
        row = connection.execute(
            f"SELECT {count} FROM {table} WHERE {name} = ?", (stem,)
        ).fetchone()
        if row is not None:
            return int(row[0])
    return 0


def select_words(
    counts: dict[str, int], total: int, stop_words: frozenset[str]
) -> tuple[list[str], list[str]]:
    """Selects words of a question: those that passages must contain one of, and those that rank.

    `counts` has the number of passages with each word of the question, of `total` in the index.
    Both lists are empty if no passage has a word of the question.
    """
    content = {word: count for word, count in counts.items() if word not in stop_words} or counts
    present = {word: count for word, count in content.items() if count}
    # A word in more than half of the passages has no weight in BM25.
    rare = {word: count for word, count in present.items() if count <= max(total, 1) / 2}
    chosen = sorted((rare or present).items(), key=lambda item: item[1])[:WORDS]
    searched: dict[str, int] = dict(chosen[:1])
    ranked: dict[str, int] = {}
    for word, count in chosen[1:]:
        if sum(searched.values()) + count <= RANKED:
            searched[word] = count
        elif sum(ranked.values()) + count <= COUNTED:
            ranked[word] = count
    return list(searched), list(ranked)


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'


def _ranked(shard: Shard, searched: list[str], ranked: list[str], k: int) -> Scored:
    if not searched:
        return []
    expression, scale = " OR ".join(map(_quoted, searched)), 1.0
    if ranked:
        # BM25 adds a word's score each time it occurs in the expression. Here each occurs twice.
        both = " OR ".join(map(_quoted, [*searched, *ranked, *ranked]))
        expression, scale = f"({expression}) AND ({both})", 2.0
    rows = shard.connection.execute(
        "SELECT rowid, bm25(words) AS score FROM words WHERE words MATCH ? "
        "ORDER BY score, rowid LIMIT ?",
        (expression, k),
    )
    return [(shard.first_id + id, -score / scale) for id, score in rows]


def read_passages(shards: Sequence[Shard], scored: Scored) -> list[Passage]:
    """Reads passages. Verifies the texts of documents, unless the shard has verified them."""
    edits: dict[tuple[int, int], list[Edit]] = {}
    passages = []
    for id, score in scored:
        number, passage = divmod(id, SPACING)
        with translate_sqlite_errors(shards[number].path):
            passages.append(_read_passage(shards[number], passage, score, edits))
    return passages


def _read_passage(
    shard: Shard, id: int, score: float, edits: dict[tuple[int, int], list[Edit]]
) -> Passage:
    row = shard.connection.execute(
        "SELECT documents.name, documents.id, passages.start, passages.stop, passages.line, "
        "passages.heading, documents.pages FROM passages "
        "JOIN documents ON documents.id = passages.document WHERE passages.id = ?",
        (id,),
    ).fetchone()
    if row is None:
        raise sqlite3.DatabaseError("a passage is missing")
    name, number, start, stop, line, heading, raw = row
    if number not in shard.verified:
        storage.verify_document(shard.connection, number)
        shard.verified.add(number)
    key = (shard.number, number)
    if key not in edits:
        edits[key] = storage.read_edits(shard.connection, number)
    text = storage.read_text(shard.connection, number, start, stop)
    source = visible_part(text, edits[key], start)
    pages = storage.decode_pages(raw)
    return Passage(
        storage.decode_text(name),
        source.text,
        score,
        start,
        stop,
        storage.decode_text(heading),
        line,
        page_at(pages, start),
        pages,
        source if edits[key] else None,
    )
