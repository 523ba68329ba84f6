"""`training_timeline.json`: what happened in every epoch, in the structure of D12 (TRAIN-5).

A predictor's bag is trained member by member: its document is that of the first member, with the others' beside it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featrix_core.files import write_json
from featrix_core.training.failures import RESTART, detect_failures
from featrix_core.training.plan import TrainingPlan

WRITE_EVERY = 5
OTHERS = "other_members"


class Timeline:
    """Collects one entry per epoch and writes them, every five epochs and at the end, when given a path."""

    def __init__(self, plan: TrainingPlan, path: Path | None = None, **metadata: Any) -> None:
        self.path = path
        self.metadata: dict[str, Any] = {
            "initial_lr": plan.learning_rate,
            "total_epochs": plan.epochs,
            "batch_size": plan.batch_size,
            "scheduler_type": "OneCycleLR",
            "weight_decay": plan.weight_decay,
            "dropout_scheduler_enabled": plan.dropout is not None,
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


def of_bag(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One document of all members': the first one's, and under `other_members` what is only there with a bag."""
    first, others = documents[0], list(documents[1:])
    return first | {OTHERS: others} if others else first


def member_of(document: dict[str, Any]) -> str:
    """`member 2 of 5` of a bag; nothing where there is no bag."""
    members = document["metadata"].get("members", 1)
    return f"member {document['metadata']['member'] + 1} of {members}" if members > 1 else ""


def best_epoch(document: dict[str, Any]) -> tuple[int, float] | None:
    """Number and validation loss of the epoch whose weights were kept; None where there is no epoch.

    As in the loop: where validation rows were exchanged, the best state so far is compared by its loss on
    the new ones, and a restart forgets what was before it.
    """
    measured = {
        action["epoch"]: action["details"].get("best_loss_after")
        for action in document["corrective_actions"]
        if action["action_type"] == "VAL_ROTATION"
    }
    restarted = {a["epoch"] for a in document["corrective_actions"] if a["action_type"] == RESTART}
    best: tuple[int, float] | None = None
    for entry in document["timeline"]:
        number, loss = entry["epoch"], entry["validation_loss"]
        if best is not None and measured.get(number) is not None:
            best = best[0], measured[number]
        if best is None or loss < best[1] or number - 1 in restarted:
            best = number, loss
    return best


def summarise(document: dict[str, Any]) -> str:
    """A timeline in a few lines of text: epochs, best one, failures and their counts, interventions (D12).

    Of a bag the members one by one.
    """
    entries, metadata = document["timeline"], document["metadata"]
    planned = metadata.get("total_epochs", len(entries))
    member = member_of(document)
    lines = [f"{member.capitalize()}:"] if member else []
    lines.append(f"Epochs: {len(entries)} of {planned} planned")
    best = best_epoch(document)
    if best is not None:
        first, last = entries[0], entries[-1]
        lines += [
            f"Best epoch: {best[0]}, validation loss {best[1]:.4f}"
            f" (first {first['validation_loss']:.4f}, last {last['validation_loss']:.4f})",
            f"Learning rate: highest {max(e['learning_rate'] for e in entries):.3g},"
            f" last {last['learning_rate']:.3g}",
        ]
    counts = Counter(failure for entry in entries for failure in entry["failures_detected"])
    lines.append("Failures detected:" + ("" if counts else " none"))
    for failure, count in sorted(counts.items()):
        epochs = [e["epoch"] for e in entries if failure in e["failures_detected"]]
        lines.append(f"  {failure}: {count} {_plural(count, 'epoch')} ({_ranges(epochs)})")
    actions = document["corrective_actions"]
    lines.append("Interventions:" + ("" if actions else " none"))
    for action in actions:
        details = ", ".join(
            f"{key} {_short(value)}"
            for key, value in action["details"].items()
            if not isinstance(value, list | dict)
        )
        what = f"{action['action_type']} on {action['trigger']}"
        lines.append(f"  epoch {action['epoch']}: {what}" + (f" ({details})" if details else ""))
    blocked = sum(1 for entry in entries if entry["early_stop_blocked"])
    if blocked:
        lines.append(f"Early stopping blocked: {blocked} {_plural(blocked, 'epoch')}")
    others = "".join("\n" + summarise(other) for other in document.get(OTHERS, []))
    return "\n".join(lines) + "\n" + others


def _plural(count: int, word: str) -> str:
    return word if count == 1 else word + "s"


def _ranges(epochs: list[int]) -> str:
    """1, 2, 3, 7 → "1–3, 7"."""
    parts: list[list[int]] = []
    for epoch in epochs:
        if parts and epoch == parts[-1][1] + 1:
            parts[-1][1] = epoch
        else:
            parts.append([epoch, epoch])
    return ", ".join(f"{a}" if a == b else f"{a}–{b}" for a, b in parts)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
