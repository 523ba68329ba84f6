"""The loop keeps the best state, stops when nothing improves, and gives up on a loss that is no number."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from torch import Tensor, nn

from featrix_core.errors import FeatrixUserError, TrainingError
from featrix_core.training.device import deterministic
from featrix_core.training.loop import LoopResult, Progress, run_loop
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.timeline import Timeline

X, Y = load_diabetes(return_X_y=True)
PLAN = TrainingPlan(
    epochs=6, batch_size=64, steps_per_epoch=6, learning_rate=0.05, weight_decay=0.0, seed=3
)


class Regression:
    """Least squares on the diabetes table; the validation losses can be prescribed."""

    def __init__(self, validation: list[float] | None = None, broken_from: int = 10**9) -> None:
        with deterministic(0):
            self.module = nn.Linear(10, 1)
        self.rows = torch.tensor(X, dtype=torch.float32) / torch.tensor(X).std(0).float()
        self.target = torch.tensor((Y - Y.mean()) / Y.std(), dtype=torch.float32)
        self.n_rows = 400
        self.prescribed = validation
        self.broken_from = broken_from
        self.epochs: list[tuple[int, float]] = []
        self.seen: list[Tensor] = []
        self.states: list[dict[str, Tensor]] = []

    def start_epoch(self, epoch: int, progress: float) -> None:
        self.epochs.append((epoch, progress))

    def loss(self, rows: Tensor) -> tuple[Tensor, dict[str, float | Tensor]]:
        self.seen.append(rows)
        loss = nn.functional.mse_loss(self.module(self.rows[rows])[:, 0], self.target[rows])
        if len(self.epochs) >= self.broken_from:
            loss = loss * math.nan
        return loss, {"rows": float(len(rows))}

    def validate(self) -> tuple[float, dict[str, float]]:
        self.states.append({k: v.clone() for k, v in self.module.state_dict().items()})
        if self.prescribed is not None:
            return self.prescribed[len(self.states) - 1], {}
        with torch.no_grad():
            said = self.module(self.rows[400:])[:, 0]
        return float(nn.functional.mse_loss(said, self.target[400:])), {"checked": 1.0}


def _run(objective: Regression, plan: TrainingPlan = PLAN) -> tuple[LoopResult, Timeline]:
    timeline = Timeline(plan)
    return run_loop(objective, plan, timeline), timeline


def test_it_learns_what_least_squares_learns() -> None:
    objective = Regression()
    plan = PLAN.model_copy(update={"epochs": 60})
    result, timeline = _run(objective, plan)
    exact = LinearRegression().fit(objective.rows[:400], objective.target[:400])
    expected = float(
        ((exact.predict(objective.rows[400:]) - objective.target[400:].numpy()) ** 2).mean()
    )
    assert abs(result.best_loss - expected) < 0.05
    assert timeline.entries[-1]["train_loss"] < 0.8 * timeline.entries[0]["train_loss"]
    assert timeline.entries[0]["checked"] == 1.0


@pytest.mark.parametrize(
    "validation, best", [([3, 1, 2, 4, 5, 6], 2), ([6, 5, 4, 3, 2, 1], 6), ([1, 1, 1, 1, 1, 1], 1)]
)
def test_best_state_is_kept(validation: list[float], best: int) -> None:
    objective = Regression([float(v) for v in validation])
    result, _ = _run(objective)
    assert result.best_epoch == best
    assert result.best_loss == min(validation)
    for name, value in objective.module.state_dict().items():
        assert torch.equal(value, objective.states[best - 1][name])
    assert not torch.equal(objective.states[0]["weight"], objective.states[-1]["weight"])
    assert not objective.module.training


def test_patience_ends_a_training() -> None:
    objective = Regression([3.0, 1.0, 2.0, 2.0, 0.5, 0.1])
    result, timeline = _run(objective, PLAN.model_copy(update={"patience": 2}))
    assert (result.best_epoch, result.epochs) == (2, 4)
    assert len(timeline.entries) == 4
    assert result.updates == 24


def test_without_patience_all_epochs_run() -> None:
    result, timeline = _run(Regression([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    assert result.epochs == len(timeline.entries) == 6


def test_a_loss_that_is_no_number() -> None:
    objective = Regression(broken_from=3)
    with pytest.raises(TrainingError, match="epoch 3") as caught:
        _run(objective)
    assert caught.value.suggestions == {"learning_rate": pytest.approx(PLAN.learning_rate / 9)}
    assert not isinstance(caught.value, FeatrixUserError)


def test_every_epoch_draws_other_rows_without_repetition() -> None:
    objective = Regression()
    _run(objective)
    assert [epoch for epoch, _ in objective.epochs] == [1, 2, 3, 4, 5, 6]
    assert objective.epochs[3][1] == pytest.approx(0.5)
    epochs = [torch.cat(objective.seen[k * 6 : k * 6 + 6]).tolist() for k in range(6)]
    assert all(len(set(rows)) == len(rows) == 384 for rows in epochs)
    assert epochs[0] != epochs[1]
    assert max(max(rows) for rows in epochs) < 400


def test_the_same_seed_gives_the_same_weights() -> None:
    one, other, third = Regression(), Regression(), Regression()
    _run(one)
    _run(other)
    _run(third, PLAN.model_copy(update={"seed": 4}))
    assert torch.equal(one.module.weight, other.module.weight)
    assert not torch.equal(one.module.weight, third.module.weight)


def test_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    _run(Regression())
    assert torch.equal(torch.rand(3), expected)


def test_parameters_have_rates_of_their_own() -> None:
    class Slow(Regression):
        def parameter_groups(self) -> list[tuple[list[nn.Parameter], float]]:
            return [([self.module.weight], 1.0), ([self.module.bias], 0.0), ([], 1.0)]

    objective = Slow()
    before = {k: v.clone() for k, v in objective.module.state_dict().items()}
    _run(objective)
    assert torch.equal(objective.module.bias, before["bias"])
    assert not torch.equal(objective.module.weight, before["weight"])


def test_weights_are_averaged_for_validation() -> None:
    plain, averaged = (
        Regression([float(-k) for k in range(6)]),
        Regression([float(-k) for k in range(6)]),
    )
    initial = plain.module.weight.detach().clone()
    plan = PLAN.model_copy(update={"steps_per_epoch": 1})
    _run(plain, plan)
    _run(averaged, plan.model_copy(update={"ema_decay": 0.9}))
    shadow = initial
    # With one step per epoch the states of the plain run are the path that the other one averages.
    for count, state in enumerate(plain.states, start=1):
        decay = min(0.9, count / (count + 9.0))
        shadow = decay * shadow + (1 - decay) * state["weight"]
        torch.testing.assert_close(averaged.states[count - 1]["weight"], shadow)
    torch.testing.assert_close(averaged.module.weight.detach(), shadow)


def test_progress_is_told_after_every_update() -> None:
    told: list[Progress] = []
    run_loop(Regression(), PLAN, Timeline(PLAN), told.append)
    assert [p.update for p in told] == list(range(1, 37))
    assert {(p.updates, p.epochs) for p in told} == {(36, 6)}
    assert told[-1].epoch == 6
    assert all(math.isfinite(p.loss) for p in told)


def test_gradients_are_clipped() -> None:
    _, timeline = _run(Regression(), PLAN.model_copy(update={"clip_norm": 1e-3}))
    for entry in timeline.entries:
        assert entry["gradients"]["unclipped_norm"] > 1e-3
        assert entry["gradients"]["clipped_norm"] == pytest.approx(1e-3)
