"""Automatic training plan: every value with its reason (TRAIN-2, D4.4); nothing is set by hand."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict


class TrainingPlan(BaseModel):
    """Values of one training; stored with what was trained.

    Attributes:
        learning_rate: the highest one of the schedule.
        clip_norm: longest gradient; with `clip_ratio` it is that multiple of the loss instead.
        patience: epochs without a better validation loss after which training ends; None: never.
        dropout: rate that the schedule starts from; None leaves the module's own rates alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int
    batch_size: int
    steps_per_epoch: int
    learning_rate: float
    weight_decay: float
    clip_norm: float = 1.0
    clip_ratio: float | None = None
    patience: int | None = None
    ema_decay: float = 0.0
    dropout: float | None = None
    seed: int = 42

    @property
    def updates(self) -> int:
        """Optimiser updates in all."""
        return self.epochs * self.steps_per_epoch


LEAST_EPOCHS = 30
"""Epochs of every space. An epoch of a long table is a part of its rows: the draw of pairs, the curriculum, the
watch and the choice of the best weights all go by epochs, and three passes over the rows would be three of each."""
SMALL_ROWS, SMALL_BATCH, LARGE_BATCH = 2_000, 128, 256
LEAST_UPDATES, MOST_UPDATES = 300, 900
ROWS_PER_UPDATE = 40
"""A table longer than 12,000 rows gets one update more for so many rows."""


def plan_space(
    n_rows: int, *, epochs: int | None = None, batch_size: int | None = None, seed: int = 42
) -> TrainingPlan:
    """Plan of a space's training.

    Batch: a quarter of a small table, 128 at most, 256 from 2,000 rows on: on five splits of three tables of
    1,000 to 1,300 rows the linear probe read as much or more (0 … +.015) after batches of 128 as of 256, in
    six tenths of the time. Updates: 300 on small and 900 on large tables; the
    source's 36,000 bought nothing in prototypes (DESIGN, "What is known about quality"). An epoch is a pass
    over the rows, or as many rows as make 30 epochs of those updates, if that is less; `epochs` changes how
    many there are, never how long one is.
    """
    most = SMALL_BATCH if n_rows < SMALL_ROWS else LARGE_BATCH
    size = batch_size or max(16, min(most, 2 ** round(math.log2(max(n_rows / 4, 1)))))
    size = max(2, min(size, n_rows))
    updates = min(MOST_UPDATES, max(LEAST_UPDATES, n_rows // ROWS_PER_UPDATE))
    steps = max(1, min(n_rows // size, updates // LEAST_EPOCHS))
    return TrainingPlan(
        epochs=epochs or max(1, math.ceil(updates / steps)),
        batch_size=size,
        steps_per_epoch=steps,
        learning_rate=2e-3,
        weight_decay=0.01,
        seed=seed,
    )
