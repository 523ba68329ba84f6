"""Texts and callers that fail alone, threads that go on, and long texts in small portions (STR-1)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from featrix_core.strings.batcher import Batcher, Order
from featrix_core.strings.embedder import find_weights
from featrix_core.strings.limits import Limits, UnavailableError
from featrix_core.strings.metrics import ServiceMetrics
from featrix_core.strings.onnx_engine import OnnxMiniLM
from featrix_core.strings.service import StringsService
from featrix_core.strings.service_cache import Vector, VectorCache


class Picky:
    """The real model, which cannot bear texts with certain words."""

    name = "onnx"
    embed = property()

    def __init__(self, model: OnnxMiniLM) -> None:
        self.model = model
        self.open = threading.Event()
        self.open.set()
        self.bad_ids = model.tokenize(["kaboom"])[0]
        self.tokenized: list[list[str]] = []

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        assert self.open.wait(60)
        self.tokenized.append(list(texts))
        if "exit" in texts:
            raise SystemExit(1)
        return self.model.tokenize(texts)

    def forward(self, tokens: Sequence[Sequence[int]], alone: bool = False) -> NDArray[np.int16]:
        if self.bad_ids in tokens:
            raise MemoryError
        return self.model.forward(tokens)


def _batcher(engine: object, threads: int = 1) -> tuple[Batcher, ServiceMetrics]:
    metrics = ServiceMetrics()
    cache = VectorCache("f", metrics, 1000)
    return Batcher(engine, cache, metrics, Limits(), threads), metrics  # type: ignore[arg-type]


def _submit(batcher: Batcher, texts: list[str]) -> tuple[Order, threading.Event]:
    done = threading.Event()
    order = batcher.submit(texts, done.set)
    assert isinstance(order, Order)
    return order, done


def _answer(order: Order, done: threading.Event) -> list[Vector]:
    assert done.wait(30)
    return order.vectors()


@pytest.mark.parametrize("bad", ["kaboom", "exit"])
def test_only_callers_of_a_bad_text_hear_of_it(model: OnnxMiniLM, bad: str) -> None:
    engine = Picky(model)
    engine.open.clear()
    batcher, metrics = _batcher(engine)
    first = _submit(batcher, ["first"])  # the thread waits with it, and the others gather
    good = [_submit(batcher, [f"good{n}"]) for n in range(4)]
    mixed = _submit(batcher, ["good1", bad, "good8", "good9"])
    more = [_submit(batcher, ["good9"])]
    engine.open.set()
    for order, done in (first, *good, *more):
        (vector,) = _answer(order, done)
        assert vector.steps == model.embed(order.texts)[0].astype("<i2").tobytes()
    with pytest.raises(UnavailableError):
        _answer(*mixed)
    assert batcher.alive
    batcher.stop()
    for name in ("waiting_requests", "waiting_texts"):
        assert metrics.registry.get_sample_value(f"featrix_strings_{name}") == 0


@pytest.mark.parametrize("failure", [RuntimeError, SystemExit])
def test_a_caller_that_cannot_be_told_keeps_nothing_from_the_others(
    model: OnnxMiniLM, failure: type[BaseException]
) -> None:
    engine = Picky(model)
    engine.open.clear()
    batcher, _ = _batcher(engine)

    def broken() -> None:
        raise failure

    orders = []
    for text in ("kaboom", "fine", "kaboom", "fine"):
        batcher.submit([text], broken)
        orders.append((text, *_submit(batcher, [text])))
    engine.open.set()
    for text, order, done in orders:
        assert done.wait(30)
        assert (order.error is not None) == (text == "kaboom")
    assert batcher.alive
    assert _answer(*_submit(batcher, ["afterwards"]))
    batcher.stop()


def test_long_texts_are_tokenized_in_small_portions(model: OnnxMiniLM) -> None:
    engine = Picky(model)
    batcher, _ = _batcher(engine)
    texts = [f"{n} " + "word " * 3990 for n in range(12)] + [f"short {n}" for n in range(100)]
    _answer(*_submit(batcher, texts))
    batcher.stop()
    assert sorted(text for portion in engine.tokenized for text in portion) == sorted(texts)
    assert max(sum(map(len, portion)) for portion in engine.tokenized) <= 64 * 1024
    assert max(map(len, engine.tokenized)) > 50


def _status(service: StringsService, path: str) -> int:
    """The status that the application answers a GET with."""
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: object) -> None:
        sent.append(dict(message))  # type: ignore[call-overload]

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    # In a thread of its own: a browser of other tests may have left its loop in this one.
    with ThreadPoolExecutor(1) as apart:
        apart.submit(asyncio.run, service.app(scope, receive, send)).result()
    return int(str(sent[0]["status"]))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_service_whose_thread_has_ended_is_not_alive(model: OnnxMiniLM) -> None:
    service = StringsService(Path("unused"))
    assert _status(service, "/health/live") == 200
    engine = Picky(model)
    engine.open.clear()
    service._batcher, metrics = _batcher(engine)
    assert _status(service, "/health/live") == 200

    def broken() -> None:
        raise RuntimeError

    metrics.dropped.inc = broken  # type: ignore[method-assign,assignment]
    gone, _ = _submit(service._batcher, ["nobody waits for this"])
    service._batcher.drop(gone)
    engine.open.set()
    service._batcher._threads[0].join(30)
    assert _status(service, "/health/live") == 503
    service.close()
    assert _status(service, "/health/live") == 200


def test_a_service_that_is_stopped_while_it_loads_is_never_ready() -> None:
    service = StringsService(find_weights())
    ready = "featrix_strings_ready"
    service.drain()
    service.load()
    assert service.metrics.registry.get_sample_value(ready) == 0
    assert _status(service, "/health/ready") == 503
    service.close()
