"""Rows change sides gradually while a space is trained, and never while a predictor is (DATA-8)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from featrix_core import EmbeddingSpace, FeatrixInputDataSet
from featrix_core.predictor.fitting import fit_members
from featrix_core.predictor.labelled import LabelledRows
from featrix_core.predictor.objective import PredictorObjective
from featrix_core.predictor.plan import plan_predictor
from featrix_core.space.objective import SpaceObjective
from featrix_core.training.loop import run_loop
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.rotation import EVERY, Sides
from featrix_core.training.timeline import Timeline


def test_the_first_sides() -> None:
    sides = Sides.split(1000, 1)
    assert (sides.n_train, len(sides.validation_V)) == (900, 100)
    large = Sides.split(50_000, 1)
    assert len(large.validation_V) == 1024


def test_a_tenth_of_the_validation_rows_changes_sides() -> None:
    sides = Sides.split(1000, 1)
    before = set(sides.validation_V.tolist())
    assert [sides.rotate(epoch) for epoch in range(1, EVERY + 1)] == [None] * EVERY
    done = sides.rotate(EVERY + 1)
    assert done == {"rows_swapped": 10, "validation_rows": 100, "seed": [1, 26]}
    after = set(sides.validation_V.tolist())
    assert len(after - before) == len(before - after) == 10
    both = torch.cat([sides.train_T, sides.validation_V])
    assert sorted(both.tolist()) == list(range(1000))
    assert sides.rotate(EVERY + 2) is None
    assert sides.rotate(2 * EVERY + 1) is not None


def test_every_row_changes_sides_in_the_end() -> None:
    sides = Sides.split(300, 7)
    trained, validated = set(sides.train_T.tolist()), set(sides.validation_V.tolist())
    needed = int(np.ceil(270 / 3))
    for number in range(1, needed + 1):
        assert sides.rotate(EVERY * number + 1) is not None
        trained |= set(sides.train_T.tolist())
        validated |= set(sides.validation_V.tolist())
    assert trained == validated == set(range(300))


def test_the_same_seed_rotates_the_same_way() -> None:
    one, same, other = Sides.split(500, 3), Sides.split(500, 3), Sides.split(500, 3)
    for sides, epoch in ((one, 26), (same, 26), (other, 27)):
        sides.rotate(epoch)
    assert torch.equal(one.validation_V, same.validation_V)
    assert not torch.equal(one.validation_V, other.validation_V)


def test_given_validation_rows_stay() -> None:
    sides = Sides.given(80, 20)
    assert all(sides.rotate(epoch) is None for epoch in range(1, 200))
    assert sides.validation_V.tolist() == list(range(80, 100))
    assert Sides.split(1, 0).rotate(26) is None


class Constant(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.zeros(()))


class Mean:
    """Learns the mean of rows that are their own numbers; validation rows change before epoch 4."""

    def __init__(self) -> None:
        self.module = Constant()
        self.values = torch.tensor([1.0, 1.0, 1.0, 5.0])
        self.held = 5.0

    @property
    def n_rows(self) -> int:
        return len(self.values)

    def rotate(self, epoch: int) -> dict[str, Any] | None:
        if epoch != 4:
            return None
        self.held = -1.0
        return {"rows_swapped": 1}

    def start_epoch(self, epoch: int, progress: float) -> None:
        pass

    def loss(self, rows: Tensor) -> tuple[Tensor, dict[str, float | Tensor]]:
        return (self.module.level - self.values[rows]).square().mean(), {}

    def validate(self) -> tuple[float, dict[str, float]]:
        return float((self.module.level.detach() - self.held) ** 2), {}


def test_the_best_state_is_measured_again_on_new_rows() -> None:
    """Before the exchange later epochs are better, after it earlier ones; epoch 3 stays the best."""
    objective = Mean()
    plan = TrainingPlan(
        epochs=6, batch_size=4, steps_per_epoch=1, learning_rate=0.1, weight_decay=0.0, seed=0
    )
    timeline = Timeline(plan)
    result = run_loop(objective, plan, timeline)
    assert [e["val_set_resampled"] for e in timeline.entries] == [False] * 3 + [True] + [False] * 2
    losses = [e["validation_loss"] for e in timeline.entries]
    assert losses[0] > losses[1] > losses[2]
    assert losses[3] < losses[4] < losses[5]
    # Compared across the exchange, epoch 4 (its loss is far lower) would have been taken for the best.
    assert losses[3] < losses[2]
    assert result.best_epoch == 3
    (action,) = timeline.document()["corrective_actions"]
    assert (action["epoch"], action["action_type"]) == (4, "VAL_ROTATION")
    level = float(objective.module.level.detach())
    assert action["details"]["best_loss_before"] == pytest.approx((level - 5.0) ** 2, rel=1e-6)
    assert action["details"]["best_loss_after"] == pytest.approx((level + 1.0) ** 2, rel=1e-6)
    assert result.best_loss == action["details"]["best_loss_after"] < losses[3]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, set[int], set[int]]]]:
    """Rows that a space's batches asked for, per epoch, beside the validation rows of that epoch."""
    seen: list[tuple[int, set[int], set[int]]] = []
    start, loss = SpaceObjective.start_epoch, SpaceObjective.loss

    def start_epoch(self: SpaceObjective, epoch: int, progress: float) -> None:
        seen.append((epoch, set(), set(self.sides.validation_V.tolist())))
        start(self, epoch, progress)

    def spied(self: SpaceObjective, rows: Tensor) -> Any:
        seen[-1][1].update(self.sides.train_T[rows].tolist())
        return loss(self, rows)

    monkeypatch.setattr(SpaceObjective, "start_epoch", start_epoch)
    monkeypatch.setattr(SpaceObjective, "loss", spied)
    yield seen


def test_a_space_rotates_and_says_so(
    asked: list[tuple[int, set[int], set[int]]], credit: pd.DataFrame, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    frame = credit[["checking_status", "duration", "credit_amount"]].iloc[:120]
    space = EmbeddingSpace(FeatrixInputDataSet(frame), n_epochs=53, output_dir=tmp_path).train()
    assert space.timeline is not None
    entries = space.timeline["timeline"]
    assert [e["epoch"] for e in entries if e["val_set_resampled"]] == [26, 51]
    actions = [
        a for a in space.timeline["corrective_actions"] if a["action_type"] == "VAL_ROTATION"
    ]
    assert [(a["epoch"], a["details"]["rows_swapped"]) for a in actions] == [(26, 1), (51, 1)]
    assert all(not trained & held for _, trained, held in asked)
    assert asked[0][2] != asked[30][2] != asked[52][2]
    assert space.training_info["training_rows"] == 108


def test_validation_rows_of_the_user_never_train(
    asked: list[tuple[int, set[int], set[int]]], credit: pd.DataFrame
) -> None:
    torch.set_num_threads(1)
    frame = credit[["checking_status", "duration"]]
    space = EmbeddingSpace(frame.iloc[:90], frame.iloc[90:110], n_epochs=28).train()
    assert space.timeline is not None
    kinds = {action["action_type"] for action in space.timeline["corrective_actions"]}
    assert "VAL_ROTATION" not in kinds
    assert len(asked) == 28
    assert set().union(*(trained for _, trained, _ in asked)) <= set(range(90))
    assert all(held == set(range(90, 110)) for _, _, held in asked)


@pytest.mark.parametrize("fine_tune", [False, True])
def test_validation_rows_of_a_predictor_never_train(
    fine_tune: bool,
    credit_space: EmbeddingSpace,
    credit: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Thirty epochs, past the epoch of a rotation; rows are followed by what the objective reads."""
    torch.set_num_threads(1)
    batch = credit_space._tokens(FeatrixInputDataSet(credit).table)
    # Every label its own number: the labels that a batch reads tell which rows it holds.
    numbers = torch.arange(batch.n_rows, dtype=torch.float32)
    trained: dict[int, set[int]] = {}
    validated: dict[int, set[int]] = {}
    loss, validate = PredictorObjective.loss, PredictorObjective.validate

    def spied_loss(self: PredictorObjective, rows: Tensor) -> Any:
        found = trained.setdefault(id(self.net), set())
        found.update(self.train_target[rows].long().tolist())
        return loss(self, rows)

    def spied_validate(self: PredictorObjective) -> Any:
        found = validated.setdefault(id(self.net), set())
        found.update(self.validation_target.long().tolist())
        return validate(self)

    monkeypatch.setattr(PredictorObjective, "loss", spied_loss)
    monkeypatch.setattr(PredictorObjective, "validate", spied_validate)
    changes = {"folds": 3, "width": 16, "members": 2}
    plan = plan_predictor(200, fine_tune).model_copy(update=changes)
    fitted = fit_members(
        credit_space.model,
        credit_space.tokenizer,
        LabelledRows(batch, numbers, numbers.numpy().astype(np.float64)),
        1,
        2,
        plan,
        5,
        30,
    )
    assert max(len(document["timeline"]) for document in fitted.timelines) > EVERY  # type: ignore[arg-type]
    nets = [id(net) for net in fitted.members]
    assert set(trained) == set(validated) == set(nets)
    for net in nets:
        assert not trained[net] & validated[net]
        assert trained[net] | validated[net] == set(range(200))
    assert set().union(*validated.values()) == set(range(200))
    assert not hasattr(PredictorObjective, "rotate")
