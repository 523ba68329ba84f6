"""Puts the table of `results/quick.json` between the markers of the project's README.

python -m benchmarks.readme
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.quick import HERE
from featrix_core.errors import FeatrixUserError
from featrix_core.files import read_json, write_text

RESULT = HERE / "results" / "quick.json"
README = HERE.parent / "README.md"
START, END = "<!-- quick:start -->", "<!-- quick:end -->"


def block(result: dict[str, Any]) -> str:
    """Markdown of a result of `benchmarks.quick`: a row per model, and what it was measured with."""
    lines = [
        "| model | AUC | 95 % interval | against featrix, paired | log loss | calibration error "
        "| seconds per fold |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    for name, row in result["summary"].items():
        low, high = row["interval"]
        paired = ""
        if row["difference"] is not None:
            mean, least, most = row["difference"]
            paired = f"{mean:+.4f} ({least:+.4f} … {most:+.4f})"
        lines.append(
            f"| {name} | {row['roc_auc']:.4f} | {low:.4f} … {high:.4f} | {paired} "
            f"| {row['log_loss']:.4f} | {row['ece']:.4f} | {row['seconds']:.1f} |"
        )
    machine = result["machine"]
    folds = len({cell["fold"] for cell in result["cells"]})
    lines += [
        "",
        f"`make bench-quick`: {folds} folds of {result['data']}, means over folds; "
        f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, "
        f"Python {machine['python']}.",
    ]
    return "\n".join(lines)


def between_markers(text: str) -> str:
    """What stands between the two markers.

    Raises:
        FeatrixUserError: the markers are missing, repeated or in the wrong order.
    """
    return _parts(text, START, END)[1].strip("\n")


def filled(text: str, table: str, start: str = START, end: str = END) -> str:
    """`text` with `table` between two markers; errors as in `between_markers`."""
    before, _, after = _parts(text, start, end)
    return f"{before}{start}\n{table}\n{end}{after}"


def _parts(text: str, start: str, end: str) -> tuple[str, str, str]:
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise FeatrixUserError(
            f"The text must hold {start} and, after it, {end}, once each",
            remedy="Put the markers where the table belongs",
        )
    before, rest = text.split(start)
    inside, after = rest.split(end)
    return before, inside, after


def main(readme: Path = README, result: Path = RESULT) -> None:
    """Rewrite the README from the result file.

    Raises:
        FeatrixUserError: there is no result file.
    """
    if not result.is_file():
        raise FeatrixUserError(
            "There is no result to show", value=str(result), remedy="Run `make bench-quick` first"
        )
    write_text(readme, filled(readme.read_text(encoding="utf-8"), block(read_json(result))))


if __name__ == "__main__":
    main()
