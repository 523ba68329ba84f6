"""Lineage, up and down, in the embedded registry."""

from __future__ import annotations

import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.registry.lineage import LineageGraph, lineage
from featrix_core.registry.promotion import promote, review


def edges(graph):
    return {(edge.source, edge.target) for edge in graph.edges}


def all_edges(chain):
    space_1, space_2 = "model:credit-space/1", "model:credit-space/2"
    predictor = "model:credit/1"
    extra = next(node for node in chain if node.label == "extra").id
    table = next(node for node in chain if node.label == "credit").id
    scored = next(node for node in chain if node.kind == "scored").id
    return {
        (table, space_1),
        (table, space_2),
        (extra, space_2),
        (space_1, space_2),
        (table, predictor),
        (space_2, predictor),
        (predictor, scored),
    }


def test_from_the_predictor_both_ways(embedded, make_chain):
    chain = make_chain(embedded, "credit")
    make_chain(embedded, "other")  # shares the table; must not leak in
    promote(embedded, chain.predictor, review(embedded, chain.predictor))
    graph = lineage(embedded, "credit@champion")
    assert graph.root == "model:credit/1"
    assert edges(graph) == all_edges(graph.nodes)

    nodes = {node.label: node for node in graph.nodes}
    assert {label: node.kind for label, node in nodes.items()} == {
        "credit": "dataset",
        "extra": "dataset",
        "credit-space/1": "space",
        "credit-space/2": "space",
        "credit/1": "predictor",
        "scored.parquet": "scored",
    }
    assert nodes["credit"].details == {
        "sha256": chain.table,
        "rows": 1000,
        "source": "examples/credit.csv",
        "context": "train",
    }
    assert nodes["credit/1"].details["metrics"]["roc_auc"] == 0.79
    assert nodes["credit/1"].details["aliases"] == ["champion"]
    assert nodes["credit/1"].details["run_id"] == chain.run_id
    assert nodes["scored.parquet"].details["sha256"] == chain.scored
    assert nodes["scored.parquet"].details["rows"] == 200
    assert nodes["credit/1"].summary == "@champion, roc_auc 0.7900, log_loss 0.5000, ece 0.0400"


def test_from_the_first_space_down(embedded, make_chain):
    chain = make_chain(embedded, "credit")
    graph = lineage(embedded, chain.space_v1.uri)
    assert graph.children("model:credit-space/1") == ("model:credit-space/2",)
    assert graph.children("model:credit-space/2") == ("model:credit/1",)
    assert graph.children("model:credit/1") == (f"scored:{chain.scored}",)
    assert graph.parents("model:credit-space/1") == (f"dataset:{chain.table}",)


def test_predictors_of_one_space(embedded, make_chain, make_bundle):
    chain = make_chain(embedded, "credit")
    with embedded.run("train") as run:
        embedded.register_bundle(
            run, make_bundle("predictor", "x"), "predictor", "amount", {}, inputs=["credit-space/2"]
        )
    graph = lineage(embedded, chain.space_v2.uri)
    assert graph.children("model:credit-space/2") == ("model:amount/1", "model:credit/1")


def test_json_round_trip_and_tree(embedded, make_chain):
    chain = make_chain(embedded, "credit")
    graph = lineage(embedded, "credit")
    assert LineageGraph.model_validate_json(graph.model_dump_json()) == graph
    lines = graph.tree().splitlines()
    table = f"dataset credit, 1000 rows, sha256 {chain.table[:12]}"
    assert lines[0] == "predictor credit/1, roc_auc 0.7900, log_loss 0.5000, ece 0.0400"
    shown = [line.strip("│├└─ ") for line in lines[1:]]
    assert sorted(shown[1:-2]) == sorted(
        [
            *[table] * 3,
            f"dataset extra, 900 rows, sha256 {chain.joined[:12]}",
            "space credit-space/1",
            "space credit-space/2",
        ]
    )
    assert shown[0] == "made from"
    assert shown[-2:] == [
        "used for",
        f"scored scored.parquet, 200 rows, sha256 {chain.scored[:12]}",
    ]


def test_deleted_ancestor_is_shown_as_such(embedded, make_chain):
    chain = make_chain(embedded, "credit")
    embedded.client.delete_model_version("credit-space", chain.space_v2.version)
    graph = lineage(embedded, "credit")
    kinds = {node.label: node.kind for node in graph.nodes}
    assert kinds["credit-space/2"] == "deleted"
    assert "deleted credit-space/2" in graph.tree()


def test_unknown_model(embedded):
    with pytest.raises(FeatrixUserError, match="no such model"):
        lineage(embedded, "credit")
