"""Columns that describe one thing together: addresses, coordinates, entities (DATA-9).

An address part or a coordinate says little without the others, so these are merged into one token.
The attributes of an entity (`customer_age`, `customer_segment`, …) keep their own tokens and share a
learned group embedding ("relationship").
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from featrix_core.tables.association import column_codes, mean_association
from featrix_core.tables.schema import ColumnSchema, ColumnType, HybridGroup
from featrix_core.tables.table import Table

MERGE, RELATIONSHIP = "merge", "relationship"
LEAST_ATTRIBUTES = 3
CAMEL_RATIO = 1.25
CAMEL_LEAST = 0.1
_OUTSIDE = 20

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")
_SEPARATOR = re.compile(r"[^\W_][_.\-\s]+[^\W_]")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ROLES: dict[str, frozenset[str]] = {
    "street": _set(
        "street address addr streetaddress streetname streetnumber housenumber addressline "
        "addressstreet strasse straße road"
    ),
    "city": _set("city town municipality locality village ort stadt ville ciudad"),
    "county": _set("county district borough"),
    "state": _set("state province stateprovince bundesland prefecture"),
    "region": _set("region"),
    "postal": _set("zip zipcode postal postalcode postcode postalzip plz zip4 pincode"),
    "country": _set("country nation countryregion pais pays"),
}
_QUALIFIERS = _set("name code abbr abbreviation iso iso2 iso3 id")
_PLACES = frozenset({"street", "city", "postal"})
_NOT_ADDRESS = (
    ColumnType.TIMESTAMP,
    ColumnType.BOOLEAN,
    ColumnType.EMAIL,
    ColumnType.DOMAIN,
    ColumnType.URL,
    ColumnType.PHONE,
    ColumnType.VECTOR,
    ColumnType.JSON,
)

_PAIRS: tuple[tuple[str, frozenset[str], frozenset[str], float, float], ...] = (
    (
        "latitude and longitude",
        frozenset({"lat", "latitude"}),
        frozenset({"lon", "lng", "long", "longitude"}),
        90.0,
        180.0,
    ),
    (
        "northing and easting",
        frozenset({"northing", "northings"}),
        frozenset({"easting", "eastings"}),
        float("inf"),
        float("inf"),
    ),
    ("x and y", frozenset({"x"}), frozenset({"y"}), float("inf"), float("inf")),
)

# First words that say how a column was made, counted or measured, not what it belongs to.
_GENERIC = _set(
    "is has was are had can does num number n no nb nr count cnt total sum avg average mean median "
    "std stddev var variance min max worst best first last pct percent perc rate ratio log sqrt "
    "diff delta change prev previous next new old current date time day week month year hour "
    "minute id key code type flag ind indicator col column feature feat field attr attribute value "
    "val x y z v f c a b the of in on at to from by per with without any all other high low top "
    "bottom left right se error days weeks months years hours minutes seconds sqft sqm km miles usd "
    "eur"
)


@dataclass(frozen=True)
class _Name:
    """A column's name in lower-case words; `separated`: it holds separators, not camel case only."""

    column: ColumnSchema
    words: tuple[str, ...]
    separated: bool


def find_groups(table: Table, columns: Sequence[ColumnSchema]) -> tuple[HybridGroup, ...]:
    """Groups among a table's columns; each column is in one group at most.

    Address parts and coordinates are known by their names (and numbers by their range). Entities are
    three or more columns with a common first word; where only camel case marks the word, its columns
    must also depend on one another more than on the others.

    Args:
        table: rows to measure dependence on.
        columns: the columns that enter the space, in the table's order.
    """
    names = [_named(column) for column in columns]
    groups = [*_coordinates(names), *_addresses(names)]
    taken = {name for group in groups for name in group.columns}
    groups += _entities(table, names, taken)
    place = {column.name: number for number, column in enumerate(columns)}
    return tuple(sorted(groups, key=lambda group: place[group.columns[0]]))


def _named(column: ColumnSchema) -> _Name:
    words = tuple(word.lower() for word in _WORDS.findall(column.name))
    return _Name(column, words, _SEPARATOR.search(column.name) is not None)


def _label(words: Iterable[str], kind: str) -> str:
    return "_".join([*words, kind])


def _coordinates(names: Sequence[_Name]) -> list[HybridGroup]:
    """Pairs of numbers whose names differ in the axis only; latitudes and longitudes by range too."""
    found = []
    scalars = [name for name in names if name.column.type is ColumnType.SCALAR]
    depths = {_without(name.words, {"z"}) for name in scalars if "z" in name.words}
    for what, first, second, limit, other_limit in _PAIRS:
        partners = {_without(n.words, second): n for n in reversed(scalars) if second & {*n.words}}
        for name in scalars:
            rest = _without(name.words, first)
            partner = partners.get(rest)
            if not first & {*name.words} or partner is None or partner is name:
                continue
            if what == "x and y" and rest in depths:
                continue  # width, depth and height of a thing rather than a place
            if not (_within(name.column, limit) and _within(partner.column, other_limit)):
                continue
            del partners[rest]
            pair = (name.column.name, partner.column.name)
            evidence = f"the names are a pair of {what}"
            if limit < float("inf"):
                evidence += f"; values within ±{limit:g} and ±{other_limit:g}"
            found.append(
                HybridGroup(
                    name=_label(rest, "coordinates"),
                    kind="coordinates",
                    columns=pair,
                    strategy=MERGE,
                    evidence=evidence,
                )
            )
    return found


def _without(words: tuple[str, ...], some: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in some)


def _within(column: ColumnSchema, limit: float) -> bool:
    low, high = column.statistics.get("min"), column.statistics.get("max")
    return low is not None and high is not None and -limit <= low and high <= limit


def _role(words: tuple[str, ...]) -> tuple[str, tuple[str, ...]] | None:
    """(role, words before it) of a name that ends with an address part, such as `billing_zip_code`."""
    bare = words
    while len(bare) > 1 and (bare[-1].isdigit() or bare[-1] == "line"):
        bare = bare[:-1]  # address_1, address_line_2
    for ending in (bare, bare[:-1] if len(bare) > 1 and bare[-1] in _QUALIFIERS else ()):
        for length in range(min(3, len(ending)), 0, -1):
            joined = "".join(ending[-length:])
            for role, spellings in _ROLES.items():
                if joined in spellings:
                    return role, ending[:-length]
    return None


def _addresses(names: Sequence[_Name]) -> list[HybridGroup]:
    """Two or more parts under the same prefix, one of them a street, city or postal code."""
    by_prefix: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
    for name in names:
        found = _role(name.words)
        if found is None or name.column.type in _NOT_ADDRESS:
            continue
        role, prefix = found
        if role != "postal" and name.column.type is ColumnType.SCALAR:
            continue
        by_prefix[prefix].append((role, name.column.name))
    groups = []
    for prefix, parts in by_prefix.items():
        roles = {role for role, _ in parts}
        if len(roles) < 2 or not (roles & _PLACES or {"country", "state"} <= roles):
            continue
        under = f" under the prefix {'_'.join(prefix)!r}" if prefix else ""
        groups.append(
            HybridGroup(
                name=_label(prefix, "address"),
                kind="address",
                columns=tuple(column for _, column in parts),
                strategy=MERGE,
                evidence="the names are parts of an address"
                + under
                + ": "
                + ", ".join(f"{column} ({role})" for role, column in parts),
            )
        )
    return groups


def _entities(table: Table, names: Sequence[_Name], taken: set[str]) -> list[HybridGroup]:
    by_prefix: dict[str, list[_Name]] = defaultdict(list)
    for name in names:
        if len(name.words) > 1 and len(name.words[0]) > 1 and name.words[0] not in _GENERIC:
            by_prefix[name.words[0]].append(name)
    groups = []
    codes = None
    for prefix, members in by_prefix.items():
        attributes = {_without(n.words[1:], _digits(n.words)) for n in members} - {()}
        free = [n for n in members if n.column.name not in taken]
        # A series (pixel_1, pixel_2, …) has no attributes, and what all columns share tells nothing.
        few = len(attributes) < LEAST_ATTRIBUTES or len(free) < 2
        if few or len(attributes) < len(members) / 2 or len(members) == len(names):
            continue
        if codes is None:
            codes = column_codes(table, [n.column for n in names])
        inside = [n.column.name for n in free]
        belonging = {n.column.name for n in members}
        outside = [n.column.name for n in names if n.column.name not in belonging][:_OUTSIDE]
        within = mean_association(codes, inside)
        across = mean_association(codes, inside, outside)
        marked = all(n.separated for n in free)
        if not marked and not (within >= CAMEL_LEAST and within >= CAMEL_RATIO * across):
            continue
        groups.append(
            HybridGroup(
                name=prefix,
                kind="entity",
                columns=tuple(inside),
                strategy=RELATIONSHIP,
                evidence=f"{len(members)} columns begin with {prefix!r}; mean dependence "
                f"{within:.2f} among them, {across:.2f} on other columns (Cramér's V)",
            )
        )
    return groups


def _digits(words: tuple[str, ...]) -> set[str]:
    return {word for word in words if word.isdigit()}
