"""The strings service as a process: start, token, signals, exit status (STR-1)."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.strings.http_embedder import HttpTextEmbedder
from tests.strings.services import CODE, HTTP, Service, free_port, running, wait_until


def _answers(service: Service, path: str, status: int) -> bool:
    try:
        return service.send(path).status == status
    except Exception:
        return False


def test_life_with_a_token(tmp_path: Path) -> None:
    """From loading to the end: alive before ready, token checked, in-flight work finished, status 0."""
    token = tmp_path / "token"
    token.write_text("open-sesame\n")
    wrong = tmp_path / "wrong"
    wrong.write_text("open-barley")
    with running(
        tmp_path, ready=False, token_file=str(token), threads=1, drain_seconds=1.0
    ) as service:
        wait_until(lambda: _answers(service, "/health/live", 200), service)
        early = service.send("/health/ready")
        if early.status != 200:  # the model takes longer to load than the port to open
            assert early.status == 503 and early.headers["Retry-After"] == "2"
        wait_until(lambda: _answers(service, "/health/ready", 200), service)

        for headers in (
            {},
            {"Authorization": "Bearer open"},
            {"Authorization": "Basic open-sesame"},
        ):
            answer = service.send("/embed", {"texts": ["a"]}, **headers)
            assert answer.status == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
        assert service.send("/info").status == 401
        with pytest.raises(FeatrixUserError, match="refuses the token"):
            HttpTextEmbedder(service.url, token_file=wrong).embed(["a"])
        embedder = HttpTextEmbedder(service.url, token_file=token)
        assert embedder.embed(["a"]).shape == (1, 384)

        texts = [f"{n} " + "word " * 150 for n in range(60)]
        with ThreadPoolExecutor(1) as pool:
            in_flight = pool.submit(embedder.embed, texts)
            wait_until(lambda: service.metric("waiting_texts") > 0, service)
            service.process.send_signal(signal.SIGTERM)
            wait_until(lambda: _answers(service, "/health/ready", 503), service)
            assert in_flight.result(60).shape == (60, 384)
        assert service.process.wait(timeout=60) == 0
        log = service.log.read_text()
        assert "sesame" not in log and "barley" not in log
        assert json.loads(log.splitlines()[-1])["message"] == "Stopped"


def test_what_cannot_start_says_why(service: Service, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for options, words in (
        ({"port": service.port, "metrics_port": free_port()}, "cannot listen"),
        ({"port": free_port(), "metrics_port": service.metrics_port}, "metrics cannot be served"),
        ({"threads": -1}, "fewer threads than one"),
        ({"token_file": str(empty)}, "is empty"),
        ({"token_file": str(tmp_path / "none")}, "cannot be read"),
        ({"model_path": str(tmp_path)}, "No sentence model"),
        ({"expect_fingerprint": "another"}, "The model here has the fingerprint"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", CODE, json.dumps(options)],
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode != 0
        assert "FeatrixUserError" in done.stderr and words in done.stderr


def test_a_head_without_end_is_cut_off(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as caller:
        caller.sendall(b"POST /embed HTTP/1.1\r\nHost: x\r\nX-More: ")
        assert caller.recv(1024) == b""


def test_a_second_head_without_end_is_cut_off(service: Service) -> None:
    """Also on a connection that was used before, and long before an idle one is closed."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as caller:
        for _ in range(2):
            caller.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += caller.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200")
        caller.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-More: ")
        assert caller.recv(1024) == b""


def test_a_connection_that_sends_nothing_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with (
        running(tmp_path) as service,
        socket.create_connection(("127.0.0.1", service.port)),
    ):
        assert HTTP.request("GET", f"{service.url}/health/live").status == 200
        assert service.stop() == 0
