"""The ranker, the retriever and the query engine for LlamaIndex."""

import asyncio

import numpy as np
import pytest
from llama_index.core import QueryBundle
from llama_index.core.llms import MockLLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers.no_text import NoText
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from talks import METADATA, TALKS, WARRANTY, make_index, run_block

import keras_qa
from keras_qa.documents import Passage
from keras_qa.integrations.llama_index import (
    KerasQAQueryEngine,
    KerasQAReranker,
    KerasQARetriever,
)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    with make_index(tmp_path_factory.mktemp("index")) as index:
        yield index


@pytest.fixture(scope="module")
def reader() -> keras_qa.QuestionAnswerer:
    return keras_qa.load("minilm-squad")


def make_nodes() -> list[NodeWithScore]:
    return [
        NodeWithScore(node=TextNode(id_=name, text=text, metadata={"n": 1}), score=0.5)
        for name, text in TALKS.items()
    ]


def test_a_ranker_sorts_nodes() -> None:
    ranker, nodes = KerasQAReranker(), make_nodes()
    assert isinstance(ranker, BaseNodePostprocessor)
    assert ranker.class_name() == "KerasQAReranker"
    best = ranker.postprocess_nodes(nodes, query_str=WARRANTY)
    expected = keras_qa.load("minilm-rerank").rank(WARRANTY, list(TALKS.values()))
    assert [item.text for item in best] == [item.text for item in expected]
    assert [item.score for item in best] == [item.score for item in expected]
    assert best[0].node is nodes[1].node
    assert [item.score for item in nodes] == [0.5] * len(nodes)
    few = KerasQAReranker("minilm-rerank", top_n=1, batch_size=2)
    [only] = asyncio.run(few.apostprocess_nodes(nodes, QueryBundle(WARRANTY)))
    assert only.node_id == "drill.txt"
    assert few.postprocess_nodes([], query_str=WARRANTY) == []


def test_a_retriever_finds_passages(index) -> None:
    retriever = KerasQARetriever(index, k=2)
    assert isinstance(retriever, BaseRetriever)
    passages = index.search(WARRANTY, k=2)
    nodes = retriever.retrieve(WARRANTY)
    assert [item.text for item in nodes] == [item.text for item in passages]
    assert [item.score for item in nodes] == [item.score for item in passages]
    for node, passage in zip(nodes, passages, strict=True):
        assert node.metadata == {name: getattr(passage, name) for name in METADATA}
    [first, *_] = asyncio.run(retriever.aretrieve(WARRANTY))
    assert first.text == nodes[0].text == TALKS["drill.txt"]
    # LlamaIndex' own engine, which returns the nodes that the ranker keeps.
    engine = RetrieverQueryEngine(
        retriever,
        NoText(llm=MockLLM()),
        node_postprocessors=[KerasQAReranker(top_n=1)],
    )
    [node] = engine.query(WARRANTY).source_nodes
    assert node.text == TALKS["drill.txt"]


def test_a_query_engine_answers_with_sources(index, reader) -> None:
    engine = KerasQAQueryEngine(index, reader)
    expected = reader.ask(index, WARRANTY)
    response = engine.query(WARRANTY)
    assert str(response) == expected.text == "two years"
    assert response.metadata == {name: getattr(expected, name) for name in METADATA}
    start, end = (response.metadata[name] for name in ("start", "end"))
    assert TALKS["drill.txt"][start:end] == "two years"
    [node] = response.source_nodes
    assert node.text == TALKS["drill.txt"]
    assert (node.metadata["document"], node.metadata["line"]) == ("drill.txt", 1)
    assert node.score == node.metadata["score"] == expected.sources[0].score
    assert str(asyncio.run(engine.aquery(QueryBundle(WARRANTY)))) == "two years"
    none = KerasQAQueryEngine(index, "minilm-squad", min_score=1.0).query(WARRANTY)
    assert (none.response, none.source_nodes, none.metadata["document"]) == ("", [], None)


def test_other_retrievers_have_no_text_around_an_answer(reader) -> None:
    class Talks:
        def search(self, questions, k):
            return [[Passage("drill.txt", TALKS["drill.txt"], 1.0)] for _ in questions]

    [node] = KerasQARetriever(Talks()).retrieve(WARRANTY)
    assert node.text == TALKS["drill.txt"]
    [source] = KerasQAQueryEngine(Talks(), reader).query(WARRANTY).source_nodes
    assert (source.text, source.metadata["document"]) == ("two years", "drill.txt")


def test_errors_are_one_line(index, reader) -> None:
    weights = [weight.copy() for weight in reader.model_.get_weights()]
    with pytest.raises(ValueError, match=r"^`k` must be a positive integer. Received: k=0.$"):
        KerasQARetriever(index, k=0)
    with pytest.raises(TypeError, match="^`index` must be a `documents.Index`, or have a method"):
        KerasQARetriever("all.index").retrieve(WARRANTY)
    with pytest.raises(ValueError, match=r"^`top_n` must be a positive integer. Received: top_n=0"):
        KerasQAReranker(top_n=0)
    with pytest.raises(TypeError, match="^`model` must be a `Reranker` or its name. Received: mod"):
        KerasQAReranker(7)
    with pytest.raises(TypeError, match=r"^`query` must be a string. Received: None\.$"):
        KerasQAReranker().postprocess_nodes(make_nodes())
    with pytest.raises(TypeError, match="^`reader` must be a `QuestionAnswerer`, or its name"):
        KerasQAQueryEngine(index, "minilm-rerank")
    with pytest.raises(TypeError, match=r"^A response has one answer. Leave `top_k` out\.$"):
        KerasQAQueryEngine(index, reader, top_k=2)
    with pytest.raises(TypeError, match="colour"):
        KerasQAQueryEngine(index, reader, colour="red").query(WARRANTY)
    for weight, before in zip(reader.model_.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(weight, before)


def test_the_code_of_the_docs_prints_what_it_says(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    run_block("LlamaIndex", capsys)
