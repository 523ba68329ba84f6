"""`featrix inspect`: what a table would become, before anything is trained (DATA-2 … DATA-6, VIEW-3)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from featrix_core.files import write_json
from featrix_core.report.content import KeyFigure, ReportContent
from featrix_core.report.from_schema import columns_from_schema
from featrix_core.report.html import write_report
from featrix_core.report.text import percent
from featrix_core.steps.outputs import check_output_file
from featrix_core.strings.embedder import OnProgress, get_default_embedder
from featrix_core.tables.build import build_schema
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnSchema, DroppedColumn, Notice, TableSchema
from featrix_core.tables.table import Source
from featrix_core.tables.targets import TargetSchema, detect_target

MOST_ROWS = 200_000
"""Of a longer table, a uniform sample of this many rows is looked at."""
_WIDE = 100  # columns of a terminal from which the words find a place beside the figures
_CELL = 300
_NOTICES = 100


@dataclass(frozen=True)
class Inspection:
    """What was found in a table of `n_rows` rows, in the order of its columns `names`."""

    source: Source
    n_rows: int
    names: tuple[str, ...]
    schema: TableSchema
    targets: tuple[TargetSchema, ...]

    @property
    def notices(self) -> tuple[Notice, ...]:
        """Warnings on the table, its columns and its targets."""
        return (*self.schema.notices, *(n for target in self.targets for n in target.notices))


def inspect_table(
    data: str, targets: Sequence[str] = (), on_progress: OnProgress | None = None
) -> Inspection:
    """Read a table and decide on its columns as `fit` does; nothing is written.

    `on_progress` hears of megabytes read and of texts embedded.

    Raises:
        FeatrixUserError: unreadable file, no such target or an unusable one, no usable column.
    """
    tell = on_progress or _silent
    table = read_table(
        data,
        max_rows=MOST_ROWS,
        on_progress=lambda done, total: tell("MB read", done / 1e6, total / 1e6),
    )
    found = tuple(detect_target(table, name) for name in dict.fromkeys(targets))
    embedder = get_default_embedder()
    with embedder.reporting(tell):
        schema = build_schema(table, targets=targets, embedder=embedder)
    return Inspection(table.source, table.n_rows, tuple(table.names), schema, found)


def inspect_file(
    data: str,
    targets: Sequence[str] = (),
    *,
    page: Path | None = None,
    json: Path | None = None,
    on_progress: OnProgress | None = None,
) -> Inspection:
    """`inspect_table`, and what it found as a page and as the schema's JSON.

    Raises:
        FeatrixUserError: an output that cannot be written, or the refusal of `inspect_table`.
    """
    for out, name in ((page, "html"), (json, "json")):
        if out is not None:
            check_output_file(out, (f".{name}",), data, f"--{name}")
    inspection = inspect_table(data, targets, on_progress)
    if page is not None:
        write_report(report_content(inspection), page)
    if json is not None:
        write_json(json, inspection.schema.model_dump(mode="json"))
    return inspection


def report_content(inspection: Inspection) -> ReportContent:
    """The page of one section: the columns, with the warnings above them."""
    schema = inspection.schema
    return ReportContent(
        title=f"Columns of {Path(inspection.source.name).name}",
        subtitle=_rows_said(inspection),
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        key_figures=(
            KeyFigure(name="rows", value=float(inspection.n_rows)),
            KeyFigure(name="columns kept", value=float(len(schema.columns))),
            KeyFigure(name="columns kept out", value=float(len(schema.dropped))),
            KeyFigure(name="warnings", value=float(len(inspection.notices))),
        ),
        notices=inspection.notices,
        columns=columns_from_schema(schema),
    )


def rendered(inspection: Inspection, width: int) -> RenderableType:
    """The table of columns and the warnings for a terminal of `width` characters."""
    return Group(
        Text(f"{Path(inspection.source.name).name}: {_rows_said(inspection)}"),
        _grid(inspection, width),
        *_warnings(inspection),
    )


def output_console() -> Console:
    """Standard output; a pipe has no width, so its lines are long enough for all that is said."""
    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(highlight=False, width=240)


def _silent(what: str, done: float, total: float) -> None:
    """Nobody watches."""


def _rows_said(inspection: Inspection) -> str:
    read, total = inspection.n_rows, inspection.source.rows_read
    rows = f"{read:,} rows" if read >= total else f"a sample of {read:,} of {total:,} rows"
    schema = inspection.schema
    return f"{rows}, {len(schema.columns)} columns kept, {len(schema.dropped)} kept out"


def _grid(inspection: Inspection, width: int) -> Grid:
    wide = width >= _WIDE
    name_width = max((len(_line(name)) for name in inspection.names), default=0)
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=True)
    grid.add_column("column", width=max(6, min(name_width, width // 4)))
    grid.add_column("type", min_width=9)
    if wide:
        grid.add_column("runner-up", min_width=9)
    grid.add_column("missing", justify="right", min_width=7)
    grid.add_column("distinct", justify="right", min_width=8)
    if wide:
        grid.add_column("decision", max_width=28)
        grid.add_column("evidence", ratio=1)
    else:
        grid.add_column("decision", ratio=1)
    for column in grid.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
    kept = {column.name: column for column in inspection.schema.columns}
    dropped = {column.name: column for column in inspection.schema.dropped}
    targets = {target.name: target for target in inspection.targets}
    for name in inspection.names:
        if name in kept:
            row, style = _kept_row(kept[name]), ""
        elif name in targets:
            row, style = _target_row(targets[name]), "bold"
        else:
            row, style = _dropped_row(dropped[name]), "dim"
        cells = (name, *row.wide) if wide else (name, *row.narrow)
        grid.add_row(*(Text(_line(cell)) for cell in cells), style=style)
    return grid


@dataclass(frozen=True)
class _Row:
    kind: str
    runner_up: str = ""
    missing: str = ""
    distinct: str = ""
    decision: str = ""
    evidence: str = ""

    @property
    def wide(self) -> tuple[str, ...]:
        return (
            self.kind,
            self.runner_up,
            self.missing,
            self.distinct,
            self.decision,
            self.evidence,
        )

    @property
    def narrow(self) -> tuple[str, ...]:
        """Without the runner-up; the evidence takes what room the decision leaves."""
        said = f"{self.decision}: {self.evidence}" if self.evidence else self.decision
        return self.kind, self.missing, self.distinct, said


def _kept_row(column: ColumnSchema) -> _Row:
    decision = "kept, type set by hand" if column.overridden else "kept"
    if column.n_unparsed:
        decision += f", {column.n_unparsed:,} cells not parsed"
    return _Row(
        kind=column.type.value,
        runner_up=column.runner_up.value if column.runner_up else "",
        missing=_share(column.n_missing, column.n_rows),
        distinct=f"{column.n_unique:,}",
        decision=decision,
        evidence=column.evidence,
    )


def _target_row(target: TargetSchema) -> _Row:
    return _Row(
        kind=target.kind,
        missing=_share(target.n_missing, target.n_rows),
        distinct=f"{len(target.classes)}" if target.classes else "",
        decision="target",
        evidence="to be predicted",
    )


def _dropped_row(column: DroppedColumn) -> _Row:
    return _Row(kind="–", decision=f"dropped ({column.reason})", evidence=column.message)


def _share(part: int, whole: int) -> str:
    return percent(part / whole) if part else "0"


def _warnings(inspection: Inspection) -> list[Text]:
    """One line per warning; columns that were dropped stand in the table already."""
    dropped = {column.name for column in inspection.schema.dropped}
    told = [
        notice
        for notice in inspection.notices
        if not (notice.column in dropped and notice.code.startswith("column_"))
    ]
    lines = [
        Text(
            "warning: "
            + _line(notice.message)
            + (f" ({_line(notice.action)})" if notice.action else ""),
            style="yellow",
        )
        for notice in told[:_NOTICES]
    ]
    if len(told) > _NOTICES:
        lines.append(Text(f"… and {len(told) - _NOTICES} more warnings; --json lists all"))
    return lines


def _line(text: str) -> str:
    """One line that can do nothing to a terminal: no control signs, no change of direction."""
    return "".join(sign if sign.isprintable() else " " for sign in text[:_CELL]).strip()
