"""Missing markers, numbers and timestamps (DATA-3, DATA-4)."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featrix_core.tables.cleaning import (
    ISO_FORMAT,
    TIMESTAMP_FORMATS,
    best_timestamp_format,
    distinct_texts,
    parse_numbers,
    parse_timestamps,
    typed_column,
)
from featrix_core.tables.schema import ColumnType


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234", 1234.0),
        ("1,234,567.5", 1234567.5),
        ("12%", 0.12),
        ("$5", 5.0),
        ("-$5", -5.0),
        ("3 €", 3.0),
        ("1e5", 1e5),
        ("+2.5E-3", 0.0025),
        ("1e+5", 1e5),
        (".5", 0.5),
        ("5.", 5.0),
        (" 7 ", 7.0),
        ("-0", 0.0),
    ],
)
def test_numbers(text: str, value: float) -> None:
    assert parse_numbers([text])[0] == value


@pytest.mark.parametrize(
    "text", ["thirty", "inf", "-inf", "1e999", "1,23", "1.2.3", "--5", "0x1f", "5+", "12A", "12,"]
)
def test_no_numbers(text: str) -> None:
    assert math.isnan(parse_numbers([text])[0])


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_every_float_reads_back(values: list[float]) -> None:
    np.testing.assert_array_equal(parse_numbers([repr(value) for value in values]), values)


@settings(deadline=None)
@given(st.lists(st.integers(-(10**15), 10**15), max_size=20))
def test_thousands_read_back(values: list[int]) -> None:
    np.testing.assert_array_equal(parse_numbers([f"{value:,}" for value in values]), values)


@settings(deadline=None)
@given(st.lists(st.text(max_size=20), max_size=10))
def test_any_text_is_a_finite_number_or_none(texts: list[str]) -> None:
    numbers = parse_numbers(texts)
    assert numbers.shape == (len(texts),)
    assert not np.isinf(numbers).any()
    for fmt, _ in TIMESTAMP_FORMATS[::40]:
        seconds, offsets = parse_timestamps(texts, fmt)
        np.testing.assert_array_equal(np.isnan(seconds), np.isnan(offsets))


@settings(deadline=None)
@given(
    st.lists(
        st.datetimes(min_value=dt.datetime(1000, 1, 1), max_value=dt.datetime(9000, 1, 1)),
        max_size=8,
    ),
    st.integers(-14 * 60, 14 * 60),
)
def test_iso_moments_with_a_zone_read_back(moments: list[dt.datetime], minutes: int) -> None:
    zone = dt.timezone(dt.timedelta(minutes=minutes))
    zoned = [moment.replace(tzinfo=zone) for moment in moments]
    seconds, offsets = parse_timestamps([moment.isoformat() for moment in zoned], ISO_FORMAT)
    np.testing.assert_allclose(seconds, [m.timestamp() for m in zoned], rtol=0, atol=1e-4)
    np.testing.assert_allclose(offsets, minutes / 60, atol=1e-9)


@pytest.mark.parametrize(
    ("text", "seconds", "hours"),
    [
        ("1970-01-02", 86400.0, 0.0),
        ("1970-01-01 00:00:01.5", 1.5, 0.0),
        ("1970-01-01T00:01Z", 60.0, 0.0),
        ("1970-01-01 02:00:00 UTC", 7200.0, 0.0),
        ("1970-01-01T02:00:00+02", 0.0, 2.0),
        ("1970-01-01T00:00:00-0530", 5.5 * 3600, -5.5),
    ],
)
def test_iso_forms(text: str, seconds: float, hours: float) -> None:
    assert [part[0] for part in parse_timestamps([text], ISO_FORMAT)] == [seconds, hours]


@pytest.mark.parametrize("text", ["2020-13-01", "2020-02-30", "0000-00-00", "soon", "2020"])
def test_no_timestamps(text: str) -> None:
    assert np.isnan(parse_timestamps([text], ISO_FORMAT)[0][0])


def test_one_format_per_column_and_it_stays_frozen() -> None:
    day_first = ("03/04/2020", "25/12/2020", "31/01/2021")
    assert best_timestamp_format(day_first, np.ones(3, np.int64)) == ("%d/%m/%Y", 1.0)
    month_first = ("03/04/2020", "12/25/2020", "01/31/2021")
    assert best_timestamp_format(month_first, np.ones(3, np.int64)) == ("%m/%d/%Y", 1.0)
    april, march = (parse_timestamps(["03/04/2020"], f)[0][0] for f in ("%d/%m/%Y", "%m/%d/%Y"))
    assert dt.datetime.fromtimestamp(april, dt.UTC).month == 4
    assert dt.datetime.fromtimestamp(march, dt.UTC).month == 3


def test_sure_and_type_dependent_missing_markers() -> None:
    markers = ["NULL", "null", "NaN", "", " ", "N/A", "NA", "n/a", "?", None]
    texts = distinct_texts(pa.array([*markers, "none", "-", "None"]))
    assert texts.values == ("-", "None", "none")
    assert texts.codes_N.tolist() == [-1] * len(markers) + [2, 0, 1]
    # A category "none" is a value, in numbers it is none; neither counts as unparsed there.
    cells = pa.array(["none", "1", "-", "thirty", "2", None])
    numbers = typed_column("x", cells, ColumnType.SCALAR, None)
    assert numbers.missing_N.tolist() == [True, False, True, True, False, True]
    assert (numbers.n_unparsed, numbers.unparsed_examples) == (1, ("thirty",))
    categories = typed_column("x", cells, ColumnType.SET, None)
    assert categories.missing_N.tolist() == [False] * 5 + [True]


def test_canonical_texts_do_not_depend_on_the_arrow_type() -> None:
    forms = [
        pa.array(["1", "2", "1.0", None]),
        pa.array([1, 2, 1, None]),
        pa.array([1.0, 2.0, 1.0, None]),
        pa.array(["1", "2", "1", None]).dictionary_encode(),
        pa.array(["1", "2", "1", None], pa.large_string()),
        pa.chunked_array([pa.array([1, 2]), pa.array([1, None])]),
    ]
    for form in forms:
        texts = distinct_texts(form)
        assert texts.values == ("1", "2")
        assert texts.codes_N.tolist() == [0, 1, 0, -1]
    assert distinct_texts(pa.array([True, False])).values == ("false", "true")
    assert distinct_texts(pa.array(["TRUE", "False"])).values == ("false", "true")


def test_columns_without_rows_and_without_values() -> None:
    for type in ColumnType:
        none = typed_column("x", pa.array([], pa.string()), type, None)
        assert none.missing_N.shape == (0,)
        empty = typed_column("x", pa.array([None, None]), type, None)
        assert empty.missing_N.tolist() == [True, True]


def test_booleans_ignore_case() -> None:
    column = typed_column("x", pa.array(["Yes", "yes", "NO", None]), ColumnType.BOOLEAN, None)
    assert column.texts == ("no", "yes")
    assert column.codes_N is not None and column.codes_N.tolist() == [1, 1, 0, -1]
