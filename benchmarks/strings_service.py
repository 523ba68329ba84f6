"""The strings service in a process of its own, texts for it, and callers in another process.

python -m benchmarks.strings_service http://127.0.0.1:8080 64 7    # 64 callers until its input ends
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import urllib3
from numpy.typing import NDArray

from featrix_core.strings.grid import DIMENSION, STEPS_PER_UNIT
from featrix_core.strings.schemas import BINARY

_WORDS = (
    "red large green small business used car radio furniture equipment education repairs domestic "
    "appliance unemployed skilled resident management official steel copper wireless portable cotton "
    "garden kitchen lamp chair table printer paper folder cable charger battery screen holder blue "
    "invoice delivery returned damaged customer asked refund warranty replaced courier late quality"
)
WORDS = _WORDS.split()
KINDS = {"short categories": (1, 2), "product names": (4, 9), "paragraphs": (60, 110)}
_SERVE = """
import json, sys
from featrix_core.strings.serve import serve
serve(**json.loads(sys.argv[1]))
"""
_CALL_TEXTS = 32
_MOST_TURNS = 100_000


def texts_of(kind: str, count: int, seed: int) -> list[str]:
    """Texts that no other seed has: the seed and a number stand in each."""
    rng = np.random.default_rng(seed)
    low, high = KINDS[kind]
    sizes = rng.integers(low, high + 1, count).tolist()
    return [f"{' '.join(rng.choice(WORDS, size))} {seed}x{n}" for n, size in enumerate(sizes)]


class Service:
    """The service, for the length of a `with` block; `options` are those of `serve`."""

    def __init__(self, **options: Any) -> None:
        port, self.metrics_port = _free_port(), _free_port()
        started = time.perf_counter()
        given = json.dumps({"port": port, "metrics_port": self.metrics_port, **options})
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, given], stdout=subprocess.DEVNULL
        )
        self.url = f"http://127.0.0.1:{port}"
        self.http = urllib3.PoolManager(maxsize=128, retries=False, timeout=300)
        while not self.ready():
            if self.process.poll() is not None:
                raise SystemExit("The service did not start")
            time.sleep(0.02)
        self.start_seconds = time.perf_counter() - started

    def ready(self) -> bool:
        """Whether it says that it is ready."""
        try:
            return self.http.request("GET", f"{self.url}/health/ready").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def embed(self, texts: list[str], accept: str = BINARY) -> int:
        """Status of a request for vectors."""
        return self.send(json.dumps({"texts": texts}).encode(), accept)

    def vectors(self, texts: list[str]) -> NDArray[np.float32]:
        """Vectors (n, 384) in the compact form, decoded as `HttpTextEmbedder` does."""
        answer = self._post(json.dumps({"texts": texts}).encode(), BINARY)
        if answer.status != 200:
            raise SystemExit(f"A request was answered {answer.status}")
        steps = np.frombuffer(answer.data, "<i2").reshape(len(texts), DIMENSION)
        return steps.astype(np.float32) / np.float32(STEPS_PER_UNIT)

    def send(self, body: bytes, accept: str = BINARY) -> int:
        """Status of a request with this body."""
        return int(self._post(body, accept).status)

    def _post(self, body: bytes, accept: str) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": accept}
        return self.http.request("POST", f"{self.url}/embed", body=body, headers=headers)

    def figure(self, series: str) -> float:
        """A figure of its metrics."""
        page = self.http.request("GET", f"http://127.0.0.1:{self.metrics_port}/metrics")
        lines = page.data.decode().splitlines()
        (line,) = (line for line in lines if line.startswith(f"featrix_strings_{series} "))
        return float(line.split()[1])

    def memory(self, kind: str = "VmRSS") -> float:
        """MiB that the process holds, or held at most (VmHWM)."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")) / 1024

    def forget_peak(self) -> None:
        """What the process held at most counts from now on."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *failure: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=120) != 0:
            raise SystemExit("The service did not stop cleanly")


def own_memory(process: int) -> float:
    """MiB of a process in which shared pages count once over all processes."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def load(service: Service, callers: int, seed: int) -> Iterator[Counter[str]]:
    """Callers in a process of their own, who ask for new texts over and over; afterwards, what they saw.

    In this process they would keep its one interpreter busy, and with it whoever measures a latency.
    """
    command = [sys.executable, "-m", __spec__.name, service.url, str(callers), str(seed)]
    calling = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    seen: Counter[str] = Counter()
    try:
        assert calling.stdout is not None
        if calling.stdout.readline() != "calling\n":
            raise SystemExit("The callers did not start")
        yield seen
    finally:
        answers = calling.communicate("")[0]
        if calling.returncode == 0:
            seen.update(json.loads(answers))
        else:
            seen["callers failed"] += 1


def call(url: str, callers: int, seed: int, over: threading.Event) -> Counter[str]:
    """Statuses, and kinds of failure, that callers of product names see until it is over."""
    http = urllib3.PoolManager(maxsize=callers, retries=False, timeout=300)
    seen, lock = Counter[str](), threading.Lock()

    def one(caller: int) -> None:
        for turn in range(_MOST_TURNS):
            if over.is_set():
                return
            texts = texts_of("product names", _CALL_TEXTS, _seed(seed, caller, turn))
            body = json.dumps({"texts": texts}).encode()
            try:
                status = http.request("POST", f"{url}/embed", body=body, headers={"Accept": BINARY})
                what = str(status.status)
            except urllib3.exceptions.HTTPError as error:
                what = type(error).__name__
            with lock:
                seen[what] += 1
            if what != "200":
                over.wait(1.0)

    with ThreadPoolExecutor(callers) as pool:
        for done in [pool.submit(one, caller) for caller in range(callers)]:
            done.result()
    return seen


def _seed(seed: int, caller: int, turn: int) -> int:
    return (seed * 1000 + caller) * _MOST_TURNS + turn


def _main() -> None:
    over = threading.Event()
    url, callers, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

    def wait() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    print("calling", flush=True)
    print(json.dumps(call(url, callers, seed, over)), flush=True)


if __name__ == "__main__":
    _main()
