"""Seconds and memory of a training before it starts, and plans that fit a time limit (TRAIN-2)."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from featrix_core.dry_run import SpaceCost
from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.space_training import PLAN
from featrix_core.training.device import deterministic
from featrix_core.training.estimate import Deadline, StepCost, estimate, fit_to_budget
from featrix_core.training.loop import run_loop
from featrix_core.training.plan import TrainingPlan, plan_space
from featrix_core.training.timeline import Timeline

COST = StepCost(step_seconds=0.1, validation_seconds=0.2, weight_bytes=1000, saved_bytes=5000)
CODE = """
import json
import numpy as np, pandas as pd, torch
torch.set_num_threads(1)
from featrix_core.dry_run import SpaceCost, held_bytes
from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.training.plan import plan_space
rows, columns = 1500, 12
rng = np.random.default_rng(0)
common = rng.normal(size=(rows, 3)) @ rng.normal(size=(3, columns)) + rng.normal(size=(rows, columns))
frame = pd.DataFrame(common, columns=[f"c{k}" for k in range(columns)])
for name in frame.columns[::2]:
    frame[name] = "v" + pd.qcut(frame[name], 7, labels=False).astype(str)
space = EmbeddingSpace(frame, n_epochs=1)
plan = plan_space(space._sides.n_train, epochs=1)
said = SpaceCost(space.model, space._rows, space._sides, plan).estimate(plan, rows).memory_bytes
space.train()
print(json.dumps({"said": said, "peak": held_bytes()}))
"""


@pytest.fixture(scope="module")
def rows(german_credit: Path) -> pd.DataFrame:
    return pd.read_csv(german_credit, keep_default_na=False).drop(columns="class").iloc[:160, :8]


class Line:
    """One number that is learned; validation losses fall, so that every epoch is the best so far."""

    def __init__(self) -> None:
        with deterministic(0):
            self.module = nn.Linear(1, 1)
        self.n_rows, self.left = 40, 100.0

    def start_epoch(self, epoch: int, progress: float) -> None:
        """Nothing changes by epochs."""

    def loss(self, rows: Tensor) -> tuple[Tensor, dict[str, float | Tensor]]:
        x = rows.float().unsqueeze(1) / 40
        return ((self.module(x) - 2 * x) ** 2).mean(), {}

    def validate(self) -> tuple[float, dict[str, float]]:
        self.left -= 1.0
        return self.left, {}


@given(
    st.integers(1, 400), st.integers(1, 50), st.floats(0.5, 1e5), st.floats(0, 50), st.floats(0, 5)
)
def test_a_fitted_plan_fits_or_is_one_epoch_and_is_never_longer(
    epochs: int, steps: int, limit: float, finish: float, validation: float
) -> None:
    plan = plan_space(1000, epochs=epochs).model_copy(update={"steps_per_epoch": steps})
    cost = COST.model_copy(update={"validation_seconds": validation})
    fitted = fit_to_budget(plan, cost, limit, finish)
    assert 1 <= fitted.epochs <= epochs
    assert fitted == plan.model_copy(update={"epochs": fitted.epochs})
    seconds = estimate(fitted, cost, finish_seconds=finish).seconds
    assert fitted.epochs == 1 or seconds <= limit
    if fitted.epochs < epochs:
        longer = fitted.model_copy(update={"epochs": fitted.epochs + 1})
        assert estimate(longer, cost, finish_seconds=finish).seconds > 0.89 * limit


def test_the_schedule_is_compressed_not_cut_off() -> None:
    plan = TrainingPlan(
        epochs=50, batch_size=4, steps_per_epoch=10, learning_rate=0.1, weight_decay=0.0
    )
    fitted = fit_to_budget(plan, COST, max_seconds=10.0)
    assert 5 <= fitted.epochs < 10
    timeline = Timeline(fitted)
    result = run_loop(Line(), fitted, timeline)
    rates = [entry["learning_rate"] for entry in timeline.entries]
    assert result.epochs == len(rates) == fitted.epochs
    assert max(rates) > 0.09
    assert rates[-1] < 0.001


def test_after_the_deadline_the_present_epoch_ends_and_the_best_weights_stay() -> None:
    plan = TrainingPlan(
        epochs=8, batch_size=4, steps_per_epoch=10, learning_rate=0.1, weight_decay=0.0
    )
    ticks = iter(range(100))
    deadline = Deadline(3.0, clock=lambda: float(next(ticks)))
    timeline, line = Timeline(plan), Line()
    result = run_loop(line, plan, timeline, deadline=deadline)
    assert result.epochs == len(timeline.entries) == 3
    assert result.updates == 30
    assert result.best_epoch == 3
    (note,) = [a for a in timeline.corrective_actions if a["action_type"] == "TIME_LIMIT"]
    assert note["epoch"] == 3
    assert note["details"] == {"max_seconds": 3.0, "planned_epochs": 8}
    # The same epochs of a run without a limit: nothing else has changed.
    free = Line()
    other = Timeline(plan)
    run_loop(free, plan, other)
    assert [e["train_loss"] for e in other.entries[:3]] == [
        e["train_loss"] for e in timeline.entries
    ]


def test_a_training_that_ends_in_time_has_no_note() -> None:
    plan = TrainingPlan(
        epochs=3, batch_size=4, steps_per_epoch=10, learning_rate=0.1, weight_decay=0.0
    )
    ticks = iter(range(100))
    timeline = Timeline(plan)
    run_loop(Line(), plan, timeline, deadline=Deadline(3.0, clock=lambda: float(next(ticks))))
    assert len(timeline.entries) == 3
    assert all(a["action_type"] != "TIME_LIMIT" for a in timeline.corrective_actions)


def test_a_dry_run_leaves_no_trace_and_tells_seconds(rows: pd.DataFrame) -> None:
    torch.set_num_threads(1)
    space = EmbeddingSpace(rows, n_epochs=4)
    before = {name: value.clone() for name, value in space.model.state_dict().items()}
    random = torch.get_rng_state()
    plan = plan_space(space._sides.n_train, epochs=4)
    assert space._rows is not None
    cost = SpaceCost(space.model, space._rows, space._sides, plan, clock=time.process_time)
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(before[n], v) for n, v in space.model.state_dict().items())
    said = cost.estimate(plan, len(rows))
    assert cost.step.weight_bytes == sum(t.nbytes for t in space.model.state_dict().values())
    # Two views of a batch and all their tokens are held at least once.
    tokens = 2 * plan.batch_size * cost.columns * space.model.config.width * 4
    assert tokens < cost.step.saved_bytes < 200 * tokens
    started = time.process_time()
    space.train()
    assert 0.5 < said.seconds / (time.process_time() - started) < 2.0


def test_memory_is_foretold_within_a_factor_of_two() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=300, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert 0.5 < found["said"] / found["peak"] < 2.0


def test_a_limit_is_kept_with_the_space_and_its_epochs_give_the_same_weights(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    small = rows.iloc[:100, :4]
    space = EmbeddingSpace(small, output_dir=tmp_path).train(max_seconds=1.0)
    kept = space.training_info["plan"]
    full = plan_space(space._sides.n_train).epochs
    assert kept["limit"] == {"max_seconds": 1.0, "planned_epochs": full}
    assert kept["training"]["epochs"] == space.training_info["epochs"] < full
    assert json.loads((tmp_path / PLAN).read_text())["epochs"] == space.training_info["epochs"]
    assert space.timeline is not None
    cut = [a for a in space.timeline["corrective_actions"] if a["action_type"] == "TIME_LIMIT"]
    if not cut:  # the machine was as fast as in the dry run
        again = EmbeddingSpace(small).train(n_epochs=space.training_info["epochs"])
        assert again.training_info["plan"]["limit"] is None
        found = again.model.state_dict()
        assert all(torch.equal(found[n], v) for n, v in space.model.state_dict().items())


def test_a_resumed_training_keeps_the_epochs_that_it_began_with(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    small = rows.iloc[:100, :4]
    limit = {"max_seconds": 500.0, "planned_epochs": 75}
    (tmp_path / PLAN).write_text(json.dumps({"epochs": 3, "limit": limit}))
    space = EmbeddingSpace(small, output_dir=tmp_path).train(max_seconds=500.0, resume=True)
    assert space.training_info["epochs"] == 3
    assert space.training_info["plan"]["limit"] == limit


def test_a_new_limit_holds_for_a_resumed_training(rows: pd.DataFrame, tmp_path: Path) -> None:
    """More time: more epochs. Hardly any: it ends after the next epoch. None at all: the whole schedule."""
    torch.set_num_threads(1)
    small = rows.iloc[:100, :4]
    limit = {"max_seconds": 500.0, "planned_epochs": 5}
    (tmp_path / PLAN).write_text(json.dumps({"epochs": 3, "limit": limit}))

    def resumed(max_seconds: float | None, epochs: int) -> tuple[EmbeddingSpace, list[str]]:
        said: list[str] = []
        space = EmbeddingSpace(small, n_epochs=epochs, output_dir=tmp_path)
        space.train(
            max_seconds=max_seconds, resume=True, checkpoint_seconds=0.0, on_notice=said.append
        )
        assert tuple(said) == space.training_notices
        return space, said

    assert resumed(500.0, 5)[0].training_info["epochs"] == 3
    more, said = resumed(400.0, 5)
    assert said == ["The training goes on after epoch 3"]
    assert more.training_info["epochs"] == 5
    assert more.training_info["plan"]["limit"]["max_seconds"] == 400.0
    assert json.loads((tmp_path / PLAN).read_text())["limit"]["max_seconds"] == 400.0
    short, said = resumed(0.001, 8)
    assert said[0] == "The training goes on after epoch 5"
    assert short.training_info["epochs"] == 5, "what is trained already is not undone"
    whole, said = resumed(None, 8)
    assert said == ["The training goes on after epoch 5"]
    assert whole.training_info["epochs"] == 8
    assert not (tmp_path / PLAN).exists()
