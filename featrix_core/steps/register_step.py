"""Step register: space and predictor into MLflow, promotion through gates (OPS-4)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from featrix_core.errors import FeatrixUserError
from featrix_core.files import atomic_directory, read_json, write_json
from featrix_core.registry.lineage import lineage
from featrix_core.registry.promotion import CHAMPION, promote, review
from featrix_core.registry.runs import TrackedRun
from featrix_core.registry.store import Registry
from featrix_core.registry.versions import HOLDOUT_TAG, VersionRef
from featrix_core.steps.data_step import DataSet, load_dataset
from featrix_core.steps.figures import figures, write_figures
from featrix_core.steps.names import EVALUATION, PREVIOUS, REGISTRATION


def _register_space(
    registry: Registry, run: TrackedRun, space: Path, data: DataSet, name: str
) -> VersionRef:
    """The space, after the one that it was extended from."""
    digest = data.summary["development_sha256"]
    inputs: list[str] = []
    if (space / PREVIOUS).is_dir():
        before = figures(space / PREVIOUS)["metrics"]
        first = registry.register_bundle(
            run, space / PREVIOUS, "space", f"{name}-space", before, dataset_sha256=digest
        )
        inputs.append(first.uri)
    return registry.register_bundle(
        run,
        space,
        "space",
        f"{name}-space",
        figures(space)["metrics"],
        inputs=inputs,
        dataset_sha256=digest,
    )


def _against_champion(
    registry: Registry, ref: VersionRef, predictor: Path, data: DataSet, work: Path
) -> tuple[dict[str, float] | None, tuple[float, float] | None]:
    """The present champion's figures on this hold-out, and the paired interval of the gain."""
    champion = registry.aliases(ref.name).get(CHAMPION)
    if champion is None or champion.version == ref.version:
        return None, None
    from featrix_core.predictor.metrics import MetricName, bootstrap_difference
    from featrix_core.single_predictor import SinglePredictor
    from featrix_core.steps.evaluation import holdout_answers, measure

    ours = SinglePredictor.load(predictor)
    try:
        theirs = SinglePredictor.load(registry.fetch_bundle(champion, work / "champion"))
        labels, (said, own) = holdout_answers(data, theirs, ours)
    except FeatrixUserError:
        # The champion cannot read these rows, or is of a format that this version does not read; the review
        # says that there is nothing to compare with, or takes the figures that were registered.
        return None, None
    if not len(labels):  # the classes have other names now
        return None, None
    metrics = measure(theirs, labels, said)
    name: MetricName = "roc_auc" if theirs.classes else "r2"
    if name not in metrics or theirs.classes != ours.classes:
        return metrics, None
    _, low, high = bootstrap_difference(name, labels, own, said)
    return metrics, (low, high)


def register(
    predictor: Path,
    space: Path,
    dataset: Path,
    out: Path,
    tracking: str = "",
    name: str = "featrix",
) -> dict[str, Any]:
    """Register the space and the predictor with their lineage and decide on promotion.

    Writes `registration.json`: run, versions, the gates' verdicts, aliases and the lineage graph.

    Args:
        tracking: MLflow address; empty takes `MLFLOW_TRACKING_URI`, and without that a file in `out`.
        name: the models are called `NAME-space` and `NAME-TARGET`.
    """
    data = load_dataset(Path(dataset))
    evaluation = read_json(Path(predictor) / EVALUATION)
    target = evaluation["target"]
    with atomic_directory(Path(out)) as folder:
        work = None if tracking else Path(out).parent
        registry = Registry(tracking or None, workdir=work)
        tags = {"featrix.target": target, "featrix.data": data.summary["source"]}
        with registry.run(f"{name}-{target}", {"target": target}, tags) as run:
            for part in ("development", "holdout"):
                run.log_table_input(
                    f"{data.summary['source']}:{part}",
                    data.summary["source"],
                    data.summary[f"{part}_rows"],
                    data.summary[f"{part}_sha256"],
                    "training" if part == "development" else "evaluation",
                )
            run.log_metrics(evaluation["metrics"])
            space_ref = _register_space(registry, run, Path(space), data, name)
            ref = registry.register_bundle(
                run,
                Path(predictor),
                "predictor",
                f"{name}-{target}",
                evaluation["metrics"],
                inputs=[space_ref.uri],
                dataset_sha256=data.summary["development_sha256"],
                tags={HOLDOUT_TAG: data.summary["holdout_sha256"]},
            )
            compare, interval = _against_champion(registry, ref, Path(predictor), data, folder)
            decision = review(registry, ref, compare=compare, interval=interval)
            aliases = promote(registry, ref, decision)
            run_id = run.run_id
        graph = lineage(registry, f"{ref.name}/{ref.version}")
        write_json(
            folder / REGISTRATION,
            {
                "run_id": run_id,
                "space": vars(space_ref),
                "predictor": vars(ref),
                "promoted": decision.promote,
                "reasons": list(decision.reasons),
                "aliases": {alias: other.version for alias, other in sorted(aliases.items())},
                "lineage": graph.model_dump(mode="json"),
            },
        )
        shutil.rmtree(folder / "champion", ignore_errors=True)
        return write_figures(folder, {"promoted": decision.promote, "version": float(ref.version)})
