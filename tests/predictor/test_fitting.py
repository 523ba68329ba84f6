"""A bag of members: every row is answered by a member that never saw it (PRED-1, DATA-8)."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from featrix_core import EmbeddingSpace
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.predictor.fitting import Fitted, answer, bag_answer, fit_members
from featrix_core.predictor.labelled import LabelledRows
from featrix_core.predictor.objective import PredictorNet, PredictorObjective
from featrix_core.predictor.plan import PredictorPlan, plan_predictor
from featrix_core.tables.build import typed_columns
from featrix_core.tables.splits import kfold

SEED = 5


@pytest.fixture(scope="module")
def batch(credit_space: EmbeddingSpace, credit: pd.DataFrame) -> TokenBatch:
    return credit_space.tokenizer.encode(typed_columns(as_table(credit), credit_space.schema))


@pytest.fixture(scope="module")
def labels(credit: pd.DataFrame) -> NDArray[np.float64]:
    return (credit["class"] == "bad").to_numpy(np.float64)


def _plan(folds: int, fine_tune: bool = False) -> PredictorPlan:
    changes = {"folds": folds, "width": 32, "members": 4, "validation_share": 0.2}
    return plan_predictor(200, fine_tune).model_copy(update=changes)


def _fit(
    space: EmbeddingSpace,
    batch: TokenBatch,
    labels: NDArray[np.float64],
    plan: PredictorPlan,
    classification: bool = True,
    epochs: int = 2,
    weights_N: NDArray[np.float64] | None = None,
    groups_N: NDArray[np.int64] | None = None,
    times_N: NDArray[np.float64] | None = None,
) -> Fitted:
    target = torch.from_numpy(labels.astype(np.int64 if classification else np.float32))
    return fit_members(
        space.model,
        space.tokenizer,
        LabelledRows(batch, target, labels, weights_N, groups_N, times_N),
        int(labels.max()) + 1 if classification else 1,
        2,
        plan,
        SEED,
        epochs,
    )


@pytest.fixture(scope="module")
def fitted(credit_space: EmbeddingSpace, batch: TokenBatch, labels: NDArray[np.float64]) -> Fitted:
    return _fit(credit_space, batch, labels, _plan(3))


def test_every_row_is_held_out_once(fitted: Fitted) -> None:
    assert len(fitted.members) == len(fitted.timelines) == 3
    assert sorted(fitted.held_out_rows.tolist()) == list(range(200))
    assert fitted.answer_NO.shape == (200, 2)
    assert fitted.spread_N.shape == (200,)
    np.testing.assert_allclose(np.exp(fitted.answer_NO).sum(axis=1), 1.0, atol=1e-5)


def test_held_out_answers_are_the_members_own(
    fitted: Fitted, batch: TokenBatch, labels: NDArray[np.float64]
) -> None:
    folds = kfold(labels.astype(np.int64), 3, SEED)
    start = 0
    for net, (train, held) in zip(fitted.members, folds, strict=True):
        assert not set(train.tolist()) & set(held.tolist())
        part = slice(start, start + len(held))
        np.testing.assert_array_equal(fitted.held_out_rows[part], held)
        said, _ = answer(net, batch.rows(torch.from_numpy(held)), True)
        np.testing.assert_allclose(fitted.answer_NO[part], said.numpy(), atol=1e-5)
        start += len(held)


def test_labels_of_held_out_rows_do_not_reach_their_member(
    credit_space: EmbeddingSpace, batch: TokenBatch, labels: NDArray[np.float64]
) -> None:
    """One epoch, so that validation cannot even choose an epoch: other labels, the same weights."""

    def head(numbers: NDArray[np.float64]) -> tuple[Fitted, dict[str, torch.Tensor]]:
        found = _fit(credit_space, batch, numbers, _plan(1), classification=False, epochs=1)
        return found, found.members[0].head.state_dict()

    honest, weights = head(labels)
    held = honest.held_out_rows
    poisoned, same = head(np.where(np.isin(np.arange(200), held), labels + 3.0, labels))
    np.testing.assert_array_equal(held, poisoned.held_out_rows)
    assert all(torch.equal(same[name], weights[name]) for name in weights)
    # Labels of training rows, on the other hand, matter.
    _, other = head(np.where(np.isin(np.arange(200), held), labels, labels + 3.0))
    assert not torch.equal(other["out_EWO"], weights["out_EWO"])


def test_a_single_split(
    credit_space: EmbeddingSpace, batch: TokenBatch, labels: NDArray[np.float64]
) -> None:
    single = _fit(credit_space, batch, labels, _plan(1), epochs=1)
    assert len(single.members) == 1
    assert len(single.held_out_rows) == pytest.approx(40, abs=2)
    assert labels[single.held_out_rows].mean() == pytest.approx(labels.mean(), abs=0.03)


def test_a_class_with_one_row_is_learned_all_the_same(
    credit_space: EmbeddingSpace, batch: TokenBatch, labels: NDArray[np.float64]
) -> None:
    rare = labels.copy()
    rare[7] = 2.0
    found = _fit(credit_space, batch, rare, _plan(3), epochs=1)
    assert found.answer_NO.shape == (200, 3)
    assert sorted(found.held_out_rows.tolist()) == list(range(200))


def test_frozen_members_share_the_space(
    credit_space: EmbeddingSpace, batch: TokenBatch, labels: NDArray[np.float64]
) -> None:
    before = {k: v.clone() for k, v in credit_space.model.state_dict().items()}
    frozen = _fit(credit_space, batch, labels, _plan(2), epochs=1)
    assert all(net.space is credit_space.model for net in frozen.members)
    tuned = _fit(credit_space, batch, labels, _plan(2, fine_tune=True), epochs=6)
    assert all(net.space is not credit_space.model for net in tuned.members)
    for name, value in credit_space.model.state_dict().items():
        assert torch.equal(value, before[name]), name
    moved = [
        name
        for name, value in tuned.members[0].space.state_dict().items()
        if not torch.equal(value, before[name])
    ]
    assert any(name.startswith("encoders.") for name in moved)
    assert any(name.startswith("joint.") for name in moved)
    assert not any(name.startswith("decoders.") for name in moved)


def test_the_space_can_be_trained_again_afterwards(
    credit_space: EmbeddingSpace, batch: TokenBatch, labels: NDArray[np.float64]
) -> None:
    space = copy.copy(credit_space)
    space._model = copy.deepcopy(credit_space.model)
    _fit(space, batch, labels, _plan(2), epochs=1)
    before = space.model.joint.cls_D.detach().clone()
    space.train(n_epochs=1)
    assert not torch.equal(space.model.joint.cls_D, before)


def test_the_bag_means_over_members(fitted: Fitted, batch: TokenBatch) -> None:
    part = batch.rows(slice(0, 9))
    each = torch.stack([answer(net, part, True)[0].exp() for net in fitted.members])
    bag, spread = bag_answer(fitted.members, part, True)
    torch.testing.assert_close(bag.exp(), each.mean(dim=0))
    assert spread.shape == (9,)
    none, spread = bag_answer(fitted.members, batch.rows(slice(0, 0)), True)
    assert none.shape == (0, 2)
    assert spread.shape == (0,)


@pytest.mark.parametrize("heads", [1, 3])
def test_no_rows_and_one_head_warn_of_nothing(
    heads: int, credit_space: EmbeddingSpace, batch: TokenBatch, labels: NDArray[np.float64]
) -> None:
    plan = _plan(1).model_copy(update={"members": heads})
    fitted = _fit(credit_space, batch, labels, plan, classification=False, epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numbers, spread = answer(fitted.members[0], batch.rows(slice(0, 0)), False)
        assert numbers.shape == (0, 1) and spread.shape == (0,)
        _, spread = answer(fitted.members[0], batch.rows(slice(0, 9)), False)
    assert spread.shape == (9,) and bool(spread.any()) == (heads > 1)


def test_the_same_seed_gives_the_same_members(
    fitted: Fitted, credit_space: EmbeddingSpace, batch: TokenBatch, labels: NDArray[np.float64]
) -> None:
    again = _fit(credit_space, batch, labels, _plan(3))
    np.testing.assert_array_equal(again.answer_NO, fitted.answer_NO)
    heads = [net.head.state_dict()["out_EWO"] for net in fitted.members]
    assert not torch.equal(heads[0], heads[1])


@pytest.mark.parametrize("folds", [1, 3])
def test_no_group_is_on_both_sides_of_a_fold(
    folds: int, credit_space: EmbeddingSpace, batch: TokenBatch, labels: NDArray[np.float64]
) -> None:
    groups = np.arange(200) // 4 * 7
    fitted = _fit(credit_space, batch, labels, _plan(folds), epochs=1, groups_N=groups)
    assert len(fitted.members) == folds
    if folds == 1:
        outside = np.setdiff1d(np.arange(200), fitted.held_out_rows)
        assert not set(groups[outside]) & set(groups[fitted.held_out_rows])
    else:
        assert sorted(fitted.held_out_rows.tolist()) == list(range(200))
        sizes = [len(np.unique(groups[part])) for part in np.split(fitted.held_out_rows, [68, 136])]
        assert sum(sizes) == pytest.approx(50, abs=2)


@pytest.mark.parametrize(("folds", "days"), [(1, 40), (3, 40), (3, 2)])
def test_members_validate_on_later_rows_than_they_train_on(
    folds: int,
    days: int,
    credit_space: EmbeddingSpace,
    batch: TokenBatch,
    labels: NDArray[np.float64],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Several rows a day, out of order, some without a day: what the objective is given, not what was planned."""
    times = (np.random.default_rng(2).permutation(200) % days).astype(np.float64)
    times[::17] = np.nan
    sides: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    class Watching(PredictorObjective):
        def __init__(
            self,
            net: PredictorNet,
            rows: TokenBatch,
            target_N: torch.Tensor,
            train_rows: torch.Tensor,
            validation_rows: torch.Tensor,
            fine_tune: bool,
            weights_N: torch.Tensor | None = None,
            *,
            fresh: Callable[[], PredictorNet] | None = None,
        ) -> None:
            sides.append((train_rows.numpy(), validation_rows.numpy()))
            given = (net, rows, target_N, train_rows, validation_rows, fine_tune, weights_N)
            super().__init__(*given, fresh=fresh)

    monkeypatch.setattr("featrix_core.predictor.fitting.PredictorObjective", Watching)
    fitted = _fit(credit_space, batch, labels, _plan(folds), epochs=1, times_N=times)
    assert len(sides) == len(fitted.members) == min(folds, days - 1)
    for train, held in sides:
        assert np.nanmax(times[train]) < times[held].min()
    np.testing.assert_array_equal(fitted.held_out_rows, np.concatenate([h for _, h in sides]))
    assert len(fitted.answer_NO) == len(fitted.spread_N) == len(fitted.held_out_rows) < 200


def test_weights_act_like_repeated_rows(
    credit_space: EmbeddingSpace, batch: TokenBatch, labels: NDArray[np.float64]
) -> None:
    """Class 1 three times as heavy, or its rows three times in the table: the answers shift alike."""
    ones = np.flatnonzero(labels == 1)
    weights = np.where(labels == 1, 3.0, 1.0)
    repeated = np.concatenate([np.arange(200), ones, ones])
    more = batch.rows(torch.from_numpy(repeated))

    def mean_of_ones(fitted: Fitted) -> float:
        return float(bag_answer(fitted.members, batch, True)[0].exp()[:, 1].mean())

    weights /= weights.mean()
    plain = mean_of_ones(_fit(credit_space, batch, labels, _plan(2), epochs=30))
    weighted = mean_of_ones(
        _fit(credit_space, batch, labels, _plan(2), epochs=30, weights_N=weights)
    )
    tripled = mean_of_ones(_fit(credit_space, more, labels[repeated], _plan(2), epochs=30))
    assert plain == pytest.approx(labels.mean(), abs=0.07)
    assert weighted - plain > 0.12
    assert weighted == pytest.approx(tripled, abs=0.05)
    assert weighted == pytest.approx(float((weights * labels).mean()), abs=0.1)


def test_rows_of_weight_zero_teach_nothing(
    credit_space: EmbeddingSpace, batch: TokenBatch, labels: NDArray[np.float64]
) -> None:
    """Other labels on rows that weigh nothing: the same weights of the network."""
    idle = np.arange(200) % 5 == 0
    weights = np.where(idle, 0.0, 1.25)

    def head(numbers: NDArray[np.float64]) -> dict[str, torch.Tensor]:
        found = _fit(
            credit_space,
            batch,
            numbers,
            _plan(1),
            classification=False,
            epochs=2,
            weights_N=weights,
        )
        return found.members[0].head.state_dict()

    honest, poisoned = head(labels), head(np.where(idle, labels + 5.0, labels))
    assert all(torch.equal(honest[name], poisoned[name]) for name in honest)
