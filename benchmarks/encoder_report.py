"""Puts the figures of the encoder benchmarks between the markers of `benchmarks/README.md`.

python -m benchmarks.encoder_report
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import encoders, readme
from benchmarks.encoder_steps import COUNTS, GOAL
from featrix_core.errors import FeatrixUserError
from featrix_core.files import read_json, write_text

SPEED = encoders.OUT
VALUE = SPEED.with_name("encoder_value.json")
README = encoders.HERE / "README.md"
START, END = "<!-- encoders:start -->", "<!-- encoders:end -->"


def block(speed: dict[str, Any], value: dict[str, Any]) -> str:
    """Markdown of the results of `benchmarks.encoders` and `benchmarks.encoder_value`."""
    lines = [*_tables(speed["cells"]), "", *_steps(speed["summary"]["steps"]), ""]
    lines += [_signed("benchmarks.encoders", speed["machine"]), "", *_gains(value["summary"]), ""]
    folds = ", ".join(
        f"{name} {count}" for name, count in sorted(_folds(value["cells"]).items()) if count < 5
    )
    if folds:
        lines += [f"Folds measured so far, of five: {folds}.", ""]
    return "\n".join([*lines, _signed("benchmarks.encoder_value", value["machine"])])


def _tables(cells: dict[str, Any]) -> list[str]:
    lines = [
        "| table | tool | seconds | cells per second | peak memory, MiB | load of the machine |",
        "| --- | --- | --: | --: | --: | --: |",
    ]
    for name, cell in sorted(cells.items()):
        if name.startswith("table/"):
            size = f"{name.split('/')[1]}, {cell['rows']:,} × {cell['columns']}"
            lines.append(
                f"| {size} | {cell['tool']} | {cell['seconds']:.1f} | {cell['cells_per_s']:,} "
                f"| {cell['peak_memory_mib']:,} | {cell['load']} |"
            )
    return lines


def _steps(rows: list[dict[str, Any]]) -> list[str]:
    heads = ["columns", "part", *map(str, COUNTS), "10 → 100", "100 encoders of one column"]
    lines = ["| " + " | ".join(heads) + " |", "| --- | --- |" + " --: |" * (len(heads) - 2)]
    alone = [row for row in rows if row["threads"] == 1]
    for row in alone:
        apart = "" if row["hundred_apart_ms"] is None else f"{row['hundred_apart_ms']:.0f}"
        times = " | ".join(f"{row['ms'][str(count)]:,.1f}" for count in COUNTS)
        growth = f"{row['growth_10_to_100']:.1f}×"
        lines.append(f"| {row['kind']} | {row['part']} | {times} | {growth} | {apart} |")
    missed = [
        row["kind"] for row in alone if row["part"] == "step" and row["growth_10_to_100"] > GOAL
    ]
    said = f"missed by {', '.join(missed)}" if missed else "met"
    return [*lines, "", f"The goal, a step of 100 columns in {GOAL:.0f} times that of 10: {said}."]


def _gains(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| table | column | figure | its own type | as a plain set | difference, 95 % interval |",
        "| --- | --- | --- | --: | --: | --: |",
    ]
    for row in rows:
        mean, low, high = row["gain"]
        lines.append(
            f"| {row['set']} | `{row['columns']}` | {row['measure']} | {row['detected']:.4f} "
            f"| {row['as_set']:.4f} | {mean:+.4f} ({low:+.4f} … {high:+.4f}) |"
        )
    return lines


def _folds(cells: list[dict[str, Any]]) -> dict[str, int]:
    """Fewest folds that an arm of a table has."""
    arms: dict[tuple[str, tuple[str, ...]], int] = {}
    for cell in cells:
        key = (cell["set"], tuple(cell["as_set"]))
        arms[key] = arms.get(key, 0) + 1
    names = {name for name, _ in arms}
    return {name: min(n for (own, _), n in arms.items() if own == name) for name in names}


def _signed(module: str, machine: dict[str, Any]) -> str:
    return (
        f"`python -m {module}`: {machine['date']}, {machine['processor']}, "
        f"{machine['cores']} cores, Python {machine['python']}."
    )


def filled(text: str, table: str) -> str:
    """`text` with `table` between this report's markers."""
    return readme.filled(text, table, START, END)


def main(page: Path = README, speed: Path = SPEED, value: Path = VALUE) -> None:
    """Rewrite the README from the result files.

    Raises:
        FeatrixUserError: a result file is missing.
    """
    for result in (speed, value):
        if not result.is_file():
            raise FeatrixUserError(
                "There is no result to show",
                value=str(result),
                remedy="Run `make bench-encoders` first",
            )
    table = block(read_json(speed), read_json(value))
    write_text(page, filled(page.read_text(encoding="utf-8"), table))


if __name__ == "__main__":
    main()
