"""The ranker, the retriever and the answers for LangChain, in its own runnables."""

import asyncio

import numpy as np
import pytest
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from talks import METADATA, TALKS, WARRANTY, make_index, run_block

import keras_qa
from keras_qa.answering import Reranker
from keras_qa.documents import Passage
from keras_qa.integrations.langchain import (
    KerasQAReranker,
    KerasQARetriever,
    answer_with_sources,
)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    with make_index(tmp_path_factory.mktemp("index")) as index:
        yield index


@pytest.fixture(scope="module")
def reader() -> keras_qa.QuestionAnswerer:
    return keras_qa.load("minilm-squad")


def test_a_ranker_sorts_documents() -> None:
    documents = [Document(text, id=name, metadata={"n": 1}) for name, text in TALKS.items()]
    ranker = KerasQAReranker()
    assert isinstance(ranker, BaseDocumentCompressor)
    best = ranker.compress_documents(documents, WARRANTY)
    expected = keras_qa.load("minilm-rerank").rank(WARRANTY, list(TALKS.values()))
    assert [item.page_content for item in best] == [item.text for item in expected]
    assert [item.metadata for item in best] == [{"n": 1, "score": item.score} for item in expected]
    assert best[0].id == "drill.txt"
    # The given documents are as before.
    assert [item.metadata for item in documents] == [{"n": 1}] * len(TALKS)
    few = KerasQAReranker(Reranker("minilm-rerank"), top_n=1, batch_size=2)
    assert few.compress_documents(documents, WARRANTY)[0].id == "drill.txt"
    assert len(asyncio.run(few.acompress_documents(documents, WARRANTY))) == 1
    assert few.compress_documents([], WARRANTY) == []


def test_a_retriever_finds_passages(index) -> None:
    retriever = KerasQARetriever(index, k=2, tags=["own"])
    assert isinstance(retriever, BaseRetriever)
    passages = index.search(WARRANTY, k=2)
    documents = retriever.invoke(WARRANTY)
    assert [item.page_content for item in documents] == [item.text for item in passages]
    for document, passage in zip(documents, passages, strict=True):
        assert document.metadata == {name: getattr(passage, name) for name in METADATA}
    assert documents[0].metadata["document"] == "drill.txt"
    assert asyncio.run(retriever.ainvoke(WARRANTY)) == documents
    assert retriever.batch([WARRANTY, "Who wrote the first program?"])[0] == documents
    ranker = KerasQAReranker(top_n=1)
    chain = retriever | RunnableLambda(lambda found: ranker.compress_documents(found, WARRANTY))
    [best] = chain.invoke(WARRANTY)
    assert best.page_content == TALKS["drill.txt"]


def test_answers_have_their_sources(index, reader) -> None:
    answers = answer_with_sources(index, reader)
    expected = reader.ask(index, WARRANTY)
    answer = answers.invoke(WARRANTY)
    assert expected.text == answer["answer"] == "two years"
    assert {name: answer[name] for name in METADATA} == {
        name: getattr(expected, name) for name in METADATA
    }
    assert answer["document"] == "drill.txt"
    assert TALKS["drill.txt"][answer["start"] : answer["end"]] == "two years"
    [source] = answer["sources"]
    assert source.page_content == TALKS["drill.txt"]
    assert source.metadata["line"] == 1
    chain = answers | RunnableLambda(lambda answer: answer["answer"])
    questions = [WARRANTY, "Who wrote the first program?"]
    assert chain.batch(questions) == ["two years", "Ada Lovelace"]
    assert asyncio.run(chain.ainvoke(WARRANTY)) == "two years"
    two = answer_with_sources(index, "minilm-squad", top_k=2).invoke(WARRANTY)
    assert [item["answer"] for item in two] == [
        item.text for item in reader.ask(index, WARRANTY, top_k=2)
    ]
    none = answer_with_sources(index, reader, min_score=1.0).invoke(WARRANTY)
    assert (none["answer"], none["document"], none["sources"]) == ("", None, [])


def test_other_retrievers_have_no_text_around_an_answer(reader) -> None:
    class Talks:
        def search(self, questions, k):
            return [[Passage("drill.txt", TALKS["drill.txt"], 1.0)] for _ in questions]

    [document] = KerasQARetriever(Talks()).invoke(WARRANTY)
    assert document.page_content == TALKS["drill.txt"]
    [source] = answer_with_sources(Talks(), reader).invoke(WARRANTY)["sources"]
    assert (source.page_content, source.metadata["document"]) == ("two years", "drill.txt")


def test_errors_are_one_line(index, reader) -> None:
    weights = [weight.copy() for weight in reader.model_.get_weights()]
    with pytest.raises(ValueError, match=r"^`k` must be a positive integer. Received: k=0.$"):
        KerasQARetriever(index, k=0)
    with pytest.raises(TypeError, match="^`index` must be a `documents.Index`, or have a method"):
        KerasQARetriever("all.index").invoke(WARRANTY)
    with pytest.raises(ValueError, match=r"^`top_n` must be a positive integer. Received: top_n=0"):
        KerasQAReranker(top_n=0)
    with pytest.raises(TypeError, match="^`model` must be a `Reranker` or its name. Received: mod"):
        KerasQAReranker(7)
    with pytest.raises(ValueError, match="^`minilm-squad` is not a ranker"):
        KerasQAReranker("minilm-squad")
    with pytest.raises(TypeError, match=r"^`query` must be a string. Received: \['Who\?'\]"):
        KerasQAReranker().compress_documents([Document("a")], ["Who?"])
    with pytest.raises(TypeError, match="^`reader` must be a `QuestionAnswerer`, or its name"):
        answer_with_sources(index, "minilm-rerank")
    answers = answer_with_sources(index, reader)
    with pytest.raises(TypeError, match=r"^`query` must be a string. Received: \{'question': 'Who"):
        answers.invoke({"question": "Who?"})
    with pytest.raises(TypeError, match="colour"):
        answer_with_sources(index, reader, colour="red").invoke(WARRANTY)
    for weight, before in zip(reader.model_.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(weight, before)


def test_the_code_of_the_docs_prints_what_it_says(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    run_block("LangChain", capsys)
