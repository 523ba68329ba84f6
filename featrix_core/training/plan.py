"""Automatic training plan: every value with its reason (TRAIN-2, D4.4); nothing is set by hand."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict


class TrainingPlan(BaseModel):
    """Values of one training; stored with what was trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int
    batch_size: int
    steps_per_epoch: int
    learning_rate: float
    weight_decay: float
    warmup_share: float = 0.10
    clip_norm: float = 1.0
    patience: int | None = None
    ema_decay: float = 0.0
    seed: int = 42

    @property
    def updates(self) -> int:
        """Optimiser updates in all."""
        return self.epochs * self.steps_per_epoch


def rate_at(plan: TrainingPlan, progress: float) -> float:
    """Learning rate at `progress` in [0, 1]: linear warm-up, then cosine to zero."""
    if progress < plan.warmup_share:
        return plan.learning_rate * (0.04 + 0.96 * progress / plan.warmup_share)
    rest = (progress - plan.warmup_share) / (1.0 - plan.warmup_share)
    return plan.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(rest, 1.0)))


def plan_space(
    n_rows: int, *, epochs: int | None = None, batch_size: int | None = None, seed: int = 42
) -> TrainingPlan:
    """Plan of a space's training.

    Batch: a quarter of a small table, 256 at most. Epochs: enough for about 300 updates on small and 900
    on large tables; the source's 36,000 bought nothing in prototypes (DESIGN, "What is known about quality").
    """
    size = batch_size or max(16, min(256, 2 ** round(math.log2(max(n_rows / 4, 1)))))
    size = max(2, min(size, n_rows))
    steps = max(1, n_rows // size)
    updates = min(900, max(300, n_rows // 40))
    return TrainingPlan(
        epochs=epochs or max(1, math.ceil(updates / steps)),
        batch_size=size,
        steps_per_epoch=steps,
        learning_rate=2e-3,
        weight_decay=0.01,
        seed=seed,
    )
