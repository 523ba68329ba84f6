"""`featrix plan` as a function: what a file's training would be, from a sample of its rows (TRAIN-2)."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from rich.console import Console

from featrix_core.errors import FeatrixUserError
from featrix_core.steps.limits import check_limit
from featrix_core.steps.plan_step import Planned, duration, plan_file, rendered
from featrix_core.training.plan import plan_space


@pytest.fixture(scope="module")
def planned(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[Planned, Path]:
    """A plan under a limit of a second, and its JSON; the rows are repeated for a longer table."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("plan")
    pd.concat([rows] * 20).to_csv(folder / "credit.csv", index=False)
    out = folder / "plan.json"
    return plan_file(str(folder / "credit.csv"), ["class"], max_seconds=1.0, json=out), out


def test_the_plan_is_that_of_fit(planned: tuple[Planned, Path]) -> None:
    plan = planned[0]
    assert (plan.rows, plan.held_out) == (4_000, 800)
    # A tenth of the 3,200 rows validates.
    assert plan.document["table"] == {"rows": 4_000, "training_rows": 2_880, "columns": 7}
    full = plan_space(2_880)
    assert plan.document["limit"] == {"max_seconds": 1.0, "planned_epochs": full.epochs}
    training = dict(plan.document["training"])
    assert 1 <= training.pop("epochs") < full.epochs
    assert training == {k: v for k, v in full.model_dump().items() if k != "epochs"}
    names = [value["name"] for value in plan.document["values"]]
    assert names[-1] == "class weights of class"
    assert plan.document["values"][-1]["stage"] == "predictor"


def test_seconds_and_memory_add_up(planned: tuple[Planned, Path]) -> None:
    cost = planned[0].estimate
    parts = (cost.training_seconds, cost.validation_seconds, cost.finish_seconds)
    assert all(part > 0 for part in parts)
    assert cost.seconds == pytest.approx(sum(parts))
    # Torch alone takes more than 100 MiB.
    assert cost.held_bytes > 100 * 2**20
    assert cost.memory_bytes == cost.held_bytes + cost.model_bytes + cost.batch_bytes


def test_the_json_holds_all_of_it(planned: tuple[Planned, Path]) -> None:
    plan, out = planned
    record = json.loads(out.read_text())
    assert record == plan.record()
    assert record["estimate"]["seconds"] == pytest.approx(plan.estimate.seconds)


@pytest.mark.parametrize("width", [80, 160])
def test_what_is_shown(planned: tuple[Planned, Path], width: int) -> None:
    out = io.StringIO()
    Console(file=out, width=width).print(rendered(planned[0], width))
    said = " ".join(out.getvalue().split())
    assert "4,000 rows, 7 columns; 800 rows are held out, 2,880 train" in said
    for value in planned[0].document["values"][:10]:
        assert value["name"].split()[0] in said
    assert "to fit into 1 s the schedule is compressed" in said.lower()
    assert ("plan/learning rate" in said) == (width == 160)


@pytest.mark.parametrize("limit", [0.0, -1.0, 0.5, float("nan")])
def test_a_limit_in_which_nothing_can_be_trained_is_refused(limit: float) -> None:
    with pytest.raises(FeatrixUserError, match="too short"):
        check_limit(limit)


def test_a_target_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "\n".join(f"{k},{k % 3}" for k in range(40)))
    with pytest.raises(FeatrixUserError, match="gone"):
        plan_file(str(tmp_path / "t.csv"), ["gone"])


def test_durations_in_words() -> None:
    said = [duration(s) for s in (0.2, 48.4, 200, 7_500)]
    assert said == ["1 s", "48 s", "3 min 20 s", "2 h 5 min"]
