"""Two views of a row never hide the same cell, and hide as much as was measured best (TRAIN-1)."""

from __future__ import annotations

import pytest
import torch

from featrix_core.space.masking import HIGHEST, SINGLE, complementary_masks

ROWS, COLUMNS = 2000, 40


def _masks(missing_share: float = 0.0, columns: int = COLUMNS) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    missing = torch.rand(ROWS, columns, generator=generator) < missing_share
    return complementary_masks(missing, torch.Generator().manual_seed(2))


@pytest.mark.parametrize("columns", [1, 2, 5, 40])
def test_views_are_complementary(columns: int) -> None:
    first, second = _masks(columns=columns)
    assert first.shape == second.shape == (ROWS, columns)
    assert not bool((first & second).any())


def test_hidden_shares_spread_from_nothing_to_six_tenths() -> None:
    first, second = _masks()
    alone = first.sum(dim=1) == COLUMNS - 1
    for mask in (first, second):
        share = mask[~alone].float().mean(dim=1)
        assert 0.22 < float(share.mean()) < 0.28
        assert float(share.quantile(0.05)) < 0.05
        assert float(share.quantile(0.95)) > 0.4
        assert float(share.max()) < HIGHEST + 0.3
        assert float((share > HIGHEST + 0.1).float().mean()) < 0.02


def test_some_rows_show_a_single_column() -> None:
    first, second = _masks()
    alone = first.sum(dim=1) == COLUMNS - 1
    assert abs(float(alone.float().mean()) - SINGLE) < 0.02
    assert bool((second[alone].sum(dim=1) == 1).all())


def test_sparse_rows_are_hidden_less() -> None:
    shares = [float(_masks(missing)[0].float().mean()) for missing in (0.0, 0.3, 0.6)]
    assert shares[0] > shares[1] > shares[2]


def test_the_generator_decides() -> None:
    for one, other in zip(_masks(), _masks(), strict=True):
        assert torch.equal(one, other)


def test_no_rows() -> None:
    first, second = complementary_masks(torch.zeros(0, 3, dtype=torch.bool), torch.Generator())
    assert first.shape == second.shape == (0, 3)
