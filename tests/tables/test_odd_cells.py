"""Cells that Arrow, pandas or floats have no plain form for (DATA-1, DATA-3)."""

from __future__ import annotations

import datetime as dt
import json
import tracemalloc
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.holdout import row_keys
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnType
from featrix_core.tables.structured import text_vectors
from featrix_core.tables.table import Table
from featrix_core.tables.texts import cell_texts


def test_dates_that_python_has_no_year_for(tmp_path: Path) -> None:
    """An endless date, as databases write it, and one at the edge of a time zone."""
    table = pa.table(
        {
            "until": pa.array([0, 18_262, 2**31 - 1], pa.int32()).cast(pa.date32()),
            "seen": pa.array([0, 86_400, 253_402_300_799], pa.timestamp("s", "Europe/Berlin")),
            "x": [1, 2, 3],
        }
    )
    pq.write_table(table, tmp_path / "dates.parquet")
    read = read_table(tmp_path / "dates.parquet")
    frame = read.to_pandas()
    assert frame["until"].iloc[1] == dt.date(2020, 1, 1)
    again = read_table(frame)
    for name in ("until", "seen"):
        assert cell_texts(again.arrow[name]).tolist() == cell_texts(read.arrow[name]).tolist()
    assert list(frame.columns) == ["until", "seen", "x"]
    assert cell_texts(read.arrow["until"])[1] == "2020-01-01"
    assert all(text for text in cell_texts(read.arrow["seen"]))


def test_identifiers_and_periods_are_texts() -> None:
    keys = [uuid.UUID(int=k) for k in range(3)]
    frame = pd.DataFrame(
        {"key": keys, "month": pd.period_range("2020-01", periods=3, freq="M"), "x": range(3)}
    )
    read = read_table(frame)
    assert cell_texts(read.arrow["key"]).tolist() == [str(key) for key in keys]
    assert cell_texts(read.arrow["month"]).tolist() == ["2020-01", "2020-02", "2020-03"]


def test_nested_cells_of_several_kinds_are_json() -> None:
    cells = [{"v": 1}, {"v": "abc"}, ["a", 1], {"v": [1, "x"], "when": dt.date(2020, 1, 5)}]
    cells += [{"v": np.int64(2)}, {"v": np.array([1.5, 2.0])}]
    texts = cell_texts(read_table(pd.DataFrame({"cell": cells})).arrow["cell"])
    parsed = [json.loads(text) for text in texts]
    assert parsed[:3] == cells[:3] and parsed[3]["when"] == "2020-01-05"
    assert parsed[4:] == [{"v": 2}, {"v": [1.5, 2.0]}]
    alone = cell_texts(read_table(pd.DataFrame({"cell": cells[:1]})).arrow["cell"])
    assert alone[0] == texts[0], "a cell is the same text in whatever company it comes"


def test_vectors_beyond_float32_are_missing() -> None:
    rows = text_vectors(["[1, 2.5]", "[1e39, 2.0]", "[2.0, -1e39]"], 2)
    assert np.isnan(rows).all(axis=1).tolist() == [False, True, True]


def test_keys_of_long_lists_take_little_memory() -> None:
    rng = np.random.default_rng(0)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(rng.normal(size=6_000 * 64)), 64)
    read = read_table(pd.DataFrame({"vector": vectors.to_pylist(), "x": range(6_000)}))
    tracemalloc.start()
    keys = row_keys(read)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(np.unique(keys)) == 6_000
    assert most < 15_000_000
    again = read.take(np.arange(2_500, 3_500))
    np.testing.assert_array_equal(row_keys(again), keys[2_500:3_500])


def test_an_index_of_pandas_is_no_column_in_any_format(tmp_path: Path) -> None:
    frame = pd.DataFrame({"__index_level_0__": ["a", "b"], "x": [1, 2]})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    pq.write_table(pa.table(dict(frame.items())), tmp_path / "rows.parquet")
    for source in (frame, tmp_path / "rows.csv", tmp_path / "rows.parquet"):
        assert read_table(source).names == ["x"]


def test_few_rows_may_hold_more_notes_among_numbers_than_training() -> None:
    cells = [str(k) if k % 100 < 55 else f"note {k}" for k in range(400)]
    schema = build_schema(_mixed(cells), overrides={"mixed": ColumnType.SCALAR})
    notes, numbers = [f"note {k}" for k in range(25)], [str(k) for k in range(25)]
    read = typed_columns(_mixed(notes[:16] + numbers[:9]), schema)
    assert read["mixed"].n_unparsed == 16
    with pytest.raises(FeatrixUserError, match="20 of 25 cells"):
        typed_columns(_mixed(notes[:20] + numbers[:5]), schema)


def _mixed(cells: list[str]) -> Table:
    return read_table(pd.DataFrame({"mixed": cells, "x": range(len(cells))}))
