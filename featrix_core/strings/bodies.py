"""Bodies of requests, from their first byte to the texts in them (STR-1)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from starlette.requests import Request

from featrix_core.strings.limits import (
    SMALL_BODY,
    CrowdedError,
    Limits,
    SlowBodyError,
    TooLargeError,
)
from featrix_core.strings.metrics import ServiceMetrics

_Read = TypeVar("_Read")


class Bodies:
    """Receives bodies as far as size, time and the room for all of them allow."""

    def __init__(self, limits: Limits, metrics: ServiceMetrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._held = 0

    async def read(
        self, request: Request, interpret: Callable[[bytearray, Limits], _Read]
    ) -> _Read:
        """What `interpret` makes of the body.

        Raises:
            CrowdedError: too much of other bodies is here already.
            SlowBodyError, TooLargeError, MalformedError, InvalidError: the body is at fault.
        """
        with self._room() as grow:
            return interpret(await self._arrived(request, grow), self._limits)

    @contextlib.contextmanager
    def _room(self) -> Iterator[Callable[[int], None]]:
        """Tells of a body's size so far; what it takes up is free again after the block."""
        held = 0

        def grow(size: int) -> None:
            nonlocal held
            if size <= SMALL_BODY:
                return
            if self._held + size - held > self._limits.buffered_bytes:
                raise CrowdedError("Too many large bodies are arriving; try again later")
            self._held += size - held
            held = size
            self._metrics.body_bytes.set(self._held)

        try:
            yield grow
        finally:
            self._held -= held
            self._metrics.body_bytes.set(self._held)

    async def _arrived(self, request: Request, grow: Callable[[int], None]) -> bytearray:
        limit = self._limits.body_bytes
        if int(request.headers.get("content-length", "0")) > limit:
            raise TooLargeError(f"The body has more than {limit} bytes")
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                async for chunk in request.stream():
                    if len(body) + len(chunk) > limit:
                        raise TooLargeError(f"The body has more than {limit} bytes")
                    grow(len(body) + len(chunk))
                    body += chunk
        except TimeoutError:
            raise SlowBodyError("The body did not arrive in time") from None
        return body
