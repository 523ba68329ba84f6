"""The report of the quality suite, from results with known scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import quality_report
from benchmarks.quality import asks
from benchmarks.quality_own import FEATRIX, NET_ONLY
from benchmarks.quality_peers import NETWORKS, PEERS, TUNED
from benchmarks.quality_plot import draw
from benchmarks.quality_ranks import (
    cliques,
    differences,
    ece_ratios,
    gaps,
    gathered,
    groups,
    mean_ranks,
    normalised,
    standing,
)
from benchmarks.quality_sets import ROWS, fold_count

NUMBERS = {"medical_cost", "ames", "ev_charging", "bikeshare", "avocados", "diamonds"}
SETS = ("german_credit", "medical_cost", "attrition", "ames", "ev_charging", "telco_churn")


def _figures(name: str, score: float) -> dict[str, Any]:
    seconds = {"fit_seconds": 2.0, "predict_seconds": 0.1}
    if name in NUMBERS:
        return {"r2": score, "rmse": 10.0 * (1.0 - score), "mae": 1.0, **seconds}
    return {"roc_auc": score, "log_loss": 1.0 - score, "ece": 0.1, **seconds}


def _cells(scores: dict[str, float], sets: tuple[str, ...] = SETS) -> dict[str, dict[str, Any]]:
    """Every fold of every set; a little noise of the fold, the same for all methods."""
    found = {}
    for name in sets:
        for method, score in scores.items():
            if method == TUNED and not asks(method, name):
                continue
            for fold in range(fold_count(ROWS[name])):
                figures = _figures(name, score + 0.001 * fold)
                if method == FEATRIX:
                    figures |= (
                        {"ece": 0.04}
                        if "ece" in figures
                        else {"coverage": 0.9, "mean_interval_width": 2.0, "third_coverage": 0.86}
                    )
                found[f"quality/{name}/{method}/{fold}"] = {
                    "kind": "regression" if name in NUMBERS else "binary",
                    "rows": 800, "test_rows": 200, "peak_memory_mib": 700, "threads": 2,
                    "processor_seconds": 3.0,
                    "commit": "abc", "date": "2026-01-01", "load": 1.0,
                    "methods": {method: figures},
                }  # fmt: skip
    return found


SCORES = {m: 0.80 - 0.01 * k for k, m in enumerate((FEATRIX, *PEERS))}


@pytest.fixture
def result() -> dict[str, Any]:
    machine = {"processor": "some", "cores": 2, "date": "2026-01-01"}
    return {"machine": machine, "cells": _cells(SCORES)}


def test_ranks_and_normalised_scores() -> None:
    table = {"a": {"x": 0.9, "y": 0.8, "z": 0.8}, "b": {"x": 0.5, "y": 0.7, "z": 0.6}}
    methods = ["x", "y", "z"]
    assert mean_ranks(table, methods, best_is_high=True) == {"x": 2.0, "y": 1.75, "z": 2.25}
    assert mean_ranks(table, methods, best_is_high=False)["x"] == 2.0
    assert normalised(table, methods) == pytest.approx({"x": 0.5, "y": 0.5, "z": 0.25})


def test_wins_ties_and_losses_are_paired() -> None:
    cells = _cells({FEATRIX: 0.8, "LightGBM": 0.79, "XGBoost": 0.81, "CatBoost": 0.8})
    for name, cell in cells.items():
        if "/CatBoost/" in name:
            figures = cell["methods"]["CatBoost"]
            key = "r2" if "r2" in figures else "roc_auc"
            # Ahead on one fold, behind on the next.
            figures[key] += 0.05 * (-1) ** int(name[-1])
    found = gathered(cells)
    expected = {"LightGBM": (6, 0, 0), "XGBoost": (0, 0, 6), "CatBoost": (0, 6, 0)}
    for peer, counts in expected.items():
        told = standing(found, FEATRIX, peer)
        assert told is not None
        assert (told.wins, told.ties, told.losses) == counts
    assert standing(found, FEATRIX, "TabM") is None


def test_incomplete_sets_are_not_ranked(result: dict[str, Any]) -> None:
    del result["cells"]["quality/ames/LightGBM/4"]
    found = gathered(result["cells"])
    assert next(sets for _, sets in groups(found)) == [s for s in found.sets if s != "ames"]
    assert "ames" not in gaps(found, FEATRIX)
    assert found.gain("ames", FEATRIX, "LightGBM") is None
    text = quality_report.block(result)
    assert "| 5 complete sets |" in text
    assert "| ames | regression | R² | 0.8020 |" in text


def test_slow_rivals_with_fewer_sets_are_ranked_apart(result: dict[str, Any]) -> None:
    for name in [n for n in result["cells"] if n.startswith("quality/ames/TabM/")]:
        del result["cells"][name]
    found = gathered(result["cells"])
    small = [s for s in found.sets if asks(TUNED, s)]
    without = [s for s in found.sets if s != "ames"]
    told = {tuple(sets): set(methods) for methods, sets in groups(found)}
    assert [list(sets) for sets in told] == [
        found.sets, small, without, [s for s in small if s != "ames"]
    ]  # fmt: skip
    assert "TabM" not in told[tuple(found.sets)] and TUNED in told[tuple(small)]
    assert gaps(found, FEATRIX).keys() == set(found.sets), "a rival that is not there is not asked"
    text = quality_report.block(result)
    assert "| 6 complete sets |" in text and "| 5 complete sets |" in text


def test_a_joint_cell_counts_before_one_of_its_methods(result: dict[str, Any]) -> None:
    for name, cell in list(result["cells"].items()):
        if f"/{FEATRIX}/" in name:
            alone = name.replace(FEATRIX, NET_ONLY)
            result["cells"][alone] = {**cell, "methods": {NET_ONLY: dict(cell["methods"][FEATRIX])}}
            cell["methods"][NET_ONLY] = {**cell["methods"][FEATRIX], "fit_seconds": 99.0}
    found = gathered(result["cells"])
    assert set(found.values("ames", NET_ONLY, "fit_seconds").values()) == {99.0}
    assert quality_report.owns(found) == [FEATRIX, NET_ONLY]


def test_the_report_names_what_the_issue_asks_for(result: dict[str, Any]) -> None:
    text = quality_report.block(result)
    assert f"| {FEATRIX} | 1.00 | 1.00 | 1.00 |" in text
    assert f"| {FEATRIX} | linear | 6 / 0 / 0 | +0.0100 |" in text
    assert "linear | +0.0100 | 6 of 6 |" in text, "never behind"
    assert f"| {FEATRIX} | LightGBM | 0.0400 | 0.1000 | 0.40 | 0.40 | 0.40 | 3 of 3 | met |" in text
    assert f"| {FEATRIX} | ames | 90.0% | +0.0 | 1.9 | 86.0% | 2 | met |" in text
    assert f"Coverage within 90 % ± 1.5: {FEATRIX}: 3 of 3 sets." in text
    assert "critical-difference" not in text and "Friedman" in text
    assert "abc" in text
    assert ece_ratios(gathered(result["cells"]), FEATRIX, "linear")["attrition"] == pytest.approx(
        0.4
    )


def test_goals_that_are_missed_say_so(result: dict[str, Any]) -> None:
    for name, cell in result["cells"].items():
        figures = next(iter(cell["methods"].values()))
        if name.startswith(f"quality/german_credit/{FEATRIX}/"):
            figures["ece"] = 0.16  # the mean over three sets is 0.08, the median ratio still 0.4
        if name.startswith(f"quality/ames/{FEATRIX}/"):
            figures["coverage"] = 0.88
        if name == f"quality/medical_cost/{FEATRIX}/0":
            figures["coverage"] = 0.95  # 91.0 % over five folds
        if name.startswith(f"quality/attrition/{FEATRIX}/"):
            figures |= {"set_coverage": 0.91, "set_size": 1.25}
        if "/CatBoost/" in name and "ece" in figures:
            figures["ece_chance"] = 0.06 if "german" in name else 0.03
    text = quality_report.block(result)
    assert (
        f"| {FEATRIX} | LightGBM | 0.0800 | 0.1000 | 0.80 | 0.40 | 1.60 | 2 of 3 | missed |" in text
    )
    assert f"| {FEATRIX} | ames | 88.0% | -2.0 | 1.9 | 86.0% | 2 | missed |" in text
    assert f"| {FEATRIX} | medical_cost | 91.0% | +1.0 | 1.9 | 86.0% | 2 | met |" in text
    assert f"Coverage within 90 % ± 1.5: {FEATRIX}: 2 of 3 sets." in text
    assert f"| {FEATRIX} | attrition | 91.0% | 1.25 |" in text
    assert "| german_credit | 0.1600 | 0.1000 | 0.0600 |" in text
    assert "more than chance makes on 2 of 3 sets; featrix has half of it or less on 2." in text


def test_the_short_table_has_a_row_per_method_best_first(result: dict[str, Any]) -> None:
    lines = quality_report.summary(result).splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[2:9]] == [
        m for m in SCORES if m != TUNED
    ]
    assert "6 real sets (3 with classes, 3 with numbers)" in "\n".join(lines)
    _assert_small_sets(lines, f"({TUNED}):")
    assert "Shares of" not in "\n".join(lines), "what a cell does not know is not told"
    for name in SETS:
        shares = {"nets": 0.25, "boosted": 0.75} if name in NUMBERS else {"linear": 1.0}
        for fold in range(fold_count(ROWS[name])):
            cell = result["cells"][f"quality/{name}/{FEATRIX}/{fold}"]
            notes = {"predictor": {"selector": {"shares": shares}}}
            cell["methods"][FEATRIX]["notes"] = notes
    told = "nets 12%, CatBoost 38%, linear model 50%."
    assert told in quality_report.summary(result)
    # A network that lacks a fold of a large set is whole on more sets than the tuned rival.
    large = max(SETS, key=lambda name: ROWS[name])
    partly = {k: v for k, v in result["cells"].items() if k != f"quality/{large}/TabM/0"}
    fewer = quality_report.summary({**result, "cells": partly}).splitlines()
    _assert_small_sets(fewer, f"({'; '.join(m for m in PEERS if m in (TUNED, *NETWORKS))}):")
    text = f"# Title\n{quality_report.SUMMARY_START}\n{quality_report.SUMMARY_END}\n"
    shown = quality_report.filled_summary(text, result)
    assert lines[0] in shown
    assert quality_report.filled_summary(shown, result) == shown
    assert quality_report.filled_summary("no markers", result) == "no markers"


def _assert_small_sets(lines: list[str], rivals: str) -> None:
    """The second table has the tuned rival, and counts wins of its own sets alone."""
    first = next(k for k, line in enumerate(lines) if line.endswith(f"deep rivals too {rivals}"))
    told = {line.split(" | ")[0].strip("| "): line.split(" | ")[4] for line in lines[first + 4 :]
            if line.startswith("| ")}  # fmt: skip
    sets = int(lines[first].split()[0])
    assert sets < len(SETS)
    for method in (TUNED, "XGBoost"):
        assert sum(map(int, told[method].split(" / "))) == sets


def test_no_results_are_told(tmp_path: Path) -> None:
    nothing = quality_report.read_cells(tmp_path / "none.json")
    assert (
        quality_report.block(nothing) == quality_report.summary(nothing) == quality_report.NOTHING
    )


def test_the_plot_tells_apart_what_the_test_does(tmp_path: Path) -> None:
    methods = [f"m{k}" for k in range(4)]
    table = {f"s{k}": {m: 1.0 - 0.1 * j for j, m in enumerate(methods)} for k in range(12)}
    found = differences(table, methods)
    assert found is not None
    assert found.p_value < 1e-5
    # Demšar (2006): 2.569 for four methods.
    assert found.distance == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 12)), rel=1e-3)
    assert cliques(found) == [(1.0, 2.0), (2.0, 3.0), (3.0, 4.0)]
    assert differences(dict(list(table.items())[:4]), methods) is None
    for path in (tmp_path / "one.png", tmp_path / "two.png"):
        draw(found, path)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_the_readme_has_a_place_for_the_report() -> None:
    text = quality_report.README.read_text(encoding="utf-8")
    assert "| table |" in quality_report.filled(text, "| table |")
