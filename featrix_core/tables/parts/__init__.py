"""Cells made of parts (ENC-5): e-mail, domain, URL, phone and address."""

from featrix_core.tables.parts.detect import fits
from featrix_core.tables.parts.spec import Parts, PartSpec

__all__ = ["PartSpec", "Parts", "fits"]
