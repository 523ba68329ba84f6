"""One-cycle rate, dropout schedule, clipping and averaging do what section D10 says (TRAIN-3)."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from featrix_core.training.loop import run_loop
from featrix_core.training.optimisation import (
    FIRST,
    LAST,
    clip_threshold,
    dropout_factor,
    one_cycle,
    set_dropout,
)
from featrix_core.training.timeline import Timeline
from tests.training.objectives import PLAN, Noisy


def test_rate_rises_stays_and_falls() -> None:
    shares = [one_cycle(k / 1000) for k in range(1001)]
    assert shares[0] == pytest.approx(FIRST) == pytest.approx(0.04)
    assert shares[75] == pytest.approx((FIRST + 1.0) / 2)
    assert shares[:151] == sorted(shares[:151])
    assert shares[150:201] == [1.0] * 51
    assert shares[200:] == sorted(shares[200:], reverse=True)
    assert shares[600] == pytest.approx((1.0 + LAST) / 2)
    assert shares[1000] == pytest.approx(LAST) == pytest.approx(1e-4)
    assert one_cycle(1.5) == pytest.approx(LAST)
    jumps = [abs(a - b) for a, b in itertools.pairwise(shares)]
    assert max(jumps) < 0.01


def test_dropout_falls_to_a_half() -> None:
    assert [dropout_factor(p) for p in (0.0, 0.33, 0.5, 0.7, 1.0)] == pytest.approx(
        [1.0, 1.0, 0.75, 0.5, 0.5]
    )
    module = nn.Sequential(nn.Dropout(0.9), nn.Sequential(nn.Dropout(0.1)))
    set_dropout(module, 0.25)
    assert [m.p for m in module.modules() if isinstance(m, nn.Dropout)] == [0.25, 0.25]


def test_clipping_follows_the_loss_or_does_not() -> None:
    loss = torch.tensor(3.0, requires_grad=True)
    assert clip_threshold(PLAN, loss) == PLAN.clip_norm
    adaptive = PLAN.model_copy(update={"clip_ratio": 2.0})
    assert clip_threshold(adaptive, loss) == 6.0
    assert clip_threshold(adaptive, -loss) == 6.0


def test_a_run_follows_its_schedules() -> None:
    plan = PLAN.model_copy(update={"dropout": 0.4, "clip_ratio": 0.5, "epochs": 12})
    objective, timeline = Noisy(), Timeline(PLAN)
    run_loop(objective, plan, timeline)
    rates = [entry["learning_rate"] for entry in timeline.entries]
    expected = [plan.learning_rate * one_cycle((6 * k + 5) / 72) for k in range(12)]
    assert rates == pytest.approx(expected)
    dropouts = [entry["dropout_rate"] for entry in timeline.entries]
    assert dropouts == pytest.approx([0.4 * dropout_factor(k / 12) for k in range(12)])
    assert dropouts[0] == 0.4 and dropouts[-1] == pytest.approx(0.2)
    assert objective.module[3].p == dropouts[-1]
    for entry in timeline.entries:
        assert entry["gradients"]["clipped_norm"] <= 0.5 * 4 * entry["train_loss"]


def test_without_a_dropout_the_modules_own_stays() -> None:
    objective, timeline = Noisy(), Timeline(PLAN)
    run_loop(objective, PLAN, timeline)
    assert objective.module[3].p == 0.2
    assert "dropout_rate" not in timeline.entries[0]


def test_gradients_ten_times_the_loss_are_noted_once() -> None:
    class Steep(Noisy):
        def loss(self, rows):  # type: ignore[no-untyped-def]
            loss, figures = super().loss(rows)
            if self.epoch in (3, 4, 6):  # a gradient that the loss's size does not explain
                loss = loss + 100.0 * (loss - loss.detach())
            return loss, figures

    objective, timeline = Steep(), Timeline(PLAN)
    run_loop(objective, PLAN, timeline)
    steep = [entry["gradients"]["steep_steps"] for entry in timeline.entries]
    assert [count > 0 for count in steep] == [False, False, True, True, False, True, False, False]
    noted = [a for a in timeline.corrective_actions if a["trigger"] == "STEEP_GRADIENT"]
    assert [(a["epoch"], a["action_type"]) for a in noted] == [(3, "WARNING"), (6, "WARNING")]
    assert noted[0]["details"]["steep_steps"] == steep[2]
    assert math.isfinite(timeline.entries[-1]["validation_loss"])
