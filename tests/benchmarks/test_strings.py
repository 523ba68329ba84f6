"""The benchmark of the strings service: its texts, its callers, its verdicts (STR-1)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from benchmarks import strings, strings_memory, strings_report
from benchmarks.strings_service import KINDS, Service, load, texts_of
from featrix_core.strings.limits import Limits
from featrix_core.strings.request_json import embed_texts


def _result(**changed: Any) -> dict[str, Any]:
    """A result in which every target is met, but for what is changed."""
    row = {
        "texts": "product names",
        "callers": 8,
        "per_request": 64,
        "http_per_second": 1500.0,
        "encode_per_second": 1000.0,
        "encode_batch_size": 32,
        "ratio": 1.5,
    }
    memory = ("loading", "started", "largest_batch", "largest_requests", "full_cache", "cache")
    times = {"p50_ms": 5.0, "p99_ms": 9.0, "requests": 100.0}
    jobs = {"shared_service_mib": 2e3, "own_torch_mib": 3e3, "own_onnx_mib": 3e3}
    result: dict[str, Any] = {
        "machine": {"date": "2026-01-01", "processor": "one", "cores": 2},
        "load_before": 0.1,
        "decoding": {"ascii_ms": 8.0},
        "start_seconds": 1.5,
        "latency_idle": times,
        "latency_loaded": times,
        "uncached": [{**row, "callers": callers} for callers in strings.CALLERS],
        "cached_per_second": {"compact": 1e5, "json": 5e4},
        "soak": {"seconds": 9.0, "answers": {"200": 7, "429": 2}, "errors": 0}
        | {"first_mib": 500.0, "last_mib": 501.0},
        "memory": {f"{name}_mib": 300.0 for name in (*memory, "most", "beside_cache")}
        | {"reserved_mib": 768.0, "cache_entries": 131_072.0},
        "jobs": {**jobs, "saved_mib": 1e3, "count": 8.0},
    }
    for key, value in changed.items():
        result[key] = {**result[key], **value} if isinstance(value, dict) else value
    return {**result, "targets": strings_report.targets(result)}


def test_texts_are_never_the_same_twice() -> None:
    seeds = [1, 11, 1000, 100_801, 306_404, 5_000_000_000]
    for kind, (low, high) in KINDS.items():
        mine = [text for seed in seeds for text in texts_of(kind, 200, seed)]
        assert len(set(mine)) == len(mine)
        assert {len(text.split()) - 1 for text in mine} == set(range(low, high + 1))
        assert texts_of(kind, 20, 3) == texts_of(kind, 20, 3)


@pytest.mark.parametrize(
    ("changed", "missed"),
    [
        ({}, ""),
        ({"latency_idle": {"p50_ms": 8.1}}, "p50"),
        ({"cached_per_second": {"json": 19_999.0}}, "cached texts per second, json"),
        ({"soak": {"errors": 1}}, "errors"),
        ({"soak": {"last_mib": 530.0}}, "memory at the end"),
        ({"memory": {"beside_cache_mib": 769.0}}, "beside the cache"),
        ({"memory": {"loading_mib": 769.0}}, "while loading"),
        ({"jobs": {"saved_mib": -1.0}}, "saved"),
    ],
)
def test_a_target_that_is_missed_is_told(changed: dict[str, Any], missed: str) -> None:
    result = _result(**changed)
    found = [row["what"] for row in result["targets"] if not row["met"]]
    assert len(found) == bool(missed) and all(missed in what for what in found)
    lines = strings_report.lines(result)
    assert sum("**no**" in line for line in lines) == len(found)
    assert any("200: 7, 429: 2" in line for line in lines)


def test_only_8_callers_are_held_against_encode() -> None:
    rows = _result()["uncached"]
    slow = [{**row, "ratio": 1.1 if row["callers"] == 8 else 0.5} for row in rows]
    missed = [row for row in _result(uncached=slow)["targets"] if not row["met"]]
    assert [row["figure"] for row in missed] == [1.1]


def test_the_document_shows_the_result() -> None:
    shown = strings.DOCUMENT.read_text(encoding="utf-8")
    assert strings.filled(shown) == shown, "run: python -m benchmarks.strings --report"


def test_the_reserve_is_read_from_the_chart() -> None:
    assert 256 < strings_memory.reserved() < 2048


@pytest.mark.parametrize("answers", [{}, {"429": 3}, {"200": 9, "429": 1}, {"callers failed": 1}])
def test_a_load_that_was_none_is_told(answers: dict[str, int]) -> None:
    strings.only_served({"200": 1})
    with pytest.raises(SystemExit, match="not only 200"):
        strings.only_served(answers)


def test_the_largest_bodies_are_distinct_wide_texts() -> None:
    bodies = [strings_memory.largest_body(n) for n in (0, 8)]
    for body in bodies:
        assert 0.98 < len(body) / Limits().body_bytes <= 1
        texts = embed_texts(body, Limits())
        assert len(set(texts)) == Limits().texts and all(max(text) > "\uffff" for text in texts)
    assert bodies[0] != bodies[1]


def test_callers_in_a_process_of_their_own() -> None:
    """What they were answered is told when the block ends; what the service held at most, from then on."""
    with Service(threads=1) as service:
        with load(service, 2, 1) as answers:
            while service.figure("computed_texts_total") < 100:
                time.sleep(0.05)
            assert not answers
        assert set(answers) == {"200"} and answers["200"] >= 3
        assert service.figure('requests_total{route="/embed",status="200"}') == answers["200"]
        before = service.memory("VmHWM")
        service.forget_peak()
        assert service.memory() <= service.memory("VmHWM") < before
