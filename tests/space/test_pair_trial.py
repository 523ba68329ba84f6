"""The running experiment: periods, planted effects end to end, log and self-validation (JOINT-3, JOINT-4)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from featrix_core.space.pair_log import LEAST_PAIRS, pair_report, self_validation
from featrix_core.space.pair_trial import HELD_OUT, SETTLED, STEPS, PairTrial
from featrix_core.space.relationships import SCHEMES, PairSampler

NO_PAIRS = torch.zeros((0, 2), dtype=torch.int64)
GOOD, BAD = (1, 4), (0, 6)
NAMES = [f"column {k}" for k in range(8)]


def trial_of(columns: int, slots: int, seed: int = 3, scheme: str = "causal") -> PairTrial:
    return PairTrial(PairSampler(columns, 8 * slots, seed, scheme), columns, NO_PAIRS)


def played(trial: PairTrial, periods: int, size: float = 0.15, seed: int = 0) -> PairTrial:
    """A training in which `GOOD` helps column 2 beside its own two, and `BAD` harms column 0."""
    rng, first = np.random.default_rng(seed), len(trial.history)
    for period in range(first, first + periods):
        trial.start_epoch(SETTLED * period / (first + periods))
        for _ in range(STEPS):
            active = {tuple(p) for p in trial.before_step().tolist()}
            losses = 2.5 + np.exp(-period / 10) + 0.06 * rng.normal(size=trial.columns)
            losses[2] -= size * (GOOD in active)
            losses[4] -= size / 2 * (GOOD in active)
            losses[0] += size * (BAD in active)
            counts = torch.full((trial.columns,), 50)
            trial.after_step(torch.tensor(losses).float() * counts, counts)
    return trial


def test_periods_are_four_updates_and_a_third_is_held_out() -> None:
    trial = trial_of(8, 7)
    drawn = []
    for _ in range(10 * STEPS):
        drawn.append(trial.before_step().tolist())
        trial.after_step(torch.ones(8), torch.ones(8))
    assert len(trial.history) == 10
    for period in range(10):
        assert all(d == drawn[STEPS * period] for d in drawn[STEPS * period :][:STEPS])
    assert len({str(d) for d in drawn}) > 5
    assert all(len(d) == 7 for d in drawn)
    longer = played(trial_of(8, 7), 30)
    assert torch.equal(longer.held_T()[:10], trial.held_T())
    assert longer.held_T().view(-1, HELD_OUT).sum(1).tolist() == [1] * 10
    assert len(set(longer.held_T().view(-1, HELD_OUT).long().argmax(1).tolist())) > 1


def test_planted_effects_are_found_kept_and_told() -> None:
    trial = played(trial_of(8, 7), 90)
    settled_Q2 = trial.start_epoch(SETTLED)
    assert settled_Q2 is not None and torch.equal(settled_Q2, trial.pairs_Q2)
    kept = {tuple(pair) for pair in trial.pairs_Q2.tolist()}
    assert GOOD in kept and BAD not in kept
    assert len(kept) <= 7
    before = trial.pairs_Q2
    trial.after_step(torch.ones(8), torch.ones(8))
    assert torch.equal(trial.before_step(), before)
    assert trial.start_epoch(0.9) is None
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
    assert "learn worse with column 0 and column 6" in bad["reason"]
    assert "column 1 ↔ column 4" in report["text"]


def test_a_sound_score_foretells_the_held_out_lifts() -> None:
    """Every pair has an effect of its own on its first column: the ranks agree."""
    trial, rng = trial_of(6, 2), np.random.default_rng(1)
    effect_P = rng.normal(size=15) * 0.2
    trial.schedule.swaps = 0  # nothing is dropped: all pairs are measured equally well
    for period in range(300):
        trial.start_epoch(0.3 * period / 300)
        for _ in range(STEPS):
            trial.before_step()
            losses = 3.0 + 0.05 * rng.normal(size=6)
            for pair in trial.active_P.nonzero().squeeze(1).tolist():
                losses[trial.sampler.pairs[pair][0]] -= effect_P[pair]
            trial.after_step(torch.tensor(losses).float() * 9, torch.full((6,), 9))
    checked = self_validation(trial, NAMES, {trial.sampler.pairs[int(effect_P.argmin())]})
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
        trial.before_step()
        trial.after_step(torch.rand(columns), torch.ones(columns))
    trial.start_epoch(SETTLED)
    report = pair_report(trial, NAMES[:columns], trial.pairs_Q2)
    json.dumps(report)
    assert len(report["pairs"]) == columns * (columns - 1) // 2
    assert report["self_validation"]["pairs"] < LEAST_PAIRS
    assert report["self_validation"]["rho"] is None


def test_a_training_that_is_too_short_keeps_the_first_pairs() -> None:
    first_Q2 = torch.tensor([[0, 1], [2, 3]])
    trial = PairTrial(PairSampler(8, 16, 1), 8, first_Q2)
    assert trial.start_epoch(0.0) is None
    assert trial.start_epoch(SETTLED) is None
    report = pair_report(trial, NAMES, first_Q2)
    assert sum(entry["kept"] for entry in report["pairs"]) == 2
    assert {e["decision"] for e in report["pairs"]} == {"KEEP", "EXPLORE"}


def test_another_training_forgets() -> None:
    trial = played(trial_of(8, 7), 60)
    trial.start_epoch(SETTLED)
    trial.start_epoch(0.0)
    assert len(trial.history) == 0 and trial.kept_Q is None
    assert int(trial.schedule.tried_P.sum()) == 0
    again = played(trial, 60)
    again.start_epoch(SETTLED)
    fresh = played(trial_of(8, 7), 60)
    fresh.start_epoch(SETTLED)
    assert torch.equal(again.pairs_Q2, fresh.pairs_Q2)


@pytest.mark.parametrize("stopped", [3, 25, 59])
def test_an_interrupted_experiment_goes_on_as_if_it_were_not(stopped: int) -> None:
    def state(trial: PairTrial) -> tuple[Any, Any]:
        tensors, record = trial.state()
        return {k: v.tolist() for k, v in tensors.items()}, json.loads(json.dumps(record))

    def step(trial: PairTrial, number: int) -> None:
        generator = torch.Generator().manual_seed(number)
        trial.start_epoch(number / 300)
        trial.before_step()
        trial.after_step(torch.rand(8, generator=generator), torch.ones(8))

    whole, broken = trial_of(8, 7), trial_of(8, 7)
    for number in range(250):
        step(whole, number)
        if number == stopped * STEPS + 2:
            tensors, record = broken.state()
            kept = {k: v.clone() for k, v in tensors.items()}
            broken = trial_of(8, 7)
            broken.restore(kept, json.loads(json.dumps(record)), torch.device("cpu"))
        step(broken, number)
    assert state(whole) == state(broken)
    assert whole.kept_Q is not None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_schemes_to_measure_against(scheme: str) -> None:
    trial = played(trial_of(8, 7, scheme=scheme), 60)
    trial.start_epoch(SETTLED)
    expected = {"all": 28, "none": 0, "random": 7, "distance": 7}
    if scheme in expected:
        assert len(trial.pairs_Q2) == expected[scheme]
    if scheme == "distance":
        # Column 0 stands out by its loss or not: the gaps are those of the exploration's last periods.
        assert len({tuple(p) for p in trial.pairs_Q2.tolist()}) == 7
    with pytest.raises(ValueError, match="scheme"):
        PairSampler(8, 56, 1, "best")
