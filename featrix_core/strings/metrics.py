"""Figures of the strings service for Prometheus; every series is there, at zero, from the start (STR-1)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

from featrix_core.strings.limits import ERRORS

ROUTES = ("/embed", "/v1/embeddings", "/info")
"""Paths whose answers are counted; probes are not."""
STATUSES = (200, 404, 405, 499, 500, *(error.status for error in ERRORS))
_SECONDS = (0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class ServiceMetrics:
    """Counters and gauges of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)

        def counter(name: str, what: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"featrix_strings_{name}", what, labels, registry=self.registry)

        def gauge(name: str, what: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(f"featrix_strings_{name}", what, labels, registry=self.registry)

        def histogram(name: str, what: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(
                f"featrix_strings_{name}", what, buckets=buckets, registry=self.registry
            )

        self.requests = counter("requests", "Requests answered", ("route", "status"))
        for route in ROUTES:
            for status in STATUSES:
                self.requests.labels(route, str(status))
        self.seconds = histogram(
            "request_seconds", "Time to answer a request for vectors", _SECONDS
        )
        self.texts = counter("texts", "Texts asked for")
        self.hits = counter("cache_hits", "Texts found in the cache")
        self.misses = counter("cache_misses", "Texts not found in the cache")
        self.evictions = counter("cache_evictions", "Entries that left the cache for newer ones")
        self.cache_entries = gauge("cache_entries", "Entries of the cache")
        self.cache_bytes = gauge("cache_bytes", "Bytes of texts and vectors in the cache")
        self.shared = counter("shared_texts", "Texts that another request was waiting for already")
        self.dropped = counter("dropped_texts", "Texts not computed since their callers had gone")
        self.computed = counter("computed_texts", "Texts computed")
        self.tokens = counter("computed_tokens", "Tokens computed, without padding")
        self.padding = counter("padding_tokens", "Tokens computed that were padding")
        self.batch_texts = histogram("batch_texts", "Texts of a batch", _SIZES)
        self.compute_seconds = counter("compute_seconds", "Time in the model, over all threads")
        self.waiting_requests = gauge("waiting_requests", "Requests that wait for vectors")
        self.waiting_texts = gauge("waiting_texts", "Texts that those requests wait for")
        self.connections = gauge("connections", "Open connections of the API")
        self.cut_connections = counter(
            "cut_connections", "Connections cut off, since there were too many"
        )
        self.body_bytes = gauge("body_bytes", "Bytes of large bodies that arrive or are being read")
        self.answer_bytes = gauge(
            "answer_bytes", "Bytes of vectors that are being computed for callers or taken by them"
        )
        self.given_up_answers = counter(
            "given_up_answers", "Answers cut off, since their callers did not take them"
        )
        self.ready = gauge("ready", "1 when ready to serve")
        self.model = gauge("model_info", "Always 1; the model is in the labels", ("fingerprint",))
