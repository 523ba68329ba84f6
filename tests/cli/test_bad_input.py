"""Tables and settings that no command can use: status 2, one sentence, nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

Write = Callable[[Path, pd.DataFrame], Path]
Refused = Callable[..., str]
Run = Callable[..., subprocess.CompletedProcess[str]]


def _text(name: str, change: Callable[[list[str]], list[str]]) -> Write:
    """A CSV of the credit rows with its lines (header first) changed."""

    def write(folder: Path, rows: pd.DataFrame) -> Path:
        path = folder / name
        lines = rows.iloc[:40].to_csv(index=False).splitlines()
        path.write_text("".join(line + "\n" for line in change(lines)), encoding="utf-8")
        return path

    return write


def _frame(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Write:
    """A CSV of the credit rows after a change of the frame."""

    def write(folder: Path, rows: pd.DataFrame) -> Path:
        path = folder / "data.csv"
        change(rows.iloc[:40].copy()).to_csv(path, index=False)
        return path

    return write


def _missing(folder: Path, rows: pd.DataFrame) -> Path:
    return folder / "nowhere.csv"


def _folder(folder: Path, rows: pd.DataFrame) -> Path:
    (folder / "tables").mkdir()
    return folder / "tables"


def _empty(folder: Path, rows: pd.DataFrame) -> Path:
    (folder / "empty.csv").touch()
    return folder / "empty.csv"


def _unknown(folder: Path, rows: pd.DataFrame) -> Path:
    (folder / "data.foo").write_text("a,b\n1,2\n", encoding="utf-8")
    return folder / "data.foo"


def _latin1(folder: Path, rows: pd.DataFrame) -> Path:
    frame = rows.iloc[:40].assign(purpose="Möbel")
    (folder / "latin1.csv").write_bytes(frame.to_csv(index=False).encode("latin-1"))
    return folder / "latin1.csv"


def _parquet(damage: Callable[[bytes], bytes]) -> Write:
    def write(folder: Path, rows: pd.DataFrame) -> Path:
        path = folder / "data.parquet"
        rows.iloc[:40].to_parquet(path, index=False)
        path.write_bytes(damage(path.read_bytes()))
        return path

    return write


def _overwritten(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + b"\xff" * 40 + data[at + 40 :]


def _rare(frame: pd.DataFrame) -> pd.DataFrame:
    frame["class"] = ["good"] * (len(frame) - 1) + ["bad"]
    return frame


def _constant_columns(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"country": "DE", "empty": "", "class": frame["class"]})


# Table, and words that the sentence has to hold: what, where, remedy.
TABLES: dict[str, tuple[Write, tuple[str, ...]]] = {
    "missing file": (_missing, ("nowhere.csv", "does not exist", "Check the path")),
    "folder": (_folder, ("tables", "is a directory", "Name a CSV or Parquet file")),
    "empty file": (_empty, ("empty.csv", "is empty", "header")),
    "unknown ending": (_unknown, ("data.foo", ".foo", ".csv", ".parquet", ".jsonl")),
    "header only": (
        _text("head.csv", lambda t: t[:1]),
        ("head.csv", "no rows", "at least one row"),
    ),
    "ragged": (
        _text("ragged.csv", lambda t: [t[0], *(line + ",1" for line in t[1:25]), *t[25:]]),
        ("ragged.csv", "line 2", "8 fields"),
    ),
    "duplicate names": (
        _text("twice.csv", lambda t: [t[0].replace("age", "duration"), *t[1:]]),
        ("twice.csv", "duplicate column names", "'duration'", "Rename"),
    ),
    "truncated Parquet": (
        _parquet(lambda data: data[: len(data) // 2]),
        ("data.parquet", "not a readable Parquet file", "damaged"),
    ),
    "damaged Parquet page": (
        _parquet(_overwritten(6)),
        ("data.parquet", "not a readable Parquet file", "damaged"),
    ),
    "damaged Parquet footer": (
        _parquet(_overwritten(-200)),
        ("data.parquet", "not a readable Parquet file", "damaged"),
    ),
    "missing target": (
        _frame(lambda f: f.rename(columns={"class": "classes"})),
        ("'class'", "Did you mean 'classes'", "age"),
    ),
    "target all null": (
        _frame(lambda f: f.assign(**{"class": ""})),
        ("'class'", "no value", "supply its labels"),
    ),
    "target constant": (
        _frame(lambda f: f.assign(**{"class": "good"})),
        ("'class'", "'good'", "constant", "Name another target"),
    ),
    "class of one row": (_frame(_rare), ("'class'", "'bad'", "one row only", "at least two rows")),
    "no usable column": (
        _frame(_constant_columns),
        ("no usable column", "country (uniform)", "empty (all_null)", "at least one column"),
    ),
    "too few rows": (
        _frame(lambda f: f.iloc[:12]),
        ("data.csv", "12 rows", "20", "Give more rows"),
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_fit_refuses_the_table(
    case: str, tmp_path: Path, credit_rows: pd.DataFrame, refused: Refused
) -> None:
    write, words = TABLES[case]
    data = write(tmp_path, credit_rows)
    # The folders above the output do not exist: they must not be left behind either.
    out = tmp_path / "deep" / "out"
    said = refused("fit", "--data", data, "--target", "class", "--out", out, cwd=tmp_path)
    for word in words:
        assert word in said


MENDED: dict[str, tuple[Write, tuple[str, ...]]] = {
    "ragged": (
        _text("ragged.csv", lambda t: [*t[:4], t[4] + ",1", *t[5:]]),
        ("1 of 40 rows", "line 5", "8 fields"),
    ),
    "open quote": (
        _text("quote.csv", lambda t: [*t[:4], '"' + t[4], *t[5:]]),
        ("1 of 40 rows", "line 5", "quote"),
    ),
    "encoding": (_latin1, ("cp1252",)),
    "nameless column": (
        _text("nameless.csv", lambda t: [t[0].replace("age", ""), *t[1:]]),
        ("column_6",),
    ),
}


@pytest.mark.parametrize("case", MENDED)
def test_a_table_with_faults_is_read_and_the_faults_are_told(
    case: str, tmp_path: Path, credit_rows: pd.DataFrame, run: Run
) -> None:
    write, words = MENDED[case]
    data = write(tmp_path, credit_rows)
    result = run("inspect", "--data", data, cwd=tmp_path)
    assert result.returncode == 0
    said = " ".join((result.stdout + result.stderr).split())
    for word in words:
        assert word in said


CONFIGS = {
    "unknown key": ('{"holdot": 0.2}', ("'holdot'", "Did you mean 'holdout'?", "Known settings")),
    "wrong value": ('{"holdout": 3}', ("'holdout'", "less than 0.9", "'3'")),
    "wrong type name": ('{"types": {"age": "number"}}', ("'types.age'", "'scalar'", "'number'")),
    "unknown column": ('{"ignore": ["agee"]}', ("'agee'", "Did you mean 'age'")),
    "unknown kind": ('{"target_kinds": {"class": "yes"}}', ("'class'", "binary, multiclass or")),
    "not JSON": ("holdout: 0.2", ("not JSON", "config.json", "line 1 column 1")),
    "no object": ("[0.2]", ("must hold an object", "config.json")),
    "missing": (None, ("no configuration file", "config.json")),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_fit_refuses_the_configuration(
    case: str, tmp_path: Path, credit_rows: pd.DataFrame, refused: Refused
) -> None:
    text, words = CONFIGS[case]
    credit_rows.to_csv(tmp_path / "data.csv", index=False)
    if text is not None:
        (tmp_path / "config.json").write_text(text, encoding="utf-8")
    arguments = ("--data", "data.csv", "--target", "class", "--out", "out")
    said = refused("fit", *arguments, "--config", "config.json", cwd=tmp_path)
    for word in words:
        assert word in said


def test_fit_refuses_an_output_that_is_a_file(
    tmp_path: Path, credit_rows: pd.DataFrame, refused: Refused, process: Run
) -> None:
    credit_rows.to_csv(tmp_path / "data.csv", index=False)
    arguments = ("fit", "--data", "data.csv", "--target", "class", "--out")
    assert "a folder is written" in refused(*arguments, "data.csv", cwd=tmp_path, call=process)
    assert "data.csv is a file" in refused(*arguments, "data.csv/model", cwd=tmp_path)


def test_fit_refuses_features_before_it_trains(
    tmp_path: Path, credit_rows: pd.DataFrame, refused: Refused
) -> None:
    credit_rows.to_csv(tmp_path / "data.csv", index=False)
    (tmp_path / "features.json").write_text(json.dumps([{"kind": "script", "name": "x"}]))
    arguments = ("fit", "--data", "data.csv", "--target", "class", "--out", "out")
    assert "script" in refused(*arguments, "--features", "features.json", cwd=tmp_path)


def test_run_refuses_its_configuration(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "config.json").write_text('{"target": ["class"]}')
    said = refused("run", "--config", "config.json", "--workdir", "work", cwd=tmp_path)
    assert "'target'" in said
    assert "targets" in said


@pytest.mark.parametrize("command", ["lineage", "rollback"])
def test_a_registry_that_is_not_there_is_not_begun(
    tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said = refused(command, "credit-class", "--workdir", "nowhere", cwd=tmp_path)
    assert f"no registry in the folder '{tmp_path / 'nowhere'}'" in said and "mlflow.db" in said
    # The folder that is told is the one that was looked in.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other/runs.db")
    said = refused(command, "credit-class", "--workdir", "nowhere", cwd=tmp_path)
    assert f"'{tmp_path / 'other'}'" in said and "runs.db" in said


def test_refusals_do_not_wait_for_torch(tmp_path: Path) -> None:
    # A refusal is immediate; importing torch and scikit-learn alone takes seconds.
    program = """
import sys
from pipelines.command import main
for arguments in (
    ["fit", "--data", "nowhere.csv", "--target", "class", "--out", "out"],
    ["predict", "--model", "nowhere", "--data", "nowhere.csv", "--out", "scores.parquet"],
    ["embed", "--model", "nowhere", "--data", "nowhere.csv", "--out", "vectors.parquet"],
):
    try:
        main(arguments)
    except SystemExit as end:
        assert end.code == 2, end.code
print(sorted({"torch", "sklearn", "mlflow", "kfp", "transformers"} & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"
    assert result.stderr.count("does not exist") == 1
    assert result.stderr.count("no bundle") == 2
