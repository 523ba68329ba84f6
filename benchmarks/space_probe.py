"""Embedding quality: probes on frozen embeddings beside other representations; heads and trees beside them.

For every fold a representation learns from the columns of the training rows, without the target; probes and heads
then learn from the labels of the same rows. All methods of a fold see the same rows.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from benchmarks.space_arms import (
    embedded,
    head_score,
    plan_of,
    train_scarf,
    train_space,
    tree_scores,
)
from benchmarks.space_cells import Cell, Settings
from benchmarks.space_data import Task, facts, load
from benchmarks.space_designs import (
    Pair,
    autoencoder,
    main_components,
    one_hot,
    parsed,
    skrub_vectors,
)
from benchmarks.space_probes import probe_scores
from benchmarks.space_tables import averages, markdown, paired, scores_of

QUESTION = "frozen embeddings under linear, k-NN and MLP probes beside other representations"
SETS = (
    "german_credit",
    "titanic1309",
    "bikeshare",
    "diamonds",
    "telco_churn",
    "adult",
    "king_county",
    "bank_marketing",
)
ROWS = 2_500
FOLDS = 5
PROBED = ("space", "one-hot", "one-hot + PLE", "PCA", "TableVectorizer", "autoencoder", "SCARF")
"""Representations; each is read by all three probes."""
HEADS = ("fine-tuned", "LightGBM", "CatBoost")
OWN = ("space", "SCARF", "fine-tuned")
REFERENCE = ("one-hot + PLE", "linear")
FIRST = (
    "space",
    "one-hot + PLE",
    "CatBoost",
    "LightGBM",
    "one-hot",
    "PCA",
    "TableVectorizer",
    "autoencoder",
)
THEN = {"fine-tuned": 3, "SCARF": 2}
"""Folds of what takes as long as a space and all probes together."""


def _split(settings: Settings, name: str, fold: int) -> tuple[Task, Task]:
    task = load(settings.data_dir, name, settings.rows(ROWS))
    train, test = task.folds(FOLDS)[fold]
    return task.take(train), task.take(test)


def measure(settings: Settings, name: str, method: str, fold: int) -> dict[str, Any]:
    """One method on one fold."""
    train, test = _split(settings, name, fold)
    seed = 42 + fold
    record: dict[str, Any] = {**facts(train), "measure": train.measure}
    if method in HEADS:
        return {**record, **_head(settings, method, train, test, seed)}
    pair, more = _represented(settings, method, train, test, seed)
    scores = probe_scores(pair, train.y_N, test.y_N, train.classes)
    return {**record, **more, "width": int(pair[0].shape[1]), "scores": scores}


def _head(settings: Settings, method: str, train: Task, test: Task, seed: int) -> dict[str, Any]:
    if method in ("LightGBM", "CatBoost"):
        return {"scores": {"": tree_scores(method, train, test, seed)}}
    space, record = train_space(train, seed, settings.epochs)
    said = head_score(space, train, test, seed, fine_tune=True, epochs=settings.epochs)
    return {**record, "scores": {"": said}}


def _represented(
    settings: Settings, method: str, train: Task, test: Task, seed: int
) -> tuple[Pair, dict[str, Any]]:
    if method in ("space", "SCARF"):
        trained = train_space(train, seed, settings.epochs)
        if method == "space":
            return embedded(trained.space, train, test), trained.record
        scarf = train_scarf(train, seed, int(trained.record["plan"]["updates"]))
        scarf.training_info = {"updates": trained.record["plan"]["updates"]}
        return embedded(scarf, train, test), plan_of(scarf, 0.0)
    if method == "TableVectorizer":
        return skrub_vectors(train.frame, test.frame), {}
    pair = one_hot(*parsed(train.frame, test.frame), bins=method != "one-hot")
    if method == "PCA":
        return main_components(pair, seed), {}
    if method == "autoencoder":
        updates = 10 if settings.quick else 2_000
        return autoencoder(pair, seed, updates), {"updates": updates}
    return pair, {}


def cells(settings: Settings) -> list[Cell]:
    """What the goals are about first, fold by fold, so that every set is there early."""
    folds = 1 if settings.quick else FOLDS
    return [
        Cell(
            f"probe/{name}/{method}/{fold}",
            functools.partial(measure, settings, name, method, fold),
            own=method in OWN,
        )
        for methods in (FIRST, tuple(THEN))
        for fold in range(folds)
        for name in SETS
        for method in methods
        if fold < THEN.get(method, FOLDS)
    ]


def report(found: dict[str, dict[str, Any]]) -> list[str]:
    """Means over folds per set, and paired differences to logistic regression on one-hot + PLE."""
    scores = scores_of(found)  # (set, method, probe) → fold → score
    columns = [
        *((method, probe) for probe in ("linear", "knn", "mlp") for method in PROBED),
        *((method, "") for method in HEADS),
    ]
    sets = [name for name in SETS if (name, *REFERENCE) in scores]
    rows = []
    for method, probe in columns:
        if not any((name, method, probe) in scores for name in sets):
            continue
        folds = [scores.get((name, method, probe), {}) for name in sets]
        cells_ = ["" if not own else f"{np.mean(list(own.values())):.3f}" for own in folds]
        gains = [
            paired(own, scores[name, *REFERENCE])
            for name, own in zip(sets, folds, strict=True)
            if own
        ]
        rows.append([method, probe, *cells_, averages(gains)])
    head = ["method", "probe", *sets, "mean difference to one-hot + PLE, linear; sets ahead"]
    lines = markdown(head, rows)
    lines += ["", *_goals(scores, sets)]
    return lines


def _goals(scores: dict[Any, dict[str, float]], sets: list[str]) -> list[str]:
    rows = []
    for name in sets:
        cells_ = []
        for one, other in (
            (("space", "linear"), REFERENCE),
            (("space", "mlp"), REFERENCE),
            (("fine-tuned", ""), ("CatBoost", "")),
        ):
            own, beside = scores.get((name, *one)), scores.get((name, *other))
            gain = None if own is None or beside is None else paired(own, beside)
            cells_.append("" if gain is None else gain.text)
        rows.append([name, *cells_])
    head = ["paired by fold, 95 % t interval", "linear − reference", "MLP − reference"]
    return markdown([*head, "fine-tuned − CatBoost"], rows)
