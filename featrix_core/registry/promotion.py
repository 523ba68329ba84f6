"""Promotion gates and the aliases `champion`, `previous` and `challenger` (OPS-4).

`decide` is arithmetic on figures and knows no registry; `review` collects those figures for a
registered version; `promote` and `rollback` move the aliases. Every decision has its reasons and
is kept as a tag of the version that it is about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from featrix_core.errors import FeatrixUserError
from featrix_core.registry.store import Registry
from featrix_core.registry.versions import HOLDOUT_TAG, VersionRef, registered_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
DECISION_TAG = "featrix.promotion"
ROLLED_BACK_TAG = "featrix.rolled_back"

_HIGHER_IS_BETTER = frozenset(
    {"roc_auc", "average_precision", "accuracy", "f1", "quadratic_kappa", "r2"}
)
_LOWER_IS_BETTER = frozenset({"log_loss", "brier", "level_distance", "rmse", "mae"})
_IN_UNITS_OF_THE_TARGET = frozenset({"rmse", "mae"})
_PRIMARY_ORDER = ("roc_auc", "log_loss", "r2", "rmse", "accuracy")
_OF_CLASSIFIERS = ("roc_auc", "log_loss", "accuracy", "average_precision", "brier", "f1")


class PromotionGates(BaseModel):
    """What a candidate must hold to become champion.

    Attributes:
        primary: figure that is compared with the champion's; without it the first that both have
            of roc_auc, log_loss, r2, rmse, accuracy.
        max_degradation: how much worse than the champion is accepted without further evidence; in
            the units of the figure, for rmse and mae as a part of the champion's.
        noise_limit: with a paired interval, how much worse is still accepted when the interval
            cannot tell the two apart. A limit, or a small hold-out would let everything through.
        max_ece: highest expected calibration error; classifiers only. More is accepted where chance alone makes
            more on a hold-out of so few rows.
        floors: least values by figure, also without a champion (chance level by default).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    primary: str | None = None
    max_degradation: float = Field(default=0.0, ge=0)
    noise_limit: float = Field(default=0.01, ge=0)
    max_ece: float = Field(default=0.1, ge=0, le=1)
    floors: dict[str, float] = Field(default_factory=lambda: {"roc_auc": 0.5, "r2": 0.0})


class GateCheck(BaseModel):
    """One gate: whether it was passed, and why, in a sentence with the figures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: str
    passed: bool
    reason: str


class PromotionDecision(BaseModel):
    """Whether to promote, and why.

    Attributes:
        promote: the version may become champion.
        reasons: the failed gates of a refusal, all gates of a promotion, as sentences.
        checks: every gate with its outcome; empty where a person decided.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    promote: bool
    reasons: tuple[str, ...]
    checks: tuple[GateCheck, ...] = ()

    @classmethod
    def of(cls, checks: Sequence[GateCheck]) -> PromotionDecision:
        """The decision that these outcomes lead to: all gates must be passed."""
        passed = all(check.passed for check in checks)
        reasons = tuple(check.reason for check in checks if passed or not check.passed)
        return cls(promote=passed, reasons=reasons, checks=tuple(checks))


def _figure(metrics: Mapping[str, float], name: str) -> float | None:
    value = metrics.get(name)
    return value if value is not None and math.isfinite(value) else None


def _primary(
    candidate: Mapping[str, float], champion: Mapping[str, float] | None, gates: PromotionGates
) -> str | None:
    if gates.primary is not None:
        if gates.primary not in _HIGHER_IS_BETTER | _LOWER_IS_BETTER:
            raise FeatrixUserError(
                "The promotion gates compare an unknown figure",
                value=gates.primary,
                remedy=f"Use one of {sorted(_HIGHER_IS_BETTER | _LOWER_IS_BETTER)}",
            )
        return gates.primary
    for name in _PRIMARY_ORDER:
        if _figure(candidate, name) is None:
            continue
        if champion is None or _figure(champion, name) is not None:
            return name
    return None


def gain(name: str, candidate: float, champion: float) -> float:
    """By how much the candidate is better (negative: worse); relative for rmse and mae."""
    better = candidate - champion if name in _HIGHER_IS_BETTER else champion - candidate
    if name in _IN_UNITS_OF_THE_TARGET:
        return better / champion if champion > 0 else math.copysign(math.inf, better or 1.0)
    return better


def _quality(
    candidate: Mapping[str, float],
    champion: Mapping[str, float] | None,
    gates: PromotionGates,
    interval: tuple[float, float] | None,
) -> GateCheck:
    name = _primary(candidate, champion, gates)
    ours = _figure(candidate, name) if name else None
    if name is None or ours is None:
        return GateCheck(
            gate="quality",
            passed=False,
            reason=f"The candidate has no usable figure to compare ({name or 'none in common'})",
        )
    if champion is None:
        reason = f"There is no champion to beat; {name} is {ours:.4f}"
        return GateCheck(gate="quality", passed=True, reason=reason)
    theirs = _figure(champion, name)
    if theirs is None:
        reason = f"The champion has no {name} on this hold-out to compare with"
        return GateCheck(gate="quality", passed=False, reason=reason)
    difference = gain(name, ours, theirs)
    text = f"{name} {ours:.4f} against the champion's {theirs:.4f} ({difference:+.4f} better)"
    if difference >= -gates.max_degradation:
        return GateCheck(gate="quality", passed=True, reason=text)
    if interval is not None and all(math.isfinite(end) for end in interval):
        low, high = interval
        text += f", interval {low:+.4f} … {high:+.4f}"
        if high >= -gates.max_degradation and difference >= -gates.noise_limit:
            return GateCheck(gate="quality", passed=True, reason=f"{text}: within noise")
    reason = f"{text}: worse than the {gates.max_degradation:.4f} that is allowed"
    return GateCheck(gate="quality", passed=False, reason=reason)


def _calibration(candidate: Mapping[str, float], gates: PromotionGates) -> list[GateCheck]:
    ece = _figure(candidate, "ece")
    if ece is not None:
        # On a small hold-out a perfectly calibrated model has a calibration error too.
        chance = _figure(candidate, "ece_by_chance") or 0.0
        passed = ece <= max(gates.max_ece, chance)
        verdict = "within" if passed else "above"
        reason = f"Calibration error {ece:.4f} is {verdict} the limit of {gates.max_ece:.4f}"
        if passed and ece > gates.max_ece:
            reason = f"Calibration error {ece:.4f} is within the {chance:.4f} that chance makes on so few rows"
        return [GateCheck(gate="calibration", passed=passed, reason=reason)]
    if any(name in candidate for name in _OF_CLASSIFIERS):
        reason = "The candidate's calibration error was not measured"
        return [GateCheck(gate="calibration", passed=False, reason=reason)]
    return []


def _floors(candidate: Mapping[str, float], gates: PromotionGates) -> list[GateCheck]:
    checks = []
    for name in sorted(gates.floors):
        value = _figure(candidate, name)
        if value is not None:
            passed = value >= gates.floors[name]
            verdict = "reaches" if passed else "is below"
            reason = f"{name} {value:.4f} {verdict} the floor of {gates.floors[name]:.4f}"
            checks.append(GateCheck(gate=f"floor.{name}", passed=passed, reason=reason))
    return checks


def decide(
    candidate_metrics: Mapping[str, float],
    champion_metrics: Mapping[str, float] | None,
    gates: PromotionGates | None = None,
    *,
    interval: tuple[float, float] | None = None,
) -> PromotionDecision:
    """Whether a candidate with these figures may take the champion's place.

    Args:
        candidate_metrics: figures on the hold-out (`roc_auc`, `log_loss`, `ece`, `r2`, …).
        champion_metrics: the champion's figures *on the same hold-out*; None where there is none.
        gates: limits; the defaults where not given.
        interval: paired interval of the gain in the primary figure (see `paired_interval`).
    """
    gates = gates or PromotionGates()
    return PromotionDecision.of(
        (
            _quality(candidate_metrics, champion_metrics, gates, interval),
            *_calibration(candidate_metrics, gates),
            *_floors(candidate_metrics, gates),
        )
    )


def paired_interval(
    name: str,
    metric: Callable[[NDArray[Any], NDArray[Any]], float],
    truth: NDArray[Any],
    candidate: NDArray[np.floating[Any]],
    champion: NDArray[np.floating[Any]],
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap interval of the gain in one figure, both models on the same rows.

    Args:
        name: name of the figure; says which direction is better.
        metric: `metric(truth, prediction)`, for example `sklearn.metrics.roc_auc_score`.
        truth, candidate, champion: shape (rows,), same order of rows.

    Returns:
        Low and high end; above zero the candidate is better.
    """
    from scipy.stats import bootstrap

    def statistic(y: NDArray[Any], ours: NDArray[Any], theirs: NDArray[Any]) -> float:
        return gain(name, metric(y, ours), metric(y, theirs))

    result = bootstrap(
        (truth, candidate, champion),
        statistic,
        paired=True,
        vectorized=False,
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",
        rng=seed,
    ).confidence_interval
    return float(result.low), float(result.high)


def review(
    registry: Registry,
    ref: VersionRef,
    gates: PromotionGates | None = None,
    *,
    compare: Mapping[str, float] | None = None,
    interval: tuple[float, float] | None = None,
) -> PromotionDecision:
    """Decide about a registered version against the present champion of its name.

    The figures that both were registered with are comparable only if both carry the same
    `featrix.holdout_sha256`. Where they do not, `compare` must be given.

    Args:
        ref: the candidate.
        compare: the champion's figures, measured again on the candidate's hold-out.
        interval: see `decide`.
    """
    tags = registry.version(ref).tags
    metrics = registry.metrics(ref)
    champion = registry.aliases(ref.name).get(CHAMPION)
    if champion == ref:
        champion = None  # nothing to compare with; the absolute gates still hold
    notes: list[GateCheck] = []
    if ROLLED_BACK_TAG in tags:
        reason = (
            f"This version was rolled back on {tags[ROLLED_BACK_TAG]}; only a rollback restores it"
        )
        notes.append(GateCheck(gate="rolled_back", passed=False, reason=reason))
    theirs: Mapping[str, float] | None = compare if champion is not None else None
    if champion is not None:
        ours_on = tags.get(HOLDOUT_TAG)
        theirs_on = registry.version(champion).tags.get(HOLDOUT_TAG)
        same = ours_on is not None and ours_on == theirs_on
        if not same:
            text = f"The champion {champion.uri} was measured on another hold-out"
            text += f" ({(theirs_on or 'unknown')[:12]} against {(ours_on or 'unknown')[:12]})"
            if compare is None:
                text += "; measure it again on the candidate's and pass the figures as `compare`"
            else:
                text += "; its figures were measured again on the candidate's"
            notes.append(GateCheck(gate="holdout", passed=compare is not None, reason=text))
            if compare is None:
                absolute = decide(metrics, None, gates).checks[1:]
                return PromotionDecision.of((*notes, *absolute))
        elif compare is None:
            theirs = registry.metrics(champion)
    decision = decide(metrics, theirs, gates, interval=interval)
    return PromotionDecision.of((*notes, *decision.checks))


def promote(
    registry: Registry, ref: VersionRef, decision: PromotionDecision
) -> dict[str, VersionRef]:
    """Carry a decision out and keep it as a tag of the version; the aliases afterwards.

    Accepted: the version becomes `champion` and the old champion `previous`. Refused: it becomes
    `challenger`, unless it is the champion. A step that was done already is not done again, so
    that a repeated call changes nothing.
    """
    client = registry.client
    before = registry.aliases(ref.name)
    client.set_model_version_tag(ref.name, ref.version, DECISION_TAG, decision.model_dump_json())
    champion = before.get(CHAMPION)
    if not decision.promote:
        if champion != ref:
            client.set_registered_model_alias(ref.name, CHALLENGER, ref.version)
    else:
        if champion != ref:
            # `previous` first: whatever happens between the two calls, there is a champion.
            if champion is not None:
                client.set_registered_model_alias(ref.name, PREVIOUS, champion.version)
            client.set_registered_model_alias(ref.name, CHAMPION, ref.version)
        if before.get(CHALLENGER) == ref:
            client.delete_registered_model_alias(ref.name, CHALLENGER)
    return registry.aliases(ref.name)


def rollback(registry: Registry, name: str) -> dict[str, VersionRef]:
    """Swap `champion` and `previous`; the aliases afterwards.

    The version that steps down is marked, so that the next training run does not promote it again
    by itself; rolling back once more restores it and takes the mark away.

    Raises:
        FeatrixUserError: the name has no champion, or none before it.
    """
    name = registered_name(name)
    before = registry.aliases(name)
    champion, previous = before.get(CHAMPION), before.get(PREVIOUS)
    if champion is None or previous is None or champion == previous:
        raise FeatrixUserError(
            "There is no earlier champion to go back to",
            value=name,
            remedy="A rollback needs a model that has been promoted at least twice",
        )
    client = registry.client
    client.set_registered_model_alias(name, CHAMPION, previous.version)
    client.set_registered_model_alias(name, PREVIOUS, champion.version)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    client.set_model_version_tag(name, champion.version, ROLLED_BACK_TAG, now)
    if ROLLED_BACK_TAG in registry.version(previous).tags:
        client.delete_model_version_tag(name, previous.version, ROLLED_BACK_TAG)
    return registry.aliases(name)
