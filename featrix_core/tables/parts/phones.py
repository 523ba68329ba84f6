"""Parts of telephone numbers (ENC-5), by the numbering plans that phonenumbers ships."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from featrix_core.tables.parts.spec import (
    MAX_PIECE,
    PartSpec,
    Row,
    digit_figures,
    listed,
    scaled,
    signed,
)

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

DEFAULT_REGION = "US"
REGIONS = listed(
    "US GB DE FR IT ES CA AU IN BR MX NL BE CH AT IE PT PL CZ SE NO DK FI GR HU RO RU UA TR IL AE "
    "SA ZA NG EG KE CN HK TW JP KR SG MY TH PH ID VN NZ AR CL CO PE"
)
"""Regions whose way of writing national numbers is tried, most frequent first."""
COUNTRY_CODES = listed(
    "1 44 49 33 39 34 61 91 55 52 31 32 41 43 353 351 48 420 46 47 45 358 30 36 40 7 380 90 972 971 "
    "966 27 234 20 254 86 852 886 81 82 65 60 66 63 62 84 64 54 56 57 51"
)
# The order is that of phonenumbers.PhoneNumberType, which starts at 0; named here so that this
# module loads without that library.
KINDS = listed(
    "fixed mobile fixed_or_mobile toll_free premium shared_cost voip personal pager company voicemail"
)

SPEC = PartSpec(
    pieces=("area",),
    categories=(("country_code", COUNTRY_CODES), ("kind", KINDS)),
    figures=(
        "length",
        "valid",
        "international",
        "extension",
        *(f"area_{k}" for k in (1, 2, 3)),
        *(f"next_{k}" for k in (1, 2, 3)),
    ),
)

_MAX_PHONE = 60
_SAMPLE = 200
# "tel.", "ext.", "(mobile)" beside the digits are read over.
_MAX_LETTERS = 12
_VANITY = re.compile(r"(?:\+?1[ .-]?)?\(?8(?:00|33|44|55|66|77|88)\)?[ .-]?[A-Z\d][A-Z\d -]{6,10}")
_GROUPS = re.compile(r"\d+")
_INTERNATIONAL = re.compile(r"\s*(?:tel:)?\s*[(]?\s*(?:[+＋]|00[1-9])", re.I)
_NORTH_AMERICAN = re.compile(r"(?:1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?!\d)")


def _parse(text: str, region: str) -> PhoneNumber | None:
    import phonenumbers

    if not text or len(text) > _MAX_PHONE:
        return None
    n_digits = sum(map(str.isdigit, text))
    n_letters = sum(map(str.isalpha, text))
    if (n_digits < 6 or n_letters > _MAX_LETTERS) and not _VANITY.fullmatch(text):
        return None
    if text.startswith("00") and _INTERNATIONAL.match(text):
        text = f"+{text[2:]}"
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def split_phone(text: str, region: str = DEFAULT_REGION) -> Row | None:
    """Parts of one number; national ones are read as `region` writes them. None if it is none."""
    number = _parse(text, region)
    if number is None:
        return None
    import phonenumbers
    from phonenumbers import geocoder

    if not phonenumbers.is_possible_number(number):
        return None  # too few or too many digits for its country
    valid = phonenumbers.is_valid_number(number)
    digits = phonenumbers.national_significant_number(number)
    n_area = phonenumbers.length_of_national_destination_code(number) if valid else 0
    if number.country_code == 1 and len(digits) == 10:
        n_area = 3  # also where the plan knows no such area, as in 555-123-4567
    area, rest = digits[:n_area], digits[n_area:]
    place = str(geocoder.description_for_valid_number(number, "en")) if valid else ""
    if not place and area:
        place = f"area code {area}"
    type_number = int(phonenumbers.number_type(number)) if valid else -1
    kind = KINDS[type_number] if 0 <= type_number < len(KINDS) else ""
    return Row(
        pieces=(place[:MAX_PIECE],),
        categories=(str(number.country_code), kind),
        figures=(
            scaled(len(digits), 15),
            signed(valid),
            signed(_INTERNATIONAL.match(text) is not None),
            signed(bool(number.extension)),
            *digit_figures(area, 3),
            *digit_figures(rest, 3),
        ),
    )


def guess_phone_region(texts: Sequence[str]) -> str:
    """The region (ISO 3166, two letters) whose numbering plan fits most of a column's numbers.

    At most 200 texts, evenly taken, are looked at. Only numbers in national form tell; among equal
    regions the one that the international numbers name most often wins, then the more frequent
    one. "US" if nothing tells. The answer belongs into the column's schema: numbers that come later
    must be read in the same way.
    """
    import phonenumbers

    sample = [text.strip() for text in texts[:: max(1, len(texts) // _SAMPLE)]][:_SAMPLE]
    national = [text for text in sample if not _INTERNATIONAL.match(text)]
    named: dict[str, int] = {}
    for text in sample:
        if _INTERNATIONAL.match(text) and (number := _parse(text, DEFAULT_REGION)) is not None:
            home = phonenumbers.region_code_for_number(number) or ""
            named[home] = named.get(home, 0) + 1

    def score(region: str) -> tuple[float, int]:
        return sum(_written_in(text, region) for text in national), named.get(region, 0)

    best = max(REGIONS, key=lambda region: (*score(region), -REGIONS.index(region)))
    return best if any(score(best)) else DEFAULT_REGION


def _written_in(text: str, region: str) -> float:
    """How well a national number suits a region's plan: 0 not, 1 in full, between for its form."""
    import phonenumbers

    if region == "US" and _NORTH_AMERICAN.match(text):
        return 1.0  # invented numbers (555-123-4567) are in no plan
    number = _parse(text, region)
    if number is None or not phonenumbers.is_valid_number(number):
        return 0.0
    form = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
    written, usual = _GROUPS.findall(text), _GROUPS.findall(form)
    if written == usual:
        return 1.0
    if "".join(written) == "".join(usual):
        return 0.75
    # Mobile numbers are often written without the prefix that long-distance calls need.
    mobile = phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.MOBILE
    return 0.75 if mobile else 0.5
