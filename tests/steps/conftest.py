"""One small run in folders, as the steps leave it: two targets, one space, a predictor for each."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

COLUMNS = [
    "checking_status",
    "duration",
    "credit_history",
    "credit_amount",
    "savings_status",
    "installment_commitment",
    "age",
    "class",
]


class Run(NamedTuple):
    """Folders of the run; tests must not write to them."""

    data: Path
    dataset: Path
    space: Path
    trained: Path
    predictor: Path
    numbers: Path


@pytest.fixture(scope="session")
def rows(german_credit: Path) -> pd.DataFrame:
    """200 rows and 8 columns of German credit as text; tests must not write to it."""
    return pd.read_csv(german_credit, dtype=str, keep_default_na=False)[COLUMNS].iloc[:200]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, rows: pd.DataFrame) -> Run:
    """Two epochs of everything, on 160 of the 200 rows; `age`, a target of numbers, misses cells."""
    import torch

    from featrix_core import EmbeddingSpace, SinglePredictor
    from featrix_core.bundle import seal_beside
    from featrix_core.steps import calibrate, ingest
    from featrix_core.steps.data_step import load_dataset
    from featrix_core.steps.figures import write_figures
    from featrix_core.steps.space_step import space_figures

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    frame = rows.copy()
    frame.loc[frame.index[::9], "age"] = ""
    frame.to_csv(folder / "credit.csv", index=False, quoting=csv.QUOTE_MINIMAL)
    made = Run(
        folder / "credit.csv",
        *(folder / name for name in ("dataset", "space", "trained", "predictor", "numbers")),
    )
    ingest(str(made.data), ["class", "age"], made.dataset)
    data = load_dataset(made.dataset)
    space = EmbeddingSpace(data.development, name="tiny", schema=data.schema).train(n_epochs=2)
    space.save(made.space)
    write_figures(made.space, space_figures(space))
    seal_beside(made.space)
    for target, folder in (("class", made.predictor), ("age", made.numbers)):
        predictor = SinglePredictor(space, name=target, fine_tune=False)
        predictor.prep_for_training(data.development, target, data.target(target).kind)
        predictor.train(n_epochs=2, calibrate=False)
        predictor.save(made.trained / target)
        write_figures(made.trained / target, {"rows": predictor.training_info["rows"]})
        seal_beside(made.trained / target)
        calibrate(made.trained / target, made.dataset, folder)
    return made
