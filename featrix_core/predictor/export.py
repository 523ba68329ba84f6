"""A predictor as an ONNX graph with its codecs: what answers without torch (issue "Deployment without Python weight").

`export_predictor` writes a folder of `model.onnx`, `export.json` (inputs, outputs, classes, threshold, source),
`schema.json` and `codecs.safetensors`, sealed like every bundle; `ExportedPredictor` reads it. Nothing is written
unless the graph in ONNX Runtime gives the predictor's own figures.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featrix_core.bundle import bundle_kind, write_tensors, writing_bundle
from featrix_core.encoders.tokens import FAMILY_OF, TokenBatch
from featrix_core.errors import BundleError, FeatrixUserError
from featrix_core.files import write_json, write_text
from featrix_core.predictor.calibration import Calibration
from featrix_core.predictor.export_graph import PredictorGraph
from featrix_core.predictor.exported import (
    CODECS,
    DOCUMENT,
    GRAPH,
    KIND,
    LEAST_ENTRIES,
    ROWS,
    SCHEMA,
    ExportedPredictor,
    missing_package,
)
from featrix_core.predictor.response import ClassScores, Scores
from featrix_core.predictor.standing import NETS
from featrix_core.version import VERSION

if TYPE_CHECKING:
    from featrix_core.single_predictor import SinglePredictor

TOLERANCE = 1e-4
"""Most that a figure may differ from the predictor's own: a probability as it is, a number relative to its interval."""
_NUDGE = 1e-5
"""Rounding that the answers may have; where an isotonic curve is steep, figures may move by as much as it does."""


def export_predictor(
    predictor: SinglePredictor, folder: str | Path, source: str | None = None
) -> dict[str, Any]:
    """Write the predictor's nets, calibration and codecs for ONNX Runtime; what stands in `export.json`.

    Args:
        source: digest of the bundle that the predictor was loaded from (`bundle_digest`).

    Raises:
        FeatrixUserError: untrained or not calibrated; it answers with trees or a linear model beside its nets; a
            package is missing; the folder holds something else than an export; or the graph's figures differ from
            the predictor's.
    """
    refuse_folder(Path(folder))
    _need_packages()
    if predictor.coding is None or predictor.background is None or not predictor.members:
        raise FeatrixUserError("The predictor is not trained yet", remedy="Call train() first")
    if predictor.outputs is None:
        raise FeatrixUserError(
            "The predictor is not calibrated yet", remedy="Call calibrate() first"
        )
    assert predictor.ensemble is not None
    others = [k for k, share in sorted(predictor.ensemble.weights.items()) if k != NETS and share]
    if others:
        raise FeatrixUserError(
            "This predictor answers with trees or a linear model beside its nets, and only nets can be exported",
            value=f"{predictor.name}: {' and '.join(others)}",
            remedy="Export `predictor.nets_only()` (`--nets-only`), or train it with ensemble=False",
        )
    space, coding, outputs = predictor.space, predictor.coding, predictor.outputs
    batch = predictor.background
    graph = PredictorGraph(space.model, predictor.members, outputs, coding, batch)
    cells = _cells(graph, batch)
    with torch.no_grad():
        drawn = [result.numpy() for result in graph(cells)]
    answer_NO, spread_N = predictor._said(batch)
    wanted = outputs.scores(answer_NO, spread_N, coding)
    slack = _slack(outputs.calibration, answer_NO)
    results = dict(zip(graph.outputs, drawn, strict=True))
    _refuse_difference(results, wanted, slack)
    document = {
        "name": predictor.name,
        "version": VERSION,
        "source": source,
        "target": coding.target.name,
        "classes": list(coding.classes),
        "ordered": coding.ordered,
        "threshold": 0.5 if outputs.threshold is None else outputs.threshold.threshold,
        "prediction_sets": None if outputs.sets is None else outputs.sets.to_dict(),
        "interval_level": None if outputs.interval is None else outputs.interval.level,
        "target_width": outputs.target_width,
        "features": None if space.engineer is None else space.engineer.to_dict(),
        "sentence_model": space.tokenizer.sentence_model,
        "inputs": [_axes(name, cells[name].numpy(), name in FAMILY_OF) for name in graph.reads],
        "outputs": [_axes(name, results[name], True) for name in graph.outputs],
    }
    drawing = _drawn(graph, cells)
    with writing_bundle(Path(folder), KIND) as aside:
        (aside / GRAPH).write_bytes(drawing)
        write_json(aside / DOCUMENT, document)
        write_text(aside / SCHEMA, space.schema.model_dump_json(indent=1) + "\n")
        write_tensors(aside / CODECS, space.tokenizer.state())
        _check(aside, document, cells, wanted, slack)
    return document


def refuse_folder(out: Path, model: Path | None = None) -> None:
    """Refuse to write where the export would take the place of something else.

    Args:
        model: folder of the predictor's bundle.

    Raises:
        FeatrixUserError: `out` is a file, holds something else than an export, or holds the model.
    """
    place = out.resolve()
    if model is not None and place in (model.resolve(), *model.resolve().parents):
        raise FeatrixUserError(
            "The export would take the place of the model's folder",
            value=str(out),
            remedy="Give --out a folder of its own",
        )
    if not place.exists() or (place.is_dir() and not any(place.iterdir())):
        return
    try:
        replaceable = bundle_kind(place) == KIND
    except BundleError:
        replaceable = False
    if not replaceable:
        raise FeatrixUserError(
            "The export would delete what is there, which is no earlier export",
            value=str(out),
            remedy="Give --out a new or empty folder, or move away what it holds",
        )


def _need_packages() -> None:
    for package in ("onnx", "onnxruntime", "onnxscript"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise missing_package(package) from error


def _cells(graph: PredictorGraph, batch: TokenBatch) -> dict[str, Tensor]:
    """What the graph reads of a batch; the smallest tables of distinct values get rows that nothing points at."""
    found: dict[str, Tensor] = {}
    for name in graph.reads:
        value: Tensor = getattr(batch, name)
        if name not in FAMILY_OF and len(value) < LEAST_ENTRIES:
            more = value.new_zeros(LEAST_ENTRIES - len(value), *value.shape[1:])
            value = torch.cat([value, more])
        found[name] = value
    return found


def _axes(name: str, value: NDArray[Any], of_rows: bool) -> dict[str, Any]:
    first = ROWS if of_rows else "entries"
    return {"name": name, "dtype": str(value.dtype), "shape": [first, *value.shape[1:]]}


def _drawn(graph: PredictorGraph, cells: dict[str, Tensor]) -> bytes:
    """The graph in ONNX's format, the same bytes for the same predictor."""
    for parameter in graph.parameters():
        parameter.requires_grad_(False)
    axes = {
        name: {0: torch.export.Dim(ROWS if name in FAMILY_OF else name)} for name in graph.reads
    }
    try:
        with _quiet():
            # Strict tracing keeps `len` of a tensor a symbol; the other way would fix the number of rows.
            program = torch.export.export(graph, (cells,), dynamic_shapes=(axes,), strict=True)
            # Not optimised: that drops a node where several members clamp the same input (torch 2.13 with
            # onnxscript 0.7.2), and ONNX Runtime optimises a graph by itself when it loads it.
            model = torch.onnx.export(
                program,
                dynamo=True,
                external_data=False,
                optimize=False,
                verbose=False,
                input_names=list(graph.reads),
                output_names=list(graph.outputs),
            )
    finally:
        for parameter in graph.parameters():
            parameter.requires_grad_(True)
    assert model is not None
    # Inner results are named after variables of the code, one of which may be called like a result.
    outer = {id(value) for value in model.model.graph.outputs}
    for node in model.model.graph.all_nodes():
        for value in node.outputs:
            if id(value) not in outer and value.name is not None:
                value.name = f"inner_{value.name}"
    # Where each node came from, with the paths of this machine's files.
    functions: list[Any] = [model.model.graph, *model.model.functions.values()]
    for function in functions:
        for node in function.all_nodes():
            node.metadata_props.clear()
            node.doc_string = None
    model.model.metadata_props.clear()
    model.model.graph.metadata_props.clear()
    for value in (*model.model.graph.inputs, *model.model.graph.outputs):
        value.metadata_props.clear()
    return bytes(model.model_proto.SerializeToString(deterministic=True))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on packages and passes that play no part here."""
    names = ("torch.onnx", "onnxscript", "onnx_ir")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def _check(
    folder: Path,
    document: dict[str, Any],
    cells: dict[str, Tensor],
    wanted: Scores,
    slack: NDArray[np.float64] | float,
) -> None:
    """Compare what ONNX Runtime says of the training rows that the predictor keeps with its own figures."""
    session = ExportedPredictor.opened(folder, document)
    results = session.run({name: value.numpy() for name, value in cells.items()})
    _refuse_difference(results, wanted, slack)


def _refuse_difference(
    results: dict[str, NDArray[Any]], wanted: Scores, slack: NDArray[np.float64] | float
) -> None:
    difference = _difference(results, wanted, slack)
    # Not a number is no agreement either.
    if not difference <= TOLERANCE:
        raise FeatrixUserError(
            "The exported graph does not give the predictor's figures",
            value=f"they differ by {difference:.2g}",
            remedy="Serve the predictor's bundle instead",
        )


def _difference(
    results: dict[str, NDArray[Any]], wanted: Scores, slack: NDArray[np.float64] | float
) -> float:
    """Largest difference: of probabilities beyond the slack, of numbers as a share of the interval's width."""
    if isinstance(wanted, ClassScores):
        apart = np.abs(results["probabilities"] - wanted.probabilities_NK) - slack
        return float(apart.max(initial=0.0))
    width = np.maximum(wanted.high_N - wanted.low_N, wanted.std_N)
    pairs = (
        (results["value"], wanted.prediction_N),
        (results["low"], wanted.low_N),
        (results["high"], wanted.high_N),
        (results["std"], wanted.std_N),
    )
    unit = np.maximum(width, 1e-12 + 1e-6 * np.abs(wanted.prediction_N))
    return max(float((np.abs(a - b) / unit).max(initial=0.0)) for a, b in pairs)


def _slack(
    calibration: Calibration | None, answer_NO: NDArray[np.float32]
) -> NDArray[np.float64] | float:
    """How far a nudge of one class's answer moves probabilities along an isotonic curve."""
    if calibration is None or calibration.method != "isotonic":
        return 0.0
    slack = np.zeros(answer_NO.shape)
    for k in range(answer_NO.shape[1]):
        nudge = np.zeros(answer_NO.shape[1])
        nudge[k] = _NUDGE
        moved = calibration.apply(answer_NO + nudge) - calibration.apply(answer_NO - nudge)
        slack = np.maximum(slack, np.abs(moved))
    return slack
