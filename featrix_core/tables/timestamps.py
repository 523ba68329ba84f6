"""Texts → moments, one frozen format per column (DATA-3).

A format is a name and the pattern of its texts. Most names are strptime's; `ISO8601`, `epoch_s`,
`epoch_ms`, `epoch_us`, `excel_days`, `iso_week` and `quarter` are read in their own way. Clock times
without a date lie on 1970-01-01.

Shape legend: V distinct texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from featrix_core.tables.time_names import speaks_of_days, speaks_of_seconds

Floats = NDArray[np.float64]

ISO_FORMAT = "ISO8601"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0?[1-9]|1[0-2])"
_MON = r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_MONTHS = (
    r"(?i:january|february|march|april|may|june|july|august|september|october|november|december)"
)
_WDAY = r"(?i:mon|tue|wed|thu|fri|sat|sun)"
_WDAYS = r"(?i:monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_PIECES = {
    "%Y": r"\d{4}", "%y": r"\d{2}", "%m": _MONTH, "%d": _DAY, "%b": _MON, "%B": _MONTHS,
    "%a": _WDAY, "%A": _WDAYS, "%H": r"(?:[01]?\d|2[0-3])", "%M": r"[0-5]\d", "%S": r"[0-5]\d",
    "%f": r"\d{1,9}", "%I": r"(?:0?[1-9]|1[0-2])", "%p": r"(?i:am|pm)",
}  # fmt: skip
_ZONE = r" ?(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)"
_OFFSET = r"[+-]\d{2}(?::?\d{2})?$"
_ISO = (
    r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?"
    rf"(?:{_ZONE})?)?$"
)
# Tried in this order; month first wins where a column fits both readings.
_DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%Y",
    "%d.%m.%y", "%d-%m-%Y", "%m-%d-%Y", "%m-%d-%y", "%d-%m-%y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y",
    "%d %B %Y", "%d. %B %Y", "%d-%B-%Y", "%d/%b/%Y", "%d%b%Y", "%d %b %y", "%Y-%b-%d", "%Y %b %d",
    "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%b. %d, %Y", "%a, %d %b %Y", "%a %d %b %Y",
    "%A, %B %d, %Y", "%A, %d %B %Y", "%a, %b %d, %Y",
)  # fmt: skip
_TIMES = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M:%S %p", "%I:%M %p", "%I:%M%p", "%I %p")
_MONTHLY = (
    "%Y-%m", "%Y/%m", "%Y %b", "%Y-%b", "%b-%Y", "%b %Y", "%b, %Y", "%b-%y", "%b %y", "%B %Y", "%B, %Y",
    "%B-%Y", "%m/%Y",
)  # fmt: skip
_OTHER = (
    "%d/%b/%Y:%H:%M:%S",  # web server logs
    "%a %b %d %H:%M:%S %Y",  # C's ctime
    "%H:%M %d.%m.%Y",
    "%H:%M %m/%d/%Y",
)
LAST_CENTURY = " in 19%y"
"""Ends the format of a column whose years of two digits are all of the 1900s.

Without it 00 … 40 are 2000 … 2040 and 41 … 99 are 1941 … 1999.
"""
_LAST_YEAR = 2040
FIRST_SECOND, LAST_SECOND = -62_135_596_800.0, 253_402_300_799.0
"""Since 1970: the first moment of year 1 and the last one of 9999."""
_SURE_YEAR, _SURE_YEAR_BEFORE = 2030, 1969  # beyond, the other century is a reading as well
_FROM_1900 = 2_208_988_800.0
_ZONED = frozenset({"%H:%M:%S", "%H:%M:%S.%f", "%H:%M"})


def _pattern(name: str, zone: bool) -> str:
    escaped = re.sub(r"%[A-Za-z]", lambda found: _PIECES[found.group()], name.replace(".", r"\."))
    return f"^{escaped}(?:{_ZONE})?$" if zone else f"^{escaped}$"


def _formats() -> tuple[tuple[str, str], ...]:
    rows = [
        (ISO_FORMAT, _ISO),
        ("%Y%m%d", r"^(?:1[89]|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])$"),
        ("%Y%m%dT%H%M%S", rf"^(?:19|20)\d{{6}}T\d{{6}}(?:{_ZONE})?$"),
        ("%Y%m%d%H%M%S", r"^(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{6}$"),
    ]
    rows += [(date, _pattern(date, zone=False)) for date in _DATES]
    rows += [
        (f"{date}{between}{time}", _pattern(f"{date}{between}{time}", zone=time in _ZONED))
        for date in _DATES
        for time in _TIMES
        for between in ((" ", "T", ", ") if time in _ZONED else (" ", ", "))
    ]
    rows += [(name, _pattern(name, zone=True)) for name in _OTHER]
    rows += [(name, _pattern(name, zone=False)) for name in _MONTHLY]
    rows += [(name, _pattern(name, zone=False)) for name in _TIMES if name != "%I %p"]
    rows += [
        ("iso_week", r"^\d{4}-?W(?:0[1-9]|[1-4]\d|5[0-3])(?:-?[1-7])?$"),
        ("quarter", r"^(?:\d{4}[ -/]?Q[1-4]|Q[1-4][ -/]?\d{4})$"),
        ("epoch_s", r"^-?\d{1,10}(?:\.\d{1,9})?$"),
        ("epoch_ms", r"^-?\d{1,13}(?:\.\d{1,6})?$"),
        ("epoch_us", r"^-?\d{1,16}$"),
        ("excel_days", r"^\d{1,5}(?:\.\d{1,10})?$"),
    ]
    return tuple(rows)


TIMESTAMP_FORMATS: tuple[tuple[str, str], ...] = _formats()
_PATTERNS = dict(TIMESTAMP_FORMATS)
# Plain numbers: taken for moments only where the column's name says that they are.
_NUMERIC = {
    "epoch_s": (6.3e8, 2.3e9, 1.0, 0.0),  # 1990 … 2042
    "epoch_ms": (6.3e11, 2.3e12, 1e-3, 0.0),
    "epoch_us": (6.3e14, 2.3e15, 1e-6, 0.0),
    "excel_days": (20_000.0, 60_000.0, 86_400.0, -25_569.0),  # 1954 … 2064; day 25,569 is 1970
}
_SAMPLE = 60
# RE2, which reads the cells in the end, knows ASCII digits only.
_MAYBE = re.compile(r"^(?=\D*\d)[\w ,.:/+\-]{4,45}$", re.ASCII)
_FIGURE = re.compile(r"^-?\d+(?:\.\d+)?$", re.ASCII)
_CLOSE = 0.2


@dataclass(frozen=True)
class FormatFit:
    """The format most cells fit, their share, and the share another reading of the same text has.

    `rival` is the other order of day and month where every cell fits both. `centuries`: years of two
    digits that stand for a year of either century.
    """

    format: str | None
    share: float
    rival: str | None = None
    centuries: bool = False


def parse_timestamps(
    texts: Sequence[str] | NDArray[np.object_], timestamp_format: str
) -> tuple[Floats, Floats]:
    """Seconds since 1970 UTC and hours from UTC of V texts, NaN where a text does not fit.

    `timestamp_format` is one of `TIMESTAMP_FORMATS`: one column, one format. Texts without a zone
    are taken as UTC, offset 0.
    """
    array = pa.array(list(texts), pa.string())
    seconds = np.full(len(array), np.nan)
    offsets = np.full(len(array), np.nan)
    array = pc.utf8_trim_whitespace(array)
    pattern = _PATTERNS[timestamp_format.removesuffix(LAST_CENTURY)]
    fits = pc.match_substring_regex(array, pattern).to_numpy(zero_copy_only=False).astype(bool)
    if not fits.any():
        return seconds, offsets
    chosen = array.filter(pa.array(fits))
    if timestamp_format in _NUMERIC:
        _, _, factor, shift = _NUMERIC[timestamp_format]
        numbers = pc.cast(chosen, pa.float64()).to_numpy(zero_copy_only=False)
        seconds[fits], offsets[fits] = (numbers + shift) * factor, 0.0
        return seconds, offsets
    local, hours = _without_zone(chosen, timestamp_format.removesuffix(LAST_CENTURY))
    last_century = timestamp_format.endswith(LAST_CENTURY)
    timestamp_format = timestamp_format.removesuffix(LAST_CENTURY)
    moments = _moments(local, timestamp_format)
    if "%y" in timestamp_format:
        late = moments.dt.year > (1999 if last_century else _LAST_YEAR)
        moments = moments.mask(late, moments - pd.DateOffset(years=100))
    epoch = moments.astype("datetime64[us]").to_numpy().astype("datetime64[us]")
    known = ~np.isnat(epoch)
    utc = epoch.astype(np.int64) / 1e6 - hours * 3600.0
    if timestamp_format in _TIMES:
        utc += _FROM_1900  # strptime puts clock times on 1900-01-01
    seconds[fits] = np.where(known, utc, np.nan)
    offsets[fits] = np.where(known, hours, np.nan)
    return seconds, offsets


def _moments(local: pd.Series, timestamp_format: str) -> pd.Series:
    if timestamp_format == "quarter":
        parts = local.str.extract(r"(?:Q(?P<a>[1-4]).*?)?(?P<year>\d{4})(?:.*?Q(?P<b>[1-4]))?")
        quarter = parts["a"].fillna(parts["b"]).astype(int)
        local = parts["year"] + "-" + (quarter * 3 - 2).astype(str).str.zfill(2)
        timestamp_format = "%Y-%m"
    elif timestamp_format == "iso_week":
        digits = local.str.replace("-", "").str.replace("W", "")
        local = digits.str.pad(7, side="right", fillchar="1")
        timestamp_format = "%G%V%u"
    return pd.to_datetime(local, format=timestamp_format, errors="coerce")


def _without_zone(chosen: pa.Array, timestamp_format: str) -> tuple[pd.Series, Floats]:
    """Local texts and their hours from UTC."""
    texts = pd.Series(chosen.to_pylist(), dtype="object")
    if timestamp_format == ISO_FORMAT:
        # The month of a bare "2020-01" and the day of "2020-01-02" are no offsets.
        zoned = texts.str.len() > len("2000-01-01 00:00")
    elif _PATTERNS[timestamp_format].endswith(f"(?:{_ZONE})?$"):
        zoned = texts.str.len() > 0
    else:
        return texts, np.zeros(len(texts))
    texts = texts.where(~zoned, texts.str.replace(r" ?(?:Z|UTC|GMT)$", "", regex=True))
    found = texts.where(zoned, "").str.extract(f"({_OFFSET})", expand=False).fillna("")
    zone = found.astype("object")
    local = texts.where(zone == "", texts.str.replace(f" ?{_OFFSET}", "", regex=True))
    return local, _offset_hours(zone)


def _offset_hours(zone: pd.Series) -> Floats:
    codes, uniques = pd.factorize(zone)
    hours = []
    for text in uniques:
        digits = str(text).replace(":", "")
        sign = -1.0 if digits.startswith("-") else 1.0
        hours.append(sign * (float(digits[1:3]) + float(digits[3:5] or 0) / 60) if digits else 0.0)
    result: Floats = np.asarray(hours, dtype=np.float64)[codes]
    return result


def best_timestamp_format(
    values: Sequence[str], counts_V: NDArray[np.int64], name: str = ""
) -> tuple[str | None, float]:
    """The format that most cells fit (by count) and the share of cells that fit it."""
    fit = fit_format(values, counts_V, name)
    return fit.format, fit.share


def fit_format(values: Sequence[str], counts_V: NDArray[np.int64], name: str = "") -> FormatFit:
    """The format of a column of V texts; `name` decides whether plain numbers may be moments."""
    total = float(counts_V.sum())
    if total == 0:
        return FormatFit(None, 0.0)
    sample = [value.strip() for value in values[:: max(1, len(values) // _SAMPLE)]]
    hits = dict.fromkeys((fmt for fmt, _ in _compiled()), 0)
    for text in sample:
        if _MAYBE.match(text) is None:
            continue
        plain = _FIGURE.match(text) is not None  # only digits without marks can be a date then
        for fmt, pattern in _compiled()[:4] if plain else _compiled():
            hits[fmt] += pattern.match(text) is not None
    most = max(hits.values())
    shares: dict[str, float] = {}
    if most:
        for fmt in (fmt for fmt, count in hits.items() if count >= max(1, _CLOSE * most)):
            fits = ~np.isnan(parse_timestamps(values, fmt)[0])
            shares[fmt] = float(counts_V[fits].sum()) / total
    if max(shares.values(), default=0.0) == 0.0:
        return _numeric_format(values, counts_V, name)
    best = max(shares, key=lambda fmt: shares[fmt])  # the first of equals
    swapped = best.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")
    same = swapped != best and shares.get(swapped) == shares[best]
    rival = swapped if same else None
    if "%y" not in best:
        return FormatFit(best, shares[best], rival)
    last_century, centuries = _century(values, best)
    return FormatFit(best + LAST_CENTURY * last_century, shares[best], rival, centuries)


def _century(values: Sequence[str], fmt: str) -> tuple[bool, bool]:
    """Whether all years of two digits are of the 1900s, and whether there is room for doubt.

    The reading with the narrower span of years wins: births of 31 to 58 are those of 1931 to 1958.
    """
    seconds = parse_timestamps(values, fmt)[0]
    moments = seconds[~np.isnan(seconds)].astype("datetime64[s]").astype("datetime64[Y]")
    years = np.unique(moments.astype(np.int64) + 1970)
    if not len(years):
        return False, False
    earlier = np.where(years > 1999, years - 100, years)
    last_century = bool(np.ptp(earlier) < np.ptp(years))
    doubt = last_century or bool(np.any((years > _SURE_YEAR) | (years < _SURE_YEAR_BEFORE)))
    return last_century, doubt


def _numeric_format(values: Sequence[str], counts_V: NDArray[np.int64], name: str) -> FormatFit:
    """Plain numbers as moments: within a plausible range and under a name that says so."""
    spoken = {"excel_days": speaks_of_days(name)}
    seconds = speaks_of_seconds(name)
    total = float(counts_V.sum())
    for fmt, (low, high, _, _) in _NUMERIC.items():
        if not spoken.get(fmt, seconds):
            continue
        pattern = re.compile(_PATTERNS[fmt], re.ASCII)
        if pattern.match(values[0]) is None and pattern.match(values[-1]) is None:
            continue
        fits = np.fromiter(
            (pattern.match(v) is not None and low <= float(v) <= high for v in values),
            bool,
            len(values),
        )
        share = float(counts_V[fits].sum()) / total
        if share >= 0.95:
            return FormatFit(fmt, share)
    return FormatFit(None, 0.0)


@lru_cache(maxsize=1)
def _compiled() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (name, re.compile(pattern, re.ASCII))
        for name, pattern in TIMESTAMP_FORMATS
        if name not in _NUMERIC
    )
