"""The plan's values against the source's: one row for every value that differs (TRAIN-2).

A space is trained with our plan, but for one value that is the source's for this table (`training.source_rules`);
the source's 36,000 updates are cut to 1,500. What is compared is the frozen linear probe, the validation loss and
the seconds.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from torch import Tensor

from benchmarks.space_arms import embedded, train_space
from benchmarks.space_cells import Cell, Settings
from benchmarks.space_data import Task, facts, load
from benchmarks.space_designs import Pair
from benchmarks.space_probes import linear, scaled, score
from benchmarks.space_replace import Change, replaced
from benchmarks.space_switches import every_pair
from benchmarks.space_tables import averages, markdown, paired, scores_of
from featrix_core.training import source_rules
from featrix_core.training.plan import TrainingPlan

QUESTION = "every value of the plan that is not the source's: one row each"
SETS = ("german_credit", "titanic1309", "bikeshare", "adult")
ROWS = 1_500
PARTS = 2
"""One half trains, the other one tests; once per table."""
OURS, ALL = "ours", "all of them"
CLASS_WEIGHTS = "class weights"
MOST_UPDATES = 1_500
"""Of the source's 36,000: five times ours; all of them take hours."""

Values = Callable[[TrainingPlan, int], dict[str, Any]]
"""(our plan, training rows) → fields with the source's values."""


def _updates(plan: TrainingPlan, rows: int) -> dict[str, Any]:
    return {"epochs": math.ceil(MOST_UPDATES / plan.steps_per_epoch)}


def _rate(plan: TrainingPlan, rows: int) -> dict[str, Any]:
    return {"learning_rate": source_rules.PEAK_FACTOR * source_rules.learning_rate(rows)}


def _decay(plan: TrainingPlan, rows: int) -> dict[str, Any]:
    return {"weight_decay": source_rules.weight_decay(rows)}


PLANS: dict[str, Values] = {
    "learning rate": _rate,
    "weight decay": _decay,
    "updates": _updates,
    "dropout": lambda plan, rows: {"dropout": source_rules.DROPOUT[0]},
    "clipping": lambda plan, rows: {"clip_ratio": source_rules.CLIP_RATIO},
}
SHAPES: dict[str, dict[str, int]] = {
    "d_model": {"d_model": 128},
    "d_model 256": {"d_model": 256},
    "token width": {"width": 128, "heads": 4},
    "layers": {"layers": source_rules.LAYERS},
    "heads": {"heads": source_rules.HEADS},
    "heads 16": {"heads": 16},
}


@contextlib.contextmanager
def _planned(changes: list[Values], *, batch: bool = False) -> Iterator[None]:
    """`plan_space` gives our plan with the source's values in these fields; `batch`: and its batch size."""
    from featrix_core.training.plan import plan_space as ours

    def plan_space(
        n_rows: int, *, epochs: int | None = None, batch_size: int | None = None, seed: int = 42
    ) -> TrainingPlan:
        size = source_rules.batch_size(n_rows) if batch else batch_size
        plan = ours(n_rows, epochs=epochs, batch_size=size, seed=seed)
        for change in changes:
            found = change(plan, n_rows)
            if epochs is not None:  # of a quick run
                found.pop("epochs", None)
            plan = plan.model_copy(update=found)
        return plan

    with replaced("featrix_core.embedding_space", "plan_space", plan_space):
        yield


@contextlib.contextmanager
def _shaped(**values: int) -> Iterator[None]:
    from featrix_core.space.plan import plan_shape as ours

    def plan_shape() -> Any:
        return ours().model_copy(update=values)

    with replaced("featrix_core.embedding_space", "plan_shape", plan_shape):
        yield


def _full_masks(missing_BA: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """40–60 % of a row's columns are hidden in one view and all others in the other; fewer on sparse rows."""
    rows, columns = missing_BA.shape
    share = torch.empty(rows, 1).uniform_(0.4, 0.6, generator=generator)
    side = torch.rand(rows, columns, generator=generator) < share
    there = 1.0 - missing_BA.float().mean(dim=1, keepdim=True).cpu()
    kept = torch.rand(rows, columns, generator=generator) < there
    return side & kept, ~side & kept


def _curriculum() -> Change:
    return functools.partial(replaced, "featrix_core.space.objective", "CONTRASTIVE_SCALE", 1.0)


def _masks() -> Change:
    return functools.partial(
        replaced, "featrix_core.space.objective", "complementary_masks", _full_masks
    )


@contextlib.contextmanager
def _everything() -> Iterator[None]:
    """The source's values at once: 128 numbers, 8 heads, 3 layers, and all the rest."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_planned(list(PLANS.values()), batch=True))
        shape = {"d_model": 128, "width": 128, "heads": source_rules.HEADS}
        stack.enter_context(_shaped(**shape, layers=source_rules.LAYERS))
        stack.enter_context(_curriculum()())
        stack.enter_context(_masks()())
        yield


def arms() -> dict[str, Change]:
    """What is changed, by the name of its row; `planning.PlanValue.benchmark` names these rows."""
    return {
        OURS: contextlib.nullcontext,
        **{name: functools.partial(_planned, [change]) for name, change in PLANS.items()},
        "batch size": functools.partial(_planned, [], batch=True),
        **{name: functools.partial(_shaped, **values) for name, values in SHAPES.items()},
        "curriculum": _curriculum(),
        "hidden cells": _masks(),
        "column pairs": every_pair,
        ALL: _everything,
    }


def rows() -> tuple[str, ...]:
    """Names of all rows."""
    return (*(name for name in arms() if name != OURS), CLASS_WEIGHTS)


def measure(settings: Settings, name: str, arm: str, fold: int) -> dict[str, Any]:
    """One arm on one fold."""
    task = load(settings.data_dir, name, settings.rows(ROWS))
    train, test = (task.take(part) for part in task.folds(PARTS)[fold])
    which = OURS if arm == CLASS_WEIGHTS else arm
    seed = 42 + fold
    space, record = train_space(train, seed, settings.epochs, arm=which, change=arms()[which])
    pair = embedded(space, train, test)
    if arm == CLASS_WEIGHTS:
        return {**facts(train), **record, **_weighted(pair, train, test)}
    said = linear(pair, train.y_N, train.classes)
    scores = {"linear": score(test.y_N, said, train.classes)}
    return {**facts(train), **record, "measure": train.measure, "scores": scores}


def _weighted(pair: Pair, train: Task, test: Task) -> dict[str, Any]:
    """Logistic regression with the source's class weights and without: AUC and log loss."""
    counts = {str(c): int((train.y_N == c).sum()) for c in (0.0, 1.0)}
    weights = {float(c): value for c, value in source_rules.class_weights(counts).items()}
    fit, held = scaled(pair)
    scores, losses = {}, {}
    for name, used in (("linear", weights), ("unweighted", None)):
        model = LogisticRegression(C=1e-2, max_iter=1000, class_weight=used).fit(fit, train.y_N)
        chance = model.predict_proba(held)[:, 1]
        scores[name] = score(test.y_N, chance, True)
        losses[name] = float(log_loss(test.y_N, chance, labels=[0.0, 1.0]))
    return {"measure": "AUC", "scores": scores, "log_loss": losses}


def cells(settings: Settings) -> list[Cell]:
    """All rows of a fold of a set after one another; class weights only where there are classes."""
    numbers = ("bikeshare",)
    return [
        Cell(f"plan/{name}/{arm}/{fold}", functools.partial(measure, settings, name, arm, fold))
        for fold in (0,)
        for name in SETS
        for arm in (*arms(), CLASS_WEIGHTS)
        if not (arm == CLASS_WEIGHTS and name in numbers)
    ]


def report(found: dict[str, dict[str, Any]]) -> list[str]:
    """Per row: the score with the source's value minus ours, paired by fold; loss and time beside ours."""
    scores = scores_of(found)
    table = []
    for arm in rows():
        against = "unweighted" if arm == CLASS_WEIGHTS else "linear"
        other = CLASS_WEIGHTS if arm == CLASS_WEIGHTS else OURS
        gains = [
            paired(scores.get((s, arm, "linear"), {}), scores.get((s, other, against), {}))
            for s in SETS
        ]
        if not any(gains):
            continue
        shown = ["" if gain is None else f"{gain.mean:+.4f}" for gain in gains]
        table.append([arm, *shown, averages(gains), *_beside(found, arm)])
    head = ["the source's value of", *SETS, "mean; sets ahead", "validation loss", "seconds"]
    lines = markdown(head, table)
    return [*lines, *_log_losses(found)]


def _beside(found: dict[str, dict[str, Any]], arm: str) -> tuple[str, str]:
    """Mean relative change of the validation loss, and how many times as long it takes."""
    losses, times = [], []
    for name, cell in found.items():
        _, table, which, fold = name.split("/")
        ours = found.get(f"plan/{table}/{OURS}/{fold}")
        if which == arm and ours is not None and arm != CLASS_WEIGHTS:
            loss = [float(c["plan"]["final_validation_loss"]) for c in (cell, ours)]
            losses.append(loss[0] / loss[1] - 1.0)
            times.append(float(cell["train_seconds"]) / float(ours["train_seconds"]))
    if not losses:
        return "", ""
    return f"{np.mean(losses):+.1%}", f"× {np.mean(times):.1f}"


def _log_losses(found: dict[str, dict[str, Any]]) -> list[str]:
    """What class weights do to the probabilities."""
    pairs = [cell["log_loss"] for cell in found.values() if "log_loss" in cell]
    if not pairs:
        return []
    weighted, plain = (np.mean([p[key] for p in pairs]) for key in ("linear", "unweighted"))
    return ["", f"Log loss with class weights {weighted:.4f}, without {plain:.4f}."]
