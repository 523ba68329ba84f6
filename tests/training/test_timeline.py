"""The timeline has the structure of D12 and can be told in a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from featrix_core import EmbeddingSpace, SinglePredictorMLP
from featrix_core.files import read_json
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.timeline import OTHERS, WRITE_EVERY, Timeline, best_epoch, summarise

PLAN = TrainingPlan(epochs=8, batch_size=4, steps_per_epoch=2, learning_rate=0.01, weight_decay=0.1)


def _entries(losses: list[float]) -> list[dict[str, Any]]:
    return [
        {
            "epoch": epoch,
            "learning_rate": 0.01 / epoch,
            "train_loss": loss,
            "validation_loss": loss,
            "gradients": {"unclipped_norm": 1.0},
        }
        for epoch, loss in enumerate(losses, start=1)
    ]


def test_structure(credit_space: EmbeddingSpace) -> None:
    document = credit_space.timeline
    assert document is not None
    assert document.keys() == {"metadata", "timeline", "corrective_actions"}
    assert document["metadata"].keys() >= {
        "initial_lr",
        "total_epochs",
        "batch_size",
        "scheduler_type",
    }
    assert [entry["epoch"] for entry in document["timeline"]] == [1, 2]
    for entry in document["timeline"]:
        assert entry.keys() >= {
            "epoch",
            "learning_rate",
            "train_loss",
            "validation_loss",
            "spread_loss",
            "spread_temperature",
            "gradients",
            "failures_detected",
            "early_stop_blocked",
            "corrective_actions",
            "val_set_resampled",
        }
        gradients = entry["gradients"]
        assert gradients.keys() >= {"unclipped_norm", "clipped_norm", "clip_ratio"}
        assert gradients["clipped_norm"] <= min(1.0, gradients["unclipped_norm"]) + 1e-6
        ratio = gradients["clipped_norm"] / gradients["unclipped_norm"]
        assert gradients["clip_ratio"] == pytest.approx(ratio)
        assert entry["learning_rate"] <= document["metadata"]["initial_lr"]


def test_predictors_have_one_too(credit_predictor: SinglePredictorMLP) -> None:
    assert credit_predictor.timeline is not None
    documents = [credit_predictor.timeline, *credit_predictor.timeline[OTHERS]]
    assert [document["metadata"]["member"] for document in documents] == [0, 1, 2, 3, 4]
    for document in documents:
        assert [entry["epoch"] for entry in document["timeline"]] == [1, 2]
        assert "corrective_actions" in document
    losses = [document["timeline"][-1]["validation_loss"] for document in documents]
    assert len(set(losses)) == 5


def test_written_every_few_epochs(tmp_path: Path) -> None:
    path = tmp_path / "run" / "training_timeline.json"
    timeline = Timeline(PLAN, path, columns=3)
    for epoch, entry in enumerate(_entries([3.0] * 7), start=1):
        timeline.add(entry)
        assert path.exists() == (epoch >= WRITE_EVERY)
    assert len(read_json(path)["timeline"]) == WRITE_EVERY
    timeline.write(path)
    written = read_json(path)
    assert written == timeline.document()
    assert written["metadata"]["columns"] == 3
    assert len(written["timeline"]) == 7


def test_a_space_writes_its_timeline(credit: object, tmp_path: Path) -> None:
    frame = credit[["age", "duration", "credit_amount"]]  # type: ignore[index]
    space = EmbeddingSpace(frame, n_epochs=1, output_dir=tmp_path).train()
    assert read_json(tmp_path / "training_timeline.json") == space.timeline


def test_summary() -> None:
    timeline = Timeline(PLAN.model_copy(update={"epochs": 30}))
    for entry in _entries([3.0, 2.0, 1.0] + [1.0] * 17):
        timeline.add(entry)
        if entry["epoch"] == 17:
            entry["early_stop_blocked"] = True
            timeline.corrective_actions.append(
                {
                    "epoch": 17,
                    "action_type": "LR_BOOST",
                    "trigger": "NO_LEARNING",
                    "details": {"lr_multiplier": 3.0, "boost_epochs": 20},
                }
            )
    # The rate had been falling since epoch 1: the flat loss is the end of a training that learned.
    assert summarise(timeline.document()).splitlines() == [
        "Epochs: 20 of 30 planned",
        "Best epoch: 3, validation loss 1.0000 (first 3.0000, last 1.0000)",
        "Learning rate: highest 0.01, last 0.0005",
        "Failures detected: none",
        "Interventions:",
        "  epoch 17: LR_BOOST on NO_LEARNING (lr_multiplier 3, boost_epochs 20)",
        "Early stopping blocked: 1 epoch",
    ]
    for entry in timeline.entries:
        if entry["epoch"] in (4, 5, 6, 9):
            entry["failures_detected"] = ["DEAD_NETWORK"]
    timeline.corrective_actions.clear()
    lines = summarise(timeline.document()).splitlines()
    assert lines[3:6] == [
        "Failures detected:",
        "  DEAD_NETWORK: 4 epochs (4–6, 9)",
        "Interventions: none",
    ]


def test_summary_of_nothing() -> None:
    assert summarise(Timeline(PLAN).document()) == (
        "Epochs: 0 of 8 planned\nFailures detected: none\nInterventions: none\n"
    )


def test_best_epoch_follows_the_loop() -> None:
    """Losses from before an exchange of rows or a restart are no measure of later ones."""
    timeline = Timeline(PLAN)
    assert best_epoch(timeline.document()) is None
    timeline.entries = _entries([3.0, 1.0, 2.0, 1.8, 1.9])
    assert best_epoch(timeline.document()) == (2, 1.0)
    timeline.log_rotation(4, {"rows": 3}, 1.0, 1.85)
    assert best_epoch(timeline.document()) == (4, 1.8)
    timeline.log_rotation(5, {"rows": 3}, 1.8, 2.5)
    assert best_epoch(timeline.document()) == (5, 1.9)
    timeline.corrective_actions = [
        {"epoch": 2, "action_type": "RESTART", "trigger": "DEAD_NETWORK", "details": {}}
    ]
    assert best_epoch(timeline.document()) == (4, 1.8)
