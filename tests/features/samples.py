"""Suggestions that several tests of features begin with."""

from __future__ import annotations

from typing import Any

RATIO: dict[str, Any] = {
    "kind": "ratio",
    "name": "rate",
    "numerator": "credit_amount",
    "denominator": "duration",
}
KINDS = [
    "ratio",
    "difference",
    "product",
    "sum",
    "log",
    "bin",
    "flag",
    "date_part",
    "interaction",
    "aggregate",
]
