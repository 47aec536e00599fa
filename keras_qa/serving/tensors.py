"""Tensors of the Open Inference Protocol, version 2, as JSON and in its binary extension.

Binary tensors follow the JSON, which has the size of each in `binary_data_size`. Each element of a
tensor of BYTES follows 4 bytes with its length, little-endian.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_qa.example import Answer
from keras_qa.serving.limits import Limits
from keras_qa.serving.schemas import NOT_BLANK, Schema, check, parse

PLATFORM = "keras_qa"
VERSION = "1"
INPUTS = ("question", "context")
# Data types of the outputs, and those of NumPy.
OUTPUTS = {
    "answer": ("BYTES", None),
    "score": ("FP32", "<f4"),
    "start": ("INT64", "<i8"),
    "end": ("INT64", "<i8"),
}


@dataclasses.dataclass(frozen=True)
class InferRequest:
    """A request. `shape` is that of each tensor; `outputs` says of each whether it is binary."""

    pairs: list[tuple[str, str]]
    shape: list[int]
    options: dict[str, Any]
    outputs: dict[str, bool]
    id: str | None


def describe_model(name: str) -> dict[str, Any]:
    """Returns the metadata of the model."""
    inputs = dict.fromkeys(INPUTS, "BYTES")
    outputs = {output: datatype for output, (datatype, _) in OUTPUTS.items()}
    return {
        "name": name,
        "versions": [VERSION],
        "platform": PLATFORM,
        "inputs": _describe_tensors(inputs),
        "outputs": _describe_tensors(outputs),
    }


def _describe_tensors(datatypes: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in datatypes.items()]


def decode(body: bytes, header_length: str | None, schema: Schema, limits: Limits) -> InferRequest:
    """Returns a request. Its JSON, which has `header_length`, is followed by binary tensors.

    `header_length` is the header `Inference-Header-Content-Length`, `None` for all of the body.
    """
    size = len(body)
    if header_length is not None:
        is_number = header_length.isascii() and header_length.isdecimal()
        if not is_number or len(header_length) > 10 or int(header_length) > size:
            raise ValueError(
                "`Inference-Header-Content-Length` must be a number of bytes, at most that of the "
                f"body. Received: {header_length:.20}, and a body of {size} bytes."
            )
        size = int(header_length)
    request = parse(body[:size], schema)
    values: dict[str, list[str]] = {}
    shapes = []
    for index, tensor in enumerate(request["inputs"]):
        path, name = f"inputs[{index}]", tensor["name"]
        if name in values:
            raise ValueError(f"`inputs` must have `question` and `context`. Received {name} twice.")
        binary_size = tensor.get("parameters", {}).get("binary_data_size")
        if (binary_size is None) == ("data" not in tensor):
            raise ValueError(f"`{path}` must have either `data` or `binary_data_size`.")
        if binary_size is None:
            values[name] = _flatten(tensor["data"], tensor["shape"])
        else:
            values[name] = _split(body[size : size + binary_size], binary_size, path)
            size += binary_size
        shapes.append(tensor["shape"])
        count = int(np.prod(shapes[-1], dtype=object))
        most = limits.max_questions
        if len(values[name]) != count or shapes[-1] != shapes[0] or not 1 <= count <= most:
            raise ValueError(
                f"`{path}` must have 1 to {most} elements, and the shape of the other input, "
                f"[n] or [n, 1]. Received: {len(values[name])} elements, shape {shapes[-1]}."
            )
        longest = limits.max_question if name == "question" else limits.max_text
        element = {"type": "string", "maxLength": longest, "pattern": NOT_BLANK}
        values[name] = [check(item, element, f"{path}.data") for item in values[name]]
    if size != len(body):
        raise ValueError(
            f"The body has {len(body) - size} bytes after its tensors. Give the size of each in "
            "`binary_data_size`."
        )
    options = request.get("parameters", {})
    is_binary = options.pop("binary_data_output", False)
    for name in ("priority", "timeout"):
        options.pop(name, None)
    pairs = list(zip(values["context"], values["question"], strict=True))
    outputs = _outputs(request.get("outputs"), is_binary)
    return InferRequest(pairs, shapes[0], options, outputs, request.get("id"))


def _outputs(requested: list[dict[str, Any]] | None, is_binary: bool) -> dict[str, bool]:
    if requested is None:
        return dict.fromkeys(OUTPUTS, is_binary)
    outputs = {}
    for output in requested:
        name = output["name"]
        if name in outputs:
            raise ValueError(f"`outputs` must have each name once. Received {name} twice.")
        outputs[name] = output.get("parameters", {}).get("binary_data", is_binary)
    return outputs


def _flatten(data: list[Any], shape: Sequence[int]) -> list[Any]:
    """Returns the elements of a tensor, whose data may be nested or not."""
    if len(shape) < 2 or not all(isinstance(row, list) for row in data):
        return data
    return [item for row in data for item in row]


def _split(data: bytes, size: int, path: str) -> list[str]:
    """Returns the elements of a binary tensor of BYTES."""
    values, start = [], 0
    problem = f"`{path}` must be BYTES of UTF-8, each after its length. The data do not match."
    try:
        while start < len(data):
            (length,) = struct.unpack_from("<I", data, start)
            start += 4 + length
            values.append(data[start - length : start].decode("utf-8"))
    except (struct.error, UnicodeDecodeError):
        raise ValueError(problem) from None
    if not len(data) == size == start:
        raise ValueError(problem)
    return values


def encode(request: InferRequest, answers: Sequence[Answer], name: str) -> tuple[bytes, int | None]:
    """Returns the body of the response, and the length of its JSON if tensors follow it."""
    columns: dict[str, list[Any]] = {
        "answer": [answer.text for answer in answers],
        "score": [answer.score for answer in answers],
        "start": [answer.start or 0 for answer in answers],
        "end": [answer.end or 0 for answer in answers],
    }
    tensors, parts = [], []
    for output, is_binary in request.outputs.items():
        datatype, kind = OUTPUTS[output]
        tensor: dict[str, Any] = {"name": output, "datatype": datatype, "shape": request.shape}
        if is_binary:
            if kind is None:
                raw = [value.encode("utf-8") for value in columns[output]]
                data = b"".join(struct.pack("<I", len(value)) + value for value in raw)
            else:
                data = np.array(columns[output], kind).tobytes()
            parts.append(data)
            tensor["parameters"] = {"binary_data_size": len(data)}
        else:
            tensor["data"] = columns[output]
        tensors.append(tensor)
    response = {"model_name": name, "model_version": VERSION, "outputs": tensors}
    if request.id is not None:
        response["id"] = request.id
    header = json.dumps(response, allow_nan=False, ensure_ascii=False).encode("utf-8")
    return b"".join([header, *parts]), len(header) if parts else None
