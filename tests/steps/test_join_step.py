"""Step join-validate: a report for joins that are fit, a refusal for those that are not."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.files import read_json
from featrix_core.steps import join_validate
from featrix_core.steps.pages import join_sections


def test_the_shipped_flights(repository: Path, tmp_path: Path) -> None:
    figures = join_validate(str(repository / "examples" / "flights_join.json"), tmp_path / "out")
    report = read_json(tmp_path / "out" / "join_report.json")
    assert [j["name"] for j in report["joins"]] == [
        "airline",
        "plane",
        "origin_airport",
        "dest_airport",
        "weather",
    ]
    assert figures["metrics"]["joins"] == 5.0
    assert figures["metrics"]["least_coverage"] == min(j["coverage"] for j in report["joins"])
    warned = [j["name"] for j in report["joins"] if j["verdict"] == "warning"]
    assert figures["metrics"]["warnings"] == len(warned) > 0
    shown = join_sections(tmp_path / "out")["joins"]
    assert [join.right for join in shown] == [j["right"] for j in report["joins"]]


def test_without_a_specification_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert join_validate("", tmp_path / "out")["metrics"] == {"joins": 0.0}
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["figures.json"]
    assert join_sections(tmp_path / "out") == {}


def test_a_join_that_multiplies_rows_is_refused(tmp_path: Path) -> None:
    left = pd.DataFrame({"key": ["a", "b", "c"] * 10, "x": range(30)})
    left.to_parquet(tmp_path / "left.parquet")
    right = pd.DataFrame({"key": ["a", "a", "b", "b", "c", "c"], "y": range(6)})
    right.to_parquet(tmp_path / "right.parquet")
    join = {"left": "left", "right": "right", "left_keys": ["key"], "right_keys": ["key"]}
    spec = {
        "base": "left",
        "tables": {n: {"path": f"{n}.parquet"} for n in ("left", "right")},
        "joins": [{"name": "doubled", "cardinality": "N:1", **join}],
    }
    (tmp_path / "join.json").write_text(json.dumps(spec), encoding="utf-8")
    with pytest.raises(FeatrixUserError, match="'doubled' is not fit to be trained on") as refusal:
        join_validate(str(tmp_path / "join.json"), tmp_path / "out")
    assert refusal.value.remedy
    assert not (tmp_path / "out").exists()


def test_a_specification_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "join.json").write_text("[]", encoding="utf-8")
    for spec in ("join.json", "none.json"):
        with pytest.raises(FeatrixUserError):
            join_validate(str(tmp_path / spec), tmp_path / "out")
    assert not (tmp_path / "out").exists()
