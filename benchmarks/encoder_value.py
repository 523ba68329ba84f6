"""What each encoder adds: five-fold scores with the detected type against the same column as a plain set.

    python -m benchmarks.encoder_value --data-dir DIR

Paired by fold: the same rows, the same seed, one column (or group of columns) read as categories in the second
arm. Cells that the result file holds already are taken over, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold

from benchmarks.machine import machine
from benchmarks.quick import mean_and_interval
from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.files import read_json, write_json
from featrix_core.input_data_set import FeatrixInputDataSet
from featrix_core.single_predictor import SinglePredictor
from featrix_core.tables.schema import ColumnType

HERE = Path(__file__).parent
ROWS = 1_500
EPOCHS = 40
"""Of every space, in both arms: less than half of what the plan would take, so that all folds take an hour."""
GOAL = "goal"


@dataclass(frozen=True)
class Question:
    """A data set, its target, and the columns whose encoders are in question."""

    file: str
    classes: bool
    target: Callable[[pd.DataFrame], pd.Series]
    drop: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]


def _damage(frame: pd.DataFrame) -> pd.Series:
    return frame["Effect Amount of damage"].notna().map({True: "damage", False: "none"})


def _affected(frame: pd.DataFrame) -> pd.Series:
    affected: pd.Series = frame["Individuals.Affected"].clip(lower=1)
    return affected.map(np.log10)


QUESTIONS: dict[str, Question] = {
    "titanic1309": Question(
        "titanic1309",
        True,
        lambda frame: frame["survived"].astype(str),
        ("survived", "boat", "body"),
        (("name",), ("ticket", "cabin")),
    ),
    "birdstrikes": Question(
        "birdstrikes",
        True,
        _damage,
        ("Effect Amount of damage", "Cost Other", "Cost Repair", "Cost Total $"),
        (("Flight Date",), ("Wildlife Size",)),
    ),
    "hhs_breaches": Question(
        "hhs_breaches",
        False,
        _affected,
        ("Individuals.Affected",),
        (("Name.of.Covered.Entity",), ("Breach.Submission.Date",), ("Web.Description",)),
    ),
    "superstore": Question(
        "superstore",
        False,
        lambda frame: frame["Profit"].astype(float),
        ("Profit",),
        (("Ship Mode",),),
    ),
}


def _score(
    train: pd.DataFrame, test: pd.DataFrame, as_set: tuple[str, ...], classes: bool
) -> float:
    overrides = dict.fromkeys(as_set, ColumnType.SET)
    data = FeatrixInputDataSet(train, ignore_cols=[GOAL], overrides=overrides)
    space = EmbeddingSpace(data, n_epochs=EPOCHS).train()
    predictor = SinglePredictor(space)
    predictor.prep_for_training(train, GOAL, "set" if classes else "scalar").train()
    if not classes:
        said = np.array([answer["prediction"] for answer in predictor.predict(test)], float)
        return float(r2_score(test[GOAL], said))
    kinds = list(predictor.classes)
    said = predictor.predict_proba(test)
    return float(roc_auc_score((test[GOAL] == kinds[1]).to_numpy(), said[:, 1]))


def _folds(frame: pd.DataFrame, classes: bool) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    if classes:
        return list(StratifiedKFold(5, shuffle=True, random_state=42).split(frame, frame[GOAL]))
    return list(KFold(5, shuffle=True, random_state=42).split(frame))


def run(data_dir: Path, out: Path, sets: list[str]) -> None:
    """All cells that `out` does not hold yet; the file is written after each."""
    known = read_json(out) if out.is_file() else {"cells": []}
    done = {(c["set"], tuple(c["as_set"]), c["fold"]) for c in known["cells"]}
    frames = {name: _frame(data_dir, QUESTIONS[name]) for name in sets}
    folds = {name: _folds(frame, QUESTIONS[name].classes) for name, frame in frames.items()}
    arms = [(fold, name, arm) for fold in range(5) for name in sets for arm in _arms(name)]
    for fold, name, as_set in arms:
        if (name, as_set, fold) in done:
            continue
        started = time.monotonic()
        train, test = (frames[name].iloc[part].reset_index(drop=True) for part in folds[name][fold])
        score = _score(train, test, as_set, QUESTIONS[name].classes)
        cell = {"set": name, "as_set": list(as_set), "fold": fold, "score": score}
        cell["seconds"] = time.monotonic() - started
        known["cells"].append(cell)
        known["machine"] = machine()
        known["summary"] = summary(known["cells"])
        write_json(out, known)
        Console(stderr=True).print(cell)


def _frame(data_dir: Path, question: Question) -> pd.DataFrame:
    frame = pd.read_parquet(data_dir / f"{question.file}.parquet")
    frame = frame.sample(min(ROWS, len(frame)), random_state=42).reset_index(drop=True)
    goal = question.target(frame)
    return frame.drop(columns=list(question.drop)).assign(**{GOAL: goal})


def _arms(name: str) -> tuple[tuple[str, ...], ...]:
    return ((), *QUESTIONS[name].columns)


def summary(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per data set and column: mean score as detected and as a set, and the paired difference with interval."""
    scores = {(c["set"], tuple(c["as_set"]), c["fold"]): c["score"] for c in cells}
    rows = []
    for name, as_set in sorted({key[:2] for key in scores if key[1]}):
        folds = [f for s, a, f in scores if s == name and a == as_set and (s, (), f) in scores]
        if len(folds) < 2:
            continue
        detected = [scores[name, (), fold] for fold in sorted(folds)]
        plain = [scores[name, as_set, fold] for fold in sorted(folds)]
        gain = [a - b for a, b in zip(detected, plain, strict=True)]
        rows.append(
            {
                "set": name,
                "columns": ", ".join(as_set),
                "measure": "AUC" if QUESTIONS[name].classes else "R²",
                "detected": float(np.mean(detected)),
                "as_set": float(np.mean(plain)),
                "gain": mean_and_interval(gain),
                "folds": len(folds),
            }
        )
    return rows


def main() -> None:
    """Run what is missing and print the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "encoder_value.json")
    parser.add_argument("--sets", nargs="*", default=list(QUESTIONS))
    arguments = parser.parse_args()
    run(arguments.data_dir, arguments.out, arguments.sets)
    for row in read_json(arguments.out)["summary"]:
        mean, low, high = row["gain"]
        Console().print(
            f"{row['set']:<14}{row['columns']:<28}{row['measure']:<5}{row['detected']:.4f} "
            f"as set {row['as_set']:.4f}  gain {mean:+.4f} ({low:+.4f} … {high:+.4f})",
            highlight=False,
        )


if __name__ == "__main__":
    main()
