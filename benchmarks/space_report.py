"""Puts the figures of `results/space_*.json` between the markers of `benchmarks/README.md`.

    python -m benchmarks.space_report
    python -m benchmarks.space_report --show probe      # prints one suite, writes nothing

A suite that is not complete shows what is there and says how much that is.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import readme
from benchmarks.space import PROGRAMS, SUITES, suite
from benchmarks.space_cells import HERE, RESULTS, Settings
from benchmarks.space_tables import markdown
from featrix_core.files import read_json, write_text

README = HERE / "README.md"
START, END = "<!-- space:start -->", "<!-- space:end -->"
TITLES = {
    "probe": "Embedding quality",
    "labels": "Where a space pays: few labels",
    "targets": "Where a space pays: five targets from one space",
    "tokens": "Do relationships earn their place?",
    "time": "Time to a trained space",
    "columns": "Cost against columns",
    "ablation": "One row per part",
    "plan": "The plan's values against the source's",
    "pairs": "Causal scoring against other ways to choose pairs",
    "rho": "Self-validation of the pair scores",
    "kills": "Killed and resumed",
    "distributed": "Two processes beside one",
}


def read_results(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Results by suite, as far as they are there."""
    paths = {name: folder / f"space_{name}.json" for name in (*SUITES, *PROGRAMS)}
    return {name: read_json(path) for name, path in paths.items() if path.is_file()}


def section(name: str, result: dict[str, Any]) -> list[str]:
    """Markdown of one suite."""
    if name in _PROGRAMS:
        return _PROGRAMS[name](result)
    module, cells = suite(name), result["cells"]
    lines: list[str] = [*module.report(cells)]
    return [*lines, "", _footer(name, result, len(module.cells(Settings(Path()))))]


def _footer(name: str, result: dict[str, Any], wanted: int) -> str:
    """What it was measured with; how much is there."""
    info, cells = result["machine"], result["cells"].values()
    dates = sorted({cell["date"] for cell in cells})
    span = dates[0] if len(dates) == 1 else f"{dates[0]} … {dates[-1]}"
    commits = Counter(cell["commit"] for cell in cells).most_common()
    loads = [cell["load"] for cell in cells]
    return (
        f"`--only {name}`: {len(cells)} of {wanted} cells, {span}, {info['processor']}, "
        f"{info['cores']} cores, load {min(loads):.0f}–{max(loads):.0f}; cells by commit: "
        + ", ".join(f"{commit} {count}" for commit, count in commits)
        + "."
    )


def _kills(result: dict[str, Any]) -> list[str]:
    kills = [kill for run in result["runs"] for kill in run["kills"]]
    same = sum(run["identical"] for run in result["runs"])
    writing = sum(kill["while_writing"] for kill in kills)
    info = result["machine"]
    head = ["runs", "kills", "of them while a checkpoint was written", "runs with the same bytes"]
    return [
        *markdown(head, [[len(result["runs"]), len(kills), writing, same]], left=0),
        "",
        f"`--only kills`: German credit, {result['epochs']} epochs, {info['date']}, "
        f"{info['processor']}, {info['cores']} cores.",
    ]


def _distributed(result: dict[str, Any]) -> list[str]:
    info, difference = result["machine"], result["largest_loss_difference"]
    rows = [
        [
            run["processes"],
            f"{run['epoch_seconds']:.2f}",
            f"{run['processor_seconds']:.2f}",
            f"{run['final_validation_loss']:.5f}",
        ]
        for run in result["runs"]
    ]
    head = ["processes", "seconds per epoch", "of the first's processor", "final validation loss"]
    return [
        *markdown(head, rows, left=0),
        "",
        f"Largest difference of a loss, over all epochs: {difference:.1e}.",
        "",
        f"`--only distributed`: German credit repeated to {result['rows']:,} rows × {result['columns']} columns, "
        f"batches of {result['batch_size']}, {result['epochs']} epochs, one thread per process, "
        f"{info['date']}, {info['processor']}, {info['cores']} cores, load {result['load']:.0f}.",
    ]


_PROGRAMS = {"kills": _kills, "distributed": _distributed}


def block(results: dict[str, dict[str, Any]]) -> str:
    """Markdown of all results."""
    lines: list[str] = []
    for name, title in TITLES.items():
        if name in results:
            lines += [f"### {title}", "", *section(name, results[name]), ""]
    return "\n".join(lines[:-1]) if lines else "No results are committed yet."


def filled(text: str, table: str) -> str:
    """`text` with `table` between this report's markers."""
    return readme.filled(text, table, START, END)


def main() -> None:
    """Rewrite the README from the result files, or print one suite."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--show", choices=list(TITLES), help="print one suite, write nothing")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    results = read_results(arguments.results)
    if arguments.show:
        there = arguments.show in results
        print("\n".join(section(arguments.show, results[arguments.show]) if there else []))
        return
    write_text(README, filled(README.read_text(encoding="utf-8"), block(results)))


if __name__ == "__main__":
    main()
