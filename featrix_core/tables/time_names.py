"""Does a column's name say that its plain numbers are moments? (DATA-2)

A number of seconds since 1970 or of days since 1900 looks like any other number, so the name has to be
clear: `created_at` and `order date` are, `start_price`, `days_since` and `time_on_site_ms` are not. In
doubt the numbers stay numbers.
"""

from __future__ import annotations

import re

_NAME_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+")
_DATE_TEXT = """
    date datetime timestamp dob birthday birthdate datum zeitpunkt zeitstempel geburtstag fecha
"""
_DATES = frozenset(_DATE_TEXT.split())
_DATE_ENDINGS = ("date", "datetime", "timestamp", "datum")
_NO_DATES = frozenset(["update", "candidate", "mandate", "validate", "consolidate", "accommodate"])
# Counters from 1970, never days.
_EPOCHS = frozenset(["epoch", "unix", "ts"])
_CLOCKS = frozenset(["time", "zeit"])
_DONE_TEXT = """
    created updated modified deleted opened closed started ended finished completed posted published
    expires expired logged login seen registered shipped delivered received sent signed joined
    cancelled canceled recorded edited accessed visited paid ordered erstellt update
"""
_DONE = frozenset(_DONE_TEXT.split())
_ALONE = frozenset(["created", "updated", "modified"])
_BESIDE = frozenset(["at", "on", "last", "first", "utc", "gmt", "local"])
_UNITS = frozenset(["s", "sec", "secs", "seconds", "ms", "millis", "milliseconds", "us", "micros"])
_QUANTITY_TEXT = """
    price prices rate rates fee cost value amount total sum sales revenue salary wage budget balance
    count counts cnt number num nr no qty quantity anzahl menge preis wert betrag avg average mean
    median max maximum std diff difference delta change lag delay gap interval duration dauer length
    elapsed spent wait waiting response travel run running lap play processing session cpu idle
    remaining left taken required worked age years months weeks days day hours hour hrs minutes mins
    mileage km miles distance metres meters kg size bytes hits bats views visits clicks user users
    score points index rank id ids key sk code by since until ago for to per in
    percent pct ratio share offset
"""
_QUANTITY = frozenset(_QUANTITY_TEXT.split()) | _UNITS


def speaks_of_days(name: str) -> bool:
    """Whether the name calls the column a date, such as `order date`, `created_at` or `dob`."""
    words = _words(name)
    if not words or _QUANTITY.intersection(words):
        return False
    return any(_is_date(word) for word in words) or _is_event(words)


def speaks_of_seconds(name: str) -> bool:
    """Whether the name calls the column a date, a moment or a counter, such as `start_time` or `ts`."""
    words = _words(name)
    counter = bool(_EPOCHS.intersection(words)) or "timestamp" in words
    if counter and not (_QUANTITY - _UNITS).intersection(words):
        return True
    if _QUANTITY.intersection(words):
        return False
    beside = _BESIDE | _DONE
    clock = any(
        word in _CLOCKS and all(other in beside for other in words[place + 1 :])
        for place, word in enumerate(words)
    )
    return clock or speaks_of_days(name)


def _words(name: str) -> list[str]:
    return [part.lower() for part in _NAME_PARTS.findall(name)]


def _is_date(word: str) -> bool:
    return word in _DATES or (word.endswith(_DATE_ENDINGS) and word not in _NO_DATES)


def _is_event(words: list[str]) -> bool:
    """`created`, `last_login`, `closed_on`, and whatever happened `_at`."""
    if len(words) > 1 and words[-1] == "at":
        return True
    done = [word for word in words if word in _DONE]
    rest = set(words) - _DONE
    if not done or not rest <= _BESIDE:
        return False
    return bool(rest) or (len(words) == 1 and words[0] in _ALONE)
