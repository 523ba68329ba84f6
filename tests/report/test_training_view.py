"""Panels, boosts, heads, pairs, plan and movie as the report shows them (VIEW-2, TRAIN-5, JOINT-3 to JOINT-5)."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from pydantic import ValidationError

from featrix_core.report.content import ReportContent
from featrix_core.report.html import render_step_page
from featrix_core.report.movie import movie_plot
from featrix_core.report.pairs_view import MAX_PAIRS, pair_lines, pairs_content
from featrix_core.report.plan_view import plan_entries
from featrix_core.report.training_content import Movie, Timeline
from featrix_core.report.training_view import timeline_plots


def traces(figure: go.Figure) -> list[go.Figure]:
    return list(figure.data)


def entries(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"epoch": k, "train_loss": 2.0, "validation_loss": 3.0, "learning_rate": 0.1 * k, **more}
        for k in range(1, count + 1)
    ]


def test_pairs_of_an_extension_are_counted_apart() -> None:
    log = decisions([pair(0.05)])
    assert "extension" not in pairs_content(log).note
    note = pairs_content({**log, "pairs_added": 7}).note
    assert "the extension added 7 with its new columns" in note


def test_a_panel_without_values_is_left_out() -> None:
    some = [{"epoch": k, "train_loss": 2.0 / k, "learning_rate": 0.1} for k in (1, 2, 3)]
    plots = timeline_plots(Timeline.from_entries(some, best_epoch=2))
    assert [plot.title for plot in plots] == ["Loss", "Learning rate"]
    assert "epoch 2" in plots[0].caption
    assert plots[1].figure.layout.yaxis.type == "log"


def test_a_rate_of_zero_is_a_gap_on_the_logarithmic_axis() -> None:
    some = [{"epoch": k, "learning_rate": 0.1 * (3 - k)} for k in (1, 2, 3)]
    (plot,) = timeline_plots(Timeline.from_entries(some))
    assert plot.figure.layout.yaxis.type == "log"
    assert np.isnan(traces(plot.figure)[0].y).tolist() == [False, False, True]


def test_failures_and_interventions_are_marked_once_where_they_begin() -> None:
    some = entries(9)
    for k in (2, 3, 4):
        some[k] |= {"failures_detected": ["NO_LEARNING"]}
    some[5] |= {"failures_detected": ["NO_LEARNING"], "corrective_actions": ["TEMP_BOOST_2X"]}
    timeline = Timeline.from_entries(some)
    assert [(e.first, e.last) for e in timeline.episodes()] == [(3, 5), (6, 6)]
    failures, actions = traces(timeline_plots(timeline)[0].figure)[-2:]
    assert (list(failures.x), list(failures.y)) == ([3], [3.0])
    assert list(actions.x) == [6] and actions.hovertext == ("NO_LEARNING, TEMP_BOOST_2X",)
    page = render_step_page(ReportContent(title="t", timeline=timeline))
    assert "3 to 5" in page and "TEMP_BOOST_2X" in page


@pytest.mark.parametrize("labelled", [True, False])
def test_a_boost_is_red_from_circle_to_square(labelled: bool) -> None:
    some = entries(12)
    actions = [{"epoch": 4, "action_type": "LR_BOOST", "details": {"boost_epochs": 5}}]
    if labelled:
        some[3] |= {"corrective_actions": ["LR_BOOST_3X"]}
        for k in range(4, 9):
            some[k] |= {"corrective_actions": ["LR_BOOST_ACTIVE"]}
    timeline = Timeline.from_entries(some, actions)
    assert timeline.boosted() == ((4.0, 9.0),)
    plot = next(p for p in timeline_plots(timeline) if p.title == "Learning rate")
    boost = traces(plot.figure)[-1]
    assert list(boost.x) == [4, 5, 6, 7, 8, 9]
    assert (boost.marker.symbol[0], boost.marker.symbol[-1]) == ("circle", "square")
    assert sum(size > 0 for size in boost.marker.size) == 2
    assert "Red" in plot.caption


def test_a_boost_at_the_end_ends_with_the_training() -> None:
    actions = [{"epoch": 4, "action_type": "LR_BOOST", "details": {"boost_epochs": 20}}]
    assert Timeline.from_entries(entries(6), actions).boosted() == ((4.0, 6.0),)
    assert Timeline.from_entries(entries(6), [{**actions[0], "action_type": "X"}]).boosted() == ()


def test_head_diversity_has_a_panel_with_its_advice() -> None:
    some = entries(20)
    for k, entry in enumerate(some):
        heads: dict[str, Any] = {"average_similarity": 0.04 * k, "status": "REDUNDANT"}
        if k % 10 == 9:
            heads |= {"min": 0.1, "max": 0.9, "advice": f"try {k} heads", "redundant_pairs": []}
        entry["head_diversity"] = heads
    plot = timeline_plots(Timeline.from_entries(some))[-1]
    assert plot.title == "Similarity of attention heads"
    assert "0.76 (redundant)" in plot.caption and "try 19 heads" in plot.caption
    ranges, line = traces(plot.figure)
    assert list(ranges.x) == [10] * 3 + [20] * 3 and len(line.x) == 20
    assert len(plot.figure.layout.shapes) == 2


# -- pairs ------------------------------------------------------------------------------------------


def pair(total: float | None, half: float = 0.01, **more: Any) -> dict[str, Any]:
    ends = None if total is None else [total - half, total + half]
    lifts = [] if total is None else [{"helps": "b", "mean": total, "interval": ends}]
    known = {"columns": ["a", "b"], "total": total, "interval": ends, "lifts": lifts}
    counts: dict[str, Any] = {"score": total, "paired": 6, "unpaired": 9, "swaps": []}
    return {**known, **counts, "decision": "KEEP", "kept": True, "reason": "why", **more}


def decisions(pairs: list[dict[str, Any]], **checked: Any) -> dict[str, Any]:
    check = {"rho": 0.5, "verdict": "ok", "text": "rho 0.5, all is well", **checked}
    counts = {"periods": 30, "updates_per_period": 5, "pairs_in_all": 10, "pairs_tried": 4}
    return {**counts, "pairs_kept": 3, "pairs": pairs, "self_validation": check}


def test_lifts_are_drawn_on_one_scale_and_coloured_by_what_is_certain() -> None:
    log = pairs_content(decisions([pair(0.05), pair(0.005), pair(-0.05), pair(None)]))
    good, even, bad, unknown = pair_lines(log)
    assert [line.total.ink for line in (good, even, bad) if line.total] == [
        "better",
        "even",
        "worse",
    ]
    assert unknown.total is None and unknown.lifts == ()
    assert good.total is not None and even.total is not None and bad.total is not None
    assert good.total.value - 50 == pytest.approx(50 - bad.total.value, abs=0.11)
    assert (good.total.value - 50) == pytest.approx(10 * (even.total.value - 50), abs=0.5)
    assert good.total.low < good.total.value < good.total.high <= 99


def test_one_wild_interval_does_not_press_the_others_flat() -> None:
    log = pairs_content(decisions([*(pair(0.02) for _ in range(60)), pair(0.02, half=50.0)]))
    lines = pair_lines(log)
    assert lines[0].total is not None and lines[0].total.high - lines[0].total.low > 20
    assert lines[-1].total is not None and (lines[-1].total.low, lines[-1].total.high) == (
        1.0,
        99.0,
    )


def test_an_interval_with_an_unknown_end_is_none() -> None:
    (line,) = pair_lines(pairs_content(decisions([pair(0.02, interval=[None, 0.1])])))
    assert line.entry.interval is None and line.total is not None and line.total.ink == "even"


def test_the_page_of_pairs_can_be_sorted_and_tells_its_limits() -> None:
    third = {"helps": "other", "mean": 0.01, "interval": [0.0, 0.02], "third": True}
    log = decisions([pair(0.02, lifts=[third]), *(pair(0.01) for _ in range(MAX_PAIRS))])
    page = render_step_page(ReportContent(title="t", pairs=pairs_content(log)))
    assert page.count("<tr>") == MAX_PAIRS + 1
    assert f"The {MAX_PAIRS} best of {MAX_PAIRS + 1} pairs are shown" in page
    assert "data-sortable" in page and "outside of the pair" in page
    assert "ρ = 0.5" in page and "all is well" in page and "4 of 10 pairs were tried" in page
    assert "plotly.js v" not in page and page.count("<script>") == 1


def test_scores_that_do_not_hold_are_a_warning() -> None:
    log = pairs_content(decisions([pair(0.1)], rho=0.1, verdict="warning", text="do not hold"))
    page = render_step_page(ReportContent(title="t", pairs=log))
    assert 'class="verdict warning"' in page and "scores do not hold" in page
    log = pairs_content(decisions([], rho=None, verdict="none", text="too few"))
    assert "not judged" in render_step_page(ReportContent(title="t", pairs=log))


# -- plan and movie -----------------------------------------------------------------------------------


def test_the_plan_stands_with_its_reasons() -> None:
    value = {"name": "batch size", "value": 256, "unit": "rows", "reason": "a quarter"}
    document = {"values": [value, {"name": "dropout", "value": None, "reason": "none needed"}]}
    shown = plan_entries(document)
    assert [entry.value for entry in shown] == ["256 rows", "–"]
    assert plan_entries(None) == ()
    page = render_step_page(ReportContent(title="t", plan=shown))
    assert "256 rows" in page and "none needed" in page and "2 automatic values" in page


def movie(rows: int = 6, count: int = 3, **more: Any) -> Movie:
    points = np.random.default_rng(0).normal(size=(count, rows, 3))
    points /= np.linalg.norm(points, axis=2, keepdims=True)
    known = {"frames": points.tolist(), "epochs": list(range(0, 2 * count, 2))}
    return Movie.model_validate({**known, **more})


def test_frames_travel_in_the_order_of_the_traces() -> None:
    shown = movie(labels=["b", "a", "a", "b", "a", "c"], losses=[None, 2.0, 1.0], colour_name="k")
    plot = movie_plot(shown)
    meta = plot.figure.layout.meta
    assert meta["counts"] == [3, 2, 1] and meta["losses"] == [None, 2.0, 1.0]
    points = np.frombuffer(base64.b64decode(meta["points"]), "<i2").reshape(3, 6, 3)
    expected = np.asarray(shown.frames)[:, [1, 2, 4, 0, 3, 5]]
    assert np.allclose(points / meta["scale"], expected, atol=1e-4)
    first = traces(plot.figure)[meta["first"]]
    assert first.name == "a" and np.allclose(first.x, expected[-1, :3, 0], atol=1e-6)
    assert "before the first update" in plot.caption and "epoch that was kept, 4" in plot.caption


def test_a_movie_of_a_number_has_one_trace() -> None:
    plot = movie_plot(movie(values=[1.0, None, 2.0, 3.0, 4.0, 5.0], colour_name="age"))
    assert plot.figure.layout.meta["counts"] == [6]
    assert np.isnan(traces(plot.figure)[-1].marker.color[1])


@pytest.mark.parametrize(
    "more",
    [
        {"epochs": [1]},
        {"labels": ["a"]},
        {"losses": [1.0]},
        {"labels": ["a"] * 6, "values": [1.0] * 6},
        {"frames": [[[0, 0, 1]], [[0, 0, 1], [0, 1, 0]]], "epochs": [0, 1]},
    ],
)
def test_a_movie_whose_parts_do_not_fit_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        movie(**more)


def test_the_largest_movie_adds_little_to_a_page() -> None:
    page = movie_plot(movie(500, 60, labels=["a", "b"] * 250)).figure.to_json()
    assert len(page) < 350_000
