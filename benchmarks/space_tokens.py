"""Do relationships earn their place? The same space with its active pairs, with all pairs, with none, and with the
source's eight tokens per pair, on tables whose targets ask for interactions, and on planted ones."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

from benchmarks.space_arms import embedded, head_score, train_space
from benchmarks.space_cells import Cell, Settings
from benchmarks.space_data import facts, load
from benchmarks.space_operations import TOKENS
from benchmarks.space_probes import probe_scores
from benchmarks.space_replace import Change
from benchmarks.space_switches import EVERY_PAIR, NO_PAIRS, switches
from benchmarks.space_tables import markdown, mean, paired, scores_of

QUESTION = "fine-tuned and frozen score with and without relationships"
SETS = ("diamonds", "bikeshare", "king_county", "planted")
ROWS = 2_000
FOLDS = 3
FEW_FOLDS = 2
"""Folds of what takes longest: eight tokens per pair, and heads."""
CHOSEN = "chosen pairs"
ARMS = (NO_PAIRS, CHOSEN, EVERY_PAIR, TOKENS)
PROBES = ("linear", "knn", "mlp")


def measure(settings: Settings, name: str, arm: str, read: str, fold: int) -> dict[str, Any]:
    """Scores of one arm on one fold: the probes, or the fine-tuned predictor."""
    task = load(settings.data_dir, name, settings.rows(ROWS))
    train, test = (task.take(rows) for rows in task.folds(FOLDS)[fold])
    change: Change = contextlib.nullcontext if arm == CHOSEN else switches()[arm]
    space, record = train_space(
        train, 42 + fold, settings.epochs, arm=f"tokens: {arm}", change=change
    )
    if (record["plan"]["pairs"] == 0) != (arm == NO_PAIRS):
        raise RuntimeError(f"{arm}: the space has {record['plan']['pairs']} active pairs")
    with change():
        if read == "frozen":
            pair = embedded(space, train, test)
            scores = probe_scores(pair, train.y_N, test.y_N, train.classes)
        else:
            value = head_score(
                space, train, test, 42 + fold, fine_tune=True, epochs=settings.epochs
            )
            scores = {"fine-tuned": value}
    return {**facts(train), **record, "measure": train.measure, "scores": scores}


def cells(settings: Settings) -> list[Cell]:
    """All arms of a fold after one another, so that every comparison is complete early; frozen ones first."""
    folds = 1 if settings.quick else FOLDS
    return [
        Cell(
            f"tokens/{name}/{arm}/{read}/{fold}",
            functools.partial(measure, settings, name, arm, read, fold),
        )
        for read in ("frozen", "tuned")
        for fold in range(folds)
        for name in SETS
        for arm in ARMS
        if not (read == "tuned" and arm in (TOKENS, EVERY_PAIR))
        if not (fold >= FEW_FOLDS and (read == "tuned" or arm == TOKENS))
    ]


def report(found: dict[str, dict[str, Any]]) -> list[str]:
    """Score without pairs, and paired differences to it; per set and way of reading. Seconds of training."""
    scores = {(key[0], key[1], key[3]): value for key, value in scores_of(found).items()}
    rows = []
    for name in SETS:
        for probe in (*PROBES, "fine-tuned"):
            bare = scores.get((name, NO_PAIRS, probe), {})
            gains = [paired(scores.get((name, arm, probe), {}), bare) for arm in ARMS[1:]]
            if any(gains):
                shown = ["" if gain is None else gain.text for gain in gains]
                rows.append([name, probe, mean(bare, 4), *shown])
    head = ["set", "read by", NO_PAIRS, *(f"{arm} − none" for arm in ARMS[1:])]
    lines = markdown(head, rows, left=2)
    seconds = {
        arm: [c["train_seconds"] for n, c in found.items() if f"/{arm}/frozen/" in n]
        for arm in ARMS
    }
    told = [f"{arm} {sum(s) / len(s):.0f} s" for arm, s in seconds.items() if s]
    return [*lines, "", f"Training took, in the mean: {', '.join(told)}."] if told else lines
