"""How large a table may be, and what column names must be: there, and distinct."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from featrix_core.errors import FeatrixUserError

MAX_COLUMNS = 2_000
"""Every column is a token, and the work of judging one is the same for short tables as for long ones."""
MAX_ROWS = 1_000_000
"""Rows that a data set for training holds at most, unless its settings say otherwise."""


def check_names(names: Sequence[str], where: str) -> None:
    """Refuse names that a table cannot have.

    Raises:
        FeatrixUserError: there are none or too many, one is blank, or one occurs twice.
    """
    if not names:
        raise FeatrixUserError(f"{where} has no columns", remedy="Give a table with columns")
    if len(names) > MAX_COLUMNS:
        raise FeatrixUserError(
            f"{where} has {len(names)} columns; at most {MAX_COLUMNS:,} can be read",
            remedy="Select the columns that matter",
        )
    empty = [str(position) for position, name in enumerate(names, start=1) if not name.strip()]
    if empty:
        raise FeatrixUserError(
            f"{where} has columns without a name, at position {', '.join(empty[:20])}",
            remedy="Name every column in the header",
        )
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise FeatrixUserError(
            f"{where} has duplicate column names: {', '.join(map(repr, repeated[:20]))}",
            column=repeated[0],
            remedy="Rename the columns so that every name occurs once",
        )
