"""The history of what engineered columns were worth (EXT-3)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.features.effectiveness import FeatureEffectivenessTracker


def tracker() -> FeatureEffectivenessTracker:
    filled = FeatureEffectivenessTracker()
    filled.record("rate", "roc_auc", 0.78, 0.80, interval=(0.01, 0.03), n_rows=200, run="1")
    filled.record("rate", "roc_auc", 0.78, 0.79)
    filled.record(["young", "rate"], "log_loss", 0.50, 0.49)
    filled.record("young", "roc_auc", 0.78, 0.77)
    return filled


def test_recommendation_follows_the_direction_of_the_metric() -> None:
    filled = tracker()
    assert filled.get_recommended_features("roc_auc", 1.0) == ["rate"]
    assert filled.get_recommended_features("roc_auc", 2.0) == []
    assert filled.get_recommended_features("roc_auc", -5.0) == ["rate", "young"]
    assert filled.get_recommended_features("log_loss", 1.9) == ["rate", "young"]
    assert filled.get_recommended_features("rmse", 0.0) == []
    assert filled.records[0].improvement_pct == pytest.approx(100 * 0.02 / 0.78)
    assert filled.records[2].improvement_pct == pytest.approx(2.0)


def test_history_survives_saving_and_merges(tmp_path: Path) -> None:
    path = tmp_path / "feature_effectiveness.json"
    filled = tracker()
    filled.save(path)
    later = FeatureEffectivenessTracker()
    later.record("new", "roc_auc", 0.7, 0.8)
    later.load_history(path)
    later.load_history(path)
    assert later.records == (*filled.records, later.records[-1])
    assert later.get_recommended_features(metric="roc_auc", min_improvement_pct=1.0)[0] == "new"


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"records": [{"features": []}]}', '{"records": [], "code": "x"}', "[" * 9999],
)
def test_a_history_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.json"
    path.write_text(text)
    with pytest.raises(FeatrixUserError, match=r"history\.json"):
        FeatureEffectivenessTracker().load_history(path)


def test_wrong_figures_and_files(tmp_path: Path) -> None:
    with pytest.raises(FeatrixUserError, match=r"nowhere\.json"):
        FeatureEffectivenessTracker().load_history(tmp_path / "nowhere.json")
    with pytest.raises(FeatrixUserError, match="; before: "):
        FeatureEffectivenessTracker().record("a", "roc_auc", float("nan"), 0.8)
    with pytest.raises(FeatrixUserError, match="; features: "):
        FeatureEffectivenessTracker().record([], "roc_auc", 0.7, 0.8)
    path = tmp_path / "history.json"
    path.write_text(json.dumps({"schema_version": 9, "records": []}))
    with pytest.raises(FeatrixUserError, match="schema_version"):
        FeatureEffectivenessTracker().load_history(path)
