"""Which rows train and which validate a space, and how they change sides gradually (DATA-8).

Only a space is trained on rotating sides: it learns without labels, so a row that has validated may
train later. Predictors have no part in this; their objective takes row numbers that never change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featrix_core.tables.splits import random_split

EVERY = 25
"""Epochs between two rotations."""
SHARE = 0.1
"""Share of the validation rows that is exchanged in one rotation."""
OWN_SHARE, OWN_ROWS = 0.1, 1024
"""Validation rows that a space takes of its training rows: a tenth, 1,024 at most."""


class Sides:
    """Row numbers of both sides; `rotate` exchanges some of them where they may rotate.

    A tenth of the validation rows trains from then on, those that have validated longest; as many
    training rows validate, those that never have first. After enough rotations every row has been
    on either side.

    Attributes:
        train_T, validation_V: int64 row numbers into one batch of all rows.
    """

    def __init__(
        self, train: NDArray[np.int64], validation: NDArray[np.int64], *, rotates: bool, seed: int
    ) -> None:
        self.train_T: Tensor = torch.from_numpy(np.asarray(train, np.int64))
        self.validation_V: Tensor = torch.from_numpy(np.asarray(validation, np.int64))
        self.rotates = rotates
        self.seed = seed
        self._last = 0
        n_rows = len(self.train_T) + len(self.validation_V)
        # Epoch before which a row entered the validation side; -1: never.
        self._entered_N = np.full(n_rows, -1, np.int64)
        self._entered_N[validation] = 0

    @classmethod
    def split(cls, n_rows: int, seed: int) -> Sides:
        """A tenth of the rows validates, 1,024 at most, and the sides rotate."""
        share = min(OWN_SHARE, OWN_ROWS / max(n_rows, 1))
        parts = random_split(n_rows, share, seed)
        return cls(parts.train_rows, parts.validation_rows, rotates=True, seed=seed)

    @classmethod
    def given(cls, n_train: int, n_validation: int) -> Sides:
        """Training rows first, then validation rows that the caller chose: they stay what they are."""
        rows = np.arange(n_train + n_validation, dtype=np.int64)
        return cls(rows[:n_train], rows[n_train:], rotates=False, seed=0)

    @property
    def n_train(self) -> int:
        """Number of training rows."""
        return len(self.train_T)

    def rotate(self, epoch: int) -> dict[str, Any] | None:
        """Exchange rows before `epoch` (from 1) if 25 epochs have passed; what was done, or None."""
        done = epoch - 1
        if done < self._last:
            self._last = 0  # another training counts its epochs from 1 again
        count = min(len(self.validation_V), self.n_train)
        if not self.rotates or done - self._last < EVERY or count == 0:
            return None
        count = min(max(1, round(SHARE * len(self.validation_V))), count)
        rng = np.random.default_rng([self.seed, epoch])
        validation, train = self.validation_V.numpy().copy(), self.train_T.numpy().copy()
        out = _first(self._entered_N[validation], count, rng)
        into = _first(self._entered_N[train], count, rng)
        leaving = validation[out]
        validation[out] = train[into]
        train[into] = leaving
        self._entered_N[validation[out]] = done
        self.train_T, self.validation_V = torch.from_numpy(train), torch.from_numpy(validation)
        self._last = done
        return {
            "rows_swapped": count,
            "validation_rows": len(validation),
            "seed": [self.seed, epoch],
        }

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON for a checkpoint (TRAIN-6)."""
        tensors = {
            "train_T": self.train_T,
            "validation_V": self.validation_V,
            "entered_N": torch.from_numpy(self._entered_N),
        }
        return tensors, {"last": self._last}

    def restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self.train_T, self.validation_V = tensors["train_T"], tensors["validation_V"]
        self._entered_N = tensors["entered_N"].numpy().copy()
        self._last = record["last"]


def _first(order: NDArray[np.int64], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of the `count` lowest numbers, ties drawn at random."""
    return np.lexsort((rng.random(len(order)), order))[:count].astype(np.int64)
