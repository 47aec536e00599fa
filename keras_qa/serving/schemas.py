"""The JSON of requests and responses: schemas, which OpenAPI shows, and a check by them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from keras_qa._arguments import MAX_INT, short_repr
from keras_qa.serving.limits import Limits

# A part of JSON Schema: `type` or `anyOf`, `properties`, `required`, `items`, `enum`, and limits.
Schema = dict[str, Any]

# Parameters of Hugging Face's inference schema, and the options of `QuestionAnswerer.answer`.
OPTIONS = {
    "doc_stride": "stride",
    "max_answer_len": "max_answer_words",
    "max_seq_len": "max_length",
    "max_question_len": "max_question_length",
    "handle_impossible_answer": "no_answer",
    "align_to_words": "whole_words",
}

_KINDS: dict[str, tuple[str, Any]] = {
    "object": ("an object", dict),
    "array": ("a list", list),
    "string": ("a string", str),
    "integer": ("an integer", int),
    "number": ("a number", (int, float)),
    "boolean": ("true or false", bool),
    "null": ("null", type(None)),
}


def to_object(
    title: str, required: dict[str, Schema], optional: dict[str, Schema] | None = None
) -> Schema:
    """Returns the schema of an object without other keys."""
    closed = {"additionalProperties": False, "required": list(required)}
    properties = {**required, **(optional or {})}
    return {"title": title, "type": "object", "properties": properties, **closed}


def _list(items: Schema, most: int | None = None, least: int = 1) -> Schema:
    limit = {} if most is None else {"maxItems": most}
    return {"type": "array", "items": items, "minItems": least, **limit}


def _string(most: int) -> Schema:
    return {"type": "string", "maxLength": most}


def _words(most: int) -> Schema:
    # Models take a blank text, but a client that sends one has made a mistake, and the answer would
    # look certain.
    return {**_string(most), "minLength": 1, "pattern": r"\S"}


def _integer(least: int, most: int = MAX_INT) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def _either(*schemas: Schema) -> Schema:
    return {"anyOf": [*schemas]}


def _or_list(item: Schema, most: int | None = None) -> Schema:
    return _either(item, _list(item, most))


_FLAG: Schema = {"type": "boolean"}
_TEXT: Schema = {"type": "string"}
_NULL: Schema = {"type": "null"}
_NUMBER: Schema = {"type": "number"}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_SCORE: dict[str, Schema] = {"score": _NUMBER}
_VECTOR = _list(_NUMBER)
_OFFSETS = {"start": _integer(0), "end": _integer(0)}

_ERROR = to_object("Error", {"error": _TEXT})
_OPENAI_ERROR = to_object(
    "OpenAIErrorDetails", {"message": _TEXT, "type": _TEXT, "param": _NULL, "code": _NULL}
)
# Schemas of errors by the paths of routes, if they are not `_ERROR`.
_ERRORS = {
    "/v1/embeddings": to_object("OpenAIError", {"error": _OPENAI_ERROR}),
    "/v2/rerank": to_object("CohereError", {"message": _TEXT}),
}
_ANSWER = to_object("Answer", {"answer": _TEXT, **_SCORE, **_OFFSETS})
_DOCUMENT_ANSWER = to_object(
    "DocumentAnswer",
    {
        **{"answer": _TEXT, **_SCORE, "document": _either(_TEXT, _NULL)},
        **{n: _either(_integer(0), _NULL) for n in ("start", "end", "line", "page")},
    },
)
_EVIDENCE = ("document_start", "document_end", "line", "end_line", "page")
_VERDICTS = _list(
    to_object(
        "Verdict",
        {
            **{"text": _TEXT, **_OFFSETS, **_SCORE, "supported": _FLAG},
            "outcome": {"type": "string", "enum": ["supported", "contradicted", "not found"]},
            **{name: _either(_TEXT, _NULL) for name in ("document", "instead")},
            **{name: _either(_integer(0), _NULL) for name in _EVIDENCE},
        },
    ),
    least=0,
)
_EDGES = dict.fromkeys(("left", "top", "right", "bottom"), _NUMBER)
_BOX = to_object("Box", {"page": _integer(1), **_EDGES})
_COHERE_RESULT = to_object("CohereResult", {"index": _integer(0), "relevance_score": _NUMBER})
_COHERE_META = to_object("CohereMeta", {"api_version": to_object("Version", {"version": _TEXT})})
_EMBEDDING = {"object": _TEXT, "index": _integer(0), "embedding": _either(_VECTOR, _TEXT)}
_USAGE = dict.fromkeys(("prompt_tokens", "total_tokens"), _integer(0))
# Schemas of responses by the names of the routes' functions.
RESPONSES = {
    "answer": _or_list({"anyOf": [_ANSWER, _list(_ANSWER)]}),
    "ask": _or_list({"anyOf": [_DOCUMENT_ANSWER, _list(_DOCUMENT_ANSWER)]}),
    "rerank": _list(to_object("Ranked", {"index": _integer(0), **_SCORE}, {"text": _TEXT})),
    "rerank_v2": to_object(
        "CohereResponse", {"id": _TEXT, "results": _list(_COHERE_RESULT), "meta": _COHERE_META}
    ),
    "embed": _list(_VECTOR),
    "embeddings": to_object(
        "OpenAIResponse",
        {
            **{"object": _TEXT, "model": _TEXT, "usage": to_object("Usage", _USAGE)},
            "data": _list(to_object("Embedding", _EMBEDDING)),
        },
    ),
    "verify": _either(_VERDICTS, _list(_VERDICTS)),
    "document_boxes": to_object("Boxes", {"document": _TEXT, "boxes": _list(_BOX, least=0)}),
}
# Types of responses that are not JSON.
MEDIA_TYPES = {"document_page": "image/png"}
# Parameters of queries by the names of the routes' functions.
QUERIES = {
    "document_text": {"name": _TEXT, **_OFFSETS},
    "document_boxes": {"name": _TEXT, **_OFFSETS},
    "document_page": {"name": _TEXT, "page": _integer(1)},
}


def make_error(path: str, message: str) -> dict[str, Any]:
    """Returns an error in the form of the route at a path."""
    if path == "/v1/embeddings":
        details = {"message": message, "type": "invalid_request_error"}
        return {"error": {**details, "param": None, "code": None}}
    return {"message" if path in _ERRORS else "error": message}


def error_schema(path: str) -> Schema:
    """Returns the schema of the errors of the route at a path."""
    return _ERRORS.get(path, _ERROR)


def make_requests(
    limits: Limits, least_length: int = 1, dimension: int = 1, searches: bool = False
) -> dict[str, Schema]:
    """Returns the schemas of requests by the names of the routes' functions.

    `least_length` is the smallest `max_seq_len`, and `searches` tells whether the index verifies.
    """
    question, text = _words(limits.max_question), _words(limits.max_text)
    top_k = {"top_k": _integer(1, limits.max_top_k)}
    options: dict[str, Schema] = {
        "doc_stride": _integer(0),
        "max_answer_len": _integer(1, 1_000),
        "max_seq_len": _integer(least_length),
        "max_question_len": _integer(1),
        "handle_impossible_answer": _FLAG,
        "align_to_words": _FLAG,
    }
    pair = to_object("QuestionInContext", {"question": question, "context": text})
    answer = to_object(
        "AnswerRequest",
        {"inputs": _or_list(pair, limits.max_questions)},
        {"parameters": to_object("Parameters", {}, {**top_k, **options})},
    )
    ask = to_object(
        "AskRequest",
        {"question": _or_list(question, limits.max_questions)},
        {**top_k, "passages": _integer(1, 100), "min_score": _SHARE},
    )
    others = _make_model_requests(limits, dimension, searches)
    return {"answer": answer, "ask": ask, **others}


def _make_model_requests(limits: Limits, dimension: int, searches: bool) -> dict[str, Schema]:
    """Returns the schemas of requests to rankers, embedders and verification."""
    question, text = _words(limits.max_question), _words(limits.max_text)
    texts = _list(_string(limits.max_text), limits.max_texts)
    cut = {
        "truncate": _FLAG,
        "truncation_direction": {"type": "string", "enum": ["right", "Right"]},
    }
    rerank = to_object(
        "RerankRequest",
        {"query": question, "texts": texts},
        {**dict.fromkeys(("raw_scores", "return_text"), _FLAG), **cut},
    )
    count = dict.fromkeys(("top_n", "max_tokens_per_doc"), _integer(1))
    rerank_v2 = to_object(
        "CohereRequest", {"query": question, "documents": texts}, {"model": _TEXT, **count}
    )
    inputs = _or_list(text, limits.max_texts)
    embed = to_object("EmbedRequest", {"inputs": inputs}, {"normalize": _FLAG, **cut})
    embeddings = to_object(
        "OpenAIRequest",
        {"input": inputs, "model": _TEXT},
        {
            "encoding_format": {"type": "string", "enum": ["float", "base64"]},
            "dimensions": {"type": "integer", "enum": [dimension]},
            "user": _TEXT,
        },
    )
    document = _either(
        text, to_object("Document", {"name": _words(limits.max_question), "text": text})
    )
    documents = {"documents": _list(document, limits.max_texts)}
    claim = to_object(
        "Claim",
        {"answer": _words(limits.max_answer), **({} if searches else documents)},
        {"question": question, **(documents if searches else {})},
    )
    verify = to_object(
        "VerifyRequest", {"inputs": _or_list(claim, limits.max_questions)}, {"threshold": _SHARE}
    )
    schemas = {"rerank": rerank, "rerank_v2": rerank_v2, "embed": embed}
    return {**schemas, "embeddings": embeddings, "verify": verify}


def parse(body: bytes, schema: Schema) -> dict[str, Any]:
    """Returns the object in the body of a request, or raises a `ValueError`.

    Optional keys with null are left out.
    """
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        checked = _check(value, schema, "")
        # An escape may be half of a surrogate pair, which no tokenizer can read.
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise ValueError("The body must be JSON in UTF-8 with complete characters.") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"The body must be JSON. {error.msg} at character {error.pos}.") from None
    except RecursionError:
        raise ValueError("The body is nested too deeply.") from None
    assert isinstance(checked, dict)
    return checked


def _refuse_constant(name: str) -> None:
    raise ValueError(f"The body must be JSON, which has no {name}.")


def _check(value: Any, schema: Schema, name: str) -> Any:
    """Returns a value that matches a schema. Raises a `ValueError` about its first error."""
    if isinstance(value, float) and value.is_integer():
        # JSON has one kind of numbers.
        value = int(value)
    alternatives = schema.get("anyOf", [schema])
    fitting = [option for option in alternatives if _is_kind(value, option["type"])]
    if not fitting:
        kinds = " or ".join(_KINDS[option["type"]][0] for option in alternatives)
        _fail(name, kinds, value)
    schema = fitting[0]
    size = len(value) if isinstance(value, (str, list)) else value
    for key, word in (("minItems", "least"), ("maxItems", "most"), ("maxLength", "most")):
        if key in schema and (size < schema[key] if word == "least" else size > schema[key]):
            unit = "characters" if key == "maxLength" else "entries"
            expected = f"have at {word} {schema[key]} {unit}"
            raise ValueError(f"`{name}` must {expected}. Received: {size} {unit}.")
    if "pattern" in schema and not re.search(schema["pattern"], value):
        _fail(name, "more than white space", value)
    if "minimum" in schema and not schema["minimum"] <= value <= schema["maximum"]:
        _fail(name, f"from {schema['minimum']} to {schema['maximum']}", value)
    if value not in schema.get("enum", [value]):
        _fail(name, f"one of {', '.join(map(str, schema['enum']))}", value)
    if isinstance(value, list):
        items = schema["items"]
        return [_check(item, items, f"{name}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, dict):
        return _check_object(value, schema, name)
    return value


def _check_object(value: dict[str, Any], schema: Schema, name: str) -> dict[str, Any]:
    inside = f"{name}." if name else ""
    properties: Mapping[str, Schema] = schema["properties"]
    for key in schema["required"]:
        if key not in value:
            raise ValueError(f"`{inside}{key}` is missing.")
    checked = {}
    for key, item in value.items():
        if key not in properties:
            known = ", ".join(f"`{inside}{known}`" for known in properties)
            raise ValueError(f"There is no `{inside}{key:.40}`. The keys are {known}.")
        if item is not None or key in schema["required"]:
            checked[key] = _check(item, properties[key], f"{inside}{key}")
    return checked


def _is_kind(value: object, kind: str) -> bool:
    # Booleans are integers in Python.
    return isinstance(value, _KINDS[kind][1]) and (kind == "boolean" or not isinstance(value, bool))


def _fail(name: str, expected: str, value: object) -> None:
    subject = f"`{name}`" if name else "The body"
    raise ValueError(f"{subject} must be {expected}. Received: {short_repr(value)}.")
