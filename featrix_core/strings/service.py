"""The strings service: sentence vectors over HTTP for all jobs of a cluster (STR-1)."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from featrix_core.files import sha256_of
from featrix_core.strings import schemas
from featrix_core.strings.answers import Answers, VectorResponse
from featrix_core.strings.batcher import Batcher
from featrix_core.strings.bodies import Bodies
from featrix_core.strings.caching import CACHE_ENTRIES
from featrix_core.strings.engine import (
    MODEL_NAME,
    WEIGHTS_FILE,
    EngineName,
    fingerprint_of,
    load_engine,
)
from featrix_core.strings.grid import DIMENSION, to_vectors
from featrix_core.strings.limits import (
    CrowdedError,
    Limits,
    ServiceError,
    UnauthorizedError,
    UnavailableError,
)
from featrix_core.strings.logs import FIELDS
from featrix_core.strings.metrics import ServiceMetrics
from featrix_core.strings.request_json import embed_texts, openai_request
from featrix_core.strings.service_cache import CACHE_BYTES, Vector, VectorCache
from featrix_core.strings.vector_forms import COMPACT, embed_form, openai_form
from featrix_core.version import VERSION

_CALLER_GONE = 499  # nobody reads it; it stands in the log and the metrics
_Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
_log = logging.getLogger(__name__)


class StringsService:
    """The application and what it computes with; `load` makes it ready, `close` ends it."""

    def __init__(
        self,
        folder: Path,
        *,
        engine: EngineName = "onnx",
        threads: int = 1,
        limits: Limits | None = None,
        token: str | None = None,
        cache_entries: int | None = None,
        cache_mib: int | None = None,
    ) -> None:
        """`folder`: weights; `token`: what callers must bear; `threads`: batches computed at a time.

        `cache_entries`, `cache_mib`: vectors kept, and the memory that they and their texts take.
        """
        self.limits = limits or Limits()
        self.metrics = ServiceMetrics()
        self.draining = False
        self._folder = folder
        self._engine: EngineName = engine
        self._threads = threads
        self._token = token.encode() if token else None
        self._cache_size = (
            CACHE_ENTRIES if cache_entries is None else cache_entries,
            CACHE_BYTES if cache_mib is None else cache_mib * 2**20,
        )
        self._batcher: Batcher | None = None
        self._fingerprint = ""
        self._revision = ""
        self._bodies = Bodies(self.limits, self.metrics)
        self._answers = Answers(self.limits, self.metrics)
        self._document = schemas.openapi(self.limits, token=token is not None)
        calls = {"/embed": self._embed, "/v1/embeddings": self._openai}
        health = {"/health/live": self._live, "/health/ready": self._ready}
        self.app = Starlette(
            routes=[
                *(
                    Route(path, self._counted(call), methods=["POST"])
                    for path, call in calls.items()
                ),
                Route("/info", self._counted(self._info)),
                *(Route(path, answer) for path, answer in health.items()),
                Route("/openapi.json", self._openapi),
            ],
            exception_handlers={HTTPException: _http_error},
        )
        refuse = _closing(self._counted(self._refuse))
        others = (*calls, "/info", "/openapi.json")
        self.crowded = Starlette(
            routes=[
                *(Route(path, refuse, methods=["GET", "POST"]) for path in others),
                *(Route(path, _closing(answer)) for path, answer in health.items()),
            ],
            exception_handlers={HTTPException: _closing(_http_error)},
        )
        """What answers on a connection that is one too many: health, and refusals."""

    def load(self) -> None:
        """Load the model and compute a vector with it; the service is ready afterwards."""
        self._fingerprint = fingerprint_of(self._engine, self._folder)
        self._revision = sha256_of(self._folder / WEIGHTS_FILE)
        model = load_engine(self._engine, self._folder, self._threads)
        first = to_vectors(model.forward(model.tokenize(["a first text"])))
        if abs(float(np.linalg.norm(first)) - 1.0) > 1e-2:
            raise RuntimeError("The model's first vector has no unit length")
        cache = VectorCache(self._fingerprint, self.metrics, *self._cache_size)
        self._batcher = Batcher(model, cache, self.metrics, self.limits, self._threads)
        self.metrics.model.labels(self._fingerprint).set(1)
        self.metrics.ready.set(0 if self.draining else 1)  # stopped while it was loading
        _log.info("Ready", extra={FIELDS: {"fingerprint": self._fingerprint}})

    def drain(self) -> None:
        """Not ready any more; requests are answered all the same."""
        self.draining = True
        self.metrics.ready.set(0)

    def close(self) -> None:
        """Finish what waits and end the threads."""
        if self._batcher is not None:
            self._batcher.stop()

    def _counted(self, handler: _Handler) -> _Handler:
        """The handler with its token checked, its errors typed, its answers counted and logged."""

        async def answer(request: Request) -> Response:
            started, route = time.perf_counter(), request.url.path
            try:
                self._authorize(request)
                response = await handler(request)
            except ServiceError as error:
                response = _typed(error)
            except ClientDisconnect:
                response = Response(status_code=_CALLER_GONE)
            except Exception:
                _log.exception("A request failed")
                response = _typed(ServiceError("The service failed"))
            seconds = time.perf_counter() - started
            if self._fingerprint:
                response.headers[schemas.FINGERPRINT_HEADER] = self._fingerprint
            self.metrics.requests.labels(route, str(response.status_code)).inc()
            if route != "/info":
                self.metrics.seconds.observe(seconds)
            fields = {"route": route, "status": response.status_code, "ms": round(seconds * 1e3, 2)}
            _log.info("Answered", extra={FIELDS: fields})
            return response

        return answer

    def _authorize(self, request: Request) -> None:
        if self._token is None:
            return
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode("latin-1", "replace"), self._token)
        if kind.lower() != "bearer" or not right:
            raise UnauthorizedError("A valid bearer token is needed")

    async def _embed(self, request: Request) -> Response:
        texts = await self._bodies.read(request, embed_texts)
        held = self._answers.admit(request, len(texts))
        vectors = await self._vectors(request, texts)
        binary = schemas.accepts_binary(",".join(request.headers.getlist("accept")))
        form = COMPACT if binary else embed_form(self._fingerprint)
        return VectorResponse(self._answers, held, form, vectors, {"Vary": "Accept"})

    async def _openai(self, request: Request) -> Response:
        texts, in_base64 = await self._bodies.read(request, openai_request)
        held = self._answers.admit(request, len(texts))
        vectors = await self._vectors(request, texts)
        form = openai_form(sum(vector.tokens for vector in vectors), in_base64=in_base64)
        return VectorResponse(self._answers, held, form, vectors)

    async def _info(self, request: Request) -> Response:
        if self._batcher is None:
            raise UnavailableError("The model is being loaded")
        return JSONResponse(
            {
                "model": MODEL_NAME,
                "revision": self._revision,
                "fingerprint": self._fingerprint,
                "engine": self._engine,
                "version": VERSION,
                "dimension": DIMENSION,
                "limits": asdict(self.limits),
            }
        )

    async def _live(self, request: Request) -> Response:
        if self._batcher is not None and not self._batcher.alive:
            return _typed(UnavailableError("A computing thread has ended"))
        return JSONResponse({"status": "alive"})

    async def _ready(self, request: Request) -> Response:
        if self._batcher is None:
            return _typed(UnavailableError("The model is being loaded"))
        if self.draining:
            return _typed(UnavailableError("The service is stopping"))
        return JSONResponse({"status": "ready"})

    async def _refuse(self, request: Request) -> Response:
        raise CrowdedError("Too many connections are open; try again later")

    async def _openapi(self, request: Request) -> Response:
        return JSONResponse(self._document)

    async def _vectors(self, request: Request, texts: list[str]) -> list[Vector]:
        """Vectors of the texts; a caller who goes away takes his texts with him."""
        if self._batcher is None:
            raise UnavailableError("The model is being loaded")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def finish() -> None:
            if not done.done():
                done.set_result(None)

        order = self._batcher.submit(texts, lambda: loop.call_soon_threadsafe(finish))
        if isinstance(order, list):
            return order
        gone = asyncio.ensure_future(request.receive())  # the next event after the body
        try:
            await asyncio.wait((done, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not done.done():
                self._batcher.drop(order)
        if not done.done():
            raise ClientDisconnect
        return order.vectors()


def _closing(handler: Callable[..., Awaitable[Response]]) -> Callable[..., Awaitable[Response]]:
    """The handler (of requests, or of errors), with the connection closed after its answer."""

    async def answer(*given: object) -> Response:
        response = await handler(*given)
        response.headers["Connection"] = "close"
        return response

    return answer


def _typed(error: ServiceError) -> JSONResponse:
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = "Bearer"
    if error.closes:
        headers["Connection"] = "close"
    return JSONResponse(error.body(), error.status, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    """Unknown paths and methods, typed like everything else."""
    assert isinstance(error, HTTPException)
    kind = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    fields = {"type": kind, "message": error.detail, "code": error.status_code, "param": None}
    return JSONResponse({"error": fields}, error.status_code, error.headers)
