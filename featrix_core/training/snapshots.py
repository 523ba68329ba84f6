"""The training movie: where a fixed sample of rows stood, epoch by epoch (D4.5, D15, VIEW-2).

All frames are seen along the same three axes, those of the finished space: were every frame turned to axes
of its own, the picture would jump wherever two axes change their rank (measured on German credit: two to
three times the movement between frames). The axes are known at the end only, so whole vectors are kept until then.

Legend: F frames · R rows of the sample · M row width.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from featrix_core.training.protocols import EpochDone

MOST_ROWS = 500
FEWEST_ROWS = 100
MOST_FRAMES = 60
COST = 8
"""A frame's rows times this are at most the rows that are trained between two frames: under 2 % of the time."""


@dataclass(frozen=True)
class Movie:
    """Frames of a training; the last one is the finished space.

    Attributes:
        frames_FR3: float32 points on the unit sphere, the short vectors of the sample.
        epochs_F: int64 epoch of each frame; 0 is before the first update.
        rows_R: int64 numbers of the rows in the training table.
    """

    frames_FR3: NDArray[np.float32]
    epochs_F: NDArray[np.int64]
    rows_R: NDArray[np.int64]

    def tensors(self) -> dict[str, Tensor]:
        """As they are saved."""
        return {
            "frames": torch.from_numpy(self.frames_FR3),
            "epochs": torch.from_numpy(self.epochs_F),
            "rows": torch.from_numpy(self.rows_R),
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> Movie:
        """As they were saved."""
        return cls(*(tensors[name].numpy() for name in ("frames", "epochs", "rows")))


def sample_rows(n_rows: int, seed: int) -> NDArray[np.int64]:
    """Row numbers of the movie: a third of the table, at least 100 and at most 500, in their order."""
    count = min(n_rows, MOST_ROWS, max(n_rows // 3, FEWEST_ROWS))
    drawn = np.random.default_rng([seed, 15]).permutation(n_rows)[:count]
    return np.sort(drawn).astype(np.int64)


class Snapshots:
    """Takes the frames; call it after every epoch (the loop's `on_epoch`), then ask for the `movie`.

    Args:
        embed: row embeddings (R, M) of the sample by the model as it is now, in the order of `rows_R`.
        rows_R: row numbers of the sample (`sample_rows`).
        n_rows, epochs: rows that an epoch trains on, and epochs of the whole training.
        then: told of every epoch as well, after the frame.
    """

    def __init__(
        self,
        embed: Callable[[], Tensor],
        rows_R: NDArray[np.int64],
        n_rows: int,
        epochs: int,
        then: Callable[[EpochDone], None] | None = None,
    ) -> None:
        self._embed = embed
        self._rows_R, self._then = rows_R, then
        self.every = max(
            math.ceil(epochs / MOST_FRAMES), math.ceil(COST * len(rows_R) / max(n_rows, 1))
        )
        self._frames: list[Tensor] = []
        self._epochs: list[int] = []
        self._last = 0

    def __call__(self, done: EpochDone) -> None:
        """Take a frame if it is time."""
        self._last = done.epoch
        if done.epoch % self.every == 0:
            self.take(done.epoch)
        if self._then is not None:
            self._then(done)

    def begin_again(self) -> None:
        """The model was given other weights: frames of the old ones go, theirs is the first."""
        self._frames, self._epochs = [], []
        self.take(self._last)

    def take(self, epoch: int) -> None:
        """Take a frame; 0 is the state before training."""
        # Half precision: a thousandth of the sphere's radius is less than a point's size.
        self._frames.append(self._embed().detach().to("cpu", torch.float16))
        self._epochs.append(epoch)

    def movie(self, axes_M3: Tensor, best_epoch: int) -> Movie:
        """The frames up to the epoch whose weights were kept; the last is the finished space, asked again.

        Args:
            axes_M3: the axes of the finished space's short vectors.
        """
        kept = [k for k, epoch in enumerate(self._epochs) if epoch < best_epoch]
        frames = [self._frames[k].float() for k in kept]
        frames.append(self._embed().detach().cpu())
        points = normalize(torch.stack(frames) @ axes_M3.cpu(), dim=2).numpy()
        epochs = np.array([*(self._epochs[k] for k in kept), best_epoch], np.int64)
        return Movie(points, epochs, self._rows_R)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What a checkpoint needs so that the movie of a resumed training is whole."""
        tensors = {"snapshots": torch.stack(self._frames)} if self._frames else {}
        return tensors, {"snapshot_epochs": list(self._epochs)}

    def restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        self._epochs = [int(epoch) for epoch in record["snapshot_epochs"]]
        self._frames = list(tensors["snapshots"].unbind()) if self._epochs else []
