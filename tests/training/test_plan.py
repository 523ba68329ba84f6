"""The plan follows from the number of rows alone (TRAIN-2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featrix_core.predictor.plan import LEAST_EPOCHS, plan_predictor
from featrix_core.training.plan import plan_space


@given(st.integers(2, 2_000_000))
def test_a_space_gets_enough_updates_and_not_many_more(rows: int) -> None:
    plan = plan_space(rows)
    assert 2 <= plan.batch_size <= min(256, rows)
    assert plan.steps_per_epoch * plan.batch_size <= rows
    assert plan.updates >= 300
    assert plan.updates < 900 + plan.steps_per_epoch


@pytest.mark.parametrize(
    "rows, batch", [(200, 64), (1000, 128), (2000, 256), (48_842, 256), (40, 16), (9, 9)]
)
def test_batch_is_a_quarter_of_a_small_table_within_bounds(rows: int, batch: int) -> None:
    assert plan_space(rows).batch_size == batch


def test_what_the_user_sets_is_kept() -> None:
    plan = plan_space(1000, epochs=3, batch_size=200, seed=7)
    assert (plan.epochs, plan.batch_size, plan.steps_per_epoch, plan.seed) == (3, 200, 5, 7)


@given(st.integers(2, 2_000_000), st.integers(1, 500))
def test_long_tables_have_as_many_epochs_as_others_and_epochs_do_not_change_their_length(
    rows: int, epochs: int
) -> None:
    plan = plan_space(rows)
    assert plan.epochs >= 30
    assert plan_space(rows, epochs=epochs).steps_per_epoch == plan.steps_per_epoch


def test_small_tables_and_rare_classes_are_bagged_and_large_ones_are_fine_tuned() -> None:
    small, middle, large = (plan_predictor(n) for n in (1_000, 3_000, 40_000))
    assert (small.folds, middle.folds, large.folds) == (5, 5, 1)
    assert (small.fine_tune, middle.fine_tune, large.fine_tune) == (False, True, True)
    rare, common = (plan_predictor(40_000, others=count) for count in (400, 4_000))
    assert (rare.folds, common.folds, rare.fine_tune) == (5, 1, True)
    assert plan_predictor(1_000, fine_tune=True).fine_tune
    assert not plan_predictor(40_000, fine_tune=False).fine_tune


@given(st.integers(1, 2_000_000), st.none() | st.integers(0, 1_000))
def test_a_predictors_training_fits_its_rows(rows: int, others: int | None) -> None:
    plan = plan_predictor(rows, others=others)
    training = plan.training(rows, 3)
    assert training.epochs >= LEAST_EPOCHS
    assert 1 <= training.batch_size <= rows
    assert training.updates >= plan.updates
    assert training.patience is not None and training.patience >= 6
    assert plan.training(rows, 3, epochs=2).epochs == 2
