"""Settings that hold for every test, the shipped data, and the spaces that several tests share."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

if TYPE_CHECKING:
    import pandas as pd

    from featrix_core import EmbeddingSpace, SinglePredictorMLP

ROOT = Path(__file__).resolve().parent.parent
LONGEST = (
    "pipelines/test_run_command.py",
    "cli/test_contract.py",
    "test_every_type.py",
    "hostile/test_hostile.py",
    "predictor/test_export.py",
    "cli/test_resume.py",
    "cli/test_number_target.py",
    "test_readme.py",
    "test_predictor_facades.py",
    "training/test_distributed.py",
    "steps/test_fitting.py",
    "test_facades.py",
    "test_json_columns.py",
)
"""Files that are given to the workers first, so that none of them is at work alone in the end."""
BuiltOnce: TypeAlias = Callable[[str, Callable[[Path], None]], Path]

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
# Sentence vectors of earlier runs must not stand in for what is tested.
os.environ["FEATRIX_CACHE_DIR"] = ""
# A tracking server of whoever runs the tests must not receive their runs.
for name in ("FEATRIX_STRINGS_URL", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
    os.environ.pop(name, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; everything else stays in order."""
    place = {ROOT / "tests" / name: k for k, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> BuiltOnce:
    """A folder by name that one worker fills while the others wait; tests must not write to it."""
    common = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = common.parent

    def folder(name: str, fill: Callable[[Path], None]) -> Path:
        place, whole = common / f"once-{name}", common / f"once-{name}.whole"
        with (common / f"once-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the file is closed
            if not whole.exists():
                shutil.rmtree(place, ignore_errors=True)  # of a try that failed
                place.mkdir()
                fill(place)
                whole.touch()
        return place

    return folder


@pytest.fixture(scope="session")
def german_credit() -> Path:
    """1,000 rows, 20 columns and the binary target `class`; a CSV file."""
    return ROOT / "examples" / "data" / "german_credit.csv"


@pytest.fixture(scope="session")
def flights() -> Path:
    """Folder of the nycflights13 sample: small Parquet files that belong together."""
    return ROOT / "examples" / "data" / "flights"


@pytest.fixture(scope="session")
def credit(german_credit: Path) -> pd.DataFrame:
    """The first 200 rows of German credit; tests must not write to it."""
    import pandas as pd

    return pd.read_csv(german_credit).iloc[:200]


@pytest.fixture(scope="session")
def credit_space(credit: pd.DataFrame) -> EmbeddingSpace:
    """A space of two epochs on `credit` without its target; tests must not change it."""
    import torch

    from featrix_core import EmbeddingSpace, FeatrixInputDataSet

    torch.set_num_threads(1)
    data = FeatrixInputDataSet(credit, ignore_cols=["class"])
    return EmbeddingSpace(data, n_epochs=2, name="credit").train()


@pytest.fixture(scope="session")
def credit_predictor(credit: pd.DataFrame, credit_space: EmbeddingSpace) -> SinglePredictorMLP:
    """A frozen two-class predictor of two epochs on `credit_space`; tests must not change it."""
    from featrix_core import SinglePredictorMLP

    return SinglePredictorMLP(credit_space, "class").train(credit, n_epochs=2)


@pytest.fixture(scope="session")
def few(credit: pd.DataFrame) -> pd.DataFrame:
    """Three columns of `credit` and the target, quick to train on; tests must not write to it."""
    return credit[["checking_status", "duration", "credit_amount", "class"]]


@pytest.fixture(scope="session")
def few_space(few: pd.DataFrame) -> EmbeddingSpace:
    """A space of two epochs on `few` without its target; tests must not change it."""
    from featrix_core import EmbeddingSpace, FeatrixInputDataSet

    return EmbeddingSpace(FeatrixInputDataSet(few, ["class"]), n_epochs=2, name="few").train()


@pytest.fixture(scope="session")
def trips(flights: Path) -> pd.DataFrame:
    """160 flights with numbers, a category, a moment and a free text, some cells of each missing."""
    import pandas as pd

    columns = ["carrier", "distance", "dep_delay", "time_hour", "name"]
    trips = pd.read_parquet(flights / "flights.parquet").iloc[::25]
    airports = pd.read_parquet(flights / "airports.parquet")[["faa", "name"]]
    frame = trips.merge(airports, left_on="dest", right_on="faa", how="left")[columns]
    frame = frame.astype({"carrier": "object", "time_hour": "object", "name": "object"})
    frame.loc[3, "carrier"] = frame.loc[5, "time_hour"] = frame.loc[7, "name"] = None
    frame.loc[9, "dep_delay"] = None
    return frame


@pytest.fixture(scope="session")
def trip_space(trips: pd.DataFrame) -> EmbeddingSpace:
    """A space of two epochs on `trips`: every encoder takes part; tests must not change it."""
    import torch

    from featrix_core import EmbeddingSpace, FeatrixInputDataSet
    from featrix_core.tables.schema import ColumnType

    torch.set_num_threads(1)
    data = FeatrixInputDataSet(trips, overrides={"name": ColumnType.TEXT})
    return EmbeddingSpace(data, n_epochs=2, name="trips").train()
