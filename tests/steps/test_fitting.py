"""A fit that fails late keeps its space, tells its notices when they come up, and goes on from there (TRAIN-6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from featrix_core import steps
from featrix_core.errors import FeatrixError
from featrix_core.files import read_json, sha256_of
from featrix_core.steps.config import StepConfig
from featrix_core.steps.fitting import fit
from featrix_core.tables.schema import Notice


def test_a_predictor_that_fails_costs_no_space(
    credit: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    data, out = tmp_path / "credit.csv", tmp_path / "out"
    columns = ["checking_status", "duration", "credit_amount", "class"]
    paid_back = credit["class"].map({"good": "done", "bad": "open"})
    credit[columns].assign(paid_back=paid_back).iloc[:80].to_csv(data, index=False)
    told: list[Notice] = []
    at: dict[str, int] = {}

    def started(step: str) -> None:
        at[step] = len(told)

    def run(**more: Any) -> None:
        fit(
            str(data),
            "class",
            out,
            config=StepConfig(max_rows=60),
            max_seconds=1.0,
            on_step=started,
            on_notice=told.append,
            **more,
        )

    def fails(*_: Any, **__: Any) -> None:
        raise FeatrixError("Nothing was learned")

    monkeypatch.setattr(steps, "train_predictor", fails)
    with pytest.raises(FeatrixError, match="Nothing was learned"):
        run()
    assert at["train space"] > 0, "what was seen in the table is told before the training"
    assert told[-1].message.startswith("What was finished is kept")
    (work,) = out.iterdir()
    space = sha256_of(work / "base" / "weights.safetensors")
    at.clear()
    with pytest.raises(FeatrixError, match="Nothing was learned"):
        run(resume=True)
    assert list(at) == ["train predictor"]
    assert sha256_of(work / "space" / "weights.safetensors") == space
    monkeypatch.undo()
    run(resume=True)
    assert ("target_leak", "paid_back") in {(notice.code, notice.column) for notice in told}
    kept = read_json(out / "metrics.json")["notices"]
    assert "target_leak" in {notice["code"] for notice in kept}
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "paid_back&#39; alone tells" in page
