"""The strings service beside `SentenceTransformer.encode` in process, and under load.

    make bench-strings                                   # measures, on an otherwise idle machine
    python -m benchmarks.strings --short --soak-seconds 5 --out out/strings.json    # tries every part
    python -m benchmarks.strings --report                # fills docs/strings-service.md

Real processes on loopback; every figure comes from one run. Texts are made of some words and never the same
twice, so that no cache helps where "uncached" is written.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from benchmarks import readme, strings_memory, strings_report
from benchmarks.machine import machine
from benchmarks.strings_service import Service, load, texts_of
from featrix_core.files import read_json, write_json, write_text
from featrix_core.strings.embedder import find_weights
from featrix_core.strings.limits import Limits
from featrix_core.strings.request_json import embed_texts
from featrix_core.strings.schemas import BINARY

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

RESULT = Path(__file__).parent / "results" / "strings.json"
DOCUMENT = Path(__file__).parents[1] / "docs" / "strings-service.md"
MARKS = "<!-- strings:start -->", "<!-- strings:end -->"
CALLERS = (1, 8, 64)
_PER_REQUEST = 64
_SOAK_ENTRIES = 2048  # of the soak's cache: full within seconds, so that memory can be flat
_FULL_SECONDS = 60.0
_BATCH_SIZES = (32, 64, 128)  # of encode; 32 is its default


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    counts: dict[str, int]
    repeats: int
    requests: int
    cached_rounds: int
    cache_entries: int
    jobs: int
    soak_seconds: float


FULL = Scale(
    {"short categories": 2048, "product names": 2048, "paragraphs": 256},
    repeats=5,
    requests=1000,
    cached_rounds=200,
    cache_entries=131_072,
    jobs=8,
    soak_seconds=300.0,
)
SHORT = Scale(
    {"short categories": 128, "product names": 128, "paragraphs": 16},
    repeats=1,
    requests=20,
    cached_rounds=4,
    cache_entries=1024,
    jobs=2,
    soak_seconds=300.0,
)


def throughput(
    service: Service, texts: list[str], callers: int, per_request: int, accept: str = BINARY
) -> float:
    """Texts per second over HTTP with so many callers; the compact form is decoded, JSON only received."""

    def one(asked: list[str]) -> bool:
        if accept == BINARY:
            return len(service.vectors(asked)) == len(asked)
        return service.embed(asked, accept) == 200

    requests = [texts[at : at + per_request] for at in range(0, len(texts), per_request)]
    with ThreadPoolExecutor(callers) as pool:
        list(
            pool.map(lambda _: service.ready(), range(callers))
        )  # threads and connections are there
        started = time.perf_counter()
        served = all(list(pool.map(one, requests)))
        seconds = time.perf_counter() - started
    if not served:
        raise SystemExit("A request was refused")
    return len(texts) / seconds


def uncached(service: Service, scale: Scale) -> list[dict[str, Any]]:
    """Over HTTP and in process on the same texts, in turns; medians over the repeats."""
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(find_weights()), device="cpu", local_files_only=True)
    encode(reference, texts_of("product names", 64, 1), 32)
    throughput(service, texts_of("product names", 64, 2), 1, _PER_REQUEST)
    rows = []
    for number, (kind, count) in enumerate(scale.counts.items()):
        # encode gets the size of batches with which it is fastest here.
        tried = texts_of(kind, count // 4, 100 + number)
        speeds = {size: encode(reference, tried, size) for size in _BATCH_SIZES}
        size = max(speeds, key=lambda size: speeds[size])
        for callers in CALLERS:
            measured = []
            for repeat in range(scale.repeats):
                texts = texts_of(kind, count, 100_000 * (number + 1) + 100 * callers + repeat)
                # All callers have something to do, also where there are few texts.
                per_request = min(_PER_REQUEST, max(1, count // callers))
                here = encode(reference, texts, size) if repeat % 2 else None
                http = throughput(service, texts, callers, per_request)
                measured.append((http, here or encode(reference, texts, size)))
            http, here = np.median(measured, axis=0).tolist()
            rows.append(
                {
                    "texts": kind,
                    "callers": callers,
                    "per_request": per_request,
                    "http_per_second": http,
                    "encode_per_second": here,
                    "encode_batch_size": size,
                    "ratio": float(np.median([a / b for a, b in measured])),
                }
            )
    return rows


def encode(reference: SentenceTransformer, texts: list[str], batch_size: int) -> float:
    """Texts per second of the reference with all threads that torch takes."""
    started = time.perf_counter()
    reference.encode(
        texts, batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False
    )
    return len(texts) / (time.perf_counter() - started)


def cached(service: Service, scale: Scale) -> dict[str, float]:
    """Texts per second when the cache knows them all: 8 callers, 256 texts a request, both forms."""
    texts = texts_of("product names", 2048, 7)
    throughput(service, texts, 8, 256)
    before = service.figure("computed_texts_total")
    found = {}
    for name, accept in (("compact", BINARY), ("json", "application/json")):
        rates = [
            throughput(service, texts * scale.cached_rounds, 8, 256, accept)
            for _ in range(scale.repeats)
        ]
        found[name] = float(np.median(rates))
    if service.figure("computed_texts_total") != before:
        raise SystemExit("The cache did not know all texts")
    return found


def latency(ask: Callable[[str], int], count: int, seed: int) -> dict[str, float]:
    """Milliseconds for one new text, one request after the other."""
    took = []
    for text in texts_of("product names", count, seed):
        started = time.perf_counter()
        if ask(text) != 200:
            raise SystemExit("A request was refused")
        took.append(1e3 * (time.perf_counter() - started))
    p50, p99 = np.percentile(took, [50, 99]).tolist()
    return {"p50_ms": p50, "p99_ms": p99, "requests": float(count)}


def decoding() -> dict[str, float]:
    """Milliseconds of processor time, for which nobody else is answered, to read the largest bodies."""
    limits, took = Limits(), {}
    for name, letter, ascii_only in (
        ("ascii", "x", True),
        ("utf8", "東", False),
        ("escaped", "東", True),
    ):
        width = len(json.dumps(letter, ensure_ascii=ascii_only).encode()) - 2
        texts = [letter * ((limits.body_bytes // limits.texts - 8) // width)] * limits.texts
        body = json.dumps({"texts": texts}, ensure_ascii=ascii_only).encode()
        runs = []
        for _ in range(5):
            started = time.process_time()
            embed_texts(body, limits)
            runs.append(1e3 * (time.process_time() - started))
        took[f"{name}_ms"] = float(np.median(runs))
    return took


def only_served(answers: Mapping[str, int]) -> None:
    """Refuse a load that was none.

    Raises:
        SystemExit: callers saw other answers than 200, or none at all.
    """
    if set(answers) != {"200"}:
        raise SystemExit(
            f"The callers beside were answered {dict(answers) or 'nothing'}, not only 200"
        )


def soak(service: Service, seconds: float) -> dict[str, Any]:
    """64 callers for a while: what was answered, and the memory as it went once the cache was full.

    Raises:
        SystemExit: the cache does not fill, or nothing was served.
    """
    mib = []
    with load(service, 64, 5) as answers:
        full = time.monotonic() + _FULL_SECONDS
        while service.figure("cache_entries") < _SOAK_ENTRIES:
            if time.monotonic() > full:
                raise SystemExit(f"The cache is not full after {_FULL_SECONDS:.0f} seconds")
            time.sleep(0.1)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(min(5.0, seconds / 10))
            mib.append(service.memory())
    if not answers["200"]:
        raise SystemExit(f"Nothing was served: {dict(answers)}")
    fifth = -(-len(mib) // 5)
    first, last = float(np.median(mib[:fifth])), float(np.median(mib[-fifth:]))
    errors = sum(count for status, count in answers.items() if status not in ("200", "429"))
    return {
        "seconds": seconds,
        "answers": dict(answers),
        "errors": errors,
        "first_mib": first,
        "last_mib": last,
        "mib": mib,
    }


def measure(scale: Scale, say: Callable[[str], None]) -> dict[str, Any]:
    """The whole result."""
    result: dict[str, Any] = {"machine": machine(), "load_before": os.getloadavg()[0]}

    def keep(name: str, value: object) -> None:
        result[name] = value
        say(f"{name}: {value}")

    keep("decoding", decoding())
    starts = []
    with Service() as service:
        starts.append(service.start_seconds)
        latency(lambda text: service.embed([text]), scale.requests // 10, 2)
        keep("latency_idle", latency(lambda text: service.embed([text]), scale.requests, 3))
        keep("uncached", uncached(service, scale))
        keep("cached_per_second", cached(service, scale))
        with load(service, 8, 6) as beside:
            time.sleep(1.0)
            loaded = latency(lambda text: service.embed([text]), scale.requests // 4, 4)
        only_served(beside)
        keep("latency_loaded", loaded)
    with Service(cache_entries=scale.cache_entries) as service:
        starts.append(service.start_seconds)
        memory = strings_memory.of_cache(service, scale.cache_entries)
    # Small caches: they are full at once, so what a peak holds or what still grows is something else.
    with Service(cache_entries=strings_memory.FEW) as service:
        starts.append(service.start_seconds)
        keep("memory", strings_memory.whole(strings_memory.of_requests(service), memory))
    with Service(cache_entries=_SOAK_ENTRIES) as service:
        starts.append(service.start_seconds)
        keep("soak", soak(service, scale.soak_seconds))
    # A fresh one: its memory is that of a start, as the jobs' is.
    with Service() as service:
        starts.append(service.start_seconds)
        keep("jobs", strings_memory.of_jobs(service, scale.jobs))
    keep("start_seconds", float(np.median(starts)))
    keep("targets", strings_report.targets(result))
    return result


def main(given: list[str] | None = None) -> None:
    """Measure and write the result, or fill the document from it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--short", action="store_true", help="a little of everything, to try it")
    parser.add_argument("--soak-seconds", type=float, default=FULL.soak_seconds)
    parser.add_argument("--report", action="store_true", help="only fill the document")
    arguments = parser.parse_args(given)
    if not arguments.report:
        os.environ["FEATRIX_CACHE_DIR"] = ""
        chosen = SHORT if arguments.short else FULL
        scale = Scale(**{**vars(chosen), "soak_seconds": arguments.soak_seconds})
        result = measure(scale, Console().print)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(arguments.out, result)
        print("\n".join(strings_report.lines(result)))
    if arguments.out == RESULT:
        write_text(DOCUMENT, filled(DOCUMENT.read_text(encoding="utf-8")))


def filled(text: str) -> str:
    """The document with what is measured, as far as a result is there."""
    found = strings_report.lines(read_json(RESULT)) if RESULT.is_file() else []
    return readme.filled(text, "\n".join(found) or strings_report.NOTHING, *MARKS)


if __name__ == "__main__":
    main()
