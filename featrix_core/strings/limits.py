"""Limits of the strings service and its typed errors (STR-1)."""

from __future__ import annotations

from dataclasses import dataclass

from featrix_core.strings.caching import MAX_CHARACTERS

SMALL_BODY = 64 * 1024
"""Bytes up to which a body is never refused for want of room."""


@dataclass(frozen=True)
class Limits:
    """What one caller may ask for, and how much may wait."""

    texts: int = 4096
    """Texts of a request."""
    characters: int = MAX_CHARACTERS
    """Characters of a text."""
    body_bytes: int = 16 * 2**20
    """Bytes of a request's body."""
    body_seconds: float = 10.0
    """Time in which the whole body must have arrived."""
    buffered_bytes: int = 64 * 2**20
    """Bytes of all bodies beyond `SMALL_BODY` that arrive or are being read at a time."""
    answer_bytes: int = 64 * 2**20
    """Bytes of all vectors that are being computed for callers or taken by them at a time."""
    connections: int = 768
    """Connections at a time, idle ones included; with those for health, fewer than 1,024 open files."""
    waiting_requests: int = 512
    """Requests whose vectors are being computed or wait for that."""
    waiting_texts: int = 65_536
    """Texts of those requests."""
    waiting_bytes: int = 64 * 2**20
    """Memory of those requests' texts, also of those that the cache knows."""


class ServiceError(Exception):
    """An answer that is not 200: `kind` is the typed name, `status` the HTTP status.

    `retry_after` is the number of seconds after which trying again makes sense, if it does. `closes`:
    whether the connection ends with this answer, since the rest of the body is not read.
    """

    status = 500
    kind = "internal_error"
    retry_after: int | None = None
    closes = False

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param

    def body(self) -> dict[str, object]:
        """The JSON body; its layout is the one that OpenAI's clients read."""
        fields = {"type": self.kind, "message": self.message, "code": self.status}
        return {"error": {**fields, "param": self.param}}


class MalformedError(ServiceError):
    """400: the body is no JSON."""

    status, kind = 400, "malformed_json"


class UnauthorizedError(ServiceError):
    """401: the bearer token is missing or wrong."""

    status, kind = 401, "unauthorized"


class SlowBodyError(ServiceError):
    """408: the body did not arrive in time."""

    status, kind = 408, "body_too_slow"
    closes = True


class TooLargeError(ServiceError):
    """413: the body is too large or holds too many texts."""

    status, kind = 413, "too_large"
    closes = True


class InvalidError(ServiceError):
    """422: JSON, but not what was asked for."""

    status, kind = 422, "invalid_request"


class OverloadedError(ServiceError):
    """429: too much waits already."""

    status, kind, retry_after = 429, "overloaded", 1


class CrowdedError(OverloadedError):
    """429: too many connections, or too much is arriving."""

    closes = True


class UnavailableError(ServiceError):
    """503: starting, stopping, or the model failed."""

    status, kind, retry_after = 503, "unavailable", 2


ERRORS: tuple[type[ServiceError], ...] = (
    MalformedError,
    UnauthorizedError,
    SlowBodyError,
    TooLargeError,
    InvalidError,
    OverloadedError,
    UnavailableError,
)
"""Every error that the service answers with."""
