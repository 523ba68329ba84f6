"""Candidate types of single values: booleans, vectors, JSON, orders, moments, numbers, parts (DATA-2).

Each candidate looks at a `Column` and takes it (`Accepted`) or says why not (`Refused`).

Shape legend: V distinct texts.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from featrix_core.tables.column import (
    CLEAR_SHARE,
    FEW_VALUES,
    MAJORITY_SHARE,
    MANY_VALUES,
    Accepted,
    Column,
    Refused,
)
from featrix_core.tables.numbers import CURRENCIES
from featrix_core.tables.ordinal import find_order
from featrix_core.tables.parts import fits
from featrix_core.tables.schema import ColumnType
from featrix_core.tables.spellings import BOOLEAN_PAIRS
from featrix_core.tables.structured import parse_json, parse_vector
from featrix_core.tables.text_kinds import identifier_pattern

COMPOSITE_NAMES: dict[ColumnType, frozenset[str]] = {
    ColumnType.EMAIL: frozenset(["email", "mail"]),
    ColumnType.URL: frozenset(["url", "uri", "link", "href", "website", "homepage"]),
    ColumnType.DOMAIN: frozenset(["domain", "host", "hostname"]),
    ColumnType.PHONE: frozenset(["phone", "tel", "telephone", "mobile", "fax", "cell", "telefon"]),
    ColumnType.ADDRESS: frozenset(["address", "addr", "street", "addresse", "adresse", "strasse"]),
}
_NEEDED = {
    ColumnType.EMAIL: re.compile("@"),
    ColumnType.URL: re.compile(r"[/.]"),
    ColumnType.DOMAIN: re.compile(r"[.。．]"),
    ColumnType.PHONE: re.compile(r"\d\D*\d\D*\d"),
    ColumnType.ADDRESS: re.compile(r"\d"),
}
_COMPOSITE_SHARE = 0.6
_VECTOR_LEAST = 2
_RECURRING_ROWS = 5
_LONG_WORDS = 4.0
_SOME_WORDS = 1.5
_REPEATED_SHARE = 0.05
_VARIED_SHARE = 0.5
_MANY_TEXTS = 500
_TOP_SHARE = 0.05
_CODE_WORDS = frozenset(["code", "codes", "fips", "naics", "sic"])
_FEW_CODES = 100
_ID_WORDS = frozenset(["id", "ids"])
_ID_ROWS, _MANY_IDS = 5.0, 5_000
"""An identifier of users or places is a category where each stands on so many rows, and there are no more of them."""


def boolean(column: Column) -> Accepted | Refused:
    """Two values that mean yes and no."""
    lowered = frozenset(value.lower() for value in column.values[: FEW_VALUES + 1])
    if lowered in BOOLEAN_PAIRS and column.n_values <= FEW_VALUES:
        return Accepted(
            ColumnType.BOOLEAN,
            f"the two values are {' and '.join(sorted(lowered))}",
            1.0,
            ColumnType.SET,
        )
    return Refused(ColumnType.BOOLEAN, f"{column.n_values} distinct values, no pair of yes and no")


def vector(column: Column) -> Accepted | Refused:
    """Texts of several numbers, nearly all of one length."""
    found = [parse_vector(value) for value in column.sample]
    lengths = [len(numbers) for numbers in found if numbers is not None]
    share = len(lengths) / max(len(found), 1)
    if share < CLEAR_SHARE:
        return Refused(ColumnType.VECTOR, f"{share:.1%} of the values are rows of numbers", share)
    if column.texts.share(~np.isnan(column.numbers_V)) >= CLEAR_SHARE:  # (1,500.00)
        return Refused(ColumnType.VECTOR, "the values are single numbers as well", share)
    sizes, counts = np.unique(lengths, return_counts=True)
    dimension, same = int(sizes[np.argmax(counts)]), float(counts.max() / len(lengths))
    if same < CLEAR_SHARE or dimension < _VECTOR_LEAST:
        return Refused(ColumnType.VECTOR, f"only {same:.1%} of the vectors have one length", same)
    return Accepted(
        ColumnType.VECTOR,
        f"{share:.1%} of the values are vectors of {dimension} numbers",
        share,
        ColumnType.JSON,
        dimension=dimension,
    )


def json_cells(column: Column) -> Accepted | Refused:
    """JSON objects, and arrays that are neither vectors nor lists of strings."""
    parsed = [parse_json(value) for value in column.sample]
    share = sum(text is not None for text in parsed) / max(len(parsed), 1)
    evidence = f"{share:.1%} of the values are JSON objects or arrays"
    if share <= MAJORITY_SHARE:
        return Refused(ColumnType.JSON, evidence, share)
    return Accepted(ColumnType.JSON, evidence, share, ColumnType.TEXT)


def ordinal(column: Column) -> Accepted | Refused:
    """Values that lie on one scale, ranges, numbered levels."""
    order = find_order(column.texts, column.name)
    if order is None:
        return Refused(
            ColumnType.ORDINAL, f"the {column.n_values} distinct values lie on no known scale"
        )
    if order.scale == "ranges" and column.texts.share(~np.isnan(column.numbers_V)) >= CLEAR_SHARE:
        return Refused(ColumnType.ORDINAL, "what looks like ranges are numbers")
    return Accepted(
        ColumnType.ORDINAL,
        f"{order.share:.1%} of the cells lie on {order.scale}",
        order.share,
        ColumnType.SET,
        keys=tuple(order.keys_V.tolist()),
    )


def clear_timestamp(column: Column) -> Accepted | Refused:
    """Moments beyond doubt."""
    return _timestamp(column, CLEAR_SHARE)


def mostly_timestamp(column: Column) -> Accepted | Refused:
    """More moments than anything else."""
    return _timestamp(column, MAJORITY_SHARE)


def _timestamp(column: Column, least: float) -> Accepted | Refused:
    fit = column.moments
    if fit.format is None:
        return Refused(ColumnType.TIMESTAMP, "no cell has a known form of dates or times")
    evidence = f"{fit.share:.1%} of the cells are timestamps of the form {fit.format}"
    if fit.share < least or fit.share <= MAJORITY_SHARE:
        return Refused(ColumnType.TIMESTAMP, evidence, fit.share)
    digits = fit.format == "%Y%m%d" or not any(c in fit.format for c in "%I_")
    return Accepted(
        ColumnType.TIMESTAMP,
        evidence,
        fit.share,
        ColumnType.SCALAR if digits or fit.format.startswith("epoch") else ColumnType.SET,
        timestamp_format=fit.format,
    )


def recurring_id(column: Column) -> Accepted | Refused:
    """Whole numbers that identify users or places, many rows each: their size means nothing."""
    if not column.name_words & _ID_WORDS:
        return Refused(ColumnType.SET, "numbers are categories where a name calls them identifiers")
    parsed = ~np.isnan(column.numbers_V)
    share = column.texts.share(parsed)
    rows = column.texts.n_cells / max(column.n_values, 1)
    evidence = f"{column.n_values:,} numbers that the name calls identifiers, {rows:.0f} rows each on average"
    recurring = rows >= _ID_ROWS and column.n_values <= _MANY_IDS
    if share < CLEAR_SHARE or not recurring or not _whole(column, parsed):
        return Refused(ColumnType.SET, f"{evidence}; {share:.1%} of the cells are numbers")
    return Accepted(ColumnType.SET, evidence, share, ColumnType.SCALAR)


def scalar(column: Column) -> Accepted | Refused:
    """Numbers, also with thousands, money, per cent and one unit."""
    parsed = ~np.isnan(column.numbers_V)
    share = column.texts.share(parsed)
    evidence = f"{share:.1%} of the cells are numbers"
    if share <= MAJORITY_SHARE:
        return Refused(ColumnType.SCALAR, evidence, share)
    if _named_codes(column, parsed):
        return Refused(
            ColumnType.SCALAR, f"{evidence}, but few, whole, and called a code by their name", share
        )
    doubt = share < CLEAR_SHARE
    if doubt and _recurring_words(parsed, column):
        return Refused(
            ColumnType.SCALAR, f"{evidence}, the others are a few recurring words", share
        )
    if doubt and _tokens(parsed, column):
        return Refused(
            ColumnType.SCALAR, f"{evidence}, the others are many codes with figures", share
        )
    if column.unit is not None and column.decimal == ".":
        kind = "currency" if column.unit in CURRENCIES else "unit"
        evidence += f", {kind} {column.unit}"
    elif column.decimal == ",":
        evidence += " with a decimal comma"
    few = column.n_values <= FEW_VALUES
    return Accepted(
        ColumnType.SCALAR,
        evidence,
        share,
        ColumnType.SET if doubt or few else None,
        decimal=column.decimal,
        unit=column.unit,
    )


def _recurring_words(parsed_V: NDArray[np.bool_], column: Column) -> bool:
    """Levels such as 1, 2, 3, "many": dropping the words as unparsed would lose a category."""
    texts = column.texts
    words = ~parsed_V & ~texts.soft_V
    return column.n_values <= FEW_VALUES and bool(
        texts.counts_V[words].min(initial=_RECURRING_ROWS) >= _RECURRING_ROWS
    )


def _tokens(parsed_V: NDArray[np.bool_], column: Column) -> bool:
    """Ticket numbers such as 113803, PC 17599: the digits alone are no quantity either."""
    others = np.flatnonzero(~parsed_V & ~column.texts.soft_V).tolist()
    whole = column.numbers_V[parsed_V]
    if len(others) < FEW_VALUES or column.varied < 0.2 or np.any(whole != np.floor(whole)):
        return False
    figured = sum(any(c.isdigit() for c in column.values[v]) for v in others)
    return figured > 0.5 * len(others)


def _named_codes(column: Column, parsed_V: NDArray[np.bool_]) -> bool:
    return (
        bool(column.name_words & _CODE_WORDS)
        and column.n_values <= _FEW_CODES
        and column.varied < _VARIED_SHARE
        and _whole(column, parsed_V)
    )


def _whole(column: Column, parsed_V: NDArray[np.bool_]) -> bool:
    numbers = column.numbers_V[parsed_V]
    return bool(np.all((numbers == np.floor(numbers)) & (numbers >= 0)))


def called_phone(column: Column) -> Accepted | Refused:
    """Bare digits, of the length of telephone numbers, in a column whose name says that they are."""
    if not column.name_words & COMPOSITE_NAMES[ColumnType.PHONE]:
        return Refused(ColumnType.PHONE, "the column's name does not speak of telephones")
    share = composite_share(column, ColumnType.PHONE, lenient=True)
    evidence = (
        f"{share:.1%} of the values have the length of telephone numbers, and the name says so"
    )
    if share < CLEAR_SHARE or column.n_values <= FEW_VALUES:
        return Refused(ColumnType.PHONE, evidence, share)
    return Accepted(ColumnType.PHONE, evidence, share, ColumnType.SCALAR)


def email(column: Column) -> Accepted | Refused:
    """E-mail addresses."""
    return _composite(column, ColumnType.EMAIL)


def url(column: Column) -> Accepted | Refused:
    """Web addresses with a scheme, a path or "www."."""
    return _composite(column, ColumnType.URL)


def domain(column: Column) -> Accepted | Refused:
    """Host names with a public suffix."""
    return _composite(column, ColumnType.DOMAIN)


def phone(column: Column) -> Accepted | Refused:
    """Telephone numbers; bare digits only under a name that says so."""
    return _composite(column, ColumnType.PHONE)


def address(column: Column) -> Accepted | Refused:
    """Postal addresses and street lines."""
    return _composite(column, ColumnType.ADDRESS)


def _composite(column: Column, type: ColumnType) -> Accepted | Refused:
    named = bool(column.name_words & COMPOSITE_NAMES[type])
    if not named and not _worth_a_look(column, type):
        return Refused(type, f"hardly a value holds what every {type.value} has")
    share = composite_share(column, type, lenient=False)
    if named and share <= _COMPOSITE_SHARE and type is not ColumnType.ADDRESS:
        share = composite_share(column, type, lenient=True)
    word = type.value
    evidence = f"{share:.1%} of the values have the form of a{'n' * (word[0] in 'ae')} {word}"
    # A name is evidence too: half of the values are enough then.
    if share <= (MAJORITY_SHARE if named else _COMPOSITE_SHARE):
        return Refused(type, evidence, share)
    return Accepted(type, evidence, share, ColumnType.TEXT)


def _worth_a_look(column: Column, type: ColumnType) -> bool:
    """A cheap check before the expensive ones."""
    sample = column.sample[:: max(1, len(column.sample) // 50)]
    held = sum(_NEEDED[type].search(value) is not None for value in sample)
    return held > _COMPOSITE_SHARE / 2 * len(sample)


def composite_share(column: Column, type: ColumnType, lenient: bool) -> float:
    """Share of a sample of the values that look like a composite type."""
    sample = column.sample[:: max(1, len(column.sample) // 500)]
    return float(fits(type, sample, lenient).mean()) if sample else 0.0


def text(column: Column) -> Accepted | Refused:
    """Free text and names: many words, or hardly any value twice."""
    figures = column.figures_of_texts()
    words, varied, distinct = column.mean_words, column.varied, column.n_values
    many = distinct > MANY_VALUES
    long = words >= _LONG_WORDS and (varied > _VARIED_SHARE or (many and varied > _REPEATED_SHARE))
    unique = many and varied > _VARIED_SHARE and identifier_pattern(column.values) is None
    top = float(column.texts.counts_V.max()) / column.texts.n_cells
    even = (
        top < _TOP_SHARE or varied > _VARIED_SHARE / 2
    )  # places and products have favourites, people hardly
    names = words > 1.8 and distinct > _MANY_TEXTS and varied > _REPEATED_SHARE and even
    if long or unique or names:
        return Accepted(ColumnType.TEXT, figures, 1.0, ColumnType.SET)
    return Refused(ColumnType.TEXT, figures)


def category(column: Column) -> Accepted | Refused:
    """Whatever no other type took: each distinct value is a category."""
    return Accepted(
        ColumnType.SET,
        column.figures_of_texts(),
        1.0,
        ColumnType.TEXT if column.mean_words > _SOME_WORDS else None,
    )
