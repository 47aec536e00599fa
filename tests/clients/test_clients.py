"""The routes in the schemas of OpenAI, Cohere and text-embeddings-inference, by their clients."""

import cohere
import httpx
import numpy as np
import openai
import pytest
from huggingface_hub import InferenceClient
from servers import serve

import keras_qa

TEXTS = [
    "The warranty of the lamp lasts three years.",
    "Repairs are done in Bergen by two mechanics.",
    "It rains.",
]
QUESTION = "How long is the warranty?"


@pytest.fixture(scope="module")
def ranker():
    return keras_qa.load("minilm-rerank")


@pytest.fixture(scope="module")
def embedder():
    return keras_qa.load("minilm-embed")


@pytest.fixture(scope="module")
def url(ranker, embedder):
    with serve(None, ranker=ranker, embedder=embedder, token="secret", max_texts=8) as url:
        yield url


@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "float"}])
def test_the_client_of_openai(url, embedder, encoding) -> None:
    options = {"base_url": f"{url}/v1", "max_retries": 0}
    with openai.OpenAI(api_key="secret", **options) as client:
        # Without `encoding_format`, it asks for base64.
        response = client.embeddings.create(input=TEXTS, model="minilm", **encoding)
        vectors = [row.embedding for row in response.data]
        np.testing.assert_allclose(vectors, embedder(TEXTS), atol=1e-6)
        assert [row.index for row in response.data] == [0, 1, 2]
        assert response.usage.total_tokens == embedder.count_pieces(TEXTS).sum()
        assert response.model == embedder.name
        message = "`dimensions` must be one of 384. Received: 3."
        with pytest.raises(openai.BadRequestError, match=message) as raised:
            client.embeddings.create(input="a", model="minilm", dimensions=3)
        assert raised.value.type == "invalid_request_error"
        with pytest.raises(openai.BadRequestError, match="`input` must have at most 8 entries"):
            client.embeddings.create(input=["a"] * 9, model="minilm")
    with (
        openai.OpenAI(api_key="wrong", **options) as client,
        pytest.raises(openai.AuthenticationError, match="The token is missing or wrong."),
    ):
        client.embeddings.create(input="a", model="minilm")


def test_the_client_of_cohere(url, ranker) -> None:
    with httpx.Client() as connection:
        client = cohere.ClientV2(api_key="secret", base_url=url, httpx_client=connection)
        response = client.rerank(model="any", query=QUESTION, documents=TEXTS, top_n=2)
        ranked = ranker.rank(QUESTION, TEXTS, top_k=2)
        assert [row.index for row in response.results] == [item.index for item in ranked]
        scores = [row.relevance_score for row in response.results]
        np.testing.assert_allclose(scores, [item.score for item in ranked], atol=1e-6)
        assert ranked[0].index == 0
        message = "`documents` must have at least 1 entries"
        with pytest.raises(cohere.BadRequestError, match=message):
            client.rerank(model="any", query=QUESTION, documents=[])


def test_the_client_of_hugging_face(url, embedder) -> None:
    with InferenceClient(model=f"{url}/embed", token="secret") as client:
        np.testing.assert_allclose(client.feature_extraction(TEXTS), embedder(TEXTS), atol=1e-6)
