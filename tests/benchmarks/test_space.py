"""The benchmarks of the space: cells that are kept and measured again, fair cuts of the data, honest differences."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from benchmarks import space, space_cells, space_probe, space_report
from benchmarks.space_arms import head_score, without_space
from benchmarks.space_cells import Cell, Settings, read_cells, run_suite
from benchmarks.space_data import Task, label_draws, planted
from benchmarks.space_designs import PiecewiseLinear, one_hot, parsed
from benchmarks.space_operations import TOKENS
from benchmarks.space_probes import knn, linear, mlp, score
from benchmarks.space_replace import replaced
from benchmarks.space_switches import EVERY_PAIR, NO_PAIRS, switches
from benchmarks.space_tables import paired, scores_of
from featrix_core.embedding_space import EmbeddingSpace
from featrix_core.input_data_set import as_table
from featrix_core.space import relationships
from featrix_core.tables.build import typed_columns


def _run(cells: list[Cell], path: Path, *, again: bool = False, deadline: float = math.inf) -> int:
    return run_suite(cells, path, again=again, deadline=deadline, console=Console(quiet=True))


def test_a_run_goes_on_where_it_stopped_and_a_failed_cell_is_not_kept(tmp_path: Path) -> None:
    path, measured = tmp_path / "space_x.json", []

    def cell(name: str) -> Cell:
        def measure() -> dict[str, float]:
            measured.append(name)
            if name == "bad":
                raise ValueError("no")
            return {"score": 1.0}

        return Cell(name, measure)

    assert _run([cell("a"), cell("bad")], path) == 1
    assert set(read_cells(path)) == {"a"}
    assert {"commit", "code", "date", "load", "score"} <= set(read_cells(path)["a"])
    assert _run([cell("a"), cell("b")], path) == 0
    assert measured == ["a", "bad", "b"]
    assert _run([cell("c")], path, deadline=-math.inf) == 0
    assert set(read_cells(path)) == {"a", "b"}


def test_only_own_cells_of_other_code_are_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "space_x.json"
    cells = [
        Cell("own", lambda: {"n": 1}),
        Cell("rival", lambda: {"n": 1}, own=False),
        Cell("fresh", lambda: {"n": 1}),
    ]
    _run(cells, path)
    kept = json.loads(path.read_text(encoding="utf-8"))
    for name in ("own", "rival"):
        kept["cells"][name]["code"] = "older"
    path.write_text(json.dumps(kept), encoding="utf-8")
    changed = [Cell(c.name, lambda: {"n": 2}, own=c.own) for c in cells]
    _run(changed, path, again=True)
    assert {name: c["n"] for name, c in read_cells(path).items()} == {
        "own": 2,
        "rival": 1,
        "fresh": 1,
    }


@pytest.mark.parametrize("name", space.SUITES)
def test_names_of_cells_are_unique_and_begin_with_their_suite(name: str) -> None:
    names = [cell.name for cell in space.suite(name).cells(Settings(Path()))]
    assert len(set(names)) == len(names) > 0
    assert all(own.startswith(f"{name}/") for own in names)


def test_fewer_labels_are_a_part_of_more_and_every_class_is_there() -> None:
    y_N = np.zeros(1_000)
    y_N[:30] = 1.0
    task = Task("rare", pd.DataFrame({"a": np.arange(1_000)}), y_N, True)
    draws = dict(label_draws(task, (50, 200, 2_000), seed=1))
    assert set(draws) == {50, 200}
    assert set(draws[50]) < set(draws[200])
    assert y_N[draws[50]].sum() >= 5
    assert not np.array_equal(draws[50], dict(label_draws(task, (50,), seed=2))[50])


def test_designs_learn_from_the_training_rows_alone() -> None:
    rng = np.random.default_rng(0)
    train = pd.DataFrame({"x": rng.normal(size=300), "k": rng.choice(["a", "b"], 300)})
    test = pd.DataFrame({"x": [100.0, np.nan], "k": ["new", "a"]})
    first, second = one_hot(*parsed(train, test), bins=True)
    assert first.shape[1] == second.shape[1]
    assert np.isfinite(second).all()
    alone, _ = one_hot(*parsed(train, train), bins=True)
    assert np.array_equal(first, alone)
    edges = PiecewiseLinear(np.array([0.0, 1.0, 2.0]))
    assert edges.transform(np.array([1.5, np.nan])).tolist() == [[1.0, 0.5, 0.0], [0.0, 0.0, 0.0]]


@pytest.mark.parametrize("classes", [True, False])
def test_probes_read_what_is_there(classes: bool) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 4))
    y = (x[:, 0] + 0.3 * rng.normal(size=300)) * 50.0 + 7.0
    y = (y > 7.0).astype(float) if classes else y
    pair, noise = (x[:200], x[200:]), (rng.normal(size=(200, 4)), rng.normal(size=(100, 4)))
    for probe in (linear, knn, mlp):
        there = score(y[200:], probe(pair, y[:200], classes), classes)
        assert there > 0.6
        assert there > score(y[200:], probe(noise, y[:200], classes), classes) + 0.2


@pytest.fixture(scope="module")
def untrained() -> EmbeddingSpace:
    return EmbeddingSpace(planted(80).frame)


def test_a_head_without_a_space_gets_nothing_of_it(untrained: EmbeddingSpace) -> None:
    batch = untrained.tokenizer.encode(typed_columns(as_table(planted(80).frame), untrained.schema))
    bare = without_space(untrained)
    row_BM, context_BAD = bare.model.encode_rows(batch)
    assert not row_BM.any()
    assert not context_BAD.any()
    assert context_BAD.shape[:2] == (80, len(untrained.column_names))
    assert untrained.model.encode_rows(batch)[0].any()
    task = planted(80)
    assert math.isfinite(head_score(bare, task, task, 1, fine_tune=False, epochs=2))


def test_switches_change_the_code_and_put_it_back(untrained: EmbeddingSpace) -> None:
    from featrix_core.space import objective

    def pairs() -> int:
        return len(EmbeddingSpace(planted(80).frame).model.pairs_Q2)

    factors_BAK = torch.randn(2, 12, 64, generator=torch.Generator().manual_seed(1))
    drawn_Q2 = torch.tensor([[0, 1], [2, 5], [3, 4]])

    def told() -> torch.Tensor:
        return relationships.summed_products(factors_BAK, drawn_Q2)

    before = (objective.curriculum, relationships.summed_products)
    chosen = pairs()
    with switches()[NO_PAIRS]():
        assert pairs() == 0
    with switches()[EVERY_PAIR]():
        assert pairs() == len(list(itertools.combinations(untrained.column_names, 2)))
    assert pairs() == chosen
    plain = told()
    with switches()["ratio in place of the product"]():
        assert told().shape == plain.shape
        assert not torch.allclose(told(), plain)
    with switches()["flat curriculum"]():
        assert objective.curriculum(0.0) == objective.curriculum(0.9)
    assert objective.curriculum(0.0) != objective.curriculum(0.9)
    assert before == (objective.curriculum, relationships.summed_products)


def test_the_operations_are_the_plain_formulas() -> None:
    generator = torch.Generator().manual_seed(3)
    factors_BAK = torch.randn(5, 4, 16, generator=generator)
    factors_BAK[0, 1, :3] = torch.tensor([0.0, 1e-9, -1e-9])
    a, b = factors_BAK[:, 0].double(), factors_BAK[:, 1].double()

    def divided(top: torch.Tensor, bottom: torch.Tensor) -> torch.Tensor:
        safe = torch.where(bottom < 0, -1.0, 1.0) * (bottom.abs() + 0.1)
        return (top / safe).clamp(-8, 8)

    def cosines(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return ((a * b).sum(1) / a.norm(dim=1) / b.norm(dim=1)).unsqueeze(1).expand_as(a)

    plain = {
        "sum": a + b,
        "absolute difference": (a - b).abs(),
        "cosine": torch.cat([cosines(a[:, :8], b[:, :8]), cosines(a[:, 8:], b[:, 8:])], dim=1),
        "difference": a - b,
        "reverse difference": b - a,
        "ratio": divided(a, b),
        "reverse ratio": divided(b, a),
    }
    for name, expected in plain.items():
        with switches()[f"{name} in place of the product"]():
            found = relationships.summed_products(factors_BAK, torch.tensor([[0, 1]]))
        torch.testing.assert_close(found.double(), expected, rtol=2e-4, atol=1e-5)


def test_tokens_are_read_in_place_of_products() -> None:
    frame = planted(80).frame
    with switches()[TOKENS]():
        space = EmbeddingSpace(frame)
        batch = space.tokenizer.encode(typed_columns(as_table(frame), space.schema))
        rows_NM = space.model.row_embeddings(batch)
        none_NM = space.model.rows_of(space.model.encoders(batch), None, torch.zeros(0, 2).long())
    assert torch.isfinite(rows_NM).all()
    assert not torch.allclose(rows_NM, none_NM)


def test_every_switch_finds_what_it_replaces() -> None:
    for change in switches().values():
        with change():
            pass
    with (
        pytest.raises(AttributeError),
        replaced("featrix_core.space.objective", "no_such_name", 1),
    ):
        pass


def test_differences_are_paired_by_repetition() -> None:
    cells = {
        f"probe/german_credit/{arm}/{fold}": {"scores": {"linear": value}}
        for arm, values in (("a", (0.8, 0.7, 0.9)), ("b", (0.7, 0.6)))
        for fold, value in enumerate(values)
    }
    scores = scores_of(cells)
    gain = paired(scores["german_credit", "a", "linear"], scores["german_credit", "b", "linear"])
    assert gain is not None
    assert (gain.count, round(gain.mean, 6)) == (2, 0.1)
    assert paired(scores["german_credit", "a", "linear"], {}) is None


def test_the_report_says_how_much_is_there() -> None:
    cells = {
        f"probe/german_credit/{method}/{fold}": {
            "scores": {"linear": value, "knn": value, "mlp": value},
            "measure": "AUC",
            **dict.fromkeys(("commit", "code"), "abc"),
            "date": "2026-01-01",
            "load": 1.0,
        }
        for method, value in (("space", 0.8), ("one-hot + PLE", 0.75))
        for fold in range(2)
    }
    machine = {"processor": "some", "cores": 2, "date": "2026-01-01"}
    text = space_report.block({"probe": {"machine": machine, "cells": cells}})
    assert "| space | linear | 0.800 | +0.0500; 1 of 1 |" in text
    every = len(space_probe.cells(Settings(Path())))
    assert f"4 of {every} cells" in text
    assert "abc 4" in text


def test_the_readme_has_a_place_for_the_report() -> None:
    text = space_report.README.read_text(encoding="utf-8")
    assert space_report.filled(text, "table").count("table") >= 1


def test_results_of_quick_cells_are_kept_apart() -> None:
    quick, kept = (space_cells.result_file("probe", quick=quick) for quick in (True, False))
    assert quick.parent != kept.parent
    assert kept.parent == space_cells.RESULTS
