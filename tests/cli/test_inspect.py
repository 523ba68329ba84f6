"""`featrix inspect`: what a table would become, on the terminal, as a page and as JSON (VIEW-3)."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from featrix_core.progress import StepProgress
from featrix_core.steps import inspect_step
from featrix_core.steps.inspect_step import Inspection, inspect_table, rendered
from featrix_core.tables.schema import TableSchema

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Refused = Callable[..., str]


def _shown(inspection: Inspection, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(rendered(inspection, width))
    return out.getvalue()


def _row(said: str, name: str) -> str:
    (line,) = [line for line in said.splitlines() if re.match(rf"{re.escape(name)}\s", line)]
    return line


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    """400 rows: an empty column, a constant one, some cells missing, a number with odd cells."""
    rng = np.random.default_rng(0)
    count = 400
    frame = pd.DataFrame(
        {
            "branch": rng.choice(["Hamburg", "Bremen", "Kiel"], count),
            "amount": np.round(rng.lognormal(3, 1, count), 2).astype(str),
            "note": "",
            "country": "DE",
            "paid": rng.choice(["yes", "no"], count),
        }
    )
    frame.loc[:29, "branch"] = ""
    frame.loc[:11, "amount"] = "on request"
    path = tmp_path / "orders.csv"
    frame.to_csv(path, index=False)
    return path


def test_the_table_goes_to_standard_output_and_files_are_written(
    process: Run, german_credit: Path, tmp_path: Path
) -> None:
    arguments = ("--data", german_credit, "--target", "class", "--target", "housing")
    result = process(
        "inspect", *arguments, "--html", "page.html", "--json", "a/schema.json", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert "1,000 rows, 19 columns kept, 2 kept out" in result.stdout
    header = result.stdout.splitlines()[1].split()
    assert header == ["column", "type", "runner-up", "missing", "distinct", "decision", "evidence"]
    assert re.search(r"duration\s+scalar\s.*\s33\s+kept\s", _row(result.stdout, "duration"))
    assert re.search(r"class\s+binary\s+0\s+2\s+target", _row(result.stdout, "class"))
    assert "multiclass" in _row(result.stdout, "housing")
    assert result.stderr.startswith("inspect ")
    assert "written: page.html" in result.stderr
    assert "Traceback" not in result.stderr and "Warning" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "page.html"]

    schema = TableSchema.model_validate_json((tmp_path / "a" / "schema.json").read_bytes())
    assert schema.column("duration").n_unique == 33
    assert {column.name: column.reason for column in schema.dropped} == {
        "class": "target",
        "housing": "target",
    }
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Columns of german_credit.csv" in page and "checking_status" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_without_a_target(orders: Path, run: Run, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    result = run("inspect", "--data", orders.name, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    said = result.stdout
    assert "400 rows, 3 columns kept, 2 kept out" in said
    assert "7.5 %" in _row(said, "branch") and " set " in _row(said, "branch")
    assert "kept, 12 cells not parsed" in _row(said, "amount")
    assert "dropped (all_null)" in _row(said, "note")
    assert "dropped (uniform)" in _row(said, "country")
    warnings = [line for line in said.splitlines() if line.startswith("warning: ")]
    assert any("'amount'" in line and "'on request'" in line for line in warnings)
    assert not any("'country'" in line for line in warnings)  # it stands in the table already
    names = [line.split()[0] for line in said.splitlines()[3:8]]
    assert names == ["branch", "amount", "note", "country", "paid"]
    assert sorted(tmp_path.iterdir()) == before


def test_user_mistakes(orders: Path, tmp_path: Path, refused: Refused) -> None:
    data = ("inspect", "--data", orders.name)
    assert "nowhere.csv" in refused("inspect", "--data", "nowhere.csv", cwd=tmp_path)
    assert "Did you mean 'paid'?" in refused(*data, "--target", "payd", cwd=tmp_path)
    assert "end in .html" in refused(*data, "--html", "page.pdf", cwd=tmp_path)
    assert "end in .json" in refused(*data, "--json", "schema", cwd=tmp_path)
    (tmp_path / "constant.csv").write_text("a,b\n1,x\n1,x\n1,x\n")
    assert "no usable column" in refused("inspect", "--data", "constant.csv", cwd=tmp_path)


def test_help_has_an_example(run: Run, tmp_path: Path) -> None:
    result = run("inspect", "--help", cwd=tmp_path)
    assert result.returncode == 0
    said = " ".join(result.stdout.split())
    assert "Example: featrix inspect --data examples/data/german_credit.csv" in said


@pytest.mark.parametrize("width", [60, 80, 110, 200])
def test_no_line_is_wider_than_the_terminal(german_credit: Path, width: int) -> None:
    inspection = inspect_table(str(german_credit), ["class"])
    said = _shown(inspection, width)
    grid = [line for line in said.splitlines() if not line.startswith("warning")]
    assert max(map(len, said.splitlines())) <= width
    assert len([line for line in grid if " kept" in line]) == 21  # twenty columns and the headline
    assert ("runner-up" in said) == (width >= 100)
    for name in ("age", "duration", "class"):
        _row(said, name)


def test_hundreds_of_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    names = [f"sensor_{n:03}_with_a_name_that_goes_on_and_on_and_on" for n in range(400)]
    pd.DataFrame(rng.normal(size=(60, 400)), columns=names).to_csv(
        tmp_path / "wide.csv", index=False
    )
    said = _shown(inspect_table(str(tmp_path / "wide.csv")), 120)
    rows = [line for line in said.splitlines() if line.startswith("sensor_")]
    assert len(rows) == 400
    assert all("…" in row and "scalar" in row and len(row) <= 120 for row in rows)


def test_names_and_cells_cannot_command_the_terminal(tmp_path: Path) -> None:
    names = ["\x1b[2J red", "[bold]b[/bold]", "\u202eright", "line\nbreak"]
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({name: rng.choice(["\x1b[31ma", "[b]", "c"], 50) for name in names})
    frame["n"] = [*map(str, range(40)), *["\x1b]0;title\x07"] * 10]
    frame.to_parquet(tmp_path / "odd.parquet")
    said = _shown(inspect_table(str(tmp_path / "odd.parquet")), 200)
    assert not re.search("[\x1b\x07\u202e\r]", said)
    assert "[bold]b[/bold]" in said
    assert "line break" in said


def test_a_long_table_is_sampled(german_credit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect_step, "MOST_ROWS", 300)
    inspection = inspect_table(str(german_credit), ["class"])
    assert inspection.n_rows == 300
    assert "a sample of 300 of 1,000 rows" in _shown(inspection, 120)


def test_progress_tells_bytes_and_moves_the_bar(german_credit: Path) -> None:
    heard: list[tuple[str, float, float]] = []
    inspect_table(str(german_credit), on_progress=lambda *told: heard.append(told))
    assert {what for what, _, _ in heard} == {"MB read"}
    assert heard[-1][1] == heard[-1][2] == pytest.approx(german_credit.stat().st_size / 1e6)

    out = io.StringIO()
    screen = Console(file=out, width=100, force_terminal=True, color_system=None)
    with StepProgress(screen) as progress:
        progress.start("read").amount("MB read", 1200.0, 2000.0)
        progress.start("types").amount("texts embedded", 5.0, 10.0)
    assert "MB read 1,200/2,000" in out.getvalue()
    assert "texts embedded 5/10" in out.getvalue()


@pytest.mark.parametrize(("option", "ending"), [("--json", ".json"), ("--html", ".html")])
def test_an_output_with_another_ending_is_told_by_its_option(
    refused: Refused, orders: Path, tmp_path: Path, option: str, ending: str
) -> None:
    said = refused("inspect", "--data", orders, option, "eu.csv", cwd=tmp_path)
    assert f"Let {option} end in {ending}" in said


def test_an_empty_path_is_told_as_such(refused: Refused, tmp_path: Path) -> None:
    assert "path of the data is empty" in refused("inspect", "--data", "", cwd=tmp_path)
