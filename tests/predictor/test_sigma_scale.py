"""Sigma stays a figure that a reader can take in, also where nearly all rows are the same (PRED-6)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from featrix_core import EmbeddingSpace
from featrix_core.input_data_set import as_table
from featrix_core.predictor.row_guard import RowGuard
from featrix_core.predictor.sigma_scale import LEVELS, LINEAR_TO, MOST, SigmaScale
from featrix_core.tables.build import typed_columns


def test_ordinary_figures_are_read_as_their_quantiles() -> None:
    figures = np.random.default_rng(0).normal(5.0, 2.0, 10_000)
    scale = SigmaScale.fit(figures)
    np.testing.assert_allclose(scale.knots_6[:5], 5.0 + 2.0 * LEVELS[:5], atol=0.15)
    sigma = scale.apply(figures)
    assert 0.02 < (sigma > 2).mean() < 0.026 and (sigma > 3).mean() < 0.002
    assert scale.apply(np.array([13.0]))[0] == pytest.approx(4.0, abs=0.5)


@pytest.mark.parametrize("strangers", [1, 5, 12])
def test_where_nearly_all_rows_share_one_figure(strangers: int) -> None:
    figures = np.full(10_000, 0.001)
    figures[:strangers] = 1000.0 * np.arange(1, strangers + 1)
    sigma = SigmaScale.fit(figures).apply(figures)
    assert (sigma[strangers:] <= 2).all()
    assert (sigma[:strangers] > 3).sum() >= strangers // 2
    assert sigma.max() < 15


def test_one_absurd_row_does_not_hide_the_others() -> None:
    figures = np.abs(np.random.default_rng(1).normal(size=10_000))
    plain = SigmaScale.fit(figures)
    figures[0] = 1e12
    scale = SigmaScale.fit(figures)
    probe = np.array([4.0, 6.0, 9.0])
    np.testing.assert_allclose(scale.apply(probe), plain.apply(probe), rtol=0.05)
    assert scale.apply(figures[:1])[0] < 40


def test_far_figures_rise_slowly_and_never_above_the_most() -> None:
    scale = SigmaScale(LEVELS)
    figures = np.array([3.0, 9.0, LINEAR_TO, 20.0, 1e3, 1e6, 1e12])
    sigma = scale.apply(figures)
    np.testing.assert_array_equal(sigma[:3], figures[:3])
    assert (np.diff(sigma) > 0).all() and sigma[-1] < 40
    assert scale.apply(np.array([1e300, np.inf])).tolist() == [MOST, MOST]


def test_rows_that_are_all_the_same() -> None:
    scale = SigmaScale.fit(np.zeros(50))
    assert scale.apply(np.zeros(2)).max() <= 2
    assert scale.apply(np.array([1.0, 1e6])).max() <= MOST


def test_training_rows_of_a_nearly_constant_number_column() -> None:
    torch.set_num_threads(1)
    fee = np.zeros(2000)
    fee[[3, 700]] = 40.0, 90.0
    frame = pd.DataFrame({"fee": fee, "kind": ["a", "b"] * 1000})
    space = EmbeddingSpace(frame, n_epochs=1, name="fees").train()
    batch = space.tokenizer.encode(typed_columns(as_table(frame), space.schema))
    assert "fee" in space.tokenizer.names
    surprise = RowGuard.fit(space.model, batch).apply(space.model, batch)
    assert surprise.sigma_N.max() < 20 and surprise.parts_N3.max() < 20
    assert (surprise.sigma_N[[3, 700]] > 3).all()
    assert (surprise.sigma_N > 2).mean() < 0.05
