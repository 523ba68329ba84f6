"""The page of a run, and the small page of every step."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from featrix_core.files import read_json, write_json
from featrix_core.predictor.calibration import fit_calibration
from featrix_core.steps import extend_space, join_validate, report, step_page
from featrix_core.steps.figures import write_figures
from featrix_core.steps.names import EVALUATION
from featrix_core.steps.pages import target_section

from .conftest import Run

LARGEST = 6_000_000


@pytest.fixture(scope="module")
def joins(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("joins") / "out"
    join_validate(str(repository / "examples" / "flights_join.json"), out)
    return out


def title(page: str) -> str:
    found = re.search(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)
    assert found
    return found.group(1).strip()


def test_the_page_of_a_run(run: Run, joins: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    said = report(
        page,
        dataset=run.dataset,
        space=run.space,
        predictor=run.predictor,
        joins=joins,
        seconds={"train space": 1.5},
    )
    assert said == {"bytes": page.stat().st_size}
    assert page.stat().st_size < LARGEST
    text = page.read_text(encoding="utf-8")
    assert title(text) == "class from credit.csv"
    for name in ("checking_status", "airlines", "train space", "ROC AUC"):
        assert name in text


def test_the_page_of_a_number_with_missing_cells(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    report(page, dataset=run.dataset, space=run.space, predictor=run.numbers)
    text = page.read_text(encoding="utf-8")
    assert title(text) == "age from credit.csv"
    assert len(text) < LARGEST
    assert "RMSE" in text


@pytest.mark.parametrize(
    "kind", ["ingest", "train_space", "extend_space", "train_predictor", "calibrate"]
)
def test_pages_of_steps(kind: str, run: Run) -> None:
    folder = {
        "ingest": run.dataset,
        "train_space": run.space,
        "extend_space": run.space,
        "train_predictor": run.trained / "class",
        "calibrate": run.predictor,
    }[kind]
    page = step_page(kind, folder)
    assert title(page) == kind.replace("_", " ")
    assert len(page) < LARGEST


def test_page_of_joins(joins: Path, tmp_path: Path) -> None:
    page = step_page("join_validate", joins)
    assert title(page) == "join validate"
    assert "airlines" in page
    join_validate("", tmp_path / "none")
    assert title(step_page("join_validate", tmp_path / "none")) == "join validate"


def test_page_of_an_extension(run: Run, tmp_path: Path) -> None:
    features = tmp_path / "features.json"
    features.write_text('[{"kind": "log", "name": "log_amount", "column": "credit_amount"}]')
    extend_space(run.space, run.dataset, tmp_path / "out", features=str(features))
    page = step_page("extend_space", tmp_path / "out")
    assert "log_amount" in page


def test_a_step_that_has_only_figures(tmp_path: Path) -> None:
    write_figures(tmp_path, {"rows": 7})
    page = step_page("batch_score", tmp_path)
    assert title(page) == "batch score"
    assert re.search(r"rows.{0,200}\b7\b", page, re.DOTALL)


def test_what_is_asked_first_stands_first(run: Run) -> None:
    report = target_section(run.predictor)
    assert report.comparison is not None
    measures = list(report.comparison.models[0].metrics)
    assert measures[:3] == ["roc_auc", "log_loss", "ece"]
    assert set(measures) == set(read_json(run.predictor / EVALUATION)["metrics"])


@pytest.mark.parametrize("count", [600, 15])
def test_calibration_is_judged_on_the_same_rows_before_and_after(
    count: int, run: Run, tmp_path: Path
) -> None:
    """Overconfident answers; on fifteen rows they cannot be calibrated."""
    found = read_json(run.predictor / EVALUATION)
    rng = np.random.default_rng(0)
    margin = rng.normal(scale=1.5, size=count)
    labels = (rng.random(count) < 1 / (1 + np.exp(-margin))).astype(np.int64)
    calibration = fit_calibration(labels, np.stack([0 * margin, 3 * margin], axis=1))
    method = calibration.method
    assert (method == "none") == (count == 15)
    found["calibration"] = {"method": method, "report": calibration.to_dict()["report"]}
    write_json(tmp_path / EVALUATION, found)
    figures = target_section(tmp_path).classification
    assert figures is not None
    states = {state.label: state for state in figures.reliability}
    held = states.pop("hold-out")
    assert (held.ece, held.brier) == (found["metrics"]["ece"], found["metrics"]["brier"])
    if method == "none":
        assert set(states) == {"out of fold"}
        return
    before, after = states["out of fold, before"], states[f"out of fold, after ({method})"]
    assert sum(before.counts) == sum(after.counts) == 600
    assert before.ece is not None and after.ece is not None and after.ece < 0.5 * before.ece
    assert before.brier is not None and after.brier is not None and after.brier < before.brier
