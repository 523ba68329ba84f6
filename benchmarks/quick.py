"""German credit, 5 folds: featrix beside logistic regression, LightGBM and CatBoost on the same folds.

    make bench-quick

Folds are stratified and shuffled with seed 42; nothing is tuned to this data set. For every fold a space
and a predictor are trained on the training rows alone.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table as Printed
from scipy import stats
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.machine import machine
from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.files import write_json
from featrix_core.predictor.metrics import classification_metrics
from featrix_core.single_predictor import SinglePredictor

HERE = Path(__file__).parent
DATA = HERE.parent / "examples" / "data" / "german_credit.csv"
TARGET, POSITIVE = "class", "bad"
Floats = NDArray[np.float64]


def _featrix(train: pd.DataFrame, test: pd.DataFrame) -> Floats:
    space = EmbeddingSpace(train.drop(columns=[TARGET])).train()
    predictor = SinglePredictor(space, positive_label=POSITIVE)
    predictor.prep_for_training(train, TARGET, "set").train()
    return predictor.predict_proba(test)[:, 1]


def _labels(frame: pd.DataFrame) -> NDArray[np.int64]:
    return np.asarray(frame[TARGET] == POSITIVE, dtype=np.int64)


def _logistic(train: pd.DataFrame, test: pd.DataFrame) -> Floats:
    numbers = make_column_selector(dtype_include="number")
    texts = make_column_selector(dtype_exclude="number")
    columns = make_column_transformer(
        (StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), texts)
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=2000))
    model.fit(train.drop(columns=[TARGET]), _labels(train))
    return np.asarray(model.predict_proba(test.drop(columns=[TARGET])))[:, 1]


def _inner(train: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to train on and rows to stop early on."""
    order = np.random.default_rng(42).permutation(len(train))
    cut = len(train) // 7
    return order[cut:], order[:cut]


def _lightgbm(train: pd.DataFrame, test: pd.DataFrame) -> Floats:
    import lightgbm

    frames = []
    for frame in (train, test):
        plain = frame.drop(columns=[TARGET])
        for name in plain.select_dtypes(exclude="number").columns:
            known = sorted(train[name].unique())
            plain[name] = pd.Categorical(plain[name], categories=known)
        frames.append(plain)
    fit, stop = _inner(train)
    y = _labels(train)
    model = lightgbm.LGBMClassifier(n_estimators=2000, verbose=-1, random_state=42, n_jobs=2)
    model.fit(
        frames[0].iloc[fit],
        y[fit],
        eval_X=frames[0].iloc[stop],
        eval_y=y[stop],
        callbacks=[lightgbm.early_stopping(50, verbose=False)],
    )
    return np.asarray(model.predict_proba(frames[1]))[:, 1]


def _catboost(train: pd.DataFrame, test: pd.DataFrame) -> Floats:
    import catboost

    names = train.drop(columns=[TARGET])
    texts = list(names.select_dtypes(exclude="number").columns)
    fit, stop = _inner(train)
    y = _labels(train)
    model = catboost.CatBoostClassifier(
        iterations=2000, random_seed=42, verbose=False, cat_features=texts, thread_count=2,
        early_stopping_rounds=50, allow_writing_files=False,
    )  # fmt: skip
    model.fit(names.iloc[fit], y[fit], eval_set=(names.iloc[stop], y[stop]))
    return np.asarray(model.predict_proba(test.drop(columns=[TARGET])))[:, 1]


MODELS: dict[str, Callable[[pd.DataFrame, pd.DataFrame], Floats]] = {
    "featrix": _featrix,
    "logistic regression": _logistic,
    "LightGBM": _lightgbm,
    "CatBoost": _catboost,
}


def mean_and_interval(values: list[float]) -> tuple[float, float, float]:
    """Mean over folds with a 95 % t interval."""
    mean = float(np.mean(values))
    half = float(
        stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    )
    return mean, mean - half, mean + half


def run(data: Path) -> dict[str, Any]:
    """All models on all folds."""
    frame = pd.read_csv(data, keep_default_na=False)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=42).split(frame, frame[TARGET]))
    cells: list[dict[str, Any]] = []
    for number, (train, test) in enumerate(folds):
        parts = frame.iloc[train].reset_index(drop=True), frame.iloc[test].reset_index(drop=True)
        for name, model in MODELS.items():
            started = time.monotonic()
            said = model(*parts)
            seconds = time.monotonic() - started
            figures = classification_metrics(_labels(parts[1]), said)
            kept = {key: float(figures[key]) for key in ("roc_auc", "log_loss", "ece")}
            cells.append({"fold": number, "model": name, "seconds": seconds, **kept})
            Console(stderr=True).print(
                f"fold {number}  {name:<20} AUC {kept['roc_auc']:.4f}  {seconds:6.1f} s"
            )
    return {"machine": machine(), "data": data.name, "cells": cells}


def main() -> None:
    """Run, print the table, write `results/quick.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "quick.json")
    arguments = parser.parse_args()
    result = run(arguments.data)
    table = Printed(
        "model", "AUC", "95 % interval", "log loss", "ECE", "against featrix", "seconds"
    )
    cells = pd.DataFrame(result["cells"])
    ours = cells[cells["model"] == "featrix"].set_index("fold")["roc_auc"]
    rows = {}
    for name in MODELS:
        own = cells[cells["model"] == name].set_index("fold")
        mean, low, high = mean_and_interval(own["roc_auc"].tolist())
        behind, low_d, high_d = mean_and_interval((own["roc_auc"] - ours).tolist())
        rows[name] = {
            "roc_auc": mean,
            "interval": [low, high],
            "log_loss": float(own["log_loss"].mean()),
            "ece": float(own["ece"].mean()),
            "difference": None if name == "featrix" else [behind, low_d, high_d],
            "seconds": float(own["seconds"].mean()),
        }
        paired = "" if name == "featrix" else f"{behind:+.4f} ({low_d:+.4f} … {high_d:+.4f})"
        table.add_row(
            name,
            f"{mean:.4f}",
            f"{low:.4f} … {high:.4f}",
            f"{rows[name]['log_loss']:.4f}",
            f"{rows[name]['ece']:.4f}",
            paired,
            f"{rows[name]['seconds']:.1f}",
        )
    result["summary"] = rows
    write_json(arguments.out, result)
    Console().print(table)


if __name__ == "__main__":
    main()
