"""The timeline has the structure of D12, and each failure mode of D11 is seen in a history that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from featrix_core import EmbeddingSpace, SinglePredictorMLP
from featrix_core.files import read_json
from featrix_core.training.failures import detect_failures
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.timeline import WRITE_EVERY, Timeline

PLAN = TrainingPlan(epochs=8, batch_size=4, steps_per_epoch=2, learning_rate=0.01, weight_decay=0.1)


def _history(
    train: list[float], validation: list[float], norm: float = 1.0, last: int = 30
) -> list[dict[str, Any]]:
    first = last - len(train) + 1
    return [
        {
            "epoch": first + k,
            "train_loss": t,
            "validation_loss": v,
            "gradients": {"unclipped_norm": norm},
        }
        for k, (t, v) in enumerate(zip(train, validation, strict=True))
    ]


FALLING = [4.0, 3.8, 3.6, 3.4, 3.2, 3.0]
FLAT = [3.0] * 6


@pytest.mark.parametrize(
    "history, expected",
    [
        (_history([3.0], [3.0], norm=1e-9, last=1), ["DEAD_NETWORK"]),
        (_history([3.0], [3.0], norm=1e-7, last=1), []),
        (_history(FLAT, FLAT), ["NO_LEARNING"]),
        (_history(FLAT, FLAT, last=15), []),
        (_history(FLAT[:5], FLAT[:5]), []),
        (_history(FLAT, FLAT, norm=0.001, last=12), ["VERY_SLOW_LEARNING"]),
        (_history(FLAT, [3.0, 3.0, 3.0, 3.0, 3.0, 2.978], norm=0.001), ["VERY_SLOW_LEARNING"]),
        (
            _history([3.0, 2.9, 2.8, 2.7, 2.6, 2.5], [3.0, 3.05, 3.1, 3.15, 3.2, 3.3], last=12),
            ["SEVERE_OVERFITTING"],
        ),
        (_history([3.0, 2.9, 2.8, 2.7, 2.6, 2.5], [3.0, 3.05, 3.1, 3.15, 3.2, 3.3], last=10), []),
        (
            _history(
                [2.6, 2.6, 2.59, 2.59, 2.58, 2.58], [3.0, 2.95, 2.95, 2.95, 2.95, 3.01], last=12
            ),
            ["MODERATE_OVERFITTING"],
        ),
        (_history([3.0, 2.0, 3.0, 2.0, 3.0, 2.0], FALLING), ["UNSTABLE_TRAINING"]),
        (_history([3.0, 2.0, 3.0, 2.0, 3.0, 2.0], FALLING, last=15), []),
        (_history([3.5, 3.4, 3.3, 3.2, 3.1, 3.0], FALLING), []),
    ],
)
def test_failure_modes(history: list[dict[str, Any]], expected: list[str]) -> None:
    assert detect_failures(history) == expected


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
        assert gradients.keys() == {"unclipped_norm", "clipped_norm", "clip_ratio"}
        assert gradients["clipped_norm"] <= min(1.0, gradients["unclipped_norm"]) + 1e-6
        ratio = gradients["clipped_norm"] / gradients["unclipped_norm"]
        assert gradients["clip_ratio"] == pytest.approx(ratio)
        assert entry["learning_rate"] <= document["metadata"]["initial_lr"]


def test_predictors_have_one_too(credit_predictor: SinglePredictorMLP) -> None:
    assert credit_predictor.timeline is not None
    assert [entry["epoch"] for entry in credit_predictor.timeline["timeline"]] == [1, 2]


def test_written_every_few_epochs(tmp_path: Path) -> None:
    path = tmp_path / "run" / "training_timeline.json"
    timeline = Timeline(PLAN, path, columns=3)
    for epoch, entry in enumerate(_history([3.0] * 7, [3.0] * 7, last=7), start=1):
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
