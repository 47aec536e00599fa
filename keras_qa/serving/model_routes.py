"""`ModelRoutes`: the routes of rankers, embedders and verification, and what all routes share."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import itertools
import json
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keras_qa.answering.verification import verify
from keras_qa.documents.facts import sentences
from keras_qa.serving.guard import Metrics, read_body
from keras_qa.serving.limits import Limits
from keras_qa.serving.model_queue import Call, ModelQueue, UnavailableError, predict_in_slices
from keras_qa.serving.schemas import Schema, parse

_logger = logging.getLogger("keras_qa.serving")

# Seconds after which a client may try to read the index again.
_RETRY_INDEX_AFTER = 5


class Json(JSONResponse):
    """JSON of texts that may have half of a surrogate pair: documents of an index may."""

    def render(self, content: Any) -> bytes:
        """Returns the body."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


@dataclasses.dataclass(frozen=True)
class Models:
    """What a server serves, see `create_app`. `verify` has arguments of `keras_qa.verify`."""

    reader: Any = None
    index: Any = None
    ranker: Any = None
    embedder: Any = None
    verify: Mapping[str, Any] | None = None

    def warm_up(self) -> None:
        """Computes something by each model, which loads or compiles. An unfit model raises."""
        if self.reader is not None:
            self.reader.answer("Ann left.", "Who left?", top_k=1)
            if self.index is not None:
                self.reader.ask(self.index, "Who left?", ranker=self.ranker or "auto")
        if self.ranker is not None:
            self.ranker.rank("Who left?", ["Ann left."])
        if self.embedder is not None:
            self.embedder(["Ann left."])
        if self.verify is not None:
            verify("Ann left.", ["Ann left."], "Who left?", **self.verify)

    def in_slices(self, rows: int, check: Callable[[], None]) -> Models:
        """Returns the models as copies that call `check` between slices, without the reader."""

        def wrap(owner: Any) -> Any:
            return None if owner is None else predict_in_slices(owner, rows, check)

        models = None
        if self.verify is not None:
            models = {name: wrap(owner) for name, owner in self.verify.items()}
        return dataclasses.replace(
            self, ranker=wrap(self.ranker), embedder=wrap(self.embedder), verify=models
        )


class ModelRoutes:
    """The functions of the routes, and what they share. `thread` alone runs the models."""

    requests: Mapping[str, Schema]

    def __init__(self, models: Models, limits: Limits, metrics: Metrics, thread: Executor) -> None:
        self.limits, self.metrics = limits, metrics
        self.queue = ModelQueue(limits, thread, metrics.batches.observe)
        metrics.waiting.set_function(lambda: len(self.queue))
        # The first client does not wait for what the first call loads or compiles.
        thread.submit(models.warm_up).result()
        self.models = models.in_slices(limits.max_batch, self.queue.check)
        self.routes: list[Route] = []
        if models.ranker is not None:
            self._add("/rerank", self.rerank)
            self._add("/v2/rerank", self.rerank_v2)
        if models.embedder is not None:
            self._add("/embed", self.embed)
            self._add("/v1/embeddings", self.embeddings)
        if models.verify is not None:
            self._add("/verify", self.verify)

    def _add(self, path: str, endpoint: Callable[..., Any], method: str = "POST") -> None:
        self.routes.append(Route(path, endpoint, methods=[method]))

    async def rerank(self, request: Request[Any]) -> Response:
        """Sorts texts by how well they answer a question, as text-embeddings-inference does."""
        body = await self._read(request, "rerank")
        texts = body["texts"]
        ranked = await self._rank(request, body["query"], texts, raw=body.get("raw_scores", False))
        rows = [{"index": index, "score": score} for index, score in ranked]
        if body.get("return_text", False):
            rows = [{**row, "text": texts[row["index"]]} for row in rows]
        return Json(rows)

    async def rerank_v2(self, request: Request[Any]) -> Response:
        """Sorts texts by how well they answer a question, as version 2 of Cohere's API does."""
        body = await self._read(request, "rerank_v2")
        longest = body.get("max_tokens_per_doc")
        ranked = await self._rank(request, body["query"], body["documents"], longest=longest)
        rows = [{"index": index, "relevance_score": score} for index, score in ranked]
        about = {"id": str(uuid.uuid4()), "meta": {"api_version": {"version": "2"}}}
        return Json({**about, "results": rows[: body.get("top_n")]})

    async def embed(self, request: Request[Any]) -> Response:
        """Turns texts into vectors, as text-embeddings-inference does."""
        body = await self._read(request, "embed")
        normalize = body.get("normalize", True)
        vectors, _ = await self._embed(request, body["inputs"], normalize)
        return Json(vectors.tolist())

    async def embeddings(self, request: Request[Any]) -> Response:
        """Turns texts into vectors, as OpenAI's API does."""
        body = await self._read(request, "embeddings")
        vectors, count = await self._embed(request, body["input"])
        rows: list[Any] = vectors.tolist()
        if body.get("encoding_format") == "base64":
            rows = [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in vectors]
        data = [
            {"object": "embedding", "index": index, "embedding": row}
            for index, row in enumerate(rows)
        ]
        usage = {"prompt_tokens": count, "total_tokens": count}
        about = {"object": "list", "model": self.models.embedder.name, "usage": usage}
        return Json({**about, "data": data})

    async def verify(self, request: Request[Any]) -> Response:
        """Checks answers against the documents of the request, or those of the index."""
        body = await self._read(request, "verify")
        inputs = body["inputs"]
        call = Call(self._compute_verdicts, (("threshold", body.get("threshold", 0.5)),))
        items = []
        for item in inputs if isinstance(inputs, list) else [inputs]:
            count, most = len(sentences(item["answer"])), self.limits.max_sentences
            if count > most:
                raise ValueError(f"`answer` must have at most {most} sentences. Received: {count}.")
            documents = [
                {"name": str(number), "text": document} if isinstance(document, str) else document
                for number, document in enumerate(item.get("documents", []))
            ]
            size = len(item["answer"]) + sum(len(document["text"]) for document in documents)
            items.append(((item["answer"], documents, item.get("question")), size))
        results = await self._compute(request, call, items)
        return Json(results if isinstance(inputs, list) else results[0])

    async def _read(self, request: Request[Any], schema: str) -> dict[str, Any]:
        return parse(await read_body(request, self.limits), self.requests[schema])

    async def _compute(
        self, request: Request[Any], call: Call, items: list[tuple[Any, int]]
    ) -> list[Any]:
        """Returns the results of items, unless the client closes the connection."""
        work = asyncio.ensure_future(self.queue.compute(call, items))
        # After the body, this is the only message.
        gone = asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ClientDisconnect
            return work.result()
        finally:
            work.cancel()
            gone.cancel()

    async def _rank(
        self, request: Request[Any], question: str, texts: list[str], **options: Any
    ) -> list[tuple[int, float]]:
        """Returns the positions of texts and their scores, best first."""
        call = Call(self._compute_scores, tuple(sorted(options.items())))
        item = (question, texts)
        (scores,) = await self._compute(request, call, [(item, sum(map(len, texts)))])
        return sorted(enumerate(scores), key=lambda entry: -entry[1])

    async def _embed(
        self, request: Request[Any], texts: str | list[str], normalize: bool = True
    ) -> tuple[Any, int]:
        """Returns the vectors of texts, and how many pieces they have."""
        texts = [texts] if isinstance(texts, str) else texts
        call = Call(self._compute_vectors, (("normalize", normalize),))
        (result,) = await self._compute(request, call, [(texts, sum(map(len, texts)))])
        return result

    # These run in the thread of the models.

    def _compute_scores(
        self, items: list[tuple[str, list[str]]], raw: bool = False, longest: int | None = None
    ) -> Sequence[Any]:
        """Returns the scores of texts, in their order."""
        questions, texts = map(list, zip(*items, strict=True))
        ranker, size = self.models.ranker, self.limits.max_batch
        if longest is not None:
            tokenizer = ranker.model_.preprocessor.vectorizer.tokenizer
            texts = [[_cut(tokenizer, text, longest) for text in row] for row in texts]
        if raw:
            return [row.tolist() for row in ranker.logits(questions, texts, size)]
        ranked = ranker.rank(questions, texts, batch_size=size)
        return [
            [result.score for result in sorted(row, key=lambda result: result.index)]
            for row in ranked
        ]

    def _compute_vectors(self, items: list[list[str]], normalize: bool) -> Sequence[Any]:
        """Returns the vectors of texts and their numbers of pieces."""
        texts, ends = [*itertools.chain(*items)], np.cumsum([*map(len, items)])[:-1]
        vectors = self.models.embedder(texts, normalize=normalize)
        counts = self.models.embedder.count_pieces(texts)
        pairs = zip(np.split(vectors, ends), np.split(counts, ends), strict=True)
        return [(rows, int(row_counts.sum())) for rows, row_counts in pairs]

    def _compute_verdicts(
        self, items: list[tuple[str, list[dict[str, str]], str | None]], threshold: float
    ) -> Sequence[Any]:
        models = dict(self.models.verify or {})
        results = []
        for answer, documents, question in items:
            with contextlib.nullcontext() if documents else index_errors():
                verdicts = verify(
                    answer, documents or self.models.index, question, threshold=threshold, **models
                )
            results.append(
                [{**dataclasses.asdict(item), "supported": item.supported} for item in verdicts]
            )
        return results


def _cut(tokenizer: Any, text: str, longest: int) -> str:
    _, offsets = tokenizer.encode(text)
    return text if len(offsets) <= longest else text[: offsets[longest - 1, 1]]


async def read_index(function: Callable[..., Any], *arguments: Any) -> Any:
    """Returns the result of a function of an index, which runs in another thread."""
    with index_errors():
        return await run_in_threadpool(function, *arguments)


@contextlib.contextmanager
def index_errors() -> Iterator[None]:
    """Turns errors of the index, which no client can correct, into status 503."""
    try:
        yield
    except (OSError, ValueError) as error:
        _logger.error("%s", error)
        problem = "The index cannot be read: another process is writing it, or it is damaged."
        raise UnavailableError(problem, _RETRY_INDEX_AFTER) from None
