"""A real strings service in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3
import uvicorn
from numpy.typing import NDArray
from starlette.types import ASGIApp

from featrix_core.strings.connection import connection_of
from featrix_core.strings.service import StringsService

START_LIMIT = 180.0  # seconds; a few when nothing else runs
CODE = "import json, sys; from featrix_core.strings.serve import serve; serve(**json.loads(sys.argv[1]))"
HTTP = urllib3.PoolManager(retries=False, timeout=60, maxsize=16)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Service:
    """A started service: its addresses, its process and its log."""

    port: int
    metrics_port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(
        self, path: str, body: object = None, *, raw: bytes | None = None, **headers: str
    ) -> urllib3.BaseHTTPResponse:
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        method = "GET" if data is None else "POST"
        return HTTP.request(method, self.url + path, body=data, headers=headers)

    def steps(self, texts: list[str]) -> NDArray[np.int16]:
        answer = self.send("/embed", {"texts": texts}, Accept="application/vnd.featrix.steps")
        assert answer.status == 200, answer.data
        return np.frombuffer(answer.data, "<i2").reshape(-1, 384)

    def metric(self, series: str) -> float:
        page = HTTP.request("GET", f"http://127.0.0.1:{self.metrics_port}/metrics").data.decode()
        found = [
            line for line in page.splitlines() if line.startswith(f"featrix_strings_{series} ")
        ]
        assert len(found) == 1, (series, found)
        return float(found[0].rsplit(" ", 1)[1])

    def memory(self) -> float:
        """Megabytes that the process holds."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextlib.contextmanager
def running(home: Path, *, ready: bool = True, **options: Any) -> Iterator[Service]:
    """A service with its files under `home`, awaited until it is ready."""
    ports = {"port": free_port(), "metrics_port": free_port(), **options}
    log = home / "service.log"
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, json.dumps(ports)],
            stdout=sink,
            stderr=sink,
            env=os.environ,
            cwd=home,
        )
    service = Service(ports["port"], ports["metrics_port"], process, log)
    try:
        if ready:
            wait_until(lambda: _is_ready(service), service)
        yield service
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=30)


def wait_until(holds: Callable[[], bool], service: Service) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not holds():
        if service.process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"The service did not get there:\n{service.log.read_text()[-2000:]}")
        time.sleep(0.05)


def _is_ready(service: Service) -> bool:
    try:
        return service.send("/health/ready").status == 200
    except urllib3.exceptions.HTTPError:
        return False


@contextlib.contextmanager
def in_thread(service: StringsService, app: ASGIApp | None = None) -> Iterator[tuple[int, Any]]:
    """The service (or another application behind its connections) in this process: port and server."""
    port = free_port()
    config = uvicorn.Config(
        app or service.app,
        port=port,
        http=connection_of(service),
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
        yield port, server.server_state
    finally:
        server.should_exit = True
        thread.join()
        service.close()
