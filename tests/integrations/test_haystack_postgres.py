"""A Haystack pipeline with PostgreSQL full text search and `KerasReader`."""

import json

import postgres_server
import psycopg
import pytest
from haystack import Document, Pipeline, component

from keras_qa.integrations.haystack import KerasReader

TALKS = {
    "ferry": "Ferries cross the Oslo fjord every hour from the town hall pier.",
    "drill": "The warranty of the drill is two years from the day of purchase.",
    "ada": "Ada Lovelace wrote the first program, for Babbage's engine, in 1843.",
    "café": "Das Café Blümchen öffnet um acht Uhr.\fIt has two tables in front of the door.",
}


@component
class FullTextRetriever:
    """Finds documents that contain a word of the query, in PostgreSQL's ranking."""

    def __init__(self, address: str, top_k: int) -> None:
        self.address = address
        self.top_k = top_k

    @component.output_types(documents=list[Document])
    def run(self, query: str) -> dict[str, list[Document]]:
        with psycopg.connect(self.address) as connection:
            rows = connection.execute(
                "SELECT id, content, meta, ts_rank(to_tsvector('english', content), words) AS rank "
                # Match documents with any word of the query.
                "FROM documents, CAST(replace(CAST(plainto_tsquery('english', %s) AS text), "
                "'&', '|') AS tsquery) AS words WHERE to_tsvector('english', content)  words "
                "ORDER BY rank DESC, id LIMIT %s",
                (query, self.top_k),
            ).fetchall()
        return {
            "documents": [
                Document(id=name, content=content, meta=meta, score=rank)
                for name, content, meta, rank in rows
            ]
        }


@pytest.fixture(scope="module")
def address():
    with postgres_server.serving() as address:
        with psycopg.connect(address) as connection:
            connection.execute(
                "CREATE TABLE documents (id text PRIMARY KEY, content text, meta jsonb)"
            )
            for name, content in TALKS.items():
                meta = json.dumps({"page_number": 4} if "\f" in content else {})
                row = (name, content, meta)
                connection.execute("INSERT INTO documents VALUES (%s, %s, %s)", row)
        yield address


@pytest.fixture(scope="module")
def pipeline(address) -> Pipeline:
    made = Pipeline()
    made.add_component("retriever", FullTextRetriever(address, top_k=3))
    made.add_component("reader", KerasReader(top_k=2))
    made.connect("retriever.documents", "reader.documents")
    return made


@pytest.mark.parametrize(
    ("query", "data", "name"),
    [
        ("How long is the warranty?", "two years", "drill"),
        ("Who wrote the first program?", "Ada Lovelace", "ada"),
        ("How many tables are in front of the door?", "two", "café"),
    ],
)
def test_answers(pipeline, query: str, data: str, name: str) -> None:
    inputs = {"retriever": {"query": query}, "reader": {"query": query}}
    answers = pipeline.run(inputs)["reader"]["answers"]
    best = answers[0]
    assert (best.data, best.document.id) == (data, name)
    offset = best.document_offset
    assert TALKS[name][offset.start : offset.end] == data
    assert best.meta == ({"answer_page_number": 5} if name == "café" else {})
    # No answer does not count for `top_k`.
    assert len(answers) == 3
    assert sum(answer.score for answer in answers) <= 1.0


def test_query_without_hits(pipeline) -> None:
    inputs = {"retriever": {"query": "zebra?"}, "reader": {"query": "zebra?"}}
    assert pipeline.run(inputs)["reader"] == {"answers": []}
