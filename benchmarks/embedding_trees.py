"""Would boosted trees on row embeddings add anything to what answers by default? (PRED-7)

    make bench-embedding-trees DATA_DIR=…
    python -m benchmarks.embedding_trees --data-dir … --only german_credit --quick
    python -m benchmarks.embedding_trees --report            # fills the README from the results

On the first fold of a set a space and a predictor are trained as always. Beside them stands LightGBM, with the settings
and the early stopping that it has in a predictor, on raw columns, on row embeddings and on both. What the trees on
embeddings could add at most is told by the share of the answer that is best for them on the test rows themselves: no
rule that has to choose a share without these rows gains more. Losses are of uncalibrated answers.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from benchmarks.program import Cells, Program
from benchmarks.quality_own import FEATRIX, GOAL
from benchmarks.quality_sets import SEED, Question, question
from benchmarks.space_cells import Cell, Settings
from benchmarks.space_data import facts
from benchmarks.space_tables import markdown
from featrix_core import EmbeddingSpace, SinglePredictor
from featrix_core.predictor.boosted import Sample
from featrix_core.predictor.design import Features
from featrix_core.predictor.ensemble import Answers, blend, loss_of
from featrix_core.predictor.leafwise import fit_leafwise

SETS = (
    "german_credit",
    "medical_cost",
    "attrition",
    "telco_churn",
    "bikeshare",
    "king_county",
    "bank_marketing",
    "adult",
)
QUICK_ROWS = 500
HELD = 0.15
RAW, EMBEDDED, BOTH = "raw columns", "row embedding", "both"
SHARES = np.linspace(0.0, 1.0, 26)


def measure(settings: Settings, name: str) -> dict[str, Any]:
    """One set."""
    asked = question(settings.data_dir, name, QUICK_ROWS if settings.quick else None)
    return measured(asked, settings.epochs)


def measured(asked: Question, epochs: int | None) -> dict[str, Any]:
    """Losses on the test rows of the first fold by what is read, and the best share of trees on row embeddings."""
    fold = asked.folds()[0]
    train, test = (asked.task.frame.iloc[rows].reset_index(drop=True) for rows in fold)
    y_N, y_test_N = (asked.task.y_N[rows] for rows in fold)
    space = EmbeddingSpace(train, n_epochs=epochs, seed=SEED).train()
    predictor = SinglePredictor(space, seed=SEED)
    said = np.asarray(asked.names)[y_N.astype(int)] if asked.names else y_N
    predictor.prep_for_training(
        train.assign(**{GOAL: said}), GOAL, "set" if asked.names else "scalar"
    ).train(epochs)
    coding, ensemble = predictor.coding, predictor.ensemble
    assert coding is not None and ensemble is not None
    if asked.names:
        place = np.array([coding.classes.index(name) for name in asked.names], np.float64)
        y_N, y_test_N = place[y_N.astype(int)], place[y_test_N.astype(int)]
    target_N, truth_N = (coding.tensor(each).numpy() for each in (y_N, y_test_N))
    answers = {FEATRIX: ensemble.answer(predictor.tokens(test))[0]}
    of_train, of_test = (_read(space, predictor, frame) for frame in (train, test))
    fit, stop = train_test_split(
        np.arange(len(train)),
        test_size=HELD,
        random_state=SEED,
        stratify=target_N if asked.names else None,
    )
    for what, read in of_train.items():
        trees = fit_leafwise(Sample(read, target_N, coding.outputs), fit, stop, SEED)
        answers[what] = trees.answer(of_test[what])
    share, loss = best_share(answers[FEATRIX], answers[EMBEDDED], truth_N, bool(asked.names))
    return {
        "kind": asked.kind,
        **facts(asked.task),
        "losses": {name: loss_of(each, truth_N) for name, each in answers.items()},
        "best_share": share,
        "best_loss": loss,
    }


def best_share(
    own: Answers, other: Answers, truth_N: NDArray[Any], classification: bool
) -> tuple[float, float]:
    """The other's share of a blend with the least loss on these rows, and that loss."""
    both = {FEATRIX: own, EMBEDDED: other}
    losses = [
        loss_of(blend(both, {FEATRIX: 1.0 - part, EMBEDDED: part}, classification), truth_N)
        for part in SHARES.tolist()
    ]
    best = int(np.argmin(losses))
    return float(SHARES[best]), losses[best]


def _read(
    space: EmbeddingSpace, predictor: SinglePredictor, frame: pd.DataFrame
) -> dict[str, Features]:
    """What the trees are given of a table's rows."""
    assert predictor.ensemble is not None and predictor.ensemble.design is not None
    design = predictor.ensemble.design
    raw = design.shown.of(design.features(predictor.tokens(frame)))
    row_NM = space.encode(frame)
    return {
        RAW: raw,
        EMBEDDED: Features(row_NM, np.zeros((len(frame), 0), np.int64)),
        BOTH: Features(np.concatenate([raw.numbers_NF, row_NM], axis=1), raw.codes_NK),
    }


def cells(settings: Settings, sets: list[str]) -> list[Cell]:
    """A cell per set."""
    return [Cell(f"embedding_trees/{name}", partial(measure, settings, name)) for name in sets]


def report(found: Cells) -> list[str]:
    """Losses by set, and what trees on row embeddings could add."""
    rows = []
    for name in SETS:
        cell = found.get(f"embedding_trees/{name}")
        if cell is None:
            continue
        losses = cell["losses"]
        measure = "mean squared error" if cell["kind"] == "regression" else "log loss"
        rows.append(
            [
                name,
                measure,
                *(f"{losses[which]:.4f}" for which in (FEATRIX, RAW, EMBEDDED, BOTH)),
                f"{cell['best_share']:.0%}",
                f"{cell['best_loss'] - losses[FEATRIX]:+.4f}",
            ]
        )
    trees = [f"LightGBM on {what}" for what in (RAW, EMBEDDED, BOTH)]
    head = ["set", "measure", FEATRIX, *trees, "best share for embeddings", "what it adds at most"]
    return markdown(head, rows, left=2)


PROGRAM = Program(
    "embedding_trees",
    "bench-embedding-trees",
    (__doc__ or "").splitlines()[0],
    SETS,
    cells,
    report,
)

if __name__ == "__main__":
    PROGRAM.main()
