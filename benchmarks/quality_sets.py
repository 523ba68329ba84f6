"""The real tables of the quality suite: targets, what leaks them, folds, and the frames that peers read.

All methods get the same raw columns and the same folds. A table is left out where a thousandth of its rows makes
more than a quarter of the target's variance (superstore's profit, the people hit by a breach): its R² says which
fold these rows are in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from benchmarks.space_data import SETS, Labels, Rows, Task, flights, load
from benchmarks.space_designs import parsed

Kind: TypeAlias = Literal["binary", "multiclass", "regression"]

MOST_ROWS = 20_000
SMALL = 5_000
"""Up to so many rows there are five folds and a tuned rival; above, three folds."""
SEED = 42
FEWEST_OF_A_CLASS = 10
"""Rows of a rarer class are left out: not every fold could hold one."""
MOST_TEXTS = 255
"""Distinct texts that a peer's category keeps; the rarer ones are missing to it."""


@dataclass(frozen=True)
class Question:
    """A table with its target; `names`: the classes in the order of their numbers, none for a number."""

    task: Task
    names: tuple[str, ...]

    @property
    def kind(self) -> Kind:
        """Of the target."""
        if not self.names:
            return "regression"
        return "binary" if len(self.names) == 2 else "multiclass"

    def folds(self) -> list[tuple[Rows, Rows]]:
        """(training rows, test rows): five up to 5,000 rows, three above; seed 42, stratified for classes."""
        return self.task.folds(fold_count(len(self.task.y_N)), SEED)


@dataclass(frozen=True)
class _Own:
    """A target that `space_data` does not have. `classes`: None for a number."""

    table: str
    target: str
    classes: bool
    drop: tuple[str, ...] = ()


_BY_CLASS = "no", "yes"
_OWN = {
    # All but the amount that was paid, which follows from the target and the time.
    "ev_charging": _Own("ev_charging", "kwh_total", False, ("dollars",)),
    "ames": _Own("ames", "price", False),
    "avocados": _Own("avocados", "average_price", False),
    "fars": _Own("fars", "INJURY_SEVERITY", True),
    "birdstrikes": _Own("birdstrikes", "Phase of flight", True),
    "diamonds_cut": _Own("diamonds", "cut", True),
}
FLIGHT_COLUMNS = 13
"""What an airline knows of a flight before it leaves: the columns of its own table, without the year."""

ROWS: dict[str, int] = {
    "german_credit": 1_000,
    "titanic1309": 1_309,
    "medical_cost": 1_338,
    "attrition": 1_470,
    "ames": 2_930,
    "ev_charging": 3_395,
    "telco_churn": 7_043,
    "bikeshare": 8_645,
    "birdstrikes": 10_000,
    "avocados": 18_249,
    "diamonds": MOST_ROWS,
    "diamonds_cut": MOST_ROWS,
    "king_county": MOST_ROWS,
    "bank_marketing": MOST_ROWS,
    "adult": MOST_ROWS,
    "flights": MOST_ROWS,
    "fars": MOST_ROWS,
    "kdd_census": MOST_ROWS,
}
"""Sets in the order in which they are measured, and their rows before rare classes go."""


def fold_count(rows: int) -> int:
    """Folds of a table with so many rows."""
    return 5 if rows <= SMALL else 3


def question(data_dir: Path, name: str, rows: int | None = None) -> Question:
    """A set of `ROWS`, at most `rows` (20,000) of its rows, drawn with seed 42."""
    most = min(rows or MOST_ROWS, ROWS[name])
    if name == "flights":
        return Question(flights(data_dir, most, FLIGHT_COLUMNS), _BY_CLASS)
    if name in SETS:
        task = load(data_dir, name, most)
        return Question(task, _BY_CLASS if task.classes else ())
    own = _OWN[name]
    frame = pd.read_parquet(data_dir / f"{own.table}.parquet")
    frame = frame[frame[own.target].notna()]
    if most < len(frame):
        frame = frame.sample(most, random_state=SEED)
    return asked(name, frame, own.target, classes=own.classes, drop=own.drop)


def asked(
    name: str, frame: pd.DataFrame, target: str, *, classes: bool, drop: tuple[str, ...] = ()
) -> Question:
    """The question that a column of a frame is; rows of classes with fewer than ten rows go."""
    names: tuple[str, ...] = ()
    if classes:
        said = frame[target].astype(str)
        frame = frame[said.map(said.value_counts()) >= FEWEST_OF_A_CLASS]
        codes = pd.Categorical(frame[target].astype(str))
        names = tuple(map(str, codes.categories))
        y_N: Labels = codes.codes.astype(np.float64)
    else:
        y_N = frame[target].to_numpy(dtype=np.float64)
    columns = frame.drop(columns=[target, *drop]).reset_index(drop=True)
    return Question(Task(name, columns, y_N, classes), names)


def peer_frames(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both parts as numbers (NaN where missing) and categories, learned from the training rows alone.

    As `space_designs.parsed`: timestamps are their parts. What that cuts to 50 texts is a number where the
    column is one, and else its 255 most frequent texts.
    """
    first, second = parsed(train, test)
    for name in first.columns:
        kept = first[name].dtype
        if not isinstance(kept, pd.CategoricalDtype) or name not in train:
            continue
        if train[name].nunique() <= len(kept.categories):
            continue
        if pd.api.types.is_numeric_dtype(train[name].dtype):
            first[name] = train[name].astype(np.float64)
            second[name] = test[name].astype(np.float64)
            continue
        texts = train[name].dropna().astype(str).value_counts(sort=False)
        # By frequency, then by name: the order of the rows must not decide.
        known = pd.Index(sorted(texts.index, key=lambda text: (-texts[text], text))[:MOST_TEXTS])
        for part, raw in ((first, train), (second, test)):
            cells = raw[name].astype(str).where(raw[name].notna())
            part[name] = pd.Categorical(cells, categories=known.astype(object))
    return first, second
