"""How the client asks again: against a server that refuses as it was told to (STR-2)."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from featrix_core.strings import http_embedder, patience
from featrix_core.strings.http_embedder import (
    HttpTextEmbedder,
    StringsRequestError,
    StringsServiceError,
)

FINGERPRINT = "all-MiniLM-L6-v2:0123456789abcdef:onnx"


@contextlib.contextmanager
def refusing(status: int, times: int, after: str | None = None) -> Iterator[str]:
    """The address of a server that answers `times` requests with `status`, then with vectors."""
    left = [times]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["texts"]
            body, code = np.ones((len(texts), 384), "<i2").tobytes(), 200
            if left[0]:
                left[0] -= 1
                body, code = b'{"error": {"message": "no"}}', status
            self.send_response(code)
            self.send_header("X-Featrix-Fingerprint", FINGERPRINT)
            self.send_header("Content-Length", str(len(body)))
            if after is not None and code != 200:
                self.send_header("Retry-After", after)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, in no time."""
    made: list[float] = []
    monkeypatch.setattr(patience, "sleep", made.append)
    return made


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_for_longer_than_a_broken_one(
    pauses: list[float], status: int
) -> None:
    with refusing(status, 45, "1") as url:
        found = HttpTextEmbedder(url, fingerprint=FINGERPRINT, retries=3).embed(["a"])
    assert found.shape == (1, 384) and len(pauses) == 45
    assert min(pauses) >= 1.0 and max(pauses) <= 30.0
    assert len({round(pause, 6) for pause in pauses}) > 40, "no two callers come back together"
    assert min(pauses[10:]) >= 20.0, "the pauses grow beyond what the service says"


def test_no_pause_is_shorter_than_the_service_says(pauses: list[float]) -> None:
    with refusing(429, 3, "7") as url:
        HttpTextEmbedder(url, fingerprint=FINGERPRINT).embed(["a"])
    assert len(pauses) == 3 and all(7.0 <= pause <= 10.5 for pause in pauses)
    pauses.clear()
    with refusing(503, 2, "3600") as url:
        HttpTextEmbedder(url, fingerprint=FINGERPRINT).embed(["a"])
    assert pauses == [30.0, 30.0]


@pytest.mark.parametrize("fallback", [False, True])
def test_a_service_that_stays_busy_is_given_up(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch, fallback: bool
) -> None:
    monkeypatch.setattr(http_embedder, "BUSY_SECONDS", -1.0)
    with refusing(429, 5) as url, pytest.raises(StringsRequestError, match="answered 429: no"):
        HttpTextEmbedder(url, fingerprint=FINGERPRINT, fallback=fallback).embed(["a"])
    assert pauses == []


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_refused_is_neither_repeated_nor_computed_here(
    pauses: list[float], status: int
) -> None:
    with refusing(status, 9, "1") as url, pytest.raises(StringsRequestError, match=str(status)):
        HttpTextEmbedder(url, fingerprint=FINGERPRINT, fallback=True).embed(["a"])
    assert pauses == []


def test_broken_answers_are_counted(pauses: list[float]) -> None:
    with refusing(502, 4) as url, pytest.raises(StringsServiceError, match="answered 502"):
        HttpTextEmbedder(url, fingerprint=FINGERPRINT, retries=3).embed(["a"])
    assert len(pauses) == 3
