"""Cut the flights sample of this folder out of the full nycflights13 tables.

Usage: python make_sample.py SOURCE_DIR   (SOURCE_DIR holds nycflights13__<table>.parquet)
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

N_ROWS = 4000
SEED = 42
HERE = Path(__file__).parent


def main(source: Path) -> None:
    """Write the five tables; the same source gives the same rows."""

    def read(table: str) -> pd.DataFrame:
        return pd.read_parquet(source / f"nycflights13__{table}.parquet")

    flights = read("flights")
    rows = np.random.default_rng(SEED).choice(len(flights), N_ROWS, replace=False)
    flights = flights.iloc[np.sort(rows)].reset_index(drop=True)
    # Cancelled and diverted flights have no arrival delay, hence no label.
    late = flights["arr_delay"].gt(15).map({True: "yes", False: "no"})
    flights["late"] = late.where(flights["arr_delay"].notna(), None)

    weather = read("weather")
    wanted = pd.MultiIndex.from_frame(flights[["origin", "time_hour"]])
    weather = weather[pd.MultiIndex.from_frame(weather[["origin", "time_hour"]]).isin(wanted)]
    planes = read("planes")
    planes = planes[planes["tailnum"].isin(flights["tailnum"].dropna())]

    tables = {
        "flights": flights,
        "weather": weather,
        "planes": planes,
        "airports": read("airports"),
        "airlines": read("airlines"),
    }
    for name, table in tables.items():
        table.to_parquet(HERE / f"{name}.parquet", index=False, compression="zstd")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
