"""A healthy space reads healthy whatever its axes and its table; one whose rows are all alike does not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import normalize

from featrix_core import EmbeddingSpace
from featrix_core.space.health import HEALTH_ROWS, distinct_rows, embedding_health
from featrix_core.training.failures import collapsed


@pytest.fixture(scope="module")
def rows() -> torch.Tensor:
    """Unit vectors, spread evenly in 192 dimensions."""
    torch.manual_seed(0)
    return normalize(torch.randn(64, 192), dim=-1)


def test_figures_of_an_even_spread(rows: torch.Tensor) -> None:
    health = embedding_health(rows, 192)
    assert health["embedding_std"] == pytest.approx(192**-0.5, rel=0.05)
    assert health["embedding_distance"] == pytest.approx(2**0.5, rel=0.05)
    assert 0.3 < health["embedding_range"] < 0.7
    assert not collapsed(health)


def test_a_space_along_one_axis_is_healthy() -> None:
    """Two opposite groups use one coordinate of 192; turning the axes changes no verdict and not the deviation."""
    rows = torch.zeros(64, 192)
    rows[:, 0] = torch.tensor([1.0, -1.0]).repeat(32)
    rotation, _ = torch.linalg.qr(torch.randn(192, 192))
    plain, turned = embedding_health(rows, 192), embedding_health(rows @ rotation, 192)
    assert not collapsed(plain) and not collapsed(turned)
    assert plain["embedding_std"] == pytest.approx(turned["embedding_std"], rel=1e-3)
    assert plain["embedding_distance"] == pytest.approx(turned["embedding_distance"], rel=1e-3)


def test_a_collapse_is_seen(rows: torch.Tensor) -> None:
    """All rows at one point, to within a little noise; that point's own coordinates do not count as range."""
    assert rows[0].amax() - rows[0].amin() > 0.3
    assert collapsed(
        embedding_health(normalize(rows[:1] + 0.003 * torch.randn(64, 192), dim=-1), 192)
    )
    assert collapsed(embedding_health(rows[:1].expand(64, -1), 192))
    assert not collapsed(embedding_health(normalize(rows[:1] + 0.3 * rows, dim=-1), 192))


def test_the_fixed_part_hides_no_collapse(rows: torch.Tensor) -> None:
    """A part of a row is random features, which differ always."""
    half = normalize(torch.cat([rows[:1].expand(64, -1), rows], dim=-1), dim=-1)
    assert collapsed(embedding_health(half, 192))
    assert not collapsed(embedding_health(half.flip(-1), 192))


def test_one_row_says_nothing(rows: torch.Tensor) -> None:
    assert embedding_health(rows[:1], 192) == {}


def test_measured_on_different_rows() -> None:
    """Nearly all rows of this table are alike: only one of each kind is looked at."""
    value = np.zeros(400)
    value[[100, 350]] = 1.0, 2.0
    kind = np.where(np.arange(400) < 4, "rare", "usual")
    space = EmbeddingSpace(pd.DataFrame({"value": value, "kind": kind}))
    assert space._rows is not None
    chosen = distinct_rows(space._rows)
    assert chosen.tolist() == [0, 4, 100, 350]


def test_no_more_than_the_sample(credit: pd.DataFrame) -> None:
    space = EmbeddingSpace(credit)
    assert space._rows is not None
    chosen = distinct_rows(space._rows)
    assert len(chosen) == HEALTH_ROWS
    assert chosen[0] == 0 and chosen[-1] == 199


def test_stands_in_the_timeline(credit_space: EmbeddingSpace) -> None:
    assert credit_space.timeline is not None
    for entry in credit_space.timeline["timeline"]:
        assert not collapsed(entry)
        assert entry["embedding_distance"] > 0.3
