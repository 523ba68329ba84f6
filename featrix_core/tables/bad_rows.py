"""Rows that cannot be read: set aside with place, reason and text, never dropped silently (DATA-3)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featrix_core.errors import FeatrixUserError
from featrix_core.files import write_text
from featrix_core.tables.schema import Notice

LISTED_ROWS = 10_000
_SHOWN_CHARS = 500
_SHOWN_BYTES = 4 * _SHOWN_CHARS


@dataclass(frozen=True)
class BadRow:
    """One row that was set aside; `row` and `line` count from 1 (JSON arrays have no lines: 0)."""

    row: int
    line: int
    reason: str
    text: str

    @property
    def place(self) -> str:
        """Where it stands, for a message."""
        return f"line {self.line}" if self.line else f"row {self.row}"


class BadRows:
    """Collects the rows of one file that cannot be read; counts all, lists the first 10,000."""

    def __init__(self) -> None:
        self.count = 0
        self.listed: list[BadRow] = []
        self._rows: list[NDArray[np.int64]] = []

    @property
    def room(self) -> int:
        """How many more rows are listed; further ones only count."""
        return LISTED_ROWS - len(self.listed)

    def add(self, row: int, line: int, reason: str, raw: bytes) -> None:
        """Set one row aside."""
        self.count_rows(np.array([row], np.int64))
        if len(self.listed) < LISTED_ROWS:
            text = raw[:_SHOWN_BYTES].decode("utf-8", "backslashreplace").rstrip("\r\n")
            cut = len(text) > _SHOWN_CHARS or len(raw) > _SHOWN_BYTES
            self.listed.append(
                BadRow(row, line, reason, text[:_SHOWN_CHARS] + ("…" if cut else ""))
            )

    def count_rows(self, rows: NDArray[np.int64]) -> None:
        """Set rows (numbers from 1) aside that are not listed."""
        self.count += len(rows)
        self._rows.append(rows)

    @property
    def positions_B(self) -> NDArray[np.int64]:
        """Positions of all of them among the records of the file, from 0, ascending."""
        return np.sort(np.concatenate([np.zeros(0, np.int64), *self._rows])) - 1

    def reasons(self) -> list[str]:
        """A sentence for each of `positions_B`."""
        told = {row.row: f"{row.place} cannot be read: {row.reason}." for row in self.listed}
        return [
            sentence[:1].upper() + sentence[1:]
            for row in (self.positions_B + 1).tolist()
            for sentence in (told.get(row) or f"row {row} cannot be read.",)
        ]

    def write(self, path: Path) -> None:
        """One JSON object per listed row; nothing where there is none."""
        if self.listed:
            lines = [json.dumps(asdict(row), ensure_ascii=False) for row in self.listed]
            write_text(path, "\n".join(lines) + "\n")

    def notices(
        self, where: str, good: int, written: bool, is_json: bool = False
    ) -> tuple[Notice, ...]:
        """What is said about them; `is_json`: what to check in the file is another matter then.

        Raises:
            FeatrixUserError: more than half of the rows are bad; names the first.
        """
        if not self.count:
            return ()
        first, total = self.listed[0], self.count + good
        if self.count * 2 > total:
            raise FeatrixUserError(
                f"{where}: {self.count} of {total} rows cannot be read; "
                f"the first is {first.place}: {first.reason}",
                value=first.text,
                remedy="Let every line, or every element of one array, be a JSON object in UTF-8"
                if is_json
                else "Check delimiter, quoting and encoding of the file",
            )
        return (
            Notice(
                code="bad_rows",
                figure=float(self.count),
                message=f"{self.count} of {total} rows cannot be read; "
                f"the first is {first.place}: {first.reason}",
                action="set aside in bad_rows.jsonl" if written else "left out",
            ),
        )
