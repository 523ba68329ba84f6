"""`featrix fit`: the steps of the train DAG in one process, without KFP."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrix_core import steps
from featrix_core.files import read_json, write_json
from featrix_core.steps.config import StepConfig
from featrix_core.steps.outputs import check_output_folder

if TYPE_CHECKING:  # torch comes with the first step that needs it, so that refusals are quick
    from featrix_core.embedding_space import OnProgress
    from featrix_core.storage.fetch import OnBytes

METRICS, BAD_ROWS = "metrics.json", "bad_rows.jsonl"


def fit(
    data: str,
    target: str,
    out: Path,
    *,
    config: StepConfig | None = None,
    features: str = "",
    seed: int = 42,
    on_step: Callable[[str], OnProgress | None] | None = None,
    on_bytes: OnBytes | None = None,
) -> dict[str, Any]:
    """Write `space/`, `predictor/`, `metrics.json` and `report.html` under `out`; all of them or none.

    Rows that could not be read stand in `bad_rows.jsonl` beside them.

    Args:
        on_step: called with a step's name when it starts; hands back who is told of its progress.
        on_bytes: told of bytes read and bytes in all while the data are read.

    Raises:
        FeatrixUserError: an output that cannot be written, or the refusal of a step.
    """
    out = Path(out).absolute()
    check_output_folder(out)
    if features:
        from featrix_core.features.engineer import FeatureEngineer

        FeatureEngineer.from_json(
            Path(features), exclude=[target]
        )  # refused now rather than after the training
    seconds: dict[str, float] = {}
    with _work_folder(out) as work:

        def run(step: str, call: Callable[[OnProgress | None], Any]) -> Any:
            started = time.monotonic()
            result = call(on_step(step) if on_step else None)
            seconds[step] = round(time.monotonic() - started, 2)
            return result

        dataset, base, space = work / "dataset", work / "base", work / "space"
        trained, predictor = work / "trained", work / "predictor"
        run(
            "ingest",
            lambda _: steps.ingest(
                data, [target], dataset, config=config, seed=seed, on_bytes=on_bytes
            ),
        )
        run(
            "train space",
            lambda p: steps.train_space(dataset, base, seed=seed, on_progress=p),
        )
        run(
            "extend space",
            lambda p: steps.extend_space(
                base, dataset, space, features=features, seed=seed, on_progress=p
            ),
        )
        run(
            "train predictor",
            lambda p: steps.train_predictor(
                space, dataset, target, trained, seed=seed, config=config, on_progress=p
            ),
        )
        run("calibrate", lambda _: steps.calibrate(trained, dataset, predictor))
        page = work / "report.html"
        run(
            "report",
            lambda _: steps.report(
                page, dataset=dataset, space=space, predictor=predictor, seconds=dict(seconds)
            ),
        )
        evaluation = read_json(predictor / "evaluation.json")
        metrics = {
            **evaluation["metrics"],
            "target": target,
            "holdout_rows": evaluation["holdout_rows"],
            "baselines": evaluation["baselines"],
            "seconds": seconds,
            "notices": read_json(dataset / "ingest.json")["notices"],
        }
        write_json(work / METRICS, metrics)
        out.mkdir(exist_ok=True)
        for part in ("space", "predictor", METRICS, "report.html"):
            _replace(work / part, out / part)
        (out / BAD_ROWS).unlink(missing_ok=True)  # of an earlier fit
        if (dataset / BAD_ROWS).is_file():
            _replace(dataset / BAD_ROWS, out / BAD_ROWS)
    return metrics


@contextmanager
def _work_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` that is gone in the end; parents that had to be made go when it fails."""
    made = [parent for parent in out.parents if not parent.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
            yield Path(name)
    except BaseException:
        for parent in made:
            if not any(parent.iterdir()):
                parent.rmdir()
        raise


def _replace(source: Path, target: Path) -> None:
    """Move a finished file or folder to its place; an older one steps aside first."""
    if target.is_dir():
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        target.replace(old / target.name)
        source.replace(target)
        shutil.rmtree(old)
    else:
        source.replace(target)
