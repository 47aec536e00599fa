"""Routes of rankers, embedders and verification: results of Python, other schemas, errors."""

import base64
import dataclasses
import json
import pathlib
import random
import re
import sys

import numpy as np
import pytest
from interpreters import start
from servers import error_of, send, serve
from small_checkpoints import bert_tokens, copy, cross_encoder

import keras_qa
from keras_qa.answering import Reranker, TextEmbedder
from keras_qa.answering.opening import open_model
from keras_qa.documents import Index
from keras_qa.onnx import export
from keras_qa.serving import create_app

ROOT = pathlib.Path(__file__).parents[2]
EXPORTED = ROOT / "tests" / "golden" / "exported"
QUESTION = "Who slept?"
TEXTS = ["Mary went to the bathroom.", "Mary slept.", "then she slept at home"]
CLAIMS = "The car is blue. Mary has 3 boxes."
DOCUMENTS = ["the car is blue. the box is red.", {"name": "mary.txt", "text": "Mary has 4 boxes."}]


@pytest.fixture(scope="module")
def ranker(tmp_path_factory) -> Reranker:
    return Reranker(cross_encoder(tmp_path_factory.mktemp("ranker") / "cross"))


@pytest.fixture(scope="module")
def embedder(tmp_path_factory) -> TextEmbedder:
    return TextEmbedder(copy("bert", tmp_path_factory.mktemp("encoder") / "bert"), name="small")


@pytest.fixture(scope="module")
def checks(qa, ranker) -> dict:
    return {"reader": qa, "ranker": ranker, "checker": None}


@pytest.fixture(scope="module")
def served(qa, ranker, embedder, checks, tmp_path_factory):
    """A server of all models, with an index."""
    with Index.create(tmp_path_factory.mktemp("index") / "all.index") as index:
        index.add([{"name": "car.txt", "text": "the car is blue.\nthe sky is red."}])
        models = {"embedder": embedder, "verify": checks}
        limits = {"max_text": 2_000, "max_answer": 200, "max_sentences": 50}
        with serve(qa, index, ranker, **models, **limits) as url:
            yield url


def verdicts(*arguments, **options) -> list[dict]:
    rows = []
    for item in keras_qa.verify(*arguments, **options):
        row = {**dataclasses.asdict(item), "supported": item.supported}
        rows.append({**row, "score": pytest.approx(item.score, abs=1e-6)})
    return rows


def test_embed_as_text_embeddings_inference(served, embedder) -> None:
    for inputs in (TEXTS[0], TEXTS):
        texts = [inputs] if isinstance(inputs, str) else inputs
        status, result, _ = send(f"{served}/embed", {"inputs": inputs, "truncate": True})
        assert status == 200
        np.testing.assert_allclose(result, embedder(texts), atol=1e-6)
    body = {"inputs": TEXTS, "normalize": False}
    means = np.array(send(f"{served}/embed", body)[1])
    np.testing.assert_allclose(means, embedder(TEXTS, normalize=False), atol=1e-5)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    assert np.abs(lengths - 1).min() > 0.1
    np.testing.assert_allclose(means / lengths, embedder(TEXTS), atol=1e-5)


def test_embeddings_as_openai(served, embedder) -> None:
    expected = embedder(TEXTS)
    body = {"input": TEXTS, "model": "any", "dimensions": 16, "user": "me"}
    status, result, _ = send(f"{served}/v1/embeddings", body)
    # [CLS], [SEP] and the pieces.
    count = sum(len(embedder.tokenizer.encode(text)[0]) + 2 for text in TEXTS)
    rows = result.pop("data")
    usage = {"prompt_tokens": count, "total_tokens": count}
    assert (status, result) == (200, {"object": "list", "model": "small", "usage": usage})
    assert [(row["object"], row["index"]) for row in rows] == [("embedding", n) for n in range(3)]
    np.testing.assert_allclose([row["embedding"] for row in rows], expected, atol=1e-6)
    body = {"input": TEXTS[0], "model": "any", "encoding_format": "base64"}
    (row,) = send(f"{served}/v1/embeddings", body)[1]["data"]
    vector = np.frombuffer(base64.b64decode(row["embedding"]), "<f4")
    np.testing.assert_allclose(vector, expected[0], atol=1e-6)


def test_rerank_as_cohere(served, ranker) -> None:
    ranked = ranker.rank(QUESTION, TEXTS)
    body = {"model": "any", "query": QUESTION, "documents": TEXTS}
    status, result, _ = send(f"{served}/v2/rerank", body)
    assert status == 200
    assert re.fullmatch(r"[0-9a-f-]{36}", result.pop("id"))
    expected = [
        {"index": item.index, "relevance_score": pytest.approx(item.score, abs=1e-6)}
        for item in ranked
    ]
    assert result == {"results": expected, "meta": {"api_version": {"version": "2"}}}
    assert send(f"{served}/v2/rerank", {**body, "top_n": 2})[1]["results"] == expected[:2]
    # Two tokens of each text.
    tokenizer = ranker.model_.preprocessor.vectorizer.tokenizer
    cut = ranker.rank(QUESTION, [text[: tokenizer.encode(text)[1][1, 1]] for text in TEXTS])
    shortened = send(f"{served}/v2/rerank", {**body, "max_tokens_per_doc": 2})[1]["results"]
    assert shortened == [
        {"index": item.index, "relevance_score": pytest.approx(item.score, abs=1e-6)}
        for item in cut
    ]
    assert shortened != expected


def test_verify_gives_the_verdicts_of_python(served, checks) -> None:
    expected = verdicts(CLAIMS, DOCUMENTS, **checks)
    assert [row["outcome"] for row in expected] == ["supported", "contradicted"]
    assert [(row["document"], row["line"]) for row in expected] == [("0", 1), ("mary.txt", 1)]
    assert expected[1]["instead"] is not None
    item = {"answer": CLAIMS, "documents": DOCUMENTS}
    assert send(f"{served}/verify", {"inputs": item})[1] == expected
    # Supported at this threshold alone, and by the reader's answer to the question alone.
    answer, question = "It has the colour blue, they say.", "What colour is the car?"
    item = {"answer": answer, "documents": DOCUMENTS}
    asked = {**item, "question": question}
    rows = send(f"{served}/verify", {"inputs": [asked, item], "threshold": 0.45})[1]
    assert rows == [
        verdicts(answer, DOCUMENTS, question, threshold=0.45, **checks),
        verdicts(answer, DOCUMENTS, threshold=0.45, **checks),
    ]
    assert [row[0]["supported"] for row in rows] == [True, False]
    assert not send(f"{served}/verify", {"inputs": asked, "threshold": 0.9})[1][0]["supported"]


def test_verify_without_documents_uses_the_index(served, checks) -> None:
    found = send(
        f"{served}/verify", {"inputs": {"answer": "The car is blue. Cows eat 7 kg of grass."}}
    )[1]
    assert [(row["outcome"], row["document"], row["line"]) for row in found] == [
        ("supported", "car.txt", 1),
        ("not found", None, None),
    ]
    # A name is a name, and no path.
    item = {"answer": "root:x:0:0", "documents": ["/etc/passwd"]}
    (row,) = send(f"{served}/verify", {"inputs": item})[1]
    assert (row["supported"], row["document"]) == (False, None)


ERRORS = [
    ("/verify", {"inputs": {"answer": " "}}, "`inputs.answer` must be more than white space. Rec"),
    ("/verify", {"inputs": {"answer": "a" * 201}}, "`inputs.answer` must have at most 200 char"),
    (
        "/verify",
        {"inputs": {"answer": "a. " * 60}},
        "`answer` must have at most 50 sentences. Rece",
    ),
    ("/verify", {"inputs": {"answer": "a", "documents": "/etc"}}, "`inputs.documents` must be a l"),
    ("/verify", {"inputs": {"answer": "a", "documents": []}}, "`inputs.documents` must have at le"),
    (
        "/verify",
        {"inputs": {"answer": "a", "documents": ["b", {"name": "0", "text": "c"}]}},
        "`documents` must have different names. Received two documents with the name '0'.",
    ),
    (
        "/verify",
        {"inputs": {"answer": "a", "documents": [{"path": "/etc/passwd"}]}},
        "`inputs.documents[0].name` is missing.",
    ),
    ("/verify", {"inputs": {"answer": "a"}, "threshold": 2}, "`threshold` must be from 0 to 1."),
    ("/verify", {"inputs": {"answer": "a"}, "reader": "b"}, "There is no `reader`. The keys are"),
    ("/embed", {"inputs": []}, "`inputs` must have at least 1 entries. Received: 0 entries."),
    ("/embed", {"inputs": ["a", ""]}, "`inputs[1]` must be more than white space. Received: ''."),
    ("/embed", {"inputs": "a", "normalize": 1}, "`normalize` must be true or false. Received: 1."),
]


@pytest.mark.parametrize(("path", "body", "message"), ERRORS)
def test_errors(served, path: str, body: dict, message: str) -> None:
    found = error_of(served + path, body)
    assert found.startswith("400 ")
    assert message in found


def test_errors_in_the_forms_of_openai_and_cohere(served) -> None:
    asked = {"model": "a", "input": "b"}
    for change, message in (
        ({"dimensions": 3}, "`dimensions` must be one of 16. Received: 3."),
        ({"input": [1, 2]}, "`input[0]` must be a string. Received: 1."),
        (
            {"encoding_format": "hex"},
            "`encoding_format` must be one of float, base64. Received: 'h",
        ),
    ):
        status, found, _ = send(f"{served}/v1/embeddings", {**asked, **change})
        details = found["error"]
        assert (status, list(found)) == (400, ["error"])
        assert details.pop("message").startswith(message)
        assert details == {"type": "invalid_request_error", "param": None, "code": None}
    status, found, _ = send(f"{served}/v2/rerank", {"query": "a", "documents": "b"})
    assert (status, found) == (400, {"message": "`documents` must be a list. Received: 'b'."})
    assert send(f"{served}/v2/rerank", None)[1] == {
        "message": "Method Not Allowed. `/docs` lists the routes."
    }


def test_a_token_that_is_missing_in_the_forms_of_the_routes(embedder) -> None:
    with serve(None, embedder=embedder, token="secret") as url:
        status, found, _ = send(f"{url}/v1/embeddings", {"model": "a", "input": "b"})
        message = "The token is missing or wrong. Send it as a Bearer token."
        assert (status, found["error"]["message"]) == (401, message)
        headers = {"Authorization": "Bearer secret"}
        assert send(f"{url}/embed", {"inputs": "b"}, **headers)[0] == 200


def test_a_server_has_the_routes_of_its_models(ranker, embedder, checks) -> None:
    with pytest.raises(ValueError, match="^There is no model to serve. Pass `qa`, `ranker`, `emb"):
        create_app()
    with pytest.raises(ValueError, match="^A `question` needs a reader. Pass `reader`"):
        create_app(verify={"reader": None})
    shared = ["/health", "/info", "/metrics", "/", "/docs", "/openapi.json"]
    for models, paths in (
        ({"ranker": ranker}, ["/rerank", "/v2/rerank"]),
        ({"embedder": embedder}, ["/embed", "/v1/embeddings"]),
        ({"verify": checks}, ["/verify"]),
    ):
        assert [route.path for route in create_app(**models).routes] == [*paths, *shared]
    with serve(None, ranker=ranker) as url:
        info = send(f"{url}/info")[1]
        kinds = ("documents", "ranker", "embedder", "verify")
        assert [info[kind] for kind in kinds] == [None, True, False, False]
        # The page for people asks a reader, so here is the list of routes.
        assert b"openapi.json" in send(url)[1]
        assert error_of(url, {"inputs": "a"}).startswith("405 ")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    return open_model(bert_tokens(folder / "bert")).model


@pytest.mark.parametrize("is_exported", [False, True])
def test_verify_by_a_classifier_of_tokens(is_exported, classifier, tmp_path) -> None:
    text = "Mary slept at home."
    options = {"reader": classifier, "threshold": 0.0}
    expected = verdicts(text, [TEXTS[0]], **options)
    assert expected
    assert {row["outcome"] for row in expected} == {"not found"}
    if is_exported:
        export(classifier, tmp_path / "exported")
        classifier = open_model(tmp_path / "exported").model
        for row in expected:
            row["score"] = pytest.approx(row["score"].expected, abs=1e-4)
    with (
        Index.create(tmp_path / "all.index") as index,
        serve(None, index, verify={"reader": classifier}) as url,
    ):
        item = {"answer": text, "documents": [TEXTS[0]]}
        assert send(f"{url}/verify", {"inputs": item, "threshold": 0})[1] == expected
        # It would read the whole index.
        message = "400 `inputs.documents` is missing."
        assert error_of(f"{url}/verify", {"inputs": {"answer": text}}) == message


SERVE = """
import sys
from keras_qa.cli import main
code = main(sys.argv[1:])
print(*sorted({"keras", "torch", "tensorflow", "jax"} & {*sys.modules}), sep=",")
sys.exit(code)
"""


def test_exported_rankers_and_embedders_are_served_without_keras() -> None:
    arguments = ["serve", EXPORTED / "embedder", "--ranker", EXPORTED / "ranker", "--port", "0"]
    command = [sys.executable, "-c", SERVE, *map(str, arguments)]
    with start(command, cwd=ROOT, stdout=-1, stderr=-1, text=True) as started:
        url = re.search(r"http://\S+(?=\.)", started.stdout.readline())[0]
        vectors = send(f"{url}/embed", {"inputs": TEXTS})[1]
        scores = send(f"{url}/v2/rerank", {"query": QUESTION, "documents": TEXTS})[1]["results"]
        started.send_signal(2)
        assert started.wait(30) == 0
        assert started.stdout.read() == "\n"
        assert "POST /v2/rerank 200" in started.stderr.read()
    np.testing.assert_allclose(vectors, TextEmbedder(EXPORTED / "embedder")(TEXTS), atol=1e-6)
    ranked = Reranker(EXPORTED / "ranker").rank(QUESTION, TEXTS)
    expected = [(item.index, pytest.approx(item.score, abs=1e-6)) for item in ranked]
    assert [(row["index"], row["relevance_score"]) for row in scores] == expected


HOSTILE = [
    *("/etc/passwd", "../../etc/passwd", "file:///etc/passwd", "hf://a/b", "C:\\a", "\\\\a\\b"),
    *("__import__('os').system('touch hacked')", "{{7*7}}", "$(touch hacked)", "'; DROP TABLE a"),
    *("\x00", "\u202e", "😀" * 40, "a" * 3_000, "", " ", "NEAR(", '"', "*", "-1", "minilm-squad"),
    *(None, True, 0, -1, 1.5, 1e308, 10**30, [], {}, [[]], ["a"], [None], {"name": "/etc/passwd"}),
]
VALID = {
    "/": {"inputs": {"question": QUESTION, "context": TEXTS[1]}, "parameters": {"top_k": 2}},
    "/models/reader": {"inputs": [{"question": QUESTION, "context": TEXTS[1]}]},
    "/ask": {"question": QUESTION, "top_k": 2, "passages": 3, "min_score": 0.1},
    "/rerank": {"query": QUESTION, "texts": TEXTS, "raw_scores": True, "return_text": True},
    "/v2/rerank": {"query": QUESTION, "documents": TEXTS, "top_n": 1, "max_tokens_per_doc": 5},
    "/embed": {"inputs": TEXTS, "normalize": False, "truncate": True},
    "/v1/embeddings": {"input": TEXTS, "model": "a", "encoding_format": "base64"},
    "/verify": {"inputs": {"answer": CLAIMS, "documents": DOCUMENTS}, "threshold": 0.5},
}


def changed(value, rng: random.Random):
    """Returns JSON of which one part is replaced, removed or repeated."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        rest = {name: item for name, item in value.items() if name != key}
        return rest if rng.random() < 0.1 else {**rest, key: changed(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.6:
        position = rng.randrange(len(value))
        return [*value[:position], changed(value[position], rng), *value[position:]]
    return rng.choice(HOSTILE)


def test_changed_requests_are_no_errors_of_the_server(served, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)
    statuses: dict[int, int] = {}
    for number in range(500):
        path = [*VALID][number % len(VALID)]
        body = changed(VALID[path], rng)
        status, found, _ = send(served + path, json.dumps(body).encode())
        statuses[status] = statuses.get(status, 0) + 1
        assert status in (200, 400), (path, body, found)
        assert "root:" not in str(found), (path, body)
    assert statuses[200] > 50
    assert statuses[400] > 100
    assert list(tmp_path.iterdir()) == []
