"""Each failure mode of D11 is seen in a history that shows it, and in no other."""

from __future__ import annotations

from typing import Any

import pytest

from featrix_core.training.failures import (
    annealed,
    collapsed,
    comparable,
    converged,
    detect_failures,
    improvement,
    learned,
    present_run,
    training_loss,
    warming,
)

Entries = list[dict[str, Any]]


def history(
    train: list[float], validation: list[float], norm: float = 1.0, last: int = 30
) -> Entries:
    """Entries up to epoch `last`."""
    first = last - len(train) + 1
    return [
        {
            "epoch": first + k,
            "train_loss": t,
            "validation_loss": v,
            "gradients": {"unclipped_norm": norm},
        }
        for k, (t, v) in enumerate(zip(train, validation, strict=True))
    ]


FALLING = [4.0, 3.8, 3.6, 3.4, 3.2, 3.0]
FLAT = [3.0] * 6


@pytest.mark.parametrize(
    "entries, expected",
    [
        (history([3.0], [3.0], norm=1e-9, last=1), ["DEAD_NETWORK"]),
        (history([3.0], [3.0], norm=1e-7, last=1), []),
        (history(FLAT, FLAT), ["NO_LEARNING"]),
        (history(FLAT, FLAT, last=15), []),
        (history(FLAT[:5], FLAT[:5]), []),
        (history(FLAT, [3.0, 3.0, 3.0, 3.0, 3.0, 2.984]), []),
        (history(FLAT, [3.0, 3.0, 3.0, 3.0, 3.0, 2.986]), ["NO_LEARNING"]),
        (history(FLAT, FLAT, norm=0.001, last=12), ["VERY_SLOW_LEARNING"]),
        (history(FLAT, FLAT, norm=0.02, last=12), []),
        (history(FLAT, [3.0, 3.0, 3.0, 3.0, 3.0, 2.978], norm=0.001), ["VERY_SLOW_LEARNING"]),
        (history(FLAT, [3.0, 3.0, 3.0, 3.0, 3.0, 2.96], norm=0.001), []),
        (
            history([3.0, 2.9, 2.8, 2.7, 2.6, 2.5], [3.0, 3.05, 3.1, 3.15, 3.2, 3.3], last=12),
            ["SEVERE_OVERFITTING"],
        ),
        (history([3.0, 2.9, 2.8, 2.7, 2.6, 2.5], [3.0, 3.05, 3.1, 3.15, 3.2, 3.3], last=10), []),
        (
            history(
                [2.6, 2.6, 2.59, 2.59, 2.58, 2.58], [3.0, 2.95, 2.95, 2.95, 2.95, 3.02], last=12
            ),
            ["MODERATE_OVERFITTING"],
        ),
        # A tenth of a per cent is neither an improvement nor a loss.
        (history([2.6] * 6, [3.0, 2.95, 2.95, 2.95, 2.95, 3.003], last=12), []),
        (history([3.0, 2.0, 3.0, 2.0, 3.0, 2.0], [4.0, 3.0] * 3), ["UNSTABLE_TRAINING"]),
        (history([3.0, 3.0, 3.0, 5.0, 3.0, 3.0], [4.0, 3.0] * 3, last=7), ["UNSTABLE_TRAINING"]),
        # Noise of the masks alone; the weights are where they were.
        (history([3.0, 2.0, 3.0, 2.0, 3.0, 2.0], FALLING), []),
        (history([3.5, 3.4, 3.3, 3.2, 3.1, 3.0], FALLING), []),
        # Fast and steady is not unstable, although the losses vary by a third of their mean.
        (history([5.0, 4.2, 3.5, 2.9, 2.95, 2.1], FALLING), []),
        (history([8.0, 4.0, 2.0, 1.0, 0.5, 0.25], FALLING), []),
    ],
)
def test_failure_modes(entries: Entries, expected: list[str]) -> None:
    assert detect_failures(entries) == expected


def test_train_and_validation_are_compared_in_the_same_terms() -> None:
    """A curriculum that lowers its weights makes the total fall; the reconstruction says nothing is gained."""
    entries = history([3.0, 2.9, 2.8, 2.7, 2.6, 2.5], [3.0, 3.05, 3.1, 3.15, 3.2, 3.3], last=12)
    assert training_loss(entries[-1]) == 2.5
    for entry in entries:
        entry["reconstruction_loss"] = 3.0
    assert training_loss(entries[-1]) == 3.0
    assert detect_failures(entries) == []


def with_rates(losses: list[float], rates: list[float]) -> Entries:
    """Entries from epoch 1 on."""
    entries = history(losses, losses, last=len(losses))
    for entry, rate in zip(entries, rates, strict=True):
        entry["learning_rate"] = rate
    return entries


def test_a_flat_end_after_annealing_is_no_failure() -> None:
    losses = [4.0 - 0.1 * k for k in range(14)] + [2.6] * 6
    high = with_rates(losses, [0.01] * 20)
    assert learned(high) and not annealed(high)
    assert detect_failures(high) == ["NO_LEARNING"]
    falling = with_rates(losses, [0.01 * (1 - k / 20) for k in range(20)])
    assert converged(falling)
    assert detect_failures(falling) == []


def test_a_flat_run_that_never_learned_is_one_however_low_its_rate() -> None:
    entries = with_rates([4.0] * 20, [0.01 * (1 - k / 20) for k in range(20)])
    assert annealed(entries) and not converged(entries)
    assert detect_failures(entries) == ["NO_LEARNING"]


def test_a_boosted_rate_is_no_measure_of_the_schedule() -> None:
    entries = with_rates([4.0] * 4, [0.01, 0.03, 0.03, 0.009])
    assert annealed(entries)
    for entry in entries[1:3]:
        entry["corrective_actions"] = ["LR_BOOST_ACTIVE"]
    assert not annealed(entries)
    assert not warming(with_rates([4.0] * 2, [0.0, 0.0]))
    assert warming(with_rates([4.0] * 2, [0.001, 0.002]))


def test_what_was_learned_within_the_first_epoch_counts() -> None:
    entries = history([4.0] + [1.1] * 5, [1.2] + [1.15] * 5, last=6)
    assert improvement(entries) == pytest.approx(0.05 / 1.2)
    assert learned(entries)
    # Validation rows that are easier than those of training are no progress.
    assert not learned(history([4.0] * 6, [1.2] * 6, last=6))


def test_losses_on_other_rows_are_not_compared() -> None:
    """An exchange of validation rows that makes them easier hides no plateau and shows no gain."""
    entries = history([3.0] * 12, [3.0] * 6 + [2.5] * 6)
    entries[6]["val_set_resampled"] = True
    assert comparable(entries[:8]) == entries[6:8]
    assert detect_failures(entries[:8]) == []
    assert detect_failures(entries) == ["NO_LEARNING"]


def test_a_restarted_run_is_young() -> None:
    entries = history([3.0] * 27, [3.0] * 27, last=27)
    entries[11]["corrective_actions"] = ["RESTART"]
    assert present_run(entries) == entries[12:]
    assert detect_failures(entries) == []  # its fifteenth epoch
    entries += history([3.0], [3.0], last=28)
    assert detect_failures(entries) == ["NO_LEARNING"]


def test_collapse_is_all_three_figures() -> None:
    point = {"embedding_std": 0.009, "embedding_range": 0.09, "embedding_distance": 0.09}
    assert collapsed(point)
    for figure in point:
        assert not collapsed({**point, figure: 0.11})
    assert not collapsed({})
    entries = history([3.0], [3.0], last=1)
    entries[0] |= point
    assert detect_failures(entries) == ["EMBEDDING_COLLAPSE"]
