"""Answers with vectors: bounded in all, and written as fast as their callers take them (STR-1)."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from featrix_core.strings.grid import DIMENSION
from featrix_core.strings.limits import Limits, OverloadedError
from featrix_core.strings.metrics import ServiceMetrics
from featrix_core.strings.service_cache import Vector
from featrix_core.strings.vector_forms import Form

TRANSPORT = "featrix.transport"
"""Key of a request's scope: the transport of its connection."""
TAKEN_SECONDS = 60.0
"""Time in which a caller must have taken the whole of an answer."""
_STALLED_SECONDS = 5.0  # after that long without taking anything, a caller makes room for others
_VECTOR_BYTES = 2 * DIMENSION


@dataclass(eq=False, slots=True)
class Held:
    """Room that an answer takes up, until its request has ended."""

    bytes: int
    transport: asyncio.Transport
    moved: float = math.inf
    """When the caller last took something; in no past while vectors are computed."""


class Answers:
    """Room for the vectors of all answers, from before they are computed until the last is written."""

    def __init__(self, limits: Limits, metrics: ServiceMetrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._held: set[Held] = set()
        self._bytes = 0

    def admit(self, request: Request, texts: int) -> Held:
        """Room for so many vectors, free again when the request's task ends.

        Where there is none, callers who have taken nothing of their answers for some seconds lose them.

        Raises:
            OverloadedError: callers take what is there, but not fast enough.
        """
        held = Held(texts * _VECTOR_BYTES, request.scope[TRANSPORT])
        while self._bytes + held.bytes > self._limits.answer_bytes:
            oldest = min(self._held, key=lambda other: other.moved, default=None)
            if oldest is None or oldest.moved > time.monotonic() - _STALLED_SECONDS:
                raise OverloadedError("Too many answers are being made or taken; try again later")
            self.give_up(oldest)
        self._held.add(held)
        self._count(held.bytes)
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda _: self._release(held))
        return held

    def give_up(self, held: Held) -> None:
        """End the connection: what it holds is free again."""
        held.transport.abort()
        self._metrics.given_up_answers.inc()
        self._release(held)

    def _release(self, held: Held) -> None:
        if held in self._held:
            self._held.remove(held)
            self._count(-held.bytes)

    def _count(self, more: int) -> None:
        self._bytes += more
        self._metrics.answer_bytes.set(self._bytes)


class VectorResponse(Response):
    """Vectors in some form, of which one part at a time is in memory."""

    def __init__(
        self,
        answers: Answers,
        held: Held,
        form: Form,
        vectors: Sequence[Vector],
        headers: dict[str, str] | None = None,
    ) -> None:
        size = str(form.size(len(vectors)))
        super().__init__(None, 200, {**(headers or {}), "Content-Length": size}, form.media_type)
        self._answers = answers
        self._held = held
        self._form = form
        self._vectors = vectors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the parts, each once the caller has taken the one before it."""
        held, left = self._held, int(self.headers["content-length"])
        start = {"status": self.status_code, "headers": self.raw_headers}
        try:
            async with asyncio.timeout(TAKEN_SECONDS):
                held.moved = time.monotonic()
                await send({"type": "http.response.start", **start})
                for part in self._form.parts(self._vectors):
                    held.moved = time.monotonic()
                    left -= len(part)
                    await send({"type": "http.response.body", "body": part, "more_body": left > 0})
                    if left:
                        await asyncio.sleep(0)  # others have their turn, also beside a fast caller
                    if held.transport.is_closing():
                        return
        except TimeoutError:
            self._answers.give_up(held)
            await asyncio.sleep(0)  # the connection learns of it before this request ends
