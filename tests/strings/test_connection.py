"""Callers who do not take their answers (STR-1)."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from featrix_core.strings import connection
from featrix_core.strings.embedder import find_weights
from featrix_core.strings.service import StringsService
from tests.strings.services import in_thread

BYTES = 32 * 2**20  # more than the kernel keeps for a socket
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(b"x" * BYTES)(scope, receive, send)


def _holds(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


@pytest.mark.parametrize("requests", [1, 3])
def test_an_answer_that_nobody_takes_is_given_up(
    monkeypatch: pytest.MonkeyPatch, requests: int
) -> None:
    """Also when further requests were sent at once, whose answers wait for the first one."""
    monkeypatch.setattr(connection, "TAKEN_SECONDS", 1.0)
    with (
        in_thread(StringsService(find_weights()), large) as (port, state),
        socket.create_connection(("127.0.0.1", port), 60) as caller,
    ):
        caller.sendall(GET * requests)
        assert _holds(lambda: bool(state.connections))
        assert _holds(lambda: not state.connections)
        received = 0
        try:
            while more := caller.recv(2**20):
                received += len(more)
        except ConnectionError:
            pass
        assert 0 < received < BYTES


def test_a_caller_who_reads_slowly_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the connection moves."""
    monkeypatch.setattr(connection, "TAKEN_SECONDS", 3.0)

    async def parts(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", str(BYTES).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for left in range(BYTES // 2**18 - 1, -1, -1):
            await send({"type": "http.response.body", "body": b"x" * 2**18, "more_body": left > 0})

    with (
        in_thread(StringsService(find_weights()), parts) as (port, _),
        socket.create_connection(("127.0.0.1", port), 60) as caller,
    ):
        caller.sendall(GET)
        received, started = 0, time.monotonic()
        while received < BYTES and (more := caller.recv(2**20)):
            received += len(more)
            time.sleep(0.05)
        assert received >= BYTES
        assert time.monotonic() - started > 1.5
