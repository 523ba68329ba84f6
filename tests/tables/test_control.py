"""Row filter and row weights: columns that steer training (DATA-5)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.build import build_schema
from featrix_core.tables.control import (
    ROW_FILTER,
    ROW_WEIGHT,
    row_weights,
    switched_on,
    usable_rows,
)
from featrix_core.tables.reading import read_table
from featrix_core.tables.table import Table


def table(**columns: list[object]) -> Table:
    return read_table(pd.DataFrame(columns))


def test_weights_have_mean_one() -> None:
    weights = row_weights(table(**{ROW_WEIGHT: [1, 3, 0, 4], "x": [1, 2, 3, 4]}))
    assert weights is not None
    np.testing.assert_allclose(weights, [0.5, 1.5, 0.0, 2.0])
    assert row_weights(table(x=[1, 2])) is None


def test_empty_weights_count_as_one() -> None:
    weights = row_weights(table(**{ROW_WEIGHT: ["2", None, "", "nan", "none", "5"]}))
    assert weights is not None
    np.testing.assert_allclose(weights / weights[1], [2, 1, 1, 1, 1, 5])


def test_huge_weights_stay_finite() -> None:
    weights = row_weights(table(**{ROW_WEIGHT: [1e308, 1e308, 1.0]}))
    assert weights is not None
    np.testing.assert_allclose(weights, [1.5, 1.5, 0.0], atol=1e-12)


@pytest.mark.parametrize(
    ("cells", "value"), [(["1", "-2"], "-2"), (["1", "much"], "much"), (["1", "inf"], "inf")]
)
def test_wrong_weights_are_refused(cells: list[object], value: str) -> None:
    with pytest.raises(FeatrixUserError, match="numbers of 0 or more") as caught:
        row_weights(table(**{ROW_WEIGHT: cells}))
    assert caught.value.value == value
    assert caught.value.column == ROW_WEIGHT


def test_no_weight_at_all_is_refused() -> None:
    with pytest.raises(FeatrixUserError, match="All row weights are 0"):
        row_weights(table(**{ROW_WEIGHT: [0, 0]}))
    none = row_weights(table(**{ROW_WEIGHT: [1]}).take(np.zeros(0, np.int64)))
    assert none is not None and len(none) == 0


def test_the_row_filter() -> None:
    cells: list[object] = ["0", "FALSE", "No", "n", "F", "off", "0.0", "1", "true", "", "yes", None]
    rows = table(**{ROW_FILTER: cells, "x": list(range(12))})
    on = switched_on(rows)
    assert on is not None and on.tolist() == [False] * 7 + [True] * 5
    assert usable_rows(rows).to_pandas()["x"].tolist() == [7, 8, 9, 10, 11]
    plain = table(x=[1])
    assert switched_on(plain) is None and usable_rows(plain) is plain
    with pytest.raises(FeatrixUserError, match="All 2 rows are switched off"):
        usable_rows(table(**{ROW_FILTER: [0, 0]}))


def test_columns_of_control_never_enter_a_space() -> None:
    rows = table(
        **{ROW_FILTER: [1, 1, 0], ROW_WEIGHT: [1, 2, 3], "__featrix_x": [1, 2, 3], "x": [1, 2, 4]}
    )
    schema = build_schema(rows)
    assert schema.names == ("x",)
    assert {d.reason for d in schema.dropped} == {"internal"}
