"""Training a predictor: the nets, the models beside them, and what is kept of the training rows (PRED-1, PRED-7).

Legend: N rows · O outputs (classes, or 1).
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from featrix_core.encoders.tokens import TokenBatch
from featrix_core.predictor.boosted import ROUNDS
from featrix_core.predictor.complexity import advise_depth
from featrix_core.predictor.design import Design
from featrix_core.predictor.ensemble import (
    Ensemble,
    blend,
    crossfitted_loss,
    greedy_weights,
    loss_of,
)
from featrix_core.predictor.failures import judge_answers
from featrix_core.predictor.fitting import bag_folds, fit_members
from featrix_core.predictor.labelled import LabelledRows, rows_of_others
from featrix_core.predictor.peers import Fold, Peers, fit_peers
from featrix_core.predictor.plan import FOLDS, PredictorPlan, plan_predictor
from featrix_core.predictor.row_guard import RowGuard
from featrix_core.predictor.shape import SimpleMLP
from featrix_core.predictor.standing import LINEAR, NETS, TOGETHER
from featrix_core.predictor.target_coding import TargetCoding
from featrix_core.predictor.watch import remaining_notices
from featrix_core.predictor.wishes import LossWish
from featrix_core.tables.schema import Notice
from featrix_core.tables.splits import fold_coverage
from featrix_core.training.loop import Progress
from featrix_core.training.timeline import of_bag

if TYPE_CHECKING:
    from featrix_core.embedding_space import EmbeddingSpace

EXPLAIN_BACKGROUND = 128
TREES_PER_EPOCH = 20
"""Where the epochs are given: a training that is cut short is so as a whole."""


@dataclass(frozen=True)
class Trained:
    """A predictor before it is calibrated.

    info: stored with the predictor. seconds: that the models beside the nets took; not stored, for they are never the
    same twice (TRAIN-7).
    notices: classes that no fold validates, or none trains; what the held-out answers show to be wrong with the nets.
    timeline: of all members (`training.timeline.of_bag`).
    held_out: out-of-fold `answer`, `nets` (the nets' own), `spread`, `labels`, and `weights` and
        `groups` where rows have any.
    """

    plan: PredictorPlan
    ensemble: Ensemble
    held_out: dict[str, NDArray[Any]]
    timeline: dict[str, object]
    reference: RowGuard
    background: TokenBatch
    notices: tuple[Notice, ...]
    info: dict[str, Any]
    seconds: dict[str, float]


def fit_predictor(
    space: EmbeddingSpace,
    rows: LabelledRows,
    coding: TargetCoding,
    *,
    seed: int,
    shape: SimpleMLP | None = None,
    fine_tune: bool | None = None,
    blended: bool = True,
    loss: LossWish = "auto",
    class_weights: bool | None = None,
    epochs: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Trained:
    """Train everything that answers.

    Args:
        blended: the nets answer together with the trees and the linear model; otherwise these are only
            measured beside them.
        loss, class_weights: what the nets are trained on (PRED-2); left open, held-out rows decide.
        epochs: at most so many per member; the plan decides when left out.
    """
    batch, labels = rows.batch, rows.labels_N
    others = rows_of_others(rows, FOLDS) if coding.classification else None
    plan = plan_predictor(
        len(labels), fine_tune, loss=loss, class_weights=class_weights, others=others
    )
    if shape is not None:
        plan = plan.model_copy(update={"width": shape.d_hidden})
    rows_NM = space.model.row_embeddings(batch)
    advice = advise_depth(rows_NM.numpy(), labels, coding.target.kind, seed)
    depth = advice.n_hidden_layers
    if shape is not None and shape.n_hidden_layers is not None:
        depth = shape.n_hidden_layers
    folds = bag_folds(labels, coding.classification, plan, seed, rows.groups_N, rows.times_N)
    target_N = rows.target_N.numpy()
    design = Design.fit(space.tokenizer, batch)
    fitted = fit_members(
        space.model,
        space.tokenizer,
        rows,
        coding.outputs,
        depth,
        plan,
        seed,
        epochs,
        on_progress,
    )
    trees = ROUNDS if epochs is None else min(ROUNDS, TREES_PER_EPOCH * epochs)
    names = space.tokenizer.groups
    peers = fit_peers(
        design, names, batch, target_N, coding.outputs, folds, seed, rows.weights_N, trees
    )
    plan, held = fitted.plan, fitted.held_out_rows
    weights = None if rows.weights_N is None else rows.weights_N[held]
    answers = {NETS: fitted.answer_NO, **peers.answers}
    shares = greedy_weights(answers, target_N[held], weights)
    losses = {
        name: loss_of(said, target_N[held], weights) for name, said in sorted(answers.items())
    }
    together = blend(answers, shares, coding.classification)
    groups = None if rows.groups_N is None else rows.groups_N[held]
    losses[TOGETHER] = crossfitted_loss(answers, target_N[held], weights, groups, seed)
    served = together if blended else fitted.answer_NO
    coverage, uncovered = _coverage(folds, labels, coding)
    figures = judge_answers(served, target_N[held], weights)
    held_out: dict[str, NDArray[Any]] = {
        "answer": served,
        "nets": fitted.answer_NO,
        "spread": fitted.spread_N,
        "labels": labels[held],
    }
    if weights is not None:
        held_out["weights"] = weights
    if groups is not None:
        held_out["groups"] = groups
    background_rows = np.random.default_rng(seed).permutation(len(labels))[:EXPLAIN_BACKGROUND]
    background = batch.rows(torch.from_numpy(np.sort(background_rows)))
    return Trained(
        plan=plan,
        ensemble=_chosen(fitted.members, coding, peers, shares if blended else {NETS: 1.0}),
        held_out=held_out,
        timeline=of_bag(fitted.timelines),
        reference=RowGuard.fit(space.model, batch, seed),
        background=background.compact(space.tokenizer.vocabulary),
        notices=(*uncovered, *remaining_notices(figures, coding.target.name, short=fitted.short)),
        seconds=peers.seconds,
        info={
            "rows": len(labels),
            "validation_coverage": coverage,
            "plan": plan.model_dump(),
            "hidden_layers": depth,
            "depth_reasons": list(advice.reasons),
            "trained_date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT00:00:00Z"),
            "class_distribution": coding.distribution(labels),
            "space": space.name,
            "loss": fitted.loss_choice.model_dump(mode="json"),
            "selector": {
                "measure": "log loss" if coding.classification else "mean squared error",
                "rows": len(held),
                "losses": losses,
                "left_out": peers.left_out,
                "hidden_from_trees": peers.hidden,
                "shares": shares if blended else {NETS: 1.0},
            },
        },
    )


def _coverage(
    folds: list[Fold], labels_N: NDArray[np.float64], coding: TargetCoding
) -> tuple[float, list[Notice]]:
    """Share of rows that can be validated (D4.1), and what is to be said of classes that cannot."""
    if not coding.classification:
        return 1.0, []
    share, notices = fold_coverage(folds, labels_N.astype(np.int64), coding.classes)
    return share, [n.model_copy(update={"column": coding.target.name}) for n in notices]


def _chosen(
    members: list[Any], coding: TargetCoding, peers: Peers, shares: dict[str, float]
) -> Ensemble:
    """Only what has a share is kept."""
    used = {name: share for name, share in shares.items() if share > 0}
    trees = {name: each for name, each in peers.trees.items() if name in used}
    linear = peers.linear if LINEAR in used else None
    design = peers.design if trees or linear else None
    return Ensemble(members, coding.classification, used, design, trees, linear)
