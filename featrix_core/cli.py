"""The `featrix` command. Heavy libraries are imported by the command that needs them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featrix_core.errors import FeatrixError, FeatrixUserError

if TYPE_CHECKING:
    from featrix_core.tables.schema import Notice

app = typer.Typer(
    name="featrix",
    help="One self-supervised embedding space per table, many predictors on top of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Data = Annotated[str, typer.Option("--data", help="CSV, Parquet or JSON file, or s3://bucket/key.")]
Model = Annotated[
    Path, typer.Option("--model", help="Folder of a predictor, or what `fit` wrote to.")
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=2**31, help="Same data, same seed: same bytes.")
]
MaxSeconds = Annotated[
    float | None,
    typer.Option(
        "--max-seconds",
        min=1.0,
        help="Seconds for the training of the space: its schedule is compressed where it would take longer. "
        "How far depends on this machine; the plan that was used is stored with the space.",
    ),
]
Ensemble = Annotated[
    bool | None,
    typer.Option(
        "--ensemble/--no-ensemble",
        help="The nets answer together with boosted trees and a linear model (default), or alone.",
        show_default=False,
    ),
]


def console() -> Any:
    """Where progress and summaries go: standard error, so that pipes stay clean."""
    from rich.console import Console

    return Console(stderr=True)


@app.command()
def fit(
    data: Data,
    target: Annotated[str, typer.Option("--target", help="Column to predict.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for space, predictor and report.")],
    seed: Seed = 42,
    config: Annotated[
        Path | None, typer.Option("--config", help="JSON file with settings of the run.")
    ] = None,
    features: Annotated[
        str, typer.Option("--features", help="JSON file with engineered columns to try.")
    ] = "",
    positive_label: Annotated[
        str | None,
        typer.Option(
            "--positive-label",
            help="Of two classes, the one that threshold and reasons are about (default: the rarer one).",
        ),
    ] = None,
    ensemble: Ensemble = None,
    loss: Annotated[
        str | None,
        typer.Option(
            "--loss",
            help="What the nets are trained on: auto (held-out rows decide), cross_entropy, focal, pr_auc, ordinal "
            "or squared_error.",
        ),
    ] = None,
    class_weights: Annotated[
        bool | None,
        typer.Option(
            "--class-weights/--no-class-weights",
            help="Rare classes weigh more in the nets' loss, or not (default: held-out rows decide).",
            show_default=False,
        ),
    ] = None,
    max_seconds: MaxSeconds = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with a fit of the same arguments that was killed or stopped."
        ),
    ] = False,
) -> None:
    """Train a space and a predictor; several processes under torchrun train the space together.

    An option about the predictor takes the place of the setting of the same name in the configuration file.

    Example: [bold]featrix fit --data examples/data/german_credit.csv --target class --out out/credit[/bold]
    """
    from featrix_core.progress import StepProgress
    from featrix_core.steps.config import StepConfig
    from featrix_core.steps.fitting import fit as fit_steps
    from featrix_core.steps.helpers import help_fit
    from featrix_core.strings.embedder import get_default_embedder
    from featrix_core.summary import comparison_table, seconds_table
    from featrix_core.training.launch import writes

    options = {
        "positive_label": positive_label,
        "ensemble": ensemble,
        "loss": loss,
        "class_weights": class_weights,
    }
    settings = StepConfig.from_settings(read_settings(config) if config else {}).replaced(options)
    if not writes():  # torchrun's other processes: the first one shows everything
        help_fit(data, target, config=settings, seed=seed, max_seconds=max_seconds)
        return
    screen = console()
    with StepProgress(screen) as progress, get_default_embedder().reporting(progress.amount):
        metrics = fit_steps(
            data,
            target,
            out,
            config=settings,
            features=features,
            seed=seed,
            max_seconds=max_seconds,
            resume=resume,
            on_step=progress.start,
            on_bytes=progress.reading,
            on_notice=lambda notice: _say_notices(screen, [notice]),
        )
    screen.print(seconds_table(metrics["seconds"]))
    screen.print(comparison_table(target, metrics, metrics["baselines"]))
    for part in ("report.html", "predictor", "space", "metrics.json"):
        screen.print(f"{part:>14}  {out / part}", highlight=False, soft_wrap=True)


@app.command()
def predict(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="File to write, .parquet or .jsonl.")],
    explain: Annotated[
        bool, typer.Option("--explain", help="Add the signed importance of every column.")
    ] = False,
) -> None:
    """Score a table: one output row per input row, in the same order.

    Example: [bold]featrix predict --model out/credit --data new.csv --out scores.parquet[/bold]
    """
    from featrix_core.bundle import verify_bundle
    from featrix_core.progress import ReadingBar
    from featrix_core.steps.outputs import SCORE_ENDINGS, check_output_file
    from featrix_core.tables.reading import read_table

    # What can be refused without torch is refused first: it costs a second or two.
    check_output_file(out, SCORE_ENDINGS, data)
    folder = bundle_in(model, "predictor")
    verify_bundle(folder, "predictor")
    screen = console()
    with ReadingBar(screen) as bar:
        table = read_table(data, on_progress=bar)
    with screen.status("scoring"):
        from featrix_core.single_predictor import SinglePredictor
        from featrix_core.steps.score_step import score_notices, write_scores

        predictor = SinglePredictor.load(folder)
        write_scores(predictor, table, out, explain)
        notices = score_notices(predictor, table)
    _say_notices(screen, notices)
    screen.print(f"{table.n_records} rows → {out}", highlight=False, soft_wrap=True)


@app.command()
def embed(
    model: Annotated[Path, typer.Option("--model", help="Folder of a space or a predictor.")],
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Parquet file to write.")],
) -> None:
    """Write the row embeddings of a table.

    Example: [bold]featrix embed --model out/credit --data new.csv --out vectors.parquet[/bold]
    """
    from featrix_core.bundle import bundle_kind, verify_bundle
    from featrix_core.progress import ReadingBar
    from featrix_core.steps.outputs import EMBEDDING_ENDINGS, check_output_file
    from featrix_core.tables.reading import read_table

    check_output_file(out, EMBEDDING_ENDINGS, data)
    folder = bundle_in(model, "space")
    kind = bundle_kind(folder)
    verify_bundle(folder, kind)
    screen = console()
    with ReadingBar(screen) as bar:
        table = read_table(data, on_progress=bar)
    with screen.status("encoding"):
        from featrix_core.steps.embed_step import load_space, write_embeddings

        rows, width = write_embeddings(load_space(folder, kind), table, out)
    _say_notices(screen, table.notices)
    screen.print(f"{rows} rows × {width} → {out}", highlight=False, soft_wrap=True)


@app.command("inspect")
def inspect_data(
    data: Data,
    target: Annotated[
        list[str] | None, typer.Option("--target", help="Column to predict; may be repeated.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Page to write, self-contained.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", help="File for the schema: all figures, all warnings.")
    ] = None,
) -> None:
    """Show what every column of a table would become: type, evidence, kept or dropped and why.

    Nothing is trained. Of more than 200,000 rows, a sample of that many is looked at.

    Example: [bold]featrix inspect --data examples/data/german_credit.csv --target class --html out/columns.html[/bold]
    """
    from featrix_core.progress import StepProgress
    from featrix_core.steps.inspect_step import inspect_file, output_console, rendered

    screen = console()
    with StepProgress(screen) as progress:
        tell = progress.start("inspect").amount
        found = inspect_file(data, target or [], page=html, json=json, on_progress=tell)
    answer = output_console()
    answer.print(rendered(found, answer.width))
    for out in filter(None, (html, json)):
        screen.print(f"written: {out}", highlight=False, soft_wrap=True, markup=False)


@app.command("plan")
def plan_data(
    data: Data,
    target: Annotated[
        list[str] | None, typer.Option("--target", help="Column to predict; may be repeated.")
    ] = None,
    max_seconds: MaxSeconds = None,
    seed: Seed = 42,
    json: Annotated[
        Path | None, typer.Option("--json", help="File for the plan: all values, all reasons.")
    ] = None,
) -> None:
    """Show every automatic value of a training with its reason, and the seconds and memory of the space.

    A few steps are run on a sample of the rows; nothing is kept of them.

    Example: [bold]featrix plan --data examples/data/german_credit.csv --target class --max-seconds 20[/bold]
    """
    from featrix_core.progress import StepProgress

    screen = console()
    with StepProgress(screen) as progress:
        progress.start("plan")
        from featrix_core.steps.inspect_step import output_console
        from featrix_core.steps.plan_step import plan_file, rendered

        planned = plan_file(
            data,
            target or [],
            max_seconds=max_seconds,
            seed=seed,
            json=json,
            on_bytes=progress.reading,
        )
    answer = output_console()
    answer.print(rendered(planned, answer.width))
    if json is not None:
        screen.print(f"written: {json}", highlight=False, soft_wrap=True, markup=False)


@app.command()
def timeline(
    source: Annotated[
        Path, typer.Argument(help="training_timeline.json, or the folder of a space or of a fit.")
    ],
    out: Annotated[Path, typer.Option("--out", help="PNG file to write.")] = Path(
        "training_timeline_plot.png"
    ),
    movie: Annotated[
        Path | None,
        typer.Option("--movie", help="HTML page of the training movie to write as well."),
    ] = None,
) -> None:
    """Draw how a training went, in six panels, and say it in words.

    Example: [bold]featrix timeline out/credit --out credit.png --movie credit.html[/bold]
    """
    from featrix_core.steps.timeline_step import show_timeline

    print(show_timeline(source, out, movie))  # noqa: T201 (the command's answer)
    screen = console()
    for written in filter(None, (out, movie)):
        screen.print(f"written: {written}", highlight=False, soft_wrap=True, markup=False)


@app.command("lineage")
def show_lineage(
    model: Annotated[str, typer.Argument(help="NAME, NAME@ALIAS or NAME/VERSION.")],
    workdir: Annotated[
        Path | None, typer.Option("--workdir", help="Work folder of the run (embedded registry).")
    ] = None,
) -> None:
    """Show where a registered model comes from and what was made with it.

    Example: [bold]featrix lineage credit-class@champion --workdir out/demo[/bold]
    """
    from featrix_core.registry.lineage import lineage
    from featrix_core.registry.store import Registry

    print(lineage(Registry.existing(workdir), model).tree())  # noqa: T201 (the command's answer)


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(help="Registered name of a predictor.")],
    workdir: Annotated[
        Path | None, typer.Option("--workdir", help="Work folder of the run (embedded registry).")
    ] = None,
) -> None:
    """Put the previous champion back; there is one once two versions were promoted.

    Example: [bold]featrix rollback credit-class --workdir out/demo[/bold]
    """
    from featrix_core.registry.promotion import rollback as roll
    from featrix_core.registry.store import Registry

    for alias, ref in sorted(roll(Registry.existing(workdir), name).items()):
        print(f"{alias}: {ref.name} version {ref.version}")  # noqa: T201 (the command's answer)


def read_settings(path: Path) -> dict[str, Any]:
    """A JSON object from a file."""
    import json

    if not path.is_file():
        raise FeatrixUserError(
            "There is no configuration file", value=str(path), remedy="Give a path that exists"
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FeatrixUserError(
            f"The configuration file is not JSON: {error}",
            value=str(path),
            remedy='Mend it; it holds one object, such as {"holdout": 0.2}',
        ) from error
    if not isinstance(found, dict):
        raise FeatrixUserError(
            "The configuration file must hold an object",
            value=str(path),
            remedy='Write settings by name, such as {"holdout": 0.2}',
        )
    return found


def bundle_in(model: Path, kind: str) -> Path:
    """The bundle in what `fit` wrote, or the folder itself."""
    inner = model / kind
    return inner if (inner / "manifest.json").is_file() else model


def _say_notices(screen: Any, notices: Iterable[Notice]) -> None:
    for notice in notices:
        done = f" ({notice.action})" if notice.action else ""
        screen.print(f"note: {notice.message}{done}", style="yellow", markup=False)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: a user's mistake ends with status 2 and one sentence, anything else with 1."""
    try:
        app(arguments)
    except FeatrixUserError as error:
        print(f"featrix: {error}", file=sys.stderr)  # noqa: T201 (the command's answer)
        raise SystemExit(2) from None
    except FeatrixError as error:
        print(f"featrix: {error}", file=sys.stderr)  # noqa: T201 (the command's answer)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":  # torchrun -m featrix_core.cli
    main()
