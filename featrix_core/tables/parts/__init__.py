"""Cells made of parts (ENC-5): e-mail, domain, URL, phone and address.

`split_parts` cuts every text of a column into named pieces (texts), categories with a fixed
vocabulary and figures; `PART_SPECS` names them. One generic encoder reads them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

from featrix_core.tables.parts import addresses, emails, hosts, phones, urls
from featrix_core.tables.parts.detect import fits
from featrix_core.tables.parts.phones import DEFAULT_REGION, guess_phone_region
from featrix_core.tables.parts.spec import Parts, PartSpec, stack, tidy
from featrix_core.tables.schema import ColumnType

PART_SPECS: Mapping[ColumnType, PartSpec] = MappingProxyType(
    {
        ColumnType.EMAIL: emails.SPEC,
        ColumnType.DOMAIN: hosts.SPEC,
        ColumnType.URL: urls.SPEC,
        ColumnType.PHONE: phones.SPEC,
        ColumnType.ADDRESS: addresses.SPEC,
    }
)
"""The parts of every composite type."""

_SPLITTERS = {
    ColumnType.EMAIL: emails.split_email,
    ColumnType.DOMAIN: hosts.split_domain,
    ColumnType.URL: urls.split_url,
    ColumnType.ADDRESS: addresses.split_address_text,
}


def split_parts(type: ColumnType, texts: Sequence[str], region: str = DEFAULT_REGION) -> Parts:
    """Parts of V distinct texts of one composite column (ENC-5); see `Parts` for the shapes.

    Every text's parts depend on that text, the type and `region` alone, so they are the same in
    training and in prediction. `region` (two letters) says how national phone numbers are written,
    as `guess_phone_region` found it for the column; other types do not read it. Texts that are not
    of the type are marked in `fits_V`; nothing is looked up in a network. Raises ValueError if
    `type` is not composite or `region` is unknown.
    """
    if type not in PART_SPECS:
        raise ValueError(f"{type} is not a composite type")
    if type == ColumnType.PHONE:
        if region not in phones.REGIONS:
            raise ValueError(f"{region!r} is no known region of phone numbers")
        split = partial(phones.split_phone, region=region)
    else:
        split = partial(_SPLITTERS[type])
    return stack(PART_SPECS[type], [split(tidy(text)) for text in texts])


__all__ = [
    "DEFAULT_REGION",
    "PART_SPECS",
    "PartSpec",
    "Parts",
    "fits",
    "guess_phone_region",
    "split_parts",
]
