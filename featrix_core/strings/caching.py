"""What every embedder does around the model: equal texts once, memory, disk, progress (STR-2)."""

from __future__ import annotations

import abc
import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from featrix_core.strings.disk_cache import DiskCache
from featrix_core.strings.grid import DIMENSION, to_vectors
from featrix_core.strings.memory import MemoryCache

MAX_CHARACTERS = 20_000
"""What is read of a text; the model's 256 tokens end long before, except in runs of blanks."""
CACHE_ENTRIES = 131_072
_SLAB = 16_384
_SILENT_SECONDS = 1.0

OnProgress: TypeAlias = Callable[[str, float, float], None]
"""Told of progress: what is counted, how much is done, how much there is."""


class CachingEmbedder(abc.ABC):
    """An embedder that asks its model only for texts that neither memory nor disk know."""

    def __init__(self, cache: DiskCache | None) -> None:
        self._memory = MemoryCache(CACHE_ENTRIES)
        self._disk = cache
        self._on_progress: OnProgress | None = None
        self._lock = threading.Lock()

    @property
    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Identity of the model behind the vectors."""

    @property
    def dimension(self) -> int:
        """384."""
        return DIMENSION

    @abc.abstractmethod
    def _compute(self, texts: list[str], tell: Callable[[int], None]) -> NDArray[np.int16]:
        """Grid steps (n, 384) of n distinct texts; `tell` hears how many are done."""

    @contextlib.contextmanager
    def reporting(self, on_progress: OnProgress) -> Iterator[None]:
        """Within the block `on_progress("texts embedded", done, total)` hears of every call that
        takes more than a second, from the calling thread."""
        before, self._on_progress = self._on_progress, on_progress
        try:
            yield
        finally:
            self._on_progress = before

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (n, 384) float32 of n texts, in their order; n may be 0.

        Half a surrogate pair counts as "?", and what follows 20,000 characters or 256 tokens is not
        read.
        """
        rows_of = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        distinct = [readable(text) for text in rows_of]
        steps = self.steps(distinct)
        if len(distinct) == len(texts):
            return to_vectors(steps)
        rows = np.fromiter(map(rows_of.__getitem__, texts), np.int64, len(texts))
        return to_vectors(steps)[rows]

    def steps(self, texts: list[str]) -> NDArray[np.int16]:
        """Grid steps (n, 384) of n distinct, readable texts: what `embed` makes its vectors of."""
        with self._lock:
            return self._steps(texts)

    def _steps(self, texts: list[str]) -> NDArray[np.int16]:
        """Grid steps of texts: out of memory, from the disk, or computed and then kept in both."""
        steps = np.empty((len(texts), DIMENSION), np.int16)
        if not texts:
            return steps
        keys = self._keys(texts)
        missing = np.flatnonzero(~self._memory.read(keys, steps))
        if self._disk is not None and missing.size:
            wanted = [keys[row] for row in missing.tolist()]
            found = np.empty((len(missing), DIMENSION), np.int16)
            known = self._disk.read(wanted, found)
            steps[missing] = found
            self._memory.write([keys[row] for row in missing[known].tolist()], found[known])
            missing = missing[~known]
        tell = self._teller(len(missing))
        for start in range(0, len(missing), _SLAB):
            slab = missing[start : start + _SLAB]

            def tell_more(done: int, before: int = start) -> None:
                tell(before + done)

            fresh = self._compute([texts[row] for row in slab.tolist()], tell_more)
            steps[slab] = fresh
            slab_keys = [keys[row] for row in slab.tolist()]
            self._memory.write(slab_keys, fresh)
            if self._disk is not None:
                # After every slab: what is computed outlives an interruption.
                self._disk.write(slab_keys, fresh)
        return steps

    def _keys(self, texts: list[str]) -> list[bytes]:
        """Digests of the texts, different for every model."""
        model = hashlib.sha256(self.fingerprint.encode()).digest()
        return [hashlib.blake2b(t.encode(), digest_size=16, key=model).digest() for t in texts]

    def _teller(self, total: int) -> Callable[[int], None]:
        """Passes progress on once the work has taken a while; a bar for an instant would flicker."""
        started = time.monotonic()

        def tell(done: int) -> None:
            if self._on_progress and time.monotonic() - started > _SILENT_SECONDS:
                self._on_progress("texts embedded", float(done), float(total))

        return tell


def readable(text: str) -> str:
    """The text as UTF-8 can hold it, and no longer than needed."""
    text = text[:MAX_CHARACTERS]
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode(errors="replace").decode()
    return text
