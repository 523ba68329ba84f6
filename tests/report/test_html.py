import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from featrix_core.report.content import ReportContent, Step
from featrix_core.report.html import render_report, render_step_page, write_report

PLOTLY = "plotly.js v"


def big_content(rows: int, columns: int, targets: int) -> ReportContent:
    """As much as a caller may hand over: wide table, long curves, long texts."""
    rng = np.random.default_rng(42)
    points = rng.normal(size=(2000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    names = [f"column {k} " + "x" * 80 for k in range(columns)]
    curve = np.linspace(0, 1, rows).tolist()
    actual = rng.normal(size=rows)
    column = {"type": "scalar", "evidence": "e" * 500, "statistics": "s" * 500}
    target: dict[str, Any] = {
        "classification": {
            "roc": [{"label": "a", "x": curve, "y": curve}],
            "confusion": rng.integers(0, 9, size=(80, 80)).tolist(),
        },
        "regression": {"actual": actual.tolist(), "predicted": (actual * 0.9).tolist()},
        "importance": {"overall": [{"name": name, "mean_absolute": 1.0} for name in names]},
        "timeline": {"epochs": [{"epoch": k, "train_loss": 1.0} for k in range(3000)]},
    }
    return ReportContent.model_validate(
        {
            "title": "big",
            "columns": {"kept": [{"name": name, **column} for name in names]},
            "notices": [{"code": "c", "message": "m" * 900} for _ in range(1000)],
            "sphere": {"points": points.tolist(), "hover": ["h" * 900] * 2000},
            "mutual_information": {"names": names, "bits": rng.random((columns,) * 2).tolist()},
            "targets": [{"target": f"t{k}", **target} for k in range(targets)],
        }
    )


def test_a_large_run_stays_under_six_megabytes() -> None:
    page = render_report(big_content(rows=20_000, columns=600, targets=3))
    assert len(page.encode()) < 6_000_000
    assert "300 more columns are not shown" in page


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    content = big_content(rows=50, columns=4, targets=1)
    write_report(content, tmp_path / "a.html")
    assert (tmp_path / "a.html").read_bytes() == render_report(content).encode()


def test_plotly_is_inlined_once_and_only_for_figures() -> None:
    words = ReportContent(title="Ingest", steps=(Step(name="ingest", seconds=2.0),))
    assert len(render_step_page(words)) < 30_000
    assert PLOTLY not in render_step_page(words) and "<script" not in render_step_page(words)
    assert render_report(big_content(rows=50, columns=4, targets=2)).count(PLOTLY) == 1


def test_a_page_of_words_needs_no_plotly_at_all() -> None:
    program = (
        "import sys; from featrix_core.report.content import ReportContent;"
        "from featrix_core.report.html import render_step_page;"
        "render_step_page(ReportContent(title='t'));"
        "print([name for name in ('plotly', 'torch', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_nothing_is_loaded_from_anywhere() -> None:
    page = render_report(big_content(rows=50, columns=4, targets=1))
    outside_scripts = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", outside_scripts)
    assert "url(http" not in outside_scripts and "@import" not in outside_scripts
    assert "default-src &#39;none&#39;" in page


def test_an_empty_section_leaves_no_trace() -> None:
    page = render_report(ReportContent(title="Only a title"))
    assert "<section" not in page and "<li>" not in page
    assert "None" not in page


def test_texts_are_escaped() -> None:
    bad = "<script>alert(1)</script>"
    page = render_report(
        ReportContent.model_validate(
            {
                "title": bad,
                "notices": [{"code": "x", "message": bad, "column": bad, "action": bad}],
                "mutual_information": {"names": [bad, "b"], "bits": [[1, 2], [3, 4]]},
            }
        )
    )
    assert bad not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_two_targets_of_one_name_pattern_have_their_own_links() -> None:
    page = render_report(
        ReportContent.model_validate(
            {"title": "t", "targets": [{"target": "a b"}, {"target": "a-b"}]}
        )
    )
    links = re.findall(r'href="#([^"]+)"', page)
    assert len(links) == len(set(links)) == 2
    assert all(f'id="{link}"' in page for link in links)
