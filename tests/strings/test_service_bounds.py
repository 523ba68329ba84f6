"""What the service holds at a time: connections, and bodies that arrive (STR-1)."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator

import pytest

from featrix_core.strings.connection import RESERVED
from tests.strings.services import Service, running, wait_until

MOST = 4
HEAD = "POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n"
PROBE = b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that takes few connections."""
    home = tmp_path_factory.mktemp("small")
    with running(home, threads=1, max_connections=MOST, cache_entries=50, cache_mib=1) as started:
        yield started


@pytest.fixture
def callers(small: Service) -> Iterator[contextlib.ExitStack]:
    """Closes what a test opens, and waits until the service has no connection left."""
    with contextlib.ExitStack() as opened:
        yield opened
    wait_until(lambda: small.metric("connections") == 0, small)


def _caller(service: Service, opened: contextlib.ExitStack, sends: bytes = b"") -> socket.socket:
    caller = opened.enter_context(socket.create_connection(("127.0.0.1", service.port), 60))
    caller.sendall(sends)
    return caller


def _answer(caller: socket.socket) -> tuple[str, dict[str, str], bytes]:
    """Status line, headers and body of the next answer."""
    raw = b""
    while b"\r\n\r\n" not in raw and (more := caller.recv(65_536)):
        raw += more
    head, _, body = raw.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    while len(body) < int(headers["content-length"]) and (more := caller.recv(65_536)):
        body += more
    return status, headers, body


def _ended(caller: socket.socket) -> bool:
    try:
        return caller.recv(1) == b""
    except ConnectionError:
        return True


def _texts(text: str) -> bytes:
    body = json.dumps({"texts": [text]})
    return (HEAD.format(len(body)) + body).encode()


def test_beyond_the_limit_health_is_answered_and_calls_are_refused(
    small: Service, callers: contextlib.ExitStack
) -> None:
    for _ in range(MOST):  # none of them is idle: their bodies are awaited
        _caller(small, callers, HEAD.format(100).encode())
    wait_until(lambda: small.metric("connections") == MOST, small)
    for _ in range(3):
        probe = _caller(small, callers, PROBE)
        status, headers, _ = _answer(probe)
        assert status == "HTTP/1.1 200 OK" and headers["connection"] == "close"
        assert _ended(probe)
    refused = _caller(small, callers, _texts("one too many"))
    status, headers, body = _answer(refused)
    assert status.startswith("HTTP/1.1 429") and headers["retry-after"] == "1"
    error = json.loads(body)["error"]
    assert error["type"] == "overloaded" and "connections" in error["message"]
    assert _ended(refused)
    for path, wanted in (("/openapi.json", "429"), ("/nothing", "404")):
        other = _caller(small, callers, PROBE.replace(b"/health/ready", path.encode()))
        assert _answer(other)[0].startswith(f"HTTP/1.1 {wanted}")
        assert _ended(other)


def test_the_longest_idle_connection_makes_room(
    small: Service, callers: contextlib.ExitStack
) -> None:
    idle = []
    for _ in range(MOST):
        idle.append(_caller(small, callers, PROBE))
        assert _answer(idle[-1])[0] == "HTTP/1.1 200 OK"
    newcomer = _caller(small, callers, _texts("just came"))
    status, headers, _ = _answer(newcomer)
    assert status == "HTTP/1.1 200 OK" and "connection" not in headers
    assert _ended(idle[0])
    for kept in idle[1:]:
        kept.sendall(PROBE)
        assert _answer(kept)[0] == "HTTP/1.1 200 OK"


def test_too_many_connections_are_cut_off(small: Service, callers: contextlib.ExitStack) -> None:
    silent = [_caller(small, callers) for _ in range(MOST + RESERVED)]
    wait_until(lambda: small.metric("connections") == len(silent), small)
    before = small.metric("cut_connections_total")
    assert _ended(_caller(small, callers))
    assert small.metric("cut_connections_total") == before + 1
    silent[0].sendall(_texts("came in time"))
    assert _answer(silent[0])[0] == "HTTP/1.1 200 OK"


def test_the_cache_is_as_large_as_it_may_be(small: Service, callers: contextlib.ExitStack) -> None:
    short = [f"short {n}" for n in range(70)]
    long = [" " * 19_990 + str(n) for n in range(70)]
    for texts, entries in ((short, 50), (long, 2**20 // (19_992 + 768 + 320))):
        body = json.dumps({"texts": texts})
        caller = _caller(small, callers, (HEAD.format(len(body)) + body).encode())
        assert _answer(caller)[0] == "HTTP/1.1 200 OK"
        assert entries - 1 <= small.metric("cache_entries") <= entries + 1 <= 51
    assert 0.9 * 2**20 < small.metric("cache_bytes") <= 2**20


def test_bodies_that_arrive_at_a_time_are_limited(service: Service) -> None:
    limits = json.loads(service.send("/info").data)["limits"]
    whole = limits["body_bytes"]
    with contextlib.ExitStack() as opened:
        for _ in range(limits["buffered_bytes"] // whole):
            caller = _caller(service, opened, HEAD.format(whole).encode())
            caller.sendall(b" " * (whole - 1))
        wait_until(lambda: service.metric("body_bytes") > limits["buffered_bytes"] - 100, service)
        refused = _caller(service, opened, HEAD.format(100_000).encode() + b" " * 100_000)
        status, headers, body = _answer(refused)
        assert status.startswith("HTTP/1.1 429") and headers["retry-after"] == "1"
        assert json.loads(body)["error"]["type"] == "overloaded"
        # Small ones are taken as ever.
        assert service.send("/health/ready").status == 200
        assert service.steps(["a small body"]).shape == (1, 384)
    wait_until(lambda: service.metric("body_bytes") == 0, service)
    assert service.steps(["long " * 300 + str(n) for n in range(50)]).shape == (50, 384)
