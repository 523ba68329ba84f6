"""Read every named file to a schema and typed columns; one JSON line per file says what came of it.

Run as a process of its own, so that its memory can be measured: `python read_all.py FILE …`
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path


def _peak_mb() -> float:
    """Of this program alone: what `getrusage` gives holds what the process that started it had in memory."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) / 1024


def main() -> None:
    """Print a line per file: outcome, processor seconds, and the highest memory of the process so far in MB."""
    from featrix_core.errors import FeatrixUserError
    from featrix_core.tables.build import build_schema, typed_columns
    from featrix_core.tables.reading import read_table

    for name in sys.argv[1:]:
        started = time.process_time()
        detail = ""
        try:
            table = read_table(Path(name), max_rows=100_000)
            cells = typed_columns(table, build_schema(table))
            assert all(len(column.missing_N) == table.n_rows for column in cells.values())
            outcome = "table"
        except FeatrixUserError as error:
            outcome, detail = "refused", str(error)
        except BaseException:
            outcome, detail = "traceback", traceback.format_exc()[-2000:]
        seconds = time.process_time() - started
        peak = _peak_mb()
        line = {"file": Path(name).name, "outcome": outcome, "seconds": seconds, "peak_mb": peak}
        print(json.dumps({**line, "detail": detail[:2000]}), flush=True)


if __name__ == "__main__":
    main()
