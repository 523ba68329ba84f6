"""Products of column pairs are the plain sum; pairs are drawn at random within their number (JOINT-2)."""

from __future__ import annotations

import itertools

import pytest
import torch

from featrix_core import EmbeddingSpace
from featrix_core.input_data_set import as_table
from featrix_core.space.joint_encoder import PRODUCT_LENGTH, PRODUCT_WIDTH
from featrix_core.space.plan import pair_budget
from featrix_core.space.relationships import MOST_PAIRS, PairProducts, PairSampler, summed_products
from featrix_core.tables.build import typed_columns

WIDTH, OUTPUTS = 6, 4
NO_PAIRS = torch.zeros((0, 2), dtype=torch.int64)


@pytest.fixture
def products() -> PairProducts:
    torch.manual_seed(1)
    return PairProducts(5, WIDTH, OUTPUTS)


@pytest.mark.parametrize("pairs", [[(1, 3)], [(0, 1), (0, 4), (2, 3)], "all"])
def test_the_sum_of_products_is_the_plain_loop(pairs: list[tuple[int, int]] | str) -> None:
    factors = torch.randn(7, 5, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    some = list(itertools.combinations(range(5), 2)) if isinstance(pairs, str) else pairs
    expected = torch.zeros(7, 3, dtype=torch.float64)
    for row in range(7):
        for i, j in some:
            expected[row] += factors[row, i] * factors[row, j]
    torch.testing.assert_close(summed_products(factors, torch.tensor(some)), expected)


def test_every_column_has_its_own_factors(products: PairProducts) -> None:
    tokens = torch.randn(3, 5, WIDTH, generator=torch.Generator().manual_seed(3))
    pairs = torch.tensor([[0, 1], [1, 4]])
    weight, bias = products.project.weight_AIO, products.project.bias_AO
    told = torch.zeros(3, weight.shape[2])
    for i, j in pairs.tolist():
        told = told + (tokens[:, i] @ weight[i] + bias[i]) * (tokens[:, j] @ weight[j] + bias[j])
    expected = torch.nn.functional.normalize(products.out(products.norm(told)), dim=-1)
    torch.testing.assert_close(products(tokens, pairs), expected)
    assert not torch.allclose(weight[0], weight[1])


def test_only_columns_of_active_pairs_are_read(products: PairProducts) -> None:
    tokens = torch.randn(4, 5, WIDTH, generator=torch.Generator().manual_seed(3))
    other = tokens.clone()
    other[:, 2] += 1.0
    outside, inside = torch.tensor([[0, 1], [3, 4]]), torch.tensor([[0, 1], [2, 4]])
    assert torch.equal(products(tokens, outside), products(other, outside))
    assert not torch.allclose(products(tokens, inside), products(other, inside))


@pytest.mark.parametrize("rows", [0, 1, 9])
@pytest.mark.parametrize("pairs", [NO_PAIRS, torch.tensor([[0, 1]])])
def test_a_part_is_finite_and_of_unit_length(
    rows: int, pairs: torch.Tensor, products: PairProducts
) -> None:
    found = products(torch.randn(rows, 5, WIDTH), pairs)
    assert found.shape == (rows, OUTPUTS)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(rows))


@pytest.mark.parametrize("pairs", [NO_PAIRS, torch.tensor([[0, 1], [2, 4]])])
def test_gradients_stay_finite_at_zero(pairs: torch.Tensor, products: PairProducts) -> None:
    torch.nn.init.zeros_(products.project.bias_AO)
    tokens = torch.zeros(2, 5, WIDTH, requires_grad=True)
    (products(tokens, pairs) * torch.arange(OUTPUTS)).sum().backward()
    assert tokens.grad is not None
    assert bool(torch.isfinite(tokens.grad).all())
    for parameter in products.parameters():
        assert parameter.grad is not None and bool(torch.isfinite(parameter.grad).all())


@pytest.mark.parametrize("columns", [1, 2, 7, 30])
@pytest.mark.parametrize("active", [0, 1, 5, 1000])
def test_all_pairs_are_tried(columns: int, active: int) -> None:
    sampler, pairs = PairSampler(columns, active, 5), columns * (columns - 1) // 2
    expected = list(itertools.combinations(range(columns), 2))
    assert [tuple(pair) for pair in sampler.pairs_P2.tolist()] == expected
    assert sampler.active == min(active, pairs)
    assert len(sampler.first()) == (pairs if active else 0)


def test_of_very_many_pairs_some_are_drawn() -> None:
    drawn, twin, other = (PairSampler(200, 9, seed).pairs_P2 for seed in (1, 1, 2))
    assert torch.equal(drawn, twin) and not torch.equal(drawn, other)
    assert len(drawn.unique(dim=0)) == len(drawn) == MOST_PAIRS
    assert bool((drawn[:, 0] < drawn[:, 1]).all())
    assert len(drawn.unique()) == 200
    assert abs(float(drawn.float().mean()) - 99.5) < 3.0


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5, 8, 14, 20, 60, 200])
def test_the_budget_is_a_share_of_all_pairs_above_a_floor(columns: int) -> None:
    pairs, budget = min(columns * (columns - 1) // 2, MOST_PAIRS), pair_budget(columns)
    floor = min(pairs, max(5, columns // 2))
    assert floor <= budget <= pairs
    if budget > floor:
        assert 0.25 * pairs - 0.5 <= budget <= 0.40 * pairs + 0.5
    else:
        assert 0.25 * pairs <= floor + 0.5


def test_a_trained_space_reads_the_pairs_of_its_best_epoch(credit_space: EmbeddingSpace) -> None:
    """All of them where that came before anything was dropped, never fewer than the budget."""
    pairs, columns = credit_space.model.pairs_Q2, len(credit_space.column_names)
    assert pair_budget(columns) <= len(pairs) <= columns * (columns - 1) // 2
    assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)
    assert credit_space.pair_report is not None
    assert credit_space.pair_report["pairs_kept"] == len(pairs)


def test_products_are_a_part_of_the_row(credit_space: EmbeddingSpace, credit: object) -> None:
    """Other pairs change the last part alone; its share of the row's length is always the same."""
    typed = typed_columns(as_table(credit), credit_space.schema)  # type: ignore[arg-type]
    batch = credit_space.tokenizer.encode(typed).rows(slice(0, 8))
    model = credit_space.model
    with torch.no_grad():
        rows = [
            model.encode(batch, pairs_Q2=pairs).row_BM
            for pairs in (torch.tensor([[0, 2], [1, 8]]), torch.tensor([[0, 5]]), NO_PAIRS)
        ]
    for one, other in itertools.combinations(rows, 2):
        torch.testing.assert_close(one[:, :-PRODUCT_WIDTH], other[:, :-PRODUCT_WIDTH])
        assert not torch.allclose(one, other)
    length = PRODUCT_LENGTH / (2.0 + PRODUCT_LENGTH**2) ** 0.5
    for row in rows:
        torch.testing.assert_close(row[:, -PRODUCT_WIDTH:].norm(dim=-1), torch.full((8,), length))
