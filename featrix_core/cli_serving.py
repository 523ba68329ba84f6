"""Commands for what answers outside of a pipeline: the strings service, a predictor without torch (STR-1, PRED-5)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featrix_core.cli import Model, app, bundle_in, console


@app.command("serve-strings")
def serve_strings(
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", envvar="FEATRIX_LISTEN_PORT", help="Port of the API.")
    ] = 8080,
    metrics_port: Annotated[
        int, typer.Option("--metrics-port", help="Port of the metrics alone.")
    ] = 9090,
    model: Annotated[
        Path | None, typer.Option("--model", help="Folder of the weights (default: those shipped).")
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="onnx (several times faster on single texts) or torch.")
    ] = "onnx",
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads", min=1, help="Batches computed at a time (default: usable cores)."
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="File with the token that callers must show."),
    ] = None,
    expect_fingerprint: Annotated[
        str | None, typer.Option("--expect-fingerprint", help="The only model that may be served.")
    ] = None,
    max_connections: Annotated[
        int | None,
        typer.Option("--max-connections", min=1, help="Connections at a time (default: 768)."),
    ] = None,
    cache_entries: Annotated[
        int | None,
        typer.Option("--cache-entries", min=1, help="Vectors kept at most (default: 131,072)."),
    ] = None,
    cache_mib: Annotated[
        int | None,
        typer.Option("--cache-mib", min=1, help="Memory of texts and vectors kept (default: 512)."),
    ] = None,
    drain_seconds: Annotated[
        float,
        typer.Option("--drain-seconds", help="Seconds between the signal to stop and stopping."),
    ] = 0.0,
) -> None:
    """Serve sentence vectors over HTTP until stopped (docs/strings-service.md).

    Example: [bold]featrix serve-strings --host 127.0.0.1 --port 8080 --metrics-port 9090[/bold]
    """
    from featrix_core.errors import FeatrixUserError
    from featrix_core.strings.serve import serve

    if engine not in ("onnx", "torch"):
        raise FeatrixUserError(
            "There is no such engine", value=engine, remedy="Use onnx or torch, or leave it out"
        )
    serve(
        host,
        port,
        metrics_port,
        model_path=model,
        engine="onnx" if engine == "onnx" else "torch",
        threads=threads,
        token_file=token_file,
        drain_seconds=drain_seconds,
        expect_fingerprint=expect_fingerprint,
        max_connections=max_connections,
        cache_entries=cache_entries,
        cache_mib=cache_mib,
    )


@app.command()
def export(
    model: Model,
    out: Annotated[
        Path, typer.Option("--out", help="Folder to write: new, empty or an earlier export.")
    ],
    nets_only: Annotated[
        bool,
        typer.Option(
            "--nets-only", help="Leave the trees and the linear model of an ensemble out."
        ),
    ] = False,
) -> None:
    """Write a predictor as an ONNX graph with its codecs, for answers without torch (docs/operators-guide.md).

    Example: [bold]featrix export --model out/credit --out out/credit-onnx --nets-only[/bold]
    """
    from featrix_core.bundle import bundle_digest
    from featrix_core.predictor.export import export_predictor, refuse_folder
    from featrix_core.single_predictor import SinglePredictor

    folder = bundle_in(model, "predictor")
    refuse_folder(out, folder)
    predictor = SinglePredictor.load(folder)
    with console().status("Writing the graph and comparing its answers"):
        document = export_predictor(
            predictor.nets_only() if nets_only else predictor, out, source=bundle_digest(folder)
        )
    answers = ", ".join(output["name"] for output in document["outputs"])
    console().print(f"{out}: model.onnx answers {answers}", markup=False)
