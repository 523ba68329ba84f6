"""From step results to report sections (OPS-2, VIEW-2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featrix_core.files import read_json
from featrix_core.predictor.standing import standing
from featrix_core.report.content import (
    ABMetric,
    Classification,
    ColumnEntry,
    Comparison,
    Coverage,
    Curve,
    ExplainedRow,
    Extension,
    Finding,
    GlobalImportance,
    Importance,
    JoinReport,
    KeyFigure,
    Lineage,
    LineageEdge,
    LineageNode,
    ModelFigures,
    MutualInformation,
    Regression,
    Reliability,
    ReportContent,
    RowEffect,
    Sphere,
    TargetReport,
    ThresholdCurve,
)
from featrix_core.report.from_schema import columns_from_schema
from featrix_core.report.html import render_step_page
from featrix_core.report.pairs_view import pairs_content
from featrix_core.report.plan_view import plan_entries
from featrix_core.report.training_content import Timeline
from featrix_core.steps.data_step import DataSet, load_dataset
from featrix_core.steps.figures import figures
from featrix_core.steps.movie_section import colours, movie_section
from featrix_core.steps.names import (
    EVALUATION,
    EXTENSION,
    JOINS,
    PAIR_DECISIONS,
    REGISTRATION,
    TIMELINE,
)
from featrix_core.steps.timeline_step import as_timeline, read_document
from featrix_core.tables.schema import Notice
from featrix_core.tables.texts import cell_texts

if TYPE_CHECKING:
    from featrix_core.embedding_space import EmbeddingSpace

SPHERE_ROWS = 1500
NAMES = {
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "ece": "calibration error",
    "level_distance": "mean distance in levels",
    "quadratic_kappa": "quadratic weighted kappa",
    "r2": "R²",
    "rmse": "RMSE",
}


def data_sections(data: DataSet, space: Path | None = None) -> dict[str, Any]:
    """Columns, notices and row counts; with a space also what its training made of the columns."""
    encodings = read_json(space / "space.json")["training_info"]["columns"] if space else {}
    summary = data.summary
    notices = [*data.schema.notices, *(Notice.model_validate(n) for n in summary["notices"])]
    return {
        "columns": columns_from_schema(data.schema, encodings),
        "notices": tuple(notices),
        "key_figures": (
            KeyFigure(name="rows", value=float(summary["rows"])),
            KeyFigure(name="hold-out rows", value=float(summary["holdout_rows"])),
            KeyFigure(name="columns in the space", value=float(summary["columns_kept"])),
            KeyFigure(name="columns kept out", value=float(summary["columns_dropped"])),
        ),
    }


def predictor_notices(folder: Path, told: Iterable[Notice]) -> list[Notice]:
    """What was noticed about a predictor's target and its columns, and not `told` when the table was read."""
    known = {(notice.code, notice.column) for notice in told}
    found = [Notice.model_validate(n) for n in read_json(folder / "predictor.json")["notices"]]
    return [notice for notice in found if (notice.code, notice.column) not in known]


def join_sections(folder: Path) -> dict[str, Any]:
    """The verdict on every join; nothing where none was declared."""
    if not (folder / JOINS).is_file():
        return {}
    joins = []
    for join in read_json(folder / JOINS)["joins"]:
        joins.append(
            JoinReport(
                left=join["left"],
                right=join["right"],
                keys=tuple(f"{k['left']} → {k['right']}" for k in join["keys"]),
                verdict=join["verdict"],
                coverage=join["coverage"],
                declared_cardinality=join["declared"],
                observed_cardinality=join["measured"],
                findings=tuple(
                    Finding(
                        level=f["level"] if f["level"] in ("warning", "error") else "ok",
                        message=f["message"],
                        remedy=f["remedy"],
                    )
                    for f in join["findings"]
                ),
            )
        )
    return {"joins": tuple(joins)}


def timeline_section(folder: Path) -> Timeline | None:
    """Training curves of a bundle."""
    path = folder / TIMELINE
    if not path.is_file():
        return None
    return as_timeline(read_document(path)[0], path)


def training_sections(folder: Path, data: DataSet | None, colour: str = "") -> dict[str, Any]:
    """How a space was trained: curves, plan, movie, decisions on column pairs."""
    info = read_json(folder / "space.json")["training_info"]
    pairs = folder / PAIR_DECISIONS
    return {
        "timeline": timeline_section(folder),
        "plan": plan_entries(info.get("plan")),
        "movie": movie_section(folder, data, colour),
        "pairs": pairs_content(read_json(pairs)) if pairs.is_file() else None,
    }


def space_sections(folder: Path, data: DataSet | None, colour: str = "") -> dict[str, Any]:
    """Its training, mutual information, the sphere of hold-out rows, and what an extension did."""
    from featrix_core.embedding_space import EmbeddingSpace

    space = EmbeddingSpace.load(folder)
    bits = space.mutual_information_matrix()
    sections: dict[str, Any] = {
        **training_sections(folder, data, colour),
        "mutual_information": MutualInformation(
            names=space.column_names, bits=tuple(tuple(row) for row in bits.tolist())
        ),
        "key_figures": tuple(
            KeyFigure(name=name.replace("_", " "), value=float(value))
            for name, value in figures(folder)["metrics"].items()
        ),
    }
    if data is not None:
        sections["sphere"] = _sphere(space, data, colour)
    if (folder / EXTENSION).is_file():
        extension = read_json(folder / EXTENSION)
        if extension["new_columns"]:
            sections["extension"] = _extension(extension)
    return sections


def _sphere(space: EmbeddingSpace, data: DataSet, colour: str) -> Sphere:
    table = data.holdout
    rows = np.sort(np.random.default_rng(space.seed).permutation(table.n_rows)[:SPHERE_ROWS])
    sample = table.take(rows)
    points = space.encode_short(sample)
    shown = [c for c in space.schema.names if c in sample.names][:6]
    cells = [cell_texts(sample.arrow[c]) for c in shown]
    hover = [
        "\n".join(f"{c}: {v}" for c, v in zip(shown, row, strict=True))
        for row in zip(*cells, strict=True)
    ]
    target = next((t for t in data.targets if t.name == colour), data.targets[0])
    return Sphere(
        points=tuple(tuple(p) for p in np.round(points, 4).tolist()),
        colour_name=target.name,
        hover=tuple(hover),
        n_rows=table.n_rows,
        **colours(sample, target),
    )


def _extension(document: dict[str, Any]) -> Extension:
    kept = "kept: it lowers the error on development rows"
    left = "not kept: it does not lower the error on development rows"
    return Extension(
        metrics=tuple(
            ABMetric(
                metric=NAMES.get(m["metric"], m["metric"]),
                before=m["before"],
                after=m["after"],
                difference=m["difference"],
                interval=tuple(m["interval"]),
                verdict=m["verdict"],
                target=m["target"],
            )
            for m in document["metrics"]
        ),
        new_columns=tuple(
            ColumnEntry(name=c["name"], type=c["type"], evidence=c["evidence"])
            for c in document["new_columns"]
        ),
        note="A linear probe on frozen embeddings, measured on the hold-out. The extension was "
        + (kept if document["accepted"] else left)
        + ".",
    )


def target_section(folder: Path) -> TargetReport:
    """Everything about one predictor."""
    found = read_json(folder / EVALUATION)
    peers = tuple(ModelFigures(name=k, metrics=m) for k, m in sorted(found["baselines"].items()))
    ranks = ("level_distance", "quadratic_kappa")
    shown = ("roc_auc", "log_loss", "ece", *ranks, "r2", "rmse", "coverage")
    # What is asked first stands first: a table with many measures is wider than a page.
    first = {name: found["metrics"][name] for name in shown if name in found["metrics"]}
    ours = ModelFigures(name="featrix", metrics=first | found["metrics"], ours=True)
    keys = tuple(
        KeyFigure(
            name=NAMES.get(name, name),
            value=value,
            interval=tuple(found["interval"]) if name == "roc_auc" else None,
        )
        for name, value in first.items()
    )
    return TargetReport(
        target=found["target"],
        kind=found["kind"],
        key_figures=keys,
        comparison=Comparison(models=(ours, *peers), note=_compared(found)),
        classification=_classification(found) if "curves" in found else None,
        regression=_regression(found) if "actual" in found else None,
        importance=_importance(found),
        timeline=timeline_section(folder),
    )


def _compared(found: dict[str, Any]) -> str:
    remarks = sorted(found["baseline_remarks"].items())
    told = "".join(f"{name}: {remark}. " for name, remark in remarks)
    strange = found["holdout_rows_of_new_classes"]
    apart = f" {strange:,} more are of classes that training never saw." if strange else ""
    return f"The same hold-out rows for all.{apart} {told}{standing(found['selector'])}"


def _classification(found: dict[str, Any]) -> Classification:
    curves = found["curves"]
    threshold = found.get("threshold")
    return Classification(
        classes=tuple(found["classes"]),
        roc=tuple(
            Curve(label=name, x=tuple(c["roc"]["fpr"]), y=tuple(c["roc"]["tpr"]))
            for name, c in curves.items()
        ),
        precision_recall=tuple(
            Curve(label=name, x=tuple(c["recall"]), y=tuple(c["precision"]))
            for name, c in curves.items()
        ),
        base_rate=next(iter(curves.values()))["base_rate"] if len(curves) == 1 else None,
        confusion=tuple(tuple(row) for row in found["confusion"]["matrix"]),
        reliability=tuple(_reliability(found)),
        thresholds=threshold
        and ThresholdCurve(
            thresholds=tuple(threshold["cuts"]),
            metrics={"F1": tuple(threshold["f1"])},
            chosen=threshold["chosen"],
        ),
    )


def _reliability(found: dict[str, Any]) -> Iterator[Reliability]:
    """Before and after calibration on the same out-of-fold rows, then the hold-out (PRED-3)."""
    method, report = found["calibration"]["method"], found["calibration"]["report"]
    states = [("hold-out", found["reliability"], found["metrics"])]
    if report:
        # Where nothing is calibrated, both are the same.
        moments = {"before": "out of fold, before", "after": f"out of fold, after ({method})"}
        shown = {"before": "out of fold"} if method == "none" else moments
        states = [(n, report[f"reliability_{k}"], report[k]) for k, n in shown.items()] + states
    for label, bins, measured in states:
        yield Reliability(
            label=label,
            predicted=tuple(b["predicted"] for b in bins),
            observed=tuple(b["observed"] for b in bins),
            counts=tuple(b["count"] for b in bins),
            ece=measured.get("ece"),
            brier=measured.get("brier"),
        )


def _regression(found: dict[str, Any]) -> Regression:
    coverage = found["metrics"].get("coverage")
    return Regression(
        actual=tuple(found["actual"]),
        predicted=tuple(found["predicted"]),
        coverage=()
        if coverage is None
        else (Coverage(nominal=0.9, observed=coverage, mean_width=found["interval_width"]),),
    )


def _importance(found: dict[str, Any]) -> Importance:
    what = f"the probability of {found['classes'][-1]!r}" if found["kind"] == "binary" else ""
    return Importance(
        overall=tuple(GlobalImportance(**entry) for entry in found["importance"]["overall"]),
        rows=tuple(
            ExplainedRow(
                title=f"Predicted: {row['prediction']}",
                effects=tuple(RowEffect(**effect) for effect in row["effects"]),
            )
            for row in found["importance"]["examples"]
        ),
        effect_on=what or "the prediction",
    )


def lineage_section(folder: Path) -> Lineage | None:
    """Where the registered predictor comes from."""
    path = folder / REGISTRATION
    if not path.is_file():
        return None
    from featrix_core.registry.lineage import LineageGraph

    graph = LineageGraph.model_validate(read_json(path)["lineage"])
    return Lineage(
        nodes=tuple(
            LineageNode(id=n.id, label=n.label, kind=n.kind, detail=n.summary) for n in graph.nodes
        ),
        edges=tuple(LineageEdge(source=e.source, target=e.target) for e in graph.edges),
    )


def step_page(kind: str, folder: Path) -> str:
    """HTML of one step's result for the Kubeflow UI; `kind` is the step's name."""
    folder = Path(folder)
    sections: dict[str, Any] = {}
    if kind == "ingest":
        sections = data_sections(load_dataset(folder))
    elif kind == "join_validate":
        sections = join_sections(folder)
    elif kind in ("train_space", "extend_space"):
        sections = space_sections(folder, None)
    elif kind == "calibrate":
        sections = {"targets": (target_section(folder),)}
    elif kind == "train_predictor":
        sections = {"timeline": timeline_section(folder)}
    elif kind == "register":
        sections = {"lineage": lineage_section(folder)}
    sections.setdefault(
        "key_figures",
        tuple(
            KeyFigure(name=name.replace("_", " "), value=float(value))
            for name, value in figures(folder)["metrics"].items()
        ),
    )
    return render_step_page(ReportContent(title=kind.replace("_", " "), **sections))
