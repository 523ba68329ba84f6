"""`featrix fit`: the steps of the train DAG in one process, without KFP."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from featrix_core import steps
from featrix_core.embedding_space import OnProgress
from featrix_core.files import read_json, write_json
from featrix_core.steps.config import StepConfig

METRICS = "metrics.json"


def fit(
    data: str,
    target: str,
    out: Path,
    *,
    config: StepConfig | None = None,
    features: str = "",
    seed: int = 42,
    on_step: Callable[[str], OnProgress | None] | None = None,
) -> dict[str, Any]:
    """Write `space/`, `predictor/`, `metrics.json` and `report.html` under `out`; all of them or none.

    Args:
        on_step: called with a step's name when it starts; hands back who is told of its progress.
    """
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
        work = Path(name)

        def run(step: str, call: Callable[[OnProgress | None], Any]) -> Any:
            started = time.monotonic()
            result = call(on_step(step) if on_step else None)
            seconds[step] = round(time.monotonic() - started, 2)
            return result

        dataset, base, space = work / "dataset", work / "base", work / "space"
        trained, predictor = work / "trained", work / "predictor"
        run("ingest", lambda _: steps.ingest(data, [target], dataset, config=config, seed=seed))
        run(
            "train space",
            lambda p: steps.train_space(dataset, base, seed=seed, config=config, on_progress=p),
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
        }
        write_json(work / METRICS, metrics)
        out.mkdir(exist_ok=True)
        for part in ("space", "predictor", METRICS, "report.html"):
            _replace(work / part, out / part)
    return metrics


def _replace(source: Path, target: Path) -> None:
    """Move a finished file or folder to its place; an older one steps aside first."""
    if target.is_dir():
        old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        target.replace(old / target.name)
        source.replace(target)
        shutil.rmtree(old)
    else:
        source.replace(target)
