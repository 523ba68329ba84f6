"""How a CSV is written: delimiter, quoting and header, found out from its first records (DATA-1)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.csv_fields import Dialect, cell_text, read_record
from featrix_core.tables.csv_preamble import (
    empty_tail,
    header_place,
    is_number_column,
    lines_above_header,
    separator_line,
    trailing_delimiters,
)
from featrix_core.tables.schema import Notice

DELIMITERS = ",;\t|"
_SAMPLE_RECORDS = 200
_SAMPLE_CELLS = 100_000
_SAMPLE_LINES = 5_000  # bad and blank ones included
_NUMBER = re.compile(r"[+-]?[$€£¥]?\d[\d,.' ]*(?:[eE][+-]?\d+)?\s?[%$€£¥]?|[+-]?\.\d+")
_DATE = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}.*|\d{1,2}[-./]\d{1,2}[-./](?:\d{2}|\d{4})(?: .*)?")
_DECIMAL_COMMA = re.compile(r"[+-]?[\d.]*,\d+")
_MISSING = frozenset(["", "?", "na", "n/a", "nan", "null", "none", "-"])
_TYPED_SHARE = 0.9
_RECURRING_SHARE = 0.6
_LEAST_ROWS_TO_RECUR = 5
_YEARS = range(1900, 2101)


@dataclass(frozen=True)
class Layout:
    """A CSV's dialect and column names.

    `has_header`: the first record holds the names. `start`: bytes before it that are no part of the table.
    `tail`: empty fields at the end of every row, beyond the header.
    """

    dialect: Dialect
    names: tuple[str, ...]
    has_header: bool
    notices: tuple[Notice, ...] = ()
    start: int = 0
    tail: int = 0


def find_layout(head: bytes, whole: bool, where: str) -> Layout:
    """Dialect and header of the text that starts with `head` (`whole`: there is no more).

    Raises:
        FeatrixUserError: no record can be made out, or the header is no text.
    """
    text = head.lstrip(b"\r\n")
    delimiter, start = separator_line(text)
    if delimiter:
        text = text[start:].lstrip(b"\r\n")
    elif is_number_column(text, DELIMITERS):
        delimiter = ";"  # any that does not occur
    found = _best_sample(text, whole, where, delimiter or DELIMITERS)
    start = len(head) - len(text) + found.starts[0] if start or found.n_above else 0
    dialect, records = found.dialect, found.records
    first, tail = records[0], empty_tail(records)
    notices: tuple[Notice, ...] = ()
    if start:
        above = head[:start].decode("utf-8", "replace").splitlines()
        notices = (lines_above_header([line for line in above if line.strip()]),)
    if tail:
        notices = (*notices, trailing_delimiters(tail))
        records = [first, *(record[: len(first)] for record in records[1:])]
    if any("\ufffd" in cell or "\0" in cell for cell in first):
        raise FeatrixUserError(
            f"{where} is binary or damaged: its first line holds characters that are no text",
            value=" ".join(first),
            remedy="Save the file as UTF-8 text",
        )
    if _has_header(first, records[1:]):
        names = [cell.strip() for cell in first]
        empty = [place for place, name in enumerate(names, start=1) if not name]
        named = tuple(name or f"column_{place}" for place, name in enumerate(names, start=1))
        return Layout(dialect, named, True, notices + _unnamed(empty), start, tail)
    names = [f"column_{place}" for place in range(1, len(first) + 1)]
    notice = Notice(
        code="no_header",
        message="The first line holds values rather than names: the file has no header",
        figure=float(len(names)),
        action=f"the columns are called {names[0]} … {names[-1]}",
    )
    return Layout(dialect, tuple(names), False, (*notices, notice), start, tail)


def _unnamed(places: list[int]) -> tuple[Notice, ...]:
    if not places:
        return ()
    shown = ", ".join(f"column_{place}" for place in places[:5])
    return (
        Notice(
            code="unnamed_columns",
            message=f"{len(places)} column{'s have' if len(places) > 1 else ' has'} no name in the header",
            figure=float(len(places)),
            action=f"called {shown}{' …' if len(places) > 5 else ''}",
        ),
    )


def complete_records(head: bytes, whole: bool) -> bool:
    """Whether `head` holds enough to judge by: two line ends, or the whole text."""
    body = head.lstrip(b"\r\n")
    return whole or body.count(b"\n") + body.count(b"\r") > 1


# --- delimiter and quotes -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sample:
    """The first records, with the places that they start at; `n_above`: records before that were cut off."""

    dialect: Dialect
    records: list[list[str]]
    starts: list[int]
    n_above: int = 0

    def below(self, n: int) -> _Sample:
        """Without the first `n` records."""
        return _Sample(self.dialect, self.records[n:], self.starts[n:], n)


def _best_sample(text: bytes, whole: bool, where: str, delimiters: str) -> _Sample:
    """The sample by the best delimiter, from the header on."""
    quote, escape = _quoting(text)
    samples = [_sample(text, Dialect(each, quote, escape), whole) for each in delimiters]
    samples = [sample for sample in samples if sample.records]
    if not samples:
        raise FeatrixUserError(
            f"{where} could not be split into fields: a quote in its first record is never closed",
            remedy="Check the quoting of the first lines",
        )
    best = max(samples, key=_score)
    width, even = _evenness(best.records)
    if empty_tail(best.records):
        return best
    if width > 1 and even > 0.5:
        return best.below(header_place(best.records, _kind))
    # Most rows could not be read: perhaps the table begins further down.
    cut = [sample.below(header_place(sample.records, _kind)) for sample in samples]
    return max((sample for sample in cut if sample.n_above), key=_score, default=best)


def _score(sample: _Sample) -> tuple[float, ...]:
    """How much a sample looks like a table; greater is better."""
    delimiter, records = sample.dialect.delimiter, sample.records
    width, even = _evenness(records)
    cells = [cell for record in records for cell in record]
    clean = sum(_is_clean(cell, delimiter) for cell in cells) / len(cells)
    numbers = sum(_kind(cell) == "number" for cell in cells) / len(cells)
    # A delimiter that never occurs is perfectly even, so one column counts least.
    even = round(even, 1) if width > 1 else -1.0
    rank = DELIMITERS.index(delimiter)
    return (even, round(clean, 2), round(numbers, 2), float(width), float(-rank))


def _evenness(records: list[list[str]]) -> tuple[int, float]:
    """The first record's width, and the share of records that have it."""
    width = len(records[0])
    return width, sum(len(record) == width for record in records) / len(records)


def _sample(text: bytes, dialect: Dialect, whole: bool) -> _Sample:
    """Up to 200 records (fewer of wide tables), those left out that cannot be read."""
    records: list[list[str]] = []
    starts: list[int] = []
    at = cells = tried = 0
    while at < len(text) and len(records) < _SAMPLE_RECORDS and cells < _SAMPLE_CELLS:
        tried += 1
        if tried > _SAMPLE_LINES:
            break
        record = read_record(text, at, dialect)
        if record.reason:
            if not records:
                break
            following = text.find(b"\n", at) + 1
            at = following or len(text)
            continue
        if record.end == len(text) and not whole and records:
            break  # it may be cut
        start, at = at, record.end
        if record.fields != (b"",):
            starts.append(start)
            records.append([cell_text(raw, dialect) for raw in record.fields])
            cells += len(record.fields)
    return _Sample(dialect, records, starts)


def _quoting(text: bytes) -> tuple[str, bool]:
    """The quote character, and whether a backslash escapes it."""
    lines = text[: 256 * 1024].splitlines()[:_SAMPLE_RECORDS]
    sample = b"\n".join(lines)
    double = len(re.findall(rb'(?:^|[,;\t|])"', sample, re.MULTILINE))
    single = len(re.findall(rb"(?:^|[,;\t|])'[^'\n]*'(?=[,;\t|\r]|$)", sample, re.MULTILINE))
    quote = "'" if not double and single * 2 > len(lines) else '"'
    escaped = rb"[^\\,;\t|\n]\\%b(?![,;\t|\r\n%b]|\Z)" % (quote.encode(), quote.encode())
    return quote, bool((double or quote == "'") and re.search(escaped, sample))


def _is_clean(cell: str, delimiter: str) -> bool:
    """Whether a cell holds none of the other delimiters, a decimal comma aside."""
    others = [other for other in DELIMITERS if other != delimiter and other in cell]
    return not others or bool(_DECIMAL_COMMA.fullmatch(cell.strip()))


# --- header ---------------------------------------------------------------------------------------


def _kind(cell: str) -> str:
    text = cell.strip()
    if text.lower() in _MISSING:
        return "missing"
    if len(text) > 40:
        return "text"
    if _DATE.fullmatch(text):
        return "date"
    return "number" if _NUMBER.fullmatch(text) else "text"


def _has_header(first: list[str], rows: list[list[str]]) -> bool:
    """Whether the first record names the columns.

    It does not where it looks like the rows: all columns of numbers or dates start with one, or, where there
    is none, most columns of words start with a word that comes again. Years and other series of numbers are
    names all the same.
    """
    rows = [row for row in rows if len(row) == len(first)]
    if not rows:
        return True
    fitting = typed = recurring = words = 0
    numbers: list[str] = []
    for cell, column in zip(first, zip(*rows, strict=True), strict=True):
        kinds = Counter(_kind(value) for value in column)
        present = len(column) - kinds.pop("missing", 0)
        if not present:
            continue
        kind, count = max(kinds.items(), key=lambda item: item[1])
        own = _kind(cell)
        if kind != "text" and count >= _TYPED_SHARE * present:
            if own != "missing":
                typed += 1
                fitting += own == kind
                numbers += [cell.strip()] if own == "number" else []
        elif kind == "text":
            words += 1
            recurring += cell in column
    if typed:
        return fitting < typed or _is_series(numbers, len(first))
    enough = len(rows) >= _LEAST_ROWS_TO_RECUR
    return not (words and enough and recurring >= _RECURRING_SHARE * words)


def _is_series(cells: list[str], width: int) -> bool:
    """Numbers that are names: years, 0 … n-1, or three and more with one step between them."""
    if len(cells) < 2 or not all(cell.isdecimal() and len(cell) < 10 for cell in cells):
        return False
    values = [int(cell) for cell in cells]
    if values == list(range(len(values))) or all(value in _YEARS for value in values):
        return len(set(values)) == len(values)
    steps = {after - before for before, after in pairwise(values)}
    return len(values) > 2 and len(steps) == 1 and steps != {0} and len(cells) == width
