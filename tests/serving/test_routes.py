"""The routes, asked by the clients of their protocols."""

import contextlib
import copy
import sqlite3

import pytest
from huggingface_hub import InferenceClient
from servers import error_of, send, serve
from small_checkpoints import cross_encoder

from keras_qa.answering import Reranker
from keras_qa.documents import Index

TEXT = "the sky is dark grey. the box is red. the car is blue. the door is green."
QUESTION = "What colour is the car?"


def expected(answer) -> dict:
    place = {"start": answer.start or 0, "end": answer.end or 0}
    return {"answer": answer.text, "score": pytest.approx(answer.score, abs=1e-6), **place}


@pytest.mark.parametrize(
    ("parameters", "options"),
    [
        ({}, {}),
        ({"top_k": 3}, {"top_k": 3}),
        (
            {"handle_impossible_answer": False, "max_answer_len": 1},
            {"no_answer": False, "max_answer_words": 1},
        ),
        (
            {"handle_impossible_answer": True, "align_to_words": False},
            {"no_answer": True, "whole_words": False},
        ),
        (
            {"max_seq_len": 14, "doc_stride": 2, "max_question_len": 3, "top_k": 5},
            {"max_length": 14, "stride": 2, "max_question_length": 3, "top_k": 5},
        ),
    ],
)
def test_the_client_of_hugging_face_gets_the_answers_of_python(
    qa, url, parameters, options
) -> None:
    client = InferenceClient(model=url)
    found = client.question_answering(QUESTION, TEXT, **parameters)
    own = qa.answer(TEXT, QUESTION, **options)
    many = isinstance(own, list)
    assert [dict(one) for one in (found if many else [found])] == [
        expected(one) for one in (own if many else [own])
    ]


def test_lists_and_texts_without_an_answer(qa, url) -> None:
    nothing = {"question": "What colour is the moon?", "context": "the box is red."}
    pairs = [{"question": QUESTION, "context": TEXT}, nothing]
    status, found, _ = send(f"{url}/models/small/reader", {"inputs": pairs})
    texts, questions = zip(*((one["context"], one["question"]) for one in pairs), strict=True)
    assert status == 200
    assert found == [expected(one) for one in qa.answer(texts, questions)]
    assert (found[1]["answer"], found[1]["start"], found[1]["end"]) == ("", 0, 0)
    body = {"inputs": pairs, "parameters": {"top_k": 2}}
    ranked = qa.answer(texts, questions, top_k=2)
    assert send(url, body)[1] == [[expected(one) for one in row] for row in ranked]


def test_documents(qa, tmp_path) -> None:
    files = [{"name": "a b.txt", "text": "the car is blue.\nthe sky is red."}]
    files.append({"name": "<b>", "text": "the box is green. \ud800"})
    with Index.create(tmp_path / "all.index") as index, serve(qa, index, max_text=16) as url:
        index.add(files)
        own = qa.ask(index, [QUESTION, "What colour is the box?"], top_k=2)
        names = ("score", "document", "start", "end", "line", "page")
        expected = [
            [{"answer": one.text, **{name: getattr(one, name) for name in names}} for one in row]
            for row in own
        ]
        for row in expected:
            for one in row:
                one["score"] = pytest.approx(one["score"], abs=1e-6)
        asked = {"question": [QUESTION, "What colour is the box?"], "top_k": 2}
        assert send(f"{url}/ask", asked)[1] == expected
        assert send(f"{url}/ask", {"question": QUESTION})[1] == expected[0][0]
        assert expected[0][0]["document"] == "a b.txt"
        listed = {"documents": ["a b.txt", "<b>"], "count": 2}
        assert send(f"{url}/documents")[1] == listed
        assert send(f"{url}/documents/text?name=a+b.txt&start=4&end=7")[1]["text"] == "car"
        # Half of a character is replaced.
        assert send(f"{url}/documents/text?name=%3Cb%3E&start=17")[1]["text"] == " ?"
        assert error_of(f"{url}/documents/text?name=c") == (
            "404 The index has no document 'c'. `/docs` lists the routes."
        )
        for query in ("start=-1", "start=x", "start=5&end=4", "end=17", "start=99999999999"):
            assert error_of(f"{url}/documents/text?name=c&{query}").startswith("400 `")


def test_an_index_that_cannot_be_read_gives_503(qa, tmp_path) -> None:
    path = tmp_path / "all.index"
    with Index.create(path) as index:
        index.add([{"name": "a", "text": "the car is blue."}])
    with (
        Index.open(path, timeout=0.1) as index,
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other,
        serve(qa, index) as url,
    ):
        requests = [("/ask", {"question": QUESTION}), ("/documents", None), ("/info", None)]
        requests.append(("/documents/text?name=a", None))
        for statement in ("BEGIN EXCLUSIVE", "DELETE FROM passages"):
            other.execute(statement)
            if statement != "BEGIN EXCLUSIVE":
                # The checksum is of the passages before.
                other.execute("COMMIT")
                requests.remove(("/info", None))
            for route, asked in requests:
                status, found, headers = send(url + route, asked)
                message = (
                    "The index cannot be read: another process is writing it, or it is damaged."
                )
                assert (status, found) == (503, {"error": message})
                assert headers["Retry-After"] == "5"
        assert send(f"{url}/health")[0] == 200


def test_the_passages_of_a_request_are_limited(qa, tmp_path) -> None:
    class Counted:
        model_ = qa.model_
        answer = qa.answer

        def __init__(self):
            self.sizes = []

        def ask(self, index, questions, **options):
            self.sizes.append(len(questions))
            return qa.ask(index, questions, **options)

    reader = Counted()
    with Index.create(tmp_path / "all.index") as index, serve(reader, index) as url:
        index.add([{"name": "a", "text": "the car is blue."}])
        reader.sizes.clear()
        asked = {"question": [QUESTION] * 9, "passages": 30}
        assert len(send(f"{url}/ask", asked)[1]) == 9
        assert reader.sizes == [3, 3, 3]
        assert error_of(f"{url}/ask", {"question": [QUESTION] * 11, "passages": 100}) == (
            "400 `passages` must be at most 1000 for all questions together. Received: 11 "
            "questions with 100 passages each."
        )
        for question in ("", [QUESTION, " "]):
            assert "must be more than white space." in error_of(
                f"{url}/ask", {"question": question}
            )


def test_documents_are_asked_with_the_default_ranker_of_the_reader(qa, tmp_path) -> None:
    ranker = Reranker(cross_encoder(tmp_path / "cross"))
    ranker.save(tmp_path / "ranker.keras")
    reader = copy.copy(qa)
    reader.ranker_ = str(tmp_path / "ranker.keras")
    with Index.create(tmp_path / "all.index") as index:
        index.add([{"name": f"{n}.txt", "text": text} for n, text in enumerate(TEXT.split(". "))])
        scores = [qa.ask(index, QUESTION, ranker=given).score for given in (None, ranker)]
        for model, score in zip((qa, reader), scores, strict=True):
            with serve(model, index) as url:
                result = send(f"{url}/ask", {"question": QUESTION})[1]
            assert result["score"] == pytest.approx(score, abs=1e-6)
    assert abs(scores[0] - scores[1]) > 1e-3


def test_ranker_answers_as_text_embeddings_inference(qa, tmp_path) -> None:
    ranker = Reranker(cross_encoder(tmp_path / "cross"))
    texts = ["the car is blue.", "the sky is red.", "what"]
    with serve(qa, ranker=ranker) as url:
        asked = {"query": QUESTION, "texts": texts, "return_text": True, "truncate": True}
        ranked = ranker.rank(QUESTION, texts)
        assert send(f"{url}/rerank", asked)[1] == [
            {"index": one.index, "text": one.text, "score": pytest.approx(one.score, abs=1e-6)}
            for one in ranked
        ]
        raw = ranker.logits([QUESTION], [texts])[0]
        asked = {"query": QUESTION, "texts": texts, "raw_scores": True}
        assert send(f"{url}/rerank", asked)[1] == [
            {"index": one.index, "score": pytest.approx(raw[one.index], abs=1e-6)} for one in ranked
        ]
        assert error_of(f"{url}/rerank", {**asked, "texts": []}) == (
            "400 `texts` must have at least 1 entries. Received: 0 entries."
        )
