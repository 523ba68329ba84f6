"""Relationship tokens are the eight plain formulas; pairs are drawn at random under a budget (JOINT-2)."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from featrix_core import EmbeddingSpace
from featrix_core.input_data_set import as_table
from featrix_core.space.plan import relationship_budget
from featrix_core.space.relationships import EPSILON, OPERATIONS, PairSampler, RelationshipTokens
from featrix_core.tables.build import typed_columns

WIDTH = 6


@pytest.fixture(scope="module")
def plain() -> RelationshipTokens:
    """Tokens before their projection: identity maps, no operation embedding."""
    tokens = RelationshipTokens(WIDTH)
    with torch.no_grad():
        tokens.project_RDD.copy_(torch.eye(WIDTH).expand_as(tokens.project_RDD))
        tokens.operation_RD.zero_()
    return tokens


def _formula(name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    def divided(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
        safe = [
            t / (abs(u) + EPSILON) * (-1 if u < 0 else 1) for t, u in zip(top, bottom, strict=True)
        ]
        return np.clip(safe, -8, 8)

    formulas = {
        "product": a * b,
        "sum": a + b,
        "absolute_difference": np.abs(a - b),
        "cosine": np.full(WIDTH, a @ b / np.linalg.norm(a) / np.linalg.norm(b)),
        "difference": a - b,
        "reverse_difference": b - a,
        "ratio": divided(a, b),
        "reverse_ratio": divided(b, a),
    }
    return formulas[name]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations_are_the_plain_formulas(operation: str, plain: RelationshipTokens) -> None:
    tokens = torch.randn(5, 4, WIDTH, generator=torch.Generator().manual_seed(3)) * 2
    tokens[0, 1, :3] = torch.tensor([0.0, 1e-9, -1e-9])
    pairs = torch.tensor([[0, 1], [1, 3], [0, 2]])
    found = plain(tokens, pairs).detach().view(5, 3, len(OPERATIONS), WIDTH)
    place = OPERATIONS.index(operation)
    for row in range(5):
        for pair, (left, right) in enumerate(pairs.tolist()):
            a, b = tokens[row, left].double().numpy(), tokens[row, right].double().numpy()
            np.testing.assert_allclose(
                found[row, pair, place].numpy(), _formula(operation, a, b), rtol=2e-4, atol=1e-5
            )


def test_every_operation_has_its_own_projection(plain: RelationshipTokens) -> None:
    tokens = torch.randn(2, 3, WIDTH, generator=torch.Generator().manual_seed(3))
    pairs = torch.tensor([[0, 1], [1, 2]])
    own = RelationshipTokens(WIDTH)
    raw = plain(tokens, pairs).view(2, 2, len(OPERATIONS), WIDTH)
    expected = torch.einsum("bqrd,rde->bqre", raw, own.project_RDD) + own.operation_RD
    torch.testing.assert_close(own(tokens, pairs).view_as(expected), expected)


def test_no_rows(plain: RelationshipTokens) -> None:
    assert plain(torch.zeros(0, 3, WIDTH), torch.tensor([[0, 1]])).shape == (0, 8, WIDTH)


def test_gradients_stay_finite_at_zero(plain: RelationshipTokens) -> None:
    tokens = torch.zeros(1, 2, WIDTH, requires_grad=True)
    plain(tokens, torch.tensor([[0, 1]])).sum().backward()
    assert tokens.grad is not None
    assert bool(torch.isfinite(tokens.grad).all())


@pytest.mark.parametrize("columns", [2, 7, 30])
@pytest.mark.parametrize("budget", [0, 7, 8, 24, 100])
def test_draws_are_repeatable_and_within_the_budget(columns: int, budget: int) -> None:
    sampler, twin = PairSampler(columns, budget, 5), PairSampler(columns, budget, 5)
    for epoch in range(4):
        pairs = sampler.draw(epoch)
        assert torch.equal(pairs, twin.draw(epoch))
        assert pairs.shape == (min(budget // 8, columns * (columns - 1) // 2), 2)
        assert len(pairs) * len(OPERATIONS) <= budget
        assert bool((pairs[:, 0] < pairs[:, 1]).all())
        assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)
        assert pairs.numel() == 0 or int(pairs.max()) < columns


def test_draws_differ_between_epochs_and_seeds() -> None:
    def draws(seed: int) -> list[str]:
        return [str(PairSampler(20, 24, seed).draw(epoch).tolist()) for epoch in range(20)]

    assert len(set(draws(1))) > 15
    assert draws(1) != draws(2)


def test_every_pair_has_the_same_chance() -> None:
    sampler = PairSampler(6, 24, 9)
    counts: Counter[tuple[int, ...]] = Counter()
    epochs = 1500
    for epoch in range(epochs):
        counts.update(tuple(pair) for pair in sampler.draw(epoch).tolist())
    expected = epochs * 3 / 15
    assert len(counts) == 15
    # Six standard deviations of a binomial count.
    assert max(abs(n - expected) for n in counts.values()) < 6 * (expected * (1 - 3 / 15)) ** 0.5


def test_a_single_column_has_no_pair() -> None:
    assert PairSampler(1, 24, 0).draw(0).shape == (0, 2)


def test_a_trained_space_keeps_pairs_within_the_budget(credit_space: EmbeddingSpace) -> None:
    assert len(credit_space.model.pairs_Q2) <= relationship_budget() // len(OPERATIONS)


def test_relationships_are_read_by_the_rows(credit_space: EmbeddingSpace, credit: object) -> None:
    rows: Tensor
    typed = typed_columns(as_table(credit), credit_space.schema)  # type: ignore[arg-type]
    batch = credit_space.tokenizer.encode(typed).rows(slice(0, 8))
    model = credit_space.model
    with torch.no_grad():
        rows = model.encode(batch, pairs_Q2=torch.tensor([[0, 2], [1, 8], [4, 7]])).row_BM
        other = model.encode(batch, pairs_Q2=torch.tensor([[0, 5], [3, 8], [9, 12]])).row_BM
        none = model.encode(batch, pairs_Q2=torch.zeros((0, 2), dtype=torch.int64)).row_BM
    assert not torch.allclose(rows, other)
    assert not torch.allclose(rows, none)
