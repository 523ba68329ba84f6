"""Explore, swap, protect: probabilities and draws of pairs (JOINT-3)."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from featrix_core.space.causal import Lifts
from featrix_core.space.pair_schedule import (
    CAP,
    DROPPED,
    ENTERED,
    PROTECTED,
    RELEASED,
    TRIES,
    PairSchedule,
    draw,
    spread_chances,
)

NONE = torch.zeros(0, dtype=torch.int64)


def lifts_of(total_P: Tensor, error: float = 0.01) -> Lifts:
    """Well measured lifts."""
    pairs = len(total_P)
    error_P, many_P = torch.full((pairs,), error), torch.full((pairs,), 20)
    none_P2 = torch.zeros(pairs, 2)
    return Lifts(
        none_P2, none_P2, total_P, error_P, torch.zeros(pairs, dtype=torch.int64), total_P,
        error_P, many_P, many_P, total_P - 1.96 * error_P,
    )  # fmt: skip


def schedule_of(pairs: int, columns: int, slots: int, seed: int = 0) -> PairSchedule:
    return PairSchedule(pairs, columns, slots, NONE, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("total", [0.5, 3.0, 7.0, 20.0])
def test_probabilities_sum_to_the_slots(total: float) -> None:
    weight_P = torch.tensor([0.0, 1.0, 1.0, 3.0, 1e3, 1.0, 1.0, 1.0, 1.0, 1.0])
    chance_P = spread_chances(weight_P, total)
    assert float(chance_P.sum()) == pytest.approx(min(total, 9 * CAP), rel=1e-5)
    assert float(chance_P[0]) == 0.0
    assert float(chance_P.max()) <= CAP + 1e-6
    assert bool((chance_P[1:] > 0).all()) and float(chance_P[4]) >= float(chance_P[3])


def test_draws_keep_their_probabilities() -> None:
    generator = torch.Generator().manual_seed(1)
    chance_P = torch.tensor([0.85, 0.85, 0.5, 0.4, 0.2, 0.1, 0.1, 0.0, 1.0])
    drawn_NP = torch.stack([draw(chance_P, generator) for _ in range(4000)])
    error_P = (chance_P * (1 - chance_P) / 4000).sqrt()
    assert bool(((drawn_NP.float().mean(0) - chance_P).abs() <= 4.5 * error_P + 1e-9).all())
    assert set(drawn_NP.sum(1).tolist()) <= {4, 5}
    assert draw(torch.zeros(0), generator).shape == (0,)


def test_every_pair_is_tried_before_any_is_dropped() -> None:
    schedule, generator = schedule_of(45, 10, 9), torch.Generator().manual_seed(2)
    periods = 0
    while schedule.still_exploring(0.1):
        schedule.tried(draw(schedule.chances(), generator))
        periods += 1
    assert int(schedule.tried_P.min()) >= TRIES
    assert periods < 60
    assert not schedule_of(45, 10, 9).still_exploring(0.5)


def test_swaps_are_gradual_and_keep_what_helps() -> None:
    """190 pairs: some eight are dropped per period, down to 30 %, and the good ones stay."""
    pairs, good = 190, torch.arange(0, 190, 19)
    schedule, generator = schedule_of(pairs, 20, 57), torch.Generator().manual_seed(3)
    schedule.exploring = False
    true_P = torch.full((pairs,), -0.01)
    true_P[good] = 0.08
    sizes = [int(schedule.candidate_P.sum())]
    for period in range(1, 80):
        noisy_P = true_P + 0.01 * torch.randn(pairs, generator=generator)
        schedule.swap(period, torch.arange(pairs), lifts_of(noisy_P))
        sizes.append(int(schedule.candidate_P.sum()))
        assert not bool((schedule.protected_P & ~schedule.candidate_P).any())
    assert max(a - b for a, b in itertools.pairwise(sizes)) <= 8
    assert sizes[0] == pairs and sizes[-1] == round(0.3 * pairs)
    assert bool(schedule.candidate_P[good].all())
    assert set(schedule.protected_P.nonzero().squeeze(1).tolist()) <= set(good.tolist())
    assert 5 <= int(schedule.protected_P.sum()) <= 10
    dropped = {pair for _, pair, what in schedule.events if what == DROPPED}
    assert {pair for _, pair, what in schedule.events if what == ENTERED} & dropped
    chance_P = schedule.chances()
    assert bool((chance_P[schedule.protected_P] == CAP).all())
    kept = schedule.finished(torch.arange(pairs), lifts_of(true_P))
    assert kept.tolist() == good.tolist()


def test_a_pair_that_turns_harmful_is_released_and_dropped() -> None:
    schedule = schedule_of(45, 10, 9)
    schedule.exploring = False
    total_P = torch.zeros(45)
    total_P[7] = 0.1
    schedule.swap(10, torch.arange(45), lifts_of(total_P))
    assert schedule.protected_P.nonzero().squeeze(1).tolist() == [7]
    total_P[7] = -0.1
    for period in range(11, 14):
        schedule.swap(period, torch.arange(45), lifts_of(total_P))
    history = [what for _, pair, what in schedule.events if pair == 7]
    assert history[:3] == [PROTECTED, RELEASED, DROPPED]


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 12, 40])
@pytest.mark.parametrize("slots", [0, 1, 3, 20])
def test_candidates_never_fall_below_the_floor(columns: int, slots: int) -> None:
    pairs = columns * (columns - 1) // 2
    schedule, generator = schedule_of(pairs, columns, slots), torch.Generator().manual_seed(4)
    floor = min(pairs, max(5, columns // 2)) if slots else 0
    for period in range(60):
        chance_P = schedule.chances()
        active_P = draw(chance_P, generator)
        assert int(active_P.sum()) <= slots
        assert float(chance_P.max() if pairs else 0.0) < 1.0
        schedule.tried(active_P)
        if pairs and not schedule.still_exploring(period / 60):
            noise_P = torch.randn(pairs, generator=generator)
            schedule.swap(period, torch.arange(pairs), lifts_of(noise_P))
        assert int(schedule.candidate_P.sum()) >= floor


def test_the_finished_space_fills_up_to_the_floor_with_likely_pairs() -> None:
    schedule = schedule_of(45, 10, 9)
    total_P = torch.full((45,), -0.001)
    total_P[[3, 8, 21]] = 0.005  # positive, but not surely so
    total_P[30] = 0.1
    kept = schedule.finished(torch.arange(45), lifts_of(total_P))
    assert kept.tolist() == [3, 8, 21, 30]
    assert len(schedule.finished(torch.arange(45), lifts_of(torch.full((45,), -0.1)))) == 0
    assert len(schedule.finished(torch.arange(45), lifts_of(torch.full((45,), 0.1)))) == 9


def test_pairs_of_the_model_are_candidates_from_the_start() -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.tensor([17, 400, 1200])
    schedule = PairSchedule(1225, 50, 3, first, generator)
    assert bool(schedule.candidate_P[first].all())
    assert int(schedule.candidate_P.sum()) == 36
