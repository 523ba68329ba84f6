"""What computes sentence vectors: torch or ONNX Runtime, behind one interface (STR-1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from featrix_core.files import sha256_of
from featrix_core.strings.extra import ONNX, require

EngineName: TypeAlias = Literal["torch", "onnx"]
MODEL_NAME = "all-MiniLM-L6-v2"
WEIGHTS_FILE = "model.safetensors"
TOKENIZER_FILE = "tokenizer.json"


class Engine(Protocol):
    """A loaded model. Safe for threads; a text's vector never depends on the texts beside it."""

    name: EngineName

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of n texts, between 2 and 256 each."""
        ...

    def forward(self, tokens: Sequence[Sequence[int]], alone: bool = False) -> NDArray[np.int16]:
        """Grid steps (n, 384) of n ≥ 1 tokenized texts, computed in the calling thread; other threads may help a
        batch that is `alone`."""
        ...

    def embed(
        self, texts: Sequence[str], on_batch: Callable[[int], None] | None = None
    ) -> NDArray[np.int16]:
        """Grid steps (n, 384) of n texts; `on_batch` hears how many are done."""
        ...


def load_engine(name: EngineName, folder: Path, threads: int = 1) -> Engine:
    """The engine of that name with the weights in `folder`; `threads` may share a batch that is alone.

    Raises:
        FeatrixUserError: what it needs is not installed.
    """
    if name == "onnx":
        require(*ONNX)
        from featrix_core.strings.onnx_engine import OnnxMiniLM

        return OnnxMiniLM(folder, threads)
    from featrix_core.strings.minilm import MiniLM

    return MiniLM(folder)


def fingerprint_of(name: EngineName, folder: Path) -> str:
    """Model, beginning of the sha256 over those of its two files, and the engine where that is not
    torch, since it moves some coordinates by one step of the grid.

    The tokenizer counts as the weights do: with another one a text has another vector.
    """
    digests = "".join(sha256_of(folder / file) for file in (WEIGHTS_FILE, TOKENIZER_FILE))
    model = f"{MODEL_NAME}:{hashlib.sha256(digests.encode()).hexdigest()[:16]}"
    return model if name == "torch" else f"{model}:{name}"


def engine_of(fingerprint: str) -> EngineName:
    """The engine that a fingerprint of `fingerprint_of` names."""
    return "onnx" if fingerprint.endswith(":onnx") else "torch"
