"""Step ingest: a file to a data set folder with types, filter decisions and a hold-out (DATA-1 … DATA-7)."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from featrix_core.errors import FeatrixUserError
from featrix_core.files import atomic_directory, read_json, sha256_of, write_json, write_text
from featrix_core.steps.config import StepConfig
from featrix_core.steps.figures import write_figures
from featrix_core.storage.fetch import OnBytes
from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.control import ROW_FILTER, ROW_WEIGHT, row_weights, switched_on
from featrix_core.tables.drift import WARNING_KL, drift_band, drift_report
from featrix_core.tables.holdout import holdout_split
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import Notice, TableSchema
from featrix_core.tables.table import Table
from featrix_core.tables.targets import TargetSchema, detect_target, encode_target, refit_target

DEVELOPMENT, HOLDOUT = "development.parquet", "holdout.parquet"
BAD_ROWS = "bad_rows.jsonl"
LEAST_ROWS = 20


@dataclass(frozen=True)
class DataSet:
    """An ingested data set: what `ingest` wrote, read back."""

    folder: Path
    schema: TableSchema
    targets: tuple[TargetSchema, ...]
    summary: dict[str, Any]

    @property
    def development(self) -> Table:
        """Rows that may be trained on."""
        return read_table(self.folder / DEVELOPMENT)

    @property
    def holdout(self) -> Table:
        """Rows that figures are measured on."""
        return read_table(self.folder / HOLDOUT)

    def target(self, name: str) -> TargetSchema:
        """The target called `name`; FeatrixUserError if the data set was ingested for others."""
        for target in self.targets:
            if target.name == name:
                return target
        raise FeatrixUserError(
            "The data set was not ingested for this target",
            column=name,
            remedy=f"It has {', '.join(t.name for t in self.targets)}; ingest again",
        )


def load_dataset(folder: Path) -> DataSet:
    """Read a data set folder."""
    return DataSet(
        folder,
        TableSchema.model_validate_json((folder / "schema.json").read_bytes()),
        tuple(TargetSchema.model_validate(t) for t in read_json(folder / "targets.json")),
        read_json(folder / "ingest.json"),
    )


def _usable(table: Table) -> tuple[Table, list[Notice]]:
    """Rows that the user's own control columns let in; row weights are checked."""
    notices: list[Notice] = []
    on = switched_on(table)
    if on is not None and not on.all():
        off = int((~on).sum())
        notices.append(
            Notice(
                code="rows_filtered",
                column=ROW_FILTER,
                figure=float(off),
                message=f"{off} rows are switched off by {ROW_FILTER}",
                action="they take part in nothing",
            )
        )
        table = table.take(np.flatnonzero(on))
    weights = row_weights(table)
    if weights is not None:
        notices.append(
            Notice(
                code="row_weights",
                column=ROW_WEIGHT,
                figure=float(weights.max(initial=0.0)),
                message=f"Rows weigh from {weights.min(initial=1.0):.3g} to "
                f"{weights.max(initial=0.0):.3g} times the mean",
                action="space, predictor and calibration follow the weights; figures on the "
                "hold-out count every row once",
            )
        )
    return table, notices


def _read(data: str, config: StepConfig, seed: int, on_bytes: OnBytes | None) -> tuple[Table, str]:
    """The table, and the rows of its file that cannot be read, as JSON lines."""
    with tempfile.TemporaryDirectory() as folder:
        bad = Path(folder) / BAD_ROWS
        table = read_table(
            data, max_rows=config.max_rows, seed=seed, on_progress=on_bytes, bad_rows_to=bad
        )
        return table, bad.read_text(encoding="utf-8") if bad.exists() else ""


def _left_out(config: StepConfig, targets: list[str]) -> list[str]:
    """Columns that stay out on request; no group of the hold-out is known from training."""
    group = config.group_column
    alone = group is not None and group not in targets and group not in config.ignore
    return [*config.ignore, *([group] if group is not None and alone else [])]


def _judged(target: TargetSchema, holdout: Table) -> list[Notice]:
    """That hold-out rows are of classes which no row to train on has.

    Raises:
        FeatrixUserError: no hold-out row has a label that can be learned.
    """
    labels = encode_target(holdout, target)
    known = labels[np.isfinite(labels)]
    counts = np.array([target.class_counts[name] for name in target.classes], dtype=np.int64)
    strange = known[counts[known.astype(np.int64)] == 0] if len(counts) else known[:0]
    if len(strange) == len(known):
        raise FeatrixUserError(
            f"None of {holdout.n_rows} hold-out rows has a label"
            + (" that rows to train on have" if len(known) else "")
            + ", so nothing can be measured",
            column=target.name,
            remedy="Label more rows, or split the rows in another way",
        )
    if not len(strange):
        return []
    names = [target.classes[code] for code in np.unique(strange).astype(int).tolist()]
    return [
        Notice(
            code="new_classes",
            column=target.name,
            figure=len(strange) / len(known),
            message=f"Target {target.name!r}: {len(strange)} of {len(known)} hold-out rows are of classes that no "
            f"row to train on has: {', '.join(map(repr, names[:10]))}",
            action="they cannot be predicted, and figures are of the other rows",
        )
    ]


def ingest(
    data: str,
    targets: list[str],
    out: Path,
    *,
    config: StepConfig | None = None,
    seed: int = 42,
    on_bytes: OnBytes | None = None,
) -> dict[str, Any]:
    """Read a table, find types, filter columns, split off the hold-out.

    Writes `development.parquet`, `holdout.parquet`, `schema.json`, `targets.json`, `ingest.json`, and
    `bad_rows.jsonl` where rows cannot be read. `on_bytes` is told of bytes read and bytes in all.

    Raises:
        FeatrixUserError: unreadable file, unusable target, a setting that no target can have, no usable column, too
            few rows, or none that a target can be measured on.
    """
    config = config or StepConfig()
    read, bad_rows = _read(data, config, seed, on_bytes)
    table, notices = _usable(read)
    if not targets:
        raise FeatrixUserError("No target is named", remedy="Give at least one --target COLUMN")
    found = [detect_target(table, name, config.target_kinds.get(name)) for name in targets]
    notices += config.unused(found)
    if table.n_rows < LEAST_ROWS:
        raise FeatrixUserError(
            f"The table has {table.n_rows} rows; at least {LEAST_ROWS} are needed to train and measure",
            column=str(data),
            remedy="Give more rows",
        )
    split = holdout_split(
        table,
        encode_target(table, found[0]),
        found[0].kind != "scalar",
        config.holdout,
        names=found[0].classes,
        targets=targets,
        group_column=config.group_column,
        time_column=config.time_column,
    )
    development, holdout = table.take(split.train_rows), table.take(split.validation_rows)
    for target in found:
        labelled = int(np.isfinite(encode_target(development, target)).sum())
        if labelled < LEAST_ROWS // 2:
            raise FeatrixUserError(
                f"Only {labelled} rows to train on have a label; at least {LEAST_ROWS // 2} are needed",
                column=target.name,
                remedy="Label more rows",
            )
    # The hold-out has its say on the classes that there are, and on no figure.
    found = [refit_target(target, development) for target in found]
    notices += [n for target in found for n in _judged(target, holdout)]
    schema = build_schema(
        development, targets=targets, exclude=_left_out(config, targets), overrides=config.types
    )
    drifts = drift_report(typed_columns(development, schema), typed_columns(holdout, schema))
    notices += [
        Notice(
            code="drift",
            column=drift.column,
            figure=drift.kl,
            message=f"{drift_band(drift.kl).interpretation}: {drift.column!r} is distributed "
            f"differently in the hold-out (KL {drift.kl:.2f})",
            action=drift_band(drift.kl).action,
        )
        for drift in drifts
        if drift.kl > WARNING_KL
    ]
    told = [
        n for n in split.notices if n.code != "untrained_classes"
    ]  # those of all targets are told above
    notices += [*told, *(n for t in found for n in t.notices)]
    with atomic_directory(Path(out)) as folder:
        pq.write_table(development.arrow, folder / DEVELOPMENT)
        pq.write_table(holdout.arrow, folder / HOLDOUT)
        write_text(folder / "schema.json", schema.model_dump_json(indent=1) + "\n")
        if bad_rows:
            write_text(folder / BAD_ROWS, bad_rows)
        write_json(folder / "targets.json", [t.model_dump(mode="json") for t in found])
        summary: dict[str, Any] = {
            "source": Path(str(data)).name,
            "source_sha256": table.source.sha256,
            "rows_read": table.source.rows_read,
            "bad_rows": table.source.bad_rows,
            "rows": table.n_rows,
            "development_rows": development.n_rows,
            "holdout_rows": holdout.n_rows,
            "holdout_sha256": sha256_of(folder / HOLDOUT),
            "development_sha256": sha256_of(folder / DEVELOPMENT),
            "columns_kept": len(schema.columns),
            "columns_dropped": len(schema.dropped),
            "split": {
                "group_column": config.group_column,
                "time_column": config.time_column,
                "coverage": split.coverage,
                "rare_classes": list(split.rare_classes),
            },
            "drift": [{"column": d.column, "kl": d.kl, "band": d.band} for d in drifts],
            "notices": [n.model_dump(mode="json") for n in [*table.notices, *notices]],
        }
        write_json(folder / "ingest.json", summary)
        keys = ("rows", "development_rows", "holdout_rows", "columns_kept", "columns_dropped")
        write_figures(folder, {key: summary[key] for key in keys})
    return summary
