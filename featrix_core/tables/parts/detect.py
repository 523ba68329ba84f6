"""Cheap checks whether texts look like a composite type (DATA-2), for whole columns at once.

The regular expressions are RE2's (through Arrow), whose time grows linearly with the text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from featrix_core.tables.parts.hosts import top_level
from featrix_core.tables.parts.places import STREET_PREFIXES, STREET_SUFFIXES
from featrix_core.tables.parts.spec import tidy
from featrix_core.tables.schema import ColumnType

# No counted repetitions of large classes: Arrow compiles a pattern anew in every call.
_LABEL = r"[\p{L}\p{N}_](?:[\p{L}\p{N}\p{M}_-]*[\p{L}\p{N}\p{M}])?"
_HOST = rf"(?:{_LABEL}\.)+(?P<top>\p{{L}}[\p{{L}}\p{{M}}]+|[Xx][Nn]--[A-Za-z0-9-]+)"
_LOCAL = r"[^\s@<>,;:()\[\]\\\"]+"
_DOMAIN = rf"^(?:\*\.)?{_HOST}\.?(?::\d{{1,5}})?$"
_EMAIL = rf"^(?:mailto:)?{_LOCAL}@{_HOST}$"
_EMAIL_NAMED = rf"^[^<>@]*<{_LOCAL}@{_HOST}>$"
_URL = (
    r"(?i)^(?:(?:https?|ftps?|sftp|ssh|git|s3|gs|wss?)://[^\s/?#][^\s]*|file://\S+"
    r"|mailto:[^\s@]+@[^\s@]+)$"
)
_URL_BARE = rf"^{_HOST}(?::\d{{1,5}})?[/?#]\S*$"
_URL_WWW = rf"^[Ww]{{3}}\.{_HOST}$"
_URL_PATH = r"^/[^\s/]\S*$"
_EXTENSION = r"(?:[ ,;]*(?:ext?\.?|extension|x|#)[ :.]*\d{1,6})?"
_PHONE_PLUS = rf"(?i)^(?:tel:)?(?:\+|00)[ ]?\d[\d ().\-/]{{5,22}}{_EXTENSION}$"
_PHONE_AREA = (
    rf"(?i)^(?:tel:)?(?:1[ .-]?)?\(0?\d{{2,5}}\)[ /.-]?\d{{2,4}}[\d .-]{{2,10}}{_EXTENSION}$"
)
_PHONE_THREE = (
    rf"(?i)^(?:1[ .-])?\d{{3}}(?:-\d{{3}}-|\.\d{{3}}\.| \d{{3}} |[ /]\d{{3}}-)\d{{4}}{_EXTENSION}$"
)
_PHONE_ZERO = rf"(?i)^0\d{{1,4}}[ /-][\d -]{{5,11}}{_EXTENSION}$"
_PHONE_LOOSE = rf"(?i)^\(?\+?\d[\d ().\-/]{{5,22}}\d{_EXTENSION}$"
_NOT_PHONE = (
    r"^(?:\d{4}[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ]\d{4}"  # dates
    r"|(?:1[5-9]|20)\d\d ?[-/] ?(?:1[5-9]|20)\d\d"  # spans of years
    r"|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"  # network addresses
    r"|\d{3}-\d{2}-\d{4}|\d{5}-\d{4}|\d+\.\d*"  # social security, ZIP+4, decimal numbers
    r"|\d{1,3}(?: \d{3})+|97[89][- ][\d -]+)$"  # thousands, book numbers
)
_AFTER_NAME = "|".join(sorted(STREET_SUFFIXES))
_BEFORE_NAME = "|".join(sorted(STREET_PREFIXES))
_ADDRESS = (
    # 12 Main St …
    rf"(?i)^(?:[^,\n]{{0,60}}[,\n]\s*)?(?:#\s*)?\d{{1,6}}[a-z]?(?:[-/ ]\d{{1,4}})?,?\s+"
    rf"(?:[^\s,]{{1,40}}\s+){{1,4}}(?:{_AFTER_NAME})\b"
    # 12 rue de la Paix …, Calle Mayor 5 …
    rf"|^\d{{1,5}}\s?(?:bis|ter|[a-z])?,?\s+(?:{_BEFORE_NAME})\b\s+\S"
    rf"|^(?:{_BEFORE_NAME})\b\.?\s+[^,\d]{{2,60}},?\s+(?:n[º°o]\.?\s*)?\d{{1,5}}\b"
    # Hauptstraße 12 …
    r"|^[^,\d\n]{2,60}(?:straße|strasse|str\.|weg|platz|allee|gasse|straat|laan|plein|gatan"
    r"|vägen|gade|katu)\s+\d{1,4}\s?[a-z]?\b"
    r"|\bp\.?\s*o\.?\s*box\s*\d|\bpostfach\s+\d"
)
_ADDRESS_POST = (
    r"(?i)^[^,\n]*\d[^,\n]*[,\n].*(?:\b[a-z]{2}\.?,?\s+\d{5}(?:-\d{4})?\b"  # …, NY 10001
    r"|\b[a-z]{1,2}\d[a-z\d]?\s*\d[a-z]{2}\b|\b[a-z]\d[a-z]\s?\d[a-z]\d\b"  # Britain, Canada
    r"|[,\n]\s*(?:[a-z]{1,2}-)?\d{4,5}\s+\p{L}{3,})"  # …, 10115 Berlin
)


def fits(type: ColumnType, texts: Sequence[str], lenient: bool = False) -> NDArray[np.bool_]:
    """Which of V texts look like `type` (email, domain, url, phone or address), `[V]`.

    Strict by default: the text alone must be evidence. `lenient` also takes forms that need the
    column's name as further evidence: phone numbers without any separator (7 to 15 digits), e-mail
    with a display name, URLs that are a bare host or only a path, addresses that have any number
    and a word. Plain hosts with "www." fit both domain and url. ValueError for other types.
    """
    array = pa.array([tidy(text) for text in texts], type=pa.string())
    if type == ColumnType.DOMAIN:
        return _with_top(array, _DOMAIN) & _lengths(array, 4, 254)
    if type == ColumnType.EMAIL:
        found = _with_top(array, _EMAIL, any_top=lenient)
        if lenient:
            found |= _with_top(array, _EMAIL_NAMED, any_top=True)
        return found & _lengths(array, 6, 320)
    if type == ColumnType.URL:
        found = _matches(array, _URL) | _with_top(array, _URL_BARE) | _with_top(array, _URL_WWW)
        return found | _with_top(array, _DOMAIN) | _matches(array, _URL_PATH) if lenient else found
    if type == ColumnType.PHONE:
        return _phones(array, lenient)
    if type == ColumnType.ADDRESS:
        found = _matches(array, _ADDRESS) | _matches(array, _ADDRESS_POST)
        if lenient:
            found |= _matches(array, r"\d") & _matches(array, r"\p{L}\p{M}*\p{L}")
        return found & _lengths(array, 5, 300)
    raise ValueError(f"{type} is not a composite type")


def _phones(array: pa.StringArray, lenient: bool) -> NDArray[np.bool_]:
    patterns = (_PHONE_PLUS, _PHONE_AREA, _PHONE_THREE, _PHONE_ZERO)
    found = np.zeros(len(array), dtype=np.bool_)
    for pattern in (*patterns, _PHONE_LOOSE) if lenient else patterns:
        found |= _matches(array, pattern)
    # An extension is at most six digits more than the fifteen that a number may have.
    digits = pc.replace_substring_regex(array, pattern=r"\D", replacement="")
    return found & ~_matches(array, _NOT_PHONE) & _lengths(digits, 7, 21)


def _matches(array: pa.StringArray, pattern: str) -> NDArray[np.bool_]:
    found = pc.match_substring_regex(array, pattern=pattern).to_numpy(zero_copy_only=False)
    return np.asarray(found, dtype=np.bool_)


def _lengths(array: pa.StringArray, least: int, most: int) -> NDArray[np.bool_]:
    lengths = pc.utf8_length(array).to_numpy(zero_copy_only=False)
    return np.asarray((lengths >= least) & (lengths <= most), dtype=np.bool_)


def _with_top(array: pa.StringArray, pattern: str, any_top: bool = False) -> NDArray[np.bool_]:
    """Texts that match and whose group `top` is a top-level domain that exists."""
    tops = pc.struct_field(pc.extract_regex(array, pattern=pattern), "top").to_pylist()
    found = (top is not None and (any_top or top_level(top)) for top in tops)
    return np.fromiter(found, dtype=np.bool_, count=len(array))
