"""Large bodies: read as JSON is, beside the event loop, and refused before they grow (STR-1)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from featrix_core.strings.bodies import Bodies
from featrix_core.strings.large_json import parse_large
from featrix_core.strings.limits import (
    SMALL_BODY,
    InvalidError,
    Limits,
    MalformedError,
    TooLargeError,
)
from featrix_core.strings.metrics import ServiceMetrics
from tests.strings.services import Service

LIMITS = Limits()
_OTHER = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
_FIELDS = st.fixed_dictionaries(
    {}, optional={"texts": st.lists(st.text()), "input": st.text() | st.lists(st.text())}
)


@given(
    fields=_FIELDS,
    others=st.dictionaries(st.text().filter(lambda name: name not in ("texts", "input")), _OTHER),
    layout=st.sampled_from([{}, {"indent": 2}, {"ensure_ascii": False}]),
    code=st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le"]),
    hurt=st.none()
    | st.tuples(st.floats(0, 1), st.sampled_from(["", " ", ",", '"', "]", "}", "x"])),
)
@settings(max_examples=300, deadline=None)
def test_it_reads_what_json_reads(
    fields: dict[str, Any],
    others: dict[str, Any],
    layout: dict[str, Any],
    code: str,
    hurt: tuple[float, str] | None,
) -> None:
    text = json.dumps({**fields, **others}, **layout)
    if hurt:
        place = int(hurt[0] * len(text))
        text = text[:place] + hurt[1] + text[place + 1 :]
    body = text.encode(code, "surrogatepass")
    try:
        expected = json.loads(body)
    except ValueError:
        with pytest.raises((MalformedError, InvalidError)):
            parse_large(body, LIMITS)
    else:
        # A wound may have made something else of a text.
        with contextlib.suppress(InvalidError):
            assert parse_large(bytearray(body), LIMITS) == expected


@pytest.mark.parametrize(
    ("begin", "piece", "end", "error"),
    [
        ('{"texts": [', "[],", "[]]}", InvalidError),
        ('{"texts": [', "1.5,", "1]}", InvalidError),
        ('{"texts": [', '"",', '""]}', TooLargeError),
        ('{"texts": ["a"], "more": [', "{},", "{}]}", TooLargeError),
        ('{"texts": ["a"]', ', "k": 1', "}", TooLargeError),
        ('{"input": {"a": ', "[", "", MalformedError),
        ("[", "[],", "[]]", TooLargeError),
        ("", "7", "", TooLargeError),
        ('{"texts": ["a"]}', " ", "x", MalformedError),
    ],
)
def test_what_would_grow_is_refused_early(
    begin: str, piece: str, end: str, error: type[Exception]
) -> None:
    body = (begin + piece * (2**22 // len(piece)) + end).encode()
    tracemalloc.start()
    try:
        with pytest.raises(error):
            parse_large(body, LIMITS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(body)


def test_the_most_that_is_allowed() -> None:
    texts = [f"{place:06}" + "größer 東京 🙂 " * 60 for place in range(LIMITS.texts)]
    body = json.dumps({"texts": texts, "user": "u" * 60_000}).encode()
    assert parse_large(body, LIMITS) == {"texts": texts, "user": "u" * 60_000}


def _request(body: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def test_the_event_loop_goes_on_while_a_large_body_is_read() -> None:
    went_on = threading.Event()

    def interpret(value: dict[str, Any]) -> bool:
        return went_on.wait(20)

    async def both() -> bool:
        with ThreadPoolExecutor(1) as aside:
            body = json.dumps({"texts": ["a" * SMALL_BODY]}).encode()
            bodies = Bodies(LIMITS, ServiceMetrics(), aside)
            reading = asyncio.create_task(bodies.read(_request(body), interpret))
            await asyncio.sleep(0.05)
            went_on.set()
            return await reading

    assert asyncio.run(both())


def test_a_large_request_is_served_and_health_beside_it(service: Service) -> None:
    """4,096 long texts in, megabytes of decimals out; nobody else waits for either to be done."""
    body = json.dumps({"texts": ["the same long text " * 180] * 4096}).encode()
    service.send("/embed", {"texts": ["the same long text " * 180]})
    done, waits = threading.Event(), [0.0]

    def ask() -> bytes:
        try:
            answer = service.send("/embed", raw=body)
            assert answer.status == 200
            return answer.data
        finally:
            done.set()

    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        asked = pool.submit(ask)
        while not done.is_set():
            started = time.monotonic()
            assert service.send("/health/live").status == 200
            waits.append(time.monotonic() - started)
        whole = time.monotonic() - began
        found = json.loads(asked.result())
    assert len(found["embeddings"]) == 4096
    assert max(waits) < whole / 4
