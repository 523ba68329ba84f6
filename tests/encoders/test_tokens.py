"""`TokenBatch`: indexing, mixing, cutting down and joining keep every cell's encoding; bundles keep every byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from featrix_core.bundle import read_tensors, write_tensors
from featrix_core.encoders.column_encoders import ColumnEncoders
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import FAMILY_OF, SENTENCE_CODES, TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.tables.build import typed_columns

Encode = Callable[[pd.DataFrame], TokenBatch]


def _encoded(encoders: ColumnEncoders, batch: TokenBatch) -> Tensor:
    with torch.no_grad():
        tokens: Tensor = encoders(batch)
    return tokens


@pytest.fixture
def strange(tokens_of: Encode, kinds: pd.DataFrame) -> TokenBatch:
    """Rows with categories and texts that training did not see."""
    rows = kinds.iloc[38:48].copy()
    rows.loc[39, "carrier"] = rows.loc[41, "carrier"] = "Zeppelin Company"
    rows.loc[40, "carrier"] = "Balloon Company"
    rows.loc[40, "size"] = "gigantic"
    rows.loc[39, "remark"] = "the parrot ate the parcel"
    rows.loc[39, "tags"] = "sticky, red"
    return tokens_of(rows)


def test_every_field_belongs_to_a_family_or_is_a_table() -> None:
    names = {field.name for field in fields(TokenBatch)}
    assert names - FAMILY_OF.keys() == {"extra_UP", "text_UE"}
    assert set(SENTENCE_CODES) <= FAMILY_OF.keys() <= names


def test_every_field_is_filled(kinds_batch: TokenBatch) -> None:
    for name in FAMILY_OF:
        value = getattr(kinds_batch, name)
        assert value.shape[0] == 60
        assert bool((value != 0).any()), name
        assert bool(torch.isfinite(value.float()).all()), name


def test_rows(kinds_batch: TokenBatch, kinds_encoders: ColumnEncoders) -> None:
    index = torch.tensor([7, 7, 59, 40])
    whole = _encoded(kinds_encoders, kinds_batch)
    part = kinds_batch.rows(index)
    assert part.n_rows == 4
    torch.testing.assert_close(_encoded(kinds_encoders, part), whole[index], rtol=1e-4, atol=1e-5)


def test_mixed_takes_whole_cells(kinds_batch: TokenBatch, kinds_encoders: ColumnEncoders) -> None:
    generator = torch.Generator().manual_seed(0)
    own = torch.randint(0, 60, (50,), generator=generator)
    other = torch.randint(0, 60, (50,), generator=generator)
    take = torch.rand((50, 17), generator=generator) < 0.5
    whole = _encoded(kinds_encoders, kinds_batch)
    expected = torch.where(take.unsqueeze(-1), whole[own], whole[other])
    mixed = kinds_batch.mixed(own, other, take)
    torch.testing.assert_close(_encoded(kinds_encoders, mixed), expected, rtol=1e-4, atol=1e-5)
    missing = torch.where(take, kinds_batch.missing_NA[own], kinds_batch.missing_NA[other])
    assert torch.equal(mixed.missing_NA, missing)
    everything = kinds_batch.mixed(own, other, torch.ones_like(take))
    for field in fields(TokenBatch):
        same = getattr(kinds_batch.rows(own), field.name)
        assert torch.equal(getattr(everything, field.name), same), field.name


def test_compact_keeps_the_encodings_and_drops_what_is_not_used(
    strange: TokenBatch, kinds_tokenizer: Tokenizer, kinds_encoders: ColumnEncoders
) -> None:
    vocabulary = kinds_tokenizer.vocabulary
    assert len(strange.extra_UP) == 3
    part = strange.rows(torch.tensor([2, 1]))
    small = part.compact(vocabulary)
    assert len(small.extra_UP) == 3
    assert len(part.rows(slice(1, 2)).compact(vocabulary).extra_UP) == 1
    assert len(small.text_UE) < len(part.text_UE) / 2
    assert not bool(small.text_UE[0].any())
    whole = _encoded(kinds_encoders, part)
    torch.testing.assert_close(_encoded(kinds_encoders, small), whole, rtol=1e-4, atol=1e-5)
    again = small.compact(vocabulary)
    for field in fields(TokenBatch):
        assert torch.equal(getattr(again, field.name), getattr(small, field.name)), field.name


def test_followed_by_keeps_the_encodings(
    strange: TokenBatch,
    kinds_batch: TokenBatch,
    kinds_tokenizer: Tokenizer,
    kinds_encoders: ColumnEncoders,
) -> None:
    vocabulary = kinds_tokenizer.vocabulary
    parts = [strange.rows(slice(0, 4)), kinds_batch, strange.rows(slice(2, 6))]
    joined = parts[0].followed_by(parts[1], vocabulary).followed_by(parts[2], vocabulary)
    assert joined.n_rows == 68
    separate = torch.cat([_encoded(kinds_encoders, part) for part in parts])
    torch.testing.assert_close(_encoded(kinds_encoders, joined), separate, rtol=1e-4, atol=1e-5)
    none = strange.rows(slice(0, 0))
    for field in fields(TokenBatch):
        if field.name in FAMILY_OF:
            value = getattr(none.followed_by(kinds_batch, vocabulary), field.name)
            assert value.shape == getattr(kinds_batch, field.name).shape, field.name


def test_saved_codecs_give_the_same_bytes(
    kinds: pd.DataFrame, kinds_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    state = kinds_tokenizer.state()
    write_tensors(tmp_path / "one.safetensors", state)
    loaded = read_tensors(tmp_path / "one.safetensors")
    again = Tokenizer.from_state(kinds_tokenizer.schema, loaded, kinds_tokenizer.children)
    write_tensors(tmp_path / "two.safetensors", again.state())
    assert (tmp_path / "one.safetensors").read_bytes() == (
        tmp_path / "two.safetensors"
    ).read_bytes()
    typed = typed_columns(as_table(kinds), kinds_tokenizer.schema)
    one, two = kinds_tokenizer.encode(typed), again.encode(typed)
    for field in fields(TokenBatch):
        assert torch.equal(getattr(one, field.name), getattr(two, field.name)), field.name


def test_encoders_built_from_saved_codecs_are_the_same(
    kinds_tokenizer: Tokenizer, kinds_encoders: ColumnEncoders
) -> None:
    again = Tokenizer.from_state(
        kinds_tokenizer.schema, kinds_tokenizer.state(), kinds_tokenizer.children
    )
    torch.manual_seed(3)
    other = ColumnEncoders(again, 16)
    weights = kinds_encoders.state_dict()
    assert weights.keys() == other.state_dict().keys()
    for name, value in other.state_dict().items():
        assert torch.equal(value, weights[name]), name
