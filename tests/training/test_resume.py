"""A training that is broken off and resumed ends with the same bytes as one that is not (TRAIN-6)."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from featrix_core.errors import FeatrixUserError
from featrix_core.training.checkpoint import Checkpoints
from featrix_core.training.estimate import Deadline
from featrix_core.training.loop import EpochDone, LoopResult, run_loop
from featrix_core.training.phases import run_phases
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.timeline import Timeline
from featrix_core.training.watch import Watch
from tests.training.objectives import PLAN, Noisy

AVERAGED = PLAN.model_copy(update={"ema_decay": 0.9, "dropout": 0.3, "clip_ratio": 2.0})


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


class Diary:
    """Looks on and remembers."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at = kill_at
        self.losses: list[float] = []

    def __call__(self, done: EpochDone) -> None:
        torch.rand(3)
        assert not done.module.training
        self.losses.append(done.entry["validation_loss"])
        if done.epoch == self.kill_at:
            raise Killed

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {"losses": torch.tensor(self.losses, dtype=torch.float64)}, {"n": len(self.losses)}

    def restore(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
        self.losses = tensors["losses"].tolist()
        assert len(self.losses) == record["n"]


def _train(
    folder: Path | None,
    plan: TrainingPlan,
    make: Callable[[], Noisy],
    *,
    kill_at: int = -1,
    resume: bool = False,
) -> tuple[LoopResult, Noisy, Timeline, Diary]:
    objective, timeline, diary = make(), Timeline(plan), Diary(kill_at)
    values = plan.model_dump(exclude={"epochs"})
    checkpoints = Checkpoints(folder, values, resume=resume, every=0.0) if folder else None
    result = run_loop(
        objective, plan, timeline, watch=Watch(plan), checkpoints=checkpoints, on_epoch=diary
    )
    return result, objective, timeline, diary


def _same(one: Noisy, other: Noisy) -> bool:
    states = (one.module.state_dict(), other.module.state_dict())
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize(
    "plan, make",
    [
        (PLAN, Noisy),
        (AVERAGED, Noisy),
        (PLAN, lambda: Noisy(largest=40)),
        (PLAN, lambda: Noisy(broken_at=2, times=1)),
        (PLAN.model_copy(update={"patience": 2, "learning_rate": 0.05}), Noisy),
    ],
    ids=["plain", "averaged", "half batches", "lost number", "early stop"],
)
def test_killed_and_resumed(tmp_path: Path, plan: TrainingPlan, make: Callable[[], Noisy]) -> None:
    whole, expected, timeline, diary = _train(None, plan, make)
    for epoch in (1, 3, whole.epochs - 1):
        folder = tmp_path / str(epoch)
        with pytest.raises(Killed):
            _train(folder, plan, make, kill_at=epoch)
        result, found, resumed, seen = _train(folder, plan, make, resume=True)
        assert result == whole
        assert _same(found, expected)
        assert resumed.document() == timeline.document()
        assert seen.losses == diary.losses


def test_killed_several_times(tmp_path: Path) -> None:
    whole, expected, _, _ = _train(None, AVERAGED, Noisy)
    for number, epoch in enumerate((2, 2, 5, 8)):
        with pytest.raises(Killed):
            _train(tmp_path, AVERAGED, Noisy, kill_at=epoch, resume=number > 0)
    result, found, _, _ = _train(tmp_path, AVERAGED, Noisy, resume=True)
    assert result == whole and _same(found, expected)


def test_a_finished_training_is_not_trained_again(tmp_path: Path) -> None:
    plan = PLAN.model_copy(update={"patience": 2, "learning_rate": 0.05})
    for one in (PLAN, plan):
        folder = tmp_path / str(one.patience)
        whole, expected, _, _ = _train(folder, one, Noisy)
        result, found, timeline, seen = _train(folder, one, Noisy, resume=True)
        assert result == whole and _same(found, expected)
        assert found.sizes == []
        assert len(timeline.entries) == whole.epochs == len(seen.losses)
    assert whole.epochs < 8, "the second one had stopped early"


def test_more_epochs_go_on_under_the_longer_schedule(tmp_path: Path) -> None:
    _train(tmp_path, PLAN, Noisy)
    longer = PLAN.model_copy(update={"epochs": 12})
    result, found, timeline, _ = _train(tmp_path, longer, Noisy, resume=True)
    assert (result.epochs, result.updates, len(found.sizes)) == (12, 72, 24)
    rates = [entry["learning_rate"] for entry in timeline.entries]
    unbroken = [e["learning_rate"] for e in _train(None, longer, Noisy)[2].entries]
    assert rates[:8] == [e["learning_rate"] for e in _train(None, PLAN, Noisy)[2].entries]
    assert rates[8:] == unbroken[8:]
    with pytest.raises(FeatrixUserError, match="trained 12 epochs, more than are asked for"):
        _train(tmp_path, PLAN, Noisy, resume=True)


def test_looking_on_changes_nothing() -> None:
    """The diary draws random numbers after every epoch."""
    objective = Noisy()
    run_loop(objective, PLAN, Timeline(PLAN))
    assert _same(objective, _train(None, PLAN, Noisy)[1])


@contextlib.contextmanager
def _first_layer_alone(objective: Noisy) -> Iterator[None]:
    for part in objective.module[1:]:
        part.requires_grad_(False)
    try:
        yield
    finally:
        objective.module.requires_grad_(True)


def _phases(
    folder: Path | None, *, kill_at: int = -1, resume: bool = False
) -> tuple[LoopResult, Noisy, Timeline]:
    objective, timeline = Noisy(), Timeline(PLAN)
    checkpoints = Checkpoints(folder, {}, resume=resume, every=0.0) if folder else None
    result = run_phases(
        objective,
        PLAN,
        timeline,
        lambda: _first_layer_alone(objective),
        watch=lambda part: Watch(part, warm=True),
        checkpoints=checkpoints,
        on_epoch=Diary(kill_at),
    )
    return result, objective, timeline


def test_both_phases_of_an_extension_are_resumed(tmp_path: Path) -> None:
    whole, expected, timeline = _phases(None)
    assert timeline.metadata["phase_1_epochs"] == 4
    for epoch in (2, 4, 5, 8):
        with pytest.raises(Killed):
            _phases(tmp_path / str(epoch), kill_at=epoch)
        result, found, resumed = _phases(tmp_path / str(epoch), resume=True)
        assert result == whole and _same(found, expected)
        assert resumed.document() == timeline.document()


def test_a_space_killed_at_random_moments(tmp_path: Path, repository: Path) -> None:
    """A real process on a cut of German credit, SIGKILLed three times; the bundles are compared byte by byte."""
    out = tmp_path / "kills.json"
    arguments = ["--rows", "80", "--columns", "3", "--epochs", "16", "--kills", "3", "--runs", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.space_kills", *arguments, "--out", str(out)],
        cwd=repository,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(out.read_text(encoding="utf-8"))
    (run,) = document["runs"]
    assert run["identical"] and len(run["kills"]) == 3
    assert any(kill["checkpoint"] > 0 for kill in run["kills"])


def test_a_training_that_ran_out_of_time_goes_on(tmp_path: Path) -> None:
    """The end of the time is not a state of the training: it ends as one that had enough."""
    _, expected, whole, _ = _train(None, PLAN, Noisy)
    ticks = itertools.count()
    deadline = Deadline(2.0, clock=lambda: float(next(ticks)))
    timeline, values = Timeline(PLAN), PLAN.model_dump(exclude={"epochs"})
    short = run_loop(
        Noisy(),
        PLAN,
        timeline,
        watch=Watch(PLAN),
        checkpoints=Checkpoints(tmp_path, values, resume=False, every=0.0),
        deadline=deadline,
    )
    assert short.epochs < PLAN.epochs
    assert timeline.corrective_actions[-1]["action_type"] == "TIME_LIMIT"
    result, found, resumed, _ = _train(tmp_path, PLAN, Noisy, resume=True)
    assert result.epochs == PLAN.epochs
    assert _same(found, expected)
    assert resumed.entries == whole.entries
