"""Candidate types of texts: delimited lists, codes, documents (DATA-2).

Shape legend: V distinct texts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featrix_core.tables.column import (
    CLEAR_SHARE,
    FEW_VALUES,
    MANY_VALUES,
    Accepted,
    Column,
    Refused,
)
from featrix_core.tables.schema import ColumnType
from featrix_core.tables.structured import string_list

DELIMITERS = (";", "|", "\t", "~", ",", "/")
DELIMITED_SHARE = 0.3
DOCUMENT_WORDS = 100.0
DOCUMENT_CHARS = 1_000.0
_LIST_WORDS = 6.0
_LIST_CHARS = 40.0
_RECURRING = 0.5
_PLENTY = 3.0
_SHORT_WORDS = 3.0
_SHORT_CHARS = 25.0
_DENSE_SHARE = 0.6
_DENSE_RECURRING = 0.05

# Forms of identifiers that carry no meaning (section 16 of the source).
IDENTIFIER_PATTERNS: dict[str, re.Pattern[str]] = {
    "UUID": re.compile(r"^\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}?$", re.IGNORECASE),
    "hexadecimal hash": re.compile(
        r"^(?:0x)?(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$", re.IGNORECASE
    ),
    "snowflake": re.compile(r"^[1-9]\d{18}$"),
}
CODE_FORMS: dict[str, re.Pattern[str]] = {
    "network address": re.compile(r"^(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2}|:\d{1,5})?$"),
    "network address (version 6)": re.compile(r"^(?=.*::|(?:.*:){7})[0-9a-f:]{3,39}$", re.I),
    "hardware address": re.compile(r"^(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}$", re.I),
    "colour": re.compile(r"^#(?:[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})$", re.I),
    "version": re.compile(r"^v?\d{1,4}\.\d{1,5}\.\d{1,9}(?:[.\-+]?[0-9a-z]+)*$", re.I),
    "vehicle number": re.compile(r"^(?=.*\d)[A-HJ-NPR-Z0-9]{17}$"),
    "book number": re.compile(r"^(?:97[89][- ]?)?\d{1,5}[- ]?\d{1,7}[- ]?\d{1,7}[- ]?[\dX]$"),
    "account number": re.compile(r"^[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,4})?$"),
    "ZIP+4": re.compile(r"^\d{5}-\d{4}$"),
    "social security number": re.compile(r"^\d{3}-\d{2}-\d{4}$"),
    "British postcode": re.compile(r"^[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}$"),
    "Canadian postcode": re.compile(r"^[A-Z]\d[A-Z] ?\d[A-Z]\d$"),
    **IDENTIFIER_PATTERNS,
}
_FEW_COLOURS = 5
_POSTAL = frozenset(["zip", "zipcode", "postal", "postcode", "postalcode", "plz", "pincode"])
_POSTAL_FORM = re.compile(r"^\d{4,6}$")
_NUMBERED_BY = frozenset(
    ["isbn", "issn", "upc", "ean", "gtin", "vin", "iban", "imei", "ssn", "npi", "barcode"]
)
_DIGITS = re.compile(r"^[\d\- ]{6,20}[\dXx]$")
_LONG_NUMBER = re.compile(r"^[+-]?\d{16,300}$", re.ASCII)
_LEADING_ZERO = re.compile(r"^0\d+$")
_ZERO_SHARE = 0.05
_CODE_SHAPE = re.compile(r"^[^\W_][\w]*(?:[-_./:#*+ ]{1,2}\w+){0,6}={0,2}$")
_LETTERS = re.compile(r"[^\W\d_]+")
_CODE_SHARE = 0.85
_CODE_LETTERS = 5
_CODE_LOWER = 2
_CODE_VARIED = 0.1
_CODE_MANY = 1_000
_UPPER = re.compile(r"^[A-Z0-9]{2,12}$")
_MEANS_CODE = frozenset(
    [
        "code",
        "id",
        "key",
        "iata",
        "icao",
        "iso",
        "isin",
        "sku",
        "symbol",
        "ticker",
        "abbr",
        "abbreviation",
        "bic",
    ]
)


def identifier_pattern(values: Sequence[str]) -> str | None:
    """Which identifier form at least 95 % of the values have, or None."""
    return _form(values, IDENTIFIER_PATTERNS, CLEAR_SHARE)


def _form(values: Sequence[str], forms: dict[str, re.Pattern[str]], least: float) -> str | None:
    if not values:
        return None
    for kind, pattern in forms.items():
        if pattern.match(values[0]) is None and pattern.match(values[len(values) // 2]) is None:
            continue
        if sum(pattern.match(value) is not None for value in values) >= least * len(values):
            return kind
    return None


def coded(column: Column) -> Accepted | Refused:
    """Codes that look like numbers or have a form of their own; before numbers and dates."""
    zeros = np.fromiter((_LEADING_ZERO.match(v) is not None for v in column.values), bool)
    share = column.texts.share(zeros)
    few = column.n_values <= MANY_VALUES and column.varied < 0.5
    if share >= _ZERO_SHARE and column.texts.share(_digits(column)) >= CLEAR_SHARE:
        return _as_code(column, "digits with leading zeros are codes, not quantities", few)
    if column.name_words & _POSTAL and _share(column.sample, _POSTAL_FORM) >= CLEAR_SHARE:
        return _as_code(column, "postal codes, by their name and their form", few)
    if column.name_words & _NUMBERED_BY and _share(column.sample, _DIGITS) >= 0.9 and not few:
        return _as_code(column, "long numbers that the column's name calls a code", few)
    if _beyond_floats(column):
        return _as_code(column, "whole numbers so long that many are one as floats", False)
    kind = _form(column.sample, CODE_FORMS, 0.9)
    # A number with a blank or a hyphen somewhere is not yet a book number.
    if kind == "book number" and not _books(column.sample):
        kind = None
    if kind == "version" and column.moments.share >= CLEAR_SHARE:  # 1.2.2019
        kind = None
    if kind is not None and (not few or (kind == "colour" and column.n_values > _FEW_COLOURS)):
        return _as_code(column, f"at least 90% of the values have the form of a {kind}", False)
    return Refused(
        ColumnType.CODE,
        f"{share:.1%} of the cells are digits with a leading zero, no known form of codes"
        + (", and the values are few" if few else ""),
    )


def _beyond_floats(column: Column) -> bool:
    """Many whole numbers of 16 digits or more, of which at least 1 % are lost as float64."""
    values, _ = column.hard
    if len(values) <= FEW_VALUES or _share(column.sample, _LONG_NUMBER) < CLEAR_SHARE:
        return False
    long = [value for value in values if _LONG_NUMBER.match(value) is not None]
    return len({float(value) for value in long}) <= 0.99 * len(long)


def structured_code(column: Column) -> Accepted | Refused:
    """Codes such as ABC-12345 or N12345: short, without words, of many distinct values."""
    values = column.sample
    short = column.mean_chars <= 40 and bool(values)
    shaped = [v for v in values if _CODE_SHAPE.match(v)] if short else []
    wordless = sum(
        _without_words(v) if any(c.isdigit() for c in v) else _scrambled(v) for v in shaped
    )
    share = wordless / max(len(values), 1)
    upper = sum(_UPPER.match(v) is not None for v in values) / max(len(values), 1)
    lengths = Counter(map(len, values))
    width, same = lengths.most_common(1)[0] if lengths else (0, 0)
    fixed = same >= CLEAR_SHARE * len(values)
    symbols = upper >= CLEAR_SHARE and fixed and width <= 12
    named = bool(column.name_words & _MEANS_CODE)
    short_symbols = named and column.mean_words < 1.2 and column.mean_chars <= 8
    many = column.n_values > _CODE_MANY or (
        column.n_values > MANY_VALUES and column.varied > _CODE_VARIED
    )
    figures = (
        f"{share:.1%} of {column.n_values} distinct values are short, with figures and without "
        f"words; {same / max(len(values), 1):.1%} are {width} characters long"
    )
    unique = column.n_values > FEW_VALUES and column.varied > 0.9
    if not (many or (unique and symbols)):
        return Refused(ColumnType.CODE, figures + "; the values are too few for codes", share)
    if share >= _CODE_SHARE or symbols or (short_symbols and unique):
        return Accepted(ColumnType.CODE, figures, max(share, upper), ColumnType.SET, width=width)
    return Refused(ColumnType.CODE, figures, share)


def string_lists(column: Column) -> Accepted | Refused:
    """Cells such as `["red", "green"]`."""
    found = sum(string_list(value) is not None for value in column.sample)
    share = found / max(len(column.sample), 1)
    evidence = f"{share:.1%} of the values are lists of strings in brackets"
    if share < CLEAR_SHARE:
        return Refused(ColumnType.LIST, evidence, share)
    return Accepted(ColumnType.LIST, evidence, share, ColumnType.JSON, delimiter=",")


def delimited(column: Column) -> Accepted | Refused:
    """One delimiter in over 30 % of the cells, and parts that recur in other cells."""
    reasons = []
    best = 0.0
    for delimiter in DELIMITERS:
        verdict = _delimited_by(column, delimiter)
        if isinstance(verdict, Accepted):
            return verdict
        best = max(best, verdict.share)
        if verdict.reason:
            reasons.append(verdict.reason)
    return Refused(
        ColumnType.LIST, "; ".join(reasons) or "no delimiter in over 30% of the cells", best
    )


def most_frequent_delimiter(column: Column) -> str:
    """The delimiter that most cells hold; a comma where none holds any."""
    return max(
        (",", *DELIMITERS),
        key=lambda mark: int(
            column.texts.counts_V[[mark in value for value in column.values]].sum()
        ),
    )


def _delimited_by(column: Column, delimiter: str) -> Accepted | Refused:
    held = np.fromiter((delimiter in value for value in column.values), bool, column.n_values)
    share = column.texts.share(held)
    if share <= DELIMITED_SHARE:
        return Refused(ColumnType.LIST, "", share)
    shown = {"\t": "tab"}.get(delimiter, delimiter)
    cells = [[p.strip() for p in v.split(delimiter) if p.strip()] for v in column.sample]
    cells = [cell for cell in cells if cell]
    parts = [part for cell in cells for part in set(cell)]
    counts = Counter(parts)
    several = [cell for cell in cells if len(cell) > 1]
    words = sum(len(part.split()) for part in parts) / max(len(parts), 1)
    chars = sum(map(len, parts)) / max(len(parts), 1)
    multi = [part for cell in several for part in cell]
    recurring = sum(counts[part] > 1 for part in multi) / max(len(multi), 1)
    figures = (
        f"{share:.1%} of the cells hold {shown!r}, {recurring:.1%} of their parts recur "
        f"in other values, {len(counts)} distinct parts in {len(cells)} values"
    )
    sizes = {len(cell) for cell in several}
    # The folders of a path are no list: what stands first never stands last.
    mixed = _overlap(several) or (len(sizes) > 1 and delimiter != "/")
    # Sentences have commas too; their parts are long and do not recur.
    strong = delimiter not in ",/"
    per_cell = sum(map(len, several)) / max(len(several), 1)
    plenty = per_cell >= _PLENTY and mixed
    recurs = recurring >= (_RECURRING / 2 if strong else _RECURRING) and len(counts) < (
        1.5 if strong or plenty else 1.0
    ) * len(cells)
    # Many short parts in most cells make a list even where the vocabulary is wide.
    dense = plenty and words <= _SHORT_WORDS and chars <= _SHORT_CHARS and share > _DENSE_SHARE
    dense = dense and (strong or (len(sizes) >= 3 and recurring >= _DENSE_RECURRING))
    if len(several) < 5 or words > _LIST_WORDS or chars > _LIST_CHARS:
        return Refused(ColumnType.LIST, figures + f", {words:.1f} words each", share)
    if dense or (recurs and mixed):
        return Accepted(ColumnType.LIST, figures, share, ColumnType.TEXT, delimiter=delimiter)
    return Refused(ColumnType.LIST, figures, share)


def _overlap(cells: list[list[str]]) -> bool:
    """Whether the first and the last part of the cells come from one vocabulary."""
    first, last = {cell[0] for cell in cells}, {cell[-1] for cell in cells}
    return len(first & last) >= 0.2 * min(len(first), len(last))


def document(column: Column) -> Accepted | Refused:
    """Texts of more than about a hundred words."""
    figures = f"{column.mean_words:.0f} words and {column.mean_chars:.0f} characters per cell"
    if column.mean_words > DOCUMENT_WORDS or column.mean_chars > DOCUMENT_CHARS:
        return Accepted(ColumnType.DOCUMENT, figures, 1.0, ColumnType.TEXT)
    return Refused(ColumnType.DOCUMENT, figures)


def code_width(values: Sequence[str]) -> int | None:
    """The most frequent length of the values."""
    return Counter(map(len, values)).most_common(1)[0][0] if values else None


def _as_code(column: Column, evidence: str, few: bool) -> Accepted:
    if few:
        return Accepted(
            ColumnType.SET, f"{evidence}; only {column.n_values} of them", 1.0, ColumnType.CODE
        )
    return Accepted(
        ColumnType.CODE, evidence, 1.0, ColumnType.SET, width=code_width(column.hard[0])
    )


def _digits(column: Column) -> NDArray[np.bool_]:
    return np.fromiter((value.isdigit() for value in column.values), bool, column.n_values)


def _share(values: Sequence[str], pattern: re.Pattern[str]) -> float:
    return sum(pattern.match(value) is not None for value in values) / max(len(values), 1)


def _books(values: Sequence[str]) -> bool:
    return all(sum(c.isalnum() for c in v) in (10, 13) for v in values) and any(
        v.startswith(("978", "979")) or "-" in v or v.endswith("X") for v in values
    )


def _without_words(text: str) -> bool:
    """Whether letters come in short runs only: upper case up to 5, with lower case up to 2."""
    runs = _LETTERS.findall(text)
    if all(len(run) <= (_CODE_LETTERS if run.isupper() else _CODE_LOWER) for run in runs):
        return True
    return (text.isupper() and " " not in text) or _scrambled(text)


def _scrambled(text: str) -> bool:
    """Letters and figures, or cases, in many short runs of one token: no word does that."""
    if " " in text:
        return False
    runs = re.findall(r"[A-Za-z]+|\d+", text)
    cased = re.findall(r"[A-Z]+|[a-z]+|\d+", text)
    return len(runs) >= 4 or (len(cased) >= 6 and 3 * len(cased) >= len(text))
