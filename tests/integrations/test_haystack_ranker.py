"""`KerasRanker`, the component for Haystack that sorts documents."""

import inspect
import math

import pytest
from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from small_checkpoints import cross_encoder

import keras_qa
from keras_qa.integrations.haystack import KerasRanker

QUERY = "Where is Mary?"
DOCUMENTS = [
    Document(content="Mary moved to the bathroom.", meta={"name": "one"}, score=0.25),
    Document(content="John and Mary went there."),
    Document(content="Once more Mary went to the hallway."),
]


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> str:
    return str(cross_encoder(tmp_path_factory.mktemp("ranker") / "cross"))


@pytest.fixture(scope="module")
def ranked(path) -> list:
    return keras_qa.load(path).rank(QUERY, [one.content for one in DOCUMENTS])


def test_documents_are_sorted_and_scored(path, ranked) -> None:
    ranker = KerasRanker(path)
    found = ranker.run(QUERY, DOCUMENTS)["documents"]
    assert [one.content for one in found] == [one.text for one in ranked]
    assert [one.score for one in found] == pytest.approx([one.score for one in ranked], rel=1e-5)
    assert all(type(one.score) is float for one in found)
    # Copies: the documents of the caller are not changed.
    assert [(one.id, one.meta) for one in found] == [
        (DOCUMENTS[one.index].id, DOCUMENTS[one.index].meta) for one in ranked
    ]
    assert [one.score for one in DOCUMENTS] == [0.25, None, None]
    logits = ranker.run(QUERY, DOCUMENTS, scale_score=False)["documents"]
    for one, other in zip(logits, found, strict=True):
        assert 1 / (1 + math.exp(-one.score)) == pytest.approx(other.score, rel=1e-5)


def test_top_k_and_threshold(path, ranked) -> None:
    ranker = KerasRanker(path, top_k=2)
    texts = [one.text for one in ranked]
    for options, count in (
        ({}, 2),
        ({"top_k": 1}, 1),
        ({"top_k": 9}, 3),
        ({"top_k": 9, "score_threshold": ranked[1].score * 0.9999}, 2),
        ({"score_threshold": 1.1}, 0),
        ({"top_k": 9, "scale_score": False, "score_threshold": -1e6}, 3),
    ):
        found = ranker.run(QUERY, DOCUMENTS, **options)["documents"]
        assert [one.content for one in found] == texts[:count]


def test_documents_without_text_and_duplicates(path) -> None:
    ranker = KerasRanker(path)
    assert ranker.run(QUERY, []) == {"documents": []}
    odd = [Document(content=None, id="bare"), Document(content=" \n")]
    assert ranker.run(QUERY, odd) == {"documents": []}
    assert ranker.run(QUERY, [*odd, *DOCUMENTS, *DOCUMENTS]) == ranker.run(QUERY, DOCUMENTS)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("top_k", 0, "`top_k` must be a positive integer. Received: top_k=0."),
        ("scale_score", 1, "`scale_score` must be `True` or `False`. Received: scale_score=1."),
        ("score_threshold", "a", "`score_threshold` must be a finite number. Received: score_thr"),
    ],
)
def test_arguments_out_of_range(path, name, value, message) -> None:
    ranker = KerasRanker(path)
    for call in (
        lambda: KerasRanker(path, **{name: value}),
        lambda: ranker.run(QUERY, DOCUMENTS, **{name: value}),
    ):
        with pytest.raises((TypeError, ValueError), match="^`") as caught:
            call()
        assert str(caught.value).startswith(message)


def test_wrong_types_and_models(path) -> None:
    ranker = KerasRanker(path)
    with pytest.raises(TypeError, match=r"^`query` must be a string\. Received: None\.$"):
        ranker.run(None, DOCUMENTS)
    with pytest.raises(TypeError, match=r"^`documents` must be a list of Haystack's `Document`"):
        ranker.run(QUERY, ["Mary is here."])
    with pytest.raises(ValueError, match=r"^`babi` is not a ranker\. Expected"):
        KerasRanker("babi").warm_up()


def test_signature_of_haystacks_ranker() -> None:
    names = ["query", "documents", "top_k", "scale_score", "score_threshold"]
    assert list(inspect.signature(KerasRanker.run).parameters)[1:] == names
    assert KerasRanker().to_dict()["init_parameters"] == {
        "model": "minilm-rerank",
        "top_k": 10,
        "scale_score": True,
        "score_threshold": None,
        "batch_size": 32,
    }


def test_save_and_load_a_pipeline(path) -> None:
    store = InMemoryDocumentStore()
    store.write_documents(DOCUMENTS)
    fetched = InMemoryBM25Retriever(store, top_k=3).run(QUERY)["documents"]
    expected = keras_qa.load(path).rank(QUERY, [one.content for one in fetched], top_k=2)
    made = Pipeline()
    made.add_component("retriever", InMemoryBM25Retriever(store, top_k=3))
    made.add_component("ranker", KerasRanker(path, top_k=2))
    made.connect("retriever.documents", "ranker.documents")
    inputs = {"retriever": {"query": QUERY}, "ranker": {"query": QUERY}}
    found = made.run(inputs)["ranker"]["documents"]
    assert [one.content for one in found] == [one.text for one in expected]
    data = made.to_dict()["components"]["ranker"]
    assert data["type"] == "keras_qa.integrations.haystack.KerasRanker"
    again = KerasRanker.from_dict(data)
    assert again.to_dict() == data
    assert [one.id for one in again.run(QUERY, fetched)["documents"]] == [one.id for one in found]
