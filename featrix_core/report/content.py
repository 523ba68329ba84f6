"""What a report can show, as plain data (VIEW-2).

`ReportContent` is the only thing that a caller fills: strings, numbers, tuples of them, nothing
else, so that steps can store it as JSON, merge it and render it later without plotly or torch.
Every section is optional; a section that is None (or empty) leaves no trace on the page.
Texts may hold anything: the renderer escapes them. Numbers may be None or NaN where unknown.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from featrix_core.report.training_content import (
    Interval,
    Movie,
    Number,
    Pairs,
    PlanEntry,
    Timeline,
)
from featrix_core.tables.schema import Frozen, Notice

Level = Literal["ok", "warning", "error"]

MAX_SPHERE_POINTS = 2000


class KeyFigure(Frozen):
    """One headline figure; `value` may be a text such as a date or a model's name."""

    name: str
    value: float | str
    interval: Interval | None = None
    note: str = ""


class ModelFigures(Frozen):
    """One row of the comparison table; `ours` marks the row that this run made."""

    name: str
    metrics: dict[str, Number]
    ours: bool = False


class Comparison(Frozen):
    """Models side by side on the same hold-out rows."""

    models: tuple[ModelFigures, ...]
    lower_is_better: tuple[str, ...] = ("log_loss", "ece", "brier", "level_distance", "rmse", "mae")
    note: str = ""


class Step(Frozen):
    """One step of the run; `seconds` is wall-clock time."""

    name: str
    seconds: float
    note: str = ""


class ColumnEntry(Frozen):
    """One column of the table and what became of it.

    `refusals`: types that were tried and why they were not it; `warnings`: what was noticed in it;
    `encoding`: what training made of it (surviving strategies with their weights, gates).
    """

    name: str
    type: str
    evidence: str = ""
    runner_up: str = ""
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    encoding: str = ""
    missing_share: Number = None
    n_unique: int | None = None
    statistics: str = ""
    decision: str = "kept"


class DroppedEntry(Frozen):
    """A column that was kept out; `score_parts` are the parts of the identifier score."""

    name: str
    reason: str
    message: str = ""
    score: float = 0.0
    score_parts: dict[str, float] = Field(default_factory=dict)


class Columns(Frozen):
    """The table's columns (DATA-2, DATA-5)."""

    kept: tuple[ColumnEntry, ...] = ()
    dropped: tuple[DroppedEntry, ...] = ()
    n_rows: int | None = None


class Sphere(Frozen):
    """Rows as unit vectors: `points` has shape (rows, 3), at most 2000 rows.

    Colour is by `labels` (classes) or by `values` (a number), never both; `colour_name` says what
    they are. `hover` is one text per point, lines separated by a line feed.
    """

    points: tuple[tuple[float, float, float], ...] = Field(max_length=MAX_SPHERE_POINTS)
    labels: tuple[str, ...] = ()
    values: tuple[Number, ...] = ()
    colour_name: str = ""
    hover: tuple[str, ...] = ()
    n_rows: int | None = None

    @model_validator(mode="after")
    def _lengths(self) -> Sphere:
        for name in ("labels", "values", "hover"):
            length = len(getattr(self, name))
            if length not in (0, len(self.points)):
                raise ValueError(f"{name} has {length} entries for {len(self.points)} points")
        if self.labels and self.values:
            raise ValueError("colour a sphere by labels or by values, not by both")
        return self


class MutualInformation(Frozen):
    """`bits[i][j]`: what column i tells about column j, in bits (not symmetric)."""

    names: tuple[str, ...]
    bits: tuple[tuple[Number, ...], ...]

    @model_validator(mode="after")
    def _square(self) -> MutualInformation:
        if any(len(row) != len(self.names) for row in (self.bits, *self.bits)):
            raise ValueError(f"bits must be {len(self.names)} by {len(self.names)}")
        return self


class Curve(Frozen):
    """Points of a curve in order; `area` is the figure under it (AUC, average precision)."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    area: Number = None

    @model_validator(mode="after")
    def _lengths(self) -> Curve:
        if len(self.x) != len(self.y):
            raise ValueError(f"curve {self.label!r}: {len(self.x)} x for {len(self.y)} y")
        return self


class Reliability(Frozen):
    """Bins of predicted probability against observed frequency, for one state of calibration."""

    label: str
    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    counts: tuple[int, ...] = ()
    ece: Number = None
    brier: Number = None


class ThresholdCurve(Frozen):
    """What each decision threshold would give; `chosen` is the one in use."""

    thresholds: tuple[float, ...]
    metrics: dict[str, tuple[Number, ...]]
    chosen: float | None = None


class Classification(Frozen):
    """Hold-out figures of a classifier; several ROC curves are one per class against the rest.

    `confusion[i][j]` counts rows of class i that were predicted as class j. `base_rate` is the
    share of the positive class: the height of the no-skill line of precision and recall.
    """

    classes: tuple[str, ...] = ()
    roc: tuple[Curve, ...] = ()
    precision_recall: tuple[Curve, ...] = ()
    base_rate: float | None = None
    confusion: tuple[tuple[int, ...], ...] = ()
    reliability: tuple[Reliability, ...] = ()
    thresholds: ThresholdCurve | None = None


class Coverage(Frozen):
    """A prediction interval's promised and observed share of rows inside, and its mean width."""

    nominal: float
    observed: float
    mean_width: Number = None


class Regression(Frozen):
    """Hold-out figures of a regressor; the sequences run over the same rows."""

    actual: tuple[float, ...] = ()
    predicted: tuple[float, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    unit: str = ""

    @model_validator(mode="after")
    def _lengths(self) -> Regression:
        if len(self.actual) != len(self.predicted):
            raise ValueError(f"{len(self.actual)} actual for {len(self.predicted)} predicted")
        return self


class GlobalImportance(Frozen):
    """Mean size and mean signed effect of one column over the explained rows.

    low, high: 95 % interval of the size. share: of all columns' sizes. direction: rank correlation of a number
    with its effect.
    """

    name: str
    mean_absolute: float
    mean_signed: float = 0.0
    low: float | None = None
    high: float | None = None
    share: float | None = None
    direction: float | None = None


class RowEffect(Frozen):
    """What one column's value did to one row's prediction (signed)."""

    name: str
    value: str
    effect: float


class ExplainedRow(Frozen):
    """One example row with its prediction and the effects of its columns."""

    title: str
    note: str = ""
    effects: tuple[RowEffect, ...]


class Importance(Frozen):
    """Importance over all rows and for a few examples; `effect_on` names what is pushed."""

    overall: tuple[GlobalImportance, ...]
    rows: tuple[ExplainedRow, ...] = ()
    effect_on: str = "the prediction"


class ABMetric(Frozen):
    """One hold-out metric without and with the new columns; difference = after - before."""

    metric: str
    before: float
    after: float
    difference: float
    interval: Interval | None = None
    verdict: Literal["better", "worse", "no clear difference"]
    target: str = ""


class Extension(Frozen):
    """What the extension of the space by new columns did."""

    metrics: tuple[ABMetric, ...]
    new_columns: tuple[ColumnEntry, ...] = ()
    note: str = ""


class Finding(Frozen):
    """One thing that the validation of a join found."""

    level: Level
    message: str
    remedy: str = ""


class JoinReport(Frozen):
    """One join and its verdict; `coverage` is the share of left rows that find a partner."""

    left: str
    right: str
    keys: tuple[str, ...]
    verdict: Level
    coverage: Number = None
    declared_cardinality: str = ""
    observed_cardinality: str = ""
    findings: tuple[Finding, ...] = ()


class LineageNode(Frozen):
    """Something that was made or used; `kind` is data, run, space, predictor, report, …"""

    id: str
    label: str
    kind: str = ""
    detail: str = ""


class LineageEdge(Frozen):
    """`target` was made from `source`."""

    source: str
    target: str
    label: str = ""


class Lineage(Frozen):
    """Where the models come from: a directed graph without cycles."""

    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...] = ()


class TargetReport(Frozen):
    """Everything about one target column's predictor."""

    target: str
    kind: str = ""
    key_figures: tuple[KeyFigure, ...] = ()
    comparison: Comparison | None = None
    notices: tuple[Notice, ...] = ()
    classification: Classification | None = None
    regression: Regression | None = None
    importance: Importance | None = None
    timeline: Timeline | None = None


class ReportContent(Frozen):
    """One page. `created` is a text (a date), so that the same content gives the same bytes."""

    title: str
    subtitle: str = ""
    created: str = ""
    key_figures: tuple[KeyFigure, ...] = ()
    comparison: Comparison | None = None
    steps: tuple[Step, ...] = ()
    notices: tuple[Notice, ...] = ()
    columns: Columns | None = None
    joins: tuple[JoinReport, ...] = ()
    timeline: Timeline | None = None
    plan: tuple[PlanEntry, ...] = ()
    movie: Movie | None = None
    pairs: Pairs | None = None
    sphere: Sphere | None = None
    mutual_information: MutualInformation | None = None
    targets: tuple[TargetReport, ...] = ()
    extension: Extension | None = None
    lineage: Lineage | None = None
