"""What `fit`, `predict` and `embed` write, as other programs rely on it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from featrix_core.predictor.response import SCHEMA_PATH

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Refused = Callable[..., str]
PROBABILITIES = ["probability_good", "probability_bad"]


def _score(
    run: Run, model: Path, rows: pd.DataFrame, folder: Path, *options: str, out: str = "out.parquet"
) -> tuple[Path, str]:
    """The file that `predict` writes for these rows, and what it says on standard error."""
    rows.to_csv(folder / "rows.csv", index=False)
    arguments = ("predict", "--model", model, "--data", "rows.csv", "--out", out)
    result = run(*arguments, *options, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    return folder / out, " ".join(result.stderr.split())


@pytest.fixture(scope="session")
def scores(
    process: Run, model: Path, new_rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> pa.Table:
    """Predictions of `new_rows`."""
    path, said = _score(process, model, new_rows, tmp_path_factory.mktemp("scores"))
    assert "60 rows → out.parquet" in said
    assert "note" not in said
    return pq.read_table(path)


def test_fit_writes_its_four_parts_and_nothing_else(
    fitted: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, result = fitted
    assert sorted(path.name for path in folder.iterdir()) == ["model", "train.csv"]
    parts = ["metrics.json", "predictor", "report.html", "space"]
    assert sorted(path.name for path in (folder / "model").iterdir()) == parts
    # Readable for whoever serves it, not only for the user who trained it.
    assert all(path.stat().st_mode & 0o044 for path in (folder / "model").rglob("*"))
    assert result.stdout == ""
    assert "Warning" not in result.stderr
    for step in ("ingest", "train space", "train predictor", "calibrate", "report"):
        assert step in result.stderr
    for model in ("featrix", "lightgbm", "linear"):
        assert model in result.stderr
    assert "model/report.html" in result.stderr


def test_metrics_of_a_classifier(model: Path) -> None:
    metrics = json.loads((model / "metrics.json").read_text(encoding="utf-8"))
    for name in ("roc_auc", "accuracy", "ece"):
        assert 0.0 <= metrics[name] <= 1.0
    assert metrics["roc_auc"] > 0.5
    assert metrics["log_loss"] > 0.0
    assert {"ingest", "train space", "train predictor", "report"} <= set(metrics["seconds"])
    assert all(seconds >= 0.0 for seconds in metrics["seconds"].values())


def test_predictions_have_a_row_per_row_and_fixed_columns(scores: pa.Table) -> None:
    assert scores.num_rows == 60
    assert set(scores.column_names[2:4]) == set(PROBABILITIES)
    assert [*scores.column_names[:2], *scores.column_names[4:]] == [
        "row_id",
        "prediction",
        "prediction_set",
        "confidence",
        "ood_sigma",
        "warnings",
        "warning_codes",
    ]
    assert scores["row_id"].to_pylist() == list(range(60))
    assert scores.schema.field("warnings").type == pa.list_(pa.string())
    frame = scores.to_pandas()
    assert frame["prediction"].isin(["good", "bad"]).all()
    assert frame["confidence"].isin(["high", "medium", "low"]).all()
    np.testing.assert_allclose(frame[PROBABILITIES].sum(axis=1), 1.0)
    assert frame[PROBABILITIES].to_numpy().std(axis=0).min() > 0.01


def test_unreadable_records_are_answered_in_their_places(
    run: Run, model: Path, new_rows: pd.DataFrame, scores: pa.Table, tmp_path: Path
) -> None:
    lines = new_rows.to_csv(index=False).splitlines()
    lines[5:5] = ["one,field,too,many,for,this,table"]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = ("--model", model, "--data", "rows.csv", "--out")
    for out in ("out.parquet", "out.jsonl"):
        result = run("predict", *data, out, cwd=tmp_path)
        assert "61 rows →" in result.stderr and "without a prediction" in result.stderr
    found = pq.read_table(tmp_path / "out.parquet").to_pylist()
    predicted = scores["prediction"].to_pylist()
    assert [row["prediction"] for row in found] == [*predicted[:4], None, *predicted[4:]]
    answers = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["row_id"] for row in answers] == list(range(61))
    assert answers[4]["warnings"] == ["Line 6 cannot be read: 7 fields, 6 are expected."]
    Draft202012Validator(json.loads(SCHEMA_PATH.read_text("utf-8"))).validate(answers[4])
    run("embed", *data, "vectors.parquet", cwd=tmp_path)
    vectors = np.array(pq.read_table(tmp_path / "vectors.parquet")["embedding"].to_pylist())
    assert len(vectors) == 61
    assert np.flatnonzero(np.isnan(vectors).any(axis=1)).tolist() == [4]


def test_columns_that_the_space_does_not_know_are_told_in_one_sentence(
    run: Run, model: Path, new_rows: pd.DataFrame, tmp_path: Path
) -> None:
    new_rows.assign(zzz="1").to_csv(tmp_path / "rows.csv", index=False)
    for out in ("out.parquet", "out.jsonl"):
        result = run("predict", "--model", model, "--data", "rows.csv", "--out", out, cwd=tmp_path)
        assert result.returncode == 0
        assert result.stderr.count("zzz") == 1 and ".py:" not in result.stderr


def test_rows_keep_their_order(
    run: Run, model: Path, new_rows: pd.DataFrame, scores: pa.Table, tmp_path: Path
) -> None:
    order = np.random.default_rng(3).permutation(len(new_rows))
    # As Parquet this time, with the columns the other way round.
    shuffled = new_rows.iloc[order][new_rows.columns[::-1]].reset_index(drop=True)
    shuffled.to_parquet(tmp_path / "rows.parquet")
    arguments = ("--model", model / "predictor", "--data", "rows.parquet", "--out", "a/b.parquet")
    assert run("predict", *arguments, cwd=tmp_path).returncode == 0
    found = pq.read_table(tmp_path / "a" / "b.parquet").to_pandas()
    expected = scores.to_pandas().iloc[order].reset_index(drop=True)
    assert found["prediction"].tolist() == expected["prediction"].tolist()
    assert [list(w) for w in found["warnings"]] == [list(w) for w in expected["warnings"]]
    np.testing.assert_allclose(found[PROBABILITIES], expected[PROBABILITIES], atol=1e-6)


def test_explained_predictions_carry_an_importance_map(
    run: Run, model: Path, new_rows: pd.DataFrame, scores: pa.Table, tmp_path: Path
) -> None:
    path, _ = _score(run, model, new_rows.iloc[:8], tmp_path, "--explain")
    table = pq.read_table(path)
    told = ["importance", "importance_base", "importance_error"]
    assert table.column_names == [*scores.column_names, *told]
    assert table.schema.field("importance").type == pa.map_(pa.string(), pa.float64())
    for row in table.to_pylist():
        effects = dict(row["importance"])
        assert set(new_rows.columns) <= set(effects)
        assert any(value != 0.0 for value in effects.values())
        apart = row["importance_base"] + sum(effects.values()) - row[PROBABILITIES[-1]]
        assert abs(apart) <= row["importance_error"] + 1e-6
    plain = table.drop_columns(told).to_pandas()[PROBABILITIES]
    np.testing.assert_allclose(plain, scores.to_pandas()[PROBABILITIES].iloc[:8], atol=1e-6)


@pytest.mark.parametrize("options", [(), ("--explain",)], ids=["plain", "explained"])
def test_json_lines_follow_the_response_schema(
    options: tuple[str, ...],
    run: Run,
    model: Path,
    new_rows: pd.DataFrame,
    scores: pa.Table,
    tmp_path: Path,
) -> None:
    path, _ = _score(run, model, new_rows.iloc[:8], tmp_path, *options, out="out.jsonl")
    validator = Draft202012Validator(json.loads(SCHEMA_PATH.read_text(encoding="utf-8")))
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["row_id"] for line in lines] == list(range(8))
    for line in lines:
        validator.validate(line)
        assert bool(line.get("feature_importance")) == bool(options)
    expected = scores["prediction"].to_pylist()[:8]
    assert [line["prediction"] for line in lines] == expected


@pytest.mark.parametrize("part", ["", "space", "predictor"])
def test_embeddings_are_unit_vectors(
    part: str, run: Run, process: Run, model: Path, new_rows: pd.DataFrame, tmp_path: Path
) -> None:
    new_rows.to_csv(tmp_path / "rows.csv", index=False)
    arguments = ("embed", "--model", model / part, "--data", "rows.csv", "--out", "v.parquet")
    result = (run if part else process)(*arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    column = pq.read_table(tmp_path / "v.parquet")["embedding"]
    width = column.type.list_size
    assert f"60 rows × {width} → v.parquet" in result.stderr
    vectors = column.combine_chunks().flatten().to_numpy().reshape(60, width)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert len(np.unique(vectors, axis=0)) == 60


def test_odd_cells_and_columns_are_said(
    run: Run, model: Path, new_rows: pd.DataFrame, tmp_path: Path
) -> None:
    rows = new_rows.iloc[:4].copy()
    rows.loc[1, "checking_status"] = "martian"
    rows.loc[2, "credit_amount"] = "99999999"
    rows.loc[3, "age"] = "old"
    rows["branch"] = "Hamburg"
    path, said = _score(run, model, rows, tmp_path)
    warnings = [" ".join(cell) for cell in pq.read_table(path)["warnings"].to_pylist()]
    assert "'martian'" not in warnings[0]
    assert "'checking_status' is 'martian'" in warnings[1]
    assert "'credit_amount'" in warnings[2]
    assert "outside" in warnings[2]
    assert "note: Column 'checking_status': 1 cell holds a value not known" in said
    assert "note: Column 'age': 1 cell is not a number: 'old' (treated as missing)" in said
    assert "note: Columns that training did not see: 'branch' (ignored)" in said


def test_missing_and_retyped_columns_are_refused(
    model: Path, new_rows: pd.DataFrame, tmp_path: Path, refused: Refused
) -> None:
    new_rows.drop(columns="duration").to_csv(tmp_path / "lacking.csv", index=False)
    new_rows.assign(age="forty").to_csv(tmp_path / "retyped.csv", index=False)
    said = refused(
        "predict", "--model", model, "--data", "lacking.csv", "--out", "s.parquet", cwd=tmp_path
    )
    assert "no column 'duration'" in said
    said = refused(
        "predict", "--model", model, "--data", "retyped.csv", "--out", "s.jsonl", cwd=tmp_path
    )
    assert "60 of 60 cells are not a number" in said
    assert "(column 'age')" in said
    assert "'forty'" in said
    said = refused(
        "embed", "--model", model, "--data", "retyped.csv", "--out", "v.parquet", cwd=tmp_path
    )
    assert "(column 'age')" in said


def test_outputs_that_cannot_be_written_are_refused(
    model: Path, new_rows: pd.DataFrame, tmp_path: Path, refused: Refused
) -> None:
    new_rows.to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "folder.parquet").mkdir()
    cases = {
        "scores.csv": "Let --out end in .parquet or .jsonl",
        "scores": "Let --out end in .parquet or .jsonl",
        "folder.parquet": "The output is a folder",
        "rows.parquet": "would overwrite the data",
        "rows.parquet/scores.parquet": "rows.parquet is a file",
    }
    for out, words in cases.items():
        arguments = ("--model", model, "--data", "rows.parquet", "--out", out)
        assert words in refused("predict", *arguments, cwd=tmp_path)
    arguments = ("--model", model, "--data", "rows.parquet", "--out", "vectors.jsonl")
    assert "Let --out end in .parquet." in refused("embed", *arguments, cwd=tmp_path)
