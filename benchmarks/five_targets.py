"""One space, five targets: seconds and scores beside boosted trees that are fitted anew for every target.

    make bench-targets DATA_DIR=…
    python -m benchmarks.five_targets --data-dir … --only adult --quick
    python -m benchmarks.five_targets --report            # fills the README from the results

None of the five target columns is among those that the space or a rival sees. The space is trained once, on four
fifths of 5,000 rows; each predictor gets these rows with the labels of its target, and so does each rival. All
answer the same last fifth. A cell holds all methods for one target; the cells of a set share the space.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.program import Cells, Program
from benchmarks.quality_figures import SCORE, Answers, figures
from benchmarks.quality_own import FEATRIX, NET_ONLY, predictor_answers
from benchmarks.quality_peers import peer_answers
from benchmarks.quality_sets import SEED, Question
from benchmarks.space_arms import train_space
from benchmarks.space_cells import Cell, Settings
from benchmarks.space_data import SETS as ALL
from benchmarks.space_data import Task, facts, load_targets
from benchmarks.space_labels import TEST
from benchmarks.space_tables import Gain, markdown
from benchmarks.space_targets import SETS
from featrix_core.predictor.metrics import MetricName, bootstrap_difference

ROWS = 5_000
PEERS = ("LightGBM", "CatBoost")
SHOWN = (FEATRIX, NET_ONLY, *PEERS)
METRICS: dict[str, MetricName] = {"roc_auc": "roc_auc", "r2": "r2"}


def targets(name: str) -> tuple[str, ...]:
    """The five columns of a set that are predicted."""
    return ALL[name].drop[0], *ALL[name].others


def measure(settings: Settings, name: str, target: str) -> dict[str, Any]:
    """All methods for one target."""
    task = load_targets(settings.data_dir, name, settings.rows(ROWS))[target]
    # Not by class: all targets of a set share training rows, and with them the space.
    train, test = task.parted(TEST, SEED, by_class=False)
    return measured(train, test, quick=settings.quick, epochs=settings.epochs)


def measured(train: Task, test: Task, *, quick: bool, epochs: int | None) -> dict[str, Any]:
    """Figures by method, and differences of the score with a 95 % bootstrap interval over the test rows."""
    names = ("no", "yes") if train.classes else ()
    kind = Question(train, names).kind
    space, space_record = train_space(train, SEED, epochs)
    y = pd.Series(np.where(train.y_N > 0, *reversed(names)) if names else train.y_N)
    answers: dict[str, Answers] = predictor_answers(
        space, train.frame, y, test.frame, kind, SEED, names=names, epochs=epochs
    )
    for peer in PEERS:
        answers[peer] = peer_answers(
            peer, train.frame, train.y_N, test.frame,
            classes=len(names), seed=SEED, threads=torch.get_num_threads(), quick=quick,
        )  # fmt: skip
    metric = METRICS[SCORE[kind]]
    return {
        "kind": kind,
        "measure": train.measure,
        **facts(train),
        "test_rows": len(test.y_N),
        "space_seconds": space_record["train_seconds"],
        "space_columns": list(space.schema.names),
        "space_plan": space_record["plan"],
        "methods": {m: figures(kind, test.y_N, said) for m, said in answers.items()},
        "differences": {
            own: {
                peer: bootstrap_difference(
                    metric, test.y_N, answers[own].said, answers[peer].said, seed=SEED
                )
                for peer in PEERS
            }
            for own in (FEATRIX, NET_ONLY)
        },
    }


def cells(settings: Settings, sets: list[str]) -> list[Cell]:
    """Set by set, so that a space is trained once."""
    return [
        Cell(f"targets/{name}/{target}", partial(measure, settings, name, target))
        for name in sets
        for target in (targets(name)[:2] if settings.quick else targets(name))
    ]


# -- report ---------------------------------------------------------------------------------------------


def report(found: Cells) -> list[str]:
    """Scores of every target with their differences; seconds of every model and of the space."""
    there = {
        name: {t: found[key] for t in targets(name) if (key := f"targets/{name}/{t}") in found}
        for name in SETS
    }
    there = {name: by_target for name, by_target in there.items() if by_target}
    return [*_scores(there), "", *_ahead(there), "", *_seconds(there)]


def _scores(there: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    rows = []
    for name, by_target in there.items():
        for target, cell in by_target.items():
            scores = [f"{cell['methods'][m][SCORE[cell['kind']]]:.4f}" for m in SHOWN]
            apart = [_gain(cell, FEATRIX, peer).text for peer in PEERS]
            rows.append([name, target, cell["measure"], *scores, *apart])
    head = ["set", "target", "measure", *SHOWN, *(f"{FEATRIX} − {peer}" for peer in PEERS)]
    return markdown(head, rows, left=3)


def _gain(cell: dict[str, Any], own: str, peer: str) -> Gain:
    mean, low, high = cell["differences"][own][peer]
    return Gain(mean, low, high, cell["test_rows"])


def _ahead(there: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    every = [cell for by_target in there.values() for cell in by_target.values()]
    rows = []
    for own in (FEATRIX, NET_ONLY):
        for peer in PEERS:
            gains = [_gain(cell, own, peer) for cell in every]
            won, lost = sum(g.low > 0 for g in gains), sum(g.high < 0 for g in gains)
            counts = f"{won} / {len(gains) - won - lost} / {lost}"
            rows.append([own, peer, counts, f"{np.mean([g.mean for g in gains]):+.4f}"])
    head = ["method", "against", "targets won / tied / lost", "mean difference, AUC or R²"]
    return markdown(head, rows, left=2)


def _seconds(there: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    rows = []
    for name, by_target in there.items():
        # One training; where the code changed between cells there were more, and the last one counts.
        space = list(by_target.values())[-1]["space_seconds"]
        for method in (FEATRIX, *PEERS):
            once = space if method == FEATRIX else 0.0
            fits = [cell["methods"][method]["fit_seconds"] for cell in by_target.values()]
            each = " + ".join(f"{value:.1f}" for value in fits)
            rows.append([name, method, f"{once:.1f}" if once else "", each, f"{once + sum(fits):.1f}"])  # fmt: skip
    head = ["set", "seconds of", "the space, once", "each target", "together"]
    return markdown(head, rows, left=2)


PROGRAM = Program(
    "five_targets", "bench-targets", (__doc__ or "").splitlines()[0], SETS, cells, report
)

if __name__ == "__main__":
    PROGRAM.main()
