"""One join measured: figures first, then the findings that they give (JOIN-2)."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from featrix_core.tables.join_match import Matcher, mending_casts
from featrix_core.tables.join_report import JoinCheck, JoinFinding, KeyTypes, worst
from featrix_core.tables.join_spec import Cardinality, Join, KeyCast

COVERAGE_LIMIT = 0.95  # JOIN-2: less warns
SHARE_SHIFT = 0.02  # a class share that moves by 2 points …
RARE_SHIFT, RARE_ROWS = 0.25, 30  # … or by a quarter of itself, counted on at least 30 rows
N_EXAMPLES = 5


def check_join(join: Join, match: Matcher, tables: dict[str, pa.Table]) -> JoinCheck:
    """Figures, findings and verdict of one join; `tables` are those that `match` was made from."""
    cast, cast_coverage = _mending(match, tables)
    key = match.key_list
    n_left = match.figure("SELECT count(*) FROM l")
    matched = match.figure("SELECT count(*) FROM m")
    null_left = match.figure("SELECT count(*) FROM l WHERE NOT ok")
    rows_after = n_left - matched + match.figure("SELECT sum(n) FROM m")
    duplicates_left = _duplicates(match, "l", key)
    duplicates_right = _duplicates(match, "r", match.right_key_list)
    before, after = _class_counts(match)
    check = JoinCheck(
        name=join.label,
        left=join.left,
        right=join.right,
        keys=_key_types(join, match, cast),
        declared=join.cardinality,
        measured=_cardinality(duplicates_left == 0, duplicates_right == 0),
        left_rows=n_left,
        right_rows=match.figure("SELECT count(*) FROM r"),
        matched_rows=matched,
        coverage=matched / n_left,
        coverage_after_cast=cast_coverage,
        orphan_rows=n_left - null_left - matched,
        null_key_rows=null_left,
        null_key_rows_right=match.figure("SELECT count(*) FROM r WHERE NOT ok"),
        duplicate_rows_left=duplicates_left,
        duplicate_rows_right=duplicates_right,
        unused_right_rows=_unused(match),
        rows_after=rows_after,
        row_factor=rows_after / n_left,
        late_pairs=_late_pairs(match),
        class_balance_before=_shares(before),
        class_balance_after=_shares(after),
        findings=(),
        verdict="ok",
    )
    findings = (
        *_type_findings(check, match),
        *_key_findings(check, match),
        *_row_findings(check, match),
        *_time_findings(check, match),
        *_balance_findings(check, before),
    )
    verdict = worst([finding.level for finding in findings])
    return check.model_copy(update={"findings": findings, "verdict": verdict})


# --- figures --------------------------------------------------------------------------------------


def _mending(match: Matcher, tables: dict[str, pa.Table]) -> tuple[KeyCast | None, float | None]:
    """The cast under which most rows match, and its coverage; None where no cast is needed."""
    if not match.mismatched:
        return None, None
    offers = [set(mending_casts(*match.families[i])) for i in match.mismatched]
    best: tuple[KeyCast | None, float | None] = None, None
    for cast in mending_casts(*match.families[match.mismatched[0]]):
        if all(cast in offer for offer in offers):
            trial = Matcher(match.spec, match.join, tables, cast)
            coverage = trial.figure("SELECT count(*) FROM m") / trial.figure(
                "SELECT count(*) FROM l"
            )
            if best[1] is None or coverage > best[1]:
                best = cast, coverage
    return best


def _duplicates(match: Matcher, side: str, key: str) -> int:
    return match.figure(
        f"SELECT sum(n - 1) FROM (SELECT count(*) AS n FROM {side} WHERE ok GROUP BY {key})"
    )


def _cardinality(left_unique: bool, right_unique: bool) -> Cardinality:
    if left_unique:
        return "1:1" if right_unique else "1:N"
    return "N:1" if right_unique else "N:M"


def _key_types(join: Join, match: Matcher, cast: KeyCast | None) -> tuple[KeyTypes, ...]:
    return tuple(
        KeyTypes(
            left=left,
            right=right,
            left_type=str(match.left_types[i]),
            right_type=str(match.right_types[i]),
            match=i not in match.mismatched,
            mending_cast=cast if i in match.mismatched else None,
        )
        for i, (left, right) in enumerate(zip(join.left_keys, join.right_keys, strict=True))
    )


def _unused(match: Matcher) -> int:
    """Right rows whose key no left row has."""
    if match.mismatched:
        return match.figure("SELECT count(*) FROM r")
    return match.figure(f"SELECT count(*) FROM r ANTI JOIN (FROM l WHERE ok) l ON {match.same}")


def _late_pairs(match: Matcher) -> int | None:
    if match.join.time is None or match.mismatched:
        return None
    if match.as_of:
        return 0
    return match.figure(f"SELECT count(*) FROM l JOIN r ON {match.same} WHERE r.t > l.t")


def _class_counts(match: Matcher) -> tuple[dict[str, int], dict[str, int]]:
    """Rows per class over the left table, and over the rows of an inner join."""
    if not match.has_target:
        return {}, {}
    known = "y IS NOT NULL GROUP BY y ORDER BY y"
    before = match.rows(f"SELECT y, count(*) FROM l WHERE {known}")
    after = match.rows(f"SELECT y, sum(n) FROM l JOIN m USING (row) WHERE {known}")
    return {str(y): int(n) for y, n in before}, {str(y): int(n) for y, n in after}


def _shares(counts: dict[str, int]) -> dict[str, float]:
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()}


# --- findings -------------------------------------------------------------------------------------


def _type_findings(check: JoinCheck, match: Matcher) -> Iterator[JoinFinding]:
    for pair in check.keys:
        if pair.match:
            continue
        mended = (
            f'Set "cast": "{pair.mending_cast}" in join {check.name!r}: '
            f"{check.coverage_after_cast or 0:.1%} of the rows match then"
            if pair.mending_cast
            else "Store both columns with the same type"
        )
        yield JoinFinding(
            code="key_type_mismatch",
            level="error",
            message=f"{check.left}.{pair.left} is {pair.left_type}, "
            f"{check.right}.{pair.right} is {pair.right_type}: no key can be equal",
            figure=check.coverage_after_cast,
            remedy=mended,
        )


def _key_findings(check: JoinCheck, match: Matcher) -> Iterator[JoinFinding]:
    names = {"l": _names(check, "left"), "r": _names(check, "right")}
    for side, table, n_rows, n_null in (
        ("l", check.left, check.left_rows, check.null_key_rows),
        ("r", check.right, check.right_rows, check.null_key_rows_right),
    ):
        if n_null:
            yield JoinFinding(
                code="null_keys",
                level="warning",
                message=f"{n_null} of {n_rows} rows of {table!r} ({n_null / n_rows:.1%}) "
                f"have no usable key {names[side]}",
                figure=n_null / n_rows,
                remedy="They match nothing; fill the key, or accept missing values",
            )
    for side, table, n_more, unique in (
        ("l", check.left, check.duplicate_rows_left, check.declared in ("1:1", "1:N")),
        ("r", check.right, check.duplicate_rows_right, check.declared in ("1:1", "N:1")),
    ):
        if n_more and unique:
            yield JoinFinding(
                code="duplicate_keys",
                level="error",
                message=f"{check.declared} needs distinct keys {names[side]} in {table!r}, "
                f"but {n_more} rows repeat one",
                figure=float(n_more),
                examples=_repeated_keys(match, side),
                remedy=f"Remove the duplicates, or declare {check.measured}",
            )
    if _breaks(check.declared, check.measured):
        yield JoinFinding(
            code="cardinality",
            level="error",
            message=f"{check.left!r} to {check.right!r} is declared {check.declared}, "
            f"but the keys are {check.measured}",
            figure=check.row_factor,
            remedy=f"Declare {check.measured}, or mend the keys",
        )


def _row_findings(check: JoinCheck, match: Matcher) -> Iterator[JoinFinding]:
    if check.coverage < COVERAGE_LIMIT:
        yield JoinFinding(
            code="coverage",
            level="warning" if check.matched_rows else "error",
            message=f"Only {check.matched_rows} of {check.left_rows} rows of {check.left!r} "
            f"({check.coverage:.1%}) find a row of {check.right!r}; "
            f"less than {COVERAGE_LIMIT:.0%} is suspicious",
            figure=check.coverage,
            remedy="Check the keys; the other rows get missing values",
        )
    if check.orphan_rows and not match.mismatched:
        yield JoinFinding(
            code="orphan_rows",
            level="info",
            message=f"{check.orphan_rows} rows of {check.left!r} have a key "
            f"{_names(check, 'left')} that finds nothing in {check.right!r}",
            figure=check.orphan_rows / check.left_rows,
            examples=_orphan_keys(match),
        )
    if check.row_factor > 1:
        declared = check.declared == "1:N" and not _breaks(check.declared, check.measured)
        yield JoinFinding(
            code="row_explosion",
            level="info" if declared else "warning",
            message=f"A flat join makes {check.rows_after} rows out of {check.left_rows} "
            f"({check.row_factor:.2f} times as many)",
            figure=check.row_factor,
            remedy="Aggregate the right table per key"
            + (", or go through the link table" if check.measured == "N:M" else ""),
        )


def _time_findings(check: JoinCheck, match: Matcher) -> Iterator[JoinFinding]:
    time = match.join.time
    if time is None:
        return
    for side, table, column in (("l", check.left, time.left), ("r", check.right, time.right)):
        if match.unread_times[side]:
            yield JoinFinding(
                code="time_unreadable",
                level="warning",
                message=f"{match.unread_times[side]} cells of {table}.{column} are no time",
                figure=float(match.unread_times[side]),
                remedy="Write times as ISO 8601, for example 2013-01-31T10:00:00Z",
            )
    if check.late_pairs:
        share = check.late_pairs / match.figure("SELECT sum(n) FROM m")
        yield JoinFinding(
            code="time_leak",
            level="error",
            message=f"{check.late_pairs} joined rows of {check.right!r} ({share:.1%}) have a "
            f"{time.right!r} after the {time.left!r} of their row in {check.left!r}",
            figure=share,
            examples=_late_examples(match),
            remedy='Use "rule": "as_of", or remove what was not yet known',
        )


def _balance_findings(check: JoinCheck, before: dict[str, int]) -> Iterator[JoinFinding]:
    old, new = check.class_balance_before, check.class_balance_after
    if not new:
        return
    shifts = {name: new.get(name, 0.0) - share for name, share in old.items()}
    name = max(sorted(shifts), key=lambda key: abs(shifts[key]))
    rare = [
        key
        for key in sorted(shifts)
        if before[key] >= RARE_ROWS and abs(shifts[key]) >= RARE_SHIFT * old[key]
    ]
    if abs(shifts[name]) < SHARE_SHIFT and rare:
        name = rare[0]
    if abs(shifts[name]) >= SHARE_SHIFT or rare:
        yield JoinFinding(
            code="class_balance",
            level="warning",
            message=f"Among the rows that match, class {name!r} has {new.get(name, 0.0):.1%} "
            f"instead of {old[name]:.1%}",
            figure=shifts[name],
            remedy="Keep the rows that match nothing (left join), and do not repeat rows",
        )


def _breaks(declared: Cardinality, measured: Cardinality) -> bool:
    """Whether the keys repeat on a side that was declared distinct."""
    left = declared in ("1:1", "1:N") and measured in ("N:1", "N:M")
    right = declared in ("1:1", "N:1") and measured in ("1:N", "N:M")
    return left or right


def _names(check: JoinCheck, side: str) -> str:
    names = [pair.left if side == "left" else pair.right for pair in check.keys]
    return "(" + ", ".join(names) + ")"


def _shown(match: Matcher, alias: str = "") -> str:
    return "concat_ws(', ', " + ", ".join(f"{alias}{key}" for key in match.keys) + ")"


def _repeated_keys(match: Matcher, side: str) -> tuple[str, ...]:
    keys = match.key_list if side == "l" else match.right_key_list
    found = match.rows(
        f"SELECT {_shown(match)} AS shown, count(*) AS n FROM {side} WHERE ok "
        f"GROUP BY {keys} HAVING n > 1 ORDER BY n DESC, shown LIMIT {N_EXAMPLES}"
    )
    return tuple(f"{shown} (×{n})" for shown, n in found)


def _orphan_keys(match: Matcher) -> tuple[str, ...]:
    found = match.rows(
        f"SELECT {_shown(match)} AS shown, count(*) AS n FROM l ANTI JOIN m USING (row) WHERE ok "
        f"GROUP BY {match.key_list} ORDER BY n DESC, shown LIMIT {N_EXAMPLES}"
    )
    return tuple(f"{shown} (×{n})" for shown, n in found)


def _late_examples(match: Matcher) -> tuple[str, ...]:
    found = match.rows(
        f"SELECT {_shown(match, 'l.')}, {match.time_text('l.t')}, {match.time_text('r.t')} "
        f"FROM l JOIN r ON {match.same} WHERE r.t > l.t ORDER BY l.row, r.row LIMIT {N_EXAMPLES}"
    )
    return tuple(f"{shown}: {right} after {left}" for shown, left, right in found)
