"""The running experiment: periods, planted effects end to end, log and self-validation (JOINT-3, JOINT-4)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from featrix_core.space import pair_log
from featrix_core.space.pair_log import LEAST_PAIRS, pair_report, self_validation
from featrix_core.space.pair_schedule import EXPLORED, FOCUSED, STEPS
from featrix_core.space.pair_trial import HELD_OUT, SETTLED, PairTrial
from featrix_core.space.relationships import SCHEMES, PairSampler

NO_PAIRS = torch.zeros((0, 2), dtype=torch.int64)
GOOD, BAD = (1, 4), (0, 6)
NAMES = [f"column {k}" for k in range(8)]


def trial_of(columns: int, slots: int, seed: int = 3, scheme: str = "causal") -> PairTrial:
    return PairTrial(PairSampler(columns, slots, seed, scheme), columns, NO_PAIRS)


def pairs_of(pairs_Q2: torch.Tensor) -> set[tuple[int, ...]]:
    return {tuple(pair) for pair in pairs_Q2.tolist()}


def played(trial: PairTrial, periods: int, size: float = 0.15, seed: int = 0) -> PairTrial:
    """A training in which `GOOD` helps column 2 beside its own two, and `BAD` harms column 0."""
    rng, first = np.random.default_rng(seed), len(trial.history)
    for period in range(first, first + periods):
        trial.start_epoch(SETTLED * period / (first + periods))
        for _ in range(STEPS):
            fewer_Q2 = trial.before_step()
        if fewer_Q2 is None:
            continue
        left = pairs_of(trial.pairs_Q2) - pairs_of(fewer_Q2)
        losses = 2.5 + np.exp(-period / 10) + rng.normal(size=trial.columns)
        gains = 0.06 * rng.normal(size=trial.columns)
        gains[2] -= size * (GOOD in left)
        gains[4] -= size / 2 * (GOOD in left)
        gains[0] += size * (BAD in left)
        trial.after_step(torch.tensor(losses).float(), torch.tensor(gains).float())
    return trial


def test_every_second_update_ends_a_period() -> None:
    trial = trial_of(8, 7)
    fewer = []
    for update in range(1, 10 * STEPS + 1):
        some_Q2 = trial.before_step()
        assert trial.pairs_Q2.tolist() == trial.pairs_P2.tolist()
        assert (some_Q2 is None) == (update % STEPS > 0)
        if some_Q2 is not None:
            fewer.append(pairs_of(some_Q2))
            trial.after_step(torch.ones(8), torch.zeros(8))
    assert len(trial.history) == 10 == len(fewer)
    assert len({str(sorted(some)) for some in fewer}) == 10
    assert len(set.union(*fewer)) == 28 and 5 < np.mean([len(some) for some in fewer]) < 23


def test_a_third_of_the_periods_is_held_out() -> None:
    trial, longer = played(trial_of(8, 7), 10), played(trial_of(8, 7), 30)
    assert torch.equal(longer.held_T()[:10], trial.held_T())
    assert longer.held_T().view(-1, HELD_OUT).sum(1).tolist() == [1] * 10
    assert len(set(longer.held_T().view(-1, HELD_OUT).long().argmax(1).tolist())) > 1


def test_what_was_held_out_decides_nothing() -> None:
    """Two trainings whose held-out periods say the opposite make the same swaps and keep the same pairs."""
    trials = [trial_of(8, 7), trial_of(8, 7)]
    held_T = played(trial_of(8, 7), 200).held_T()
    for factor, trial in zip((1.0, -50.0), trials, strict=True):
        generator = torch.Generator().manual_seed(6)
        for period in range(100):
            trial.start_epoch(SETTLED * period / 100)
            trial.before_step()
            trial.before_step()
            gains_A = torch.randn(8, generator=generator)
            trial.after_step(torch.ones(8), gains_A * (factor if held_T[period] else 1.0))
        trial.start_epoch(SETTLED)
    one, other = trials
    assert one.schedule.events and one.schedule.events == other.schedule.events
    assert torch.equal(one.pairs_Q2, other.pairs_Q2)
    lifts = [trial.lifts(held=True)[1].total_P for trial in trials]
    assert not torch.allclose(lifts[0], lifts[1])


def test_from_all_pairs_down_to_the_slots() -> None:
    trial, sizes = trial_of(8, 7), {}
    for period in range(200):
        progress = period / 200
        read_Q2 = trial.start_epoch(progress)
        assert torch.equal(read_Q2, trial.pairs_Q2)
        sizes[progress] = len(read_Q2)
        assert trial.before_step() is None
        fewer_Q2 = trial.before_step()
        assert (fewer_Q2 is None) == (progress >= SETTLED)
        if fewer_Q2 is not None:
            trial.after_step(torch.ones(8), torch.rand(8))
    assert {size for progress, size in sizes.items() if progress < EXPLORED} == {28}
    assert {size for progress, size in sizes.items() if progress > FOCUSED + 0.01} == {7}
    assert 14 < sizes[(EXPLORED + FOCUSED) / 2] < 21


def test_planted_effects_are_found_kept_and_told() -> None:
    trial = played(trial_of(8, 7), 90)
    settled_Q2 = trial.start_epoch(SETTLED)
    assert torch.equal(settled_Q2, trial.pairs_Q2)
    kept = pairs_of(trial.pairs_Q2)
    assert GOOD in kept and BAD not in kept
    assert len(kept) == 7
    for _ in range(3):
        assert trial.before_step() is None
    assert torch.equal(trial.start_epoch(0.9), settled_Q2)
    report = pair_report(trial, NAMES, trial.pairs_Q2)
    json.dumps(report)
    assert len(report["pairs"]) == 28 == report["pairs_in_all"]
    found = {tuple(NAMES.index(c) for c in entry["columns"]): entry for entry in report["pairs"]}
    good, bad = found[GOOD], found[BAD]
    assert report["pairs"][0] is good
    assert good["decision"] == "PROTECT" and good["kept"]
    third = next(lift for lift in good["lifts"] if lift.get("third"))
    assert third["helps"] == "column 2" and third["mean"] == pytest.approx(0.15, abs=0.05)
    assert good["paired"] >= 5 and good["unpaired"] >= 5
    assert {"period", "change"} <= set(good["swaps"][0])
    assert bad["decision"] == "PRUNE" and not bad["kept"]
    assert bad["lifts"][1]["helps"] == "column 0" and bad["lifts"][1]["mean"] < -0.05
    assert "told worse with column 0 and column 6" in bad["reason"]
    assert "column 1 ↔ column 4" in report["text"]


def test_a_sound_score_foretells_the_held_out_lifts() -> None:
    """Every pair has an effect of its own on its first column: the ranks agree."""
    trial, rng = trial_of(6, 2), np.random.default_rng(1)
    effect_P = rng.normal(size=15) * 0.2
    for period in range(300):
        trial.start_epoch(0.3 * period / 300)  # nothing is dropped: all are measured equally well
        trial.before_step()
        trial.before_step()
        gains = 0.05 * rng.normal(size=6)
        for pair in (~trial.active_P).nonzero().squeeze(1).tolist():
            gains[int(trial.pairs_P2[pair, 0])] -= effect_P[pair]
        trial.after_step(torch.ones(6), torch.tensor(gains).float())
    checked = self_validation(
        trial, NAMES, {tuple(trial.pairs_P2[int(effect_P.argmin())].tolist())}
    )
    assert checked["rho"] > 0.4 and checked["p_value"] < 0.1
    assert checked["verdict"] == "ok" and checked["advice"] == ""
    assert checked["top_lift"] > 0 > checked["bottom_lift"]
    # The worst pair of all, had it been kept, and the good ones that were not.
    assert len(checked["false_positives"]) == 1
    assert len(checked["false_negatives"]) >= 3
    assert "Spearman's rho" in checked["text"]


def test_noise_is_called_noise() -> None:
    trial = played(trial_of(8, 7), 60, size=0.0)
    checked = self_validation(trial, NAMES, set())
    assert abs(checked["rho"]) < 0.4
    assert checked["verdict"] == "warning"
    assert "hardly more than their noise" in checked["advice"]
    assert "do not foretell" in checked["text"]


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_narrow_tables_have_a_log_too(columns: int) -> None:
    trial = trial_of(columns, 3)
    for _ in range(80):
        if trial.before_step() is not None:
            trial.after_step(torch.rand(columns), torch.rand(columns))
    trial.start_epoch(SETTLED)
    report = pair_report(trial, NAMES[:columns], trial.pairs_Q2)
    json.dumps(report)
    assert len(report["pairs"]) == columns * (columns - 1) // 2
    assert report["self_validation"]["pairs"] < LEAST_PAIRS
    assert report["self_validation"]["rho"] is None


def test_a_training_that_is_too_short_keeps_all_pairs() -> None:
    trial = trial_of(8, 2)
    for progress in (0.0, SETTLED):
        assert len(trial.start_epoch(progress)) == 28


def test_where_nothing_is_tried_the_first_pairs_stay() -> None:
    first_Q2 = torch.tensor([[0, 1], [2, 3]])
    trial = PairTrial(PairSampler(8, 0, 1), 8, first_Q2)
    for progress in (0.0, SETTLED):
        assert torch.equal(trial.start_epoch(progress), first_Q2)
        assert trial.before_step() is None and trial.before_step() is None
    report = pair_report(trial, NAMES, first_Q2)
    assert sum(entry["kept"] for entry in report["pairs"]) == 2
    assert {e["decision"] for e in report["pairs"]} == {"KEEP", "EXPLORE"}


def test_another_training_forgets() -> None:
    trial = played(trial_of(8, 7), 60)
    trial.start_epoch(SETTLED)
    trial.begin()
    assert len(trial.history) == 0 and trial.kept_Q is None
    assert bool(trial.schedule.candidate_P.all()) and not trial.schedule.events
    again = played(trial, 60)
    again.start_epoch(SETTLED)
    fresh = played(trial_of(8, 7), 60)
    fresh.start_epoch(SETTLED)
    assert torch.equal(again.pairs_Q2, fresh.pairs_Q2)


@pytest.mark.parametrize("stopped", [3, 44, 50, 76, 81, 90])
def test_an_interrupted_experiment_goes_on_as_if_it_were_not(stopped: int) -> None:
    def state(trial: PairTrial) -> tuple[Any, Any]:
        tensors, record = trial.state()
        return {k: v.tolist() for k, v in tensors.items()}, json.loads(json.dumps(record))

    def step(trial: PairTrial, number: int) -> None:
        generator = torch.Generator().manual_seed(number)
        trial.start_epoch(number / 300)
        if trial.before_step() is not None:
            trial.after_step(*torch.rand(2, 8, generator=generator))

    whole, broken = trial_of(8, 7), trial_of(8, 7)
    for number in range(300):
        step(whole, number)
        if number == 2 * stopped + 1:
            tensors, record = broken.state()
            kept = {k: v.clone() for k, v in tensors.items()}
            broken = trial_of(8, 7)
            broken.restore(kept, json.loads(json.dumps(record)))
        step(broken, number)
    assert state(whole) == state(broken)
    assert whole.kept_Q is not None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_schemes_to_measure_against(scheme: str) -> None:
    trial = played(trial_of(8, 7, scheme=scheme), 60)
    trial.start_epoch(SETTLED)
    expected = {"causal": 7, "all": 28, "none": 0, "random": 7, "distance": 7}
    assert len(pairs_of(trial.pairs_Q2)) == len(trial.pairs_Q2) == expected[scheme]
    if scheme in ("all", "none", "random"):
        fresh = trial_of(8, 7, scheme=scheme)
        assert torch.equal(fresh.start_epoch(0.0), trial.pairs_Q2), "the same from the beginning"
    with pytest.raises(ValueError, match="scheme"):
        PairSampler(8, 7, 1, "best")


def test_a_log_of_very_many_pairs_tells_the_best_and_the_worst(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pair_log, "LISTED", 12)
    monkeypatch.setattr(pair_log, "LISTED_WORST", 4)
    trial = played(trial_of(8, 7), 90)
    trial.start_epoch(SETTLED)
    report = pair_report(trial, NAMES, trial.pairs_Q2)
    found = [tuple(NAMES.index(c) for c in entry["columns"]) for entry in report["pairs"]]
    assert len(found) == 12 and report["pairs_in_all"] == 28
    assert found[0] == GOOD and BAD in found[-4:]
    assert sum(entry["kept"] for entry in report["pairs"]) == 7
