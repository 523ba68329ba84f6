"""Finished answers: written as they are taken, and bounded when nobody takes them (STR-1)."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featrix_core.strings import answers
from featrix_core.strings.embedder import find_weights
from featrix_core.strings.grid import DIMENSION, STEPS_PER_UNIT
from featrix_core.strings.limits import Limits
from featrix_core.strings.service import StringsService
from featrix_core.strings.service_cache import Vector
from featrix_core.strings.vector_forms import COMPACT, Form, embed_form, openai_form
from tests.strings.services import Service, in_thread, running

TEXTS = [f"text {n % 64}" for n in range(4096)]
LARGEST = len(TEXTS) * 2 * DIMENSION


def _request(texts: list[str], accept: str = "application/json") -> bytes:
    body = json.dumps({"texts": texts}).encode()
    head = f"POST /embed HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _caller(port: int, opened: contextlib.ExitStack, sends: bytes) -> socket.socket:
    """A caller whose kernel keeps little for it."""
    caller = opened.enter_context(socket.socket())
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    caller.settimeout(60)
    caller.connect(("127.0.0.1", port))
    caller.sendall(sends)
    return caller


def _all(caller: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of the next answer, or what comes of it; the head tells the length."""
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += caller.recv(65_536)
    head, _, body = raw.partition(b"\r\n\r\n")
    lengths = [line for line in head.split(b"\r\n") if line.startswith(b"content-length: ")]
    length = int(lengths[0].split()[1])
    while len(body) < length and (more := caller.recv(2**20)):
        body += more
    return head, body[:length]


def _vectors(count: int, seed: int) -> list[Vector]:
    steps = np.random.default_rng(seed).integers(-STEPS_PER_UNIT, STEPS_PER_UNIT + 1, (count, 384))
    return [Vector(row.astype("<i2").tobytes(), 3) for row in steps]


@given(st.integers(1, 200), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_every_form_has_the_vectors_and_the_size_that_it_says(count: int, seed: int) -> None:
    vectors = _vectors(count, seed)
    expected = np.frombuffer(b"".join(v.steps for v in vectors), "<i2").reshape(count, -1)
    units = expected.astype(np.float32) / np.float32(STEPS_PER_UNIT)

    def body(form: Form) -> bytes:
        parts = list(form.parts(vectors))
        assert max(map(len, parts)) < 66_000
        assert sum(map(len, parts)) == form.size(count)
        return b"".join(parts)

    assert body(COMPACT) == expected.astype("<i2").tobytes()
    plain = json.loads(body(embed_form("a:b")))
    assert plain["fingerprint"] == "a:b"
    assert np.array(plain["embeddings"], np.float32).tobytes() == units.tobytes()
    for in_base64 in (False, True):
        listed = json.loads(body(openai_form(7, in_base64=in_base64)))
        assert listed["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
        assert [item["index"] for item in listed["data"]] == list(range(count))
        found = [item["embedding"] for item in listed["data"]]
        if in_base64:
            found = [np.frombuffer(base64.b64decode(text), "<f4") for text in found]
        assert np.array(found, np.float32).tobytes() == units.tobytes()


def test_every_coordinate_has_its_own_decimals() -> None:
    steps = np.arange(-STEPS_PER_UNIT, STEPS_PER_UNIT + 1, dtype="<i2")
    rows = np.resize(steps, (-(-len(steps) // DIMENSION), DIMENSION))
    for shifted in (
        rows,
        np.roll(rows, 1, axis=1),
    ):  # the last one of a vector is written otherwise
        vectors = [Vector(row.tobytes(), 2) for row in shifted]
        found = json.loads(b"".join(embed_form("f").parts(vectors)))["embeddings"]
        assert found == (shifted.astype(int) / STEPS_PER_UNIT).tolist()


def test_memory_with_many_callers_who_never_read(tmp_path: Path) -> None:
    """60 answers of 12 MiB each, asked for twice on every connection, take next to nothing."""
    callers = 60
    with running(tmp_path, threads=2) as service, contextlib.ExitStack() as opened:
        whole = len(service.send("/embed", {"texts": TEXTS}).data)
        assert whole > 12 * 2**20
        before = service.memory()
        silent = [_caller(service.port, opened, _request(TEXTS) * 2) for _ in range(callers)]
        most = _most_memory_while_they_wait(service)
        # Of an answer, the part that is written and what the transport keeps; of a request, its texts.
        assert most - before < 100, f"{before:.0f} … {most:.0f} MB"
        assert most - before < callers * whole / 2**20 / 5
        # Everyone else is served.
        assert service.steps(["somebody else"]).shape == (1, 384)
        _, last = _all(silent[0])  # and so is who reads after all
        assert len(json.loads(last)["embeddings"]) == 4096


def _most_memory_while_they_wait(service: Service) -> float:
    most, refused = 0.0, 'requests_total{route="/embed",status="429"}'
    asked = time.monotonic()
    while time.monotonic() < asked + 3 or not service.metric("answer_bytes"):
        most = max(most, service.memory())
        assert service.metric("answer_bytes") <= Limits().answer_bytes
        time.sleep(0.1)
    assert service.metric("answer_bytes") > 15 * LARGEST and service.metric(refused) > 0
    return most


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[StringsService]:
    """A service with room for two of the largest answers."""
    service = StringsService(find_weights(), limits=Limits(answer_bytes=2 * LARGEST))
    service.load()
    yield service


def _metric(service: StringsService, name: str) -> float:
    value = service.metrics.registry.get_sample_value(f"featrix_strings_{name}")
    assert value is not None
    return value


def test_who_takes_nothing_makes_room(
    narrow: StringsService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_STALLED_SECONDS", 2.0)
    with in_thread(narrow) as (port, _), contextlib.ExitStack() as opened:
        _, first = _all(_caller(port, opened, _request(TEXTS)))
        silent = [_caller(port, opened, _request(TEXTS)) for _ in range(2)]
        while _metric(narrow, "answer_bytes") < 2 * LARGEST:
            time.sleep(0.02)
        head, refused = _all(_caller(port, opened, _request(TEXTS)))
        assert head.startswith(b"HTTP/1.1 429") and b"\r\nretry-after: 1" in head
        assert json.loads(refused)["error"]["type"] == "overloaded"
        assert _metric(narrow, "given_up_answers_total") == 0
        time.sleep(2.2)
        assert _all(_caller(port, opened, _request(TEXTS)))[1] == first
        assert _metric(narrow, "given_up_answers_total") == 1
        # The one that waited for longest; the other one can still be read.
        with pytest.raises((ConnectionError, AssertionError)):
            assert _all(silent[0])[1] == first
        assert _all(silent[1])[1] == first
        while _metric(narrow, "answer_bytes"):
            time.sleep(0.02)


def test_what_nobody_reads_is_not_left_to_the_kernel(narrow: StringsService) -> None:
    """Its room stays taken also where an answer would fit into the send buffer of a fast connection."""
    texts = TEXTS[:600]
    with in_thread(narrow) as (port, _), contextlib.ExitStack() as opened:
        assert len(_all(_caller(port, opened, _request(texts)))[1]) < 2 * 2**20
        while _metric(narrow, "answer_bytes"):
            time.sleep(0.02)
        _caller(port, opened, _request(texts))
        deadline = time.monotonic() + 10
        while not _metric(narrow, "answer_bytes") and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(1.0)
        assert _metric(narrow, "answer_bytes") == len(texts) * 2 * DIMENSION


def test_a_steady_slow_reader_does_not_count_as_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newcomers for whom there is no room are sent away, and what is being read is read to its end."""
    monkeypatch.setattr(answers, "_STALLED_SECONDS", 0.8)
    texts, rate = TEXTS[:2600], 1_250_000  # more than a send buffer that grows would take
    service = StringsService(
        find_weights(), limits=Limits(answer_bytes=(len(texts) + 64) * 2 * DIMENSION)
    )
    service.load()
    with in_thread(service) as (port, _), contextlib.ExitStack() as opened:
        whole = len(_all(_caller(port, opened, _request(texts)))[1])
        slow = _caller(port, opened, _request(texts))
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        taken, started, refused = 0, time.monotonic(), 0
        while taken < whole:
            more = slow.recv(rate // 20)
            assert more, f"cut off after {taken} bytes"
            taken += len(more)
            time.sleep(max(0.0, taken / rate - (time.monotonic() - started)))
            if taken > (refused + 1) * whole // 8 and _metric(service, "answer_bytes"):
                head, _ = _all(_caller(port, opened, _request(TEXTS[:100])))
                refused += head.startswith(b"HTTP/1.1 429")
        assert refused > 3
        assert _metric(service, "given_up_answers_total") == 0


def test_an_answer_has_its_time(narrow: StringsService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "TAKEN_SECONDS", 1.0)
    with in_thread(narrow) as (port, state), contextlib.ExitStack() as opened:
        caller = _caller(port, opened, _request(TEXTS))
        while not _metric(narrow, "answer_bytes"):
            time.sleep(0.02)
        while _metric(narrow, "answer_bytes"):
            time.sleep(0.02)
        assert not state.connections and _metric(narrow, "given_up_answers_total") == 1
        with pytest.raises((ConnectionError, AssertionError)):
            assert len(_all(caller)[1]) > 12 * 2**20


def test_a_caller_who_goes_leaves_nothing(narrow: StringsService) -> None:
    with in_thread(narrow) as (port, _):
        for accept in ("application/json", "application/vnd.featrix.steps"):
            with contextlib.ExitStack() as opened:
                _caller(port, opened, _request(TEXTS, accept)).recv(100)
            while _metric(narrow, "answer_bytes"):
                time.sleep(0.02)
        assert _metric(narrow, "given_up_answers_total") == 0
