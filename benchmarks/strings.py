"""The strings service beside `SentenceTransformer.encode` in process, and under load.

    make bench-strings

Real processes on loopback; every figure comes from one run. Texts are made of the words below, never
the same twice, so that no cache helps where "uncached" is written.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import urllib3
from rich.console import Console

from benchmarks.machine import machine
from featrix_core.files import write_json
from featrix_core.strings.embedder import find_weights
from featrix_core.strings.schemas import BINARY

HERE = Path(__file__).parent
_WORDS = (
    "red large green small business used car radio furniture equipment education repairs domestic "
    "appliance unemployed skilled resident management official steel copper wireless portable cotton "
    "garden kitchen lamp chair table printer paper folder cable charger battery screen holder blue "
    "invoice delivery returned damaged customer asked refund warranty replaced courier late quality"
)
WORDS = _WORDS.split()
KINDS = {"short categories": (1, 2), "product names": (4, 9), "paragraphs": (60, 110)}
PER_REQUEST = 64
SERVE = """
import sys
from featrix_core.strings.serve import serve
serve(port=int(sys.argv[1]), metrics_port=int(sys.argv[2]))
"""
JOB = """
import sys, numpy as np
from featrix_core.strings.http_embedder import HttpTextEmbedder
from featrix_core.strings.embedder import LocalTextEmbedder
url = sys.argv[1]
embedder = HttpTextEmbedder(url) if url.startswith("http") else LocalTextEmbedder(engine=url)
embedder.embed([f"row {n}" for n in range(64)])
print("ready", flush=True)
sys.stdin.read()
"""


def texts_of(kind: str, count: int, seed: int) -> list[str]:
    """Texts that no other seed has: a number stands in each."""
    rng = np.random.default_rng(seed)
    low, high = KINDS[kind]
    sizes = rng.integers(low, high + 1, count).tolist()
    return [f"{' '.join(rng.choice(WORDS, size))} {seed}{n:05d}" for n, size in enumerate(sizes)]


class Service:
    """The service in a process of its own, for the length of a `with` block."""

    def __init__(self) -> None:
        ports = [_free_port(), _free_port()]
        started = time.perf_counter()
        command = [sys.executable, "-c", SERVE, *map(str, ports)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.http = urllib3.PoolManager(maxsize=128, retries=False, timeout=300)
        while not self._ready():
            if self.process.poll() is not None:
                raise SystemExit("The service did not start")
            time.sleep(0.02)
        self.start_seconds = time.perf_counter() - started

    def _ready(self) -> bool:
        try:
            return self.http.request("GET", f"{self.url}/health/ready").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def embed(self, texts: list[str]) -> int:
        """Status of a request for vectors in their compact form."""
        body = json.dumps({"texts": texts}).encode()
        answer = self.http.request(
            "POST", f"{self.url}/embed", body=body, headers={"Accept": BINARY}
        )
        return int(answer.status)

    def memory(self) -> float:
        """Megabytes that the process holds."""
        return _memory(self.process.pid)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *failure: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=120) != 0:
            raise SystemExit("The service did not stop cleanly")


def throughput(service: Service, texts: list[str], callers: int, per_request: int) -> float:
    """Texts per second over HTTP with so many callers."""
    requests = [texts[at : at + per_request] for at in range(0, len(texts), per_request)]
    with ThreadPoolExecutor(callers) as pool:
        started = time.perf_counter()
        statuses = set(pool.map(service.embed, requests))
        seconds = time.perf_counter() - started
    if statuses != {200}:
        raise SystemExit(f"Answers {statuses}")
    return len(texts) / seconds


def uncached(service: Service, counts: dict[str, int], repeats: int) -> list[dict[str, Any]]:
    """Over HTTP and in process on the same texts, in turns; the medians of some repeats."""
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(find_weights()), device="cpu", local_files_only=True)

    def encode(texts: list[str]) -> float:
        started = time.perf_counter()
        reference.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        return len(texts) / (time.perf_counter() - started)

    rows = []
    encode(texts_of("product names", 64, 1))
    throughput(service, texts_of("product names", 64, 1), 1, PER_REQUEST)
    for number, (kind, count) in enumerate(counts.items()):
        for callers in (1, 8, 64):
            measured = []
            for repeat in range(repeats):
                texts = texts_of(kind, count, 1000 * (number + 1) + 10 * callers + repeat)
                size = min(PER_REQUEST, max(1, count // callers))
                measured.append((throughput(service, texts, callers, size), encode(texts)))
            http, here = np.median(measured, axis=0).tolist()
            rows.append(
                {
                    "texts": kind,
                    "callers": callers,
                    "http_per_second": http,
                    "encode_per_second": here,
                    "ratio": float(np.median([a / b for a, b in measured])),
                }
            )
    return rows


def cached(service: Service, count: int) -> float:
    """Texts per second when the cache knows them all, with 8 callers."""
    texts = texts_of("product names", count, 7)
    throughput(service, texts, 8, 256)
    return throughput(service, texts * 8, 8, 256)


def latency(service: Service, count: int, seed: int) -> dict[str, float]:
    """Milliseconds for one uncached text, one request after the other."""
    took = []
    for text in texts_of("product names", count, seed):
        started = time.perf_counter()
        service.embed([text])
        took.append(1e3 * (time.perf_counter() - started))
    p50, p99 = np.percentile(took, [50, 99]).tolist()
    return {"p50_ms": p50, "p99_ms": p99, "requests": float(count)}


@contextmanager
def load(service: Service, callers: int) -> Iterator[Counter[int]]:
    """Callers who ask for new texts over and over; the statuses that they saw."""
    over, statuses, lock = threading.Event(), Counter[int](), threading.Lock()

    def call(caller: int) -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            status = service.embed(texts_of("product names", 32, 10_000 * (caller + 1) + turn))
            with lock:
                statuses[status] += 1
            if status == 429:
                over.wait(1.0)

    with ThreadPoolExecutor(callers) as pool:
        calls = [pool.submit(call, caller) for caller in range(callers)]
        yield statuses
        over.set()
        for done in calls:
            done.result()


def soak(service: Service, seconds: float) -> dict[str, Any]:
    """64 callers for a while: what was answered, and the memory as it went."""
    megabytes = []
    with load(service, 64) as statuses:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(10.0, seconds / 10))
            megabytes.append(service.memory())
    return {"seconds": seconds, "answers": dict(statuses), "megabytes": megabytes}


def jobs(where: str, count: int = 8) -> float:
    """Megabytes of some jobs that are there at once, shared pages counted once."""
    command = [sys.executable, "-c", JOB, where]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    try:
        for job in running:
            assert job.stdout is not None
            if job.stdout.readline() != "ready\n":
                raise SystemExit("A job failed")
        return sum(_memory(job.pid) for job in running)
    finally:
        for job in running:
            job.communicate("")


def _memory(process: int) -> float:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(short: bool, soak_seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """The whole result."""
    scale = 8 if short else 1
    counts = {"short categories": 4096, "product names": 4096, "paragraphs": 512}
    counts = {kind: count // scale for kind, count in counts.items()}
    result: dict[str, Any] = {"machine": machine()}

    def keep(name: str, value: object) -> None:
        result[name] = value
        say(f"{name}: {value}")

    with Service() as service:
        keep("start_seconds", service.start_seconds)
        keep("latency_idle", latency(service, 400 // scale, 3))
        keep("megabytes_idle", service.memory())
        keep("uncached", uncached(service, counts, 1 if short else 5))
        keep("cached_per_second", cached(service, 4096 // scale))
        with load(service, 8):
            keep("latency_loaded", latency(service, 200 // scale, 4))
        keep("soak", soak(service, soak_seconds))
    # A fresh one: its memory is that of a start, as the jobs' is.
    with Service() as service:
        shared = jobs(service.url) + service.memory()
    own = {f"own_{engine}_mb": jobs(engine) for engine in ("onnx", "torch")}
    keep("jobs_8", {"shared_service_mb": shared, **own})
    return result


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "strings.json")
    parser.add_argument(
        "--short", action="store_true", help="an eighth of the texts, to try it out"
    )
    parser.add_argument("--soak-seconds", type=float, default=300.0)
    arguments = parser.parse_args()
    os.environ["FEATRIX_CACHE_DIR"] = ""
    console = Console()
    write_json(arguments.out, measure(arguments.short, arguments.soak_seconds, console.print))


if __name__ == "__main__":
    main()
