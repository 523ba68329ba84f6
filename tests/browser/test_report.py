"""The report in a real browser: it draws, it turns, it asks for nothing, and data stays data."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page

from featrix_core.report.content import ReportContent
from featrix_core.report.html import render_report, write_report

TRAINING = [
    "Loss",
    "Learning rate",
    "Gradient norm",
    "Dropout",
    "Spread loss",
    "Spread temperature",
]
FIGURES = [
    "Rows on the sphere",
    *("ROC", "Precision and recall", "Threshold", "Reliability", "Confusion matrix"),
    "Importance over all rows",
    *TRAINING,
    *("Predicted against actual", "Residuals", "Interval coverage"),
    "Bits per pair of columns",
    "Rows, epoch by epoch",
    *TRAINING,
    "Similarity of attention heads",
]
MARKS = ".js-line, .points path, .heatmaplayer image"
# Short, so that they survive the cutting of long labels.
ATTACKS = (
    "</script><script>pwned=1</script>",
    "<img src=x onerror=pwned=1>",
    '"><svg/onload=pwned=1>',
    '<a href="//evil.example">x</a>',
    "{{ 7*7 }}%{x}<!--\u2028<b>",
)
# Fields whose values are words of the report's own, not of a user.
OWN_WORDS = {"verdict", "level", "corrective_actions"}


@dataclass
class Opened:
    """A page and all that it said and asked for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def open_report(browser: Browser, path: Path, **context: Any) -> Opened:
    own = browser.new_context(viewport={"width": 1400, "height": 900}, **context)
    own.set_offline(True)
    opened = Opened(own.new_page())
    page = opened.page
    page.on("console", lambda m: opened.errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: opened.errors.append(str(error)))
    page.on("dialog", lambda dialog: opened.errors.append(f"dialog {dialog.message}"))
    page.on("request", lambda request: opened.requests.append(request.url))
    page.set_default_timeout(120_000)  # without a graphics card, and beside other tests
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-figures=drawn]", timeout=120_000)
    return opened


@pytest.fixture(scope="module")
def report(
    browser: Browser, content: ReportContent, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(content, path)
    assert path.stat().st_size < 6_000_000
    opened = open_report(browser, path)
    yield opened
    opened.page.context.close()


def test_every_figure_is_drawn(report: Opened) -> None:
    assert report.page.locator("figure h4").all_inner_texts() == FIGURES
    drawn = report.page.evaluate(
        """marks => [...document.querySelectorAll("[data-figure]")].map(holder => {
            const box = holder.querySelector("svg.main-svg").getBoundingClientRect();
            const canvas = holder.querySelector("canvas");
            const made = canvas ? canvas.width * canvas.height
                                : holder.querySelectorAll(marks).length;
            return [box.width, box.height, made];
        })""",
        MARKS,
    )
    for title, (width, height, made) in zip(FIGURES, drawn, strict=True):
        assert width > 150 and height > 150 and made > 0, title


def test_no_button_sends_the_chart_anywhere(report: Opened) -> None:
    buttons = report.page.locator(".modebar-btn").evaluate_all(
        "all => all.map(b => b.dataset.title)"
    )
    assert buttons == 2 * ["Download plot as a PNG", "Reset camera to default"]


def test_the_sphere_turns_when_dragged(report: Opened) -> None:
    page = report.page
    sphere = page.locator("figure.sphere .plot")
    sphere.scroll_into_view_if_needed()
    eye = "gd => { const e = gd._fullLayout.scene._scene.getCamera().eye; return [e.x, e.y, e.z]; }"
    camera, picture = sphere.evaluate(eye), sphere.screenshot()
    box = sphere.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 160, y + 40, steps=8)
    page.mouse.up()
    page.mouse.move(5, 5)
    turned = sphere.evaluate(eye)
    assert max(abs(a - b) for a, b in zip(camera, turned, strict=True)) > 0.2
    assert sphere.screenshot() != picture


def points_of(movie: Locator) -> list[list[float]]:
    """Points of the movie's first trace as they are drawn now."""
    read = "gd => { const t = gd.data[2]; return [...t.x].map((x, i) => [x, t.y[i], t.z[i]]); }"
    return [list(point) for point in movie.evaluate(read)]


def test_the_movie_plays(report: Opened, content: ReportContent) -> None:
    assert content.movie is not None
    figure = report.page.locator("figure.movie")
    movie, player = figure.locator(".plot"), figure.locator(".player")
    said = player.locator("output")
    assert said.text_content() == "epoch 40 · loss 1.100"
    slider = player.locator("input")
    move = "(e, to) => { e.value = to; e.dispatchEvent(new Event('input')); }"
    slider.evaluate(move, 20)
    finished = points_of(movie)
    slider.evaluate(move, 0)
    assert said.text_content() == "before training"
    first = [i for i, label in enumerate(content.movie.labels) if label == "EWR"]
    begun = points_of(movie)
    expected = [content.movie.frames[0][i] for i in first]
    assert all(
        abs(a - b) < 1e-3
        for one, other in zip(begun, expected, strict=True)
        for a, b in zip(one, other, strict=True)
    )
    # The page tells of every state that it draws: a busy machine may show the whole movie between two looks.
    movie.evaluate(
        "gd => { gd.seen = []; gd.on('plotly_restyle', () => gd.seen.push(gd.data[2].x[0])); }"
    )
    button = player.locator("button")
    button.click()
    for _ in range(1200):
        if slider.input_value() == "20" and button.text_content() == "Play":
            break
        report.page.wait_for_timeout(100)
    seen = movie.evaluate("gd => gd.seen")
    assert (seen[0], seen[-1]) == (begun[0][0], finished[0][0])
    assert len(set(seen)) > 10 and points_of(movie) == finished
    assert button.evaluate("b => { b.click(); b.click(); return b.textContent; }") == "Play"


def test_pairs_can_be_sorted_and_filtered(report: Opened) -> None:
    page = report.page
    rows = page.locator("#pair-log tbody tr:not([hidden])")
    pairs = rows.locator("td:first-child")
    scores = "all => all.map(row => row.cells[3].dataset.value)"
    assert rows.count() == 22
    for order in (1, -1):
        page.locator("#pair-log th button", has_text="score").click()
        found = rows.evaluate_all(scores)
        assert found[-1] == ""  # what is not known is last either way
        known = [order * float(value) for value in found[:-1]]
        assert known == sorted(known, reverse=True)
    page.locator(".filter input").fill("minute prune")
    assert page.locator(".filter output").text_content() == f"{rows.count()} of 22"
    assert 0 < rows.count() < 6
    assert all("minute" in name for name in pairs.all_text_contents())
    page.locator(".filter input").fill("")
    assert rows.count() == 22


def test_dark_mode_repaints_figures(report: Opened) -> None:
    page = report.page
    colours = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.wait_for_function(
            "([dark]) => getComputedStyle(document.querySelector('.plot .xtick text')).fill"
            " === getComputedStyle(document.querySelector('figcaption')).color"
            " && matchMedia('(prefers-color-scheme: dark)').matches === dark",
            arg=[scheme == "dark"],
        )
        colours.append(page.locator("figcaption").first.evaluate("e => getComputedStyle(e).color"))
    page.emulate_media(color_scheme="light")
    assert colours[0] != colours[1]


def test_a_narrow_window_needs_no_sideways_scrolling(report: Opened) -> None:
    page = report.page
    page.set_viewport_size({"width": 420, "height": 850})
    # Asked from outside: the page's own content policy forbids what `wait_for_function` evaluates.
    drawn = "document.querySelector('.plot .main-svg').clientWidth"
    for _ in range(100):
        if page.evaluate(drawn) < 420:
            break
        page.wait_for_timeout(100)
    assert page.evaluate(drawn) < 420
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    widths = page.locator("figure").evaluate_all("all => all.map(f => f.scrollWidth)")
    assert max(widths) <= 420
    page.set_viewport_size({"width": 1400, "height": 900})


def test_contents_lead_to_every_section(report: Opened) -> None:
    links = report.page.locator(".contents a").evaluate_all("all => all.map(a => a.hash.slice(1))")
    sections = report.page.locator("section").evaluate_all("all => all.map(s => s.id)")
    assert links == sections and len(set(links)) == 14


def test_nothing_went_wrong_and_nothing_was_fetched(report: Opened) -> None:
    assert report.errors == []
    assert [
        url for url in report.requests if url.split(":")[0] not in ("file", "data", "blob")
    ] == []


def hostile(value: Any, key: str = "") -> Any:
    """The same content with an attack at the start of every text that a user could have set."""
    if isinstance(value, dict):
        named = key in ("metrics", "score_parts")
        return {(attack(k) if named else k): hostile(v, k) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [hostile(entry) for entry in value]
    return attack(value) if isinstance(value, str) and key not in OWN_WORDS else value


def attack(text: str) -> str:
    return ATTACKS[zlib.crc32(text.encode()) % len(ATTACKS)] + text


def test_hostile_texts_stay_texts(browser: Browser, content: ReportContent, tmp_path: Path) -> None:
    attacked = ReportContent.model_validate(hostile(content.model_dump()))
    path = tmp_path / "report.html"
    path.write_text(render_report(attacked), encoding="utf-8")
    opened = open_report(browser, path)
    page = opened.page
    # Hover boxes read a subset of HTML: open one in a bar chart, a heat map and the loss curves.
    for title, at, part in (
        ("Importance over all rows", (0.05, 0.06), "mean size"),
        ("Bits per pair of columns", (0.65, 0.45), "bits about"),
        ("Loss", (0.5, 0.5), "training"),
    ):
        figure = page.locator(f"figure:has(h4:text-is('{title}'))").last
        figure.scroll_into_view_if_needed()
        box = figure.locator(".nsewdrag").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + at[0] * box["width"], box["y"] + at[1] * box["height"])
        figure.locator(".hoverlayer", has_text=part).wait_for(state="attached", timeout=10_000)
    assert page.evaluate("window.pwned") is None
    assert page.locator("img, iframe, object, a:not(.contents a)").count() == 0
    assert page.locator("script").count() == len(FIGURES) + 2
    assert page.locator("h1").text_content() == " ".join(attack(content.title).split())
    ticks = page.locator(".ytick text").all_text_contents()
    assert any(tick.startswith("<img src=x") for tick in ticks)
    # The policy would have stopped a script and said so here: nothing had to be stopped.
    assert opened.errors == []
    page.context.close()


def test_the_policy_stops_a_script_that_is_not_the_reports_own(report: Opened) -> None:
    # In a page of its own, for a stopped script is reported as an error there.
    page = report.page.context.new_page()
    page.goto(report.page.url)
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.pwned = 1";
            document.body.append(script);
        }"""
    )
    assert page.evaluate("window.pwned") is None
    page.close()
