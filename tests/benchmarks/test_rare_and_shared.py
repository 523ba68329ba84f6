"""Rare positives and five targets: what is drawn, what is decided, what a space may see, what the reports say."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import (
    embedding_trees,
    export,
    five_targets,
    guardrails,
    imbalance,
    program,
    throughput,
)
from benchmarks.imbalance import SHARES, SPLITS, Rare, decided, measured, rare
from benchmarks.program import NOTHING, Program
from benchmarks.quality_own import FEATRIX, NET_ONLY
from benchmarks.quality_sets import asked
from benchmarks.space_cells import Cell, Settings
from benchmarks.space_data import Task, load_targets

SEEN = {"commit": "abc", "date": "2026-01-01", "threads": 1, "load": 1.0, "code": "x"}
MACHINE = {"processor": "some", "cores": 2}
PROGRAMS = tuple(
    one.PROGRAM
    for one in (imbalance, five_targets, embedding_trees, guardrails, throughput, export)
)


@pytest.fixture(scope="module")
def many() -> Task:
    """20,000 rows, a fifth positive; `x` tells them apart well but not fully."""
    rng = np.random.default_rng(0)
    y_N = (rng.random(20_000) < 0.2).astype(np.float64)
    x, kind = rng.normal(size=20_000) + 2.0 * y_N, rng.choice(["a", "b"], 20_000)
    frame = pd.DataFrame({"x": x, "kind": kind})
    return Task("many", frame, y_N, True)


@pytest.fixture(scope="module")
def few(many: Task) -> Rare:
    return rare(many, 10_000, 0.01)


@pytest.fixture
def threads_kept() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("share", SHARES)
def test_every_test_part_holds_twenty_positives_that_are_not_learned(
    many: Task, share: float
) -> None:
    asked = rare(many, 10_000, share)
    y_N = asked.task.y_N
    assert (len(y_N), y_N.mean()) == (10_000, share)
    folds = asked.folds()
    assert len(folds) == SPLITS
    for (train, test), (again, _) in zip(folds, asked.folds(), strict=True):
        assert np.array_equal(train, again), "the same for every method"
        assert not set(train) & set(test)
        assert y_N[test].sum() == round(share * 10_000 * 0.4) >= 20
        assert len(train) + len(test) == 10_000


def test_fewer_positives_are_a_part_of_more_and_none_are_made_up(many: Task, few: Rare) -> None:
    fewer = rare(many, 10_000, 0.005).task
    positives = [set(task.frame["x"][task.y_N == 1.0]) for task in (fewer, few.task)]
    assert positives[0] < positives[1] <= set(many.frame["x"][many.y_N == 1.0])
    with pytest.raises(ValueError, match="negatives"):
        rare(many, 20_000, 0.01)


def test_decisions_are_counted_and_a_collapse_has_no_precision() -> None:
    y_N, chance_N = np.array([0.0, 0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.3, 0.05, 0.3, 0.2])
    assert decided(y_N, chance_N, 0.3) == {
        "threshold": 0.3, "called": 0.4, "recall": 0.5, "precision": 0.5
    }  # fmt: skip
    assert decided(y_N, chance_N, 0.5) == {
        "threshold": 0.5, "called": 0.0, "recall": 0.0, "precision": None
    }  # fmt: skip


def test_a_peer_is_measured_on_the_split_that_is_asked(few: Rare) -> None:
    found = measured(few, "LightGBM", 1, quick=True)
    assert (found["test_rows"], found["test_positives"]) == (4_000, 40)
    figures = found["methods"]["LightGBM"]
    assert figures["pr_auc"] > 5 * 0.01, "far above the base rate"
    assert figures["chosen"] == figures["half"]
    assert json.loads(json.dumps(found)) == found


def _rare_cells() -> dict[str, dict[str, Any]]:
    """Everything, with known figures: featrix ahead by 0.1, trees that call nothing."""
    found = {}
    for cell in imbalance.cells(Settings(Path()), list(imbalance.SETS)):
        _, _, _, method, split = cell.name.split("/")
        own = method == FEATRIX
        half = {"threshold": 0.5, "called": 0.0, "recall": 0.0, "precision": None}
        chosen = {"threshold": 0.1, "called": 0.02, "recall": 0.6, "precision": 0.3} if own else half  # fmt: skip
        figures = {
            "pr_auc": (0.4 if own else 0.3) + 0.01 * int(split), "roc_auc": 0.9, "log_loss": 0.04,
            "fit_seconds": 60.0 if own else 1.0, "chosen": chosen, "half": half,
            "notes": {"predictor": {"loss": {"loss": "focal", "class_weights": True}}},
        }  # fmt: skip
        methods = (FEATRIX, NET_ONLY) if own else (method,)
        found[cell.name] = {**SEEN, "methods": dict.fromkeys(methods, figures)}
    return found


def test_the_report_on_rare_positives() -> None:
    found = _rare_cells()
    text = imbalance.PROGRAM.block({"machine": MACHINE, "cells": found})
    assert "| adult | 0.5% | 0.4100 | 0.4100 | 0.3100 | 0.3100 | 0.3100 | 0.3100 | 0.0050 |" in text
    assert "| means over 8 sets and shares |" in text
    assert f"| {FEATRIX} | 0.4100 | 0.9000 | 0.0400 | 60.0 | 60.0 |" in text
    assert f"| {FEATRIX} | chosen | 2.00% | 60.0% | 30.0% | 0 of 24 |" in text
    assert f"| {FEATRIX} | 0.5 | 0.00% | 0.0% |  | 24 of 24 |" in text
    assert "| LightGBM | 0.5 | 0.00% | 0.0% |  | 24 of 24 |" in text
    assert f"| {FEATRIX} − CatBoost | +0.1000; 8 of 8 |" in text
    assert "| 1.0% | focal, class weights 12 |" in text
    assert f"{len(found)} of {len(found)} cells" in text
    # A method that lacks a split takes the unit out of the means, not out of the other tables.
    del found["imbalance/adult/1.0%/linear/2"]
    assert "| means over 7 sets and shares |" in "\n".join(imbalance.report(found))


def test_no_space_sees_a_target_and_all_targets_share_their_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    n = 400
    frame = pd.DataFrame(
        {
            "age": rng.integers(17, 90, n),
            "education": rng.choice(["Bachelors", "HS-grad"], n),
            "education_num": rng.choice([9, 13], n),
            "occupation": rng.choice(["Prof-specialty", "Sales"], n),
            "sex": rng.choice(["Female", "Male"], n),
            "hours_per_week": rng.integers(10, 80, n),
            "income": rng.choice([">50K", "<=50K"], n),
        }
    )
    frame.to_parquet(tmp_path / "adult.parquet")
    found = load_targets(tmp_path, "adult", five_targets.ROWS)
    assert tuple(found) == five_targets.targets("adult")
    assert len(found) == 5
    first = found["income"]
    for target, task in found.items():
        assert list(task.frame.columns) == ["age"], "neither a target nor one in other words"
        assert task.frame.equals(first.frame)
        parts = [t.parted(0.2, 42, by_class=False) for t in (task, first)]
        assert parts[0][0].frame.equals(parts[1][0].frame), target
    assert found["education_num"].y_N.tolist() == (frame["education_num"] > 12).tolist()


def test_predictors_leave_their_space_as_it_is(
    many: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.space_arms.SCRATCH", tmp_path)
    train, test = many.take(np.arange(150)), many.take(np.arange(150, 200))
    numbers = Task("numbers", train.frame, train.frame["x"].to_numpy() ** 2, False)
    asked = Task("numbers", test.frame, test.frame["x"].to_numpy() ** 2, False)
    first = five_targets.measured(train, test, quick=True, epochs=1)
    kept = next((tmp_path / "spaces").glob("*/space"))
    before = {path.name: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    second = five_targets.measured(numbers, asked, quick=True, epochs=1)
    assert len(list((tmp_path / "spaces").iterdir())) == 1, "one space for both"
    assert {path.name: path.read_bytes() for path in kept.rglob("*") if path.is_file()} == before
    assert first["space_seconds"] == second["space_seconds"] > 0
    assert first["space_columns"] == ["x", "kind"]
    assert (first["kind"], second["kind"]) == ("binary", "regression")
    for cell, score in ((first, "roc_auc"), (second, "r2")):
        assert set(cell["methods"]) == set(five_targets.SHOWN)
        for peer in five_targets.PEERS:
            mean, low, high = cell["differences"][FEATRIX][peer]
            scores = [cell["methods"][m][score] for m in (FEATRIX, peer)]
            assert mean == pytest.approx(scores[0] - scores[1])
            assert low <= high


def _target_cells() -> dict[str, dict[str, Any]]:
    found = {}
    for cell in five_targets.cells(Settings(Path()), list(five_targets.SETS)):
        number = cell.name == "targets/king_county/price"
        score = "r2" if number else "roc_auc"
        methods = {
            m: {score: 0.9 if m == FEATRIX else 0.8, "fit_seconds": 20.0 if m == FEATRIX else 2.0}
            for m in five_targets.SHOWN
        }
        apart = {"LightGBM": [0.1, 0.05, 0.15], "CatBoost": [0.1, -0.05, 0.25]}
        found[cell.name] = {
            **SEEN, "kind": "regression" if number else "binary", "measure": "R²" if number else "AUC",
            "test_rows": 1_000, "space_seconds": 50.0, "methods": methods,
            "differences": {FEATRIX: apart, NET_ONLY: {p: [-0.1, -0.2, -0.05] for p in apart}},
        }  # fmt: skip
    return found


def test_the_report_on_five_targets() -> None:
    found = _target_cells()
    text = five_targets.PROGRAM.block({"machine": MACHINE, "cells": found})
    price = "| king_county | price | R² | 0.9000 | 0.8000 | 0.8000 | 0.8000 |"
    assert f"{price} +0.1000 (+0.0500 … +0.1500) |" in text
    assert f"| {FEATRIX} | LightGBM | 10 / 0 / 0 | +0.1000 |" in text
    assert f"| {FEATRIX} | CatBoost | 0 / 10 / 0 | +0.1000 |" in text
    assert f"| {NET_ONLY} | CatBoost | 0 / 0 / 10 | -0.1000 |" in text
    assert f"| adult | {FEATRIX} | 50.0 | 20.0 + 20.0 + 20.0 + 20.0 + 20.0 | 150.0 |" in text
    assert "| adult | LightGBM |  | 2.0 + 2.0 + 2.0 + 2.0 + 2.0 | 10.0 |" in text
    assert "10 of 10 cells" in text


@pytest.mark.parametrize("one", PROGRAMS, ids=lambda p: p.name)
def test_the_readme_is_the_result_file(one: Program) -> None:
    shown = program.README.read_text(encoding="utf-8")
    result = json.loads(one.result.read_text(encoding="utf-8")) if one.result.is_file() else {}
    assert one.filled(shown, result) == shown, f"run `make {one.target}`, or its last line"
    assert NOTHING in one.filled(shown, {})


def test_a_run_keeps_its_cells_and_measures_only_what_is_lacking(
    many: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str], threads_kept: None
) -> None:
    income = np.where(many.y_N == 1.0, ">50K", "<=50K")
    many.frame.assign(income=income).to_parquet(tmp_path / "adult.parquet")

    def boosted(settings: Settings, sets: list[str]) -> list[Cell]:
        return [cell for cell in imbalance.cells(settings, sets) if "/LightGBM/" in cell.name]

    shortened = dataclasses.replace(imbalance.PROGRAM, cells=boosted)
    given = ["--data-dir", str(tmp_path), "--out", str(tmp_path / "kept.json"), "--quick"]
    for _ in range(2):
        with pytest.raises(SystemExit) as done:
            shortened.main([*given, "--only", "adult"])
        assert done.value.code == 0
    said = capsys.readouterr()
    assert said.err.count("imbalance/adult/1.0%/LightGBM/0") == 1
    assert said.out.count("| adult | 1.0% |") == 4, "two tables, printed twice"
    with pytest.raises(SystemExit) as done:
        shortened.main([])
    assert done.value.code == 2
    assert "--data-dir" in capsys.readouterr().err


@pytest.mark.parametrize("classes", [True, False])
def test_trees_on_embeddings_are_measured_beside_all_that_answers(classes: bool) -> None:
    rng = np.random.default_rng(0)
    x, kind = rng.normal(size=300), rng.choice(["a", "b"], 300)
    number = x + (kind == "a") + 0.3 * rng.normal(size=300)
    goal = np.where(number > 0.5, "yes", "no") if classes else number
    frame = pd.DataFrame({"x": x, "kind": kind, "goal": goal})
    question = asked("some", frame, "goal", classes=classes)
    cell = embedding_trees.measured(question, 1)
    losses = cell["losses"]
    chance = np.log(2) if classes else 1.0
    assert len(losses) == 4 and losses[embedding_trees.RAW] < 0.9 * chance
    assert cell["best_loss"] <= min(losses[FEATRIX], losses[embedding_trees.EMBEDDED]) + 1e-9
    text = embedding_trees.PROGRAM.block(
        {"machine": MACHINE, "cells": {"embedding_trees/adult": {**cell, **SEEN}}}
    )
    assert (
        f"| adult | {'log loss' if classes else 'mean squared error'} | {losses[FEATRIX]:.4f} |"
        in text
    )


def test_the_best_share_of_another_answer() -> None:
    truth_N = np.array([0.0, 1.0, 2.0, 3.0], np.float32)
    own, other = truth_N[:, None] + 1.0, truth_N[:, None] - 1.0
    assert embedding_trees.best_share(own, other, truth_N, False)[0] in (0.48, 0.52)
    assert embedding_trees.best_share(truth_N[:, None], other, truth_N, False) == (0.0, 0.0)
