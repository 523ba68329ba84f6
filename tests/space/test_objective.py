"""The objective of a space: weighted reconstruction, sides and their rows (DATA-5, TRAIN-1)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from featrix_core import EmbeddingSpace, FeatrixInputDataSet
from featrix_core.space import objective as module
from featrix_core.space.masking import complementary_masks
from featrix_core.space.objective import SpaceObjective
from featrix_core.space.relationships import PairSampler
from featrix_core.training.rotation import Sides


def reconstruction(
    space: EmbeddingSpace, frame: pd.DataFrame, weights: torch.Tensor | None
) -> tuple[float, float]:
    """Reconstruction losses (training batch of all rows, validation) under the same masks."""
    rows = space._tokens(FeatrixInputDataSet(frame).table)
    sides = Sides.given(150, 50)
    objective = SpaceObjective(
        space.model, rows, sides, PairSampler(len(space.column_names), 3, 1), weights
    )
    with torch.no_grad():
        _, figures = objective.loss(torch.arange(150))
    return float(figures["reconstruction_loss"]), objective.validate()[0]


def test_weights_weigh_the_reconstruction(
    credit_space: EmbeddingSpace, credit: pd.DataFrame
) -> None:
    first = (torch.arange(200) % 2).float()
    plain = reconstruction(credit_space, credit, None)
    ones = reconstruction(credit_space, credit, torch.ones(200))
    odd = reconstruction(credit_space, credit, 2 * first)
    even = reconstruction(credit_space, credit, 2 * (1 - first))
    assert ones == pytest.approx(plain, rel=1e-5)
    assert odd[0] != pytest.approx(even[0], rel=1e-3)
    assert (odd[0] + even[0]) / 2 == pytest.approx(plain[0], rel=1e-5)
    assert (odd[1] + even[1]) / 2 == pytest.approx(plain[1], rel=1e-5)
    # Validation rows without any weight are still told apart.
    idle = torch.cat([torch.ones(150), torch.zeros(50)])
    assert reconstruction(credit_space, credit, idle) == pytest.approx(plain, rel=1e-5)


def test_a_space_follows_the_weights() -> None:
    """Two kinds of rows; what weighs nothing is reconstructed worse than what weighs all."""
    torch.set_num_threads(1)
    kind = np.arange(200) % 2
    frame = pd.DataFrame(
        {
            "kind": np.where(kind == 0, "round", "square"),
            "size": np.where(kind == 0, 1.0, 9.0) + np.arange(200) % 5,
            "__featrix_weight": np.where(kind == 0, 0, 1),
        }
    )
    space = EmbeddingSpace(frame, n_epochs=30, seed=3).train()
    assert set(space.column_names) == {"size", "kind"}
    plain = EmbeddingSpace(frame.drop(columns="__featrix_weight"), n_epochs=30, seed=3).train()

    def gap(trained: EmbeddingSpace) -> float:
        batch = trained._tokens(FeatrixInputDataSet(frame).table)
        with torch.no_grad():
            rows, _ = trained.model.encode_rows(batch)
            loss_B = trained.model.decoders(rows[None], batch)[0].mean(dim=1).numpy()
        return float(loss_B[kind == 0].mean() - loss_B[kind == 1].mean())

    assert gap(space) > gap(plain) + 0.5


def test_given_validation_rows_are_sampled_from_all_of_them(
    credit_space: EmbeddingSpace, credit: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first rows may be of one kind only; the sample stays the same in all epochs."""
    rows = credit_space._tokens(FeatrixInputDataSet(credit).table)
    sampler = PairSampler(len(credit_space.column_names), 3, 1)
    objective = SpaceObjective(credit_space.model, rows, Sides.given(50, 150), sampler)
    assert objective._validated().tolist() == list(range(50, 200))
    whole = objective.validate()[0]
    monkeypatch.setattr(module, "VALIDATION_ROWS", 60)
    chosen = objective._validated().numpy()
    assert len(np.unique(chosen)) == 60 and chosen.min() >= 50
    assert np.histogram(chosen, bins=3, range=(50, 200))[0].min() >= 10
    first, again = objective.validate()[0], objective.validate()[0]
    assert first == again != whole


def test_validation_rows_that_are_switched_off_do_not_validate(credit: pd.DataFrame) -> None:
    frame = credit[["duration", "purpose"]]
    held = frame[:80].assign(__featrix_train=["yes", "no"] * 40)
    space = EmbeddingSpace(frame[80:], held, n_epochs=1)
    assert space._rows is not None and space._rows.n_rows == 160
    assert (space._sides.n_train, len(space._sides.validation_V)) == (120, 40)
    longer = frame.assign(age=credit["age"])
    wider = EmbeddingSpace.extend_from_existing(space, longer[80:], held.assign(age=30))
    assert len(wider._sides.validation_V) == 40


def test_rows_that_are_switched_off_do_not_train(credit: pd.DataFrame) -> None:
    frame = credit[["duration", "purpose"]].assign(__featrix_train=[1, 0] * 100)
    space = EmbeddingSpace(frame, n_epochs=1)
    assert space._rows is not None and space._rows.n_rows == 100


def objective_of(space: EmbeddingSpace, frame: pd.DataFrame) -> SpaceObjective:
    rows = space._tokens(FeatrixInputDataSet(frame).table)
    return SpaceObjective(
        space.model, rows, Sides.given(150, 50), PairSampler(len(space.column_names), 40, 1)
    )


def test_leaving_nothing_out_gains_nothing(
    credit_space: EmbeddingSpace, credit: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome of a period is paired: the same rows under the same masks, told apart by pairs alone."""
    objective = objective_of(credit_space, credit)
    pairs_Q2 = objective.trial.pairs_P2
    monkeypatch.setitem(objective.model._buffers, "pairs_Q2", pairs_Q2)
    for order in (slice(None), torch.randperm(len(pairs_Q2))):
        generator = torch.Generator().manual_seed(4)
        with torch.no_grad():
            found = objective._loss(torch.arange(100), None, generator, pairs_Q2[order])
        assert found.outcome_2A is not None
        losses_A, gains_A = found.outcome_2A
        assert bool((losses_A > 0).all())
        assert gains_A.tolist() == [0.0] * len(credit_space.column_names)


@pytest.mark.parametrize("rows", [100, 150])
def test_a_period_is_judged_by_the_same_rows_under_the_same_masks(
    rows: int,
    credit_space: EmbeddingSpace,
    credit: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those of the whole batch, or its first ones where it is long."""
    objective = objective_of(credit_space, credit)
    model, index_B = objective.model, torch.arange(7, 7 + rows)
    pairs_Q2, fewer_Q2 = objective.trial.pairs_P2, objective.trial.pairs_P2[::9]
    monkeypatch.setitem(model._buffers, "pairs_Q2", pairs_Q2)
    weight_B = torch.rand(rows)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(4)
        found = objective._loss(index_B, weight_B, generator, fewer_Q2)
        batch = objective.rows.rows(index_B)
        masks = complementary_masks(batch.missing_NA, torch.Generator().manual_seed(4))
        batch = batch.rows(slice(0, module.JUDGED_ROWS))
        expected = torch.zeros(2, len(credit_space.column_names))
        cells = torch.zeros(len(credit_space.column_names))
        tokens = model.encoders(batch)
        for hidden in (mask[: module.JUDGED_ROWS] for mask in masks):
            counted = hidden * weight_B[: module.JUDGED_ROWS].unsqueeze(1)
            cells = cells + counted.sum(0)
            for k, pairs in enumerate((pairs_Q2, fewer_Q2)):
                rows_BM = model.rows_of(tokens, hidden, pairs)
                loss_BA = model.decoders(rows_BM[None], batch)[0]
                expected[k] += (loss_BA * counted).sum(0)
    assert found.outcome_2A is not None
    losses_A, gains_A = found.outcome_2A
    torch.testing.assert_close(losses_A, expected[0] / cells, rtol=1e-4, atol=1e-5)
    difference_A = (expected[0] - expected[1]) / cells
    torch.testing.assert_close(gains_A, difference_A, rtol=1e-3, atol=1e-5)
    assert float(gains_A.abs().max()) > 1e-4


def test_only_updates_that_end_a_period_are_judged(
    credit_space: EmbeddingSpace, credit: pd.DataFrame
) -> None:
    objective = objective_of(credit_space, credit)
    lengths = []
    with torch.no_grad():
        for _ in range(6):
            objective.loss(torch.arange(40))
            lengths.append(len(objective.trial.history))
    assert lengths == [0, 1, 1, 2, 2, 3]
    gains_TA = objective.trial.history.experiment(torch.arange(3)).gains_TA
    assert bool((gains_TA.abs().sum(1) > 0).all())


def test_an_interaction_is_found_in_a_real_training() -> None:
    """`c = a·b` among columns of noise: the pair (a, b) stays, and tells c what nothing else does."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 200))
    frame = pd.DataFrame({"a": a, "b": b, "c": a * b})
    frame = frame.assign(one=rng.normal(size=200), other=rng.normal(size=200))
    space = EmbeddingSpace(frame, n_epochs=60, seed=1).train()
    (entry,) = (e for e in space.pair_report["pairs"] if e["columns"] == ["a", "b"])
    lift = next(one for one in entry["lifts"] if one["helps"] == "c")
    assert lift["third"] and lift["interval"][0] > 0
    assert space.pair_report["pairs_in_all"] == 10 and space.pair_report["pairs_kept"] == 5
    assert entry["kept"] and entry["decision"] in ("KEEP", "PROTECT")
