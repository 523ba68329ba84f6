"""The objective of a space: weighted reconstruction, sides and their rows (DATA-5, TRAIN-1)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from featrix_core import EmbeddingSpace, FeatrixInputDataSet
from featrix_core.space import objective as module
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
        space.model, rows, sides, PairSampler(len(space.column_names), 24, 1), weights
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
    sampler = PairSampler(len(credit_space.column_names), 24, 1)
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
