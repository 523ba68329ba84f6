"""Which loss a predictor is trained on, where the user leaves it open: measured, and only where it can matter.

On a target without rare classes it is cross-entropy at once, for classes in an order with the ranked probability
score. With rare ones a smaller frozen head is trained
briefly on each candidate, on the rows of the first fold, and its answers to that fold's held-out rows are scored
by the log loss: a temperature, and for losses that shift shares an offset per class, is fitted on one half of
them and scored on the other, both ways round. The first candidate stays unless another is better by more than
0.001 nats and by more than two standard errors of the paired difference (PRED-2).

Legend: N rows · E ensemble members · V held-out rows · K classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.metrics import average_precision_score
from torch import Tensor

from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.predictor.labelled import LabelledRows
from featrix_core.predictor.losses import combine, make_loss
from featrix_core.predictor.network import Head, HeadConfig
from featrix_core.predictor.objective import PredictorNet, PredictorObjective
from featrix_core.predictor.plan import PredictorPlan
from featrix_core.predictor.prior import matching_offset
from featrix_core.predictor.wishes import LossName, check_class_weights, check_loss
from featrix_core.space.model import SpaceModel
from featrix_core.tables.schema import Frozen
from featrix_core.training.device import deterministic
from featrix_core.training.loop import run_loop
from featrix_core.training.timeline import Timeline

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

RARE = 0.4
"""Share of its even share under which a class is rare: 20 % of two classes."""
FEWEST_RARE = 10
"""Held-out rows of rare classes that a comparison needs."""
MOST_CLASSES = 100
CLEAR_GAIN, CLEAR_ERRORS = 1e-3, 2.0
TRIAL_UPDATES, TRIAL_WIDTH, TRIAL_MEMBERS = 150, 128, 8
TRIAL_ROWS, TRIAL_HELD_OUT = 8_000, 4_000


class Trial(Frozen):
    """One candidate: its log loss on held-out rows, what it gains on the first one, and average precision.

    `gain_error` is the standard error of the gain; `average_precision` is the mean over classes, for two
    classes the positive one's.
    """

    loss: LossName
    class_weights: bool
    log_loss: float
    gain: float
    gain_error: float
    average_precision: float


class LossChoice(Frozen):
    """The loss that a predictor is trained on, why, and what was tried."""

    loss: LossName
    class_weights: bool
    reason: str
    trials: tuple[Trial, ...] = ()


class _Candidate(NamedTuple):
    loss: LossName
    class_weights: bool


def choose_loss(
    space: SpaceModel,
    tokenizer: Tokenizer,
    rows: LabelledRows,
    outputs: int,
    hidden_layers: int,
    plan: PredictorPlan,
    fold: tuple[Rows, Rows],
    seed: int,
    epochs: int | None = None,
) -> LossChoice:
    """The plan's loss where it names one, otherwise the choice by validation on a fold (train, held out).

    Raises:
        FeatrixUserError: the plan's loss does not fit the target.
    """
    numbers = rows.target_N.is_floating_point()
    wish = plan.class_weights
    # Whether it fits the target is said before anything is trained.
    check_loss(plan.loss, 0 if numbers else outputs, rows.ordered)
    check_class_weights(wish, 0 if numbers else outputs)
    if plan.loss != "auto":
        weighted = plan.loss == "focal" if wish is None else wish
        return LossChoice(loss=plan.loss, class_weights=weighted, reason="set by the user")
    if numbers:
        return LossChoice(loss="squared_error", class_weights=False, reason="a number")
    labels = rows.target_N.numpy()
    steps = plan.training(len(fold[0]), seed, epochs).updates
    reason = _no_matter(labels, fold, outputs, steps)
    if reason is not None:
        first = _candidates(outputs, wish, rows.ordered)[0].loss
        if rows.ordered:
            reason = f"the classes have an order; {reason}"
        return LossChoice(loss=first, class_weights=bool(wish), reason=reason)
    config = HeadConfig(
        outputs=outputs,
        width=min(plan.width, TRIAL_WIDTH),
        members=min(plan.members, TRIAL_MEMBERS),
        hidden_layers=hidden_layers,
        dropout=plan.dropout,
    )
    with deterministic(seed):
        head = Head(tokenizer, space.config.d_model, space.config.width, config)
    draw = np.random.default_rng(seed)
    train, held = (
        np.sort(draw.permutation(part)[:most])
        for part, most in zip(fold, (TRIAL_ROWS, TRIAL_HELD_OUT), strict=True)
    )
    weights = None if rows.weights_N is None else torch.from_numpy(rows.weights_N).float()
    objective = PredictorObjective(
        PredictorNet(space, head),
        rows.batch,
        rows.target_N,
        torch.from_numpy(train),
        torch.from_numpy(held),
        False,
        weights,
    )
    short = plan.model_copy(update={"updates": min(plan.updates, TRIAL_UPDATES)})
    training = short.training(len(train), seed)
    initial = {name: value.clone() for name, value in head.state_dict().items()}
    answers: dict[_Candidate, tuple[Tensor, Tensor | None]] = {}
    for candidate in _candidates(outputs, wish, rows.ordered):
        head.load_state_dict(initial)
        loss = make_loss(*candidate, objective.train_target, outputs, objective.train_weight)
        objective.use(loss)
        run_loop(objective, training, Timeline(training))
        shares = objective.training_shares() if loss.shifts_shares else None
        answers[candidate] = objective.validation_logits(), shares
    space.requires_grad_(True)  # the objective froze it
    return _compare(answers, labels[held], objective.validation_weight, seed)


def _candidates(classes: int, wish: bool | None, ordered: bool = False) -> list[_Candidate]:
    """The first one stays unless another is clearly better."""
    first: LossName = "ordinal" if ordered else "cross_entropy"
    if wish is not None:
        names: tuple[LossName, ...] = (first, "focal", "pr_auc")
        return [_Candidate(name, wish) for name in names[: 3 if classes == 2 else 2]]
    found = [
        _Candidate(first, False),
        _Candidate(first, True),
        _Candidate("focal", True),
    ]
    return [*found, _Candidate("pr_auc", False)] if classes == 2 else found


def _no_matter(
    labels_N: NDArray[np.int64], fold: tuple[Rows, Rows], classes: int, updates: int
) -> str | None:
    """Why nothing is compared; None if something is."""
    counts_K = np.bincount(labels_N, minlength=classes)
    share_K = counts_K / max(len(labels_N), 1)
    rare_K = (counts_K > 0) & (share_K * classes < RARE)
    lowest = share_K[counts_K > 0].min(initial=1.0)
    if not rare_K.any():
        return f"no class is rare: the rarest has {lowest:.1%} of the rows"
    if classes > MOST_CLASSES:
        return f"{classes} classes are too many to compare losses on"
    held = int(rare_K[labels_N[fold[1]]].sum())
    if held < FEWEST_RARE:
        return f"{held} held-out rows of rare classes are too few to compare losses on"
    if updates < TRIAL_UPDATES:
        return f"{updates} updates are too few to compare losses by"
    return None


def _compare(
    answers: dict[_Candidate, tuple[Tensor, Tensor | None]],
    labels_V: NDArray[np.int64],
    weight_V: Tensor | None,
    seed: int,
) -> LossChoice:
    weight = np.ones(len(labels_V))
    if weight_V is not None and bool(weight_V.any()):
        weight = weight_V.double().numpy() / float(weight_V.double().mean())
    # Every class is halved; the order within it is drawn.
    order = np.lexsort((np.random.default_rng(seed).random(len(labels_V)), labels_V))
    half_V = np.empty(len(labels_V), np.int64)
    half_V[order] = np.arange(len(labels_V)) % 2
    loss_V, trials = {}, []
    for candidate, (logits, shares) in answers.items():
        log_p = _fitted_on_the_other_half(logits, shares, labels_V, weight, half_V)
        loss_V[candidate] = -weight * log_p[np.arange(len(labels_V)), labels_V]
        gain_V = next(iter(loss_V.values())) - loss_V[candidate]
        trials.append(
            Trial(
                loss=candidate.loss,
                class_weights=candidate.class_weights,
                log_loss=float(loss_V[candidate].mean()),
                gain=float(gain_V.mean()),
                gain_error=float(gain_V.std(ddof=1) / np.sqrt(len(gain_V))),
                average_precision=_precision(log_p, labels_V),
            )
        )
    clear = [t for t in trials if t.gain > max(CLEAR_GAIN, CLEAR_ERRORS * t.gain_error)]
    best = max(clear, key=lambda t: t.gain) if clear else trials[0]
    figures = ", ".join(f"{_named(t)} {t.log_loss:.4f}" for t in trials)
    why = (
        f"clearly lower log loss than {_named(trials[0])} ({best.gain:.4f} ± {best.gain_error:.4f})"
        if clear
        else f"no loss is clearly better than {_named(best)}"
    )
    reason = f"{why} on {len(labels_V)} held-out rows ({figures})"
    return LossChoice(
        loss=best.loss, class_weights=best.class_weights, reason=reason, trials=tuple(trials)
    )


def _named(trial: Trial) -> str:
    return f"{trial.loss} with class weights" if trial.class_weights else trial.loss


def _fitted_on_the_other_half(
    logits_EVK: Tensor,
    share_K: Tensor | None,
    labels_V: NDArray[np.int64],
    weight_V: Floats,
    half_V: NDArray[np.int64],
) -> Floats:
    """Log-probabilities (V, K); each row's offset and temperature come from the half that it is not in."""
    out_VK = np.empty(logits_EVK.shape[1:], np.float64)
    for half in (0, 1):
        fit, score = half_V != half, half_V == half
        logits = logits_EVK
        if share_K is not None:
            there = torch.from_numpy(fit)
            weight = torch.from_numpy(weight_V)[there]
            logits = logits + matching_offset(logits[:, there], share_K, weight)
        said_VK = combine(logits, True).double().numpy()
        fitted_VK, labels, weights = said_VK[fit], labels_V[fit], weight_V[fit]
        places = np.arange(len(labels))

        def loss(
            log_t: float,
            fitted_VK: Floats = fitted_VK,
            labels: NDArray[np.int64] = labels,
            weights: Floats = weights,
            places: NDArray[np.int64] = places,
        ) -> float:
            log_p = log_softmax(fitted_VK / np.exp(log_t), axis=1)
            return float(-(weights * log_p[places, labels]).mean())

        found = minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded")
        out_VK[score] = log_softmax(said_VK[score] / np.exp(found.x), axis=1)
    return out_VK


def _precision(log_p_VK: Floats, labels_V: NDArray[np.int64]) -> float:
    classes = [1] if log_p_VK.shape[1] == 2 else np.unique(labels_V)
    each = [average_precision_score(labels_V == k, log_p_VK[:, k]) for k in classes]
    return float(np.mean(each))
