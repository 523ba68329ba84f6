"""From cells to values, in one place for callers (DATA-3, DATA-4).

`texts` finds distinct canonical texts and missing markers, `numbers` and `timestamps` parse them,
and `fit` reads a whole column by its type.
"""

from __future__ import annotations

from featrix_core.tables.fit import typed_column, typed_from_texts
from featrix_core.tables.numbers import parse_numbers
from featrix_core.tables.texts import (
    MISSING_MARKERS,
    NUMERIC_MISSING_MARKERS,
    DistinctTexts,
    distinct_texts,
)
from featrix_core.tables.timestamps import (
    ISO_FORMAT,
    LAST_CENTURY,
    TIMESTAMP_FORMATS,
    best_timestamp_format,
    parse_timestamps,
)

__all__ = [
    "ISO_FORMAT",
    "LAST_CENTURY",
    "MISSING_MARKERS",
    "NUMERIC_MISSING_MARKERS",
    "TIMESTAMP_FORMATS",
    "DistinctTexts",
    "best_timestamp_format",
    "distinct_texts",
    "parse_numbers",
    "parse_timestamps",
    "typed_column",
    "typed_from_texts",
]
