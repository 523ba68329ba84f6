"""Every failure mode is provoked in a real training, and the intervention is seen to act (TRAIN-4)."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from featrix_core import EmbeddingSpace
from featrix_core.errors import TrainingError
from featrix_core.space.objective import SpaceObjective
from featrix_core.space.relationships import PairSampler
from featrix_core.space_training import RestartableObjective
from featrix_core.training.device import deterministic
from featrix_core.training.loop import run_loop
from featrix_core.training.optimisation import one_cycle
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.rotation import Sides
from featrix_core.training.timeline import Timeline, summarise
from featrix_core.training.watch import Watch

torch.set_num_threads(1)


def table(rows: int = 60) -> pd.DataFrame:
    """Two numbers that hang together and a category that follows from one of them."""
    generator = np.random.default_rng(0)
    one = generator.normal(size=rows)
    other = one + 0.1 * generator.normal(size=rows)
    return pd.DataFrame({"one": one, "other": other, "sign": np.where(one > 0, "plus", "minus")})


def objective(frame: pd.DataFrame, seed: int = 1) -> RestartableObjective:
    """A fresh space's objective; the last quarter of the rows validates."""
    space = EmbeddingSpace(frame, seed=seed)
    assert space._rows is not None
    held = max(2, len(frame) // 4)
    sides = Sides.given(len(frame) - held, held)
    sampler = PairSampler(len(space.column_names), 3, seed)
    found = RestartableObjective(space.model, space._rows, sides, sampler)
    found.space = space
    return found


def plan_of(found: SpaceObjective, rate: float, epochs: int) -> TrainingPlan:
    """One batch per epoch."""
    rows = found.n_rows
    return TrainingPlan(
        epochs=epochs, batch_size=rows, steps_per_epoch=1, learning_rate=rate, weight_decay=0.0
    )


@cache
def stuck() -> tuple[Timeline, TrainingPlan, TrainingError]:
    """A space whose rate is far too low to learn anything.

    Categories alone: numbers' encoders drop strategies in time, which moves the loss by a per cent or two
    although no weight has learned.
    """
    found = objective(pd.DataFrame({"kind": list("abcd") * 10, "other": list("xyzzy") * 8}))
    plan = plan_of(found, 1e-9, 100).model_copy(update={"patience": 20})
    timeline = Timeline(plan)
    with pytest.raises(TrainingError) as raised:
        run_loop(found, plan, timeline, watch=Watch(plan))
    return timeline, plan, raised.value


def test_no_learning_climbs_the_ladder() -> None:
    """The rate of the timeline is three times the schedule's, then six; the temperature twice, then four times."""
    timeline, plan, _ = stuck()
    entries = timeline.entries
    assert len(entries) == 57
    # The rate no longer rises from epoch 17 on. A learning rate is noted as it was at the epoch's only step.
    factors = [e["learning_rate"] / plan.learning_rate for e in entries]
    schedule = [one_cycle(k / plan.updates) for k in range(57)]
    expected = np.repeat([1.0, 3.0, 6.0], [17, 20, 20])
    assert np.array(factors) / schedule == pytest.approx(expected)
    warmth = np.array([e["spread_temperature"] for e in entries])
    assert warmth / warmth[0] == pytest.approx(np.repeat([1.0, 2.0, 4.0], [27, 20, 10]))
    # Small tables stand at the clamp of 0.2: the boost goes past it.
    assert warmth[0] == pytest.approx(0.2)
    assert [e["epoch"] for e in entries if e["early_stop_blocked"]] == list(range(16, 57))
    boosts = [
        (a["epoch"], a["action_type"], a["details"]["stage"])
        for a in timeline.corrective_actions
        if "BOOST" in a["action_type"] and a["action_type"] != "BOOST_END"
    ]
    assert boosts == [
        (17, "LR_BOOST", 1),
        (27, "TEMP_BOOST", 2),
        (37, "LR_BOOST", 3),
        (47, "TEMP_BOOST", 4),
    ]


def test_a_terminal_failure_says_what_to_change() -> None:
    timeline, plan, error = stuck()
    assert "NO_LEARNING" in str(error)
    assert error.suggestions["learning_rate"] == pytest.approx(10 * plan.learning_rate)
    assert timeline.corrective_actions[-1]["action_type"] == "RAISE"
    told = summarise(timeline.document())
    assert "NO_LEARNING: 42 epochs (16–57)" in told
    assert "epoch 17: LR_BOOST on NO_LEARNING" in told


def test_an_unstable_run_is_slowed_down() -> None:
    """A rate five hundred times too high: it is halved again and again, and the timeline's rate follows."""
    found = objective(table(30))
    plan = plan_of(found, 1.0, 40)
    timeline = Timeline(plan)
    with pytest.raises(TrainingError, match="UNSTABLE_TRAINING") as raised:
        run_loop(found, plan, timeline, watch=Watch(plan))
    assert raised.value.suggestions["learning_rate"] == pytest.approx(1.0 / 320)
    cuts = [a for a in timeline.corrective_actions if a["action_type"] == "LR_CUT"]
    assert len(cuts) == 5
    assert {a["trigger"] for a in cuts} == {"UNSTABLE_TRAINING"}
    factor, own = 1.0, plan.learning_rate
    at = {a["epoch"]: a["details"]["lr_factor"] for a in cuts}
    for k, entry in enumerate(timeline.entries):
        assert entry["learning_rate"] == pytest.approx(own * factor * one_cycle(k / plan.updates))
        factor = at.get(entry["epoch"], factor)


def test_a_cut_lets_an_unstable_run_learn() -> None:
    """Without the cuts the same run ends far worse."""
    plan = LINE.model_copy(update={"learning_rate": 3.0, "epochs": 60})
    alone, timeline = Timeline(plan), Timeline(plan)
    run_loop(Line(dead=0), plan, alone)
    run_loop(Line(dead=0), plan, timeline, watch=Watch(plan))
    cuts = [a["epoch"] for a in timeline.corrective_actions if a["action_type"] == "LR_CUT"]
    assert cuts[:2] == [6, 11]
    assert timeline.entries[-1]["validation_loss"] < 0.1 * timeline.entries[0]["validation_loss"]
    assert timeline.entries[-1]["validation_loss"] < 0.5 * alone.entries[-1]["validation_loss"]


def test_many_parameters_on_few_rows_overfit() -> None:
    """Columns that have nothing to do with one another: what is learned of 24 rows helps no other row."""
    noise = np.random.default_rng(3)
    frame = pd.DataFrame({f"n{k}": noise.normal(size=32) for k in range(6)})
    found = objective(frame)
    plan = plan_of(found, 5e-3, 70)
    timeline = Timeline(plan)
    result = run_loop(found, plan, timeline, watch=Watch(plan))
    failures = {f for e in timeline.entries for f in e["failures_detected"]}
    assert failures & {"SEVERE_OVERFITTING", "MODERATE_OVERFITTING"}
    kept = [a for a in timeline.corrective_actions if a["action_type"] == "KEEP_BEST"]
    assert kept and kept[0]["details"]["validation_loss"] > kept[0]["details"]["training_loss"]
    # The weights that were kept are those of the best epoch, not the last.
    assert result.best_epoch < len(timeline.entries)
    assert found.validate()[0] == pytest.approx(result.best_loss, rel=1e-5)
    assert result.best_loss < timeline.entries[-1]["validation_loss"]


class Line:
    """Least squares through a net that can be born dead: its hidden units answer to nothing."""

    def __init__(self, dead: int, scale: float = 1.0) -> None:
        self.dead, self.scale = dead, scale
        generator = torch.Generator().manual_seed(0)
        self.x_NF = torch.randn(64, 4, generator=generator)
        self.y_N = self.x_NF.sum(dim=1)
        self.module = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1, bias=False))
        self.reset(0)

    n_rows = 48

    def reset(self, seed: int) -> None:
        """Other weights; dead ones as often as was asked for."""
        with deterministic(seed):
            for part in self.module:
                if isinstance(part, nn.Linear):
                    part.reset_parameters()
        if self.dead:
            self.dead -= 1
            with torch.no_grad():
                self.module[0].bias.fill_(-100.0)

    def start_epoch(self, epoch: int, progress: float) -> None:
        """Nothing to do."""

    def _loss(self, rows: Tensor | slice) -> Tensor:
        error_N = self.module(self.x_NF[rows])[:, 0] - self.y_N[rows]
        return self.scale * (error_N**2).mean()

    def loss(self, rows: Tensor) -> tuple[Tensor, dict[str, float | Tensor]]:
        """Squared error of a batch."""
        return self._loss(rows), {}

    def validate(self) -> tuple[float, dict[str, float]]:
        """Squared error of the other rows."""
        with torch.no_grad():
            return float(self._loss(slice(48, 64))), {}


LINE = TrainingPlan(
    epochs=30, batch_size=48, steps_per_epoch=1, learning_rate=0.02, weight_decay=0.0
)


def test_a_dead_network_is_born_again() -> None:
    timeline = Timeline(LINE)
    result = run_loop(Line(dead=1), LINE, timeline, watch=Watch(LINE))
    assert "DEAD_NETWORK" in timeline.entries[1]["failures_detected"]
    assert [(a["epoch"], a["action_type"]) for a in timeline.corrective_actions] == [(2, "RESTART")]
    # All planned epochs are trained from the new weights, and these learn.
    assert len(timeline.entries) == 2 + LINE.epochs
    assert result.best_loss < 0.5 * timeline.entries[0]["validation_loss"]


def test_a_network_that_stays_dead_is_given_up() -> None:
    timeline = Timeline(LINE)
    with pytest.raises(TrainingError, match="DEAD_NETWORK") as raised:
        run_loop(Line(dead=2), LINE, timeline, watch=Watch(LINE))
    assert [a["action_type"] for a in timeline.corrective_actions] == ["RESTART", "RAISE"]
    assert "learning_rate" in raised.value.suggestions


def test_a_boost_gets_a_slow_run_going() -> None:
    """Three times the rate, about three times the gain; then the schedule goes on where it would have been."""
    plan = LINE.model_copy(update={"learning_rate": 2e-4, "epochs": 100})
    timeline = Timeline(plan)
    run_loop(Line(dead=0), plan, timeline, watch=Watch(plan))
    changes = [
        (a["epoch"], a["action_type"], a["trigger"])
        for a in timeline.corrective_actions
        if a["action_type"] != "EARLY_STOP_BLOCK"
    ]
    assert changes[:2] == [(17, "LR_BOOST", "NO_LEARNING"), (37, "BOOST_END", "RECOVERED")]
    losses = [e["validation_loss"] for e in timeline.entries]
    assert losses[16] - losses[36] > 2.5 * (losses[0] - losses[16])
    ratio = [
        e["learning_rate"] / (2e-4 * one_cycle(k / 100)) for k, e in enumerate(timeline.entries)
    ]
    assert ratio[:42] == pytest.approx([1.0] * 17 + [3.0] * 20 + [1.0] * 5)


def test_early_stopping_waits_for_the_ladder() -> None:
    """Without the watch the run ends after its patience; with it the ladder is climbed first."""
    plan = LINE.model_copy(update={"learning_rate": 1e-9, "epochs": 100, "patience": 17})
    assert run_loop(Line(dead=0), plan, Timeline(plan)).epochs == 18
    timeline = Timeline(plan)
    with pytest.raises(TrainingError):
        run_loop(Line(dead=0), plan, timeline, watch=Watch(plan))
    assert len(timeline.entries) == 57


def test_very_slow_learning_is_not_stopped() -> None:
    """Gradients of a thousandth and hardly any gain: early stopping has to wait."""
    plan = LINE.model_copy(update={"learning_rate": 1e-6, "epochs": 14, "patience": 5})
    timeline = Timeline(plan)
    run_loop(Line(dead=0, scale=1e-4), plan, timeline, watch=Watch(plan))
    assert timeline.entries[5]["failures_detected"] == ["VERY_SLOW_LEARNING"]
    assert timeline.corrective_actions[0]["action_type"] == "EARLY_STOP_BLOCK"
    assert timeline.corrective_actions[0]["trigger"] == "VERY_SLOW_LEARNING"
    assert timeline.entries[6]["early_stop_blocked"]


def collapse(found: RestartableObjective) -> None:
    """Make the rows' embeddings the same point: nothing of a row reaches its embedding any more."""
    with torch.no_grad():
        for name, weight in found.model.joint.named_parameters():
            if name.startswith(COLLAPSED):
                weight.zero_() if weight.ndim > 1 else weight.fill_(1.0)


COLLAPSED = ("cls_out", "skip")


def test_a_collapsed_space_begins_again() -> None:
    found = objective(table())
    collapse(found)
    plan = plan_of(found, 1e-9, 12)
    timeline = Timeline(plan)
    run_loop(found, plan, timeline, watch=Watch(plan))
    assert "EMBEDDING_COLLAPSE" in timeline.entries[0]["failures_detected"]
    restarts = [a for a in timeline.corrective_actions if a["action_type"] == "RESTART"]
    assert [(a["epoch"], a["trigger"]) for a in restarts] == [(3, "EMBEDDING_COLLAPSE")]
    assert timeline.entries[2]["embedding_distance"] < 0.01
    assert all(e["embedding_distance"] > 0.3 for e in timeline.entries[3:])


def test_a_late_collapse_is_given_up() -> None:
    found = objective(table())
    plan = plan_of(found, 1e-9, 4)
    collapse(found)
    timeline = Timeline(plan)
    with pytest.raises(TrainingError, match="EMBEDDING_COLLAPSE") as raised:
        run_loop(found, plan, timeline, watch=Watch(plan))
    assert len(timeline.entries) == 3
    assert raised.value.suggestions


def test_a_second_training_is_watched_as_a_warm_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was learned before must not be boosted or thrown away because nothing more is learned."""
    seen: list[bool] = []

    class Noted(Watch):
        def __init__(self, plan: TrainingPlan, *, warm: bool = False) -> None:
            super().__init__(plan, warm=warm)
            seen.append(warm)

    monkeypatch.setattr("featrix_core.space_training.Watch", Noted)
    space = EmbeddingSpace(table(), n_epochs=1)
    space.train().train()
    assert seen == [False, True]


def test_a_healthy_space_is_left_alone() -> None:
    """The whole way through `EmbeddingSpace.train`, as a user goes it."""
    space = EmbeddingSpace(table(60), n_epochs=25, seed=2).train()
    assert space.timeline is not None
    # Gradients that are clipped are noted, and nothing else comes of it.
    actions = [a for a in space.timeline["corrective_actions"] if a["trigger"] != "STEEP_GRADIENT"]
    interventions = {a["action_type"] for a in actions}
    assert interventions <= {"VAL_ROTATION", "KEEP_BEST"}
    losses = [e["validation_loss"] for e in space.timeline["timeline"]]
    assert min(losses) < 0.5 * losses[0]
