"""Settings that hold for every test: no network for models, one thread, the shipped data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
# A tracking server of whoever runs the tests must not receive their runs.
for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def german_credit() -> Path:
    """1,000 rows, 20 columns and the binary target `class`; a CSV file."""
    return ROOT / "examples" / "data" / "german_credit.csv"


@pytest.fixture(scope="session")
def flights() -> Path:
    """Folder of the nycflights13 sample: small Parquet files that belong together."""
    return ROOT / "examples" / "data" / "flights"
