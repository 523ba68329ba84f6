"""Texts of many callers in shared batches: nothing mixed up, nothing twice, nothing for nobody (STR-1)."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from prometheus_client import generate_latest

from featrix_core.strings.batcher import Batcher, Order
from featrix_core.strings.limits import Limits, OverloadedError, UnavailableError
from featrix_core.strings.metrics import ServiceMetrics
from featrix_core.strings.onnx_engine import OnnxMiniLM
from featrix_core.strings.service_cache import Vector, VectorCache

TEXTS = [f"item {n} {'more ' * (n % 5)}" for n in range(40)]


class Gate:
    """The real model behind a gate: tests decide when a batch may be computed, or that it fails."""

    name = "onnx"

    def __init__(self, model: OnnxMiniLM) -> None:
        self.model = model
        self.open = threading.Event()
        self.begun = threading.Event()
        self.batches: list[int] = []
        self.alone: list[bool] = []
        self.broken = False

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        return self.model.tokenize(texts)

    def forward(self, tokens: Sequence[Sequence[int]], alone: bool = False) -> NDArray[np.int16]:
        self.begun.set()
        assert self.open.wait(60)
        self.batches.append(len(tokens))
        self.alone.append(alone)
        if self.broken:
            raise RuntimeError("out of memory")
        return self.model.forward(tokens)

    embed = property()


class Turnstile(Gate):
    """Lets one batch through at a time."""

    def __init__(self, model: OnnxMiniLM) -> None:
        super().__init__(model)
        self.permits = threading.Semaphore(0)

    def forward(self, tokens: Sequence[Sequence[int]], alone: bool = False) -> NDArray[np.int16]:
        self.begun.set()
        assert self.permits.acquire(timeout=60)
        self.open.set()
        return super().forward(tokens, alone)

    def let_through(self, batches: int) -> None:
        for _ in range(batches):
            self.begun.clear()
            self.permits.release()
            assert self.begun.wait(60)  # with the one after it


@pytest.fixture(scope="module")
def expected(model: OnnxMiniLM) -> dict[str, bytes]:
    return {
        t: row.astype("<i2").tobytes() for t, row in zip(TEXTS, model.embed(TEXTS), strict=True)
    }


def _batcher(
    engine: object, *, entries: int = 1000, threads: int = 1, limits: Limits | None = None
) -> tuple[Batcher, ServiceMetrics]:
    metrics = ServiceMetrics()
    cache = VectorCache("f", metrics, entries)
    return Batcher(engine, cache, metrics, limits or Limits(), threads), metrics  # type: ignore[arg-type]


def _figure(metrics: ServiceMetrics, name: str) -> float:
    value = metrics.registry.get_sample_value(f"featrix_strings_{name}")
    assert value is not None
    return value


def _ask(batcher: Batcher, texts: list[str]) -> list[Vector]:
    done = threading.Event()
    order = batcher.submit(texts, done.set)
    if isinstance(order, list):
        return order
    assert done.wait(60)
    return order.vectors()


def test_a_batch_is_alone_where_nothing_else_is_on_its_way(model: OnnxMiniLM) -> None:
    gate = Turnstile(model)
    batcher, _ = _batcher(gate)
    batcher.submit(["one"], lambda: None)
    assert gate.begun.wait(60)
    batcher.submit(["two", "three"], lambda: None)
    batcher.submit(["word " * 400], lambda: None)
    gate.permits.release(3)
    batcher.stop()
    assert gate.batches == [1, 2, 1]
    assert gate.alone == [True, False, True]


@given(
    entries=st.sampled_from([1, 2, 7, 20]),
    picks=st.lists(
        st.lists(st.integers(0, len(TEXTS) - 1), min_size=1, max_size=6), min_size=8, max_size=16
    ),
)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_under_eviction_pressure_nobody_gets_another_texts_vector(
    model: OnnxMiniLM, expected: dict[str, bytes], entries: int, picks: list[list[int]]
) -> None:
    batcher, metrics = _batcher(model, entries=entries, threads=2)
    asked = [[TEXTS[place] for place in pick] for pick in picks]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda texts: _ask(batcher, texts), asked))
    for texts, vectors in zip(asked, answers, strict=True):
        assert [vector.steps for vector in vectors] == [expected[text] for text in texts]
    batcher.stop()
    assert _figure(metrics, "cache_entries") <= entries
    assert _figure(metrics, "texts_total") == sum(map(len, asked))
    hits, misses = _figure(metrics, "cache_hits_total"), _figure(metrics, "cache_misses_total")
    assert hits + misses == sum(map(len, asked))
    assert _figure(metrics, "waiting_texts") == _figure(metrics, "waiting_requests") == 0


def test_a_text_on_its_way_is_computed_once(model: OnnxMiniLM, expected: dict[str, bytes]) -> None:
    gate = Gate(model)
    batcher, metrics = _batcher(gate)
    with ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(_ask, batcher, TEXTS[:5]) for _ in range(6)]
        while _figure(metrics, "waiting_requests") < 6:
            threading.Event().wait(0.01)
        gate.open.set()
        for answer in waiting:
            assert [v.steps for v in answer.result(60)] == [expected[t] for t in TEXTS[:5]]
    assert _figure(metrics, "computed_texts_total") == 5
    assert _figure(metrics, "shared_texts_total") == 25
    assert _figure(metrics, "batch_texts_sum") == sum(gate.batches) == 5


def test_callers_are_gathered(model: OnnxMiniLM) -> None:
    gate = Gate(model)
    batcher, metrics = _batcher(gate)
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(_ask, batcher, [text]) for text in TEXTS[:20]]
        while _figure(metrics, "waiting_requests") < 20:
            threading.Event().wait(0.01)
        gate.open.set()
        assert all(len(answer.result(60)) == 1 for answer in waiting)
    assert sum(gate.batches) == 20 and len(gate.batches) <= 8


def test_texts_of_callers_who_have_gone_are_not_computed(model: OnnxMiniLM) -> None:
    gate = Gate(model)
    batcher, metrics = _batcher(gate)
    first = batcher.submit(TEXTS[:1], lambda: None)
    assert gate.begun.wait(60)
    gone, done = batcher.submit(TEXTS[1:20], lambda: None), threading.Event()
    stays = batcher.submit(TEXTS[15:17], done.set)
    assert isinstance(gone, Order) and isinstance(stays, Order)
    batcher.drop(gone)
    batcher.drop(gone)
    gate.open.set()
    assert done.wait(60) and len(stays.vectors()) == 2
    batcher.stop()
    assert isinstance(first, Order)
    assert _figure(metrics, "computed_texts_total") == 3
    assert _figure(metrics, "dropped_texts_total") == 17
    assert _figure(metrics, "waiting_texts") == 0


def test_a_small_request_overtakes_the_rest_of_a_large_one(model: OnnxMiniLM) -> None:
    gate = Gate(model)
    batcher, _ = _batcher(gate)
    large = batcher.submit([f"{n} " + "word " * 100 for n in range(60)], lambda: None)
    assert isinstance(large, Order) and gate.begun.wait(60)
    done, still_missing = threading.Event(), []
    small = batcher.submit(["small"], lambda: (still_missing.append(large.missing), done.set()))
    gate.open.set()
    assert isinstance(small, Order) and done.wait(60)
    assert still_missing[0] > 30
    batcher.stop()
    assert len(large.vectors()) == 60


@pytest.mark.parametrize("before", [0, 3, 6])
def test_a_small_request_overtakes_many_of_middle_size(model: OnnxMiniLM, before: int) -> None:
    """Whenever it comes: what the others' texts have waited does not add up against it."""
    gate = Turnstile(model)
    batcher, metrics = _batcher(gate)
    for caller in range(16):
        texts = [f"{caller} {n} {'word ' * (n % 11)}" for n in range(32)]
        batcher.submit(texts, lambda: None)
    assert gate.begun.wait(60)
    gate.let_through(before)
    done = threading.Event()
    batcher.submit(["small " * 5], done.set)
    needed = 0
    while not done.is_set():
        gate.let_through(1)
        needed += 1
    assert needed <= 4 and _figure(metrics, "waiting_texts") > 100
    gate.permits.release(1000)
    batcher.stop()
    assert _figure(metrics, "computed_texts_total") == 16 * 32 + 1


def test_a_stream_of_small_requests_holds_up_no_large_one(model: OnnxMiniLM) -> None:
    gate = Turnstile(model)
    batcher, _ = _batcher(gate)
    done = threading.Event()
    batcher.submit([f"{n} " + "word " * 100 for n in range(12)], done.set)
    assert gate.begun.wait(60)
    small = 0
    while not done.is_set() and small < 4000:
        for _ in range(40):
            small += 1
            batcher.submit([f"small {small}"], lambda: None)
        gate.let_through(1)
    assert done.is_set()
    gate.permits.release(1000)
    batcher.stop()


class Instant:
    """Vectors of nothing, and as many tokens as a text begins with."""

    name = "onnx"

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        return [[0] * int(text.split()[0]) for text in texts]

    def forward(self, tokens: Sequence[Sequence[int]], alone: bool = False) -> NDArray[np.int16]:
        return np.zeros((len(tokens), 384), np.int16)


@pytest.mark.parametrize("callers", [64, 200, 500])
def test_many_callers_of_one_text_leave_a_larger_request_its_share(callers: int) -> None:
    """Each asks again once answered; a request of 32 texts is done after 32 of each of them, and some."""
    batcher, metrics = _batcher(Instant(), entries=10, limits=Limits(waiting_texts=10**6))
    asked, done = itertools.count(), threading.Event()

    def ask_again() -> None:
        number = next(asked)
        if not done.is_set():
            batcher.submit([f"{8 + number % 9} caller {number}"], ask_again)

    with batcher._changed:  # nothing is computed before all have asked
        for _ in range(callers):
            ask_again()
        batcher.submit([f"{8 + n % 9} large {n}" for n in range(32)], done.set)
    assert done.wait(60)
    computed = _figure(metrics, "computed_texts_total")
    batcher.stop()
    assert computed <= 1.5 * 32 * (callers + 1)


def test_too_much_waiting_is_refused(model: OnnxMiniLM) -> None:
    gate = Gate(model)
    limits = Limits(waiting_requests=2, waiting_texts=10, waiting_bytes=1000)
    batcher, _ = _batcher(gate, limits=limits)
    orders = [batcher.submit(TEXTS[:4], lambda: None), batcher.submit(TEXTS[4:6], lambda: None)]
    with pytest.raises(OverloadedError):
        batcher.submit(["one more"], lambda: None)
    assert isinstance(orders[0], Order)
    batcher.drop(orders[0])
    with pytest.raises(OverloadedError):
        batcher.submit(TEXTS[10:19], lambda: None)
    with pytest.raises(OverloadedError):
        batcher.submit(["x" * 1000], lambda: None)
    orders.append(batcher.submit(TEXTS[10:12], lambda: None))
    gate.open.set()
    batcher.stop()
    # Whoever comes when nothing waits is served, whatever the size.
    with pytest.raises(UnavailableError):
        batcher.submit(["too late"], lambda: None)


def test_a_failed_batch_is_told_and_the_next_one_works(model: OnnxMiniLM) -> None:
    gate = Gate(model)
    gate.open.set()
    gate.broken = True
    batcher, _ = _batcher(gate)
    with pytest.raises(UnavailableError):
        _ask(batcher, TEXTS[:3])
    gate.broken = False
    assert len(_ask(batcher, TEXTS[:3])) == 3
    batcher.stop()


def test_all_series_are_there_at_zero() -> None:
    page = generate_latest(ServiceMetrics().registry).decode()
    for name in ("cache_hits_total", "cache_misses_total", "cache_evictions_total", "cache_bytes"):
        assert f"featrix_strings_{name} 0.0" in page
    assert 'requests_total{route="/embed",status="429"} 0.0' in page


def test_the_cache_counts_its_bytes() -> None:
    metrics = ServiceMetrics()
    cache = VectorCache("f", metrics, entries=100, max_bytes=5000)
    for n in range(50):
        cache.put(f"text {n}", Vector(bytes(768), 3))
    assert cache.size <= 5000 and 1 < len(cache) < 10
    assert cache.get("text 49") is not None and cache.get("text 0") is None
    cache.put("x" * 9000, Vector(bytes(768), 3))
    assert len(cache) == 0 and cache.size == 0
    assert _figure(metrics, "cache_evictions_total") == 51
