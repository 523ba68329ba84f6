"""`featrix fit`: the steps of the train DAG in one process, without KFP."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featrix_core import steps
from featrix_core.files import read_json, sha256_of, write_json
from featrix_core.steps.config import StepConfig
from featrix_core.steps.helpers import Helpers, help_fit
from featrix_core.steps.limits import check_limit
from featrix_core.steps.outputs import check_output_folder
from featrix_core.steps.resumed import WorkFolder, work_folder
from featrix_core.tables.schema import Notice
from featrix_core.training.launch import writes
from featrix_core.version import VERSION

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
    max_seconds: float | None = None,
    resume: bool = False,
    on_step: Callable[[str], OnProgress | None] | None = None,
    on_bytes: OnBytes | None = None,
    on_notice: Callable[[Notice], None] | None = None,
) -> dict[str, Any]:
    """Write `space/`, `predictor/`, `metrics.json` and `report.html` under `out`; all of them or none.

    Rows that could not be read stand in `bad_rows.jsonl` beside them. Until the end all work is in a folder
    `.work-…` under `out`, which stays behind when the process is killed or interrupted, or when something fails
    after the space was finished.

    Under `torchrun` its processes train the space together. The first one does everything else; the others come
    back without figures once the space is trained, and leave no files (TRAIN-9).

    Args:
        max_seconds: of the space's training, whose schedule is compressed to fit. May be another one than that
            of the run that is gone on from: the new one holds, and a space that was finished under the old one
            is trained anew.
        resume: take over the steps that such a run of the same arguments has finished, and go on in the
            middle of the space's training (TRAIN-6); the result is that of an unbroken run.
        on_step: called with a step's name when it starts; hands back who is told of its progress.
        on_bytes: told of bytes read and bytes in all while the data are read.
        on_notice: told of every notice when it comes up; all of them stand in the figures as well.

    Raises:
        FeatrixUserError: an output that cannot be written, an unfinished run of other arguments, or the
            refusal of a step.
    """
    if not writes():
        help_fit(data, target, config=config, seed=seed, max_seconds=max_seconds)
        return {}
    out = Path(out).absolute()
    check_output_folder(out)
    check_limit(max_seconds)
    if features:
        from featrix_core.features.engineer import FeatureEngineer

        FeatureEngineer.from_json(
            Path(features), exclude=[target]
        )  # refused now rather than after the training
    arguments = {
        "data": str(Path(data).absolute()) if Path(data).exists() else data,
        "target": target,
        "config": None if config is None else config.model_dump(mode="json"),
        "features": sha256_of(Path(features)) if features else "",
        "seed": seed,
        "version": VERSION,
    }
    notices = _Notices(on_notice)
    with work_folder(out, arguments, resume=resume, on_kept=notices.kept) as work:
        metrics = _fit(
            work,
            data,
            target,
            arguments,
            config,
            features,
            seed,
            max_seconds,
            on_step,
            on_bytes,
            notices,
        )
        for part in ("space", "predictor", METRICS, "report.html"):
            _replace(work.path / part, out / part)
        (out / BAD_ROWS).unlink(missing_ok=True)  # of an earlier fit
        if (work.path / "dataset" / BAD_ROWS).is_file():
            _replace(work.path / "dataset" / BAD_ROWS, out / BAD_ROWS)
    return metrics


class _Notices:
    """Notices of a fit in the order in which they came up; each is told at once."""

    def __init__(self, tell: Callable[[Notice], None] | None) -> None:
        self.all: list[Notice] = []
        self._tell = tell

    def add(self, notice: Notice) -> None:
        """One more."""
        self.all.append(notice)
        if self._tell is not None:
            self._tell(notice)

    def resumed(self, message: str) -> None:
        """Something that a training says."""
        self.add(Notice(code="resumed", message=message))

    def kept(self) -> None:
        """A failed fit leaves finished steps behind."""
        self.resumed("What was finished is kept: the same command with --resume goes on from it")


def _fit(
    work: WorkFolder,
    data: str,
    target: str,
    arguments: dict[str, Any],
    config: StepConfig | None,
    features: str,
    seed: int,
    max_seconds: float | None,
    on_step: Callable[[str], OnProgress | None] | None,
    on_bytes: OnBytes | None,
    notices: _Notices,
) -> dict[str, Any]:
    """All steps within the work folder."""
    folder = work.path
    dataset, base, space = folder / "dataset", folder / "base", folder / "space"
    trained, predictor = folder / "trained", folder / "predictor"

    helpers = Helpers()

    def run(
        step: str, out: Path, inputs: dict[str, Any], call: Callable[[OnProgress | None], Any]
    ) -> str:
        return work.step(step, out, inputs, lambda: call(on_step(step) if on_step else None))

    if work.in_vain:
        notices.resumed("There was no unfinished run to go on from: everything was made anew")
    # What a bucket holds is known only by reading it.
    source = (
        {"sha256": sha256_of(Path(data))} if Path(data).is_file() else {"run": str(time.time())}
    )
    read = run(
        "ingest",
        dataset,
        {**arguments, **source},
        lambda _: steps.ingest(
            data, [target], dataset, config=config, seed=seed, on_bytes=on_bytes
        ),
    )
    for found in read_json(dataset / "ingest.json")["notices"]:
        notices.add(Notice.model_validate(found))

    def train(on_progress: OnProgress | None) -> None:
        helpers.call()
        steps.train_space(
            dataset,
            base,
            seed=seed,
            max_seconds=max_seconds,
            resume=True,
            on_progress=on_progress,
            on_notice=notices.resumed,
        )

    first = run("train space", base, {"dataset": read, "max_seconds": max_seconds}, train)
    helpers.dismiss()
    work.worth_keeping = True
    extended = run(
        "extend space",
        space,
        {"dataset": read, "base": first},
        lambda p: steps.extend_space(
            base, dataset, space, features=features, seed=seed, on_progress=p
        ),
    )
    members = run(
        "train predictor",
        trained,
        {"dataset": read, "space": extended},
        lambda p: steps.train_predictor(
            space, dataset, target, trained, seed=seed, config=config, on_progress=p
        ),
    )
    from featrix_core.steps.pages import predictor_notices  # brings torch in

    for notice in predictor_notices(trained, notices.all):
        notices.add(notice)
    run(
        "calibrate",
        predictor,
        {"dataset": read, "trained": members},
        lambda _: steps.calibrate(trained, dataset, predictor),
    )
    if on_step:
        on_step("report")
    page = folder / "report.html"
    started = time.monotonic()
    steps.report(
        page, dataset=dataset, space=space, predictor=predictor, seconds=dict(work.seconds)
    )
    work.seconds["report"] = round(time.monotonic() - started, 2)
    if work.taken_over:
        notices.resumed(f"Taken over from the run before: {', '.join(work.taken_over)}")
    evaluation = read_json(predictor / "evaluation.json")
    metrics = {
        **evaluation["metrics"],
        "target": target,
        "holdout_rows": evaluation["holdout_rows"],
        "baselines": evaluation["baselines"],
        "seconds": work.seconds,
        "notices": [notice.model_dump(mode="json") for notice in notices.all],
    }
    write_json(folder / METRICS, metrics)
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
