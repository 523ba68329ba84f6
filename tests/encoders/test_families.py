"""Every family gives one token per cell: any number of rows, missing cells, values that were never seen."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from featrix_core.encoders.column_encoders import ColumnEncoders
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import FAMILIES, TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.tables.build import typed_columns

Encode = Callable[[pd.DataFrame], TokenBatch]
FAMILY_OF_COLUMN = {
    "scalar": ("amount", "celsius"),
    "set": ("carrier", "size", "insured"),
    "timestamp": ("moment",),
    "text": ("remark", "story", "tags", "part"),
    "composite": ("mail", "host", "link", "phone", "address"),
    "vector": ("position", "options"),
}
UNSEEN = {
    "amount": 1e9,
    "celsius": -80.0,
    "carrier": "Zeppelin Company",
    "moment": "1931-07-04 03:02",
    "remark": "the parrot ate the parcel",
    "story": "Nobody had seen such a storm. " * 60,
    "tags": "sticky, loud",
    "part": "Z9-77777",
    "mail": "somebody.else@kangaroo.com.au",
    "host": "blog.kangaroo.com.au",
    "link": "ftp://kangaroo.com.au/pouch",
    "phone": "+61 2 9374 4000",
    "address": "42 Wallaby Way, Sydney NSW 2000",
    "position": "[9.0, -9.0, 9.0, -9.0, 9.0]",
    "options": '{"gift": 77, "wrap": "gold"}',
}


def _encoded(encoders: ColumnEncoders, batch: TokenBatch) -> Tensor:
    with torch.no_grad():
        tokens: Tensor = encoders(batch)
    return tokens


def test_columns_stand_by_family(kinds_tokenizer: Tokenizer) -> None:
    assert dict(zip(FAMILIES, kinds_tokenizer.groups, strict=True)) == FAMILY_OF_COLUMN


@pytest.mark.parametrize("rows", [0, 1, 60])
def test_a_token_per_cell(
    rows: int, kinds: pd.DataFrame, kinds_tokenizer: Tokenizer, kinds_encoders: ColumnEncoders
) -> None:
    table = as_table(kinds)
    schema = kinds_tokenizer.schema
    whole = _encoded(kinds_encoders, kinds_tokenizer.encode(typed_columns(table, schema)))
    assert whole.shape == (60, 17, 16)
    assert bool(torch.isfinite(whole).all())
    few = typed_columns(table.take(np.arange(rows)), schema)
    part = _encoded(kinds_encoders, kinds_tokenizer.encode(few))
    assert part.shape == (rows, 17, 16)
    torch.testing.assert_close(part, whole[:rows], rtol=1e-4, atol=1e-5)


def test_tokens_differ_between_values(
    kinds_encoders: ColumnEncoders, kinds_batch: TokenBatch, kinds: pd.DataFrame
) -> None:
    tokens = _encoded(kinds_encoders, kinds_batch)[:40].numpy().round(4)
    for place, name in enumerate(n for names in FAMILY_OF_COLUMN.values() for n in names):
        found = len(np.unique(tokens[:, place], axis=0))
        # Figures in an e-mail's name and the subscriber's number of a telephone are not read.
        least = {"mail": 20, "phone": 3}.get(name, kinds[name].iloc[:40].nunique())
        assert found >= least, name


def test_missing_cells_are_the_learned_vector_in_every_family(
    kinds_encoders: ColumnEncoders, kinds_batch: TokenBatch, kinds: pd.DataFrame
) -> None:
    tokens = _encoded(kinds_encoders, kinds_batch)
    names = [n for names in FAMILY_OF_COLUMN.values() for n in names]
    for place, name in enumerate(names):
        missing = torch.tensor(kinds[name].isna().tolist())
        assert int(missing.sum()) == 1
        learned = kinds_encoders.missing_AD[place].detach()
        assert torch.equal(tokens[missing, place], learned.unsqueeze(0)), name
        assert not bool((tokens[~missing, place] == learned).all(dim=-1).any()), name


def test_a_table_without_any_value(
    kinds: pd.DataFrame, tokens_of: Encode, kinds_encoders: ColumnEncoders
) -> None:
    empty = kinds.iloc[:3].copy()
    for name in empty:
        empty[name] = pd.Series([None] * 3, dtype=empty[name].dtype, index=empty.index)
    tokens = _encoded(kinds_encoders, tokens_of(empty))
    assert torch.equal(tokens, kinds_encoders.missing_AD.detach().expand(3, -1, -1))


def test_unseen_values_have_tokens_of_their_own(
    kinds: pd.DataFrame, tokens_of: Encode, kinds_encoders: ColumnEncoders
) -> None:
    rows = kinds.iloc[:2].copy()
    for name, value in UNSEEN.items():
        rows.loc[0, name] = value
    tokens = _encoded(kinds_encoders, tokens_of(rows))
    known = _encoded(kinds_encoders, tokens_of(kinds))
    assert bool(torch.isfinite(tokens).all())
    names = [n for names in FAMILY_OF_COLUMN.values() for n in names]
    for name in UNSEEN:
        place = names.index(name)
        token = tokens[0, place]
        assert not bool((known[:, place] == token).all(dim=-1).any()), name
        assert not torch.equal(token, kinds_encoders.missing_AD[place]), name


def test_every_weight_of_every_family_takes_part(
    kinds_encoders: ColumnEncoders, kinds_batch: TokenBatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = kinds_encoders(kinds_batch)
    (tokens * torch.randn(tokens.shape, generator=generator)).sum().backward()
    idle = [n for n, p in kinds_encoders.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


@pytest.mark.parametrize("family", FAMILIES)
def test_a_column_reads_its_own_cells_alone(
    family: str, kinds: pd.DataFrame, tokens_of: Encode, kinds_encoders: ColumnEncoders
) -> None:
    before = _encoded(kinds_encoders, tokens_of(kinds))
    turned = kinds.copy()
    for name in FAMILY_OF_COLUMN[family]:
        turned[name] = kinds[name].to_numpy()[::-1]
    after = _encoded(kinds_encoders, tokens_of(turned))
    names = [n for names in FAMILY_OF_COLUMN.values() for n in names]
    own = [names.index(name) for name in FAMILY_OF_COLUMN[family]]
    rest = [place for place in range(len(names)) if place not in own]
    torch.testing.assert_close(after[:, rest], before[:, rest], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after[:, own], before.flip(0)[:, own], rtol=1e-4, atol=1e-5)


def test_ordinal_levels_lie_in_their_order(
    kinds_tokenizer: Tokenizer, kinds_encoders: ColumnEncoders, kinds: pd.DataFrame
) -> None:
    """The smooth pattern alone: without it, learned vectors know no order."""
    encoder = copy.deepcopy(kinds_encoders.set)
    assert encoder is not None
    column = kinds_tokenizer.groups[1].index("size")
    start = kinds_tokenizer.set_offsets[column]
    categories = kinds_tokenizer.schema.column("size").categories
    rows = [start + 2 + categories.index(name) for name in ("small", "medium", "large")]
    waves = encoder.waves_VO[rows]
    projected = waves @ encoder.ordinal.weight_AIO[column].detach()
    for place in (waves, projected):
        near = [float((place[0] - place[1]).norm()), float((place[1] - place[2]).norm())]
        assert max(near) < float((place[0] - place[2]).norm())
    plain = kinds_tokenizer.set_offsets[kinds_tokenizer.groups[1].index("carrier")]
    assert not bool(encoder.waves_VO[plain : plain + 6].any())


def test_booleans_are_all_learned(kinds_encoders: ColumnEncoders, kinds_batch: TokenBatch) -> None:
    encoder = copy.deepcopy(kinds_encoders.set)
    assert encoder is not None
    assert not bool(encoder.semantic_VP[-4:].any())
    with torch.no_grad():
        before = encoder(kinds_batch)[:, 2]
        encoder.learned_VD.add_(torch.randn(encoder.learned_VD.shape))
        after = encoder(kinds_batch)[:, 2]
    assert not torch.allclose(before, after)


def test_the_turn_of_the_year_is_no_border(
    kinds: pd.DataFrame, tokens_of: Encode, kinds_encoders: ColumnEncoders
) -> None:
    firsts = [f"2023-{month:02d}-01 12:00" for month in range(2, 13)]
    moments = ["2023-12-31 12:00", "2024-01-01 12:00", *firsts]
    batch = tokens_of(kinds.iloc[: len(moments)].assign(moment=moments))
    assert kinds_encoders.timestamp is not None
    with torch.no_grad():
        tokens = kinds_encoders.timestamp(batch)[:, 0]
    away = (tokens[1:] - tokens[0]).norm(dim=-1)
    assert float(away[0]) < float(away[1:].min())
