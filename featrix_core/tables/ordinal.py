"""Columns whose categories have an order: words of a scale, ranges, numbered levels (DATA-2).

A text's *key* is a number whose order is the order of the levels. Levels are places in [0, 1], evenly
spaced over the keys that the column has.

Shape legend: V distinct texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featrix_core.tables.numbers import parse_numbers
from featrix_core.tables.scales import SCALES, Scale, normalised
from featrix_core.tables.texts import DistinctTexts

FIT_SHARE = 0.9
LEAST_LEVELS = 3
MOST_LEVELS = 60
MOST_PLAIN_NUMBERS = 25
_LONGEST = 80
_NONE = frozenset({"none", "no", "n/a", "unknown", "missing", "other", "-"})

_NUMBER = r"[$€£]?\s?(-?\d[\d,]*(?:\.\d+)?)\s?([kKmM](?![a-z]))?"
_UNIT = r"(?:\s?[%$€£]|\s?[a-z]{1,12}\.?)?"
_BETWEEN = re.compile(
    rf"^(?:[a-z]{{1,12}}\s)?[\[(]?{_NUMBER}{_UNIT}\s?(?:-|–|—|to|bis|and|\.\.+|<=?\s?\w{{1,12}}\s?<=?)\s?{_NUMBER}{_UNIT}\s?[\])]?$",
    re.IGNORECASE,
)
_INTERVAL = re.compile(rf"^[\[(]{_NUMBER}\s?[,;]\s?{_NUMBER}[\])]$")
_LESS = "less than|under|below|up to|at most|fewer than|younger than"
_MORE = "more than|over|above|at least|greater than|older than"
_AND_UP = "over|above|more|older|up|greater|higher"
_BELOW = re.compile(
    rf"^(?:\w{{1,12}}\s?)?(?:<=?|≤|{_LESS}|max\.?)\s?{_NUMBER}{_UNIT}$"
    rf"|^{_NUMBER}{_UNIT}\s?(?:and|or|&)\s?(?:less|under|below|younger|fewer|lower)$",
    re.IGNORECASE,
)
_ABOVE = re.compile(
    rf"^(?:\w{{1,12}}\s?)?(?:>=?|≥|=>|{_MORE}|min\.?)\s?{_NUMBER}{_UNIT}$"
    rf"|^{_NUMBER}{_UNIT}\s?(?:\+|plus|(?:and|or|&) (?:{_AND_UP}))\s?{_UNIT}$",
    re.IGNORECASE,
)
_POWER = re.compile(r"^[+-]?(?:\d+\.?\d*|\.\d+)[eE][+-]?\d{1,3}$")
_EXACT = re.compile(rf"^=?\s?{_NUMBER}{_UNIT}$", re.IGNORECASE)
_NUMBERED = re.compile(
    r"^[\[(]?(\d{1,2})[\])]?\s*(?:[-–:=.)]|\s)\s*(?=\D)(?!st\b|nd\b|rd\b|th\b)\S.*$"
)
_SIGNED = re.compile(r"^[\[(]?\d{1,2}[\])]?\s*[-–:=.)]")
_FEW_LABELS = 8
_FIRST_NUMBER = 3
_PREFIXED = re.compile(
    r"^(?:level|lvl|stage|grade|phase|tier|step|class|degree|category|cat|rank|quartile|quintile|decile|"
    r"quarter|priority|score|band|sev|severity|year|week|month|day|round|generation|gen|floor|quality|"
    r"q|t|l|r|g|stufe|klasse)[\s_\-.:]?(\d{1,2}|[ivx]{1,4})$",
    re.IGNORECASE,
)
_COUNTED = re.compile(r"^(\d{1,3})(?:st|nd|rd|th|\.)(?:[\s_-][a-z]+)?$", re.IGNORECASE)
_DECADE = re.compile(r"^(\d{3}0)['’]?s$")
_ROMAN = next(scale.places for scale in SCALES if scale.name == "roman")
_GRADES = re.compile(r"^([A-F])([+-]?)$")
_SUBGRADES = re.compile(r"^([A-H])([1-5])$")


@dataclass(frozen=True)
class Order:
    """Keys of V texts (NaN: not on the scale), the scale's name and the share of cells on it."""

    keys_V: NDArray[np.float64]
    scale: str
    share: float


def find_order(texts: DistinctTexts, name: str) -> Order | None:
    """The order of a column's values, or None; `name` is the column's."""
    if not _short_and_few(texts.values):
        return None
    best: Order | None = None
    for candidate in _candidates(texts.values, name):
        judged = _scored(candidate, texts)
        if judged is not None and (best is None or _weight(judged) > _weight(best)):
            best = judged
    return best


def nearest_order(texts: DistinctTexts, name: str) -> Order | None:
    """The order that has a place for most values, however few these are; None where it is under three."""
    if not _short_and_few(texts.values):
        return None
    best = max(_candidates(texts.values, name), key=_levels)
    return best if _levels(best) >= LEAST_LEVELS else None


def _short_and_few(values: Sequence[str]) -> bool:
    return LEAST_LEVELS <= len(values) <= MOST_LEVELS and max(map(len, values)) <= _LONGEST


def _candidates(values: Sequence[str], name: str) -> list[Order]:
    words = [normalised(value) for value in values]
    bare = _without_common_words(words)
    candidates = [
        Order(_scale_keys(scale, form), f"the scale of {scale.name}", 0.0)
        for form in ([words] if bare == words else [words, bare])
        for scale in SCALES
        if not scale.names or _speaks_of(name, scale.names)
    ]
    candidates.insert(0, Order(_range_keys(values), "ranges", 0.0))
    for label, pattern in (
        ("numbered levels", _PREFIXED),
        ("counted places", _COUNTED),
        ("decades", _DECADE),
    ):
        candidates.append(Order(_pattern_keys(values, pattern), label, 0.0))
    candidates.append(Order(_numbered_keys(values), "numbered levels", 0.0))
    candidates.append(Order(_grade_keys(values), "grades", 0.0))
    return candidates


def levels_of(values: Sequence[str], keys_V: NDArray[np.float64]) -> tuple[float, ...]:
    """Places in [0, 1] of V values by their keys; a value off the scale lies in the middle."""
    known = ~np.isnan(keys_V)
    distinct = np.unique(keys_V[known])
    last = max(len(distinct) - 1, 1)
    places = np.searchsorted(distinct, np.where(known, keys_V, 0.0)) / last
    return tuple(float(place) for place in np.where(known, places, 0.5))


def forced_order(texts: DistinctTexts, name: str) -> Order | None:
    """An order for a column that the user calls ordinal: a scale, or the order of its numbers."""
    order = find_order(texts, name)
    if order is not None:
        return order
    keys = parse_numbers(texts.values)
    if not np.isnan(keys).any():
        return Order(keys, "numbers", 1.0)
    words = [normalised(value) for value in texts.values]
    for scale in SCALES:
        keys = _scale_keys(scale, words)
        if not np.isnan(keys).any():
            return Order(keys, f"the scale of {scale.name}", 1.0)
    return None


def _scored(order: Order, texts: DistinctTexts) -> Order | None:
    known = ~np.isnan(order.keys_V)
    if len(np.unique(order.keys_V[known])) < LEAST_LEVELS:
        return None
    # A "none" at an end of a scale is no level of it: it neither counts for nor against the scale.
    judged = texts.counts_V[known].sum() + texts.counts_V[~known & ~_aside(texts)].sum()
    share = float(texts.counts_V[known].sum() / judged)
    values = int(known.sum()), len(known)
    if share < FIT_SHARE or values[0] < 0.6 * values[1]:
        return None
    if float(texts.counts_V[known].sum()) < 0.7 * texts.n_cells:
        return None
    return Order(order.keys_V, order.scale, share)


def _weight(order: Order) -> tuple[float, int]:
    """More cells, then more levels: a scale that tells more values apart is the better one."""
    return order.share, _levels(order)


def _levels(order: Order) -> int:
    return len(np.unique(order.keys_V[~np.isnan(order.keys_V)]))


def _aside(texts: DistinctTexts) -> NDArray[np.bool_]:
    named = np.fromiter((value.lower() in _NONE for value in texts.values), bool)
    aside: NDArray[np.bool_] = texts.soft_V | named
    return aside


def _speaks_of(name: str, words: frozenset[str]) -> bool:
    lowered = name.lower()
    return any(word in lowered for word in words)


def _without_common_words(words: list[str]) -> list[str]:
    """Values without the words that all of them have: "small airport" → "small"."""
    split = [word.split() for word in words]
    common = set.intersection(*map(set, split)) if split else set()
    bare = [" ".join(part for part in parts if part not in common) for parts in split]
    return bare if all(bare) else words


def _scale_keys(scale: Scale, words: Sequence[str]) -> NDArray[np.float64]:
    return np.array([scale.places.get(word, np.nan) for word in words], dtype=np.float64)


def _pattern_keys(values: Sequence[str], pattern: re.Pattern[str]) -> NDArray[np.float64]:
    found = [pattern.match(value.strip()) for value in values]
    keys = [np.nan if m is None else _figure(m.group(1)) for m in found]
    # One word before the figure: "T1, T2, T3", not "Q1, R2, T3".
    heads = {
        re.sub(r"[\divxIVX\s_\-.:]+$", "", value).lower()
        for value, match in zip(values, found, strict=True)
        if match is not None
    }
    if pattern is _PREFIXED and len(heads) > 1:
        return np.full(len(values), np.nan)
    return np.array(keys, dtype=np.float64)


def _figure(text: str) -> float:
    return float(text) if text.isdigit() else float(_ROMAN.get(text.lower(), np.nan)) + 1.0


def _numbered_keys(values: Sequence[str]) -> NDArray[np.float64]:
    found = [_NUMBERED.match(value.strip()) for value in values]
    keys = np.array([np.nan if m is None else float(m.group(1)) for m in found])
    known = keys[~np.isnan(keys)]
    labels = {value.strip().lstrip("[(0123456789)] -–:=.") for value in values}
    # Every number names a level of its own (not "1 bed", "2 bed"), and few are left out between.
    dense = len(known) >= LEAST_LEVELS and len(np.unique(known)) == len(known) <= len(labels)
    # Without a sign between number and label it may be anything, such as "12 Main Street".
    signed = sum(_SIGNED.match(value.strip()) is not None for value in values)
    dense = dense and (len(values) <= _FEW_LABELS or signed >= FIT_SHARE * len(values))
    if dense and known.max() - known.min() < 2 * len(known) and known.min() <= _FIRST_NUMBER:
        return keys
    return np.full(len(values), np.nan)


def _grade_keys(values: Sequence[str]) -> NDArray[np.float64]:
    """A+ … F and A1 … G5; nothing unless several values have a sign or figure."""
    keys = np.full(len(values), np.nan)
    dressed = 0
    for v, value in enumerate(values):
        match = _GRADES.match(value) or _SUBGRADES.match(value)
        if match is None:
            continue
        mark = match.group(2)
        dressed += bool(mark)
        step = {"+": 1.0, "-": -1.0, "": 0.0}.get(mark)
        keys[v] = -10.0 * ord(match.group(1)) + (step if step is not None else -float(mark))
    figures = sum(value[-1:].isdigit() for value in values)
    enough = dressed >= 2 and (figures == 0 or (len({v[0] for v in values}) >= 3 and figures >= 8))
    return keys if enough else np.full(len(values), np.nan)


def _range_keys(values: Sequence[str]) -> NDArray[np.float64]:
    """Lower and upper end of ranges as one key; all NaN without a proper range among them."""
    keys = np.full(len(values), np.nan)
    ranges = exact = reversed_ = 0
    for v, value in enumerate(values):
        text = value.strip()
        if _POWER.match(text) is not None:  # 1e-7 is no range
            keys[v] = float(text)
            exact += 1
        elif (match := _EXACT.match(text)) is not None:
            keys[v] = _amount(match.group(1), match.group(2))
            exact += 1
        elif (match := _BETWEEN.match(text) or _INTERVAL.match(text)) is not None:
            upper = _amount(match.group(3), match.group(4))
            lower = _amount(match.group(1), match.group(2) or (match.group(4) if upper else None))
            reversed_ += lower > upper
            keys[v] = (lower + upper) / 2
            ranges += 1
        elif (match := _BELOW.match(text) or _ABOVE.match(text)) is not None:
            number, scale = match.group(1) or match.group(3), match.group(2) or match.group(4)
            beyond = 1e-6 * max(1.0, abs(_amount(number, scale)))
            sign = 1.0 if _ABOVE.match(text) else -1.0
            keys[v] = _amount(number, scale) + sign * beyond
            ranges += 1
    if not ranges or reversed_ > 0.1 * ranges or exact > MOST_PLAIN_NUMBERS:
        return np.full(len(values), np.nan)
    return keys


def _amount(number: str, scale: str | None) -> float:
    factor = {"k": 1e3, "m": 1e6}.get((scale or "").lower(), 1.0)
    return float(number.replace(",", "")) * factor
