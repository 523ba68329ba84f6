"""The quality suite: the same folds for all, nothing of the test rows, resumable cells, a real tiny run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import quality
from benchmarks.quality import METHODS, answered, asks, cells, record
from benchmarks.quality_figures import Answers, figures
from benchmarks.quality_own import NET_ONLY, featrix_answers
from benchmarks.quality_peers import PEERS, TUNED, peer_answers
from benchmarks.quality_sets import ROWS, Question, asked, fold_count, peer_frames


@pytest.fixture(scope="module")
def credit_question(german_credit: Path) -> Question:
    frame = pd.read_csv(german_credit, keep_default_na=False).iloc[:300]
    return asked("german_credit", frame, "class", classes=True)


@pytest.fixture(scope="module")
def numbers() -> Question:
    rng = np.random.default_rng(0)
    x, group = rng.normal(size=240), rng.choice(["a", "b", "c"], 240)
    y = 3.0 * x + (group == "a") * 2.0 + 0.1 * rng.normal(size=240)
    frame = pd.DataFrame({"x": x, "group": group, "y": y})
    frame.loc[::20, "x"] = np.nan
    frame.loc[::30, "group"] = None
    return asked("numbers", frame, "y", classes=False)


def test_cells_are_named_once_and_cheap_methods_come_first() -> None:
    every = cells(Path())
    names = [cell.name for cell in every]
    assert len(set(names)) == len(names)
    parts = [name.split("/") for name in names]
    assert all(len(part) == 4 and part[0] == "quality" for part in parts)
    order = [part[2] for part in parts]
    assert list(dict.fromkeys(order)) == list(METHODS)
    assert order.index("linear") < order.index("RealMLP")
    assert len(ROWS) >= 14
    assert {c.name.split("/")[2] for c in every if not c.own} == set(PEERS)
    for name, rows in ROWS.items():
        folds = {part[3] for part in parts if part[1] == name}
        assert len(folds) == fold_count(rows) == (5 if rows <= 5_000 else 3)
        assert asks(TUNED, name) == (rows <= 5_000)


def test_all_methods_get_the_same_folds(credit_question: Question) -> None:
    seen = []
    for method in ("linear", "LightGBM"):
        found = record(credit_question, 1, answered(credit_question, method, 1, 1, quick=True))
        seen.append((found["rows"], found["test_rows"]))
    assert seen[0] == seen[1] == (240, 60)
    first, again = credit_question.folds(), credit_question.folds()
    for (train, test), (train_again, test_again) in zip(first, again, strict=True):
        assert np.array_equal(train, train_again) and np.array_equal(test, test_again)
        assert not set(train) & set(test)
        share = credit_question.task.y_N[test].mean() - credit_question.task.y_N.mean()
        assert abs(share) < 0.02, "stratified"
    assert sorted(np.concatenate([test for _, test in first])) == list(range(300))


@pytest.mark.parametrize("method", ["linear", "LightGBM", "XGBoost", "CatBoost"])
def test_no_label_and_no_cell_of_a_test_row_is_learned(numbers: Question, method: str) -> None:
    if method == "XGBoost":
        pytest.importorskip("xgboost", reason="the extra `quality` is not installed")
    rows, held = numbers.folds()[0]
    train, test = numbers.task.take(rows), numbers.task.take(held)
    given = {"classes": 0, "seed": 42, "threads": 1, "quick": True}

    def said(frame: pd.DataFrame) -> list[float]:
        return peer_answers(method, train.frame, train.y_N, frame, **given).said.tolist()

    whole = said(test.frame)
    # The answer for a row does not depend on the other test rows.
    strange = test.frame.assign(x=1e6, group="never seen")
    strange.iloc[:10] = test.frame.iloc[:10]
    assert said(strange)[:10] == pytest.approx(whole[:10], rel=1e-9)
    assert np.std(whole) > 1.0, "it learned something"


def test_peers_read_raw_columns_learned_from_the_training_rows() -> None:
    codes = np.arange(400) % 80
    train = pd.DataFrame(
        {
            "zip": 98_000 + codes,
            "tail": [f"N{k:03d}X" for k in codes],
            "size": np.arange(400) / 7.0,
        }
    )
    test = pd.DataFrame({"zip": [98_001, 7], "tail": ["N001X", "other"], "size": [1.0, np.nan]})
    first, second = peer_frames(train, test)
    assert list(first.columns) == list(second.columns)
    if "tail" in first:
        assert first["tail"].nunique() == 80
        assert second["tail"].isna().tolist() == [False, True]
        assert second["tail"].iloc[0] == "N001X"
    if "zip" in first and not isinstance(first["zip"].dtype, pd.CategoricalDtype):
        assert second["zip"].tolist() == [98_001, 7]
    assert np.isnan(second["size"].iloc[1])


def test_rare_classes_are_left_out_and_class_names_follow_their_numbers() -> None:
    kinds = ["b"] * 40 + ["a"] * 30 + ["c"] * 20 + ["rare"] * 9
    found = asked("kinds", pd.DataFrame({"x": range(99), "k": kinds}), "k", classes=True)
    assert found.names == ("a", "b", "c")
    assert found.kind == "multiclass"
    assert len(found.task.y_N) == 90
    assert found.task.y_N[0] == 1.0
    assert "k" not in found.task.frame


def test_figures_are_those_of_the_answers() -> None:
    y_N = np.array([0.0, 0.0, 1.0, 1.0])
    said = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    sets = np.array([[1, 0], [1, 1], [1, 0], [0, 1]], dtype=bool)
    found = figures("binary", y_N, Answers(said, 1.0, 0.1, sets_NK=sets))
    assert found["roc_auc"] == 0.75
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.6, 0.3, 0.8]).mean())
    assert (found["set_coverage"], found["set_size"]) == (0.75, 1.25)
    numbers = Answers(y_N, 1.0, 0.1, low_N=y_N - 1.0, high_N=np.array([1.0, 1.0, 0.5, 2.0]))
    found = figures("regression", y_N, numbers)
    assert (found["r2"], found["rmse"], found["coverage"]) == (1.0, 0.0, 0.75)
    with pytest.raises(ValueError, match="not finite"):
        figures("regression", y_N, Answers(np.full(4, np.nan), 1.0, 0.1))


def test_the_product_answers_with_sets_and_classes_in_order(credit_question: Question) -> None:
    rows, held = credit_question.folds()[0]
    train, test = credit_question.task.take(rows), credit_question.task.take(held)
    y = pd.Series([credit_question.names[int(code)] for code in train.y_N])
    parts = (train.frame.iloc[:, :5], y, test.frame.iloc[:, :5])
    # The other way round than the labels' codes: the answers follow the names that are given.
    names = ("good", "bad")
    found = featrix_answers(*parts, "binary", 42, names=names, epochs=1)[NET_ONLY]
    assert found.sets_NK is not None
    assert found.sets_NK.shape == found.said.shape == (60, 2)
    assert {"space", "predictor"} <= set(found.notes)
    assert found.said.mean(axis=0)[0] > 0.5, "most credits are good"


def test_a_run_is_kept_cell_by_cell_and_goes_on(
    tmp_path: Path, german_credit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(german_credit, keep_default_na=False)
    frame.to_parquet(tmp_path / "german_credit.parquet")
    out = tmp_path / "result.json"
    given = ["--data-dir", str(tmp_path), "--out", str(out), "--quick", "--threads", "1"]
    given += ["--sets", "german_credit", "--methods", "linear;LightGBM"]
    for _ in range(2):
        with pytest.raises(SystemExit) as done:
            quality.main(given)
        assert done.value.code == 0
        kept = json.loads(out.read_text(encoding="utf-8"))["cells"]
        assert set(kept) == {f"quality/german_credit/{m}/0" for m in ("linear", "LightGBM")}
    linear = kept["quality/german_credit/linear/0"]
    assert {"commit", "code", "date", "load", "peak_memory_mib"} <= set(linear)
    assert linear["threads"] == 1
    assert linear["kind"] == "binary"
    assert linear["methods"]["linear"]["roc_auc"] > 0.6
    # The second run measured nothing.
    assert capsys.readouterr().err.count("quality/german_credit/linear/0") == 1
