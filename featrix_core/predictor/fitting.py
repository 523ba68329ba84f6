"""Training a predictor's bag of members, with an out-of-fold answer for every row (PRED-1).

Legend: N rows · O outputs · E heads of a member.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.predictor.labelled import LabelledRows
from featrix_core.predictor.loss_choice import LossChoice, choose_loss
from featrix_core.predictor.losses import make_loss
from featrix_core.predictor.network import Head, HeadConfig
from featrix_core.predictor.objective import PredictorNet, PredictorObjective, combine
from featrix_core.predictor.plan import PredictorPlan
from featrix_core.predictor.watch import PredictorWatch
from featrix_core.space.model import SpaceModel, evaluating
from featrix_core.tables.splits import (
    group_split,
    kfold,
    random_keys,
    random_split,
    stratified_split,
    time_split,
)
from featrix_core.training.device import deterministic, threads_for
from featrix_core.training.loop import Progress, run_loop
from featrix_core.training.timeline import Timeline

CHUNK = 512
"""Rows that a bag answers at once: what its heads compute for them stays in the processor's cache."""


@dataclass(frozen=True)
class Fitted:
    """Members, and what they say of the rows that they did not train on.

    held_out_rows: row numbers with an out-of-fold answer; answer_NO beside it (log-probabilities, or
    standardised numbers in column 0); spread_N: standard deviation over heads (numbers only). plan: with the
    loss that was used, loss_choice: why. short: trained for less than half of the planned updates.
    """

    members: list[PredictorNet]
    held_out_rows: NDArray[np.int64]
    answer_NO: NDArray[np.float32]
    spread_N: NDArray[np.float32]
    timelines: list[dict[str, object]]
    plan: PredictorPlan
    loss_choice: LossChoice
    short: bool


def bag_folds(
    labels_N: NDArray[np.float64],
    classification: bool,
    plan: PredictorPlan,
    seed: int,
    groups_N: NDArray[np.int64] | None,
    times_N: NDArray[np.float64] | None,
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(training rows, validation rows) of every member of the bag."""
    count = len(labels_N)
    if times_N is not None:  # rows of a group have one time, so that groups stay together too
        return _time_folds(labels_N, classification, plan, times_N)
    if groups_N is not None:
        return _group_folds(labels_N, classification, plan, seed, groups_N)
    if plan.folds > 1:
        folds = min(plan.folds, count)
        # Classes with fewer rows than folds are missing from some validation parts; that is no reason to
        # train the whole bag on less. Only where no class fills the folds are rows dealt out blindly.
        if classification and int(np.bincount(labels_N.astype(np.int64)).max()) >= folds:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="The least populated class")
                return kfold(labels_N.astype(np.int64), folds, seed)
        return kfold(None, folds, seed, n_rows=count)
    if classification:
        split = stratified_split(labels_N.astype(np.int64), plan.validation_share, seed)
    else:
        split = random_split(count, plan.validation_share, seed)
    return [(split.train_rows, split.validation_rows)]


def _group_folds(
    labels_N: NDArray[np.float64],
    classification: bool,
    plan: PredictorPlan,
    seed: int,
    groups_N: NDArray[np.int64],
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Folds, or one split, that no group is on both sides of."""
    labels = labels_N.astype(np.int64) if classification else None
    _, groups = np.unique(groups_N, return_inverse=True)
    count = int(groups.max()) + 1
    folds = min(plan.folds, count)
    if folds < 2:
        split = group_split(groups, random_keys(count, seed), plan.validation_share, labels)
        return [(split.train_rows, split.validation_rows)]
    if labels is not None and int(np.bincount(labels).max()) < folds:
        labels = None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        return kfold(labels, folds, seed, n_rows=len(groups), groups_N=groups.astype(np.int64))


def _time_folds(
    labels_N: NDArray[np.float64],
    classification: bool,
    plan: PredictorPlan,
    times_N: NDArray[np.float64],
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Folds, or one split, that validate on later rows than they train on."""
    folds = min(plan.folds, len(np.unique(times_N[~np.isnan(times_N)])) - 1)
    if folds > 1:
        return kfold(None, folds, n_rows=len(times_N), times_N=times_N)
    labels = labels_N.astype(np.int64) if classification else None
    split = time_split(times_N, plan.validation_share, labels)
    return [(split.train_rows, split.validation_rows)]


def answer(net: PredictorNet, batch: TokenBatch, classification: bool) -> tuple[Tensor, Tensor]:
    """One member's answer (N, O) and, for numbers, the spread of its heads (N,); in chunks of rows."""
    return bag_answer([net], batch, classification)


def fit_members(
    space: SpaceModel,
    tokenizer: Tokenizer,
    rows: LabelledRows,
    outputs: int,
    hidden_layers: int,
    plan: PredictorPlan,
    seed: int,
    epochs: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Fitted:
    """Train all members; a member's validation rows take no part in its training.

    Folds by time hold out the later rows only: `Fitted.held_out_rows` tells which. A loss that the plan leaves
    open is chosen on the first fold. Failures of the training are acted on (`watch.PredictorWatch`).

    Raises:
        FeatrixUserError: the plan's loss does not fit the target.
    """
    batch, target_N, labels_N = rows.batch, rows.target_N, rows.labels_N
    classification = not target_N.is_floating_point()
    config = HeadConfig(
        outputs=outputs,
        width=plan.width,
        members=plan.members,
        hidden_layers=hidden_layers,
        dropout=plan.dropout,
    )
    members: list[PredictorNet] = []
    held_out: list[NDArray[np.int64]] = []
    answers: list[Tensor] = []
    spreads: list[Tensor] = []
    timelines: list[dict[str, object]] = []
    folds = bag_folds(labels_N, classification, plan, seed, rows.groups_N, rows.times_N)
    weights_N = rows.weights_N
    weights = None if weights_N is None else torch.from_numpy(weights_N).float()
    choice = choose_loss(
        space, tokenizer, rows, outputs, hidden_layers, plan, folds[0], seed, epochs
    )
    plan = plan.model_copy(update={"loss": choice.loss, "class_weights": choice.class_weights})
    acts, updates, planned = True, 0, 0

    def fresh() -> PredictorNet:
        head = Head(tokenizer, space.config.d_model, space.config.width, config)
        # Frozen members share the space; fine-tuned ones change a copy of their own.
        return PredictorNet(copy.deepcopy(space) if plan.fine_tune else space, head)

    for k, (train, validation) in enumerate(folds):
        with deterministic(seed + k):
            net = fresh()
        training = plan.training(len(train), seed + k, epochs)
        objective = PredictorObjective(
            net,
            batch,
            target_N,
            torch.from_numpy(train),
            torch.from_numpy(validation),
            plan.fine_tune,
            weights,
            fresh=fresh,
        )
        told = objective.train_target, outputs, objective.train_weight
        objective.use(make_loss(choice.loss, choice.class_weights, *told))
        chosen = choice.model_dump(mode="json")
        timeline = Timeline(training, member=k, members=len(folds), loss=chosen)
        watch = PredictorWatch(training, objective, acts=acts)

        def shifted(progress: Progress, k: int = k) -> None:
            if on_progress is not None:
                done, all_of_them = k * progress.updates + progress.update, len(folds)
                on_progress(replace(progress, update=done, updates=all_of_them * progress.updates))

        done = run_loop(objective, training, timeline, shifted, watch=watch)
        updates, planned = updates + done.updates, planned + plan.training(len(train), 0).updates
        # What did not help one member is not tried on the next.
        acts = acts and not watch.in_vain
        corrected = objective.correct_reverse_bias(done.best_epoch)
        if corrected is not None:
            timeline.corrective_actions.append(corrected)
        # The objective froze the encoder; a shared space must stay one that can be trained.
        net.space.requires_grad_(True)
        timelines.append(timeline.document())
        said, spread = answer(net, objective.validation, classification)
        members.append(net)
        held_out.append(validation)
        answers.append(said)
        spreads.append(spread)
        del objective  # its inputs of the head, before the next member's are made
    return Fitted(
        members,
        np.concatenate(held_out),
        torch.cat(answers).numpy(),
        torch.cat(spreads).numpy(),
        timelines,
        plan,
        choice,
        short=epochs is not None and 2 * updates < planned,
    )


@torch.no_grad()
def bag_answer(
    members: list[PredictorNet], batch: TokenBatch, classification: bool
) -> tuple[Tensor, Tensor]:
    """The bag's answer (N, O): log of mean probability, or mean number; and the spread of heads (N,), the mean of
    the members'. In chunks of rows; members on one frozen space share its encoding."""
    answers, spreads = [], []
    with threads_for(batch.n_rows), evaluating(nn.ModuleList(members)):
        for start in range(0, max(batch.n_rows, 1), CHUNK):
            logits = _logits(members, batch.rows(slice(start, start + CHUNK)))
            said = torch.stack([combine(logits_EBO, classification) for logits_EBO in logits])
            joined = torch.logsumexp(said, dim=0) - math.log(len(said))
            answers.append(joined if classification else said.mean(dim=0))
            numbers = [logits_EBO[..., 0] for logits_EBO in logits]
            # torch warns of the deviation of nothing.
            each = [n.std(dim=0, unbiased=False) if n.numel() else n[0] for n in numbers]
            spreads.append(torch.stack(each).mean(dim=0))
    return torch.cat(answers), torch.cat(spreads)


def _logits(members: list[PredictorNet], batch: TokenBatch) -> list[Tensor]:
    """Logits (E, B, O) of every member."""
    first = members[0]
    if any(net.space is not first.space for net in members):
        return [net(batch) for net in members]
    encoded = first.space.encode(batch)
    read = first.head.inputs(encoded.row_BM, encoded.context_BAD, batch)
    return [net.head(read) for net in members]
