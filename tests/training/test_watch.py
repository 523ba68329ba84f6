"""The watch climbs its ladder step by step, leaves healthy runs alone, and its actions reach real trainings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from featrix_core.training.plan import TrainingPlan
from featrix_core.training.timeline import Timeline
from featrix_core.training.watch import Action, Watch

PLAN = TrainingPlan(
    epochs=100, batch_size=8, steps_per_epoch=2, learning_rate=0.01, weight_decay=0, patience=20
)


class Simulation:
    """A watch beside losses that are given: what the loop does, without a model."""

    def __init__(self, plan: TrainingPlan = PLAN, warm: bool = False) -> None:
        self.watch = Watch(plan, warm=warm)
        self.timeline = Timeline(plan)
        self.done: list[tuple[int, Action]] = []

    def epoch(self, loss: float, train: float | None = None, **entry: Any) -> list[Action]:
        """One epoch at the loss; the schedule's rate is constant unless it is given."""
        number = len(self.timeline.entries) + 1
        rate = entry.pop("rate", 0.01) * self.watch.rate_factor
        norm = entry.pop("norm", 1.0)
        self.timeline.add(
            {
                "epoch": number,
                "learning_rate": rate,
                "train_loss": loss if train is None else train,
                "validation_loss": loss,
                "gradients": {"unclipped_norm": norm},
                **entry,
            }
        )
        actions = self.watch.after_epoch(self.timeline.entries)
        last = self.timeline.entries[-1]
        last["corrective_actions"] = self.watch.labels
        last["early_stop_blocked"] = self.watch.stop_blocked
        self.done += [(number, action) for action in actions]
        return actions

    def epochs(self, losses: Iterable[float], **entry: Any) -> Simulation:
        """Several epochs."""
        for loss in losses:
            self.epoch(loss, **entry)
        return self

    def kinds(self) -> list[tuple[int, str]]:
        """Epoch and type of every action."""
        return [(number, action.action_type) for number, action in self.done]

    def rates(self) -> list[float]:
        """Learning rate of every epoch in units of the schedule's."""
        return [round(e["learning_rate"] / 0.01, 6) for e in self.timeline.entries]

    def of(self, epoch: int) -> dict[str, Any]:
        """The entry of an epoch."""
        return self.timeline.entries[epoch - 1]


def test_the_whole_ladder() -> None:
    """D11: 3× rate at 16, 2× temperature at 26, 2× rate on top at 36, 2× temperature at 46, the end at 56."""
    run = Simulation().epochs([4.0] * 55)
    assert [k for k in run.kinds() if k[1] != "EARLY_STOP_BLOCK"] == [
        (16, "LR_BOOST"),
        (26, "TEMP_BOOST"),
        (36, "LR_BOOST"),
        (46, "TEMP_BOOST"),
    ]
    assert [n for n, kind in run.kinds() if kind == "EARLY_STOP_BLOCK"] == [16, 26, 36, 46]
    assert run.rates() == [1.0] * 16 + [3.0] * 20 + [6.0] * 19
    assert run.watch.temperature_factor == 4.0
    ended, given_up = run.epoch(4.0)
    assert ended.action_type == "BOOST_END"
    assert given_up.action_type == "RAISE"
    assert given_up.trigger == "NO_LEARNING"
    assert given_up.details["suggestions"]["learning_rate"] == pytest.approx(0.1)
    assert "NO_LEARNING" in given_up.details["message"]
    assert run.watch.rate_factor == run.watch.temperature_factor == 1.0
    assert not run.watch.stop_blocked


def test_entries_and_actions_have_the_structure_of_the_source() -> None:
    run = Simulation().epochs([4.0] * 27)
    assert run.of(15)["corrective_actions"] == []
    assert run.of(16)["failures_detected"] == ["NO_LEARNING"]
    assert run.of(16)["corrective_actions"] == ["LR_BOOST_3X", "EARLY_STOP_BLOCKED"]
    assert run.of(16)["early_stop_blocked"] is True
    assert run.of(17)["corrective_actions"] == ["LR_BOOST_ACTIVE", "EARLY_STOP_BLOCKED"]
    assert run.of(26)["corrective_actions"] == [
        "LR_BOOST_ACTIVE",
        "EARLY_STOP_BLOCKED",
        "TEMP_BOOST_2X",
    ]
    assert "TEMP_BOOST_ACTIVE" in run.of(27)["corrective_actions"]
    record = run.done[0][1].record(16)
    assert record == {
        "epoch": 16,
        "action_type": "LR_BOOST",
        "trigger": "NO_LEARNING",
        "details": {"lr_multiplier": 3.0, "boost_epochs": 20, "lr_factor": 3.0, "stage": 1},
    }
    assert run.done[1][1].details == {"block_epochs": 10}


def test_a_run_that_recovers_returns_to_its_schedule() -> None:
    """The boost is in force for twenty epochs; the ladder is climbed no further, and begins anew later."""
    run = Simulation().epochs([4.0] * 16 + [4.0 - 0.02 * k for k in range(1, 21)])
    assert run.rates() == [1.0] * 16 + [3.0] * 20
    assert run.kinds()[2:] == [(36, "BOOST_END")]
    assert run.done[-1][1].trigger == "RECOVERED"
    assert not run.watch.stop_blocked
    # Ten per cent were gained: it has learned, so that a later plateau is waited out.
    run.epochs([3.5] * 20)
    assert run.rates()[36:] == [1.0] * 20
    assert {kind for n, kind in run.kinds() if n > 36} == {"EARLY_STOP_BLOCK"}


def test_a_run_that_gained_little_is_boosted_again() -> None:
    run = Simulation().epochs([4.0] * 16 + [4.0 - 0.01 * k for k in range(1, 21)] + [3.8] * 20)
    boosts = [n for n, kind in run.kinds() if kind == "LR_BOOST"]
    assert boosts == [16, 40]
    assert run.rates()[40:44] == [3.0] * 4


def test_a_loss_that_only_comes_back_is_still_stuck() -> None:
    """Thrown up by the boost and falling since, yet no better than before: the next stage."""
    back = [5.0 - 0.1 * k for k in range(10)]
    run = Simulation().epochs([4.0] * 16 + back)
    assert run.of(26)["failures_detected"] == []
    assert (26, "TEMP_BOOST") in run.kinds()


def test_what_was_gained_is_accepted_at_the_end() -> None:
    """Three per cent in stage 1, nothing after it: the ladder ends without an error and stays ended."""
    run = Simulation().epochs([4.0] * 16 + [3.95] * 5)
    gained = Simulation().epochs([4.0, 3.9] + [3.88] * 80)
    assert gained.kinds()[-2:] == [(56, "BOOST_END"), (56, "ACCEPT")]
    assert gained.done[-1][1].details["improvement"] == pytest.approx(0.03)
    assert not gained.watch.stop_blocked
    assert gained.rates()[56:] == [1.0] * 26
    assert run.watch.rate_factor == 3.0


def test_a_run_that_annealed_is_left_alone() -> None:
    """Learned, then flat while the rate falls to nothing: converged."""
    run = Simulation()
    for k in range(100):
        run.epoch(max(1.0, 4.0 - 0.1 * k), rate=0.01 * (1 - k / 100))
    assert {kind for _, kind in run.kinds()} <= {"EARLY_STOP_BLOCK"}
    assert run.rates() == [round(1 - k / 100, 6) for k in range(100)]
    run = Simulation().epochs([4.0 - 0.2 * k for k in range(15)] + [1.2] * 60, rate=0.01)
    assert "LR_BOOST" not in {kind for _, kind in run.kinds()}


def test_a_rate_that_still_rises_is_not_boosted() -> None:
    run = Simulation()
    for k in range(1, 31):
        run.epoch(4.0, rate=0.0001 * k)
    assert "LR_BOOST" not in {kind for _, kind in run.kinds()}
    run.epoch(4.0, rate=0.003)
    assert run.watch.rate_factor == 3.0


def test_a_warm_run_is_neither_boosted_nor_given_up() -> None:
    """An extension starts where the old space ended: flat is what it should be."""
    run = Simulation(warm=True).epochs([1.0] * 60)
    assert set(run.rates()) == {1.0}
    assert {kind for _, kind in run.kinds()} == {"EARLY_STOP_BLOCK"}
    run = Simulation(warm=True).epochs([1.0] * 10, norm=0.0)
    assert {kind for _, kind in run.kinds()} == {"EARLY_STOP_BLOCK"}


def test_slow_learning_is_not_stopped() -> None:
    run = Simulation().epochs([4.0 - 0.001 * k for k in range(6)], norm=0.005)
    assert run.kinds() == [(6, "EARLY_STOP_BLOCK")]
    assert run.done[0][1].trigger == "VERY_SLOW_LEARNING"
    assert run.watch.stop_blocked
    run.epochs([3.9 - 0.1 * k for k in range(10)])
    assert not run.watch.stop_blocked


def test_the_block_lasts_ten_epochs() -> None:
    run = Simulation().epochs([4.0 - 0.001 * k for k in range(6)], norm=0.005)
    run.epochs([3.9 - 0.1 * k for k in range(20)])
    blocked = [e["epoch"] for e in run.timeline.entries if e["early_stop_blocked"]]
    assert blocked == list(range(6, 16))


def test_an_unstable_rate_is_halved_until_it_is_calm() -> None:
    run = Simulation().epochs([3.0, 5.0] * 6)
    cuts = [a.details["lr_factor"] for _, a in run.done if a.action_type == "LR_CUT"]
    assert cuts == [0.5, 0.25]
    assert "LR_CUT_ACTIVE" in run.of(12)["corrective_actions"]
    run.epochs([2.9 - 0.1 * k for k in range(12)])
    assert run.watch.rate_factor == 0.25


def test_an_unstable_run_that_gets_better_keeps_its_rate() -> None:
    """Epochs of a small table are noisy."""
    run = Simulation()
    for k in range(20):
        run.epoch(8.0 - 0.4 * k + (2.0 if k % 2 else 0.0))
    assert any("UNSTABLE_TRAINING" in e["failures_detected"] for e in run.timeline.entries)
    assert run.kinds() == []


def test_a_run_that_never_calms_down_is_given_up() -> None:
    run = Simulation().epochs([3.0, 5.0] * 16)
    assert [kind for _, kind in run.kinds()][:6] == ["LR_CUT"] * 5 + ["RAISE"]
    # The first loss is the lowest; at a thirty-second of the rate it is no better.
    given_up = run.done[5][1]
    assert given_up.trigger == "UNSTABLE_TRAINING"
    assert given_up.details["suggestions"]["learning_rate"] == pytest.approx(0.01 / 320)


def test_a_run_that_is_thrown_off_is_cut_further() -> None:
    """After the swing the loss falls steadily, at thirty times what it began with."""
    run = Simulation().epochs([3.0, 100.0] * 3).epochs([90.0 - k for k in range(40)])
    kinds = run.kinds()
    assert kinds[:6] == [(n, "LR_CUT") for n in (6, 11, 16, 21, 26)] + [(31, "RAISE")]


def test_a_run_that_was_unstable_is_not_boosted() -> None:
    run = Simulation().epochs([3.0, 3.9] * 3).epochs([3.0] * 30)
    assert run.watch.rate_factor == 0.5
    assert "LR_BOOST" not in {kind for _, kind in run.kinds()}


def test_a_boost_that_makes_the_loss_swing_is_taken_back() -> None:
    run = Simulation().epochs([4.0] * 16 + [4.0, 7.0] * 3)
    assert run.watch.rate_factor == 1.0
    ended = [a for _, a in run.done if a.action_type == "BOOST_END"]
    assert [a.trigger for a in ended] == ["UNSTABLE_TRAINING"]


def test_overfitting_is_noted_and_frees_early_stopping() -> None:
    run = Simulation()
    for k in range(20):
        run.epoch(3.0 + 0.05 * k, train=3.0 - 0.1 * k)
    notes = [(n, a) for n, a in run.done if a.action_type == "KEEP_BEST"]
    assert [n for n, _ in notes] == [11]
    assert notes[0][1].trigger == "SEVERE_OVERFITTING"
    assert notes[0][1].details == {
        "training_loss": pytest.approx(2.0),
        "validation_loss": pytest.approx(3.5),
    }
    assert "BEST_WEIGHTS_KEPT" in run.of(11)["corrective_actions"]
    assert not run.watch.stop_blocked
    assert set(run.rates()) == {1.0}


def test_without_a_patience_nothing_is_blocked() -> None:
    """Nothing would stop early: no action and no label says that it was put off; the ladder stays."""
    plan = PLAN.model_copy(update={"patience": None})
    run = Simulation(plan).epochs([4.0 - 0.001 * k for k in range(6)], norm=0.005)
    assert run.of(6)["failures_detected"] == ["VERY_SLOW_LEARNING"]
    assert run.kinds() == []
    run = Simulation(plan).epochs([4.0] * 17)
    assert run.kinds() == [(16, "LR_BOOST")]
    assert run.of(17)["corrective_actions"] == ["LR_BOOST_ACTIVE"]
    assert not run.of(17)["early_stop_blocked"]


def test_a_dead_network_begins_again_once() -> None:
    run = Simulation().epochs([4.0] * 2, norm=0.0)
    assert run.kinds() == [(2, "RESTART")]
    assert run.of(2)["corrective_actions"] == ["RESTART"]
    run.epochs([4.0] * 2, norm=0.0)
    assert run.kinds()[1:] == [(4, "RAISE")]
    assert run.done[1][1].trigger == "DEAD_NETWORK"
    assert "other initial weights" in run.done[1][1].details["message"]


def test_a_restart_forgets_the_run_before_it() -> None:
    run = Simulation().epochs([4.0] * 2, norm=0.0).epochs([4.0] * 15)
    assert run.kinds() == [(2, "RESTART")]
    run.epoch(4.0)
    assert run.kinds()[1:] == [(18, "LR_BOOST"), (18, "EARLY_STOP_BLOCK")]


def test_no_gradient_where_nothing_is_left_to_learn() -> None:
    run = Simulation().epochs([4.0, 1.0, 0.01]).epochs([0.01] * 5, norm=0.0)
    assert "RESTART" not in {kind for _, kind in run.kinds()}


POINT = {"embedding_std": 0.001, "embedding_range": 0.01, "embedding_distance": 0.01}


def test_an_early_collapse_begins_again_a_late_one_ends() -> None:
    early = Simulation().epochs([4.0] * 2, **POINT)
    assert early.kinds() == []
    early.epoch(4.0, **POINT)
    assert early.kinds() == [(3, "RESTART")]
    late = Simulation().epochs([4.0 - 0.05 * k for k in range(40)])
    late.epochs([2.0] * 3, **POINT)
    assert late.kinds() == [(43, "RAISE")]
    assert late.done[0][1].trigger == "EMBEDDING_COLLAPSE"
    assert late.done[0][1].details["suggestions"].keys() == {"learning_rate", "seed", "n_epochs"}


@pytest.mark.parametrize("cut", [1, 15, 16, 17, 30, 44])
def test_the_state_is_all_there_is(cut: int) -> None:
    """Written as JSON in any epoch and read again, the watch goes on as if nothing had happened."""
    losses = [4.0] * 30 + [3.0, 5.0] * 15
    whole, first = Simulation().epochs(losses), Simulation().epochs(losses[:cut])
    second = Watch(PLAN)
    second.restore(json.loads(json.dumps(first.watch.state())))
    first.watch = second
    first.epochs(losses[cut:])
    assert first.done == whole.done
    assert first.timeline.entries == whole.timeline.entries
    assert first.watch.state() == whole.watch.state()


def test_a_second_phase_is_followed_from_its_own_first_epoch() -> None:
    run = Simulation().epochs([4.0 - 0.1 * k for k in range(20)])
    run.watch = Watch(PLAN)
    run.epochs([2.0] * 20)
    boosts = [n for n, a in run.done if a.action_type == "LR_BOOST"]
    # With the first phase in view it would have learned much; on its own it has not.
    assert boosts == [26]
