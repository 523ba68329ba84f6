"""The `train` DAG: one space per table, one predictor per target (OPS-1, OPS-9).

    ingest ─┐
            ├→ train_space → extend_space ─┬→ for each target:
    join_validate ┘                        │    train_predictor → calibrate ─┬→ register ─┬→ report
                                           │                                 └→ batch_score ┘

`join_validate` always runs and is done at once where no specification is given: a step inside
`dsl.If` could be waited for by nothing outside it, and a broken join has to stop the training.
"""

from kfp import dsl

from components.batch_score.component import batch_score
from components.calibrate.component import calibrate
from components.extend_space.component import extend_space
from components.ingest.component import ingest
from components.join_validate.component import join_validate
from components.register.component import register
from components.report.component import report
from components.train_predictor.component import train_predictor
from components.train_space.component import train_space
from pipelines.settings import RUN, on_accelerator, settle


@dsl.pipeline(
    name="featrix-train",
    description="A table to an embedding space and calibrated, registered predictors.",
    pipeline_config=RUN,
)
def train(
    data: str,
    targets: list[str],
    data_version: str = "",
    config: str = "{}",
    join_spec: str = "",
    join_version: str = "",
    features: str = "",
    features_version: str = "",
    seed: int = 42,
    max_seconds: float = 0.0,
    name: str = "featrix",
    tracking: str = "",
    accelerator: str = "nvidia.com/gpu",
    accelerator_count: str = "1",
    node_selector: dict[str, str] = {"nvidia.com/gpu.present": "true"},  # noqa: B006 (compiled, not called)
    tolerations: list[dict[str, str]] = [{"key": "nvidia.com/gpu", "operator": "Exists"}],  # noqa: B006
) -> None:
    """Train on `data`; see `pipelines/README.md` for every parameter."""
    gpu = (accelerator, accelerator_count, node_selector, tolerations)

    read = settle(
        ingest(data=data, targets=targets, config=config, seed=seed, data_version=data_version),
        "ingest",
    )
    joined = settle(join_validate(spec=join_spec, join_version=join_version), "join_validate")
    dataset = read.outputs["dataset"]

    base = settle(train_space(dataset=dataset, seed=seed, max_seconds=max_seconds), "train_space")
    on_accelerator(base, *gpu).after(joined)
    extension = settle(
        extend_space(
            space=base.outputs["space"],
            dataset=dataset,
            features=features,
            features_version=features_version,
            seed=seed,
        ),
        "extend_space",
    )
    on_accelerator(extension, *gpu)
    space = extension.outputs["extended"]

    with dsl.ParallelFor(items=targets, name="per-target") as target:
        trained = settle(
            train_predictor(space=space, dataset=dataset, target=target, config=config, seed=seed),
            "train_predictor",
        )
        on_accelerator(trained, *gpu)
        measured = settle(
            calibrate(predictor=trained.outputs["predictor"], dataset=dataset), "calibrate"
        )
        predictor = measured.outputs["calibrated"]
        registered = settle(
            register(
                predictor=predictor, space=space, dataset=dataset, tracking=tracking, name=name
            ),
            "register",
        )
        scored = settle(batch_score(predictor=predictor, dataset=dataset), "batch_score")
        settle(
            report(
                dataset=dataset,
                joins=joined.outputs["joins"],
                space=space,
                predictor=predictor,
                registration=registered.outputs["registration"],
            ),
            "report",
        ).after(scored)
