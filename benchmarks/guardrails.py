"""Do guardrails find strangers? The row guard, its parts and rivals on planted rows (PRED-6).

    make bench-guardrails DATA_DIR=…
    python -m benchmarks.guardrails --data-dir data --only german_credit --quick
    python -m benchmarks.guardrails --report            # fills the README from the results

Per set a space is trained as for any table, on its training rows, which the guard is fitted on too, as a
predictor does. Measured: AUROC of strangers against ordinary rows that nothing was fitted on, and which share of
either lies above 2 sigma. A rival has no sigma: its limit is the 97.7 % quantile of cross-fitted training rows
(k-NN) or of the training rows (isolation forest). A cell per set; cells that are there are kept.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.guardrail_strangers import SETS, load, raw_features
from benchmarks.program import Cells, Program
from benchmarks.space_cells import Cell, Settings
from benchmarks.space_tables import markdown

Floats = NDArray[np.float64]

TRAIN, ORDINARY = "train", "ordinary"
LIMIT = 0.977249868
NEIGHBOURS = 5
TREES = 200


def _figures(scores: dict[str, Floats], limit: float) -> dict[str, dict[str, float]]:
    """AUROC against ordinary rows and share above the limit, by kind of rows."""
    from sklearn.metrics import roc_auc_score

    usual = scores[ORDINARY]
    found = {ORDINARY: {"found": float((usual > limit).mean())}}
    for kind, score in scores.items():
        if kind not in (ORDINARY, TRAIN):
            labels = np.repeat([0, 1], [len(usual), len(score)])
            auroc = float(roc_auc_score(labels, np.concatenate([usual, score])))
            found[kind] = {"auroc": auroc, "found": float((score > limit).mean())}
    return found


def _neighbours(features: dict[str, Floats]) -> dict[str, dict[str, float]]:
    from sklearn.model_selection import KFold
    from sklearn.neighbors import NearestNeighbors

    def fit(rows: Floats) -> NearestNeighbors:
        return NearestNeighbors(n_neighbors=NEIGHBOURS).fit(rows)

    def far(model: NearestNeighbors, rows: Floats) -> Floats:
        return np.asarray(model.kneighbors(rows)[0].mean(axis=1))

    train = features[TRAIN]
    reference = np.empty(len(train))
    for rows, held in KFold(5, shuffle=True, random_state=42).split(train):
        reference[held] = far(fit(train[rows]), train[held])
    model = fit(train)
    limit = float(np.quantile(reference, LIMIT))
    return _figures({k: far(model, x) for k, x in features.items() if k != TRAIN}, limit)


def _forest(features: dict[str, Floats]) -> dict[str, dict[str, float]]:
    from sklearn.ensemble import IsolationForest

    model = IsolationForest(n_estimators=TREES, random_state=42).fit(features[TRAIN])
    scores = {kind: -np.asarray(model.score_samples(x)) for kind, x in features.items()}
    return _figures(scores, float(np.quantile(scores[TRAIN], LIMIT)))


def measure(settings: Settings, name: str) -> dict[str, Any]:
    """All detectors on one set."""
    from featrix_core import EmbeddingSpace
    from featrix_core.input_data_set import as_table
    from featrix_core.predictor.row_guard import STATISTICS, RowGuard
    from featrix_core.tables.build import typed_columns

    quick = settings.quick
    data = load(settings.data_dir, name, 300) if quick else load(settings.data_dir, name)
    frames = {TRAIN: data.train, ORDINARY: data.ordinary, **data.planted}
    space = EmbeddingSpace(data.train, n_epochs=2 if quick else None).train()
    batches = {
        kind: space.tokenizer.encode(typed_columns(as_table(frame), space.schema))
        for kind, frame in frames.items()
    }
    started = time.monotonic()
    guard = RowGuard.fit(space.model, batches[TRAIN])
    fitted = time.monotonic() - started
    # The first pass warms the machine up.
    space.model.row_embeddings(batches[ORDINARY])
    seconds: dict[str, float] = {"fit": fitted}
    started = time.monotonic()
    guard.reference.apply(space.model.row_embeddings(batches[ORDINARY]).numpy())
    seconds["distance alone"] = time.monotonic() - started
    started = time.monotonic()
    guard.apply(space.model, batches[ORDINARY])
    seconds["guard"] = time.monotonic() - started
    surprises = {k: guard.apply(space.model, batch) for k, batch in batches.items() if k != TRAIN}
    detectors = {"guard": _figures({k: s.sigma_N for k, s in surprises.items()}, 2.0)}
    for place, part in enumerate(STATISTICS):
        scores = {k: s.parts_N3[:, place] for k, s in surprises.items()}
        detectors[part] = _figures(scores, 2.0)
    beyond = float((surprises[ORDINARY].sigma_N > 3.0).mean())
    features = raw_features(frames)
    detectors["k-NN, raw features"] = _neighbours(features)
    detectors["isolation forest, raw features"] = _forest(features)
    return {
        "rows": len(data.train),
        "held": len(data.ordinary),
        "columns": int(data.train.shape[1]),
        "seconds": {key: round(value, 4) for key, value in seconds.items()},
        "ordinary_above_3": beyond,
        "detectors": detectors,
    }


def cells(settings: Settings, sets: list[str]) -> list[Cell]:
    """One per set."""
    return [Cell(f"guardrails/{name}", partial(measure, settings, name)) for name in sets]


def report(found: Cells) -> list[str]:
    """Per set and kind of strangers, AUROC and the share found."""
    names = list(next(iter(found.values()))["detectors"])
    rows: list[list[object]] = []
    for key, cell in found.items():
        for kind in cell["detectors"]["guard"]:
            row: list[object] = [key.split("/")[1], kind]
            for detector in names:
                figures = cell["detectors"][detector][kind]
                auroc = f"{figures['auroc']:.3f}, " if "auroc" in figures else ""
                row.append(f"{auroc}{figures['found']:.1%}")
            rows.append(row)
    slower = [
        cell["seconds"]["guard"] / max(cell["seconds"]["distance alone"], 1e-9)
        for cell in found.values()
    ]
    return [
        *markdown(["set", "rows", *names], rows, left=2),
        "",
        "Time of the guard over that of its distance alone, both with the embedding: "
        f"{min(slower):.2f} … {max(slower):.2f}.",
    ]


PROGRAM = Program(
    "guardrails", "bench-guardrails", (__doc__ or "").splitlines()[0], tuple(SETS), cells, report
)

if __name__ == "__main__":
    PROGRAM.main()
