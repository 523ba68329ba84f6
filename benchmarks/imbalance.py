"""Rare positives: predictors at 1 % and 0.5 %, and whether any of them says "no" to every row (PRED-2).

    make bench-imbalance DATA_DIR=…
    python -m benchmarks.imbalance --data-dir … --only adult --quick
    python -m benchmarks.imbalance --report            # fills the README from the results

A set is 10,000 rows, drawn so that so many are positive. Three stratified splits hold out two fifths each: at
0.5 % that leaves 30 positives to learn from and 20 to be asked for. Test parts of different splits overlap. The
methods are those of the quality suite; a cell holds one method's fit on one split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedShuffleSplit

from benchmarks.program import Cells, Program
from benchmarks.quality import answered, record
from benchmarks.quality_own import FEATRIX, NET_ONLY, OWN
from benchmarks.quality_sets import FLIGHT_COLUMNS, SEED, Question
from benchmarks.space_cells import Cell, Settings
from benchmarks.space_data import Rows, Task, flights, load
from benchmarks.space_tables import averages, markdown, paired

SETS = ("adult", "bank_marketing", "kdd_census", "flights")
SHARES = (0.01, 0.005)
ROWS, QUICK_ROWS, FLIGHTS = 10_000, 2_000, 60_000
SPLITS, TEST = 3, 0.4
PEERS = ("linear", "LightGBM", "XGBoost", "CatBoost")
SHOWN = (FEATRIX, NET_ONLY, *PEERS)

Unit: TypeAlias = tuple[str, str]
"""Set and share."""
Units: TypeAlias = dict[Unit, dict[str, dict[str, dict[str, Any]]]]
"""Figures by unit, method and split."""


class Rare(Question):
    """A question with few positives, and its splits."""

    def folds(self) -> list[tuple[Rows, Rows]]:
        """(training rows, test rows) of every split; both parts hold their share of positives."""
        cut = StratifiedShuffleSplit(SPLITS, test_size=TEST, random_state=SEED)
        return list(cut.split(self.task.frame, self.task.y_N))


def rare(task: Task, rows: int, share: float) -> Rare:
    """So many rows of a task with two classes, of which this share is positive.

    Drawn with seed 42; the positives of a smaller share are among those of a larger one.
    """
    rng = np.random.default_rng(SEED)
    yes, no = (rng.permutation(np.flatnonzero(task.y_N == label)) for label in (1.0, 0.0))
    positives = round(share * rows)
    if len(yes) < positives or len(no) < rows - positives:
        raise ValueError(f"{task.name} has {len(yes)} positives and {len(no)} negatives")
    kept = np.sort(np.concatenate([yes[:positives], no[: rows - positives]]))
    return Rare(task.take(kept), ("no", "yes"))


def decided(
    y_N: NDArray[np.float64], chance_N: NDArray[np.float64], threshold: float
) -> dict[str, float | None]:
    """Share of the rows that are called positive from a threshold on, of the positives that are (recall), and of
    the called ones that are positive (precision; None where no row is called)."""
    called = chance_N >= threshold
    return {
        "threshold": float(threshold),
        "called": float(called.mean()),
        "recall": float(called[y_N == 1.0].mean()),
        "precision": float(y_N[called].mean()) if called.any() else None,
    }


def measure(settings: Settings, name: str, share: float, method: str, split: int) -> dict[str, Any]:
    """One method on one split."""
    folder = settings.data_dir
    late = name == "flights"
    task = flights(folder, FLIGHTS, FLIGHT_COLUMNS) if late else load(folder, name)
    asked = rare(task, QUICK_ROWS if settings.quick else ROWS, share)
    return measured(asked, method, split, quick=settings.quick)


def measured(asked: Rare, method: str, split: int, *, quick: bool = False) -> dict[str, Any]:
    """What the quality suite keeps of a fold, and what is decided at the method's threshold and at one half."""
    answers = answered(asked, method, split, torch.get_num_threads(), quick=quick)
    found = record(asked, split, answers)
    y_N = asked.task.y_N[asked.folds()[split][1]]
    for key, said in answers.items():
        chance_N = said.said[:, 1]
        found["methods"][key] |= {
            "chosen": decided(y_N, chance_N, said.threshold),
            "half": decided(y_N, chance_N, 0.5),
        }
    return {**found, "test_positives": int(y_N.sum())}


def cells(settings: Settings, sets: list[str]) -> list[Cell]:
    """Cheap methods first."""
    shares, splits = (SHARES[:1], 1) if settings.quick else (SHARES, SPLITS)
    return [
        Cell(
            f"imbalance/{name}/{share:.1%}/{method}/{split}",
            partial(measure, settings, name, share, method, split),
            own=method in OWN,
        )
        for method in (*PEERS, *OWN)
        for name in sets
        for share in shares
        for split in range(splits)
    ]


# -- report ---------------------------------------------------------------------------------------------


def gathered(found: Cells) -> Units:
    """Cells as far as they are there, in the order of the suite."""
    units: Units = {(name, f"{share:.1%}"): {} for name in SETS for share in SHARES}
    for key, cell in found.items():
        _, name, share, _, split = key.split("/")
        for method, figures in cell["methods"].items():
            units[name, share].setdefault(method, {})[split] = figures
    return {unit: methods for unit, methods in units.items() if methods}


def whole(units: Units, methods: list[str]) -> Units:
    """Units that all the methods have answered, on the same splits."""
    return {
        unit: by
        for unit, by in units.items()
        if all(m in by and set(by[m]) == set(by[methods[0]]) for m in methods)
    }


def report(found: Cells) -> list[str]:
    """Figures by set and share, the means, what is decided, differences, and the losses that were chosen."""
    units = gathered(found)
    methods = [m for m in SHOWN if any(m in by for by in units.values())]
    parts = [
        _by_unit(units, methods, "pr_auc", "PR-AUC"),
        _by_unit(units, methods, "log_loss", "log loss"),
        _means(whole(units, methods), methods),
        _decisions(whole(units, methods), methods),
        _differences(units, methods),
        _losses(units),
    ]
    return [line for part in parts if part for line in [*part, ""]][:-1]


def _values(by_split: Mapping[str, dict[str, Any]], figure: str) -> dict[str, float]:
    return {split: float(figures[figure]) for split, figures in by_split.items()}


def _mean(by_split: Mapping[str, dict[str, Any]], figure: str) -> float:
    return float(np.mean(list(_values(by_split, figure).values())))


def _by_unit(units: Units, methods: list[str], figure: str, title: str) -> list[str]:
    rows = []
    for (name, share), by in units.items():
        p = float(share.rstrip("%")) / 100.0
        alone = p if figure == "pr_auc" else float(-p * np.log(p) - (1.0 - p) * np.log(1.0 - p))
        told = [f"{_mean(by[m], figure):.4f}" if m in by else "" for m in methods]
        rows.append([name, share, *told, f"{alone:.4f}"])
    return markdown([f"{title} of", "positives", *methods, "base rate alone"], rows, left=2)


def _means(units: Units, methods: list[str]) -> list[str]:
    if not units:
        return []
    rows = []
    for method in methods:
        own = [by[method] for by in units.values()]
        seconds = [f["fit_seconds"] for by in own for f in by.values()]
        means = [f"{np.mean([_mean(by, f) for by in own]):.4f}" for f in ("pr_auc", "roc_auc", "log_loss")]  # fmt: skip
        rows.append([method, *means, f"{np.median(seconds):.1f}", f"{max(seconds):.1f}"])
    head = [f"means over {len(units)} sets and shares", "PR-AUC", "AUC", "log loss"]
    return markdown([*head, "seconds to fit, median", "largest"], rows)


def _decisions(units: Units, methods: list[str]) -> list[str]:
    """At every method's own threshold, and for those that choose one at one half as well."""
    rows = []
    for method in methods if units else []:
        for key in ("chosen", "half") if method in (FEATRIX, NET_ONLY) else ("half",):
            fits = [f[key] for by in units.values() for f in by[method].values()]
            none = sum(fit["called"] == 0.0 for fit in fits)
            precise = [fit["precision"] for fit in fits if fit["precision"] is not None]
            rows.append(
                [
                    method,
                    "chosen" if key == "chosen" else "0.5",
                    f"{np.mean([fit['called'] for fit in fits]):.2%}",
                    f"{np.mean([fit['recall'] for fit in fits]):.1%}",
                    f"{np.mean(precise):.1%}" if precise else "",
                    f"{none} of {len(fits)}",
                ]
            )
    head = ["method", "threshold", "rows called positive", "recall", "precision where any is"]
    return markdown([*head, "fits that call none"], rows, left=2) if rows else []


def _differences(units: Units, methods: list[str]) -> list[str]:
    rows = []
    for own in (FEATRIX, NET_ONLY):
        for peer in PEERS:
            both = [by for by in units.values() if own in by and peer in by]
            row = [
                averages(paired(_values(by[own], f), _values(by[peer], f)) for by in both)
                for f in ("pr_auc", "roc_auc", "log_loss")
            ]
            rows += [[f"{own} − {peer}", *row]] if both else []
    head = ["mean difference over sets and shares; how many above zero", "PR-AUC", "AUC"]
    return markdown([*head, "log loss (below zero is better)"], rows) if rows else []


def _losses(units: Units) -> list[str]:
    rows = []
    for share in dict.fromkeys(share for _, share in units):
        chosen = Counter(
            figures["notes"]["predictor"]["loss"]["loss"]
            + (", class weights" if figures["notes"]["predictor"]["loss"]["class_weights"] else "")
            for (_, own), by in units.items()
            if own == share
            for figures in by.get(FEATRIX, {}).values()
        )
        if chosen:
            rows.append([share, ", ".join(f"{loss} {n}" for loss, n in chosen.most_common())])
    return markdown(["positives", "losses that the nets chose, fits"], rows, left=2) if rows else []


PROGRAM = Program(
    "imbalance", "bench-imbalance", (__doc__ or "").splitlines()[0], SETS, cells, report
)

if __name__ == "__main__":
    PROGRAM.main()
