"""Where a space pays: score over the number of labelled rows.

The space sees the columns of all rows of the pool, without any target; labels are known for a few of them. Test
rows (a fifth) belong to nobody. Every seed draws another test part, another pool and other labels; fewer labels
are a part of more. Rivals learn from the labelled rows alone, except for the head without a space, whose codecs
have seen the pool.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from benchmarks.space_arms import embedded, head_score, train_space, tree_scores, without_space
from benchmarks.space_cells import Cell, Settings
from benchmarks.space_data import Rows, Task, facts, label_draws, load
from benchmarks.space_designs import Pair, one_hot, parsed
from benchmarks.space_probes import knn, linear, score
from benchmarks.space_tables import Gain, averages, markdown, mean, paired, scores_of

QUESTION = "score over 50 … 2,000 labels with a space of all rows, beside trees, logistic, no space"
SETS = ("adult", "telco_churn", "bank_marketing", "kdd_census", "diamonds", "bikeshare")
ROWS = 3_000
COUNTS = (50, 100, 200, 500, 2_000)
SEEDS = 5
HEAD_COUNTS, HEAD_SEEDS = (50, 200, 2_000), 3
"""Heads take as long as all other arms together; fewer of them."""
TEST = 0.2
PROBED = ("frozen, linear", "frozen, k-NN")
HEADS = ("frozen, head", "head without a space")
RIVALS = ("one-hot + PLE, linear", "LightGBM", "CatBoost")
ARMS = (*PROBED, *RIVALS, *HEADS)


def drawn(
    settings: Settings, task: Task, seed: int, count: int, *, by_class: bool = True
) -> tuple[Task, Task, Rows]:
    """Pool, test part (by class: in proportion), and which rows of the pool have a label."""
    pool, test = task.parted(TEST, seed, by_class=by_class)
    counts = (30,) if settings.quick else (count,)
    _, rows = next(label_draws(pool, counts, seed))
    return pool, test, rows


def arm_score(
    settings: Settings, arm: str, pool: Task, test: Task, rows: Rows, seed: int
) -> dict[str, Any]:
    """Score of one arm, and the plan of the space that it stands on."""
    few = pool.take(rows)
    if arm in ("LightGBM", "CatBoost"):
        return {"scores": {"": tree_scores(arm, few, test, seed)}}
    if arm == "one-hot + PLE, linear":
        pair: Pair = one_hot(*parsed(few.frame, test.frame), bins=True)
        said = linear(pair, few.y_N, few.classes, seed)
        return {"scores": {"": score(test.y_N, said, few.classes)}}
    space, record = train_space(pool, seed, settings.epochs)
    if arm in HEADS:
        space = without_space(space) if arm == "head without a space" else space
        value = head_score(space, few, test, seed, fine_tune=False, epochs=settings.epochs)
        return {**record, "scores": {"": value}}
    pair = embedded(space, few, test)
    nearest = arm == "frozen, k-NN"
    said = (knn if nearest else linear)(pair, few.y_N, few.classes)
    return {**record, "scores": {"": score(test.y_N, said, few.classes)}}


def measure(settings: Settings, name: str, arm: str, count: int, seed: int) -> dict[str, Any]:
    """One arm with so many labels."""
    task = load(settings.data_dir, name, settings.rows(ROWS))
    pool, test, rows = drawn(settings, task, seed, count)
    more = {"measure": task.measure, "labels": len(rows), "pool": facts(pool)}
    return {**more, **arm_score(settings, arm, pool, test, rows, seed)}


def cells(settings: Settings) -> list[Cell]:
    """Seed by seed, heads last; all labels and arms of a set after one another, for they share its space."""
    seeds, counts = (1, COUNTS[:1]) if settings.quick else (SEEDS, COUNTS)
    return [
        Cell(
            f"labels/{name}/{arm}/{count}/{seed}",
            functools.partial(measure, settings, name, arm, count, seed),
            own=arm not in RIVALS,
        )
        for arms in ((*PROBED, *RIVALS), HEADS)
        for seed in range(seeds)
        for name in SETS
        for count in counts
        for arm in arms
        if arms != HEADS or settings.quick or (count in HEAD_COUNTS and seed < HEAD_SEEDS)
    ]


def report(found: dict[str, dict[str, Any]]) -> list[str]:
    """Means over seeds; the mean over sets of paired differences to the best rival; gains of the space."""
    scores = {key[:3]: value for key, value in scores_of(found).items()}  # (set, arm, labels)
    lines: list[str] = []
    sets = [name for name in SETS if any(key[0] == name for key in scores)]
    for name in sets:
        measure_ = next(c["measure"] for n, c in found.items() if n.split("/")[1] == name)
        rows = [[arm, *(mean(scores.get((name, arm, str(n)))) for n in COUNTS)] for arm in ARMS]
        lines += [*markdown([f"{name}, {measure_}; labels", *map(str, COUNTS)], rows), ""]
    head = ["mean difference over sets; sets ahead; labels", *map(str, COUNTS)]
    rows = []
    for arm in ("frozen, linear", "frozen, head", "frozen, k-NN"):
        for rival in ("head without a space", *RIVALS):
            compared = [
                averages(
                    paired(
                        scores.get((name, arm, str(n)), {}), scores.get((name, rival, str(n)), {})
                    )
                    for name in sets
                )
                for n in COUNTS
            ]
            rows.append([f"{arm} − {rival}", *compared])
    lines += [*markdown(head, rows), "", *_won(scores, sets)]
    return lines


def _won(scores: dict[Any, dict[str, float]], sets: list[str]) -> list[str]:
    """Per set and number of labels: the best arm on the space against the best rival."""
    rows = []
    for name in sets:
        row = [name]
        for n in map(str, COUNTS):
            own = _best(scores, name, (*PROBED, "frozen, head"), n)
            rival = _best(scores, name, (*RIVALS, "head without a space"), n)
            if own is None or rival is None:
                row.append("")
                continue
            gain: Gain | None = paired(scores[name, own, n], scores[name, rival, n])
            row.append("" if gain is None else f"{own} − {rival}: {gain.mean:+.3f}")
        rows.append(row)
    head = ["best with a space − best without; labels", *map(str, COUNTS)]
    return markdown(head, rows)


def _best(
    scores: dict[Any, dict[str, float]], name: str, arms: tuple[str, ...], labels: str
) -> str | None:
    there = {arm: scores[name, arm, labels] for arm in arms if (name, arm, labels) in scores}
    return max(there, key=lambda arm: np.mean(list(there[arm].values()))) if there else None
