"""Parts of postal addresses (ENC-5), by rules: no library of addresses is shipped.

Written for addresses with Latin letters, best for the United States, Canada, Britain and Germany's
neighbours; others give at least street, rest and figures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from featrix_core.tables.parts.places import (
    COUNTRIES,
    COUNTRY_OF,
    PROVINCES,
    REGION_OF,
    REGIONS,
    STRASSE_ENDINGS,
    STREET_PREFIXES,
    STREET_SUFFIXES,
    STREET_TYPE_OF,
    STREET_TYPES,
    US_STATES,
)
from featrix_core.tables.parts.spec import MAX_PIECE, YES_NO, PartSpec, Row, digit_figures, scaled
from featrix_core.tables.parts.spec import yes_no as flag_name

SPEC = PartSpec(
    pieces=("street", "city", "rest"),
    categories=(
        ("region", REGIONS),
        ("country", COUNTRIES),
        ("street_type", STREET_TYPES),
        ("unit", YES_NO),
        ("po_box", YES_NO),
    ),
    figures=(
        "house_number",
        "postcode_1",
        "postcode_2",
        "postcode_3",
        "n_parts",
        "length",
    ),
)

_MAX_ADDRESS = 400
_BREAKS = re.compile(r"[,;\n\r|]+")
_BLANKS = re.compile(r"\s+")
_PO_BOX = re.compile(
    r"\b(?:p\.?\s?o\.?\s?box|post office box|postfach|apartado|bo[iî]te postale|casilla"
    r"|bp|gpo box|locked bag)\b\s*#?\s*(\w{1,10})?",
    re.I,
)
_UNIT = re.compile(
    r"(?:\b(?:apartment|apt|unit|suite|ste|room|rm|floor|fl|bldg|building|flat|lot|dept|trlr|spc)"
    r"\b\.?\s*#?\s*[a-z]?\d{0,5}[a-z]?\b|#\s*\w{1,6}\b|\b\d{1,3}(?:st|nd|rd|th)\s+(?:floor|fl)\b)",
    re.I,
)
_UNIT_NEEDS = re.compile(r"[#\d]|\b[a-z]$|floor|building|bldg", re.I)
_POSTCODES = (
    ("ca", re.compile(r"\b([A-Z]\d[A-Z])[ -]?\d[A-Z]\d\b", re.I)),
    ("gb", re.compile(r"\b([A-Z]{1,2}\d[A-Z\d]?)\s?\d[A-Z]{2}\b", re.I)),
    ("us", re.compile(r"\b(\d{5})-\d{4}\b")),
    ("jp", re.compile(r"〒\s?(\d{3})-?\d{4}|\b(\d{3})-\d{4}\b")),
    ("br", re.compile(r"\b(\d{5})-\d{3}\b")),
    ("nl", re.compile(r"\b(\d{4})\s?[A-Z]{2}\b(?=\s+\w|$)")),
)
_POSTCODE_FIRST = re.compile(r"^(?:([A-Z]{1,2})-)?(\d{4,6}|\d{3}\s\d{2})(?=\s+[^\W\d])", re.I)
_POSTCODE_LAST = re.compile(r"(?:^|(?<=\s))(\d{4,6})$")
_COUNTRY_PREFIX = {
    "D": "de", "DE": "de", "A": "at", "AT": "at", "CH": "ch", "F": "fr", "FR": "fr", "I": "it",
    "IT": "it", "E": "es", "ES": "es", "NL": "nl", "B": "be", "BE": "be", "PL": "pl", "S": "se",
    "SE": "se", "DK": "dk", "FI": "fi", "NO": "no", "PT": "pt", "CZ": "cz", "HU": "hu",
}  # fmt: skip
_HOUSE_FIRST = re.compile(
    r"^(?:no\.?\s*|#\s*)?(\d{1,6})(?!\d|(?:st|nd|rd|th)\b)"
    r"(?:[a-z]\b|\s[a-d]\b|[-/]\d{1,5}(?:[-/]\d{1,5})?|\s?½| 1/2)?",
    re.I,
)
_HOUSE_LAST = re.compile(r"(?:n[º°o]\.?\s*)?\b(\d{1,5})\s?[a-z]?(?:[-/]\s?\d{1,5}[a-z]?)?$", re.I)
_WORD = re.compile(r"[^\W\d_]+/?")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass
class _Address:
    """What has been recognised so far; `parts` is what is left to read."""

    parts: list[str]
    country: str = ""
    region: str = ""
    postcode: str = ""
    street: str = ""
    city: str = ""
    house: str = ""
    kind: str = ""
    rest: list[str] = field(default_factory=list)


def split_address_text(text: str) -> Row | None:
    """Parts of one address; None without any letter, or with neither a number nor a street."""
    text = _BLANKS.sub(" ", _BREAKS.sub(",", text[:_MAX_ADDRESS]))
    if not _LETTER.search(text):
        return None
    po_box = _PO_BOX.search(text)
    unit = next((m for m in _UNIT.finditer(text) if _UNIT_NEEDS.search(m[0])), None)
    plain = text
    if po_box is not None:
        plain = plain.replace(po_box[0], " ", 1)
    if unit is not None:
        plain = plain.replace(unit[0], " ", 1)
    parts = [part for part in (part.strip(" .-") for part in plain.split(",")) if part]
    n_parts = len(parts)
    found = _Address(parts)
    _take_country(found)
    _take_postcode(found, alone=n_parts == 1 and po_box is None)
    _take_region(found, several=n_parts > 1)
    _take_street_and_city(found)
    anything = found.house or found.kind or found.postcode or po_box or unit or n_parts > 1
    if not anything:
        return None
    if not found.country and found.region:
        found.country = "ca" if found.region in PROVINCES.values() else "us"
    return Row(
        pieces=(
            found.street[:MAX_PIECE],
            found.city[:MAX_PIECE],
            " ".join(found.rest)[:MAX_PIECE],
        ),
        categories=(
            found.region,
            found.country,
            found.kind,
            flag_name(unit is not None),
            flag_name(po_box is not None),
        ),
        figures=(
            scaled(int(found.house), 100_000) if found.house else 0.0,
            *digit_figures("".join(d for d in found.postcode if d in "0123456789"), 3),
            scaled(n_parts, 8),
            scaled(len(text), 200),
        ),
    )


def _plain(text: str) -> str:
    return _BLANKS.sub(" ", text.replace(".", " ")).strip().lower()


def _take_country(found: _Address) -> None:
    """A country's name as the last part, or "USA" at its end."""
    if len(found.parts) < 2:
        return
    last = _plain(found.parts[-1])
    code = COUNTRY_OF.get(last)
    if code is not None:
        found.country = code
        found.parts.pop()
    elif last.endswith((" usa", " canada", " uk")):
        head, _, name = found.parts[-1].rpartition(" ")
        found.country = COUNTRY_OF.get(_plain(name), "")
        found.parts[-1] = head


def _take_postcode(found: _Address, alone: bool) -> None:
    """A postcode in the last parts. `alone`: the address is one part, so it must stand at its end."""
    for k in range(len(found.parts) - 1, max(-1, len(found.parts) - 4), -1):
        part = found.parts[k]
        for country, pattern in _POSTCODES:
            match = pattern.search(part)
            if match is None or (match.start() == 0 and k == 0 and len(part) > len(match[0])):
                continue
            found.postcode = match[1] or (match[2] if match.lastindex == 2 else "")
            found.country = found.country or country
            _cut(found, k, match)
            return
        first = _POSTCODE_FIRST.match(part)
        if k == 0 and not alone:
            # The street's part: a number in it is the house's, but for "10115 Berlin, Elmweg 3".
            if first is not None and (first[1] or _town_first(found.parts, first[2])):
                found.postcode = first[2]
                found.country = found.country or _COUNTRY_PREFIX.get((first[1] or "").upper(), "")
                found.city = part[first.end() :].strip()
                found.parts.pop(0)
            return
        first = None if k == 0 else first
        if first is not None and not _street_kind(part):
            found.postcode = first[2]
            found.country = found.country or _COUNTRY_PREFIX.get((first[1] or "").upper(), "")
            _cut(found, k, first)
            return
        last = _POSTCODE_LAST.search(part)
        if last is not None and (k > 0 or _ends_in_region(part[: last.start()])):
            found.postcode = last[1]
            _cut(found, k, last)
            return


def _cut(found: _Address, k: int, match: re.Match[str]) -> None:
    part = found.parts[k]
    found.parts[k] = f"{part[: match.start()].strip()} {part[match.end() :].strip()}".strip(" .-")
    if not found.parts[k]:
        found.parts.pop(k)


def _town_first(parts: list[str], digits: str) -> bool:
    """Whether a first part with leading digits is the town: the next one has the house number."""
    return len(digits) == 5 and not _street_kind(parts[0]) and bool(_HOUSE_LAST.search(parts[1]))


def _ends_in_region(part: str) -> bool:
    return part.strip(" .").rpartition(" ")[2].lower() in REGION_OF


def _take_region(found: _Address, several: bool) -> None:
    """A state's or province's letters or name at the end of the last part."""
    if not found.parts or found.country not in ("", "us", "ca"):
        return
    if not several and not found.postcode:
        return  # "12 Oak Street NE" is a direction
    if len(found.parts) == 1 and several and not found.postcode and found.country == "":
        return
    tokens = found.parts[-1].replace(".", "").split(" ")
    for n in range(min(4, len(tokens)), 0, -1):
        name = " ".join(tokens[-n:])
        code = REGION_OF.get(name.lower())
        # Two small letters are rather a word ("in", "de", "la") unless a postcode follows.
        if code is None or (len(name) == 2 and not name.isupper() and not found.postcode):
            continue
        if found.country and (found.country == "us") != (code in US_STATES.values()):
            continue
        whole = n == len(tokens)
        if whole and len(found.parts) == 1:
            return
        if whole and name.lower() in US_STATES and not found.postcode and len(found.parts) == 2:
            return  # "5 Broadway, New York": the city
        found.region = code
        found.parts[-1] = " ".join(tokens[:-n])
        if whole:
            found.parts.pop()
        return


def _street_kind(part: str) -> str:
    """Kind of street that a part names, "" if none."""
    names = [word.lower() for word in _WORD.findall(part)]
    if not names:
        return ""
    if names[0] in STREET_PREFIXES and len(names) > 1:
        return STREET_TYPE_OF[names[0]]
    for name in reversed(names[1:] if not part[0].isdigit() else names):
        if name in STREET_SUFFIXES:
            return STREET_TYPE_OF[name]
    for name in names:
        if name in STREET_PREFIXES:
            return STREET_TYPE_OF[name]
        for kind, endings in STRASSE_ENDINGS.items():
            if len(name) > 5 and name.endswith(endings):
                return kind
    return ""


def _take_street_and_city(found: _Address) -> None:
    """The street is the first part with a house number and a kind of street, else with either."""
    parts = found.parts
    if not parts:
        return
    kinds = [_street_kind(part) for part in parts]
    numbered = [
        bool(_HOUSE_FIRST.match(part) or _HOUSE_LAST.search(part)) and bool(_LETTER.search(part))
        for part in parts
    ]
    order = sorted(
        range(len(parts)),
        key=lambda k: (not (kinds[k] and numbered[k]), not numbered[k], not kinds[k], k),
    )
    chosen = order[0]
    others = [part for k, part in enumerate(parts) if k != chosen]
    street, city = parts[chosen], ""
    if kinds[chosen] or numbered[chosen] or len(parts) > 1:
        found.kind = kinds[chosen]
    if len(parts) == 1 and not (kinds[0] or numbered[0]) and (found.region or found.postcode):
        found.city = found.city or street
        return
    if found.city:
        city = found.city
    elif others and chosen < len(parts) - 1:
        city = others.pop()
    elif found.postcode or found.region:
        street, city = _city_behind(street)
    first = _HOUSE_FIRST.match(street)
    last = None if first is not None else _HOUSE_LAST.search(street)
    house = first or last
    if house is not None:
        found.house = house[1]
        if first is not None:
            street = street[first.end() :]
        elif last is not None:
            street = street[: last.start()]
    found.street, found.city, found.rest = street.strip(" .-"), city, others


def _city_behind(part: str) -> tuple[str, str]:
    """Street and city of one part, divided behind the kind of street: 1 Elm St Springfield."""
    names = list(_WORD.finditer(part))
    for k, word in enumerate(names[1:], 1):
        if word[0].lower() in STREET_SUFFIXES and k + 1 < len(names):
            return part[: word.end()], part[word.end() :].strip(" .-")
    return part, ""
