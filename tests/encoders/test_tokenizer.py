"""Codecs are fitted once, saved as tensors, and tell missing, unknown and unseen values apart."""

from __future__ import annotations

from dataclasses import astuple, fields

import numpy as np
import pandas as pd
import torch

from featrix_core import EmbeddingSpace
from featrix_core.encoders.set_codec import MISSING, UNKNOWN
from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.schema import ColumnType


def _tokens(space: EmbeddingSpace, frame: pd.DataFrame) -> TokenBatch:
    return space.tokenizer.encode(typed_columns(as_table(frame), space.schema))


def _equal(one: TokenBatch, other: TokenBatch) -> None:
    for field in fields(one):
        assert torch.equal(getattr(one, field.name), getattr(other, field.name)), field.name


def test_groups_stand_in_the_order_of_the_encoders(trip_space: EmbeddingSpace) -> None:
    assert trip_space.tokenizer.groups == (
        ("distance", "dep_delay"),
        ("carrier",),
        ("time_hour",),
        ("name",),
        (),
        (),
    )
    assert trip_space.column_names == ("distance", "dep_delay", "carrier", "time_hour", "name")


def test_state_rebuilds_the_tokenizer(trip_space: EmbeddingSpace, trips: pd.DataFrame) -> None:
    tokenizer = trip_space.tokenizer
    again = Tokenizer.from_state(tokenizer.schema, tokenizer.state())
    typed = typed_columns(as_table(trips), tokenizer.schema)
    _equal(tokenizer.encode(typed), again.encode(typed))
    for one, other in zip(
        astuple(tokenizer.set_tables()), astuple(again.set_tables()), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_missing_cells_are_marked_in_every_type(
    trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    batch = _tokens(trip_space, trips)
    expected = trips[list(trip_space.column_names)].isna().to_numpy()
    np.testing.assert_array_equal(batch.missing_NA.numpy(), expected)
    assert all(expected[:, k].any() for k in range(1, 5))
    assert (batch.codes_NC[batch.code_missing_NC] == MISSING).all()


def test_unseen_categories_point_into_the_extra_table(
    trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    rows = trips.iloc[:4].copy()
    rows["carrier"] = ["Zeppelin", "UA", "Balloon", "Zeppelin"]
    batch = _tokens(trip_space, rows)
    codes = batch.codes_NC[:, 0]
    vocabulary = trip_space.tokenizer.vocabulary
    assert (codes >= vocabulary).tolist() == [True, False, True, True]
    assert codes[0] == codes[3] != codes[2]
    assert len(batch.extra_UP) == 2
    assert not torch.equal(batch.extra_UP[0], batch.extra_UP[1])


def test_an_unseen_value_of_a_boolean_is_unknown(
    credit_space: EmbeddingSpace, credit: pd.DataFrame
) -> None:
    column = credit_space.schema.of_type(ColumnType.BOOLEAN)[0].name
    rows = credit.iloc[:2].copy()
    rows[column] = ["perhaps", "yes"]
    batch = _tokens(credit_space, rows)
    place = credit_space.tokenizer.groups[1].index(column)
    offset = credit_space.tokenizer.set_offsets[place]
    # A cell that is no truth value at all was not parsed: it counts as missing or unknown, never as a value.
    assert int(batch.codes_NC[0, place]) - offset in (MISSING, UNKNOWN)
    assert int(batch.codes_NC[1, place]) - offset > UNKNOWN


def test_base_keeps_its_codecs(credit_space: EmbeddingSpace, credit: pd.DataFrame) -> None:
    moved = credit.assign(duration=credit["duration"] * 100, months=credit["duration"] % 12)
    table = as_table(moved.drop(columns=["class"]))
    schema = build_schema(table)
    tokenizer = Tokenizer.fit(schema, typed_columns(table, schema), base=credit_space.tokenizer)
    before = credit_space.tokenizer.states
    assert len(before) == 20
    for name, state in before.items():
        assert tokenizer.states[name] is state
    assert tokenizer.states.keys() - before.keys() == {"months"}


def test_compact_and_followed_by_keep_the_encodings(
    trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    one, other = trips.iloc[:6].copy(), trips.iloc[40:47].copy()
    one["carrier"] = ["Zeppelin", "UA", "Balloon", None, "Zeppelin", "Kite"]
    other.iloc[0, other.columns.get_loc("carrier")] = "Rocket"
    vocabulary = trip_space.tokenizer.vocabulary
    first, second = _tokens(trip_space, one), _tokens(trip_space, other)
    joined = first.followed_by(second, vocabulary)
    part = joined.rows(torch.tensor([0, 5, 6, 12]))
    small = part.compact(vocabulary)
    assert len(small.extra_UP) == 3
    assert len(small.text_UE) <= 4 < len(joined.text_UE)
    encode = trip_space.model.encoders
    with torch.no_grad():
        separate = torch.cat([encode(first), encode(second)])
        torch.testing.assert_close(encode(joined), separate)
        torch.testing.assert_close(encode(small), separate[[0, 5, 6, 12]])


def test_the_same_words_give_the_same_numbers(
    trip_space: EmbeddingSpace, trips: pd.DataFrame
) -> None:
    table = as_table(trips)
    again = Tokenizer.fit(trip_space.schema, typed_columns(table, trip_space.schema))
    state, other = trip_space.tokenizer.state(), again.state()
    assert state.keys() == other.keys()
    assert all(torch.equal(state[key], other[key]) for key in state)
