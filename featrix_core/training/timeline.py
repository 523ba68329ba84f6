"""`training_timeline.json`: what happened in every epoch, in the structure of D12 (TRAIN-5)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from featrix_core.files import write_json
from featrix_core.training.failures import detect_failures
from featrix_core.training.plan import TrainingPlan

WRITE_EVERY = 5


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
