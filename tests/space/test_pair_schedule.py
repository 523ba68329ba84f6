"""All pairs first, then fewer and fewer; what helps is protected (JOINT-3)."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from featrix_core.space.causal import Lifts
from featrix_core.space.pair_schedule import (
    CHANCE,
    DROPPED,
    ENTERED,
    EXPLORED,
    FOCUSED,
    GRACE,
    PROTECTED,
    RELEASED,
    PairSchedule,
    draw,
)


def lifts_of(total_P: Tensor, error: float = 0.01, many: int = 20) -> Lifts:
    """Lifts of all pairs, measured in `many` periods on either side."""
    pairs = len(total_P)
    error_P, many_P = torch.full((pairs,), error), torch.full((pairs,), many)
    none_P2 = torch.zeros(pairs, 2)
    return Lifts(
        none_P2, none_P2, total_P, error_P, torch.zeros(pairs, dtype=torch.int64), total_P,
        error_P, many_P, many_P, total_P - 1.96 * error_P,
    )  # fmt: skip


def schedule_of(pairs: int, slots: int, seed: int = 0) -> PairSchedule:
    return PairSchedule(pairs, slots, torch.Generator().manual_seed(seed))


def test_draws_keep_their_probabilities() -> None:
    generator = torch.Generator().manual_seed(1)
    chance_P = torch.tensor([0.85, 0.5, 0.5, 0.4, 0.2, 0.1, 0.0, 1.0])
    drawn_NP = torch.stack([draw(chance_P, generator) for _ in range(4000)])
    error_P = (chance_P * (1 - chance_P) / 4000).sqrt()
    assert bool(((drawn_NP.float().mean(0) - chance_P).abs() <= 4.5 * error_P + 1e-9).all())
    assert draw(torch.zeros(0), generator).shape == (0,)


def test_draws_are_independent_of_each_other() -> None:
    """If one pair were out because another is in, it would be charged with what that one does."""
    generator = torch.Generator().manual_seed(2)
    chance_P = torch.full((3,), 0.5)
    drawn_NP = torch.stack([draw(chance_P, generator) for _ in range(4000)]).float()
    off = torch.corrcoef(drawn_NP.T) - torch.eye(3)
    assert float(off.abs().max()) < 4.5 / 4000**0.5


@pytest.mark.parametrize("pairs, slots", [(0, 0), (1, 1), (45, 18), (190, 76)])
def test_all_pairs_are_candidates_at_first(pairs: int, slots: int) -> None:
    schedule = schedule_of(pairs, slots)
    assert schedule.chances().tolist() == [CHANCE] * pairs
    assert schedule.still_exploring(EXPLORED - 0.01)
    assert not schedule.still_exploring(EXPLORED)
    # A progress that steps back, which a longer training's does, starts no second exploration.
    assert not schedule.still_exploring(EXPLORED - 0.01)


def test_without_slots_there_is_no_candidate() -> None:
    assert not bool(schedule_of(10, 0).chances().any())


def test_swaps_are_gradual_and_keep_what_helps() -> None:
    """190 pairs go down to 57 between half and three quarters of the training; the good ones stay."""
    pairs, slots, good = 190, 57, torch.arange(0, 190, 19)
    schedule, generator = schedule_of(pairs, slots), torch.Generator().manual_seed(3)
    true_P = torch.full((pairs,), -0.01)
    true_P[good] = 0.08
    sizes = [(0.0, pairs)]
    for period in range(1, 201):
        progress = period / 200
        if not schedule.still_exploring(progress):
            noisy_P = true_P + 0.01 * torch.randn(pairs, generator=generator)
            schedule.swap(period, progress, torch.arange(pairs), lifts_of(noisy_P))
        chance_P, size = schedule.chances(), int(schedule.candidate_P.sum())
        assert torch.equal(chance_P, CHANCE * schedule.candidate_P.float())
        assert not bool((schedule.protected_P & ~schedule.candidate_P).any())
        line = pairs + (slots - pairs) * (progress - EXPLORED) / (FOCUSED - EXPLORED)
        assert abs(size - min(max(line, slots), pairs)) <= 1
        sizes.append((progress, size))
    assert all(size == pairs for progress, size in sizes if progress < EXPLORED)
    assert all(size == slots for progress, size in sizes if progress >= FOCUSED)
    steps = [a - b for (_, a), (_, b) in itertools.pairwise(sizes)]
    assert min(steps) >= 0 and max(steps) <= 4
    assert bool(schedule.candidate_P[good].all())
    assert set(schedule.protected_P.nonzero().squeeze(1).tolist()) <= set(good.tolist())
    assert 5 <= int(schedule.protected_P.sum()) <= 10
    # Some that were dropped come back for a while, also once the number is reached.
    events = schedule.events
    entered = [(period, pair) for period, pair, what in events if what == ENTERED]
    assert {pair for _, pair in entered} <= {pair for _, pair, what in events if what == DROPPED}
    assert max(period for period, _ in entered) > 190
    for start, pair in entered:
        left = [p for p, other, what in events if (other, what) == (pair, DROPPED) and p > start]
        assert not left or left[0] - start >= GRACE
    assert set(good.tolist()) <= set(
        schedule.finished(torch.arange(pairs), lifts_of(true_P)).tolist()
    )


def test_hardly_known_pairs_are_neither_good_nor_bad() -> None:
    """A large harm seen in one period counts less than a small one seen in twenty."""
    schedule = schedule_of(10, 5)
    total_P = torch.zeros(10)
    total_P[2], total_P[7] = -0.05, -0.03
    lifts = lifts_of(total_P)
    lifts.paired_P[2] = 1
    schedule.swap(20, EXPLORED + (FOCUSED - EXPLORED) / 5, torch.arange(10), lifts)
    assert schedule.candidate_P.tolist() == [k != 7 for k in range(10)]


def test_a_pair_that_turns_harmful_is_released_and_dropped() -> None:
    schedule = schedule_of(45, 9)
    total_P = torch.zeros(45)
    total_P[7] = 0.1
    schedule.swap(10, EXPLORED, torch.arange(45), lifts_of(total_P))
    assert schedule.protected_P.nonzero().squeeze(1).tolist() == [7]
    total_P[7] = -0.1
    for period in range(11, 14):
        schedule.swap(period, EXPLORED + 0.02, torch.arange(45), lifts_of(total_P))
    history = [what for _, pair, what in schedule.events if pair == 7]
    assert history[:3] == [PROTECTED, RELEASED, DROPPED]


@pytest.mark.parametrize("pairs", [1, 3, 6, 10, 66])
@pytest.mark.parametrize("slots", [1, 5, 20])
@pytest.mark.parametrize("periods", [4, 12, 60])
def test_candidates_never_fall_below_the_slots(pairs: int, slots: int, periods: int) -> None:
    schedule, generator = schedule_of(pairs, slots), torch.Generator().manual_seed(4)
    for period in range(1, periods + 1):
        progress = period / periods
        if not schedule.still_exploring(progress):
            noise_P = torch.randn(pairs, generator=generator)
            schedule.swap(period, progress, torch.arange(pairs), lifts_of(noise_P))
        assert int(schedule.candidate_P.sum()) >= min(slots, pairs)


def test_the_finished_space_reads_the_best_by_their_bound() -> None:
    schedule = schedule_of(45, 5)
    total_P = torch.full((45,), -0.001)
    total_P[[3, 8, 21]] = 0.005  # positive, but not surely so
    total_P[30] = 0.1
    score_P = lifts_of(total_P).score_P
    score_P[21] = -torch.inf  # nothing is known of it
    score_P[44] += 0.0005
    lifts = replace(lifts_of(total_P), score_P=score_P)
    assert schedule.finished(torch.arange(45), lifts).tolist()[1:] == [3, 8, 30, 44]
    # Numbers of pairs, not places among those that were seen.
    seen_S = torch.arange(10, 55)
    assert schedule.finished(seen_S, lifts).tolist()[1:] == [13, 18, 40, 54]
    assert len(schedule.finished(torch.arange(45), lifts_of(torch.full((45,), -0.1)))) == 5
