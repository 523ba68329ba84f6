"""Numbers as the world writes them (DATA-3)."""

from __future__ import annotations

import math
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featrix_core.tables.fit import typed_column
from featrix_core.tables.numbers import (
    _meaning,
    decide_decimal,
    decide_unit,
    parse_numbers,
    read_numbers,
)
from featrix_core.tables.schema import ColumnType

ONES = np.ones(100, np.int64)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234", 1234.0),
        ("1,234,567.5", 1234567.5),
        ("12,34,567", 1234567.0),
        ("1 234 567.5", 1234567.5),
        ("1\u202f234", 1234.0),
        ("1\u00a0234.5", 1234.5),
        ("1'234'567", 1234567.0),
        ("1’234.5", 1234.5),
        ("1_000_000", 1e6),
        ("12%", 0.12),
        ("12.5 %", 0.125),
        ("$5", 5.0),
        ("-$5", -5.0),
        ("$-5", -5.0),
        ("$ 1,200.50", 1200.5),
        ("3 €", 3.0),
        ("EUR 1,200", 1200.0),
        ("1200.50 USD", 1200.5),
        ("R$ 7", 7.0),
        ("CHF 4'000", 4000.0),
        ("(1,234.50)", -1234.5),
        ("($7)", -7.0),
        ("$(159.20)", -159.2),
        ("€ (1,200)", -1200.0),
        ("1,234.50-", -1234.5),
        ("−5", -5.0),
        ("+2.5E-3", 0.0025),
        ("1e5", 1e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1.2M", 1.2e6),
        ("3k", 3000.0),
        ("5bn", 5e9),
        ("$3m", 3e6),
        ("$1.2 million", 1.2e6),
    ],
)
def test_figures(text: str, value: float) -> None:
    assert parse_numbers([text])[0] == pytest.approx(value, rel=1e-15)


NO_FIGURES = """
    thirty|inf|nan|1e999|-1e999|1,23|1.2.3|--5|+-5|0x1f|5+|12,|(5|5)|12A|$5 €|5%%|$|-|1 23|1,2345
    |12 kg|5 km 3|1/2|(-5)|4-5
"""


@pytest.mark.parametrize("text", [text.strip() for text in NO_FIGURES.split("|")])
def test_no_figures(text: str) -> None:
    assert math.isnan(parse_numbers([text])[0])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.234,5", 1234.5),
        ("1.234", 1234.0),
        ("0,5", 0.5),
        ("12,5 %", 0.125),
        ("1 234,56 €", 1234.56),
        ("-3,75", -3.75),
        ("7", 7.0),
        ("3.14", 3.14),
    ],
)
def test_decimal_comma(text: str, value: float) -> None:
    assert parse_numbers([text], decimal=",")[0] == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["1,234", "5,678"], "."),
        (["1,234", "5,67"], ","),
        (["1,234", "5.67"], "."),
        (["1.234", "0,5"], ","),
        (["1.234.567"], ","),
        (["1,234,567"], "."),
        (["1234,567"], ","),
        (["1.234"], "."),
        (["12,5 €", "3 €"], ","),
        (["words", "more, words"], "."),
        ([], "."),
    ],
)
def test_the_column_decides_on_its_decimal_mark(texts: list[str], mark: str) -> None:
    assert decide_decimal(texts, ONES[: len(texts)]) == mark


def test_a_bare_scale_is_none_beside_a_unit() -> None:
    """`8m` is eight metres there, so `4M` may be anything."""
    metres = read_numbers(["8m", "4M", "3m", "5 m"])
    assert decide_unit(metres, ONES[:4]) == "m"
    read = parse_numbers(["8m", "4M", "3m", "5 m"], unit="m")
    assert np.nan_to_num(read, nan=-1.0).tolist() == [8.0, -1.0, 3.0, 5.0]
    millions = ["8M", "4M", "3m", "5k", "7"]
    assert decide_unit(read_numbers(millions), ONES[:5]) is None
    read = parse_numbers(millions)
    assert np.nan_to_num(read, nan=-1.0).tolist() == [8e6, 4e6, -1.0, 5e3, 7.0]
    money = parse_numbers(["$4M", "3k", "2"], unit="USD")
    assert money.tolist() == [4e6, 3e3, 2.0]


def test_units_are_decided_by_the_majority_of_the_cells() -> None:
    texts = ["12 kg", "3.5kg", "7 lbs", "4"]
    numbers = read_numbers(texts)
    assert numbers.units_V.tolist() == ["kg", "kg", "lb", ""]
    assert decide_unit(numbers, np.array([5, 5, 9, 1])) == "kg"
    assert decide_unit(numbers, np.array([1, 1, 9, 1])) == "lb"
    np.testing.assert_array_equal(parse_numbers(texts, unit="kg"), [12.0, 3.5, np.nan, 4.0])
    assert np.isnan(parse_numbers(texts)[:3]).all()


def test_any_word_is_a_unit_where_all_cells_have_it() -> None:
    rooms = ["1 room", "2 rooms", "30 rooms"]
    assert decide_unit(read_numbers(rooms), ONES[:3]) == "room"
    mixed = ["1 room", "2 floors", "30 windows"]
    assert decide_unit(read_numbers(mixed), ONES[:3]) is None


def test_other_currencies_are_other_units() -> None:
    texts = ["$5", "€6", "USD 7", "8"]
    assert decide_unit(read_numbers(texts), ONES[:4]) == "USD"
    np.testing.assert_array_equal(parse_numbers(texts, unit="USD"), [5.0, np.nan, 7.0, 8.0])


def test_feet_and_inches() -> None:
    numbers = read_numbers(["5'7\"", "6'", "5 ft 6 in", "5'13\""])
    np.testing.assert_allclose(numbers.values_V, [5 + 7 / 12, 6.0, 5.5, np.nan])
    assert decide_unit(numbers, ONES[:4]) == "ft"


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_every_float_reads_back(values: list[float]) -> None:
    np.testing.assert_array_equal(parse_numbers([repr(value) for value in values]), values)


@settings(deadline=None)
@given(
    st.lists(st.integers(-(10**15), 10**15), max_size=20),
    st.sampled_from([",", " ", "'", "_", "\u202f", "\u00a0"]),
)
def test_thousands_read_back(values: list[int], separator: str) -> None:
    texts = [f"{value:,}".replace(",", separator) for value in values]
    np.testing.assert_array_equal(parse_numbers(texts), values)


@settings(deadline=None)
@given(st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1, max_size=20))
def test_european_figures_read_back(values: list[object]) -> None:
    texts = [f"{value:,}".translate(str.maketrans(",.", ".,")) for value in values]
    assert decide_decimal(texts, ONES[: len(texts)]) == ","
    np.testing.assert_array_equal(parse_numbers(texts, decimal=","), [float(v) for v in values])  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.lists(st.text(alphabet="0123456789.,-+()$€% kMeE'_", max_size=12), max_size=20))
def test_any_text_is_a_finite_number_or_none(texts: list[str]) -> None:
    for mark in (".", ","):
        numbers = read_numbers(texts, mark)
        assert numbers.values_V.shape == (len(texts),)
        assert not np.isinf(numbers.values_V).any()


def test_a_thousand_of_a_decimal_comma_column_is_no_one() -> None:
    column = typed_column("x", pa.array(["1.000", "2,5", "3.000,75"]), ColumnType.SCALAR, None)
    assert column.numbers_N is not None
    assert column.numbers_N.tolist() == [1000.0, 2.5, 3000.75]
    column = typed_column("x", pa.array(["1.000", "2.5", "3.00", "4.0"]), ColumnType.SCALAR, None)
    assert column.numbers_N is not None
    assert column.numbers_N.tolist() == [1.0, 2.5, 3.0, 4.0]


def test_what_stands_behind_a_figure_is_looked_up_quickly() -> None:
    """Free text that begins with a figure has as many different tails as cells."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    tails = [a + b + c + "q" for a in letters for b in letters for c in letters]
    start = time.process_time()
    meanings = [_meaning("", tail) for tail in tails]
    assert time.process_time() - start < 0.2  # a scan of all codes takes twice that
    assert set(meanings) <= {(1.0, tail) for tail in tails}
    for text, (value, unit) in {
        "5 kr.": (5.0, "DKK"), "5 kr": (5.0, "SEK"), "5US$": (5.0, "USD"), "5$": (5.0, "USD"),
        "5 k€": (5000.0, "EUR"), "5 mEUR": (5e6, "EUR"), "5 crore": (5e7, ""),
    }.items():  # fmt: skip
        numbers = read_numbers([text])
        assert (numbers.values_V[0], numbers.units_V[0]) == (value, unit), text
