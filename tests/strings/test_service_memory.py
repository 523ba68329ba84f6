"""What the chart reserves for a pod beside its cache is enough (STR-1, STR-3)."""

from __future__ import annotations

import contextlib
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.strings import RESULT
from benchmarks.strings_memory import CHART, reserved
from featrix_core.strings.caching import CACHE_ENTRIES
from featrix_core.strings.limits import Limits
from tests.strings.services import Service, running

LIMITS = Limits()


def _peak(service: Service) -> float:
    """MiB that the process held at most."""
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def test_the_largest_requests_fit_into_the_charts_reserve(tmp_path: Path) -> None:
    """The model, the longest texts, and as much as is let in of bodies and answers, in one life."""
    text = "größer " * ((LIMITS.body_bytes // LIMITS.texts - 8) // 9)
    body = json.dumps({"texts": [text] * LIMITS.texts}, ensure_ascii=False).encode()
    assert 15 * 2**20 < len(body) <= LIMITS.body_bytes
    head = f"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with running(tmp_path, threads=2, cache_entries=100) as service:
        service.steps([f"{n} {'word ' * 300}" for n in range(16)])
        with contextlib.ExitStack() as opened, ThreadPoolExecutor(8) as pool:
            # More at a time than is let in, from callers who take no answer.
            callers = [
                opened.enter_context(socket.create_connection(("127.0.0.1", service.port), 60))
                for _ in range(8)
            ]
            for caller in callers:
                caller.settimeout(60)
            list(pool.map(_send, callers, [head + body] * 8))
            answers = pool.map(service.send, ["/embed"] * 8, [{"texts": [text] * 64}] * 8)
            assert {answer.status for answer in answers} <= {200, 429}
        assert 100 < _peak(service) < reserved()


def _send(caller: socket.socket, request: bytes) -> None:
    with contextlib.suppress(ConnectionError):  # refused before all of it was read
        caller.sendall(request)
        caller.recv(100)


def test_the_reserve_is_what_the_chart_says_and_what_was_measured() -> None:
    for name in ("README.md", "values.yaml"):
        assert f"{reserved()}Mi" in (CHART / name).read_text(encoding="utf-8")
    assert "`memory.beside_cache_mib`" in (CHART / "README.md").read_text(encoding="utf-8")
    if RESULT.is_file():  # once `make bench-strings` was run
        memory = json.loads(RESULT.read_text(encoding="utf-8"))["memory"]
        assert memory["cache_entries"] == CACHE_ENTRIES, "of a whole run"
        assert memory["beside_cache_mib"] < memory["reserved_mib"] == reserved()
