"""What ingest makes of long files and of rows that cannot be read, and how it is shown (DATA-1, DATA-3, VIEW-3)."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from featrix_core.errors import FeatrixUserError
from featrix_core.files import read_json
from featrix_core.progress import ReadingBar, StepProgress
from featrix_core.steps import ingest
from featrix_core.steps.config import StepConfig
from featrix_core.steps.data_step import load_dataset


@pytest.fixture
def damaged(rows: pd.DataFrame, tmp_path: Path) -> Path:
    """The rows as packed CSV; the third line has a field too many, the last one a field too few."""
    lines = rows.to_csv(index=False).splitlines()
    lines.insert(2, lines[1] + ",more")
    lines.append("cut,short")
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def test_bad_rows_are_kept_beside_the_data_set(
    rows: pd.DataFrame, damaged: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    summary = ingest(str(damaged), ["class"], out)
    bad = [json.loads(line) for line in (out / "bad_rows.jsonl").read_text().splitlines()]
    assert [row["line"] for row in bad] == [3, len(rows) + 3]
    width = len(rows.columns)
    assert bad[0]["reason"] == f"{width + 1} fields, {width} are expected"
    assert bad[1]["text"] == "cut,short"
    assert (summary["rows_read"], summary["bad_rows"]) == (len(rows), 2)
    notice = next(n for n in summary["notices"] if n["code"] == "bad_rows")
    assert notice["figure"] == 2.0 and "bad_rows.jsonl" in notice["action"]
    ingest(str(damaged), ["class"], out)
    rows.to_csv(tmp_path / "whole.csv", index=False)
    ingest(str(tmp_path / "whole.csv"), ["class"], out)
    assert not (out / "bad_rows.jsonl").exists(), "those of an older ingest are gone"


def test_long_tables_are_sampled(rows: pd.DataFrame, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    rows.to_csv(data, index=False)
    config = StepConfig(max_rows=len(rows) // 2)
    for seed, out in ((1, "a"), (1, "b"), (2, "c")):
        ingest(str(data), ["class"], tmp_path / out, config=config, seed=seed)
    summary = read_json(tmp_path / "a" / "ingest.json")
    assert summary["rows"] == len(rows) // 2 and summary["rows_read"] == len(rows)
    assert "rows_sampled" in {notice["code"] for notice in summary["notices"]}
    parts = {name: load_dataset(tmp_path / name).development.arrow for name in "abc"}
    assert parts["a"] == parts["b"] != parts["c"]
    with pytest.raises(FeatrixUserError, match="max_rows"):
        StepConfig.from_settings({"max_rows": 0})


def test_reading_is_told_in_bytes(rows: pd.DataFrame, tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    rows.to_csv(data, index=False)
    told: list[tuple[int, int]] = []
    ingest(str(data), ["class"], tmp_path / "out", on_bytes=lambda *both: told.append(both))
    assert told[-1] == (data.stat().st_size, data.stat().st_size)


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def test_the_bar_of_a_step_fills_while_a_file_is_read() -> None:
    screen = terminal()
    with StepProgress(screen) as bars:
        bars.start("ingest")
        bars.reading(30_000_000, 120_000_000)
        bars._bars.refresh()
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "ingest" in text and "30 of 120 MB" in text


def test_a_bar_is_shown_only_after_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("featrix_core.progress.time.monotonic", lambda: now[0])
    screen = terminal()
    with ReadingBar(screen) as bar:
        bar(1_000_000, 9_000_000)
        assert screen.file.getvalue() == ""  # type: ignore[attr-defined]
        now[0] += 2.5
        bar(5_000_000, 9_000_000)
        bar._bars.refresh()
    assert "5 of 9 MB" in screen.file.getvalue()  # type: ignore[attr-defined]
