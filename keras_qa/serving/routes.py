"""`Service`: the functions of the routes that answer. Their docstrings are shown in `/docs`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

import keras_qa
from keras_qa.example import Answer
from keras_qa.serving.document_routes import DocumentRoutes
from keras_qa.serving.guard import Metrics
from keras_qa.serving.limits import Limits
from keras_qa.serving.model_queue import Call, predict_in_slices
from keras_qa.serving.model_routes import Json, ModelRoutes, Models, index_errors, read_index
from keras_qa.serving.schemas import OPTIONS, make_requests
from keras_qa.text import Windower

# The smallest `max_seq_len`, unless the reader's own is smaller. The shorter a window, the more of
# it are the question and special tokens, so that a long text would make thousands of windows.
_LEAST_LENGTH = 64
# Passages for a question, unless a request names another number, and characters of a passage. A
# batch of questions is limited by its characters.
_PASSAGES, _PASSAGE_SIZE = 10, 1_000
_SHOWN_LIMITS = ("max_body", "max_text", "max_question", "max_questions", "max_texts", "max_top_k")


class Service(ModelRoutes):
    """The functions of all routes. `thread` alone runs the models."""

    def __init__(
        self, models: Models, name: str, limits: Limits, metrics: Metrics, thread: Executor
    ) -> None:
        super().__init__(models, limits, metrics, thread)
        self.qa, self.index, self.name = models.reader, models.index, name
        windower = getattr(self._preprocessor, "vectorizer", None)
        self.windower = windower if isinstance(windower, Windower) else None
        if self.windower is not None:
            self.qa = predict_in_slices(self.qa, limits.max_batch, self.queue.check)
        least = min(_LEAST_LENGTH, self.windower.max_length) if self.windower else 1
        dimension = getattr(models.embedder, "dimension", 1)
        # A classifier of tokens would read all documents of the index.
        searches = self.index is not None and hasattr((models.verify or {}).get("reader"), "ask")
        self.requests = make_requests(limits, least, dimension, searches)
        if self.qa is not None:
            self._add("/", self.answer)
            self._add("/models/{id:path}", self.answer)
            if self.index is not None:
                self._add("/ask", self.ask)
        if self.index is not None:
            shown = DocumentRoutes(self.index, limits)
            self._add("/documents", shown.documents, "GET")
            self._add("/documents/text", shown.document_text, "GET")
            self._add("/documents/boxes", shown.document_boxes, "GET")
            self._add("/documents/page", shown.document_page, "GET")
        self._add("/health", self.health, "GET")
        self._add("/info", self.info, "GET")
        self._add("/metrics", self.show_metrics, "GET")

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Runs the model while the server runs."""
        worker = asyncio.create_task(self.queue.run())
        yield
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker

    async def answer(self, request: Request[Any]) -> Response:
        """Answers questions about texts, in Hugging Face's inference schema."""
        name = request.path_params.get("id", self.name)
        if name != self.name:
            raise HTTPException(404, f"There is no model {name!r:.100}, only {self.name!r:.100}")
        body = await self._read(request, "answer")
        parameters, inputs = body.get("parameters", {}), body["inputs"]
        top_k = parameters.pop("top_k", 1)
        options = {OPTIONS[name]: value for name, value in parameters.items()}
        options |= {**self._limit_question(options), "top_k": top_k}
        questions = inputs if isinstance(inputs, list) else [inputs]
        pairs = [(pair["context"], pair["question"]) for pair in questions]
        call = Call(self._compute_answers, tuple(sorted(options.items())))
        items = [(pair, sum(map(len, pair))) for pair in pairs]
        ranked = await self._compute(request, call, items)
        results = [[_to_json(answer, ("start", "end"), 0) for answer in row] for row in ranked]
        return Json(_nest(results, top_k, inputs))

    async def ask(self, request: Request[Any]) -> Response:
        """Answers questions from the documents of the index."""
        options = {"top_k": 1, **await self._read(request, "ask"), **self._limit_question({})}
        question = options.pop("question")
        questions = question if isinstance(question, list) else [question]
        passages, most = options.get("passages", _PASSAGES), self.limits.max_passages
        if "passages" in options and passages * len(questions) > most:
            raise ValueError(
                f"`passages` must be at most {most} for all questions together. Received: "
                f"{len(questions)} questions with {passages} passages each."
            )
        call = Call(self._compute_asked, tuple(sorted(options.items())))
        items = [(text, len(text) + passages * _PASSAGE_SIZE) for text in questions]
        ranked = await self._compute(request, call, items)
        fields = ("document", "start", "end", "line", "page")
        results = [[_to_json(answer, fields) for answer in row] for row in ranked]
        return Json(_nest(results, options["top_k"], question))

    async def health(self, request: Request[Any]) -> Response:
        """Returns whether the server is ready. Needs no token."""
        return Json({"status": "ok"})

    async def info(self, request: Request[Any]) -> Response:
        """Returns the name of the model, the number of documents, and limits of requests."""
        count = None if self.index is None else await read_index(len, self.index)
        about = {"model_id": self.name, "version": keras_qa.__version__, "documents": count}
        limits = {name: getattr(self.limits, name) for name in _SHOWN_LIMITS}
        kinds = ("ranker", "embedder", "verify")
        served = {kind: getattr(self.models, kind) is not None for kind in kinds}
        return Json({**about, **served, **limits})

    async def show_metrics(self, request: Request[Any]) -> Response:
        """Returns metrics for Prometheus."""
        text = generate_latest(self.metrics.registry)
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})

    @property
    def _preprocessor(self) -> Any:
        return getattr(getattr(self.qa, "model_", None), "preprocessor", None)

    def _limit_question(self, options: Mapping[str, Any]) -> dict[str, int]:
        """Returns the option that leaves at least half of a window for the text."""
        # Otherwise a long question and a long text would make a window for each token of the text.
        windower = self.windower
        if windower is None:
            return {}
        fitted, name = getattr(self._preprocessor, "asking", None), "max_question_length"
        most = [
            self.limits.max_question_tokens,
            max(options.get("max_length", windower.max_length) // 2, 1),
            windower.max_question_length,
            options.get(name),
            None if fitted is None else fitted.options.get(name),
        ]
        return {name: min(value for value in most if value is not None)}

    # These run in the thread of the models.

    def _compute_answers(self, pairs: list[tuple[str, str]], **options: Any) -> Sequence[Any]:
        texts, questions = map(list, zip(*pairs, strict=True))
        size = self.limits.max_batch
        return self.qa.answer(texts, questions, batch_size=size, verbose=0, **options)

    def _compute_asked(self, questions: list[str], **options: Any) -> Sequence[Any]:
        ranker = self.models.ranker or "auto"
        settings = {"ranker": ranker, "batch_size": self.limits.max_batch, "verbose": 0}
        return self.qa.ask(_Retriever(self.index), questions, **settings, **options)


class _Retriever:
    """An index for `ask`, whose errors are not those of a question."""

    def __init__(self, index: Any) -> None:
        self._index = index

    def search(self, questions: list[str], k: int) -> Any:
        """Returns the passages of each question."""
        with index_errors():
            return self._index.search(questions, k)


def _nest(ranked: list[list[Any]], top_k: int, inputs: object) -> Any:
    """Returns a list for a list, and the best answer alone if only one is wanted."""
    results = ranked if top_k > 1 else [answers[0] for answers in ranked]
    return results if isinstance(inputs, list) else results[0]


def _to_json(answer: Answer, fields: Sequence[str], missing: object = None) -> dict[str, Any]:
    location = {name: getattr(answer, name) for name in fields}
    replaced = {name: missing if value is None else value for name, value in location.items()}
    return {"answer": answer.text, "score": answer.score, **replaced}
