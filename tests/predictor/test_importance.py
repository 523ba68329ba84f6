"""Importance is signed, adds up exactly, and gives nothing to a column that does nothing (PRED-5)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from featrix_core import EmbeddingSpace, SinglePredictorMLP
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.predictor.importance import shapley_values
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


def test_values_add_up_to_the_output_minus_a_single_backgrounds(batch: TokenBatch) -> None:
    values = shapley_values(_weight, batch, OWN, torch.tensor([50]))
    said = _weight(batch)
    np.testing.assert_allclose(values.sum(axis=1), said[OWN.numpy()] - said[50], atol=1e-9)


def test_values_add_up_to_the_output_minus_the_mean_of_the_drawn_backgrounds(
    batch: TokenBatch,
) -> None:
    drawn: list[NDArray[np.float64]] = []

    def output(mixed: TokenBatch) -> NDArray[np.float64]:
        said = _weight(mixed)
        drawn.append(said.reshape(len(OWN), -1)[:, 0])
        return said

    background = torch.arange(20, 60)
    values = shapley_values(output, batch, OWN, background, permutations=16)
    assert len(drawn) == 16
    said = _weight(batch)
    # Before the first column comes in, the row is a background row as it stands.
    assert set(np.concatenate(drawn).round(9)) <= set(said[background.numpy()].round(9))
    np.testing.assert_allclose(
        values.sum(axis=1), said[OWN.numpy()] - np.mean(drawn, axis=0), atol=1e-9
    )


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
    batch = predictor._tokens(as_table(rows))
    outputs, coding = predictor.outputs, predictor.coding
    assert outputs is not None and coding is not None

    def output(mixed: TokenBatch) -> NDArray[np.float64]:
        return outputs.explained(predictor._said(mixed)[0], coding, 1)

    values = shapley_values(output, batch, torch.arange(3), torch.tensor([3]))
    positive = predictor.predict_proba(rows)[:, 1]
    np.testing.assert_allclose(values.sum(axis=1), positive[:3] - positive[3], atol=1e-5)
