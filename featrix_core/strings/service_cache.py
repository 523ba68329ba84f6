"""The strings service's cache: the least recently used entries go (STR-1)."""

from __future__ import annotations

from collections import OrderedDict
from sys import getsizeof
from typing import NamedTuple

from featrix_core.strings.caching import CACHE_ENTRIES
from featrix_core.strings.metrics import ServiceMetrics

CACHE_BYTES = 512 * 2**20
"""Memory of the entries, about."""
_ENTRY_BYTES = 270  # what the dictionary and the objects around text and steps take, about


class Vector(NamedTuple):
    """A text's grid steps as 768 little-endian bytes, and its number of tokens."""

    steps: bytes
    tokens: int


class VectorCache:
    """Vectors by fingerprint and exact text: no digest stands in for a text, so none is mistaken.

    At most `entries` of them and about `max_bytes` in all; the least recently used go first. One
    thread at a time may use it.
    """

    def __init__(
        self,
        fingerprint: str,
        metrics: ServiceMetrics,
        entries: int = CACHE_ENTRIES,
        max_bytes: int = CACHE_BYTES,
    ) -> None:
        self._fingerprint = fingerprint
        self._metrics = metrics
        self._entries = entries
        self._max_bytes = max_bytes
        self._vectors: OrderedDict[tuple[str, str], Vector] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def size(self) -> int:
        """Bytes held, about."""
        return self._bytes

    def get(self, text: str) -> Vector | None:
        """The text's vector, which is then the most recently used."""
        key = (self._fingerprint, text)
        found = self._vectors.get(key)
        if found is not None:
            self._vectors.move_to_end(key)
        return found

    def put(self, text: str, vector: Vector) -> None:
        """Keep a vector; old ones make room for it."""
        key = (self._fingerprint, text)
        if key not in self._vectors:
            self._bytes += _weight(text, vector)
        self._vectors[key] = vector
        self._vectors.move_to_end(key)
        while len(self._vectors) > self._entries or self._bytes > self._max_bytes:
            (_, old_text), old = self._vectors.popitem(last=False)
            self._bytes -= _weight(old_text, old)
            self._metrics.evictions.inc()

    def report(self) -> None:
        """Set the gauges."""
        self._metrics.cache_entries.set(len(self._vectors))
        self._metrics.cache_bytes.set(self._bytes)


def _weight(text: str, vector: Vector) -> int:
    return _ENTRY_BYTES + len(vector.steps) + getsizeof(text)
