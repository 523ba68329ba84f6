"""Importance is signed, adds up exactly, and gives nothing to a column that does nothing (PRED-5)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from featrix_core import EmbeddingSpace, SinglePredictorMLP
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.predictor import importance
from featrix_core.predictor.importance import PERMUTATIONS, explained_rows
from featrix_core.tables.build import typed_columns

OWN = torch.tensor([0, 3, 7])


@pytest.fixture(scope="module")
def batch(trip_space: EmbeddingSpace, trips: pd.DataFrame) -> TokenBatch:
    return trip_space.tokenizer.encode(typed_columns(as_table(trips), trip_space.schema))


def _weight(batch: TokenBatch) -> NDArray[np.float64]:
    """Two numbers, a category and a moment, with an interaction; the text plays no part."""
    z = batch.z_NS.double().numpy()
    codes = batch.codes_NC[:, 0].double().numpy()
    hour = batch.time_NTF[:, 0, 4].double().numpy()
    result: NDArray[np.float64] = 2.0 * z[:, 0] - z[:, 1] * codes + 0.5 * hour
    return result


def shapley_values(
    output: Callable[[TokenBatch], NDArray[np.float64]],
    batch: TokenBatch,
    rows: torch.Tensor,
    background: torch.Tensor,
    seed: int = 42,
    permutations: int = PERMUTATIONS,
) -> NDArray[np.float64]:
    return explained_rows(output, batch, rows, background, seed, permutations).values_BA


def test_values_add_up_to_the_output_minus_a_single_backgrounds(batch: TokenBatch) -> None:
    values = shapley_values(_weight, batch, OWN, torch.tensor([50]))
    said = _weight(batch)
    np.testing.assert_allclose(values.sum(axis=1), said[OWN.numpy()] - said[50], atol=1e-9)


def test_values_add_up_to_the_output_minus_the_mean_of_the_drawn_backgrounds(
    batch: TokenBatch,
) -> None:
    background = torch.arange(20, 60)
    found = explained_rows(_weight, batch, OWN, background, permutations=16)
    said = _weight(batch)
    np.testing.assert_array_equal(found.output_B, said[OWN.numpy()])
    # Some background rows are drawn, and no others.
    assert said[background.numpy()].min() <= found.base <= said[background.numpy()].max()
    assert found.error_B.max() < 1e-9
    np.testing.assert_allclose(found.values_BA.sum(axis=1), found.output_B - found.base, atol=1e-9)


def test_equal_cells_are_not_asked_again(batch: TokenBatch) -> None:
    """Explained by itself, a row needs two answers; by another row, no more than its cells that differ."""
    asked: list[int] = []

    def output(mixed: TokenBatch) -> NDArray[np.float64]:
        asked.append(mixed.n_rows)
        return _weight(mixed)

    values = shapley_values(output, batch, OWN[:1], OWN[:1], permutations=4)
    np.testing.assert_array_equal(values, 0.0)
    assert sum(asked) == 4 + 1
    asked.clear()
    shapley_values(output, batch, OWN, torch.arange(20, 60), permutations=4)
    assert sum(asked) <= 4 + 3 + 3 * 4 * 4


def test_values_are_those_of_every_step_asked_by_itself(batch: TokenBatch) -> None:
    """The definition, step by step, for one background row and the permutations of one seed."""
    other = torch.tensor([50])
    generator = torch.Generator().manual_seed(3)
    order = torch.rand(1, 5, generator=generator).argsort(dim=1)[0]
    expected = np.zeros((len(OWN), 5))
    for place, row in enumerate(OWN.tolist()):
        take = torch.zeros(1, 5, dtype=torch.bool)
        before = _weight(batch.mixed(torch.tensor([row]), other, take))[0]
        for column in order.tolist():
            take[0, column] = True
            after = _weight(batch.mixed(torch.tensor([row]), other, take))[0]
            expected[place, column] = after - before
            before = after
    values = shapley_values(_weight, batch, OWN, other, seed=3, permutations=1)
    np.testing.assert_allclose(values, expected, atol=1e-9)


def test_a_column_that_does_nothing_gets_nothing(batch: TokenBatch) -> None:
    values = shapley_values(_weight, batch, OWN, torch.arange(20, 60))
    assert values.shape == (3, 5)
    np.testing.assert_array_equal(values[:, 4], 0.0)
    assert (values[:, :4] != 0).any(axis=0).all()


def test_an_additive_column_gets_its_own_share(batch: TokenBatch) -> None:
    values = shapley_values(_weight, batch, OWN, torch.tensor([50]))
    z = batch.z_NS.double().numpy()[:, 0]
    np.testing.assert_allclose(values[:, 0], 2.0 * (z[OWN.numpy()] - z[50]), atol=1e-9)


def test_an_interaction_is_shared(batch: TokenBatch) -> None:
    """Exact Shapley values of the product are the means over both orders."""
    values = shapley_values(_weight, batch, OWN, torch.tensor([50]), permutations=2000)
    z = batch.z_NS.double().numpy()[:, 1]
    codes = batch.codes_NC[:, 0].double().numpy()
    own = OWN.numpy()
    exact = -(z[own] - z[50]) * (codes[own] + codes[50]) / 2
    scale = np.abs((z[own] - z[50]) * (codes[own] - codes[50]))
    assert (np.abs(values[:, 1] - exact) <= 0.06 * scale + 1e-9).all()


def test_the_seed_decides(batch: TokenBatch) -> None:
    background = torch.arange(20, 60)
    one = shapley_values(_weight, batch, OWN, background, seed=1)
    np.testing.assert_array_equal(one, shapley_values(_weight, batch, OWN, background, seed=1))
    assert not np.array_equal(one, shapley_values(_weight, batch, OWN, background, seed=2))


def test_no_rows(batch: TokenBatch) -> None:
    values = shapley_values(_weight, batch, OWN[:0], torch.arange(20, 60))
    assert values.shape == (0, 5)


def test_a_predictors_importance_adds_up(
    credit_predictor: SinglePredictorMLP, credit: pd.DataFrame
) -> None:
    """With one background row: probability of the explained row minus that of the background row."""
    predictor = credit_predictor
    rows = credit.iloc[:4]
    batch = predictor.tokens(rows)
    outputs, coding = predictor.outputs, predictor.coding
    assert outputs is not None and coding is not None

    def output(mixed: TokenBatch) -> NDArray[np.float64]:
        return outputs.explained(predictor._said(mixed)[0], coding, 1)

    values = shapley_values(output, batch, torch.arange(3), torch.tensor([3]))
    positive = predictor.predict_proba(rows)[:, 1]
    np.testing.assert_allclose(values.sum(axis=1), positive[:3] - positive[3], atol=1e-5)


def test_wide_tables_get_fewer_orders(batch: TokenBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [explained_rows(_weight, batch, OWN, torch.arange(20, 60))]
    monkeypatch.setattr(importance, "WIDE", 2)
    found.append(explained_rows(_weight, batch, OWN, torch.arange(20, 60)))
    few = explained_rows(_weight, batch, OWN, torch.arange(20, 60), permutations=2)
    np.testing.assert_array_equal(found[1].values_BA, few.values_BA)
    assert found[0].base != found[1].base
    assert max(one.error_B.max() for one in found) < 1e-9
