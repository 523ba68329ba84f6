"""Categories: gate, floor, and one computation per distinct category of a batch (ENC-2, ENC-6)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from featrix_core.encoders.column_encoders import ColumnEncoders
from featrix_core.encoders.set_codec import opacity, ordinal_waves
from featrix_core.encoders.set_encoder import LEARNED_SHARE, distinct, semantic_floor
from featrix_core.encoders.tokens import TokenBatch


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 12), st.integers(1, 4), st.integers(1, 9), st.integers(min_value=0, max_value=99)
)
def test_distinct_codes_rebuild_the_cells(rows: int, columns: int, codes: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randint(0, codes, (rows, columns), generator=generator)
    cells = cells + 10 * torch.arange(columns)
    found, place = distinct(cells)
    assert torch.equal(found.gather(0, place), cells)
    for column in range(columns):
        own = cells[:, column].unique()
        assert found[: len(own), column].tolist() == own.tolist()
        assert set(found[:, column].tolist()) == set(own.tolist())
    assert len(found) == max((len(cells[:, c].unique()) for c in range(columns)), default=0)


def test_a_category_has_one_token_whatever_stands_beside_it(
    kinds_encoders: ColumnEncoders, kinds_batch: TokenBatch
) -> None:
    encoder = kinds_encoders.set
    assert encoder is not None
    with torch.no_grad():
        whole = encoder(kinds_batch)
        single = torch.cat([encoder(kinds_batch.rows(slice(k, k + 1))) for k in range(60)])
    torch.testing.assert_close(single, whole, rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_separate_cells(
    kinds_encoders: ColumnEncoders, kinds_batch: TokenBatch
) -> None:
    encoder = kinds_encoders.set
    assert encoder is not None
    weight = torch.randn((60, 3, 16), generator=torch.Generator().manual_seed(1))
    (encoder(kinds_batch) * weight).sum().backward()
    together = {n: p.grad.clone() for n, p in encoder.named_parameters() if p.grad is not None}
    encoder.zero_grad()
    for row in range(60):
        part = kinds_batch.rows(slice(row, row + 1))
        (encoder(part) * weight[row : row + 1]).sum().backward()
    assert len(together) == len(list(encoder.parameters()))
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, together[name], rtol=1e-3, atol=1e-4)


def test_gate_starts_at_its_share(kinds_encoders: ColumnEncoders) -> None:
    encoder = kinds_encoders.set
    assert encoder is not None
    share = torch.sigmoid(encoder.gate.second.bias_AO)
    torch.testing.assert_close(share, torch.full((3, 1), LEARNED_SHARE))


def test_floor_falls_from_seventy_to_ten_per_cent() -> None:
    assert [semantic_floor(p) for p in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([0.7, 0.4, 0.1, 0.1])


def test_floor_binds_the_gate(kinds_encoders: ColumnEncoders, kinds_batch: TokenBatch) -> None:
    encoder = kinds_encoders.set
    assert encoder is not None
    with torch.no_grad():
        encoder.gate.second.bias_AO.fill_(20.0)
    for progress in (0.0, 0.25, 0.5):
        encoder.mature(progress, prunes=False)
        highest = 1.0 - semantic_floor(progress)
        # The last column is a boolean: it has no words, so nothing stands against the learned path.
        assert encoder.learned_shares(kinds_batch).tolist() == pytest.approx(
            [highest, highest, 1.0], abs=1e-4
        )


@pytest.mark.parametrize(
    ("text", "expected"),
    [("unemployed", 0.0), ("A14", 1.0), ("", 1.0), ("--", 1.0), ("Ärzte", 0.0), ("东京", 0.0),
     ("XKCD", 1.0), ("room 12", 2 / 6)],
)  # fmt: skip
def test_opacity(text: str, expected: float) -> None:
    assert opacity(text) == pytest.approx(expected)


@given(st.integers(3, 12))
def test_neighbouring_levels_lie_nearer_than_the_ends(levels: int) -> None:
    waves = ordinal_waves(np.linspace(0.0, 1.0, levels).tolist())
    steps = np.linalg.norm(np.diff(waves, axis=0), axis=1)
    assert steps.max() < np.linalg.norm(waves[0] - waves[-1])
    assert steps.min() > 0.1
