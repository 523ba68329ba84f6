"""Comparisons that say nothing are refused as they come in, not when they are read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.features.effectiveness import FeatureEffectivenessTracker

COMPARISON: dict[str, Any] = {"features": "x", "metric": "r2", "before": 0.1, "after": 0.2}


@pytest.mark.parametrize(
    "altered",
    [
        {"features": []},
        {"features": ""},
        {"metric": ""},
        {"before": float("nan")},
        {"after": float("inf")},
        {"before": "much"},
        {"interval": (float("nan"), 1.0)},
        {"n_rows": 0},
    ],
    ids=str,
)
def test_comparisons_that_say_nothing_are_refused(altered: dict[str, Any]) -> None:
    tracker = FeatureEffectivenessTracker()
    with pytest.raises(FeatrixUserError, match=f"cannot be recorded; {next(iter(altered))}"):
        tracker.record(**COMPARISON | altered)
    assert tracker.records == ()


def test_no_percentage_of_zero() -> None:
    tracker = FeatureEffectivenessTracker()
    assert tracker.record("x", "r2", 0.0, 0.5).improvement_pct == 0.0


@pytest.mark.parametrize(("least", "expected"), [(2.49, ["x"]), (2.51, []), (-9.0, ["x", "y"])])
def test_the_mean_over_comparisons_counts(least: float, expected: list[str]) -> None:
    tracker = FeatureEffectivenessTracker()
    tracker.record("x", "roc_auc", 0.80, 0.84)
    tracker.record("x", "roc_auc", 0.80, 0.80)
    tracker.record("y", "roc_auc", 0.80, 0.78)
    assert tracker.get_recommended_features("roc_auc", least) == expected


@pytest.mark.parametrize("content", [b"\xff", b'{"records": [{"features": ["a"]}]}', b"[" * 99_999])
def test_a_damaged_history_changes_nothing(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    path.write_bytes(content)
    tracker = FeatureEffectivenessTracker()
    kept = tracker.record(**COMPARISON)
    with pytest.raises(FeatrixUserError, match="effectiveness history"):
        tracker.load_history(path)
    assert tracker.records == (kept,)


def test_the_same_history_is_the_same_file(tmp_path: Path) -> None:
    tracker = FeatureEffectivenessTracker()
    tracker.record(**COMPARISON, interval=(0.05, 0.15))
    tracker.save(tmp_path / "a.json")
    again = FeatureEffectivenessTracker()
    again.load_history(tmp_path / "a.json")
    again.save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
