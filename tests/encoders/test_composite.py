"""E-mails, domains, URLs, phone numbers and addresses: what shares parts lies near (ENC-5)."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
import torch

from featrix_core.encoders.column_encoders import ColumnEncoders
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import TokenBatch

Encode = Callable[[pd.DataFrame], TokenBatch]

NEARER = [
    # column, value, what shares its parts, what does not
    ("mail", "maria@acme.org", "john@acme.org", "li.wei@gmail.com"),
    ("mail", "maria@gmail.com", "maria.j@gmail.com", "a.novak@mail.uni-bonn.de"),
    ("host", "www.example.co.uk", "shop.example.co.uk", "api.gmail.com"),
    ("link", "https://acme.org/red/list?page=1", "https://acme.org/red/list?page=2",
     "http://mail.uni-bonn.de/heavy"),
    ("phone", "+49 228 731000", "+49 228 731999", "+44 20 7 946 0018"),
    ("address", "Hauptstr. 5, 53111 Bonn", "Hauptstr. 7, 53111 Bonn", "1 Main St, Springfield"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "value", "near", "far"), NEARER)
def test_shared_parts_lie_near(
    column: str,
    value: str,
    near: str,
    far: str,
    kinds: pd.DataFrame,
    tokens_of: Encode,
    kinds_tokenizer: Tokenizer,
    kinds_encoders: ColumnEncoders,
) -> None:
    rows = kinds.iloc[:3].copy()
    rows[column] = [value, near, far]
    batch = tokens_of(rows)
    place = kinds_tokenizer.groups[4].index(column)
    summary = batch.summary_NYZ[:, place]
    assert kinds_encoders.composite is not None
    with torch.no_grad():
        tokens = kinds_encoders.composite(batch)[:, place]
    for points in (summary, tokens):
        close, away = float((points[0] - points[1]).norm()), float((points[0] - points[2]).norm())
        assert close < 0.75 * away


def test_summaries_of_missing_cells_are_zero(kinds_batch: TokenBatch) -> None:
    missing = kinds_batch.composite_missing_NY
    assert int(missing.sum()) == 5
    assert not bool(kinds_batch.summary_NYZ[missing].any())
    assert bool(kinds_batch.summary_NYZ[~missing].any(dim=-1).all())
    assert float(kinds_batch.summary_NYZ.abs().max()) <= 8.0


def test_columns_have_weights_of_their_own(
    kinds: pd.DataFrame, tokens_of: Encode, kinds_encoders: ColumnEncoders
) -> None:
    encoder = kinds_encoders.composite
    assert encoder is not None
    batch = tokens_of(kinds)
    with torch.no_grad():
        before = encoder(batch)
        encoder.piece_YIEW[1] += 0.1
        encoder.category_YJW[3] += 0.1
        after = encoder(batch)
    changed = [not torch.equal(before[:, y], after[:, y]) for y in range(5)]
    assert changed == [False, True, False, True, False]
