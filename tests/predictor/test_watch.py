"""Every failure mode brought about on purpose in a real training: found, acted on, in the timeline (PRED-2, D11)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from featrix_core import EmbeddingSpace, FeatrixInputDataSet
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.predictor.failures import MODES, failure_modes, judge_answers
from featrix_core.predictor.fitting import Fitted, fit_members
from featrix_core.predictor.labelled import LabelledRows
from featrix_core.predictor.losses import Loss
from featrix_core.predictor.network import Head, HeadConfig
from featrix_core.predictor.objective import PredictorNet, PredictorObjective
from featrix_core.predictor.plan import plan_predictor
from featrix_core.predictor.watch import PredictorWatch, remaining_notices
from featrix_core.tables.build import typed_columns
from featrix_core.tables.schema import Notice
from featrix_core.training.device import deterministic
from featrix_core.training.loop import run_loop
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.timeline import Timeline

ROWS, HELD = 480, 160


@dataclass
class Ground:
    """A table whose first column decides, and a space on it."""

    space: EmbeddingSpace
    batch: TokenBatch
    x_N: NDArray[np.float64]

    def objective(
        self, y_N: NDArray[np.generic], loss: Loss | None = None, outputs: int = 2
    ) -> PredictorObjective:
        """Trains on the first 320 rows, validates on the others."""
        config = HeadConfig(outputs=outputs, width=32, members=4, dropout=0.0)
        shape = self.space.model.config

        def fresh() -> PredictorNet:
            head = Head(self.space.tokenizer, shape.d_model, shape.width, config)
            return PredictorNet(self.space.model, head)

        with deterministic(7):
            net = fresh()
        rows = torch.arange(ROWS)
        numbers = y_N.dtype.kind == "f"
        target = torch.from_numpy(y_N.astype(np.float32 if numbers else np.int64))
        split = rows[:-HELD], rows[-HELD:]
        objective = PredictorObjective(net, self.batch, target, *split, False, fresh=fresh)
        if loss is not None:
            objective.use(loss)
        return objective


@pytest.fixture(scope="module")
def ground() -> Ground:
    draw = np.random.default_rng(1)
    x = draw.normal(size=ROWS)
    frame = pd.DataFrame(
        {"x": x, "other": draw.normal(size=ROWS), "kind": draw.choice(list("abc"), ROWS)}
    )
    space = EmbeddingSpace(FeatrixInputDataSet(frame), n_epochs=1, name="ground").train()
    batch = space.tokenizer.encode(typed_columns(as_table(frame), space.schema))
    return Ground(space, batch, x)


def _plan(epochs: int = 20, rate: float = 3e-3) -> TrainingPlan:
    sizes: dict[str, Any] = {"batch_size": 64, "steps_per_epoch": 5, "weight_decay": 0.0}
    return TrainingPlan(epochs=epochs, learning_rate=rate, **sizes)


def _run(
    objective: PredictorObjective, plan: TrainingPlan, acts: bool = True
) -> tuple[Timeline, PredictorWatch]:
    timeline, watch = Timeline(plan), PredictorWatch(plan, objective, acts=acts)
    run_loop(objective, plan, timeline, watch=watch)
    return timeline, watch


def _modes(timeline: Timeline) -> set[str]:
    return {m for e in timeline.entries for m in e["failures_detected"]} & set(MODES)


def _actions(timeline: Timeline) -> list[tuple[str, str]]:
    """What the watch did; the loop's own warnings are left out."""
    actions = [(a["action_type"], a["trigger"]) for a in timeline.corrective_actions]
    return [pair for pair in actions if pair[0] != "WARNING"]


def _now(objective: PredictorObjective) -> dict[str, float]:
    figures: dict[str, float] = objective.validate()[1]["answers"]
    return figures


def _sign(ground: Ground) -> NDArray[np.int64]:
    return (ground.x_N > 0).astype(np.int64)


def test_a_training_that_goes_well_is_left_alone_bit_by_bit(ground: Ground) -> None:
    y = (ground.x_N + np.random.default_rng(2).normal(size=ROWS) > 0).astype(np.int64)
    watched, plain = ground.objective(y), ground.objective(y)
    timeline, _ = _run(watched, _plan())
    run_loop(plain, _plan(), Timeline(_plan()))
    assert _modes(timeline) == set() and _actions(timeline) == []
    weights = plain.net.head.state_dict()
    for name, value in watched.net.head.state_dict().items():
        assert torch.equal(value, weights[name]), name


def test_dead_weights_are_replaced(ground: Ground) -> None:
    objective = ground.objective(_sign(ground))
    with torch.no_grad():
        objective.net.head.scale_E1W.zero_()
        objective.net.head.bias_E1W.fill_(-1.0)  # no unit is ever above zero
    timeline, _ = _run(objective, _plan())
    assert _actions(timeline)[0] == ("RESTART", "DEAD_NETWORK")
    assert "DEAD_NETWORK" in timeline.entries[7]["failures_detected"]
    assert "RESTART" in timeline.entries[7]["corrective_actions"]
    assert failure_modes(_now(objective)) == [] and _now(objective)["auc"] > 0.9


def test_a_rate_that_does_nothing_is_raised(ground: Ground) -> None:
    objective = ground.objective(_sign(ground))
    with torch.no_grad():
        objective.net.head.out_EWO.mul_(0.3)
    timeline, _ = _run(objective, _plan(rate=2e-5))
    assert "CONSTANT_PROBABILITY" in _modes(timeline)
    boost = timeline.corrective_actions[0]
    assert boost["action_type"] == "LR_BOOST" and boost["trigger"] == "CONSTANT_PROBABILITY"
    before, after = timeline.entries[boost["epoch"] - 1 : boost["epoch"] + 1]
    assert after["learning_rate"] > 2.5 * before["learning_rate"]
    assert "LR_BOOST_ACTIVE" in after["corrective_actions"]


def test_a_loss_that_knows_one_class_alone_is_softened(ground: Ground) -> None:
    y = _sign(ground)
    objective = ground.objective(y, Loss("focal", torch.tensor([0.001, 2.0])))
    timeline, _ = _run(objective, _plan())
    assert "SINGLE_CLASS_BIAS" in _modes(timeline)
    assert ("FOCAL_ADJUSTMENT", "SINGLE_CLASS_BIAS") in _actions(timeline)
    assert objective.loss_function.class_weight_K is None
    now = _now(objective)
    assert failure_modes(now) == [] and now["top_share"] < 0.7


def test_stuck_biases_are_set_to_the_shares(ground: Ground) -> None:
    objective = ground.objective(_sign(ground))
    with torch.no_grad():
        objective.net.head.out_bias_E1O[..., 1] = 8.0
    timeline, _ = _run(objective, _plan(rate=3e-4))
    assert ("SHARE_RESET", "SINGLE_CLASS_BIAS") in _actions(timeline)
    epoch = timeline.corrective_actions[0]["epoch"]
    assert timeline.entries[epoch - 1]["answers"]["top_share"] > 0.95
    assert _now(objective)["top_share"] < 0.95


def test_noise_ends_in_a_notice_after_a_bounded_effort(ground: Ground) -> None:
    y = np.random.default_rng(11).permutation(_sign(ground))
    objective = ground.objective(y)
    timeline, watch = _run(objective, _plan())
    kinds = [kind for kind, _ in _actions(timeline)]
    assert "RANDOM_PREDICTIONS" in _modes(timeline)
    assert kinds.count("LR_BOOST") == kinds.count("RESTART") == kinds.count("ACCEPT") == 1
    assert len(timeline.entries) <= 2 * 20
    assert watch.in_vain
    (notice,) = remaining_notices(timeline.entries[-1]["answers"], "y")
    assert notice.code == "columns_tell_nothing" and notice.column == "y"
    looked, _ = _run(ground.objective(y), _plan(), acts=False)
    assert "RANDOM_PREDICTIONS" in _modes(looked) and _actions(looked) == []


def test_answers_that_stay_unsure_get_a_plainer_loss_and_a_higher_rate(ground: Ground) -> None:
    objective = ground.objective(_sign(ground), Loss("focal"))
    timeline, _ = _run(objective, _plan(rate=6e-5))
    assert "UNDERCONFIDENT" in _modes(timeline)
    wanted = [("FOCAL_ADJUSTMENT", "UNDERCONFIDENT"), ("LR_BOOST", "UNDERCONFIDENT")]
    assert _actions(timeline)[:2] == wanted
    assert objective.loss_function.gamma == 1.0
    unsure = [e["answers"]["unsure_share"] for e in timeline.entries]
    assert unsure[7] > 0.7 > unsure[-1]


def test_varied_but_wrong_answers_get_a_lower_rate(ground: Ground) -> None:
    """Held-out labels follow another rule than the training's, mostly."""
    y, draw = _sign(ground), np.random.default_rng(12)
    y[-HELD:] = np.where(draw.random(HELD) < 0.42, 1 - y[-HELD:], y[-HELD:])
    timeline, watch = _run(ground.objective(y), _plan())
    assert "POOR_DISCRIMINATION" in _modes(timeline)
    assert _actions(timeline)[0] == ("LR_CUT", "POOR_DISCRIMINATION")
    assert watch.rate_factor == 0.5


def test_numbers_that_stay_constant_get_a_higher_rate(ground: Ground) -> None:
    y = ground.x_N / ground.x_N.std()
    objective = ground.objective(y, outputs=1)
    with torch.no_grad():
        objective.net.head.out_EWO.mul_(1e-3)
    timeline, _ = _run(objective, _plan(rate=5e-6))
    assert _modes(timeline) & {"DEAD_NETWORK", "CONSTANT_PROBABILITY"}
    assert _actions(timeline)
    healthy, _ = _run(ground.objective(y, outputs=1), _plan())
    assert _modes(healthy) == set() and _actions(healthy) == []


def test_the_watch_s_state_is_json_and_can_be_taken_up(ground: Ground) -> None:
    y = np.random.default_rng(11).permutation(_sign(ground))
    objective = ground.objective(y)
    timeline, watch = _run(objective, _plan())
    other = PredictorWatch(_plan(), objective)
    other.restore(watch.state())
    assert json.loads(json.dumps(watch.state())) == other.state()
    assert (
        other.in_vain and other.labels == watch.labels == timeline.entries[-1]["corrective_actions"]
    )


def _fit(
    ground: Ground, y_N: NDArray[np.int64], epochs: int | None = None, **changes: Any
) -> Fitted:
    plan = plan_predictor(ROWS, fine_tune=False)
    small = {"folds": 2, "width": 32, "members": 4, "updates": 100} | changes
    rows = LabelledRows(ground.batch, torch.from_numpy(y_N), y_N.astype(np.float64))
    model, tokenizer = ground.space.model, ground.space.tokenizer
    plan = plan.model_copy(update=small)
    return fit_members(model, tokenizer, rows, int(y_N.max()) + 1, 2, plan, 3, epochs)


def _notices(fitted: Fitted, y_N: NDArray[np.int64]) -> tuple[Notice, ...]:
    figures = judge_answers(fitted.answer_NO, y_N[fitted.held_out_rows])
    return remaining_notices(figures, "y", short=fitted.short)


def test_only_the_first_member_of_a_hopeless_bag_is_worked_on(ground: Ground) -> None:
    y_N = np.random.default_rng(3).permutation(_sign(ground))
    fitted = _fit(ground, y_N)
    done: list[Any] = [timeline["corrective_actions"] for timeline in fitted.timelines]
    assert "ACCEPT" in [a["action_type"] for a in done[0]] and done[1] == []
    (notice,) = _notices(fitted, y_N)
    assert notice.code == "columns_tell_nothing"


def test_a_short_training_is_not_blamed_on_the_columns(ground: Ground) -> None:
    y_N = np.random.default_rng(11).permutation(_sign(ground))
    fitted = _fit(ground, y_N, epochs=1)
    assert [n.code for n in _notices(fitted, y_N)] == ["predictor_hardly_trained"]


def test_german_credit_shows_no_failure(credit_space: EmbeddingSpace, credit: pd.DataFrame) -> None:
    batch = credit_space.tokenizer.encode(typed_columns(as_table(credit), credit_space.schema))
    y = (credit["class"] == "bad").to_numpy(np.int64)
    plan = plan_predictor(len(y)).model_copy(
        update={"folds": 2, "width": 64, "members": 8, "updates": 80}
    )
    rows = LabelledRows(batch, torch.from_numpy(y), y.astype(np.float64))
    fitted = fit_members(credit_space.model, credit_space.tokenizer, rows, 2, 2, plan, 5)
    for timeline in fitted.timelines:
        entries: Any = timeline["timeline"]
        assert not {m for e in entries for m in e["failures_detected"]} & set(MODES)
        assert timeline["corrective_actions"] == []
    assert _notices(fitted, np.asarray(y, np.int64)) == ()
    assert fitted.plan.loss == "cross_entropy" and fitted.plan.class_weights is False
