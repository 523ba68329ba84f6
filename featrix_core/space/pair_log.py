"""Decision log of column pairs, and the check of their scores on periods that the scores never saw (JOINT-3, JOINT-4).

Everything is JSON-ready; lifts are in nats per hidden cell, positive is good.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from featrix_core.space.causal import ENOUGH, INTERVAL, Lifts
from featrix_core.space.pair_schedule import DROPPED, ENTERED, PROTECTED, RELEASED, STEPS

if TYPE_CHECKING:
    from featrix_core.space.pair_trial import PairTrial

LISTED, LISTED_WORST = 2000, 100
"""Pairs in the log at most, best first, and how many of them are the worst; those between are counted alone."""
TRUSTED = 0.4
"""Rank correlation below which the scores are not to be relied on (D6)."""
TAIL = 0.2
"""Share of pairs that are compared at either end."""
LEAST_PAIRS = 5
_WORDS = {
    DROPPED: "dropped",
    ENTERED: "entered",
    PROTECTED: "protected",
    RELEASED: "released",
}


def pair_report(trial: PairTrial, names: Sequence[str], final_Q2: Tensor) -> dict[str, Any]:
    """The log of a training, finished or not.

    Args:
        final_Q2: pairs that the space reads now.

    Returns:
        `pairs` (entries, best score first), `self_validation`, `text` and what the experiment was.
    """
    seen_S, lifts = trial.lifts(held=False)
    final = {tuple(pair) for pair in final_Q2.tolist()}
    swaps: dict[int, list[dict[str, Any]]] = {}
    for period, pair, what in trial.schedule.events:
        swaps.setdefault(pair, []).append({"period": period, "change": _WORDS[what]})
    order = lifts.score_P.argsort(descending=True, stable=True).tolist()
    if len(order) > LISTED:
        order = order[: LISTED - LISTED_WORST] + order[-LISTED_WORST:]
    entries = []
    for place in order:
        number = int(seen_S[place])
        entry = _entry(trial, names, final, number, lifts, place)
        entries.append({**entry, "swaps": swaps.get(number, [])})
    unseen = torch.ones(len(trial.pairs_P2), dtype=torch.bool)
    unseen[seen_S] = False
    for number in unseen.nonzero().squeeze(1).tolist()[: max(LISTED - len(entries), 0)]:
        entries.append({**_entry(trial, names, final, number, None, 0), "swaps": []})
    checked = self_validation(trial, names, final)
    document = {
        "schema_version": 1,
        "periods": len(trial.history),
        "held_out_periods": int(trial.held_T().sum()),
        "updates_per_period": STEPS,
        "pairs_in_all": len(trial.pairs_P2),
        "pairs_tried": len(seen_S),
        "slots": trial.schedule.slots,
        "pairs_kept": len(final),
        "pairs": entries,
        "self_validation": checked,
    }
    return {**document, "text": as_text(document)}


def _entry(
    trial: PairTrial,
    names: Sequence[str],
    final: set[tuple[int, ...]],
    number: int,
    lifts: Lifts | None,
    place: int,
) -> dict[str, Any]:
    i, j = trial.pairs_P2[number].tolist()
    kept = (i, j) in final
    entry: dict[str, Any] = {
        "columns": [names[i], names[j]],
        "lifts": [],
        "total": None,
        "interval": None,
        "score": None,
        "paired": 0,
        "unpaired": 0,
        "kept": kept,
    }
    if lifts is not None:
        paired, unpaired = int(lifts.paired_P[place]), int(lifts.unpaired_P[place])
        entry |= {"paired": paired, "unpaired": unpaired}
        if paired and unpaired:
            total, error = float(lifts.total_P[place]), float(lifts.total_error_P[place])
            onto = [(names[j], 0), (names[i], 1)]
            entry["lifts"] = [
                _lift(name, lifts.onto_P2[place, k], lifts.onto_error_P2[place, k])
                for name, k in onto
            ]
            if len(names) > 2:
                third = int(lifts.third_column_P[place])
                name = names[third] if third >= 0 else "another column"
                found = _lift(name, lifts.third_P[place], lifts.third_error_P[place])
                entry["lifts"].append({**found, "third": True})
            entry |= {
                "total": _number(total),
                "interval": [_number(total - INTERVAL * error), _number(total + INTERVAL * error)],
                "score": _number(float(lifts.score_P[place])),
            }
    protected = kept and bool(trial.schedule.protected_P[number])
    entry["decision"], entry["reason"] = _decision(entry, protected)
    return entry


def _lift(name: str, mean: Tensor, error: Tensor) -> dict[str, Any]:
    low, high = float(mean - INTERVAL * error), float(mean + INTERVAL * error)
    return {"helps": name, "mean": _number(float(mean)), "interval": [_number(low), _number(high)]}


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _decision(entry: dict[str, Any], protected: bool) -> tuple[str, str]:
    a, b = entry["columns"]
    total, interval = entry["total"], entry["interval"]
    few = entry["paired"] < ENOUGH or entry["unpaired"] < ENOUGH
    if total is None:
        seen = "was never left out" if entry["paired"] else "was there in no period that counts"
        if not entry["kept"]:
            return "EXPLORE", f"{a} with {b} {seen}: nothing is known of it"
        return "KEEP", f"{a} with {b} {seen}: nothing is known of it, and it fills a free place"
    low, high = interval
    best = max(entry["lifts"], key=lambda lift: lift["mean"])
    beside = " beside them" if best.get("third") else ""
    gain = f"{best['helps']}{beside} gains most, {best['mean']:+.4f} per cell"
    if entry["kept"]:
        if low > 0:
            bound = f"{gain}; all lifts of {a} with {b} sum to at least {low:+.4f} (95 %)"
            return ("PROTECT" if protected else "KEEP"), bound
        return "KEEP", (
            f"{a} with {b} fills a free place; its lift, {total:+.4f}, "
            + ("harms" if high < 0 else "may be chance")
            + f": {low:+.4f} to {high:+.4f}"
        )
    if few:
        count = f"there in {entry['paired']} periods and left out in {entry['unpaired']}"
        return "EXPLORE", f"{a} with {b} was {count}: too few to judge its lift of {total:+.4f}"
    if high < 0:
        return (
            "PRUNE",
            f"The columns are told worse with {a} and {b} paired: at most {high:+.4f} (95 %)",
        )
    if low <= 0:
        return (
            "PRUNE",
            f"The lift of {a} with {b}, {total:+.4f}, may be chance: {low:+.4f} to {high:+.4f}",
        )
    return "PRUNE", f"{a} with {b} helps, {total:+.4f}, but others help more"


def self_validation(
    trial: PairTrial, names: Sequence[str], final: set[tuple[int, ...]]
) -> dict[str, Any]:
    """Do the scores foretell the lifts in the held-out periods?

    False positives are kept pairs whose held-out lift is negative; false negatives pairs that were not kept and
    whose held-out lift is above zero with 95 % confidence.
    """
    seen_S, scored = trial.lifts(held=False)
    _, held = trial.lifts(held=True)
    usable_S = scored.score_P.isfinite() & (held.paired_P > 0) & (held.unpaired_P > 0)
    score = scored.score_P[usable_S].double().numpy()
    lift = held.total_P[usable_S].double().numpy()
    error = held.total_error_P[usable_S].double().numpy()
    pairs = [tuple(pair) for pair in trial.pairs_P2[seen_S[usable_S]].tolist()]
    found: dict[str, Any] = {"rho": None, "p_value": None, "pairs": len(pairs), "verdict": "none"}
    if len(pairs) < LEAST_PAIRS or np.ptp(score) == 0 or np.ptp(lift) == 0:
        return {
            **found,
            "text": "Too few pairs were measured to check their scores on other periods.",
        }
    test = spearmanr(score, lift)
    tail = max(1, round(TAIL * len(pairs)))
    order = np.argsort(score, kind="stable")
    bottom, top = lift[order[:tail]], lift[order[-tail:]]
    wrong = [p for p, gain in zip(pairs, lift, strict=True) if p in final and gain < 0]
    missed = [
        p
        for p, gain, off in zip(pairs, lift, error, strict=True)
        if p not in final and gain > INTERVAL * off
    ]
    rho = float(test.statistic)
    found |= {
        "rho": _number(rho),
        "p_value": float(test.pvalue),
        "top_lift": _number(float(top.mean())),
        "bottom_lift": _number(float(bottom.mean())),
        "top_positive": _number(float((top > 0).mean())),
        "bottom_positive": _number(float((bottom > 0).mean())),
        "false_positives": [[names[a], names[b]] for a, b in wrong],
        "false_negatives": [[names[a], names[b]] for a, b in missed],
        "noise_share": _number(float(min(1.0, (error**2).mean() / max(lift.var(), 1e-18)))),
        "verdict": "ok" if rho >= TRUSTED else "warning",
    }
    found["advice"] = _advice(trial, found, score, len(final))
    return {**found, "text": _paragraph(found)}


def _advice(trial: PairTrial, found: dict[str, Any], score: np.ndarray[Any, Any], kept: int) -> str:
    if found["verdict"] == "ok":
        return ""
    said = []
    if found["noise_share"] > 0.8:
        said.append(
            "the lifts differ hardly more than their noise does, so which pairs are active makes little "
            "difference to this table's columns, or too little to be measured in a training of this length"
        )
    if len(trial.history) < 50:
        said.append("train longer: each pair was left out in few periods")
    if abs(score.std() / max(abs(score.mean()), 1e-12)) < 0.3:
        said.append(
            "the scores lie close together, and the order among them is not to be relied on"
        )
    if len(found["false_positives"]) > 0.2 * max(kept, 1):
        said.append(
            "a wider interval (2.58 standard errors, 99 %) would keep fewer pairs by chance"
        )
    if len(found["false_negatives"]) > kept:
        said.append("more pairs should be kept")
    return (
        "; ".join(said)
        or "the lifts change while the network learns: judge pairs by several trainings"
    )


def _paragraph(found: dict[str, Any]) -> str:
    tail = round(100 * TAIL)
    text = (
        f"Scores of {found['pairs']} column pairs against their lifts in held-out periods: Spearman's rho "
        f"{found['rho']:.2f} (p = {found['p_value']:.2g}). Top {tail} %: mean lift {found['top_lift']:+.4f}, "
        f"{found['top_positive']:.0%} positive; bottom {tail} %: {found['bottom_lift']:+.4f}, "
        f"{found['bottom_positive']:.0%} positive. "
        f"{_count(found['false_positives'], 'kept pair does', 'kept pairs do')} harm there, "
        f"{_count(found['false_negatives'], 'dropped pair', 'dropped pairs')} would have helped."
    )
    if found["verdict"] == "ok":
        return text
    return f"{text} The scores do not foretell the lifts (rho below {TRUSTED}): {found['advice']}."


def _count(found: list[Any], one: str, many: str) -> str:
    shown = ", ".join(f"{a} with {b}" for a, b in found[:3]) + (", …" if len(found) > 3 else "")
    return f"{len(found)} {one if len(found) == 1 else many}" + (f" ({shown})" if found else "")


def as_text(document: dict[str, Any], most: int = 5) -> str:
    """The log for reading: best kept pairs, worst dropped ones, and the check."""
    entries = document["pairs"]
    kept = [e for e in entries if e["kept"]][:most]
    dropped = [e for e in entries if e["decision"] == "PRUNE"][::-1][:most]
    lines = [
        f"Column pairs after {document['periods']} periods of {document['updates_per_period']} updates: "
        f"{document['pairs_kept']} of {document['pairs_in_all']} kept, {document['pairs_tried']} tried"
    ]
    for title, some in (("Kept", kept), ("Dropped, worst first", dropped)):
        if some:
            lines += ["", f"{title}:"]
        for entry in some:
            lines += _lines(entry)
    return "\n".join([*lines, "", document["self_validation"]["text"]])


def _lines(entry: dict[str, Any]) -> list[str]:
    a, b = entry["columns"]
    lines = [f"  {a} ↔ {b}"]
    if entry["score"] is not None:
        lines[0] += f": score {entry['score']:+.4f}"
    for lift in entry["lifts"]:
        low, high = lift["interval"]
        source = f"{a}, {b}" if lift.get("third") else (a if lift["helps"] == b else b)
        half = (high - low) / 2
        lines.append(f"    lift {source} → {lift['helps']}: {lift['mean']:+.4f} ± {half:.4f}")
    lines.append(f"    periods: {entry['paired']} with, {entry['unpaired']} without")
    return [*lines, f"    {entry['decision']}: {entry['reason']}"]
