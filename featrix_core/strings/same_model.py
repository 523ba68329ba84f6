"""Sentence vectors of the one model that a space learned with (STR-2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError
from featrix_core.strings.embedder import TextEmbedder, get_default_embedder
from featrix_core.strings.grid import DIMENSION


def model_of(fingerprint: str) -> str:
    """The part of a fingerprint that says what vectors mean: model, weights and tokenizer.

    The engine that may follow moves single coordinates by one step of the grid, less than anything that a
    space learns of a text. Pooling and grid are the code's: whoever changes them gives the model another name.
    """
    return ":".join(fingerprint.split(":")[:2])


class SameModel:
    """An embedder whose model is compared with the expected one before its first vector.

    Nothing is asked where no vector is: a space whose words are all known needs no model. None stands for
    the process's own embedder.
    """

    def __init__(self, model: str, embedder: TextEmbedder | None) -> None:
        """`model`: what `model_of` says of the embedder that the space learned with."""
        self._model = model
        self._embedder = embedder

    @property
    def fingerprint(self) -> str:
        """Of the embedder that was given, or the expected model."""
        return self._model if self._embedder is None else self._embedder.fingerprint

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return DIMENSION

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (n, dimension) of n texts.

        Raises:
            FeatrixUserError: the embedder has another model.
        """
        embedder = self._embedder or get_default_embedder()
        if model_of(embedder.fingerprint) != self._model:
            raise FeatrixUserError(
                f"The space learned with the sentence model {self._model}, and texts would be read with "
                f"{embedder.fingerprint}: its vectors mean something else",
                value=embedder.fingerprint,
                remedy=f"Use {self._model} (FEATRIX_SENTENCE_MODEL names the folder of its weights, "
                "FEATRIX_STRINGS_URL a service that has it), or train the space anew",
            )
        return embedder.embed(texts)
