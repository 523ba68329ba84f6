"""What the strings service holds in memory, and what jobs save that share one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.strings_service import Service, own_memory, texts_of
from featrix_core.strings.limits import Limits

CHART = Path(__file__).parents[1] / "charts" / "string-embedding"
_LONG = 64  # texts of as many tokens as the model reads
_CALLERS = 8
FEW = 100
"""Entries of a cache that takes next to nothing."""
# What every training job imports comes first: the libraries are there with either embedder.
_JOB = """
import sys
import featrix_core.embedding_space, torch
from featrix_core.strings.http_embedder import HttpTextEmbedder
from featrix_core.strings.embedder import LocalTextEmbedder
where = sys.argv[1]
embedder = HttpTextEmbedder(where) if where.startswith("http") else LocalTextEmbedder(engine=where)
embedder.embed([f"row {n}" for n in range(64)])
print("ready", flush=True)
sys.stdin.read()
"""


def reserved() -> int:
    """MiB that the chart wants a pod to have beside its cache."""
    text = (CHART / "templates" / "_validate.tpl").read_text(encoding="utf-8")
    found = re.search(r"\(add (\d+) \$cache\)", text)
    assert found is not None
    return int(found[1])


def of_requests(service: Service) -> dict[str, float]:
    """MiB while the model was loaded, after that, and at most under the largest batches and requests.

    The service has a cache of `FEW` entries: its texts would else count as what requests take.
    """
    found = {"started_mib": service.memory(), "loading_mib": service.memory("VmHWM")}
    service.forget_peak()
    longest = " ".join(["word"] * 300)
    with ThreadPoolExecutor(_CALLERS) as pool:
        _all_served(pool.map(service.embed, [[f"{n} {longest}"] * 2 for n in range(_LONG)]))
        found["largest_batch_mib"] = service.memory("VmHWM")
        _all_served([service.send(largest_body(0))])
        # Together more than is taken at a time: 429 is an answer too.
        bodies = [largest_body(1 + n) for n in range(_CALLERS)]
        statuses = set(pool.map(service.send, bodies, ["application/json"] * _CALLERS))
        if not statuses <= {200, 429}:
            raise SystemExit(f"Answers {statuses}")
    found["largest_requests_mib"] = service.memory("VmHWM")
    return found


def largest_body(number: int) -> bytes:
    """As large as bodies may be, of distinct texts that take four bytes a character once they are decoded.

    Each is one long word, of which the model reads little: time goes into reading and writing.
    """
    limits = Limits()
    fill = "x" * (limits.body_bytes // limits.texts - 32)
    texts = [f"{number} {n} {fill}\N{SLIGHTLY SMILING FACE}" for n in range(limits.texts)]
    return json.dumps({"texts": texts}, ensure_ascii=False).encode()


def of_cache(service: Service, entries: int) -> dict[str, float]:
    """MiB at most with a full cache of so many entries, and what the service says that its cache takes.

    Raises:
        SystemExit: the cache is not full.
    """
    service.forget_peak()
    with ThreadPoolExecutor(_CALLERS) as pool:
        step = min(Limits().texts, -(-entries // _CALLERS))
        for start in range(0, entries + step, _CALLERS * step):
            asked = [texts_of("short categories", step, 10**9 + start + n) for n in range(_CALLERS)]
            _all_served(pool.map(service.embed, asked))
    found = {"cache_entries": service.figure("cache_entries")}
    if found["cache_entries"] != entries:
        raise SystemExit(f"The cache holds {found['cache_entries']:.0f} entries of {entries}")
    found["cache_mib"] = service.figure("cache_bytes") / 2**20
    found["full_cache_mib"] = service.memory()
    found["most_mib"] = service.memory("VmHWM")
    return found


def whole(requests: dict[str, float], cache: dict[str, float]) -> dict[str, float]:
    """Both, with `beside_cache_mib`: the most that is held after loading, less what the cache takes."""
    beside = max(requests["largest_requests_mib"], cache["most_mib"] - cache["cache_mib"])
    return {**requests, **cache, "beside_cache_mib": beside, "reserved_mib": float(reserved())}


def _all_served(statuses: object) -> None:
    assert hasattr(statuses, "__iter__")
    if set(statuses) != {200}:
        raise SystemExit("A request was refused")


def of_jobs(service: Service, count: int) -> dict[str, float]:
    """MiB of jobs that are there at once: with one service for all, and each with a model of its own."""
    shared = _jobs(service.url, count) + own_memory(service.process.pid)
    own = {engine: _jobs(engine, count) for engine in ("torch", "onnx")}
    return {
        "count": float(count),
        "shared_service_mib": shared,
        "own_torch_mib": own["torch"],
        "own_onnx_mib": own["onnx"],
        "saved_mib": own["torch"] - shared,
    }


def _jobs(where: str, count: int) -> float:
    command = [sys.executable, "-c", _JOB, where]
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    try:
        for job in running:
            assert job.stdout is not None
            if job.stdout.readline() != "ready\n":
                raise SystemExit("A job failed")
        return sum(own_memory(job.pid) for job in running)
    finally:
        for job in running:
            job.communicate("")
