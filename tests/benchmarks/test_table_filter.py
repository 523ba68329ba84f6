"""The information that the benchmark of the column filter measures, on cells where it is known."""

from __future__ import annotations

import numpy as np

from benchmarks.table_filter import LIMIT_BITS, information

N_ROWS = 4000
GOAL = (np.arange(N_ROWS) % 2).astype(np.int64)  # one bit


def _cells(values: list[str | None]) -> np.ndarray:
    return np.array(values, dtype=object)


def test_a_counter_that_the_rows_were_numbered_with_tells_nothing() -> None:
    order = np.random.default_rng(0).permutation(N_ROWS)
    found = information(_cells([str(number) for number in order]), GOAL)
    assert found.bits < LIMIT_BITS
    assert found.chance > 0.05


def test_a_copy_of_the_target_tells_all_of_it() -> None:
    found = information(_cells(["ab"[code] for code in GOAL]), GOAL)
    assert abs(found.bits - 1.0) < 0.01
    assert found.chance < 0.05


def test_unique_codes_that_sort_by_the_target_are_found_out() -> None:
    """Each code stands once, so only its order, or how it begins, can tell."""
    cells = _cells([f"{'AB'[code]}{row:06d}" for row, code in enumerate(GOAL)])
    found = information(cells, GOAL)
    assert found.bits > 0.9
    assert found.reading in ("order of texts", "first character")


def test_numbers_count_by_their_order_and_missing_cells_tell_too() -> None:
    ordered = np.sort(np.random.default_rng(1).permutation(10 * N_ROWS)[:N_ROWS])
    high = (np.arange(N_ROWS) >= N_ROWS // 2).astype(np.int64)
    assert information(_cells([str(number) for number in ordered]), high).bits > 0.9
    gaps = _cells([None if code else f"x{row}" for row, code in enumerate(GOAL)])
    assert information(gaps, GOAL).bits > 0.9
