"""What the strings service accepts and answers, published as OpenAPI (STR-1)."""

from __future__ import annotations

import re
from typing import Any

from featrix_core.strings.engine import MODEL_NAME
from featrix_core.strings.grid import DIMENSION
from featrix_core.strings.limits import ERRORS, Limits
from featrix_core.version import VERSION

BINARY = "application/vnd.featrix.steps"
"""Media type of the compact form: n × 384 little-endian int16, a vector's coordinates times 10,000."""
FINGERPRINT_HEADER = "X-Featrix-Fingerprint"
"""Header of every answer: identity of the model behind it."""
MODEL_NAMES = (MODEL_NAME, f"sentence-transformers/{MODEL_NAME}")
ENCODINGS = ("float", "base64")


def accepts_binary(accept: str) -> bool:
    """Whether an Accept header names the compact form, other than to refuse it with q=0."""
    for item in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in item.split(";"))
        if kind == BINARY:
            weights = [p[2:].strip() for p in parameters if p.startswith("q=")]
            return not any(re.fullmatch(r"0(\.0*)?", weight) for weight in weights)
    return False


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
            "encoding_format": {"enum": list(ENCODINGS)},
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
