"""Layers for the lineage graph: what was made earlier stands further left."""

from __future__ import annotations

from dataclasses import dataclass

from featrix_core.report.content import Lineage
from featrix_core.report.text import shorten

BOX_WIDTH, BOX_HEIGHT = 166, 62
GAP_X, GAP_Y = 46, 22
LABEL_LIMIT = 19


@dataclass(frozen=True)
class Box:
    """A node with the upper left corner of its box, in pixels."""

    x: int
    y: int
    kind: str
    label: str
    detail: str
    full: str


@dataclass(frozen=True)
class Arrow:
    """A curve between two boxes as an SVG path."""

    path: str
    full: str


@dataclass(frozen=True)
class Graph:
    """A drawing of `width` by `height` pixels."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def layout(lineage: Lineage) -> Graph:
    """Place every node one layer right of the last of its sources; edges to unknown nodes go."""
    order = {node.id: k for k, node in enumerate(lineage.nodes)}
    edges = [e for e in lineage.edges if e.source in order and e.target in order]
    layer = dict.fromkeys(order, 0)
    # As many rounds as nodes settle every graph without cycles, and end on one that has them.
    for _ in order:
        moved = False
        for edge in edges:
            wanted = min(layer[edge.source] + 1, len(order) - 1)
            if wanted > layer[edge.target]:
                layer[edge.target], moved = wanted, True
        if not moved:
            break
    used = {value: k for k, value in enumerate(sorted(set(layer.values())))}
    columns: list[list[str]] = [[] for _ in used]
    for name in order:
        columns[used[layer[name]]].append(name)
    tallest = max((len(column) for column in columns), default=0)
    height = tallest * (BOX_HEIGHT + GAP_Y) + GAP_Y
    corner: dict[str, tuple[int, int]] = {}
    for k, column in enumerate(columns):
        ranked = sorted(column, key=lambda name: (_pull(name, lineage, corner), order[name]))
        top = (height - len(column) * (BOX_HEIGHT + GAP_Y) + GAP_Y) // 2
        for row, name in enumerate(ranked):
            corner[name] = (2 + k * (BOX_WIDTH + GAP_X), top + row * (BOX_HEIGHT + GAP_Y))
    boxes = tuple(
        Box(
            *corner[node.id],
            kind=shorten(node.kind, LABEL_LIMIT),
            label=shorten(node.label, LABEL_LIMIT),
            detail=shorten(node.detail, LABEL_LIMIT + 3),
            full=shorten(f"{node.kind} {node.label} {node.detail}", 400),
        )
        for node in lineage.nodes
    )
    arrows = tuple(
        Arrow(_path(corner[e.source], corner[e.target]), shorten(e.label, 200)) for e in edges
    )
    width = len(columns) * (BOX_WIDTH + GAP_X) - GAP_X + 4
    return Graph(max(width, 0), height, boxes, arrows)


def _pull(name: str, lineage: Lineage, corner: dict[str, tuple[int, int]]) -> float:
    """Mean height of the sources placed already: neighbours of one source stay together."""
    heights = [
        corner[e.source][1] for e in lineage.edges if e.target == name and e.source in corner
    ]
    return sum(heights) / len(heights) if heights else 0.0


def _path(source: tuple[int, int], target: tuple[int, int]) -> str:
    x1, y1 = source[0] + BOX_WIDTH, source[1] + BOX_HEIGHT // 2
    x2, y2 = target[0] - 5, target[1] + BOX_HEIGHT // 2
    bend = (x2 - x1) // 2
    return f"M{x1},{y1} C{x1 + bend},{y1} {x2 - bend},{y2} {x2},{y2}"
