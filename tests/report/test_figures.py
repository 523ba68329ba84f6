import json

import numpy as np
import plotly.graph_objects as go

from featrix_core.report.content import (
    Classification,
    Curve,
    Importance,
    MutualInformation,
    Regression,
    Sphere,
)
from featrix_core.report.figures import (
    GREY,
    MAX_MAP,
    PALETTE,
    mutual_information_plot,
    spaced,
    sphere_plot,
)
from featrix_core.report.target_figures import (
    MAX_BARS,
    classification_plots,
    importance_plot,
    regression_plots,
)


def traces(figure: go.Figure) -> list[go.Figure]:
    return list(figure.data)


def test_sphere_has_a_trace_per_class_and_gathers_rare_ones() -> None:
    names = [f"c{min(k, 10):02d}" for k in range(30)]
    angle = np.linspace(0, 6, 30)
    points = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    sphere = Sphere.model_validate({"points": points.tolist(), "labels": names})
    groups = traces(sphere_plot(sphere).figure)[2:]
    assert [g.name for g in groups] == ["c10", *(f"c{k:02d}" for k in range(7)), "other"]
    assert [g.marker.color for g in groups] == [*PALETTE, GREY]
    assert sum(len(g.x) for g in groups) == 30


def test_sphere_colours_by_a_number_with_gaps() -> None:
    sphere = Sphere(points=((1, 0, 0), (0, 1, 0)), values=(1.5, None), colour_name="age")
    figure = sphere_plot(sphere).figure
    colours = traces(figure)[-1].marker.color
    assert colours[0] == 1.5 and np.isnan(colours[1])
    assert figure.layout.coloraxis.colorbar.title.text == "age"


def test_information_map_keeps_both_directions_and_the_busiest_columns() -> None:
    n = MAX_MAP + 5
    bits = np.full((n, n), 0.1)
    bits[:5] = bits[:, :5] = 0.01
    bits[10, 11], bits[11, 10] = 0.9, 0.4
    information = MutualInformation.model_validate(
        {"names": [f"n{k}" for k in range(n)], "bits": bits.tolist()}
    )
    plot = mutual_information_plot(information)
    drawn = traces(plot.figure)[0]
    assert drawn.z.shape == (MAX_MAP, MAX_MAP) and "60 busiest" in plot.caption
    assert plot.figure.layout.yaxis.ticktext[5] == "n10"
    assert drawn.z[5, 6] == np.float32(0.9) and drawn.z[6, 5] == np.float32(0.4)
    assert np.isnan(np.diag(drawn.z)).all()


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    grid = tuple(np.linspace(0, 1, 50_000).tolist())
    roc = Classification(roc=(Curve(label="yes", x=grid, y=grid, area=0.5),))
    line = traces(classification_plots(roc)[0].figure)[0]
    assert len(line.x) <= 300 and (line.x[0], line.x[-1]) == (0.0, 1.0)
    assert line.name == "yes · AUC 0.5"
    assert spaced(2, 300).tolist() == [0, 1]


def test_confusion_shares_are_of_the_line_also_where_a_class_is_empty() -> None:
    figures = Classification(classes=("no", "yes"), confusion=((3, 1), (0, 0)))
    drawn = traces(classification_plots(figures)[0].figure)[0]
    assert drawn.z.tolist() == [[0.75, 0.25], [0.0, 0.0]]
    assert list(drawn.text[0]) == ["3", "1"]


def test_residuals_are_actual_minus_predicted() -> None:
    plots = regression_plots(Regression(actual=(1.0, 5.0), predicted=(2.0, 3.0)))
    assert [plot.title for plot in plots] == ["Predicted against actual", "Residuals"]
    assert traces(plots[1].figure)[0].y.tolist() == [-1.0, 2.0]


def test_importance_is_ranked_and_cut() -> None:
    overall = [{"name": f"c{k}", "mean_absolute": k, "mean_signed": -k} for k in range(30)]
    plot = importance_plot(Importance.model_validate({"overall": overall}))
    bars = traces(plot.figure)[0]
    assert bars.x.tolist() == [float(k) for k in range(29, 29 - MAX_BARS, -1)]
    assert set(bars.marker.color) == {PALETTE[1]}
    assert plot.figure.layout.yaxis.ticktext[0] == "c29"
    assert "20 largest of 30" in plot.caption


def test_names_that_look_like_html_are_escaped_in_every_label() -> None:
    bad = "<img src=x onerror=alert(1)>"
    information = MutualInformation(names=(bad, "b"), bits=((1.0, 0.2), (0.1, 1.0)))
    sphere = Sphere(points=((1, 0, 0),), labels=(bad,), hover=(bad,), colour_name=bad)
    figures = Classification(classes=(bad, "b"), confusion=((1, 2), (3, 4)))
    importance = Importance.model_validate({"overall": [{"name": bad, "mean_absolute": 1.0}]})
    for plot in (
        mutual_information_plot(information),
        sphere_plot(sphere),
        *classification_plots(figures),
        importance_plot(importance),
    ):
        assert "<img" not in json.dumps(plot.figure.to_plotly_json(), default=str)
