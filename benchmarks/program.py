"""What small benchmark programs share: their options, cells that are kept, a block of the README.

python -m benchmarks.<program> --data-dir data                 # measures what is lacking
python -m benchmarks.<program> --data-dir data --only adult --quick
python -m benchmarks.<program> --report                        # fills the README from the results
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from threadpoolctl import threadpool_limits

from benchmarks import readme
from benchmarks.space_cells import RESULTS, SCRATCH, Cell, Settings, read_cells, run_suite
from featrix_core.files import read_json, write_text

README = Path(__file__).parent / "README.md"
NOTHING = "No results are committed yet."
Cells = Mapping[str, dict[str, Any]]


def footer(target: str, result: Mapping[str, Any], wanted: int) -> str:
    """What the cells of a result file were measured with; `wanted`: how many there are in all."""
    info, found = result["machine"], result["cells"].values()
    dates = sorted({cell["date"] for cell in found})
    span = dates[0] if len(dates) == 1 else f"{dates[0]} … {dates[-1]}"
    loads = [cell["load"] for cell in found]
    threads = " or ".join(map(str, sorted({cell["threads"] for cell in found})))
    commits = Counter(cell["commit"] for cell in found).most_common()
    processors = sorted({cell.get("processor", info["processor"]) for cell in found})
    return (
        f"`make {target}`: {len(found)} of {wanted} cells, {span}, {' and '.join(processors)}, {info['cores']} cores, "
        f"threads of a cell {threads}, load {min(loads):.0f}–{max(loads):.0f}; cells by commit: "
        + ", ".join(f"{commit} {count}" for commit, count in commits)
        + "."
    )


@dataclass(frozen=True)
class Program:
    """A benchmark with cells of its own.

    name: its results lie in `results/<name>.json`, its part of the README between `<!-- <name>:start -->` and
    `<!-- <name>:end -->`. target: how `make` calls it. sets: what `--only` takes; cells of some of them.
    report: Markdown of the cells that are there, one at least.
    """

    name: str
    target: str
    about: str
    sets: tuple[str, ...]
    cells: Callable[[Settings, list[str]], list[Cell]]
    report: Callable[[Cells], list[str]]

    @property
    def result(self) -> Path:
        """Where the cells are kept."""
        return RESULTS / f"{self.name}.json"

    def block(self, result: Mapping[str, Any]) -> str:
        """Markdown of a result file, with what it was measured with."""
        found = result.get("cells", {})
        if not found:
            return NOTHING
        wanted = len(self.cells(Settings(Path()), list(self.sets)))
        return "\n".join([*self.report(found), "", footer(self.target, result, wanted)])

    def filled(self, text: str, result: Mapping[str, Any]) -> str:
        """A README with this program's block."""
        marks = f"<!-- {self.name}:start -->", f"<!-- {self.name}:end -->"
        return readme.filled(text, self.block(result), *marks)

    def main(self, given: list[str] | None = None) -> None:
        """Measure what is lacking, or fill the README; exit 1 when a cell failed."""
        import torch

        arguments = self._arguments(given)
        if arguments.report:
            kept = read_json(self.result) if self.result.is_file() else {}
            write_text(README, self.filled(README.read_text(encoding="utf-8"), kept))
            return
        torch.set_num_threads(arguments.threads)
        path = arguments.out or self.result
        if arguments.quick and arguments.out is None:
            path = SCRATCH / "quick" / self.result.name
            path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        cells = self.cells(Settings(arguments.data_dir, arguments.quick), arguments.only)
        deadline = time.monotonic() + 60.0 * arguments.minutes
        console = Console(stderr=True, width=150)
        # torch's threads are not those of numpy and scipy.
        with threadpool_limits(arguments.threads):
            failed = run_suite(
                cells, path, again=arguments.again, deadline=deadline, console=console
            )
        if there := read_cells(path):
            print("\n".join(self.report(there)))
        sys.exit(1 if failed else 0)

    def _arguments(self, given: list[str] | None) -> argparse.Namespace:
        parser = argparse.ArgumentParser(description=self.about)
        parser.add_argument("--data-dir", type=Path)
        parser.add_argument("--only", choices=self.sets, nargs="+", default=list(self.sets))
        parser.add_argument("--again", action="store_true", help="own cells of other code, too")
        parser.add_argument(
            "--minutes", type=float, default=math.inf, help="start none after so long"
        )
        parser.add_argument("--threads", type=int, default=2, help="of a cell (2)")
        parser.add_argument("--out", type=Path, help=f"result file (default: {self.result.name})")
        parser.add_argument("--quick", action="store_true", help="few rows, results not kept")
        parser.add_argument(
            "--report", action="store_true", help="fill the README, measure nothing"
        )
        arguments = parser.parse_args(given)
        if arguments.data_dir is None and not arguments.report:
            parser.error("--data-dir is needed to measure")
        return arguments
