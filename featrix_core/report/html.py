"""One self-contained HTML page from a `ReportContent` (VIEW-2).

The page asks for nothing from any network, and its content security policy forbids it to: only the
scripts that this module wrote (known by their digests) may run, so that a text from the data that
looks like a script stays a text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from featrix_core.files import write_text
from featrix_core.report import lineage, pairs_view, text
from featrix_core.report.content import ABMetric, Comparison, ReportContent, TargetReport

if TYPE_CHECKING:
    from featrix_core.report.figures import Plot

MAX_COLUMNS = 300
MAX_NOTICES = 200


def render_report(content: ReportContent) -> str:
    """The whole report as one HTML text, under 6 MB; the same content gives the same bytes.

    plotly's script (4.8 MB) is inlined once, and only where the page has a figure.
    """
    return _render(content, compact=False)


def render_step_page(content: ReportContent) -> str:
    """The same page without table of contents and wide margins, for a step in the Kubeflow UI."""
    return _render(content, compact=True)


def write_report(content: ReportContent, path: Path) -> None:
    """Render and write atomically."""
    write_text(path, render_report(content))


def _render(content: ReportContent, *, compact: bool) -> str:
    space_plots, target_plots = _plots(content)
    groups = [*space_plots.values(), *(g for groups in target_plots for g in groups.values())]
    named = {f"figure-{k}": plot for k, plot in enumerate(p for group in groups for p in group)}
    ids = {id(plot): name for name, plot in named.items()}
    boot = _asset("report.js") if named or content.pairs else ""
    plotly = _plotly_script() if named else ""
    environment = _environment()
    environment.globals["plot_id"] = lambda plot: ids[id(plot)]
    return environment.get_template("report.html.j2").render(
        content=content,
        compact=compact,
        space_plots=space_plots,
        targets=list(zip(content.targets, target_plots, strict=True)),
        graph=lineage.layout(content.lineage) if content.lineage else None,
        pair_lines=pairs_view.pair_lines(content.pairs) if content.pairs else [],
        figures={name: Markup(_figure_json(plot)) for name, plot in named.items()},
        style=Markup(_asset("style.css")),
        plotly=Markup(plotly),
        boot=Markup(boot),
        policy=_policy([script for script in (plotly, boot) if script]),
        box_width=lineage.BOX_WIDTH,
        box_height=lineage.BOX_HEIGHT,
        max_columns=MAX_COLUMNS,
        max_notices=MAX_NOTICES,
    )


def _plots(
    content: ReportContent,
) -> tuple[dict[str, list[Plot]], list[dict[str, list[Plot]]]]:
    """Figures of the space and of each target, by section. plotly is imported only if needed."""
    space: dict[str, list[Plot]] = {"timeline": [], "movie": [], "sphere": [], "information": []}
    if content.timeline or content.movie or content.sphere or content.mutual_information:
        from featrix_core.report import figures, movie, training_view

        if content.timeline:
            space["timeline"] = training_view.timeline_plots(content.timeline)
        if content.movie:
            space["movie"] = [movie.movie_plot(content.movie)]
        if content.sphere and content.sphere.points:
            space["sphere"] = [figures.sphere_plot(content.sphere)]
        if content.mutual_information and content.mutual_information.names:
            space["information"] = [figures.mutual_information_plot(content.mutual_information)]
    return space, [_target_plots(target) for target in content.targets]


def _target_plots(target: TargetReport) -> dict[str, list[Plot]]:
    plots: dict[str, list[Plot]] = {"quality": [], "importance": [], "timeline": []}
    if target.classification or target.regression or target.importance or target.timeline:
        from featrix_core.report import target_figures, training_view

        quality: list[Plot] = []
        if target.classification:
            quality += target_figures.classification_plots(target.classification)
        if target.regression:
            quality += target_figures.regression_plots(target.regression)
        plots["quality"] = quality
        if target.importance and target.importance.overall:
            plots["importance"] = [target_figures.importance_plot(target.importance)]
        if target.timeline:
            plots["timeline"] = training_view.timeline_plots(target.timeline)
    return plots


def _figure_json(plot: Plot) -> str:
    """A figure as JSON that is safe inside a script element, whatever its texts hold."""
    figure: dict[str, Any] = json.loads(plot.figure.to_json())
    figure["layout"].pop("template", None)
    dumped = json.dumps(figure, separators=(",", ":"), ensure_ascii=False)
    # Without "<" no text can end the script element or open a comment in it.
    return dumped.replace("<", "\\u003c")


@cache
def _asset(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")


@cache
def _plotly_script() -> str:
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped, unused-ignore]

    return str(get_plotlyjs())


def _policy(scripts: Sequence[str]) -> str:
    """Only these scripts run; nothing is fetched; plotly's own styles and images are allowed."""
    digests = [
        "'sha256-" + base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() + "'"
        for s in scripts
    ]
    sources = " ".join(digests) or "'none'"
    return (
        f"default-src 'none'; script-src {sources}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("featrix_core.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        num=text.number,
        plain=text.plain,
        signed=text.signed,
        percent=text.percent,
        duration=text.duration,
        short=text.shorten,
        slug=_slug,
        best=_best,
        strip=_strip,
        metrics=_metrics,
    )
    return environment


def _slug(name: str, index: int) -> str:
    """An identifier for links: readable where the name allows it, unique by its index."""
    return f"t{index}-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]


def _best(comparison: Comparison) -> dict[str, float]:
    """The best value per metric; a metric that only one model has is no contest."""
    best: dict[str, float] = {}
    for metric in _metrics(comparison):
        values = [m.metrics.get(metric) for m in comparison.models]
        known = [value for value in values if value is not None and value == value]
        if len(known) > 1:
            best[metric] = (min if metric in comparison.lower_is_better else max)(known)
    return best


def _metrics(comparison: Comparison) -> list[str]:
    """All metrics in order of first appearance."""
    return list(dict.fromkeys(name for model in comparison.models for name in model.metrics))


def _strip(row: ABMetric) -> dict[str, float]:
    """Positions (0 to 100) of a difference and its interval on a strip with zero in the middle."""
    low, high = row.interval or (row.difference, row.difference)
    reach = 1.15 * max(abs(low), abs(high), abs(row.difference)) or 1.0
    place = {"low": low, "high": high, "value": row.difference}
    return {name: round(50 + 50 * figure / reach, 2) for name, figure in place.items()}
