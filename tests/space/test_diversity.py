"""Head diversity: copies are found whatever their axes, bands and detail follow the source (JOINT-5)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from featrix_core.space.diversity import head_diversity, head_similarity, status_of
from featrix_core.space.joint_encoder import Attention, Block


def attention(heads: int = 4, width: int = 32, seed: int = 0) -> Attention:
    torch.manual_seed(seed)
    return Attention(width, heads)


def copy_head(made: Attention, source: int, target: int, turn: bool = False) -> None:
    """Give `target` the attention pattern of `source`, with its axes turned if asked."""
    size = made.query.weight.shape[0] // made.heads
    one, other = (slice(h * size, (h + 1) * size) for h in (source, target))
    axes = torch.linalg.qr(torch.randn(size, size)).Q if turn else torch.eye(size)
    with torch.no_grad():
        made.query.weight[other] = axes @ made.query.weight[one]
        made.query.bias[other] = axes @ made.query.bias[one]
        made.key_value.weight[other] = axes @ made.key_value.weight[one]


def test_scores_of_equal_heads_are_what_is_compared() -> None:
    """The measure says 1 exactly where two heads weigh all positions alike."""
    made = attention(heads=2)
    copy_head(made, 0, 1, turn=True)
    x = torch.randn(5, 7, 32)
    query = made._split(made.query(x))
    key = made._split(made.key_value(x)[..., :32])
    weights = (query @ key.transpose(2, 3)).softmax(dim=-1)
    assert torch.allclose(weights[:, 0], weights[:, 1], atol=1e-6)
    assert float(head_similarity(made)[0, 1]) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("turn", [False, True])
def test_a_copied_head_is_named(turn: bool) -> None:
    first, second = Block(32, 4, 0.0), Block(32, 4, 0.0)
    copy_head(second.attention, 1, 3, turn)
    found = head_diversity(nn.ModuleList([first, second]), 10)
    assert found is not None
    (pair,) = found["redundant_pairs"]
    assert (pair["block"], pair["heads"]) == (1, [1, 3])
    assert found["max"] == pytest.approx(1.0, abs=1e-5)
    assert found["status"] == "DIVERSE" and "1 of 12 pairs" in found["advice"]


def test_random_heads_differ_and_the_key_bias_says_nothing() -> None:
    made = attention(heads=8, width=64)
    before = head_similarity(made)
    assert before.shape == (8, 8) and float(before.triu(1).abs().max()) < 0.2
    with torch.no_grad():
        made.key_value.bias.normal_()
    assert torch.equal(before, head_similarity(made))


def test_an_opposite_head_is_as_diverse_as_can_be() -> None:
    made = attention(heads=2)
    copy_head(made, 0, 1)
    with torch.no_grad():
        made.query.weight[16:].neg_()
        made.query.bias[16:].neg_()
    found = head_diversity(made, 1)
    assert found is not None and found["diversity"] == pytest.approx(2.0, abs=1e-6)


def test_all_heads_alike_is_high_and_detail_comes_every_ten_epochs() -> None:
    made = attention(heads=4)
    for head in (1, 2, 3):
        copy_head(made, 0, head, turn=True)
    ninth, tenth = head_diversity(made, 9), head_diversity(made, 10)
    assert ninth is not None and tenth is not None
    assert set(ninth) == {"average_similarity", "diversity", "status"}
    assert tenth["status"] == "HIGH" and len(tenth["redundant_pairs"]) == 6
    assert "try 8 heads instead of 4" in tenth["advice"]
    assert tenth["diversity"] == pytest.approx(1 - tenth["average_similarity"])


def test_one_head_has_no_pair() -> None:
    assert head_diversity(attention(heads=1), 10) is None


@pytest.mark.parametrize(
    ("similarity", "status"),
    [
        (-0.2, "DIVERSE"),
        (0.49, "DIVERSE"),
        (0.5, "MODERATE"),
        (0.7, "MODERATE"),
        (0.71, "REDUNDANT"),
        (0.8, "REDUNDANT"),
        (0.81, "HIGH"),
    ],
)
def test_bands_of_the_source(similarity: float, status: str) -> None:
    assert status_of(similarity) == status
