"""Real MLflow servers for tests: started, awaited, and stopped by their process group."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

START_LIMIT = 180.0  # seconds; alone it takes ten at most, on a busy machine a minute


def free_port() -> int:
    """A free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], port: int, ready: str, home: Path, environment: Mapping[str, str]
) -> Iterator[str]:
    """Address of the server that `command` starts, from when it answers at the path `ready`."""
    log, address = home / "server.log", f"http://127.0.0.1:{port}"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, stdout=sink, stderr=sink, env=environment, cwd=home, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_LIMIT
        while not _answers(f"{address}{ready}"):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The server did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.25)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its own group: the command and what it started
        process.wait(timeout=30)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False
