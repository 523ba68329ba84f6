"""Typed columns in parts: the same cells, with the texts that a part needs and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featrix_core.input_data_set import as_table
from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.table import TypedColumn, in_parts


@pytest.fixture(scope="module")
def typed(flights: Path) -> dict[str, TypedColumn]:
    """Numbers, categories and moments, with gaps; two columns more, one of them of vectors."""
    frame = pd.read_parquet(sorted(flights.glob("flights*.parquet"))[0]).iloc[:500]
    frame["carrier"] = frame["carrier"].where(np.arange(500) % 9 > 0)
    place = np.random.default_rng(1).normal(size=(500, 4)).round(2)
    frame["place"] = [str(row) for row in place.tolist()]
    table = as_table(frame)
    return typed_columns(table, build_schema(table))


def _texts(column: TypedColumn) -> list[str | None]:
    assert column.codes_N is not None
    return [None if code < 0 else column.texts[code] for code in column.codes_N.tolist()]


def test_parts_hold_the_same_cells(typed: dict[str, TypedColumn]) -> None:
    parts = list(in_parts(typed, 120))
    assert [len(part["carrier"].missing_N) for part in parts] == [120, 120, 120, 120, 20]
    assert {c.type.value for c in typed.values()} >= {"scalar", "set", "timestamp", "vector"}
    for name, whole in typed.items():
        columns = [part[name] for part in parts]
        for field in ("missing_N", "numbers_N", "offsets_N", "vectors_NH"):
            cells = getattr(whole, field)
            if cells is None:
                assert all(getattr(column, field) is None for column in columns)
            else:
                found = np.concatenate([getattr(column, field) for column in columns])
                np.testing.assert_array_equal(found, cells)
        if whole.codes_N is not None:
            assert [text for c in columns for text in _texts(c)] == _texts(whole)
            for column in columns:
                assert list(column.texts) == sorted({t for t in _texts(column) if t is not None})
    assert None in _texts(typed["carrier"])


def test_short_tables_are_one_part(typed: dict[str, TypedColumn]) -> None:
    (only,) = in_parts(typed, 500)
    assert only is typed
    none = {name: column.rows(7, 7) for name, column in typed.items()}
    (only,) = in_parts(none, 500)
    assert only["carrier"].texts == () and len(only["carrier"].missing_N) == 0
    assert list(in_parts({}, 5)) == [{}]
