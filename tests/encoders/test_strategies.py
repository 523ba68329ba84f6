"""Strategies start where the statistics point, sharpen, and are switched off by the rules (ENC-1, ENC-3)."""

from __future__ import annotations

import hashlib
import uuid

import numpy as np
import pytest
import torch

from featrix_core.encoders import scalar_encoder, text_encoder
from featrix_core.encoders.column_encoders import PRUNE_EVERY, ColumnEncoders
from featrix_core.encoders.scalar_codec import fit_scalar
from featrix_core.encoders.strategies import Strategies
from featrix_core.encoders.text_codec import TextState, randomness
from featrix_core.tables.schema import ColumnSchema, ColumnType

RNG = np.random.default_rng(8)
_BANKS = ("DE37040044", "DE50010517", "DE10050000", "FR30006000", "FR20041010")


def _favoured(values: np.ndarray) -> set[str]:
    logits = scalar_encoder.starting_logits(fit_scalar(np.asarray(values, np.float64)))
    assert len(logits) == len(scalar_encoder.STRATEGIES) == 20
    return {n for n, x in zip(scalar_encoder.STRATEGIES, logits, strict=True) if x == max(logits)}


def test_a_heavy_tail_starts_with_logarithms() -> None:
    favoured = _favoured(np.exp(RNG.normal(9.0, 1.5, 2_000)))
    assert {"log", "clipped_log", "yeojohnson"} <= favoured
    assert "minmax" not in favoured


def test_outliers_start_with_robust_scales() -> None:
    values = RNG.normal(50.0, 1.0, 2_000)
    values[::16] += 60.0 * np.sign(RNG.normal(size=125))
    assert {"robust", "rank"} <= _favoured(values)


def test_a_bounded_range_starts_with_min_max() -> None:
    assert _favoured(RNG.uniform(0.0, 100.0, 2_000)) == {"minmax", "linear"}


def test_many_zeros_start_with_buckets_and_signs() -> None:
    values = np.where(RNG.uniform(size=2_000) < 0.7, 0.0, RNG.uniform(1.0, 5.0, 2_000))
    assert {"bucket", "is_positive"} <= _favoured(values)


@pytest.mark.parametrize("values", [np.zeros(5), np.full(9, np.nan), np.array([1e308, -1e308])])
def test_odd_columns_start_somewhere(values: np.ndarray) -> None:
    assert np.isfinite(scalar_encoder.starting_logits(fit_scalar(values))).all()


def _strategies(shares: list[float], keep: int) -> Strategies:
    return Strategies(torch.tensor([shares]).log(), keep)


def test_weights_add_up_and_unavailable_strategies_have_none() -> None:
    never = float("-inf")
    strategies = Strategies(torch.tensor([[0.0, 0.0, never], [1.0, 0.0, 0.0]]), 2)
    weights = strategies().detach()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2))
    torch.testing.assert_close(weights[0], torch.tensor([0.5, 0.5, 0.0]))
    strategies().square().sum().backward()
    assert strategies.logit_AK.grad is not None
    assert bool(torch.isfinite(strategies.logit_AK.grad).all())
    assert float(strategies.logit_AK.grad[0, 2]) == 0.0


def test_strategies_below_a_twentieth_of_the_mean_are_switched_off() -> None:
    # Mean .2: what weighs less than .01 goes.
    strategies = _strategies([0.50, 0.30, 0.18, 0.011, 0.009], keep=3)
    strategies.prune_below(scalar_encoder.PRUNE_SHARE)
    assert strategies.alive_AK.tolist() == [[True, True, True, True, False]]
    weights = strategies().detach()
    assert float(weights[0, 4]) == 0.0
    assert float(weights.sum()) == pytest.approx(1.0)
    # The mean of those that are left is .25 now.
    strategies.prune_below(scalar_encoder.PRUNE_SHARE)
    assert strategies.alive_AK.tolist() == [[True, True, True, False, False]]


def test_never_fewer_than_the_floor() -> None:
    strategies = _strategies([0.9990, 0.0004, 0.0003, 0.0002, 0.0001], scalar_encoder.KEPT)
    for _ in range(3):
        strategies.prune_below(scalar_encoder.PRUNE_SHARE)
    assert strategies.alive_AK.tolist() == [[True, True, True, False, False]]


def test_of_texts_the_best_two_stay() -> None:
    strategies = _strategies([0.1, 0.2, 0.3, 0.25, 0.15], text_encoder.KEPT)
    strategies.prune_below(float("inf"))
    assert strategies.alive_AK.tolist() == [[False, False, True, True, False]]


def test_sharpening_widens_what_training_prefers() -> None:
    strategies = _strategies([0.4, 0.35, 0.25], 1)
    before = strategies().detach()
    tops = [float(before[0, 0])]
    for progress in (0.1, 0.5, 1.0):
        strategies.sharpen(progress)
        weights = strategies().detach()
        assert weights.argsort(descending=True).tolist() == [[0, 1, 2]]
        tops.append(float(weights[0, 0]))
    assert tops == sorted(tops)
    assert tops[-1] > 0.9
    strategies.sharpen(0.0)
    torch.testing.assert_close(strategies().detach(), before)


def test_settled_columns_do_not_change() -> None:
    strategies = _strategies([0.6, 0.3, 0.0999, 0.0001], 2)
    strategies.sharpen(0.3)
    strategies.settle()
    before = {name: value.clone() for name, value in strategies.state_dict().items()}
    strategies.sharpen(1.0)
    strategies.prune_below(float("inf"))
    for name, value in strategies.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_only_new_columns_of_an_extended_space_move() -> None:
    strategies = Strategies(torch.tensor([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1]]).log(), 1)
    strategies.settled_A[0] = True
    strategies.sharpen(0.5)
    strategies.prune_below(float("inf"))
    assert strategies.alive_AK.tolist() == [[True, True, True], [True, False, False]]
    assert float(strategies.sharpness_A[0]) == 1.0 < float(strategies.sharpness_A[1])


def test_pruning_waits_for_the_warm_up_and_for_every_fifth_epoch(
    kinds_encoders: ColumnEncoders,
) -> None:
    scalar, text = kinds_encoders.scalar, kinds_encoders.text
    assert scalar is not None
    assert text is not None
    with torch.no_grad():
        scalar.strategies.logit_AK[:, 3:] -= 9.0

    def alive() -> tuple[int, int]:
        return int(scalar.strategies.alive_AK.sum()), int(text.strategies.alive_AK.sum())

    every, texts = alive()
    epochs = 100
    for epoch in range(1, epochs + 1):
        progress = (epoch - 1) / epochs
        kinds_encoders.mature(epoch, progress)
        numbers, left = alive()
        first = next(e for e in range(1, 100, 1) if e % PRUNE_EVERY == 0 and (e - 1) / 100 >= 0.2)
        assert numbers == (every if epoch < first else 2 * scalar_encoder.KEPT), epoch
        assert left == (texts if progress < text_encoder.WARM_UP else 4 * text_encoder.KEPT), epoch


def _text_start(type: ColumnType, distinct: int, random: float, **statistics: float) -> list[str]:
    """Strategies that a text column of 100 rows has, the most favoured first."""
    column = ColumnSchema(
        name="x", type=type, evidence="", n_rows=100, n_missing=0, n_unique=distinct,
        statistics=statistics,
    )  # fmt: skip
    logits = text_encoder.starting_logits(column, TextState(np.array([random], np.float32)))
    assert len(logits) == len(text_encoder.STRATEGIES) == 7
    pairs = sorted(zip(text_encoder.STRATEGIES, logits, strict=True), key=lambda p: -p[1])
    return [name for name, logit in pairs if np.isfinite(logit)]


def test_texts_start_by_what_detection_found() -> None:
    assert _text_start(ColumnType.LIST, 60, 0.6)[0] == "DELIM_ATTN"
    assert _text_start(ColumnType.DOCUMENT, 100, 0.0)[0] == "DELIM_ATTN"
    assert _text_start(ColumnType.CODE, 60, 0.6)[0] == "RADIX"
    assert _text_start(ColumnType.TEXT, 100, 0.7, mean_words=12.0)[0] == "STANDARD"
    assert _text_start(ColumnType.TEXT, 60, 0.7, mean_words=1.5)[0] == "AGGRESSIVE"
    for type in (ColumnType.CODE, ColumnType.TEXT):
        assert _text_start(type, 100, 0.99)[0] == "ZERO"
    # Strings that come back tell something, however random they look.
    assert _text_start(ColumnType.CODE, 40, 0.99)[0] == "RADIX"


def test_only_lists_have_parts_and_only_codes_have_places() -> None:
    for type in (ColumnType.TEXT, ColumnType.CODE):
        assert not {"DELIMITER", "DELIM_ATTN"} & set(_text_start(type, 50, 0.5))
    for type in (ColumnType.TEXT, ColumnType.LIST, ColumnType.DOCUMENT):
        assert "RADIX" not in _text_start(type, 50, 0.5)


def _base62(k: int) -> str:
    signs = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    digest = hashlib.sha256(str(k).encode()).digest()
    return "".join(signs[byte % 62] for byte in digest[:16])


@pytest.mark.parametrize("count", [60, 500])
def test_random_strings_are_told_from_codes(count: int) -> None:
    numbers = range(count)
    random = {
        "uuid": [str(uuid.UUID(bytes=hashlib.md5(b"%d" % k).digest(), version=4)) for k in numbers],
        "sha": [hashlib.sha256(b"%d" % k).hexdigest() for k in numbers],
        "base 62": [_base62(k) for k in numbers],
    }
    for name, texts in random.items():
        assert randomness(texts) > text_encoder.RANDOM, name
    ordered = {
        "order numbers": [f"ORD-2024-{k:06d}" for k in numbers],
        "plates": [f"{'ABCD'[k % 4]}{k % 7}-{1000 + 37 * k}-{'XY'[k % 2]}" for k in numbers],
        "bank accounts": [f"{_BANKS[k % 5]}{k * 7919:010d}" for k in numbers],
        "sentences": [f"parcel {k} was left with the neighbour at number {k % 9}" for k in numbers],
    }
    for name, texts in ordered.items():
        assert randomness(texts) < text_encoder.RANDOM - 0.03, name


@pytest.mark.parametrize("texts", [[], ["a"], ["", ""], ["é" * 30] * 30, ["ab"] * 99])
def test_randomness_of_next_to_nothing(texts: list[str]) -> None:
    assert randomness(texts) == 0.0
