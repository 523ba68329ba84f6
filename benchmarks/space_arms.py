"""Who answers: spaces (kept on disk, so that cells share them), heads on them and without them, trees, SCARF.

Legend: N rows · B rows of a batch · A columns · M row width.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import shutil
import time
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from benchmarks.space_cells import HERE, SCRATCH
from benchmarks.space_data import Task
from benchmarks.space_designs import Matrix, Pair, parsed
from benchmarks.space_probes import score
from benchmarks.space_replace import Change
from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.files import read_json, write_json
from featrix_core.input_data_set import as_table
from featrix_core.predictor.response import ClassScores
from featrix_core.single_predictor import SinglePredictor
from featrix_core.space.joint_encoder import Encoded
from featrix_core.space.losses import info_nce
from featrix_core.space.model import SpaceConfig
from featrix_core.tables.build import typed_columns

KEPT_SPACES = 60
"""Trained spaces that stay on disk; older ones go."""
CORRUPTED = 0.6
"""Share of a row's cells that SCARF exchanges."""
PARTNERS = 3
"""Rows that a corrupted row takes cells of. SCARF takes every cell of another row."""


class Trained(NamedTuple):
    """A space and what its training was: plan, seconds, validation loss."""

    space: EmbeddingSpace
    record: dict[str, Any]


def _digest(task: Task, *parts: object) -> str:
    """Of the code, the cells and everything else that a trained space depends on."""
    found = hashlib.sha256(repr(parts).encode())
    for path in sorted((HERE.parent / "featrix_core").rglob("*.py")):
        found.update(path.read_bytes())
    found.update(",".join(map(str, task.frame.columns)).encode())
    found.update(pd.util.hash_pandas_object(task.frame, index=False).to_numpy().tobytes())
    return found.hexdigest()[:24]


def train_space(
    task: Task,
    seed: int = 42,
    epochs: int | None = None,
    *,
    arm: str = "default",
    change: Change = contextlib.nullcontext,
) -> Trained:
    """A space of the task's columns; read from disk where the same one was trained before.

    arm, change: a name and what it changes in the code while the space is made and trained.
    """
    folder = SCRATCH / "spaces" / _digest(task, seed, epochs, arm, torch.get_num_threads())
    if (folder / "record.json").is_file():
        folder.touch()
        return Trained(EmbeddingSpace.load(folder / "space"), read_json(folder / "record.json"))
    started = time.monotonic()
    with change():
        space = EmbeddingSpace(task.frame, n_epochs=epochs, seed=seed, name=task.name).train()
    record = plan_of(space, time.monotonic() - started)
    folder.mkdir(parents=True, exist_ok=True)
    space.save(folder / "space")
    write_json(folder / "record.json", record)
    there = sorted(folder.parent.iterdir(), key=lambda path: path.stat().st_mtime)
    for old in there[:-KEPT_SPACES]:
        shutil.rmtree(old)
    return Trained(space, record)


def plan_of(space: EmbeddingSpace, seconds: float) -> dict[str, Any]:
    """What a cell keeps of a training."""
    info: dict[str, Any] = {
        k: v for k, v in space.training_info.items() if isinstance(v, int | float | str)
    }
    info |= {"config": space.model.config.model_dump(), "pairs": len(space.model.pairs_Q2)}
    info["tokens"] = len(space.column_names)
    return {"plan": info, "train_seconds": round(seconds, 2)}


def embedded(space: EmbeddingSpace, train: Task, test: Task) -> Pair:
    """Row embeddings of both parts."""
    return space.encode(train.frame).astype(float), space.encode(test.frame).astype(float)


# -- heads ----------------------------------------------------------------------------------------------


def head_score(
    space: EmbeddingSpace,
    train: Task,
    test: Task,
    seed: int,
    *,
    fine_tune: bool,
    epochs: int | None = None,
) -> float:
    """Score of the product's nets, without the trees beside them, with labels of `train`."""
    kinds = np.where(train.y_N > 0, "yes", "no")
    labelled = train.frame.assign(**{"the goal": kinds if train.classes else train.y_N})
    positive = "yes" if train.classes else None
    predictor = SinglePredictor(
        space, seed=seed, fine_tune=fine_tune, positive_label=positive, ensemble=False
    )
    predictor.prep_for_training(labelled, "the goal", "set" if train.classes else "scalar")
    said = predictor.train(epochs).scores(test.frame)
    if isinstance(said, ClassScores):
        answer_N = said.probabilities_NK[:, list(predictor.classes).index("yes")]
    else:
        answer_N = said.prediction_N
    return score(test.y_N, np.asarray(answer_N, np.float64), train.classes)


class _NoTokens(nn.Module):
    """In the place of column encoders: zeros."""

    def forward(self, batch: TokenBatch) -> Tensor:
        return torch.zeros(*batch.missing_NA.shape, 1)


class NoSpace(nn.Module):
    """In a space's place: says nothing, so that the head has only its raw inputs (piecewise-linear bins, number
    embeddings, categories, calendar, sentence vectors). The codecs are those of the space."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns
        self.config = SpaceConfig(d_model=1, width=1)
        self.encoders, self.joint = _NoTokens(), nn.Module()

    def encode(self, batch: TokenBatch) -> Encoded:
        """Zeros of the shapes that a head asks for."""
        row_BM, context_BAD = self.encode_rows(batch)
        return Encoded(row_BM, context_BAD, row_BM)

    def encode_rows(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """The same, for all rows at once."""
        return torch.zeros(batch.n_rows, 1), torch.zeros(batch.n_rows, self.columns, 1)

    def rows_of(self, tokens_BAD: Tensor, hidden_BA: Tensor | None) -> Tensor:
        """Zeros for the guard."""
        return torch.zeros(len(tokens_BAD), 1)

    def row_embeddings(self, batch: TokenBatch) -> Tensor:
        """What the advice on depth and the guardrails look at: numbers, codes and missing flags."""
        parts = [batch.z_NS, batch.codes_NC.float(), batch.missing_NA.float()]
        return torch.cat(parts, dim=1)


def without_space(space: EmbeddingSpace) -> EmbeddingSpace:
    """The same codecs with nothing behind them."""
    bare = copy.copy(space)
    bare._model = NoSpace(len(space.column_names))  # type: ignore[assignment]
    return bare


# -- trees ----------------------------------------------------------------------------------------------

STOPPED_FROM = 1_000
"""Labels from which trees are stopped early on a seventh of them; below, the library's own number of trees.

LightGBM's least rows per leaf, 20, would leave it without a single split of 50 labels: a twentieth of the labels
where that is less, at least 3."""


def tree_scores(which: str, train: Task, test: Task, seed: int) -> float:
    """Score of LightGBM or CatBoost with default settings (at most 2,000 trees where stopped early)."""
    frames = parsed(train.frame, test.frame)
    y_N = train.y_N
    stops = len(y_N) >= STOPPED_FROM
    fit, stop = np.arange(len(y_N)), np.arange(0)
    if stops:
        labels = y_N if train.classes else None
        fit, stop = train_test_split(fit, test_size=1 / 7, random_state=seed, stratify=labels)
    said = (_lightgbm if which == "LightGBM" else _catboost)(
        *frames, y_N, fit, stop, train.classes, seed
    )
    return score(test.y_N, said, train.classes)


def _lightgbm(
    train: pd.DataFrame, test: pd.DataFrame, y_N: Any, fit: Any, stop: Any, classes: bool, seed: int
) -> Matrix:
    import lightgbm

    # LightGBM refuses some signs in the names of columns.
    train, test = (f.set_axis([f"c{k}" for k in range(f.shape[1])], axis=1) for f in (train, test))
    kind: Any = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
    trees = 2000 if len(stop) else 100
    threads = torch.get_num_threads()
    leaf = min(20, max(3, len(fit) // 20))
    model = kind(
        n_estimators=trees, min_child_samples=leaf, random_state=seed, verbose=-1, n_jobs=threads
    )
    if len(stop):
        held = {"eval_X": train.iloc[stop], "eval_y": y_N[stop]}
        stopping = [lightgbm.early_stopping(50, verbose=False)]
        model.fit(train.iloc[fit], y_N[fit], **held, callbacks=stopping)
    else:
        model.fit(train.iloc[fit], y_N[fit])
    return np.asarray(model.predict_proba(test)[:, 1] if classes else model.predict(test))


def _catboost(
    train: pd.DataFrame, test: pd.DataFrame, y_N: Any, fit: Any, stop: Any, classes: bool, seed: int
) -> Matrix:
    import catboost

    sets = [c for c in train.columns if isinstance(train[c].dtype, pd.CategoricalDtype)]
    frames = []
    for frame in (train, test):
        texts = {c: frame[c].astype(object).where(frame[c].notna(), "missing") for c in sets}
        frames.append(frame.assign(**texts))
    kind: Any = catboost.CatBoostClassifier if classes else catboost.CatBoostRegressor
    model = kind(
        iterations=2000 if len(stop) else None, random_seed=seed, verbose=False, cat_features=sets,
        thread_count=torch.get_num_threads(), allow_writing_files=False,
        early_stopping_rounds=50 if len(stop) else None,
    )  # fmt: skip
    held = (frames[0].iloc[stop], y_N[stop]) if len(stop) else None
    model.fit(frames[0].iloc[fit], y_N[fit], eval_set=held)
    return np.asarray(model.predict_proba(frames[1])[:, 1] if classes else model.predict(frames[1]))


# -- SCARF ----------------------------------------------------------------------------------------------


def train_scarf(task: Task, seed: int, updates: int) -> EmbeddingSpace:
    """The same codecs and encoder, trained with InfoNCE alone: a row against itself with six of ten cells
    exchanged for those of other rows, temperature 1, two layers between row embedding and loss (thrown away
    afterwards), batches of 256, AdamW 1e-3 with warm-up and cosine. As many updates as the space had."""
    space = EmbeddingSpace(task.frame, seed=seed, name="scarf")
    model = space.model
    rows = space.tokenizer.encode(typed_columns(as_table(task.frame), space.schema))
    generator = torch.Generator().manual_seed(seed)
    before = torch.get_rng_state()
    torch.manual_seed(seed)
    width = model.config.d_model
    top = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
    optimizer = torch.optim.AdamW(
        [*model.parameters(), *top.parameters()], lr=1e-3, weight_decay=1e-2, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1e-3, total_steps=updates, pct_start=0.1, cycle_momentum=False
    )
    steps = max(1, rows.n_rows // 256)
    model.train()
    for update in range(updates):
        if update % steps == 0:
            model.encoders.mature(1 + update // steps, update / updates)
        clean = rows.rows(torch.randint(rows.n_rows, (256,), generator=generator))
        both = [
            model.rows_of(model.encoders(batch), None)
            for batch in (clean, _corrupted(clean, generator))
        ]
        one_BM, other_BM = (
            nn.functional.normalize(top(row_BM * width**0.5), dim=-1) for row_BM in both
        )
        loss = info_nce(one_BM, other_BM, 1.0)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    torch.set_rng_state(before)
    model.encoders.settle()
    model.eval()
    return space


def _corrupted(batch: TokenBatch, generator: torch.Generator) -> TokenBatch:
    own = torch.arange(batch.n_rows)
    kept = (1.0 - CORRUPTED) ** (1.0 / PARTNERS)
    for _ in range(PARTNERS):
        other = torch.randperm(batch.n_rows, generator=generator)
        take_own = torch.rand(batch.missing_NA.shape, generator=generator) < kept
        batch = batch.mixed(own, other, take_own)
    return batch
