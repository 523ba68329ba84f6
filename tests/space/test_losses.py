"""The contrastive losses of D9: their extremes are known in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featrix_core.space.losses import (
    COLDEST,
    WARMEST,
    adaptive_temperature,
    info_nce,
    marginal_losses,
    spread_loss,
)
from featrix_core.space.objective import curriculum

ROWS = 16


def _unit(seed: int, rows: int = ROWS, width: int = 24) -> torch.Tensor:
    values = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(values, dim=-1)


def test_info_nce_falls_as_the_views_agree() -> None:
    rows, noise = _unit(1), _unit(2)
    losses = []
    for share in (0.0, 0.3, 0.6, 1.0):
        other = torch.nn.functional.normalize(share * rows + (1 - share) * noise, dim=-1)
        losses.append(float(info_nce(rows, other, 0.1)))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.1 < 2.0 < losses[0]


def test_info_nce_is_symmetric_and_knows_its_extremes() -> None:
    rows, other = _unit(1), _unit(2)
    torch.testing.assert_close(info_nce(rows, other, 0.1), info_nce(other, rows, 0.1))
    same = rows[:1].expand(ROWS, -1)
    assert float(info_nce(same, same, 0.1)) == pytest.approx(math.log(ROWS), abs=1e-5)
    assert float(info_nce(rows[:1], rows[:1], 0.1)) == 0.0


def test_spread_punishes_collapse() -> None:
    collapsed = _unit(1)[:1].expand(ROWS, -1)
    orthogonal = torch.eye(ROWS)
    near = torch.nn.functional.normalize(collapsed + 0.1 * _unit(2), dim=-1)
    assert float(spread_loss(collapsed, 0.1)) == pytest.approx(math.log(ROWS), abs=1e-5)
    expected = math.log(1 + (ROWS - 1) * math.exp(-1 / 0.1))
    assert float(spread_loss(orthogonal, 0.1)) == pytest.approx(expected, abs=1e-5)
    assert spread_loss(orthogonal, 0.1) < spread_loss(near, 0.1) < spread_loss(collapsed, 0.1)


def test_spread_pulls_collapsed_rows_apart() -> None:
    base = (_unit(1)[:1] + 0.05 * _unit(2)).requires_grad_(True)
    before = torch.nn.functional.normalize(base, dim=-1)
    for _ in range(30):
        loss = spread_loss(torch.nn.functional.normalize(base, dim=-1), 0.2)
        (gradient,) = torch.autograd.grad(loss, base)
        with torch.no_grad():
            base -= 0.5 * gradient
    before, after = before.detach(), torch.nn.functional.normalize(base, dim=-1).detach()
    assert float((after @ after.T).mean()) < float((before @ before.T).mean()) - 0.2


def test_marginal_losses_are_per_column() -> None:
    true = torch.stack([_unit(1), _unit(2), _unit(3)], dim=1)
    predicted = true.clone()
    predicted[:, 1] = true[torch.randperm(ROWS, generator=torch.Generator().manual_seed(0)), 1]
    predicted[:, 2] = true[:1, 2]
    losses = marginal_losses(predicted, true, 0.1)
    assert losses.shape == (3,)
    assert float(losses[0]) < 0.1
    assert float(losses[1]) > math.log(ROWS)
    # A constant prediction tells nothing; chance costs at least log(batch).
    assert float(losses[2]) >= math.log(ROWS) - 1e-5
    torch.testing.assert_close(marginal_losses(true[:, :1], true[:, :1], 0.1), losses[:1])


@settings(deadline=None)
@given(st.integers(1, 10**7), st.integers(1, 10**6))
def test_temperature_is_held_between_its_bounds(batch: int, columns: int) -> None:
    temperature = adaptive_temperature(batch, columns)
    assert COLDEST <= temperature <= WARMEST
    assert adaptive_temperature(batch * 2, columns) <= temperature
    assert adaptive_temperature(batch, columns * 2) <= temperature


def test_temperature_of_known_sizes() -> None:
    assert adaptive_temperature(128, 20) == pytest.approx(0.2)
    assert adaptive_temperature(2048, 20) == pytest.approx(0.1)
    assert adaptive_temperature(128, 320) == pytest.approx(0.1)
    assert adaptive_temperature(10**9, 10**9) == COLDEST


def test_curriculum_has_the_four_phases() -> None:
    phases = [curriculum(k / 100) for k in range(101)]
    assert len(set(phases)) == 4
    spread = [phase.spread for phase in phases]
    assert spread == sorted(spread, reverse=True)
    assert all(phase.reconstruction > phase.joint > phase.marginal > 0 for phase in phases)
    assert curriculum(0.29) != curriculum(0.30)
    assert curriculum(0.44) != curriculum(0.45)
    assert curriculum(0.84) != curriculum(0.85)
