"""Column types and the column filter on labelled real tables, beside pandas and skrub.

    make bench-tables DATA_DIR=…

The labels stand in `benchmarks/data/column_labels.csv`; `develop` tables may be looked at while the
detection is worked on, `test` tables may not. Every column is given twice: as the text of a CSV file,
and typed as in a Parquet file.
"""

from __future__ import annotations

import argparse
import collections
import importlib.metadata
import time
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table as Printed

from benchmarks import table_baselines as baselines
from benchmarks import table_filter
from benchmarks.machine import machine
from benchmarks.table_cells import as_csv, as_text, as_typed, sampled
from benchmarks.table_sources import PACKAGES, load
from featrix_core.files import write_json
from featrix_core.tables.types import detect_type

HERE = Path(__file__).parent
LABELS = HERE / "data" / "column_labels.csv"
PARTS = ("develop", "test")
FORMS = ("text", "typed")
_TWO_NUMBERS = frozenset({"0", "1", "0.0", "1.0", "true", "false"})


def labels() -> pd.DataFrame:
    """The labelled columns; `accepted` is a set of types that holds the label itself."""
    frame = pd.read_csv(LABELS, dtype=str, keep_default_na=False)
    either = frame["accepted"].where(frame["accepted"] != "", frame["label"])
    frame["accepted"] = either.str.split("|").map(frozenset)
    return frame


def detect(data_dir: Path, packages: Path, parts: tuple[str, ...]) -> list[dict[str, Any]]:
    """A row per labelled column: what featrix, pandas and skrub say about it."""
    console = Console(stderr=True)
    wanted = labels()
    wanted = wanted[wanted["part"].isin(parts)]
    rows: list[dict[str, Any]] = []
    for (source, table), group in wanted.groupby(["source", "table"], sort=False):
        frame = sampled(load(f"{source}:{table}", data_dir, packages))
        names = group["column"].tolist()
        texts = {name: as_text(frame[name]) for name in names}
        plain = baselines.read(as_csv(texts))
        others = {
            "pandas": baselines.pandas_kinds(plain),
            "skrub": baselines.skrub_kinds(plain),
        }
        right = 0
        for label in group.to_dict("records"):
            name, accepted = label["column"], label["accepted"]
            started = time.monotonic()
            said = detect_type(name, texts[name])
            seconds = time.monotonic() - started
            typed = detect_type(name, as_typed(frame[name]))
            distinct = {str(cell).lower() for cell in texts[name].unique().to_pylist() if cell}
            two_numbers = distinct <= _TWO_NUMBERS
            row = {
                "table": f"{source}:{table}",
                "column": name,
                "part": label["part"],
                "label": label["label"],
                "accepted": sorted(accepted),
                "text": said.type.value,
                "typed": typed.type.value,
                "evidence": said.evidence,
                "seconds": seconds,
                "coarse": baselines.right(
                    baselines.coarse(said.type.value), accepted, two_numbers=two_numbers
                ),
            }
            for tool, kinds in others.items():
                row[tool] = kinds[name]
                row[f"{tool}_right"] = baselines.right(
                    kinds[name], accepted, two_numbers=two_numbers
                )
            rows.append(row)
            right += said.type.value in accepted
        console.print(f"{source}:{table}  {right} of {len(group)}")
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Shares of right columns, and per type how many were found and how many finds are right."""
    count = len(rows)
    clear = [row for row in rows if len(row["accepted"]) == 1]
    result: dict[str, Any] = {
        "columns": count,
        "tables": len({row["table"] for row in rows}),
        "with_alternative": count - len(clear),
        "coarse": {
            "featrix": sum(row["coarse"] for row in rows) / count,
            "pandas": sum(row["pandas_right"] for row in rows) / count,
            "skrub": sum(row["skrub_right"] for row in rows) / count,
        },
        "seconds": sum(row["seconds"] for row in rows),
    }
    for form in FORMS:
        result[form] = {
            "accepted": sum(row[form] in row["accepted"] for row in rows) / count,
            "strict": sum(row[form] == row["label"] for row in rows) / count,
            "without_alternative": _share(clear, form),
            "types": _per_type(rows, form),
        }
    return result


def _per_type(rows: list[dict[str, Any]], form: str) -> dict[str, dict[str, float | int | None]]:
    types: dict[str, dict[str, float | int | None]] = {}
    for type in sorted({row["label"] for row in rows} | {row[form] for row in rows}):
        labelled = [row for row in rows if row["label"] == type]
        said = [row for row in rows if row[form] == type]
        types[type] = {
            "labelled": len(labelled),
            "said": len(said),
            "recall": _share(labelled, form),
            "precision": _share(said, form),
        }
    return types


def _share(rows: list[dict[str, Any]], form: str) -> float | None:
    return sum(row[form] in row["accepted"] for row in rows) / len(rows) if rows else None


def confusions(rows: list[dict[str, Any]], form: str) -> list[dict[str, Any]]:
    """The columns that were not understood."""
    keys = ("table", "column", "part", "label", "accepted", "evidence")
    return [
        {**{key: row[key] for key in keys}, "said": row[form]}
        for row in rows
        if row[form] not in row["accepted"]
    ]


def _pairs(wrong: list[dict[str, Any]]) -> dict[str, int]:
    """How often a label was taken for which type, most frequent first."""
    counted = collections.Counter(f"{row['label']} as {row['said']}" for row in wrong)
    return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))


def run(data_dir: Path, packages: Path, parts: tuple[str, ...], *, with_filter: bool) -> Any:
    """Everything that goes into the result file."""
    rows = detect(data_dir, packages, parts)
    others = {name: importlib.metadata.version(name) for name in ("pandas", "skrub")}
    result: dict[str, Any] = {"machine": machine(), "others": others, "parts": {}}
    for part in parts:
        own = [row for row in rows if row["part"] == part]
        result["parts"][part] = summary(own)
    result["all"] = summary(rows)
    # By name only where it was asked for, or may be looked at: a test that all know is none.
    named = [row for row in rows if row["part"] == "develop" or len(parts) == 1]
    result["wrong"] = {form: confusions(named, form) for form in FORMS}
    result["wrong_pairs"] = {
        part: {
            form: _pairs(confusions([row for row in rows if row["part"] == part], form))
            for form in FORMS
        }
        for part in parts
    }
    if with_filter:
        result["filter"] = table_filter.run(data_dir, packages)
    return result


def show(result: dict[str, Any], console: Console) -> None:
    """Print the tables of a result."""
    for part, figures in result["parts"].items():
        console.print(
            f"\n[bold]{part}[/bold]: {figures['columns']} columns of {figures['tables']} tables, "
            f"{figures['with_alternative']} with an alternative label; "
            f"detection took {figures['seconds']:.1f} s"
        )
        for form in FORMS:
            own = figures[form]
            console.print(
                f"  as {form:<5}  right {own['accepted']:.1%}; by the first label alone "
                f"{own['strict']:.1%}; where there is one label {own['without_alternative']:.1%}"
            )
        shares = ", ".join(f"{name} {share:.1%}" for name, share in figures["coarse"].items())
        console.print(f"  coarse kinds: {shares}")
        table = Printed("type", "labelled", "said", "recall", "precision")
        for name, row in figures["text"]["types"].items():
            recall, precision = (
                "" if row[key] is None else f"{row[key]:.0%}" for key in ("recall", "precision")
            )
            table.add_row(name, str(row["labelled"]), str(row["said"]), recall, precision)
        console.print(table)
    table = Printed("column", "label", "said", "evidence", title="not understood (as text)")
    for row in result["wrong"]["text"]:
        accepted = "|".join([row["label"], *(a for a in row["accepted"] if a != row["label"])])
        table.add_row(f"{row['table']} {row['column']}", accepted, row["said"], row["evidence"])
    console.print(table)
    for part, pairs in result["wrong_pairs"].items():
        console.print(f"{part}: " + ", ".join(f"{pair}: {n}" for pair, n in pairs["text"].items()))
    if "filter" in result:
        found = result["filter"]
        for title, rows in (
            ("column filter: what goes", found["dropped"]),
            ("unique texts that stay", found["unique_texts_kept"]),
        ):
            table = Printed("table", "column", "why", "bits", "by chance", "rows", title=title)
            for row in rows:
                table.add_row(
                    row["table"],
                    row["column"],
                    row.get("message") or row["type"],
                    f"{row['bits']:.4f}",
                    f"{row['chance']:.2f}",
                    str(row["rows"]),
                )
            console.print(table)
        console.print(
            f"identifiers: {found['identifiers']}, of tables large enough to judge: "
            f"{found['judged']}; lost with more than {found['limit_bits']} bits: "
            f"{', '.join(found['lost']) or 'none'}"
        )


def main() -> None:
    """Run, print, write `results/tables.json` (only where all parts were run)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--packages", type=Path, default=PACKAGES)
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--no-filter", action="store_true", help="leave out the column filter")
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    parts = (arguments.part,) if arguments.part else PARTS
    result = run(arguments.data_dir, arguments.packages, parts, with_filter=not arguments.no_filter)
    show(result, Console(width=160))
    whole = parts == PARTS and not arguments.no_filter
    out = arguments.out or (HERE / "results" / "tables.json" if whole else None)
    if out is not None:
        write_json(out, result)


if __name__ == "__main__":
    main()
