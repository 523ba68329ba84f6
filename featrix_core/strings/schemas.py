"""What the strings service accepts and answers, checked by hand and published as OpenAPI (STR-1)."""

from __future__ import annotations

import json
import re
from typing import Any

from featrix_core.strings.caching import readable
from featrix_core.strings.engine import MODEL_NAME
from featrix_core.strings.grid import DIMENSION
from featrix_core.strings.limits import (
    ERRORS,
    InvalidError,
    Limits,
    MalformedError,
    TooLargeError,
)
from featrix_core.version import VERSION

BINARY = "application/vnd.featrix.steps"
"""Media type of the compact form: n × 384 little-endian int16, a vector's coordinates times 10,000."""
FINGERPRINT_HEADER = "X-Featrix-Fingerprint"
"""Header of every answer: identity of the model behind it."""
MODEL_NAMES = (MODEL_NAME, f"sentence-transformers/{MODEL_NAME}")
_ENCODINGS = ("float", "base64")


def parse(body: bytes | bytearray) -> Any:
    """The JSON value of a small body.

    Raises:
        MalformedError: no JSON.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        # What the parser says quotes the body, and with it somebody's texts.
        raise MalformedError("The body is not valid JSON in UTF-8") from None


def as_object(value: object) -> dict[str, Any]:
    """A request's value.

    Raises:
        InvalidError: it is no object.
    """
    if not isinstance(value, dict):
        raise InvalidError("The body must be a JSON object")
    return value


def accepts_binary(accept: str) -> bool:
    """Whether an Accept header names the compact form, other than to refuse it with q=0."""
    for item in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in item.split(";"))
        if kind == BINARY:
            weights = [p[2:].strip() for p in parameters if p.startswith("q=")]
            return not any(re.fullmatch(r"0(\.0*)?", weight) for weight in weights)
    return False


def embed_texts(value: dict[str, Any], limits: Limits) -> list[str]:
    """Texts of a request to `/embed`.

    Raises:
        InvalidError, TooLargeError: they are not what they should be.
    """
    for name in value:
        if name != "texts":
            raise InvalidError("Only the field 'texts' is known here")
    if "texts" not in value:
        raise InvalidError("The field 'texts' is missing", "texts")
    return _texts(value["texts"], "texts", limits)


def openai_request(value: dict[str, Any], limits: Limits) -> tuple[list[str], bool]:
    """Texts of a request to `/v1/embeddings`, and whether vectors go out in base64.

    Raises:
        InvalidError, TooLargeError: it is not what it should be.
    """
    if value.get("model") not in MODEL_NAMES:
        raise InvalidError(f"The field 'model' must be {MODEL_NAMES[0]!r}", "model")
    encoding = value.get("encoding_format", "float")
    if encoding not in _ENCODINGS:
        raise InvalidError(
            "The field 'encoding_format' must be 'float' or 'base64'", "encoding_format"
        )
    dimensions = value.get("dimensions", DIMENSION)
    if type(dimensions) is not int or dimensions != DIMENSION:
        raise InvalidError(f"The field 'dimensions' can only be {DIMENSION}", "dimensions")
    if not isinstance(value.get("user", ""), str):
        raise InvalidError("The field 'user' must be a string", "user")
    if "input" not in value:
        raise InvalidError("The field 'input' is missing", "input")
    found = value["input"]
    return _texts(
        [found] if isinstance(found, str) else found, "input", limits
    ), encoding == "base64"


def _texts(value: object, name: str, limits: Limits) -> list[str]:
    if not isinstance(value, list):
        raise InvalidError(f"The field {name!r} must be a list of strings", name)
    if not value:
        raise InvalidError(f"The field {name!r} must hold at least one text", name)
    if len(value) > limits.texts:
        raise TooLargeError(f"More than {limits.texts} texts in one request", name)
    for place, text in enumerate(value):
        if type(text) is not str:
            raise InvalidError(f"Item {place} of {name!r} is not a string", name)
        if len(text) > limits.characters:
            raise InvalidError(
                f"Item {place} of {name!r} has more than {limits.characters} characters", name
            )
    return [readable(text) for text in value]


def _object(
    properties: dict[str, Any], *, optional: tuple[str, ...] = (), more: bool = False
) -> Any:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": more,
    }


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def openapi(limits: Limits, *, token: bool) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    text = {"type": "string", "maxLength": limits.characters}
    texts = {"type": "array", "items": text, "minItems": 1, "maxItems": limits.texts}
    vector = {
        "type": "array",
        "items": {"type": "number", "minimum": -1, "maximum": 1},
        "minItems": DIMENSION,
        "maxItems": DIMENSION,
    }
    count = {"type": "integer", "minimum": 0}
    name = {"type": "string"}
    embedded = _object({"embeddings": {"type": "array", "items": vector}, "fingerprint": name})
    item = _object(
        {
            "object": {"const": "embedding"},
            "index": count,
            "embedding": {"oneOf": [vector, {"type": "string", "contentEncoding": "base64"}]},
        }
    )
    listed = _object(
        {
            "object": {"const": "list"},
            "data": {"type": "array", "items": item},
            "model": name,
            "usage": _object({"prompt_tokens": count, "total_tokens": count}),
        }
    )
    asked = _object(
        {
            "input": {"oneOf": [text, texts]},
            "model": {"enum": list(MODEL_NAMES)},
            "encoding_format": {"enum": list(_ENCODINGS)},
            "dimensions": {"type": "integer", "enum": [DIMENSION]},
            "user": name,
        },
        optional=("encoding_format", "dimensions", "user"),
        more=True,
    )
    info = _object(
        {
            **dict.fromkeys(("model", "revision", "fingerprint", "engine", "version"), name),
            "dimension": {"const": DIMENSION},
            "limits": _object({key: {"type": "number"} for key in vars(limits)}),
        }
    )
    answer = {"description": "Vectors", "content": _content(embedded)}
    binary = {"schema": {"type": "string", "contentMediaType": BINARY}}
    answer["content"] = {**_content(embedded), BINARY: binary}
    secured: dict[str, Any] = {"security": [{"bearer": []}]} if token else {}
    state = _object({"status": name})
    live = {"get": {"responses": {"200": {"description": "Alive", "content": _content(state)}}}}
    ready = {"get": {"responses": {"200": {"description": "Ready", "content": _content(state)}}}}
    for health in (live, ready):
        health["get"]["responses"]["503"] = _failures()["503"]
    refusals = {k: v for k, v in _failures().items() if token or k != "401"}
    denied = {"401": _failures()["401"]} if token else {}
    return {
        "openapi": "3.1.0",
        "info": {"title": "featrix strings service", "version": VERSION},
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        "paths": {
            "/embed": {"post": {**_post(_object({"texts": texts}), answer, refusals), **secured}},
            "/v1/embeddings": {
                "post": {
                    **_post(
                        asked, {"description": "Vectors", "content": _content(listed)}, refusals
                    ),
                    **secured,
                }
            },
            "/info": {
                "get": {
                    "responses": {
                        "200": {"description": "Model and limits", "content": _content(info)},
                        **denied,
                    },
                    **secured,
                }
            },
            "/health/live": live,
            "/health/ready": ready,
        },
    }


def _post(body: Any, answer: Any, refusals: dict[str, Any]) -> dict[str, Any]:
    request = {"required": True, "content": _content(body)}
    return {"requestBody": request, "responses": {"200": answer, **refusals}}


def _failures() -> dict[str, Any]:
    """The answers of every typed error, by status."""
    answers: dict[str, Any] = {}
    for kind in ERRORS:
        fields = {
            "type": {"const": kind.kind},
            "message": {"type": "string"},
            "code": {"const": kind.status},
            "param": {"type": ["string", "null"]},
        }
        answer: dict[str, Any] = {
            "description": (kind.__doc__ or "").split(": ", 1)[-1],
            "content": _content(_object({"error": _object(fields)})),
        }
        if kind.retry_after is not None:
            answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
        answers[str(kind.status)] = answer
    return answers
