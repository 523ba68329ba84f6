"""`training_timeline.json`: what happened in every epoch, in the structure of D12 (TRAIN-5)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from featrix_core.files import write_json
from featrix_core.training.plan import TrainingPlan

WRITE_EVERY = 5


def detect_failures(entries: list[dict[str, Any]]) -> list[str]:
    """Failure modes of D11 that the epochs so far show; the last entry is the present epoch."""
    last = entries[-1]
    found: list[str] = []
    if last["gradients"]["unclipped_norm"] < 1e-8:
        found.append("DEAD_NETWORK")
    if len(entries) < 6:
        return found
    before = entries[-6]
    train, validation = (
        [e[key] for e in entries[-6:]] for key in ("train_loss", "validation_loss")
    )
    scale = max(abs(before["validation_loss"]), 1e-9)
    gain = (before["validation_loss"] - min(validation[1:])) / scale
    if last["epoch"] > 15 and gain < 0.005:
        found.append("NO_LEARNING")
    elif gain < 0.01 and last["gradients"]["unclipped_norm"] < 0.01:
        found.append("VERY_SLOW_LEARNING")
    if last["epoch"] > 10:
        worse = (validation[-1] - validation[0]) / scale
        better = (train[0] - train[-1]) / max(abs(train[0]), 1e-9)
        gap = (validation[-1] - train[-1]) / max(abs(train[-1]), 1e-9)
        if worse > 0.05 and better > 0.02:
            found.append("SEVERE_OVERFITTING")
        elif gap > 0.10 and worse > 0.0:
            found.append("MODERATE_OVERFITTING")
    mean = sum(train) / len(train)
    spread = math.sqrt(sum((value - mean) ** 2 for value in train) / len(train))
    if last["epoch"] > 15 and abs(mean) > 1e-9 and spread / abs(mean) > 0.10:
        found.append("UNSTABLE_TRAINING")
    return found


class Timeline:
    """Collects one entry per epoch and writes them, every five epochs and at the end, when given a path."""

    def __init__(self, plan: TrainingPlan, path: Path | None = None, **metadata: Any) -> None:
        self.path = path
        self.metadata: dict[str, Any] = {
            "initial_lr": plan.learning_rate,
            "total_epochs": plan.epochs,
            "batch_size": plan.batch_size,
            "scheduler_type": "WarmupCosine",
            "weight_decay": plan.weight_decay,
            **metadata,
        }
        self.entries: list[dict[str, Any]] = []
        self.corrective_actions: list[dict[str, Any]] = []

    def add(self, entry: dict[str, Any]) -> None:
        """Append an epoch's entry, with the failure modes that it shows."""
        entry.setdefault("early_stop_blocked", False)
        entry.setdefault("corrective_actions", [])
        entry.setdefault("val_set_resampled", False)
        self.entries.append(entry)
        entry["failures_detected"] = detect_failures(self.entries)
        if self.path is not None and len(self.entries) % WRITE_EVERY == 0:
            self.write(self.path)

    def log_rotation(
        self, epoch: int, rotation: dict[str, Any], before: float, after: float
    ) -> None:
        """Validation rows were exchanged before `epoch` (DATA-8).

        `best_loss_before` and `best_loss_after` are of the best state so far, on the old and the new rows;
        None where no epoch was validated yet.
        """
        measured = math.isfinite(before)
        self.corrective_actions.append(
            {
                "epoch": epoch,
                "action_type": "VAL_ROTATION",
                "trigger": "SCHEDULE",
                "details": {
                    **rotation,
                    "best_loss_before": before if measured else None,
                    "best_loss_after": after if measured else None,
                },
            }
        )

    def document(self) -> dict[str, Any]:
        """The JSON document."""
        return {
            "metadata": self.metadata,
            "timeline": self.entries,
            "corrective_actions": self.corrective_actions,
        }

    def write(self, path: Path) -> None:
        """Write the document atomically."""
        write_json(path, self.document())
