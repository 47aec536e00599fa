"""Requests that schemathesis makes from the server's own description."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from servers import serve, small_reader
from small_checkpoints import cross_encoder

from keras_qa.answering import Reranker, TextEmbedder
from keras_qa.documents import Index

ANSWERED = ("/", "/models/{id}", "/ask", "/rerank", "/v2/rerank", "/verify", "/embed")
ANSWERED += ("/v1/embeddings",)
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


@pytest.fixture(scope="module")
def operations(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    ranker = Reranker(cross_encoder(folder / "cross"))
    with Index.create(folder / "all.index") as index:
        index.add([{"name": "car.txt", "text": "the car is blue."}])
        reader, limits = small_reader(), {"max_text": 500, "max_question": 100, "max_answer": 100}
        verify = {"reader": reader, "ranker": ranker, "checker": None}
        models = {"embedder": TextEmbedder(folder / "cross"), "verify": verify}
        with serve(reader, index, ranker, **models, **limits) as url:
            schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
            yield [operation.ok() for operation in schema.get_all_operations()]


def send_all(operation, mode) -> set[int]:
    """Sends requests of an operation. Returns the statuses of the responses."""
    statuses = set()

    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case) -> None:
        response = case.call()
        case.validate_response(response, checks=[not_a_server_error])
        statuses.add(response.status_code)
        if response.status_code >= 400:
            error = response.json().get("error", response.json())
            assert "\n" not in (error if isinstance(error, str) else error["message"])

    send()
    return statuses


@pytest.mark.parametrize("mode", MODES, ids=["valid", "invalid"])
def test_no_request_is_an_error_of_the_server(operations, mode) -> None:
    assert {operation.path for operation in operations} > {*ANSWERED, "/health", "/documents"}
    for operation in operations:
        # Of the others there is nothing to make invalid.
        if mode is MODES[0] or operation.path in ANSWERED:
            statuses = send_all(operation, mode)
            # The description cannot say that the end of a part follows its start, or that names of
            # documents differ.
            if not operation.path.startswith(("/documents/", "/verify")):
                assert (statuses == {200}) == (mode is MODES[0]), operation.path
