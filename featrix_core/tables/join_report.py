"""What the validation of joins says, as data (JOIN-2)."""

from __future__ import annotations

from typing import Literal

from featrix_core.tables.join_spec import Cardinality, KeyCast
from featrix_core.tables.schema import Frozen

Level = Literal["info", "warning", "error"]
Verdict = Literal["ok", "warning", "error"]


class JoinFinding(Frozen):
    """One thing that was seen: a code, a sentence with figures, and what to do about it.

    Codes: key_type_mismatch, null_keys, orphan_rows, coverage, duplicate_keys, cardinality,
    row_explosion, class_balance, time_leak, time_unreadable.
    """

    code: str
    level: Level
    message: str
    figure: float | None = None
    examples: tuple[str, ...] = ()
    remedy: str = ""


class KeyTypes(Frozen):
    """A pair of key columns, their stored types, and the cast that makes them comparable."""

    left: str
    right: str
    left_type: str
    right_type: str
    match: bool
    mending_cast: KeyCast | None = None


class JoinCheck(Frozen):
    """What one join does.

    `coverage` is the share of left rows that find a right row; `orphan_rows` have a key that finds
    none (rows without a key are `null_key_rows`). `rows_after` is the number of rows of a left
    join, `row_factor` that number over the left rows. Duplicates count the rows beyond the first of
    their key. `late_pairs` counts joined rows that are later than their row's reference time.
    `class_balance_after` is over the rows of an inner join (empty where the base table is not the
    left side or no target is named).
    """

    name: str
    left: str
    right: str
    keys: tuple[KeyTypes, ...]
    declared: Cardinality
    measured: Cardinality
    left_rows: int
    right_rows: int
    matched_rows: int
    coverage: float
    coverage_after_cast: float | None
    orphan_rows: int
    null_key_rows: int
    null_key_rows_right: int
    duplicate_rows_left: int
    duplicate_rows_right: int
    unused_right_rows: int
    rows_after: int
    row_factor: float
    late_pairs: int | None
    class_balance_before: dict[str, float]
    class_balance_after: dict[str, float]
    findings: tuple[JoinFinding, ...]
    verdict: Verdict


class JoinReport(Frozen):
    """The verdict on all joins of a specification: the worst of its joins'."""

    schema_version: int = 1
    base: str
    base_rows: int
    target: str | None
    joins: tuple[JoinCheck, ...]
    verdict: Verdict

    @property
    def findings(self) -> tuple[JoinFinding, ...]:
        """Findings of all joins, in order."""
        return tuple(finding for join in self.joins for finding in join.findings)


def worst(levels: list[Level]) -> Verdict:
    """The verdict that a list of findings' levels adds up to."""
    return "error" if "error" in levels else "warning" if "warning" in levels else "ok"
