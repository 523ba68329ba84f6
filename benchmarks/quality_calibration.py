"""Calibration and coverage from the quality suite's cells (PRED-3, PRED-4).

Goals: a calibration error of at most half of what each peer has as it comes, on the same folds; intervals that hold
90 % ± 1.5 of the truth on every set with a number for a target.
"""

from __future__ import annotations

import math

import numpy as np

from benchmarks.quality_peers import PEERS
from benchmarks.quality_ranks import Found, ece_ratios
from benchmarks.space_tables import markdown

HALF = 0.5
LEVEL, TOLERANCE = 0.9, 0.015


def _mean(values: dict[str, float]) -> float:
    return float(np.mean(list(values.values())))


def calibration_table(found: Found, owns: list[str]) -> list[str]:
    """A row per own method and peer: means of both calibration errors over the sets that both have whole, the ratio
    of these means, the sets' own ratios, and on how many sets the goal is met."""
    rows = []
    for own in owns:
        for peer in PEERS:
            ratios = ece_ratios(found, own, peer)
            if not ratios:
                continue
            mine, theirs = (
                float(np.mean([_mean(found.values(name, method, "ece")) for name in ratios]))
                for method in (own, peer)
            )
            parts = list(ratios.values())
            met = sum(ratio <= HALF for ratio in parts)
            rows.append(
                [
                    own,
                    peer,
                    f"{mine:.4f}",
                    f"{theirs:.4f}",
                    f"{mine / theirs:.2f}",
                    f"{np.median(parts):.2f}",
                    f"{max(parts):.2f}",
                    f"{met} of {len(parts)}",
                    "met" if mine <= HALF * theirs else "missed",
                ]
            )
    head = ["ECE of", "against, uncalibrated", "its mean ECE", "the peer's", "ratio of the means"]
    more = ["median ratio of a set", "largest", "sets at most half", "goal: ratio at most 0.5"]
    return markdown([*head, *more], rows, left=2) if rows else []


def chance_table(found: Found, own: str, peer: str = "CatBoost") -> list[str]:
    """A row per set with classes: both calibration errors beside what `peer`'s answers would show were all of them
    right: answers as sharp as these have such an error by chance."""
    rows, reachable, met = [], 0, 0
    for name, ratio in ece_ratios(found, own, peer).items():
        chance = found.values(name, peer, "ece_chance")
        if not chance:
            continue
        mine, theirs = (_mean(found.values(name, method, "ece")) for method in (own, peer))
        reachable += _mean(chance) <= HALF * theirs
        met += ratio <= HALF
        rows.append([name, f"{mine:.4f}", f"{theirs:.4f}", f"{_mean(chance):.4f}"])
    if not rows:
        return []
    head = ["ECE on", own, f"{peer}, uncalibrated", f"{peer}, were it right"]
    count = (
        f"Half of {peer}'s error is more than chance makes on {reachable} of {len(rows)} sets; "
        f"{own} has half of it or less on {met}."
    )
    return [*markdown(head, rows), "", count]


def interval_table(found: Found, owns: list[str]) -> list[str]:
    """A row per own method and set with numbers: what the 90 % interval holds of all folds' test rows, and whether that
    is the goal; beside it how far chance alone would take a true 90 %."""
    rows = []
    counts = []
    for own in owns:
        verdicts = []
        for name in found.sets:
            held = found.values(name, own, "coverage")
            if found.kinds[name] != "regression" or not held or not found.whole(name, own):
                continue
            tested = found.values(name, own, "test_rows")
            share = sum(held[fold] * tested[fold] for fold in held) / sum(tested.values())
            chance = 1.96 * math.sqrt(LEVEL * (1.0 - LEVEL) / sum(tested.values()))
            thirds = found.values(name, own, "third_coverage")
            verdicts.append(abs(share - LEVEL) <= TOLERANCE)
            rows.append(
                [
                    own,
                    name,
                    f"{share:.1%}",
                    f"{100.0 * (share - LEVEL):+.1f}",
                    f"{100.0 * chance:.1f}",
                    f"{_mean(thirds):.1%}" if len(thirds) == len(held) else "",
                    f"{_mean(found.values(name, own, 'mean_interval_width')):.4g}",
                    "met" if verdicts[-1] else "missed",
                ]
            )
        if verdicts:
            counts.append(f"{own}: {sum(verdicts)} of {len(verdicts)} sets")
    if not rows:
        return []
    head = ["90 % interval of", "set", "coverage", "points from 90 %", "chance alone, ±"]
    more = ["least of three thirds by prediction", "mean width", "goal: 90 % ± 1.5"]
    table = markdown([*head, *more], rows, left=2)
    return [*table, "", f"Coverage within 90 % ± 1.5: {'; '.join(counts)}."]


def set_table(found: Found, owns: list[str]) -> list[str]:
    """A row per own method and set with classes: how many prediction sets hold the truth, and their size."""
    rows = [
        [
            own,
            name,
            f"{_mean(held):.1%}",
            f"{_mean(found.values(name, own, 'set_size')):.2f}",
        ]
        for own in owns
        for name in found.sets
        if found.whole(name, own) and (held := found.values(name, own, "set_coverage"))
    ]
    head = ["90 % prediction sets of", "set", "coverage", "classes in a set, mean"]
    return markdown(head, rows, left=2) if rows else []
