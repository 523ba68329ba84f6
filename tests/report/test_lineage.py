import pytest

from featrix_core.report.content import Lineage
from featrix_core.report.lineage import BOX_HEIGHT, BOX_WIDTH, layout


def graph_of(nodes: str, edges: list[str]) -> Lineage:
    return Lineage.model_validate(
        {
            "nodes": [{"id": name, "label": name} for name in nodes],
            "edges": [{"source": a, "target": b} for a, b in edges],
        }
    )


def test_everything_stands_right_of_what_it_was_made_from() -> None:
    edges = ["dr", "pr", "rs", "se", "el", "sl", "ea"]
    graph = layout(graph_of("aledprs", edges))
    box = {box.label: box for box in graph.boxes}
    assert all(box[a].x + BOX_WIDTH < box[b].x for a, b in edges)
    assert len(graph.arrows) == len(edges)


@pytest.mark.parametrize("edges", [[], ["ab", "bc", "ca"], ["aa"], ["ax"]])
def test_boxes_never_overlap_and_stay_inside(edges: list[str]) -> None:
    graph = layout(graph_of("abcdef", edges))
    for k, one in enumerate(graph.boxes):
        assert 0 <= one.x <= graph.width - BOX_WIDTH
        assert 0 <= one.y <= graph.height - BOX_HEIGHT
        for other in graph.boxes[k + 1 :]:
            assert abs(one.x - other.x) >= BOX_WIDTH or abs(one.y - other.y) >= BOX_HEIGHT


def test_an_edge_to_an_unknown_node_is_left_out() -> None:
    assert layout(graph_of("ab", ["ax", "ab"])).arrows[0].path.startswith("M")
    assert len(layout(graph_of("ab", ["ax", "ab"])).arrows) == 1
