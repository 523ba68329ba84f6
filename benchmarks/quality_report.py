"""Puts the figures of `results/quality.json` between the markers of `benchmarks/README.md`, and draws the plot.

    python -m benchmarks.quality_report
    python -m benchmarks.quality_report --show      # prints, writes nothing

A suite that is not complete shows the sets that are. Methods are ranked together on the sets that all of them have
whole: a table for those that take seconds, and one each with the networks and with the tuned rival where these
have fewer sets. The plot reads the first; the summary reads it and the one with the most methods. Where the
project's README has `quality-summary` markers, short tables go between them.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import readme
from benchmarks.program import footer
from benchmarks.quality import RESULT, cells
from benchmarks.quality_calibration import (
    calibration_table,
    chance_table,
    interval_table,
    set_table,
)
from benchmarks.quality_figures import SCORE
from benchmarks.quality_own import FEATRIX, NET_ONLY
from benchmarks.quality_peers import PEERS
from benchmarks.quality_plot import draw
from benchmarks.quality_ranks import (
    Differences,
    Found,
    differences,
    gaps,
    gathered,
    groups,
    mean_ranks,
    normalised,
    standing,
)
from benchmarks.quality_sets import ROWS
from benchmarks.space_cells import HERE
from benchmarks.space_tables import markdown
from featrix_core.files import read_json, write_text
from featrix_core.predictor.standing import BOOSTED, LEAFWISE, LINEAR, NETS, RANDOMISED

README = HERE / "README.md"
PLOT = HERE.parent / "docs" / "quality_cd.png"
START, END = "<!-- quality:start -->", "<!-- quality:end -->"
SUMMARY_START, SUMMARY_END = "<!-- quality-summary:start -->", "<!-- quality-summary:end -->"
STANDING = {
    NETS: "nets",
    BOOSTED: "CatBoost",
    LEAFWISE: "LightGBM",
    RANDOMISED: "LightGBM with random splits",
    LINEAR: "linear model",
}
"""What stands together in a predictor, as tables say it."""
NOTHING = "No results are committed yet."


def read_cells(path: Path = RESULT) -> dict[str, Any]:
    """The result file, or one without cells."""
    result: dict[str, Any] = read_json(path) if path.is_file() else {"cells": {}}
    return result


def owns(found: Found) -> list[str]:
    """This project's methods, as far as they were measured; the default first."""
    return [m for m in (FEATRIX, NET_ONLY) if m in found.methods]


def difference(found: Found) -> Differences | None:
    """Of the scores of the first group."""
    for methods, sets in groups(found)[:1]:
        return differences(found.scores(sets, methods), methods)
    return None


def block(result: dict[str, Any]) -> str:
    """Markdown of all results."""
    if not result["cells"]:
        return NOTHING
    found = gathered(result["cells"])
    parts = [
        _by_set(found),
        *(_ranks(found, methods, sets) for methods, sets in groups(found)),
        _plot(found),
        _against(found),
        _gaps(found),
        calibration_table(found, owns(found)),
        chance_table(found, FEATRIX),
        interval_table(found, owns(found)),
        set_table(found, owns(found)),
        _cost(found),
        [_footer(result)],
    ]
    return "\n".join(line for part in parts if part for line in [*part, ""]).rstrip("\n")


def _mean(values: Iterable[float], digits: int) -> str:
    there = list(values)
    return f"{np.mean(there):.{digits}f}" if there else ""


def _by_set(found: Found) -> list[str]:
    rows = []
    for name in found.sets:
        kind = found.kinds[name]
        measure = "R²" if kind == "regression" else "AUC"
        # Some folds beside all of another's would not be compared but guessed.
        whole = [m for m in found.methods if found.whole(name, m)]
        figures = [
            found.values(name, m, SCORE[kind]).values() if m in whole else () for m in found.methods
        ]
        rows.append([name, kind, measure, *(_mean(own, 4) for own in figures)])
    return markdown(["set", "target", "measure", *found.methods], rows, left=3)


def _ranks(found: Found, methods: list[str], sets: list[str]) -> list[str]:
    scores, losses = found.scores(sets, methods), found.losses(sets, methods)
    columns = [
        mean_ranks(scores, methods, best_is_high=True),
        mean_ranks(losses, methods, best_is_high=False),
        normalised(scores, methods),
    ]
    rows = [[m, *(f"{column[m]:.2f}" for column in columns)] for m in methods]
    rows.sort(key=lambda row: float(row[1]))
    head = [
        f"{len(sets)} complete sets",
        "mean rank, AUC or R²",
        "mean rank, log loss or RMSE",
        "mean normalised score",
    ]
    return markdown(head, rows)


def _plot(found: Found) -> list[str]:
    told = difference(found)
    if told is None:
        return []
    return [
        f"![Critical difference of the mean ranks](../docs/{PLOT.name})",
        "",
        f"Friedman's test over {told.sets} sets: p = {told.p_value:.2g}; mean ranks that are less than "
        f"{told.distance:.2f} apart are not told apart at 5 % (Nemenyi).",
    ]


def _against(found: Found) -> list[str]:
    rows = []
    for own in owns(found):
        for peer in PEERS:
            told = standing(found, own, peer)
            if told is not None:
                rows.append([own, peer, told.text, f"{told.mean:+.4f}"])
    head = ["method", "against", "sets won / tied / lost", "mean difference, AUC or R²"]
    return markdown(head, rows, left=2) if rows else []


def _gaps(found: Found) -> list[str]:
    rows = []
    for own in owns(found):
        apart = gaps(found, own)
        if apart:
            worst = max(apart, key=lambda name: apart[name][1])
            peer, gap = apart[worst]
            within = sum(gap <= 0.01 for _, gap in apart.values())
            rows.append([own, worst, peer, f"{-gap:+.4f}", f"{within} of {len(apart)}"])
    head = ["method", "its worst set", "best peer there", "difference", "sets within 0.01"]
    return markdown(head, rows, left=3) if rows else []


def _of(found: Found, method: str, figure: str, sets: list[str] | None = None) -> list[float]:
    """A figure of all folds that have it, of these sets or of all."""
    folds = (
        f
        for (name, m), by_fold in found.figures.items()
        if m == method and (sets is None or name in sets)
        for f in by_fold.values()
    )
    return [float(f[figure]) for f in folds if f.get(figure) is not None]


def _cost(found: Found) -> list[str]:
    rows = []
    for method in found.methods:
        sets = [name for name in found.sets if found.whole(name, method)]
        fit, spent, memory = (
            _of(found, method, figure, sets)
            for figure in ("fit_seconds", "processor_seconds", "peak_memory_mib")
        )
        if not spent:
            continue
        rows.append(
            [
                method,
                len(sets),
                *(f"{figure(spent):.1f}" for figure in (np.median, max)),
                *(f"{figure(fit):.1f}" for figure in (np.median, max)),
                f"{np.median(_of(found, method, 'predict_seconds', sets)):.2f}",
                f"{max(memory):,.0f}" if memory else "",
            ]
        )
    head = [
        "method",
        "sets",
        "processor seconds of a fold, median",
        "largest",
        "seconds to fit, median",
        "largest",
        "to predict, median",
        "peak MiB",
    ]
    return markdown(head, rows)


def _footer(result: dict[str, Any]) -> str:
    return footer("bench-quality DATA_DIR=…", result, len(cells(Path())))


def summary(result: dict[str, Any]) -> str:
    """Short tables for the project's README, from complete sets: the methods that take seconds, and all of them on
    the sets where the slow ones are whole as well."""
    found = gathered(result["cells"])
    if not groups(found):
        return NOTHING
    methods, sets = groups(found)[0]
    more, fewer = max(groups(found), key=lambda group: len(group[0]))
    kinds = Counter("regression" if found.kinds[s] == "regression" else "classes" for s in sets)
    others = [m for m in more if m not in methods]
    beside = [
        f"{len(fewer)} of these sets, of up to {max(ROWS[s] for s in fewer):,} rows, with tuned and deep rivals too "
        f"({'; '.join(others)}):",
        "",
        *_ranking(found, more, fewer),
        "",
    ]
    return "\n".join(
        [
            *_ranking(found, methods, sets),
            "",
            f"{len(sets)} real sets ({kinds['classes']} with classes, {kinds['regression']} with numbers), "
            "the same folds for all.",
            *_shares(found, sets),
            "",
            *(beside if others else ()),
            _footer(result),
        ]
    )


def _ranking(found: Found, methods: list[str], sets: list[str]) -> list[str]:
    """A row per method, best rank first."""
    scores, losses = found.scores(sets, methods), found.losses(sets, methods)
    by_score = mean_ranks(scores, methods, best_is_high=True)
    by_loss = mean_ranks(losses, methods, best_is_high=False)
    first = owns(found)[0] if owns(found) else None
    rows = []
    for method in sorted(methods, key=lambda m: by_score[m]):
        told = None if first in (None, method) else standing(found, first, method, sets)
        # Different measures: a plain mean over AUC and R² says where a method stands, not what it is.
        mean = np.mean([row[method] for row in scores.values()])
        spent = _of(found, method, "processor_seconds", sets)
        rows.append(
            [
                method,
                f"{by_score[method]:.2f}",
                f"{by_loss[method]:.2f}",
                f"{mean:.4f}",
                "" if told is None else told.text,
                f"{np.median(spent):.0f} ({max(spent):.0f})",
            ]
        )
    head = [
        "method",
        "mean rank, AUC or R²",
        "mean rank, log loss or RMSE",
        "mean AUC or R²",
        f"{first or FEATRIX} won / tied / lost",
        "processor seconds, median (largest)",
    ]
    return list(markdown(head, rows))


def _shares(found: Found, sets: list[str]) -> list[str]:
    """Who answers in this project's default: the mean over sets of the shares that the selector gave."""
    by_set = []
    for name in sets:
        folds = [
            f["notes"]["predictor"]["selector"]["shares"]
            for f in found.figures.get((name, FEATRIX), {}).values()
            if f.get("notes")
        ]
        if folds:
            by_set.append({m: np.mean([f.get(m, 0.0) for f in folds]) for m in STANDING})
    if not by_set:
        return []
    means = {said: np.mean([s[m] for s in by_set]) for m, said in STANDING.items()}
    shares = [f"{said} {mean:.0%}" for said, mean in means.items() if mean > 0]
    return [f"Shares of {FEATRIX}'s answer, mean over sets: {', '.join(shares)}."]


def filled(text: str, table: str) -> str:
    """`text` with `table` between this report's markers."""
    return readme.filled(text, table, START, END)


def filled_summary(text: str, result: dict[str, Any]) -> str:
    """The project's README with its short table; unchanged where it has no markers for it."""
    if SUMMARY_START not in text:
        return text
    return readme.filled(text, summary(result), SUMMARY_START, SUMMARY_END)


def main(given: list[str] | None = None) -> None:
    """Rewrite both READMEs and the plot from the result file, or print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--show", action="store_true", help="print, write nothing")
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args(given)
    result = read_cells(arguments.result)
    if arguments.show:
        print(block(result), summary(result), sep="\n\n")
        return
    told = difference(gathered(result["cells"]))
    if told is not None:
        draw(told, PLOT)
    write_text(README, filled(README.read_text(encoding="utf-8"), block(result)))
    own = readme.README.read_text(encoding="utf-8")
    if (shown := filled_summary(own, result)) != own:
        write_text(readme.README, shown)


if __name__ == "__main__":
    main()
