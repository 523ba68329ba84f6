"""Do relationship tokens earn their place? The same space with its token budget and with none, on tables whose
targets ask for interactions, and on planted ones."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

from benchmarks.space_arms import Arm, embedded, head_score, train_space
from benchmarks.space_cells import Cell, Settings
from benchmarks.space_data import facts, load
from benchmarks.space_probes import probe_scores
from benchmarks.space_switches import NO_TOKENS, switches
from benchmarks.space_tables import markdown, mean, paired, scores_of

QUESTION = "fine-tuned and frozen score with and without relationship tokens"
SETS = ("diamonds", "bikeshare", "king_county", "planted")
ROWS = 8_000
FOLDS = 5
TOKENS = "tokens"
ARMS = (TOKENS, NO_TOKENS)
PROBES = ("linear", "knn", "mlp")


def measure(settings: Settings, name: str, arm: str, read: str, fold: int) -> dict[str, Any]:
    """Scores of one arm on one fold: the probes, or the fine-tuned predictor."""
    task = load(settings.data_dir, name, settings.rows(ROWS))
    train, test = (task.take(rows) for rows in task.folds(FOLDS)[fold])
    change: Arm = contextlib.nullcontext if arm == TOKENS else switches()[arm]
    space, record = train_space(
        train, 42 + fold, settings.epochs, arm=f"tokens: {arm}", change=change
    )
    if (record["plan"]["pairs"] > 0) != (arm == TOKENS):
        raise RuntimeError(f"{arm}: the space has {record['plan']['pairs']} active pairs")
    if read == "frozen":
        scores = probe_scores(embedded(space, train, test), train.y_N, test.y_N, train.classes)
    else:
        value = head_score(space, train, test, 42 + fold, fine_tune=True, epochs=settings.epochs)
        scores = {"fine-tuned": value}
    return {**facts(train), **record, "measure": train.measure, "scores": scores}


def cells(settings: Settings) -> list[Cell]:
    """Both arms of a fold after one another, so that every pair is complete early."""
    folds = 1 if settings.quick else FOLDS
    return [
        Cell(
            f"tokens/{name}/{arm}/{read}/{fold}",
            functools.partial(measure, settings, name, arm, read, fold),
        )
        for fold in range(folds)
        for name in SETS
        for arm in ARMS
        for read in ("frozen", "tuned")
    ]


def report(found: dict[str, dict[str, Any]]) -> list[str]:
    """With, without, paired difference; per set and way of reading."""
    scores = {(key[0], key[1], key[3]): value for key, value in scores_of(found).items()}
    rows = []
    for name in SETS:
        for probe in (*PROBES, "fine-tuned"):
            own, bare = (scores.get((name, arm, probe), {}) for arm in ARMS)
            gain = paired(own, bare)
            if gain is not None:
                rows.append([name, probe, mean(own, 4), mean(bare, 4), gain.text])
    head = ["set", "read by", "with tokens", "without", "paired difference"]
    lines = markdown(head, rows, left=2)
    seconds = [
        [
            f"{cell['train_seconds']:.1f}"
            for n, cell in found.items()
            if n.split("/")[2] == arm and "/frozen/" in n
        ]
        for arm in ARMS
    ]
    if all(seconds):
        means = [sum(map(float, own)) / len(own) for own in seconds]
        lines += ["", f"Training took {means[0]:.0f} s with tokens, {means[1]:.0f} s without."]
    return lines
