"""A caller who does not take its answer (STR-1)."""

from __future__ import annotations

import socket
import threading
import time

import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from featrix_core.strings import connection
from featrix_core.strings.embedder import find_weights
from featrix_core.strings.service import StringsService
from tests.strings.services import free_port

BYTES = 32 * 2**20  # more than the kernel keeps for a socket


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(b"x" * BYTES)(scope, receive, send)


def test_an_answer_that_nobody_takes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_UNREAD_SECONDS", 1.0)
    service = StringsService(find_weights())
    port = free_port()
    config = uvicorn.Config(
        large,
        port=port,
        http=connection.connection_of(service),
        ws="none",
        lifespan="off",
        log_config=None,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        with socket.create_connection(("127.0.0.1", port), 60) as caller:
            caller.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            while not server.server_state.connections:
                time.sleep(0.02)
            deadline = time.monotonic() + 30
            while server.server_state.connections and time.monotonic() < deadline:
                time.sleep(0.05)
            assert not server.server_state.connections
            received = 0
            try:
                while more := caller.recv(2**20):
                    received += len(more)
            except ConnectionError:
                pass
            assert 0 < received < BYTES
    finally:
        server.should_exit = True
        thread.join()
        service.close()
