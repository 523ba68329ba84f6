"""The critical-difference plot: mean ranks on a line, a bar over those that are not told apart."""

from __future__ import annotations

from pathlib import Path

from benchmarks.quality_ranks import Differences, cliques
from featrix_core.files import atomic_file


def draw(found: Differences, path: Path) -> None:
    """Write the plot as PNG; the same figures give the same bytes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ordered = sorted(found.ranks.items(), key=lambda item: item[1])
    count, half = len(ordered), (len(ordered) + 1) // 2
    figure, axes = plt.subplots(figsize=(7.5, 1.3 + 0.27 * half), dpi=110)
    axes.set_xlim(0.2, count + 0.8)
    bars = cliques(found)
    depth = 0.6 + 0.22 * len(bars)
    axes.set_ylim(-(depth + 0.45 * half), 1.3)
    axes.axis("off")
    axes.plot([1, count], [0, 0], color="black", linewidth=1)
    for tick in range(1, count + 1):
        axes.plot([tick, tick], [0, 0.12], color="black", linewidth=1)
        axes.text(tick, 0.2, str(tick), ha="center", va="bottom", fontsize=8)
    for place, (method, rank) in enumerate(ordered):
        left = place < half
        level = -(depth + 0.45 * (place if left else count - 1 - place))
        end = 0.9 if left else count + 0.1
        axes.plot([rank, rank, end], [0, level, level], color="0.45", linewidth=0.8)
        bold = "bold" if method.startswith("featrix") else "normal"
        axes.text(
            end, level, f" {method} {rank:.2f} ", ha="right" if left else "left", va="center",
            fontsize=8, fontweight=bold,
        )  # fmt: skip
    for place, (low, high) in enumerate(bars):
        height = -0.3 - 0.22 * place
        axes.plot([low - 0.04, high + 0.04], [height, height], color="black", linewidth=3)
    far = min(1 + found.distance, count)
    axes.plot([1, far], [0.85, 0.85], color="black", linewidth=1.5)
    axes.text(
        (1 + far) / 2, 0.92, f"critical difference {found.distance:.2f}", ha="center", fontsize=8
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="png", bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
