"""Lifts of column pairs against effects that are known (JOINT-3)."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from featrix_core.space.causal import (
    COMPLEXITY,
    ENOUGH,
    INTERVAL,
    Experiment,
    History,
    Lifts,
    measure,
)
from featrix_core.space.pair_schedule import CHANCE, draw

COLUMNS = 7
PAIRS_P2 = torch.tensor(list(itertools.combinations(range(COLUMNS), 2)))
NUMBER = {tuple(pair): k for k, pair in enumerate(PAIRS_P2.tolist())}


def observed(effect_PA: Tensor, chance_TP: Tensor, seed: int, noise: float = 0.03) -> Experiment:
    """What is lost with the pairs that are left out, and noise; effects grow as the network learns."""
    generator = torch.Generator().manual_seed(seed)
    periods = len(chance_TP)
    active_TP = torch.stack([draw(chance_P, generator) for chance_P in chance_TP]).float()
    learned_T1 = 0.5 + torch.arange(periods).unsqueeze(1) / max(periods - 1, 1)
    common_T1 = torch.randn(periods, 1, generator=generator) * noise
    own_TA = torch.randn(periods, COLUMNS, generator=generator) * noise
    lost_TA = (active_TP - chance_TP.gt(0).float()) @ effect_PA * learned_T1
    return Experiment(lost_TA + common_T1 + own_TA, active_TP, chance_TP)


def lifts_of(experiment: Experiment) -> Lifts:
    used_T = torch.ones(len(experiment.gains_TA), dtype=torch.bool)
    return measure(experiment, PAIRS_P2, used_T)


def test_both_directions_are_found() -> None:
    """Pair (1, 4) helps column 4 and harms column 1; nobody else does anything."""
    pair = NUMBER[1, 4]
    effect_PA = torch.zeros(len(PAIRS_P2), COLUMNS)
    effect_PA[pair, 4], effect_PA[pair, 1] = 0.10, -0.06
    chance_TP = torch.full((120, len(PAIRS_P2)), CHANCE)
    lifts = lifts_of(observed(effect_PA, chance_TP, 3))
    found_P2, error_P2 = lifts.onto_P2, lifts.onto_error_P2
    assert float(found_P2[pair, 0]) == pytest.approx(0.10, abs=3 * float(error_P2[pair, 0]))
    assert float(found_P2[pair, 1]) == pytest.approx(-0.06, abs=3 * float(error_P2[pair, 1]))
    assert float(error_P2.max()) < 0.015
    assert int(found_P2[:, 0].argmax()) == pair
    assert int(found_P2[:, 1].argmin()) == pair


def test_an_interaction_shows_on_the_third_column() -> None:
    pair = NUMBER[0, 2]
    effect_PA = torch.zeros(len(PAIRS_P2), COLUMNS)
    effect_PA[pair, 5] = 0.10
    chance_TP = torch.full((120, len(PAIRS_P2)), 0.3)
    lifts = lifts_of(observed(effect_PA, chance_TP, 4))
    assert int(lifts.third_column_P[pair]) == 5
    assert int(lifts.score_P.argmax()) == pair
    assert float(lifts.score_P[pair]) > 0
    assert float(lifts.third_P[pair]) == pytest.approx(0.10, abs=0.03)


def test_the_best_other_column_is_chosen_without_bias() -> None:
    """Where nothing has an effect, picking the luckiest column does not make one."""
    chance_TP = torch.full((60, len(PAIRS_P2)), 0.3)
    none_PA = torch.zeros(len(PAIRS_P2), COLUMNS)
    all_lifts = [lifts_of(observed(none_PA, chance_TP, seed)) for seed in range(30)]
    third = torch.cat([lifts.third_P for lifts in all_lifts])
    error = torch.cat([lifts.third_error_P for lifts in all_lifts])
    assert abs(float(third.mean())) < 3 * float(error.mean()) / len(third) ** 0.5
    assert float(third.std()) == pytest.approx(float(error.mean()), rel=0.15)


def test_intervals_hold_what_they_promise() -> None:
    chance_TP = torch.full((80, len(PAIRS_P2)), CHANCE)
    none_PA = torch.zeros(len(PAIRS_P2), COLUMNS)
    inside: list[float] = []
    for seed in range(30):
        lifts = lifts_of(observed(none_PA, chance_TP, seed))
        within = lifts.total_P.abs() <= INTERVAL * lifts.total_error_P
        inside.append(float(within.float().mean()))
    assert sum(inside) / len(inside) == pytest.approx(0.95, abs=0.025)


def test_unequal_chances_leave_the_lift_unbiased() -> None:
    """A useless pair that is there mostly in the later half, when gains are lower anyway, is no worse for it."""
    pair, other, periods = NUMBER[2, 3], NUMBER[0, 3], 120
    chance_TP = torch.full((periods, len(PAIRS_P2)), 0.3)
    chance_TP[: periods // 2, pair], chance_TP[periods // 2 :, pair] = 0.1, 0.8
    effect_PA = torch.zeros(len(PAIRS_P2), COLUMNS)
    effect_PA[other, 3] = 0.2
    found = [float(lifts_of(observed(effect_PA, chance_TP, s)).onto_P2[pair, 0]) for s in range(20)]
    assert sum(found) / 20 == pytest.approx(0.0, abs=0.012)


@pytest.mark.parametrize("columns", [3, 4])
def test_a_useless_pair_is_not_charged_with_what_others_do(columns: int) -> None:
    """Few pairs, of which some help a lot: the others' lifts are zero all the same, not below."""
    pairs_P2 = torch.tensor(list(itertools.combinations(range(columns), 2)))
    total = torch.zeros(len(pairs_P2))
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        chance_TP = torch.full((60, len(pairs_P2)), CHANCE)
        active_TP = torch.stack([draw(chance_P, generator) for chance_P in chance_TP]).float()
        # The first pair and the second help column 1.
        gains_TA = torch.randn(60, columns, generator=generator) * 0.02
        gains_TA[:, 1] += 0.2 * active_TP[:, 0] + 0.2 * active_TP[:, 1]
        used_T = torch.ones(60, dtype=torch.bool)
        lifts = measure(Experiment(gains_TA, active_TP, chance_TP), pairs_P2, used_T)
        total += lifts.total_P / 20
    assert total[:2].tolist() == pytest.approx([0.2, 0.2], abs=0.05)
    assert total[2:].tolist() == pytest.approx([0.0] * (len(total) - 2), abs=0.05)


def test_periods_without_a_choice_count_for_nothing() -> None:
    chance_TP = torch.full((40, len(PAIRS_P2)), 0.3)
    always, never = NUMBER[0, 1], NUMBER[0, 3]
    chance_TP[:, always], chance_TP[:, never] = 1.0, 0.0
    lifts = lifts_of(observed(torch.zeros(len(PAIRS_P2), COLUMNS), chance_TP, 1))
    for pair in (always, never):
        assert int(lifts.paired_P[pair]) == int(lifts.unpaired_P[pair]) == 0
        assert float(lifts.score_P[pair]) == -torch.inf


def test_few_observations_lower_the_bound_further() -> None:
    chance_TP = torch.zeros(40, len(PAIRS_P2))
    often, rarely = NUMBER[0, 1], NUMBER[3, 4]
    chance_TP[:, often] = 0.5
    chance_TP[10:16, rarely] = 0.5
    lifts = lifts_of(observed(torch.zeros(len(PAIRS_P2), COLUMNS), chance_TP, 2))

    def margin(pair: int) -> float:
        gap = lifts.total_P[pair] - lifts.score_P[pair] - COMPLEXITY
        return float(gap / lifts.total_error_P[pair])

    assert min(int(lifts.paired_P[rarely]), int(lifts.unpaired_P[rarely])) < ENOUGH
    assert margin(often) == pytest.approx(INTERVAL, rel=1e-3)
    assert margin(rarely) > 1.2 * INTERVAL


def test_what_was_held_out_is_not_looked_at() -> None:
    chance_TP = torch.full((60, len(PAIRS_P2)), 0.3)
    effect_PA = torch.zeros(len(PAIRS_P2), COLUMNS)
    effect_PA[NUMBER[0, 1], 0] = 0.2
    experiment = observed(effect_PA, chance_TP, 5)
    used_T = torch.arange(60) % 3 != 0
    moved_TP = experiment.active_TP.clone()
    moved_TP[~used_T] = 1 - moved_TP[~used_T]
    one = measure(experiment, PAIRS_P2, used_T)
    other = measure(experiment._replace(active_TP=moved_TP), PAIRS_P2, used_T)
    assert torch.equal(one.total_P, other.total_P)
    assert torch.equal(one.score_P, other.score_P)


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_narrow_tables(columns: int) -> None:
    pairs = list(itertools.combinations(range(columns), 2))
    pairs_P2 = torch.tensor(pairs, dtype=torch.int64).view(-1, 2)
    generator = torch.Generator().manual_seed(1)
    active_TP = (torch.rand(30, len(pairs_P2), generator=generator) < 0.5).float()
    gains_TA = torch.rand(30, columns, generator=generator)
    experiment = Experiment(gains_TA, active_TP, torch.full_like(active_TP, 0.5))
    lifts = measure(experiment, pairs_P2, torch.ones(30, dtype=torch.bool))
    assert lifts.onto_P2.shape == (len(pairs_P2), 2)
    assert bool(lifts.total_P.isfinite().all())
    assert bool((lifts.third_column_P >= 0).all()) == (columns > 2) or not len(pairs_P2)


def test_history_gives_back_what_was_added() -> None:
    history, generator = History(3), torch.Generator().manual_seed(2)
    assert len(history.seen()) == 0
    assert history.experiment(history.seen()).gains_TA.shape == (0, 3)
    rows = []
    for period in range(6):
        chance_P = torch.tensor([0.5, 0.0, 0.5 if period > 2 else 0.0])
        active_P = draw(chance_P, generator)
        losses_A, gains_A = torch.rand(2, 3, generator=generator).unbind()
        history.add(losses_A, gains_A, active_P, chance_P)
        rows.append((losses_A, gains_A, active_P, chance_P))
    none_A = torch.tensor([float("nan"), 1.0, 2.0])
    history.add(none_A, none_A, torch.zeros(3) > 0, torch.zeros(3))
    assert history.seen().tolist() == [0, 2]
    twin = History(3)
    twin.restore({k: v.clone() for k, v in history.state().items()})
    for one in (history, twin):
        gains_TA, active_TS, chance_TS = one.experiment(one.seen())
        assert torch.equal(gains_TA[:6], torch.stack([r[1] for r in rows]))
        assert torch.equal(active_TS[:6], torch.stack([r[2][[0, 2]] for r in rows]).float())
        assert torch.equal(chance_TS[:6], torch.stack([r[3][[0, 2]] for r in rows]))
        # A column without a hidden cell: the last loss, and no gain.
        assert gains_TA[6].tolist() == [0.0, 1.0, 2.0]
        assert float(one.mean_losses(1)[0]) == float(rows[-1][0][0])
        last_A = torch.stack([r[0] for r in rows[-1:]] + [torch.tensor([0.0, 1.0, 2.0])]).mean(0)
        assert torch.equal(one.mean_losses(2)[1:], last_A[1:])
        assert not active_TS[6].any()
