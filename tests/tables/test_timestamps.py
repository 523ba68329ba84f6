"""Moments in the forms of the real world, one format per column (DATA-3)."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featrix_core.tables.build import build_schema
from featrix_core.tables.fit import typed_column
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnType
from featrix_core.tables.timestamps import (
    ISO_FORMAT,
    TIMESTAMP_FORMATS,
    best_timestamp_format,
    fit_format,
    parse_timestamps,
)

ONES = np.ones(50, np.int64)


@pytest.mark.parametrize(
    ("text", "fmt", "moment"),
    [
        ("2013-02-03", ISO_FORMAT, "2013-02-03T00:00:00"),
        ("2013-02-03T10:11:12Z", ISO_FORMAT, "2013-02-03T10:11:12"),
        ("2013-02-03 10:11:12.250+0200", ISO_FORMAT, "2013-02-03T08:11:12.250"),
        ("0014-11-18 15:40:26", ISO_FORMAT, "0014-11-18T15:40:26"),
        ("2013-2-3", "%Y-%m-%d", "2013-02-03T00:00:00"),
        ("20130203", "%Y%m%d", "2013-02-03T00:00:00"),
        ("20130203101112", "%Y%m%d%H%M%S", "2013-02-03T10:11:12"),
        ("20130203T101112Z", "%Y%m%dT%H%M%S", "2013-02-03T10:11:12"),
        ("13.2.2013", "%d.%m.%Y", "2013-02-13T00:00:00"),
        ("13.02.13", "%d.%m.%y", "2013-02-13T00:00:00"),
        ("2/13/2013 5:06 PM", "%m/%d/%Y %I:%M %p", "2013-02-13T17:06:00"),
        ("2/13/13 17:06:07", "%m/%d/%y %H:%M:%S", "2013-02-13T17:06:07"),
        ("13-Feb-2013", "%d-%b-%Y", "2013-02-13T00:00:00"),
        ("February 13, 2013", "%B %d, %Y", "2013-02-13T00:00:00"),
        ("13FEB2013", "%d%b%Y", "2013-02-13T00:00:00"),
        ("Wed, 13 Feb 2013 10:11:12 +0100", "%a, %d %b %Y %H:%M:%S", "2013-02-13T09:11:12"),
        ("Wednesday, February 13, 2013", "%A, %B %d, %Y", "2013-02-13T00:00:00"),
        ("13/Feb/2013:10:11:12 -0700", "%d/%b/%Y:%H:%M:%S", "2013-02-13T17:11:12"),
        ("2013-02", "%Y-%m", "2013-02-01T00:00:00"),
        ("Feb-2013", "%b-%Y", "2013-02-01T00:00:00"),
        ("February 2013", "%B %Y", "2013-02-01T00:00:00"),
        ("2013-W07", "iso_week", "2013-02-11T00:00:00"),
        ("2013-W07-3", "iso_week", "2013-02-13T00:00:00"),
        ("2013Q2", "quarter", "2013-04-01T00:00:00"),
        ("Q2 2013", "quarter", "2013-04-01T00:00:00"),
        ("17:06", "%H:%M", "1970-01-01T17:06:00"),
        ("5:06:07 pm", "%I:%M:%S %p", "1970-01-01T17:06:07"),
    ],
)
def test_formats(text: str, fmt: str, moment: str) -> None:
    assert best_timestamp_format([text], ONES[:1]) == (fmt, 1.0)
    seconds, _ = parse_timestamps([text], fmt)
    epoch = dt.datetime(1970, 1, 1)
    assert seconds[0] == (dt.datetime.fromisoformat(moment) - epoch).total_seconds()


@pytest.mark.parametrize(
    "text",
    ["2013", "12", "3.5", "1,234", "0000-00-00", "2013-13-01", "2013-02-30", "25:10", "soon", "1.2.3", "May"],
)  # fmt: skip
def test_no_moments(text: str) -> None:
    assert best_timestamp_format([text], ONES[:1]) == (None, 0.0)


def test_plain_numbers_need_a_name_that_speaks_of_time() -> None:
    seconds = [str(1_500_000_000 + 1000 * n) for n in range(20)]
    assert fit_format(seconds, ONES[:20]).format is None
    assert fit_format(seconds, ONES[:20], "created_at").format == "epoch_s"
    millis = [text + "000" for text in seconds]
    assert fit_format(millis, ONES[:20], "eventTime").format == "epoch_ms"
    assert parse_timestamps(millis, "epoch_ms")[0][1] == 1_500_001_000.0
    assert fit_format([str(n) for n in range(20)], ONES[:20], "time in hospital").format is None
    days = ["43831", "43832"]
    assert fit_format(days, ONES[:2], "order date").format == "excel_days"
    assert parse_timestamps(days, "excel_days")[0][0] == 1_577_836_800.0  # 2020-01-01


@pytest.mark.parametrize(
    "name",
    ["start_price", "day_rate", "created_by", "at_bats", "start_mileage", "time_spent", "since_km",
     "days_since", "time_on_site_ms", "date_diff", "end", "candidate", "last_update_count", "seen"],
)  # fmt: skip
def test_a_weak_word_in_the_name_makes_no_moments(name: str) -> None:
    for first in (20_000, 45_000, 1_500_000_000, 1_500_000_000_000):
        values = [str(first + 7 * n) for n in range(20)]
        assert fit_format(values, ONES[:20], name).format is None


@pytest.mark.parametrize(
    ("name", "counter", "days"),
    [("created_at", True, True), ("OrderDate", True, True), ("date_of_birth", True, True),
     ("dob", True, True), ("startdate", True, True), ("updated", True, True),
     ("last_login", True, True), ("closed_on", True, True), ("start_time", True, False),
     ("event_ts", True, False), ("timestamp_ms", True, False), ("response_time", False, False)],
)  # fmt: skip
def test_names_that_speak_of_moments(name: str, counter: bool, days: bool) -> None:
    seconds = [str(1_500_000_000 + 1000 * n) for n in range(20)]
    assert (fit_format(seconds, ONES[:20], name).format == "epoch_s") is counter
    serial = [str(43_000 + n) for n in range(20)]
    assert (fit_format(serial, ONES[:20], name).format == "excel_days") is days


def test_day_and_month_are_told_by_the_cells_that_leave_no_choice() -> None:
    day_first = fit_format(["03/04/2020", "25/12/2020"], ONES[:2])
    assert (day_first.format, day_first.rival) == ("%d/%m/%Y", None)
    month_first = fit_format(["03/04/2020", "12/25/2020"], ONES[:2])
    assert (month_first.format, month_first.rival) == ("%m/%d/%Y", None)
    either = fit_format(["03/04/2020", "05/06/2020"], ONES[:2])
    assert (either.format, either.rival) == ("%m/%d/%Y", "%d/%m/%Y")


def _years(values: list[str]) -> tuple[list[int], bool]:
    fit = fit_format(values, np.ones(len(values), np.int64))
    assert fit.format is not None
    moments = parse_timestamps(values, fit.format)[0].astype("datetime64[s]")
    return (moments.astype("datetime64[Y]").astype(int) + 1970).tolist(), fit.centuries


@pytest.mark.parametrize(
    ("values", "years", "doubt"),
    [
        (["20.03.67", "21.03.71"], [1967, 1971], True),
        (["20.03.31", "25.12.58"], [1931, 1958], True),  # the narrower span
        (["25.12.99", "20.03.05"], [1999, 2005], False),
        (["25/12/21", "20/03/23"], [2021, 2023], False),
        (["25.12.41", "29.02.40"], [1941, 1940], True),
        (["2/13/67 17:06", "2/14/99 18:00"], [1967, 1999], True),
    ],
)
def test_years_of_two_digits(values: list[str], years: list[int], doubt: bool) -> None:
    assert _years(values) == (years, doubt)


def test_the_share_is_of_cells_and_not_of_values() -> None:
    values = ["0000-00-00", "2020-01-01", "2020-01-02"]
    assert fit_format(values, np.array([6, 1, 1])).share == 0.25


def test_arrow_moments_with_a_named_zone_keep_their_offset() -> None:
    summer, winter = dt.datetime(2020, 7, 1, 12), dt.datetime(2020, 1, 1, 12)
    array = pa.array([summer, winter, None], pa.timestamp("us", tz="Europe/Berlin"))
    column = typed_column("t", array, ColumnType.TIMESTAMP, None)
    assert column.numbers_N is not None and column.offsets_N is not None
    assert column.numbers_N[:2].tolist() == [
        moment.replace(tzinfo=dt.UTC).timestamp() for moment in (summer, winter)
    ]
    assert column.offsets_N[:2].tolist() == [2.0, 1.0]
    assert column.missing_N.tolist() == [False, False, True]


def test_arrow_days_and_clock_times() -> None:
    days = typed_column("t", pa.array([dt.date(1970, 1, 3)]), ColumnType.TIMESTAMP, None)
    assert days.numbers_N is not None and days.numbers_N[0] == 2 * 86_400.0
    clock = typed_column("t", pa.array([dt.time(1, 0, 5)]), ColumnType.TIMESTAMP, None)
    assert clock.numbers_N is not None and clock.numbers_N[0] == 3605.0


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2060, 1, 1)).map(
            lambda moment: moment.replace(microsecond=0)
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([name for name, _ in TIMESTAMP_FORMATS if "%Y" in name and "%S" in name]),
)
def test_moments_written_in_a_format_read_back(moments: list[dt.datetime], fmt: str) -> None:
    texts = [moment.strftime(fmt) for moment in moments]
    seconds, offsets = parse_timestamps(texts, fmt)
    np.testing.assert_array_equal(seconds, [m.replace(tzinfo=dt.UTC).timestamp() for m in moments])
    assert not offsets.any()


def test_digits_of_other_scripts_are_no_moments() -> None:
    """They would be taken for a format by which no cell can be read, and the whole table refused."""
    arabic = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
    epochs = [str(1_600_000_000 + 86_400 * day).translate(arabic) for day in range(30)]
    days = [f"2024-03-{day:02d}".translate(arabic) for day in range(1, 31)]
    for values in (epochs, days):
        assert fit_format(values, ONES[:30], "created").format is None
    amounts = [str(n * 7 % 31) for n in range(60)]
    table = read_table(pa.table({"created": epochs * 2, "amount": amounts}))
    column = {c.name: c.type for c in build_schema(table).columns}.get("created")
    assert column is not ColumnType.TIMESTAMP
