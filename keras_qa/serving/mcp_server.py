"""`McpService`: tools of the Model Context Protocol, which answer from the documents of an index.

A language model reads the docstrings of the tools.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import inspect
import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, TypeAlias

import mcp_types as types
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

import keras_qa
from keras_qa._arguments import MAX_INT, MAX_MESSAGE_LENGTH, shorten
from keras_qa._terminal import plain
from keras_qa.answering.verification import verify
from keras_qa.documents.document import page_at
from keras_qa.serving import model_queue
from keras_qa.serving.guard import Guard, Metrics, check_token
from keras_qa.serving.limits import Limits
from keras_qa.serving.schemas import Schema, parse, to_object

if TYPE_CHECKING:
    from keras_qa.answering.answerer import QuestionAnswerer
    from keras_qa.documents import Index
    from keras_qa.documents.folder import Progress

# Opens the index, and may report progress: a context manager that closes it.
OpenIndex: TypeAlias = "Callable[[Progress], contextlib.AbstractContextManager[Index]]"

# Seconds between two reports of progress, and reports until a tool asks its user to wait.
_INTERVAL, _REPORTS = 0.5, 60
# Characters shown before and after an answer, and of the text that `read` returns.
_CONTEXT, _MAX_READ = 300, 20_000

# Errors of the arguments, of the index, and of the queue.
_ERRORS: tuple[type[Exception], ...] = (ImportError, OSError, TypeError, ValueError)
_ERRORS += (model_queue.ModelError, model_queue.UnavailableError)

_TEXT, _NUMBER, _INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}
_OPTIONAL_TEXT: Schema = {"type": ["string", "null"]}
_LOCATION: dict[str, Schema] = {
    "document": _OPTIONAL_TEXT,
    **{name: {"type": ["integer", "null"]} for name in ("line", "end_line", "page")},
}


@dataclasses.dataclass
class McpService:
    """The tools of a server, and what they share. `thread` alone runs the models."""

    qa: QuestionAnswerer
    open_index: OpenIndex
    # Of the documents.
    name: str
    limits: Limits
    thread: Executor
    # Of `ask`, and the ranker and the checker of `verify`.
    options: dict[str, Any]
    verifiers: dict[str, Any]

    def __post_init__(self) -> None:
        self._queue = model_queue.ModelQueue(self.limits, self.thread, lambda size: None)
        check = self._queue.check
        self.qa = model_queue.predict_in_slices(self.qa, self.limits.max_batch, check)
        self._tools = {tool.name: tool for tool in _describe_tools(self.limits)}
        self._progress: tuple[int, int | None] = (0, None)
        self._is_stopping = False

    def server(self) -> Server[Any]:
        """Returns the server of the tools."""
        return Server(
            "keras-qa",
            version=keras_qa.__version__,
            instructions=f"Answers from the user's documents in {plain(self.name)!r}. Ask first; "
            "search and read if the answers are not enough. Verify what you write from them.",
            lifespan=self._lifespan,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, server: Server[Any]) -> AsyncIterator[None]:
        """Opens the index and runs the models while the server runs."""
        worker = asyncio.create_task(self._queue.run())
        with contextlib.ExitStack() as stack:
            self._opening = asyncio.get_running_loop().run_in_executor(
                self.thread, lambda: stack.enter_context(self.open_index(self._show_progress))
            )
            try:
                yield
            finally:
                self._is_stopping = True
                worker.cancel()
                # The index is closed after its update has stopped.
                await asyncio.gather(worker, self._opening, return_exceptions=True)

    def _show_progress(self, done: int, total: int) -> None:
        if self._is_stopping:
            raise InterruptedError("The server has stopped.")
        self._progress = (done, total)

    async def _list(self, context: ServerRequestContext[Any], params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[*self._tools.values()])

    async def _call(
        self, context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Calls a tool. An error is one line that the language model reads."""
        try:
            if params.name not in self._tools:
                names = ", ".join(self._tools)
                raise ValueError(f"There is no tool {params.name!r:.80}. The tools are {names}.")
            body = json.dumps(params.arguments or {}).encode()
            arguments = parse(body, self._tools[params.name].input_schema)
            index = await self._wait_for_index(context)
            tool = functools.partial(getattr(self, params.name), index)
            call = model_queue.Call(lambda items: [tool(**item) for item in items])
            (result,) = await self._queue.compute(call, [(arguments, len(body))])
        except _ERRORS as error:
            line = shorten(plain(str(error)), MAX_MESSAGE_LENGTH)
            return types.CallToolResult(content=[types.TextContent(text=line)], is_error=True)
        # Documents may have half of a surrogate pair, which JSON in UTF-8 cannot.
        text = json.dumps(result, ensure_ascii=False).encode("utf-8", "replace").decode()
        content = [types.TextContent(text=text)]
        return types.CallToolResult(content=content, structured_content=json.loads(text))

    async def _wait_for_index(self, context: ServerRequestContext[Any]) -> Index:
        reported = -1
        for _ in range(_REPORTS):
            if self._opening.done():
                return self._opening.result()
            done, total = self._progress
            if done > reported:
                await context.session.report_progress(done, total, "Reading the documents")
                reported = done
            await asyncio.wait([self._opening], timeout=_INTERVAL)
        raise ValueError(
            f"The documents are being indexed: {self._progress[0]:,} of {self._progress[1] or '?'} "
            "files are done. Ask again in a minute."
        )

    # These run in the thread of the models.

    def ask(self, index: Index, question: str, top_k: int = 3) -> dict[str, Any]:
        """Answers a question by quoting the user's documents.

        Use it first for a question about a fact: who, when, how many, how long. Write the question
        as a full sentence. Returns top_k answers (default 3), best first. Each is a short quotation
        with its document, line, end_line, page (of a PDF), and the text around it as context. The
        score is the probability that the answer is right: trust one below 0.5 only if its context
        confirms it. An answer without text means "no answer", and its score is the probability that
        the documents do not answer the question. If it comes first, search with other words, or say
        that the documents do not answer.
        """
        answers = self.qa.ask(index, question, top_k, verbose=0, **self.options)
        return {"answers": [_quote(index, answer) for answer in answers]}

    def search(self, index: Index, query: str, k: int = 5) -> dict[str, Any]:
        """Finds the passages of the user's documents that are most relevant to a query.

        Use it to read about a topic, or if ask gives no answer. Write a question, or words that the
        documents may contain: there is no query syntax. Returns k passages (default 5), best first,
        with document, line, end_line, page, and the headings above. The score is the relevance:
        higher is better, but scores of different queries cannot be compared. An empty list means
        that no passage has a word of the query.
        """
        names = ("document", "line", "page", "heading", "text", "score")
        rows = [(passage, passage.locate(passage.end)[0]) for passage in index.search(query, k)]
        return {"passages": [{**_pick(item, names), "end_line": last} for item, last in rows]}

    def read(
        self, index: Index, document: str, line: int = 1, end_line: int | None = None
    ) -> dict[str, Any]:
        """Reads lines of a document, by its name in the results of ask, search or verify.

        Use it to see the lines before and after an answer or a passage. Lines count from 1.
        Without end_line it returns 100 lines. It returns fewer if they have more than 20,000
        characters: end_line in the result is the last line that it returned, and lines is the
        number of lines of the document. To read on, begin at the next line. Markup is left out.
        """
        try:
            rows = index.text(document).split("\n")
        except KeyError:
            raise ValueError(
                f"There is no document {document!r:.100}. Use a name that `search` returns."
            ) from None
        last = min(line + 99 if end_line is None else end_line, len(rows))
        if line > last:
            raise ValueError(
                f"`line` must be at most `end_line`, and at most {len(rows)}, the last line. "
                f"Received: line={line}, end_line={end_line}."
            )
        start = sum(len(row) + 1 for row in rows[: line - 1])
        part = "\n".join(rows[line - 1 : last])
        if len(part) > _MAX_READ:
            # Whole lines, unless the first is longer.
            part = part[:_MAX_READ].rpartition("\n")[0] or part[:_MAX_READ]
        return {
            **{"document": document, "line": line, "end_line": line + part.count("\n")},
            "page": page_at(index.pages(document), start),
            "text": index.visible_text(document, start, start + len(part)).text,
            "lines": len(rows),
        }

    def verify(self, index: Index, text: str, question: str | None = None) -> dict[str, Any]:
        """Checks each sentence of a text against the user's documents.

        Use it on what you have written from the documents, before you send it. The outcome of a
        sentence is "supported", "contradicted" or "not found". evidence is the text that decided,
        with its document, line, end_line and page. instead is what the documents say instead of a
        contradicted number, name or claim. The score is the probability that the documents support
        the sentence. Correct what is contradicted; leave out or mark what is not found. Give the
        question that the text answers, if there is one: then its answer is checked as well.
        """
        names = ("text", "outcome", "score", "document", "line", "end_line", "page", "instead")
        verdicts = []
        for verdict in verify(text, index, question, self.qa, **self.verifiers):
            span = (verdict.document_start or 0, verdict.document_end)
            document = verdict.document
            evidence = None if document is None else index.visible_text(document, *span).text
            verdicts.append({**_pick(verdict, names), "evidence": evidence})
        return {"verdicts": verdicts}


async def run_stdio(service: McpService) -> None:
    """Serves over standard input and output until the input ends."""
    # Meanwhile, what else is written to standard output goes to standard error.
    async with stdio_server() as streams:
        server = service.server()
        await server.run(*streams, server.create_initialization_options())


def create_mcp_app(
    service: McpService, token: str | None = None, allowed_hosts: set[str] | None = None
) -> Starlette:
    """Makes the ASGI application that serves over streamable HTTP at `/mcp`.

    `token` and `allowed_hosts` are as in `create_app`.
    """
    check_token(token)
    manager = StreamableHTTPSessionManager(
        service.server(), stateless=True, max_request_body_size=service.limits.max_body
    )
    # Without sessions, a GET would wait for messages that never come.
    routes = [Route("/mcp", StreamableHTTPASGIApp(manager), methods=["POST"])]
    guard = Middleware(Guard, routes=routes, metrics=Metrics(), token=token, hosts=allowed_hosts)
    app = Starlette(routes=routes, middleware=[guard], lifespan=lambda app: manager.run())
    app.router.redirect_slashes = False
    return app


def _pick(item: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(item, name) for name in names}


def _quote(index: Index, answer: Any) -> dict[str, Any]:
    """Returns an answer with its last line, and the text around it."""
    end_line, context = answer.line, ""
    if answer.document is not None:
        end_line += index.text(answer.document, answer.start, answer.end).count("\n")
        span = (max(answer.start - _CONTEXT, 0), answer.end + _CONTEXT)
        context = index.visible_text(answer.document, *span).text
    located = _pick(answer, ("text", "score", "document", "line", "page"))
    return {**located, "end_line": end_line, "context": context}


def _describe_tools(limits: Limits) -> list[types.Tool]:
    """Returns the tools with the schemas of their arguments and results."""
    words = {"type": "string", "minLength": 1, "maxLength": limits.max_question, "pattern": r"\S"}
    text = {**words, "maxLength": limits.max_text}
    line = {"type": "integer", "minimum": 1, "maximum": MAX_INT}
    count = {**line, "maximum": 20}
    context, heading = {"context": _TEXT}, {"heading": _TEXT}
    evidence = {"outcome": _TEXT, "instead": _OPTIONAL_TEXT, "evidence": _OPTIONAL_TEXT}

    def rows(name: str, fields: dict[str, Schema]) -> dict[str, Schema]:
        items = to_object(name, {"text": _TEXT, "score": _NUMBER, **_LOCATION, **fields})
        return {name: {"type": "array", "items": items}}

    part = {"text": _TEXT, "lines": _INTEGER, **_LOCATION}
    schemas: dict[str, tuple[dict[str, Schema], dict[str, Schema], dict[str, Schema]]] = {
        "ask": ({"question": words}, {"top_k": count}, rows("answers", context)),
        "search": ({"query": words}, {"k": count}, rows("passages", heading)),
        "read": ({"document": words}, {"line": line, "end_line": line}, part),
        "verify": ({"text": text}, {"question": words}, rows("verdicts", evidence)),
    }
    return [
        types.Tool(
            name=name,
            description=inspect.getdoc(getattr(McpService, name)),
            input_schema=to_object(name, required, optional),
            output_schema=to_object(f"{name} result", result),
            annotations=types.ToolAnnotations(read_only_hint=True, open_world_hint=False),
        )
        for name, (required, optional, result) in schemas.items()
    ]
