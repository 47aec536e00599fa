"""`DocumentRoutes`: the functions of the routes that show the documents of an index."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from keras_qa.serving.limits import Limits
from keras_qa.serving.model_queue import UnavailableError
from keras_qa.serving.model_routes import Json, read_index

# Seconds after which a client may ask for a page again.
_RETRY_AFTER = 5
# The most names of documents in a response.
_MAX_NAMES = 10_000


class DocumentRoutes:
    """The functions of the routes. Their docstrings are shown in `/docs`."""

    def __init__(self, index: Any, limits: Limits) -> None:
        self.index, self.limits = index, limits
        # Threads that wait for PDFium would keep others from reading the index.
        self._pdfium = asyncio.Lock()

    async def documents(self, request: Request[Any]) -> Response:
        """Lists the names of the documents of the index."""
        names = await read_index(lambda: self.index.names)
        return Json({"documents": names[:_MAX_NAMES], "count": len(names)})

    async def document_text(self, request: Request[Any]) -> Response:
        """Returns a part of a document, from the character `start` to `end`."""
        name, start, end = self._part(request)
        text = await self._read(self.index.text, name, start, end)
        return Json({"document": name, "start": start, "text": text})

    async def document_boxes(self, request: Request[Any]) -> Response:
        """Returns where a part of a PDF file is on its pages, with a rectangle for each line."""
        name, start, end = self._part(request)
        boxes = await self._read_pdf(self.index.boxes, name, start, end)
        return Json({"document": name, "boxes": [dataclasses.asdict(box) for box in boxes]})

    async def document_page(self, request: Request[Any]) -> Response:
        """Returns the picture of a page of a PDF file, which count from 1."""
        query = request.query_params
        name, page = query.get("name", ""), _to_integer("page", query.get("page", "1"))
        picture = await self._read_pdf(self.index.draw_page, name, page)
        if picture is None:
            reason = "There is none, or its PDF file is missing or has changed"
            raise HTTPException(404, f"Page {page} of {name!r:.100} cannot be shown. {reason}")
        return Response(picture, media_type="image/png")

    def _part(self, request: Request[Any]) -> tuple[str, int, int]:
        query, most = request.query_params, self.limits.max_text
        start = _to_integer("start", query.get("start", "0"))
        end = _to_integer("end", query.get("end", str(start + most)))
        if not start <= end <= start + most:
            raise ValueError(
                f"`end` must be from `start` to `start` + {most}. Received: start={start}, "
                f"end={end}."
            )
        return query.get("name", ""), start, end

    async def _read(self, function: Callable[..., Any], name: str, *arguments: Any) -> Any:
        try:
            return await read_index(function, name, *arguments)
        except KeyError:
            raise HTTPException(404, f"The index has no document {name!r:.100}") from None

    async def _read_pdf(self, function: Callable[..., Any], name: str, *arguments: Any) -> Any:
        try:
            async with asyncio.timeout(self.limits.timeout):
                await self._pdfium.acquire()
        except TimeoutError:
            raise UnavailableError("Other pages are being read.", _RETRY_AFTER) from None
        try:
            return await self._read(function, name, *arguments)
        except ImportError as error:
            raise HTTPException(404, str(error)) from None
        finally:
            self._pdfium.release()


def _to_integer(name: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) <= 10):
        raise ValueError(f"`{name}` must be a non-negative integer. Received: {value!r:.40}.")
    return int(value)
