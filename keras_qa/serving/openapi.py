"""The description of the server's routes in OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.routing import Route

import keras_qa
from keras_qa.serving.schemas import MEDIA_TYPES, QUERIES, RESPONSES, Schema, error_schema

_PROBLEMS = {
    "400": "The request is invalid. The error says what was expected.",
    "401": "The token is missing or wrong.",
    "403": "A browser sent the request from a page of another site.",
    "404": "There is no such model, document or page.",
    "408": "The body was too slow.",
    "413": "The body is too large.",
    "415": "The body is compressed.",
    "503": "The server is busy, or cannot read the index. `Retry-After` has the seconds to wait.",
}
_ABOUT = (
    "Answers questions about texts, sorts texts, turns them into vectors, or verifies answers, by "
    "the models that it serves. Offsets count characters, which are code points of Unicode. If "
    "the server has a token, send it in the header `Authorization: Bearer TOKEN`."
)


def describe(name: str, routes: Sequence[Route], requests: Mapping[str, Schema]) -> dict[str, Any]:
    """Returns the description. Docstrings of the routes' functions are the summaries.

    `name` is that of the model in paths, `requests` has schemas by the names of the functions.
    """
    paths: dict[str, Any] = {}
    for route in routes:
        path = route.path.replace(":path", "")
        success: dict[str, Any] = {"description": "Success."}
        if route.name in RESPONSES:
            success["content"] = _json(RESPONSES[route.name])
        elif route.name in MEDIA_TYPES:
            success["content"] = {MEDIA_TYPES[route.name]: {}}
        operation: dict[str, Any] = {
            "summary": " ".join((route.endpoint.__doc__ or "").split()),
            "parameters": [
                {"name": key, "in": "query", "required": key == "name", "schema": schema}
                for key, schema in QUERIES.get(route.name, {}).items()
            ],
            "responses": {
                "200": success,
                **{
                    status: {"description": text, "content": _json(error_schema(path))}
                    for status, text in _PROBLEMS.items()
                },
            },
        }
        if "{id}" in path:
            schema = {"type": "string", "enum": [name]}
            path_id = {"name": "id", "in": "path", "required": True, "schema": schema}
            operation["parameters"].append(path_id)
        if route.name in requests:
            content = _json(requests[route.name])
            operation["requestBody"] = {"required": True, "content": content}
        method = "post" if route.name in requests else "get"
        paths.setdefault(path, {})[method] = operation
    about = {"title": name, "version": keras_qa.__version__, "description": _ABOUT}
    return {"openapi": "3.1.0", "info": about, "paths": paths}


def _json(schema: Schema) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
