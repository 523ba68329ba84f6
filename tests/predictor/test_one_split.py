"""Tables with one split instead of a bag: trees and linear model are fitted again on all rows (PRED-7)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from featrix_core import EmbeddingSpace, SinglePredictor
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.predictor import plan as plan_module
from featrix_core.predictor.boosted import Boosted, Sample, fit_boosted, regrow_boosted
from featrix_core.predictor.design import Design
from featrix_core.predictor.ensemble import loss_of
from featrix_core.predictor.labelled import LabelledRows, rows_of_others
from featrix_core.predictor.leafwise import fit_leafwise, regrow_leafwise
from featrix_core.predictor.peers import Drawn, draw, fair_shares, fit_peers
from featrix_core.predictor.standing import BOOSTED

SEED = 5
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
Names = tuple[tuple[str, ...], ...]


@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize(
    ("fit", "regrow"), [(fit_boosted, regrow_boosted), (fit_leafwise, regrow_leafwise)]
)
def test_trees_grow_again_on_all_rows(
    fit: Any, regrow: Any, outputs: int, design: Design, batch: TokenBatch, folds: list[Fold]
) -> None:
    read = design.features(batch)
    number = np.nan_to_num(read.numbers_NF[:, 0])
    number = (number - number.mean()) / number.std()
    noise = np.random.default_rng(SEED).normal(size=len(number))
    target: NDArray[Any] = (number + 0.5 * noise).astype(np.float32)
    if outputs > 1:
        target = np.digitize(target, np.quantile(target, np.arange(1, outputs) / outputs))
    train, held = folds[0]
    sample = Sample(read, target, outputs)
    first = fit(sample, train, held, SEED)
    more = [
        regrow(first, sample, np.arange(batch.n_rows), SEED + 1, longer)
        for longer in (1.0, 1.0, 1.5)
    ]
    assert more[0].stored == more[1].stored != first.stored
    counts = [_tree_count(each.models[0]) / _tree_count(first.models[0]) for each in more]
    assert counts[:2] == [1.0, 1.0] and counts[2] == pytest.approx(1.5, abs=0.1)
    # They learned from the rows that the first ones were held back from.
    losses = [loss_of(each.answer(read.rows(held)), target[held]) for each in (first, more[0])]
    assert losses[1] < losses[0]


@given(st.lists(st.integers(0, 5_000), min_size=2, max_size=20), st.integers(20, 5_000))
def test_rare_classes_are_drawn_whole(counts: list[int], most: int) -> None:
    counts_O = np.array(counts)
    shares_O = fair_shares(counts_O, most)
    assert (shares_O <= counts_O).all() and shares_O.sum() <= most
    assert (shares_O == counts_O)[counts_O <= most // len(counts)].all()
    assert shares_O.sum() > min(most, counts_O.sum()) - len(counts)


@given(st.booleans(), st.integers(0, 3))
def test_drawn_rows_stand_for_those_that_are_not(weighted: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.choice(3, 2_000, p=[0.95, 0.045, 0.005])
    weights = rng.random(2_000) if weighted else None
    rows = np.flatnonzero(rng.random(2_000) < 0.8)
    kept = draw(rng, rows, 300, target, 3, weights)
    assert len(kept.rows) == 300 and set(kept.rows) <= set(rows) and kept.weights is not None
    for label in range(3):
        of, among = rows[target[rows] == label], kept.weights[target[kept.rows] == label]
        whole = float(len(of)) if weights is None else weights[of].sum()
        assert among.sum() == pytest.approx(whole, rel=0.15 if weighted else 1e-9)
    assert (target[kept.rows] == 2).sum() == (target[rows] == 2).sum()
    # Rows that are not drawn, such as those of a validation part, weigh what they did.
    others = np.setdiff1d(np.arange(2_000), kept.rows)
    assert kept.weights_N is not None
    assert (kept.weights_N[others] == (1.0 if weights is None else weights[others])).all()


def test_numbers_are_drawn_evenly() -> None:
    rng, rows = np.random.default_rng(SEED), np.arange(1_000)
    kept = draw(rng, rows, 100, rng.normal(size=1_000), 1)
    assert len(np.unique(kept.rows)) == 100 and kept.weights is None
    assert draw(rng, rows, 1_000, rows % 2, 2) == Drawn(rows, None)


def _tree_count(model: Any) -> int:
    return int(model.tree_count_ if hasattr(model, "tree_count_") else model.num_trees())


@pytest.mark.parametrize("folds_there", [1, 2])
def test_a_single_fold_is_no_reason_to_waste_its_validation_rows(
    folds_there: int,
    design: Design,
    batch: TokenBatch,
    labels: NDArray[np.int64],
    folds: list[Fold],
    names: Names,
) -> None:
    asked = folds[:folds_there]
    peers = fit_peers(design, names, batch, labels, 2, asked, SEED, rounds=20)
    assert peers.linear is not None
    models = [len(peers.linear.bias_KO), *(len(each.stored) for each in peers.trees.values())]
    assert models == ([2, 3, 3] if folds_there == 1 else [2, 2, 2, 2])
    assert {len(said) for said in peers.answers.values()} == {sum(len(held) for _, held in asked)}
    # What chooses and calibrates comes from the trees that never saw the rows.
    held = folds[0][1]
    read = peers.design.shown.of(design.features(batch)).rows(held)
    alone = Boosted(peers.trees[BOOSTED].stored[:1], 2).answer(read)
    assert (peers.answers[BOOSTED][: len(held)] == alone).all()


@pytest.mark.filterwarnings("ignore:The space does not know")
def test_all_that_was_fitted_is_stored(
    few_space: EmbeddingSpace,
    few: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan_module, "SMALL", 0)
    monkeypatch.setattr(plan_module, "FEW_OF_OTHERS", 0)
    # Neither of the two says anything alone, so trees have a share.
    long, large = few["duration"] > 18, few["credit_amount"] > few["credit_amount"].median()
    few = few.assign(**{"class": np.where(long ^ large, "one", "both")})
    predictor = SinglePredictor(few_space, seed=SEED)
    predictor.prep_for_training(few, "class", "set").train(2)
    assert predictor.ensemble is not None and len(predictor.ensemble.nets) == 1
    trees = {name: len(each.stored) for name, each in predictor.ensemble.trees.items()}
    assert trees and set(trees.values()) == {3}
    predictor.save(tmp_path / "one")
    again = SinglePredictor.load(tmp_path / "one")
    assert (again.predict_proba(few) == predictor.predict_proba(few)).all()


def test_rare_rows_make_a_bag_where_it_can_share_them() -> None:
    label = np.repeat([0.0, 1.0], [90, 10])
    rows = LabelledRows(torch.zeros(0), torch.zeros(0), label)  # type: ignore[arg-type]
    assert rows_of_others(rows, 5) == 10

    def given_as(**others: Any) -> int | None:
        return rows_of_others(LabelledRows(rows.batch, rows.target_N, label, **others), 5)

    assert given_as(times_N=np.arange(100.0)) is None
    assert given_as(groups_N=np.arange(100) // 5) is None  # two groups have them all
    assert given_as(groups_N=np.arange(100) // 2) == 10
