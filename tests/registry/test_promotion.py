"""Gates, aliases and rollback."""

from __future__ import annotations

import re

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from featrix_core.errors import FeatrixUserError
from featrix_core.registry.promotion import (
    DECISION_TAG,
    ROLLED_BACK_TAG,
    GateCheck,
    PromotionDecision,
    PromotionGates,
    decide,
    paired_interval,
    promote,
    review,
    rollback,
)
from featrix_core.registry.versions import HOLDOUT_TAG

GOOD = {"roc_auc": 0.80, "log_loss": 0.45, "ece": 0.03}


def numbers(aliases):
    return {alias: ref.version for alias, ref in aliases.items()}


@pytest.mark.parametrize(
    ("candidate", "champion", "gates", "interval", "promoted", "says"),
    [
        (GOOD, None, {}, None, True, "no champion to beat"),
        (GOOD, GOOD, {}, None, True, "against the champion"),
        ({**GOOD, "roc_auc": 0.82}, GOOD, {}, None, True, r"\+0\.0200 better"),
        ({**GOOD, "roc_auc": 0.79}, GOOD, {}, None, False, "worse than"),
        ({**GOOD, "roc_auc": 0.79}, GOOD, {"max_degradation": 0.02}, None, True, "against"),
        ({**GOOD, "roc_auc": 0.795}, GOOD, {}, (-0.02, 0.01), True, "within noise"),
        ({**GOOD, "roc_auc": 0.795}, GOOD, {}, (-0.009, -0.001), False, "worse than"),
        ({**GOOD, "roc_auc": 0.70}, GOOD, {}, (-0.3, 0.1), False, "worse than"),
        ({**GOOD, "roc_auc": 0.795}, GOOD, {}, (float("nan"),) * 2, False, "worse than"),
        ({**GOOD, "log_loss": 0.5}, GOOD, {"primary": "log_loss"}, None, False, "log_loss"),
        ({**GOOD, "log_loss": 0.4}, GOOD, {"primary": "log_loss"}, None, True, "log_loss"),
        ({**GOOD, "ece": 0.11}, None, {}, None, False, "above the limit"),
        ({**GOOD, "ece": 0.11}, None, {"max_ece": 0.2}, None, True, "within the limit"),
        ({**GOOD, "ece": 0.11, "ece_by_chance": 0.15}, None, {}, None, True, "that chance makes"),
        ({**GOOD, "ece": 0.16, "ece_by_chance": 0.15}, None, {}, None, False, "above the limit"),
        ({"roc_auc": 0.8}, None, {}, None, False, "not measured"),
        ({**GOOD, "roc_auc": 0.45}, None, {}, None, False, "below the floor"),
        ({**GOOD, "roc_auc": float("nan")}, {"roc_auc": 0.7}, {}, None, False, "no usable figure"),
        ({}, None, {}, None, False, "no usable figure"),
        (GOOD, {"r2": 0.5}, {}, None, False, "none in common"),
        (GOOD, {"r2": 0.5}, {"primary": "roc_auc"}, None, False, "champion has no roc_auc"),
        ({"r2": 0.6, "rmse": 9.0}, {"r2": 0.5, "rmse": 10.0}, {}, None, True, "r2"),
        ({"r2": -0.1}, None, {}, None, False, "floor"),
        ({"rmse": 101.0}, {"rmse": 100.0}, {"max_degradation": 0.02}, None, True, "-0.0100"),
        ({"rmse": 103.0}, {"rmse": 100.0}, {"max_degradation": 0.02}, None, False, "-0.0300"),
    ],
)
def test_decide(candidate, champion, gates, interval, promoted, says):
    decision = decide(candidate, champion, PromotionGates(**gates), interval=interval)
    assert decision.promote is promoted
    assert re.search(says, "\n".join(decision.reasons))
    assert PromotionDecision.model_validate_json(decision.model_dump_json()) == decision


def test_refusal_names_the_failed_gates_only():
    decision = decide({**GOOD, "ece": 0.3}, GOOD)
    assert [check.gate for check in decision.checks if not check.passed] == ["calibration"]
    assert decision.reasons == ("Calibration error 0.3000 is above the limit of 0.1000",)


def test_gates_are_validated():
    with pytest.raises(ValidationError):
        PromotionGates(max_ece=2)
    with pytest.raises(FeatrixUserError, match="unknown figure"):
        decide(GOOD, GOOD, PromotionGates(primary="beauty"))


def test_paired_interval_tells_real_gains_from_none():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    signal = truth + rng.normal(size=400)
    noisy = truth + 3 * rng.normal(size=400)
    twin = signal + 0.01 * rng.normal(size=400)

    def interval(candidate, champion):
        return paired_interval(
            "roc_auc", roc_auc_score, truth, candidate, champion, resamples=60, seed=1
        )

    low, high = interval(signal, noisy)
    assert 0 < low < roc_auc_score(truth, signal) - roc_auc_score(truth, noisy) < high
    assert interval(noisy, signal) == (
        pytest.approx(-high, abs=0.03),
        pytest.approx(-low, abs=0.03),
    )
    low, high = interval(twin, signal)
    assert -0.01 < low < 0 < high < 0.01
    assert interval(twin, signal) == (low, high)


@pytest.fixture
def register(embedded, make_bundle):
    """Register predictor `credit` with figures; each number is a bundle of its own."""

    def make(number, metrics, holdout="h1", name="credit"):
        tags = {HOLDOUT_TAG: holdout} if holdout else {}
        with embedded.run("train") as run:
            return embedded.register_bundle(
                run, make_bundle("predictor", number), "predictor", name, metrics, tags=tags
            )

    return make


def judge(registry, ref, **arguments):
    decision = review(registry, ref, **arguments)
    return decision, numbers(promote(registry, ref, decision))


def test_aliases_follow_the_decisions(embedded, register):
    first = register(1, GOOD)
    decision, aliases = judge(embedded, first)
    assert decision.promote and aliases == {"champion": "1"}

    worse = register(2, {**GOOD, "roc_auc": 0.7})
    decision, aliases = judge(embedded, worse)
    assert not decision.promote and aliases == {"champion": "1", "challenger": "2"}

    better = register(3, {**GOOD, "roc_auc": 0.85})
    decision, aliases = judge(embedded, better)
    assert decision.promote
    assert aliases == {"champion": "3", "previous": "1", "challenger": "2"}
    kept = embedded.version(better).tags[DECISION_TAG]
    assert PromotionDecision.model_validate_json(kept) == decision

    assert judge(embedded, better)[1] == aliases  # once more changes nothing
    assert embedded.resolve("credit") == better


def test_champion_that_misses_new_gates_stays(embedded, register):
    ref = register(1, GOOD)
    judge(embedded, ref)
    decision, aliases = judge(embedded, ref, gates=PromotionGates(max_ece=0.01))
    assert not decision.promote and aliases == {"champion": "1"}


def test_challenger_that_is_promoted_later_is_challenger_no_more(embedded, register):
    judge(embedded, register(1, GOOD))
    second = register(2, {**GOOD, "roc_auc": 0.79})
    assert judge(embedded, second)[1] == {"champion": "1", "challenger": "2"}
    _, aliases = judge(embedded, second, gates=PromotionGates(max_degradation=0.05))
    assert aliases == {"champion": "2", "previous": "1"}


@pytest.mark.parametrize("holdout", ["h2", None])
def test_other_holdout_needs_the_champion_measured_again(embedded, register, holdout):
    judge(embedded, register(1, GOOD, "h1"))
    second = register(2, {**GOOD, "roc_auc": 0.78}, holdout)

    decision, aliases = judge(embedded, second)
    assert not decision.promote and aliases == {"champion": "1", "challenger": "2"}
    assert any("another hold-out" in reason and "compare" in reason for reason in decision.reasons)

    decision, _ = judge(embedded, second, compare={**GOOD, "roc_auc": 0.79})
    assert not decision.promote
    decision, aliases = judge(embedded, second, compare={**GOOD, "roc_auc": 0.77})
    assert decision.promote and aliases == {"champion": "2", "previous": "1"}
    assert any("another hold-out" in reason for reason in decision.reasons)


def test_rollback_and_back(embedded, register):
    first, second = register(1, GOOD), register(2, {**GOOD, "roc_auc": 0.85})
    judge(embedded, first)
    judge(embedded, second)
    assert numbers(rollback(embedded, "credit")) == {"champion": "1", "previous": "2"}

    # Training again gives the same bundle: it must not come back by itself.
    decision, aliases = judge(embedded, register(2, {**GOOD, "roc_auc": 0.85}))
    assert not decision.promote and "rolled back" in decision.reasons[0]
    assert aliases["champion"] == "1"

    assert numbers(rollback(embedded, "credit"))["champion"] == "2"
    assert ROLLED_BACK_TAG not in embedded.version(second).tags
    assert ROLLED_BACK_TAG in embedded.version(first).tags


def test_rollback_with_nothing_to_go_back_to(embedded, register):
    with pytest.raises(FeatrixUserError, match="no earlier champion"):
        rollback(embedded, "credit")
    judge(embedded, register(1, GOOD))
    with pytest.raises(FeatrixUserError, match="no earlier champion"):
        rollback(embedded, "credit")


def test_a_person_may_decide(embedded, register):
    ref = register(1, {})
    assert not review(embedded, ref).promote
    decision = PromotionDecision(promote=True, reasons=("Agreed in the review of May",))
    assert numbers(promote(embedded, ref, decision)) == {"champion": "1"}


def test_decision_of_outcomes():
    passed = GateCheck(gate="a", passed=True, reason="A holds")
    failed = GateCheck(gate="b", passed=False, reason="B fails")
    assert PromotionDecision.of((passed, failed)).reasons == ("B fails",)
    assert PromotionDecision.of((passed,)).promote
