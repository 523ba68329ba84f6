"""Puts the figures of `results/tables.json` between the markers of `benchmarks/README.md`.

python -m benchmarks.table_report
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import readme
from benchmarks.tables import FORMS, HERE
from featrix_core.errors import FeatrixUserError
from featrix_core.files import read_json, write_text

RESULT = HERE / "results" / "tables.json"
README = HERE / "README.md"
START, END = "<!-- tables:start -->", "<!-- tables:end -->"


def block(result: dict[str, Any]) -> str:
    """Markdown of a result of `benchmarks.tables`."""
    machine = result["machine"]
    lines = [
        *_overall(result),
        "",
        *_types(result),
        "",
        *_wrong(result),
        "",
        *_filter(result["filter"]),
        "",
        f"`make bench-tables`: {machine['date']}, {machine['processor']}, "
        f"{machine['cores']} cores, Python {machine['python']}, "
        + ", ".join(f"{name} {version}" for name, version in result["others"].items())
        + ".",
    ]
    return "\n".join(lines)


def _overall(result: dict[str, Any]) -> list[str]:
    lines = [
        "| part | columns, tables | given as | right | by the first label alone "
        "| where only one label is accepted |",
        "| --- | --- | --- | --: | --: | --: |",
    ]
    parts = {**result["parts"], "all": result["all"]}
    for part, figures in parts.items():
        for form in FORMS:
            own = figures[form]
            lines.append(
                f"| {part} | {figures['columns']}, {figures['tables']} | {form} "
                f"| {own['accepted']:.1%} | {own['strict']:.1%} "
                f"| {own['without_alternative']:.1%} |"
            )
    lines += [
        "",
        f"{result['all']['with_alternative']} of the {result['all']['columns']} columns have an "
        "alternative label.",
        "",
        "| four coarse kinds, given as text | " + " | ".join(parts) + " |",
        "| --- |" + " --: |" * len(parts),
    ]
    for tool in ("featrix", "pandas", "skrub"):
        shares = " | ".join(f"{figures['coarse'][tool]:.1%}" for figures in parts.values())
        lines.append(f"| {tool} | {shares} |")
    return lines


def _types(result: dict[str, Any]) -> list[str]:
    lines = [
        "| type, given as text | labelled | recall | precision | labelled, test | recall, test "
        "| precision, test |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    everything = result["all"]["text"]["types"]
    test = result["parts"]["test"]["text"]["types"]
    for name, row in everything.items():
        own = test.get(name, {"labelled": 0, "recall": None, "precision": None})
        cells = (
            row["labelled"],
            _share(row["recall"]),
            _share(row["precision"]),
            own["labelled"],
            _share(own["recall"]),
            _share(own["precision"]),
        )
        lines.append(f"| {name} | " + " | ".join(map(str, cells)) + " |")
    return lines


def _wrong(result: dict[str, Any]) -> list[str]:
    lines = [
        "Not understood, given as text (columns of the test part are counted, not named, so that it "
        "stays a test):",
        "",
        "| part | column | label | said |",
        "| --- | --- | --- | --- |",
    ]
    for row in result["wrong"]["text"]:
        others = [other for other in row["accepted"] if other != row["label"]]
        label = " or ".join([row["label"], *others])
        lines.append(
            f"| {row['part']} | {row['table']}, `{row['column']}` | {label} | {row['said']} |"
        )
    for pair, count in result["wrong_pairs"]["test"]["text"].items():
        label, said = pair.split(" as ")
        lines.append(f"| test | {count} | {label} | {said} |")
    return lines


def _filter(found: dict[str, Any]) -> list[str]:
    lines = [
        f"Column filter, {found['tables']} tables with a target: {len(found['dropped'])} columns "
        f"go, {found['identifiers']} of them as identifiers ({found['judged']} in tables of at "
        "least 1,000 rows). Identifiers lost with more than "
        f"{found['limit_bits']} bits: {', '.join(found['lost']) or 'none'}.",
        "",
        "| table | column that goes | reason | bits about the target | by chance |",
        "| --- | --- | --- | --: | --: |",
    ]
    lines += [
        f"| {row['table']} | `{row['column']}` | {row['reason']} | {row['bits']:.4f} "
        f"| {row['chance']:.2f} |"
        for row in found["dropped"]
    ]
    silent = [row for row in found["unique_texts_kept"] if row["bits"] <= found["limit_bits"]]
    lines += [
        "",
        f"{len(found['unique_texts_kept'])} columns of texts that hardly ever recur stay; as they "
        f"stand, {len(silent)} of them tell no more than {found['limit_bits']} bits: "
        + ", ".join(f"{row['table']} `{row['column']}`" for row in silent)
        + ".",
    ]
    return lines


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def filled(text: str, table: str) -> str:
    """`text` with `table` between this report's markers."""
    return readme.filled(text, table, START, END)


def main(page: Path = README, result: Path = RESULT) -> None:
    """Rewrite the README from the result file.

    Raises:
        FeatrixUserError: there is no result file.
    """
    if not result.is_file():
        raise FeatrixUserError(
            "There is no result to show", value=str(result), remedy="Run `make bench-tables` first"
        )
    write_text(page, filled(page.read_text(encoding="utf-8"), block(read_json(result))))


if __name__ == "__main__":
    main()
