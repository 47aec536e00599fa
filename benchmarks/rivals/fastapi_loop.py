"""A server as a tutorial of FastAPI has it: `transformers` answers one request at a time."""

from __future__ import annotations

import threading

import fastapi
import pydantic

from benchmarks.rivals.transformers_loop import Loop


class Pair(pydantic.BaseModel):
    question: str
    context: str


class Request(pydantic.BaseModel):
    inputs: Pair


def make_app(folder: str, max_length: int, stride: int) -> fastapi.FastAPI:
    """Makes the server of a checkpoint."""
    app, loop, lock = fastapi.FastAPI(), Loop(folder, [], [], max_length, stride), threading.Lock()

    @app.post("/")
    def answer(request: Request) -> dict[str, str]:
        with lock:
            loop.texts, loop.questions = [request.inputs.context], [request.inputs.question]
            return {"answer": loop.answer()[0]}

    return app
