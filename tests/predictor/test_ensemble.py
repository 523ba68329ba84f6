"""Trees and a linear model beside the nets: read from the same tensors, trained on the same folds (PRED-7)."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from catboost import CatBoost
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from featrix_core import EmbeddingSpace, SinglePredictor
from featrix_core.encoders.tokens import TokenBatch
from featrix_core.input_data_set import as_table
from featrix_core.predictor.boosted import Boosted, Sample, fit_boosted
from featrix_core.predictor.design import Design, Features
from featrix_core.predictor.ensemble import (
    Ensemble,
    blend,
    crossfitted_loss,
    greedy_weights,
    loss_of,
)
from featrix_core.predictor.ensemble_bundle import read_peers, write_peers
from featrix_core.predictor.leafwise import RANDOM_SPLITS, Leafwise, fit_leafwise
from featrix_core.predictor.linear import fit_linear
from featrix_core.predictor.peers import fit_peers
from featrix_core.predictor.standing import BOOSTED, LEAFWISE, LINEAR, NETS, RANDOMISED, standing
from featrix_core.tables.build import typed_columns

SEED = 5
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]
Names = tuple[tuple[str, ...], ...]


def _tokens(space: EmbeddingSpace, frame: pd.DataFrame) -> TokenBatch:
    batch: TokenBatch = space.tokenizer.encode(typed_columns(as_table(frame), space.schema))
    return batch


def test_missing_and_unseen_cells_stand_for_themselves(
    few_space: EmbeddingSpace, few: pd.DataFrame, design: Design
) -> None:
    changed = few.head(4).astype(object)
    changed.loc[0, "checking_status"] = None
    changed.loc[1, "checking_status"] = "never heard of"
    changed.loc[2, "duration"] = None
    read = design.features(_tokens(few_space, changed))
    tokenizer = few_space.tokenizer
    column = tokenizer.groups[1].index("checking_status")
    assert read.codes_NK[:2, column].tolist() == [0, 1]
    assert (read.codes_NK[2:, column] >= 2).all()
    number = tokenizer.groups[0].index("duration")
    assert np.isnan(read.numbers_NF[:, number]).tolist() == [False, False, True, False]
    assert np.isfinite(design.linear(_tokens(few_space, changed), read)).all()


def test_numbers_keep_their_order(
    few_space: EmbeddingSpace, few: pd.DataFrame, batch: TokenBatch, design: Design
) -> None:
    number = few_space.tokenizer.groups[0].index("credit_amount")
    read = design.features(batch).numbers_NF[:, number]
    assert (
        np.argsort(read, kind="stable") == np.argsort(few["credit_amount"], kind="stable")
    ).all()


def test_dates_texts_and_levels_become_numbers() -> None:
    count = 120
    frame = pd.DataFrame(
        {
            "when": pd.date_range("2024-01-01", periods=count, freq="7h"),
            "size": np.array(["small", "medium", "large"])[np.arange(count) % 3],
            "note": [
                f"customer asked about order {k} and its {'price' if k % 2 else 'delivery'}"
                for k in range(count)
            ],
            "rating": np.arange(count) % 5,
        }
    )
    space = EmbeddingSpace(frame, n_epochs=1)
    batch = _tokens(space, frame)
    design = Design.fit(space.tokenizer, batch)
    read = design.features(batch)
    assert np.isfinite(read.numbers_NF).all()
    assert (np.ptp(read.numbers_NF, axis=0) > 0).sum() >= 10
    again = Design.from_state(space.tokenizer, design.state()).features(batch)
    assert (again.numbers_NF == read.numbers_NF).all() and (again.codes_NK == read.codes_NK).all()
    part = design.features(batch.rows(slice(10, 20)))
    assert np.allclose(part.numbers_NF, read.numbers_NF[10:20], atol=1e-5)


random_splits = partial(fit_leafwise, **RANDOM_SPLITS)
KINDS = [(fit_boosted, Boosted), (fit_leafwise, Leafwise), (random_splits, Leafwise)]


@pytest.mark.parametrize(("fit", "kind"), KINDS)
def test_trees_are_the_same_bytes_twice(
    fit: Any,
    kind: Any,
    design: Design,
    batch: TokenBatch,
    labels: NDArray[np.int64],
    folds: list[Fold],
) -> None:
    read = design.features(batch)
    trees, again = (fit(Sample(read, labels, 2), *folds[0], SEED) for _ in range(2))
    assert trees.stored == again.stored
    assert (kind(trees.stored, 2).answer(read) == trees.answer(read)).all()
    assert trees.answer(read.rows(slice(0, 0))).shape == (0, 2)
    held = folds[0][1]
    said = trees.answer(read.rows(held))
    assert np.allclose(np.exp(said).sum(axis=1), 1.0, atol=1e-4)
    assert loss_of(said, labels[held]) < loss_of(np.log(np.full_like(said, 0.5)), labels[held])


def test_leafwise_trees_of_numbers(design: Design, batch: TokenBatch, folds: list[Fold]) -> None:
    read = design.features(batch)
    target = np.nan_to_num(read.numbers_NF[:, 0])
    target = ((target - target.mean()) / target.std()).astype(np.float32)
    train, held = folds[0]
    said = fit_leafwise(Sample(read, target, 1), train, held, SEED).answer(read.rows(held))
    assert said.shape == (len(held), 1) and loss_of(said, target[held]) < 0.5 * target[held].var()


@pytest.mark.parametrize("classes", [2, 3])
def test_categories_are_combined_by_trees_alone(classes: int, tmp_path: Path) -> None:
    random = np.random.default_rng(SEED)
    codes = np.stack([random.integers(2, 8, 600), random.integers(2, 32, 600)], axis=1)
    read = Features(np.zeros((600, 0), np.float32), codes)
    target = np.where(codes[:, 0] % 2 == codes[:, 1] % 2, 1, 0) + (codes[:, 0] > 6) * (classes - 2)
    train, held = np.arange(400), np.arange(400, 600)
    trees = fit_boosted(Sample(read, target, classes), train, held, SEED)
    CatBoost().load_model(blob=trees.stored[0]).save_model(str(tmp_path / "trees"), format="json")
    counted = json.loads((tmp_path / "trees").read_text())["features_info"]["ctrs"]
    assert counted and all(len(each["elements"]) == 1 for each in counted)
    said = trees.answer(read.rows(held))
    assert loss_of(said, target[held]) < 0.9 * np.log(classes)


def test_a_class_that_no_training_row_has(design: Design, batch: TokenBatch) -> None:
    target = np.arange(batch.n_rows) % 3
    train, held = np.flatnonzero(target < 2), np.flatnonzero(target == 2)
    features = design.features(batch)
    read, sample = design.linear(batch, features), Sample(features, target, 3)
    for said in (
        fit_boosted(sample, train, held, SEED).answer(features),
        fit_leafwise(sample, train, held, SEED).answer(features),
        fit_linear(read[train], target[train], 3, 0.1).answer(read),
    ):
        assert said.shape == (batch.n_rows, 3) and np.isfinite(said).all()
        assert np.allclose(np.exp(said).sum(axis=1), 1.0, atol=1e-4)
        assert np.exp(said[:, 2]).max() < 0.05


def test_the_linear_model_is_the_library_s(
    design: Design, batch: TokenBatch, labels: NDArray[np.int64], folds: list[Fold]
) -> None:
    read, (train, _) = design.linear(batch, design.features(batch)), folds[0]
    known = LogisticRegression(C=0.1, max_iter=300).fit(read[train], labels[train])
    said = np.exp(fit_linear(read[train], labels[train], 2, 0.1).answer(read))
    assert np.allclose(said, known.predict_proba(read), atol=1e-5)


def test_answers_for_the_folds_are_of_models_that_did_not_see_them(
    design: Design, names: Names, batch: TokenBatch, folds: list[Fold]
) -> None:
    noise = np.random.default_rng(0).integers(0, 2, batch.n_rows)
    held = np.concatenate([validation for _, validation in folds])
    peers = fit_peers(design, names, batch, noise, 2, folds, SEED)
    for said in peers.answers.values():
        assert loss_of(said, noise[held]) > np.log(2) - 0.05
    read = design.linear(batch, design.features(batch))
    assert loss_of(fit_linear(read, noise, 2, 1.0).answer(read), noise) < np.log(2) - 0.1


def test_a_fold_of_one_label_leaves_the_others_out(
    design: Design, names: Names, batch: TokenBatch
) -> None:
    """Positives that come late, folds in the order of time: the nets go on alone."""
    late = (np.arange(batch.n_rows) > 120).astype(np.int64)
    early = [(np.arange(60), np.arange(60, 130)), (np.arange(130), np.arange(130, 200))]
    for target in (late, late.astype(np.float32)):
        peers = fit_peers(design, names, batch, target, 2 if target is late else 1, early, SEED)
        assert peers.answers == {} and set(peers.left_out) == {
            BOOSTED,
            LEAFWISE,
            RANDOMISED,
            LINEAR,
        }
    many = np.arange(batch.n_rows) % 30
    peers = fit_peers(design, names, batch, many, 30, early, SEED)
    assert set(peers.answers) == {LINEAR} and "20 classes" in peers.left_out[BOOSTED]


def test_columns_that_do_not_vary_leave_the_trees_out(
    few_space: EmbeddingSpace, few: pd.DataFrame, labels: NDArray[np.int64], folds: list[Fold]
) -> None:
    same = _tokens(few_space, pd.concat([few.head(1)] * len(few), ignore_index=True))
    design = Design.fit(few_space.tokenizer, same)
    peers = fit_peers(design, few_space.tokenizer.groups, same, labels, 2, folds, SEED)
    assert "constant" in peers.left_out[BOOSTED] and set(peers.answers) == {
        LEAFWISE,
        RANDOMISED,
        LINEAR,
    }
    for name in (LEAFWISE, RANDOMISED):
        assert (np.ptp(peers.answers[name][: len(folds[0][1])], axis=0) < 1e-6).all()


@pytest.mark.parametrize(("fit", "kind"), KINDS)
def test_the_bytes_of_trees_do_not_depend_on_threads(
    fit: Any,
    kind: Any,
    design: Design,
    batch: TokenBatch,
    labels: NDArray[np.int64],
    folds: list[Fold],
) -> None:
    stored, threads = [], torch.get_num_threads()
    for count in (1, 2):
        torch.set_num_threads(count)
        stored += fit(Sample(design.features(batch), labels, 2), *folds[0], SEED).stored
    torch.set_num_threads(threads)
    assert stored[0] == stored[1] and kind(stored, 2).outputs == 2


def test_blends_are_means_of_probabilities() -> None:
    one = np.log(np.array([[0.2, 0.8], [0.5, 0.5]], np.float32))
    two = np.log(np.array([[0.6, 0.4], [0.1, 0.9]], np.float32))
    said = blend({"a": one, "b": two}, {"a": 0.75, "b": 0.25}, True)
    assert np.allclose(np.exp(said), [[0.3, 0.7], [0.4, 0.6]], atol=1e-6)
    numbers = blend(
        {"a": np.ones((3, 1), np.float32), "b": np.zeros((3, 1), np.float32)},
        {"a": 0.75, "b": 0.25},
        False,
    )
    assert np.allclose(numbers, 0.75)


def test_weights_follow_what_helps() -> None:
    rng = np.random.default_rng(1)
    truth = rng.normal(size=2_000)
    answers = {
        NETS: (truth + rng.normal(size=2_000))[:, None].astype(np.float32),
        BOOSTED: (truth + rng.normal(size=2_000))[:, None].astype(np.float32),
        LINEAR: rng.normal(size=(2_000, 1)).astype(np.float32),
    }
    shares = greedy_weights(answers, truth)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert abs(shares[NETS] - shares[BOOSTED]) < 0.15 and shares[LINEAR] < 0.25
    alone = {name: loss_of(said, truth) for name, said in answers.items()}
    assert loss_of(blend(answers, shares, False), truth) < min(alone.values())
    # Rows that count for nothing have no say.
    only = np.zeros(2_000)
    only[:50] = 1.0
    answers[LINEAR][:50, 0] = truth[:50]
    assert greedy_weights(answers, truth, only)[LINEAR] > 0.9


def test_the_blend_is_judged_on_rows_that_had_no_say_in_its_shares() -> None:
    """Thirty models of equal worth, sixty rows: the best shares on these are chance."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 40_060)
    names = [NETS, *(f"peer {k}" for k in range(30))]
    answers = {}
    for name in names:
        margin = (2 * labels - 1) * 0.3 + rng.normal(size=len(labels))
        chance = 1 / (1 + np.exp(-margin))
        answers[name] = np.log(np.stack([1 - chance, chance], axis=1)).astype(np.float32)
    few = {name: said[:60] for name, said in answers.items()}
    new = {name: said[60:] for name, said in answers.items()}
    shares = greedy_weights(few, labels[:60])
    flattering = loss_of(blend(few, shares, True), labels[:60])
    true = loss_of(blend(new, shares, True), labels[60:])
    told = crossfitted_loss(few, labels[:60], seed=SEED)
    assert flattering < told and abs(told - true) < abs(flattering - true)
    assert told == crossfitted_loss(few, labels[:60], np.ones(60), seed=SEED)


def test_a_cross_fitted_loss_keeps_groups_together() -> None:
    """Two models, each right in one group and wrong in the other: shares from one group fail the other."""
    groups = np.repeat(np.arange(2), 60)
    truth = np.random.default_rng(3).normal(size=120)
    answers = {
        NETS: np.zeros((120, 1), np.float32),
        BOOSTED: np.where(groups == 0, truth, -truth)[:, None].astype(np.float32),
        LINEAR: np.where(groups == 1, truth, -truth)[:, None].astype(np.float32),
    }
    alone = loss_of(answers[NETS], truth)
    assert crossfitted_loss(answers, truth, None, groups, SEED) > 3 * alone
    assert crossfitted_loss(answers, truth, seed=SEED) < 1.5 * alone
    # One group leaves no rows to fit shares on.
    assert crossfitted_loss(answers, truth, None, groups * 0, SEED) == alone


@pytest.fixture(scope="module")
def blended(few_space: EmbeddingSpace, few: pd.DataFrame) -> SinglePredictor:
    predictor = SinglePredictor(few_space, seed=SEED)
    return predictor.prep_for_training(few, "class", "set").train(2)


def test_all_kinds_are_read_again(
    design: Design,
    names: Names,
    batch: TokenBatch,
    labels: NDArray[np.int64],
    folds: list[Fold],
    few_space: EmbeddingSpace,
    tmp_path: Path,
) -> None:
    peers = fit_peers(design, names, batch, labels, 2, folds, SEED, rounds=20)
    assert set(peers.trees) == {BOOSTED, LEAFWISE, RANDOMISED}
    shares = {NETS: 0.0, BOOSTED: 0.25, LEAFWISE: 0.25, RANDOMISED: 0.25, LINEAR: 0.25}
    nets = Ensemble([], True, shares)
    whole = replace(nets, design=peers.design, trees=peers.trees, linear=peers.linear)
    write_peers(whole, tmp_path)
    again = read_peers(nets, tmp_path, few_space.tokenizer, 2)
    said, kept = whole._peers(batch), again._peers(batch)
    assert set(said) == set(shares) - {NETS}
    assert all((kept[name] == said[name]).all() for name in said)


@pytest.mark.filterwarnings("ignore:The space does not know")
def test_a_predictor_is_a_blend_and_says_so(
    blended: SinglePredictor, few: pd.DataFrame, tmp_path: Path
) -> None:
    selector = blended.training_info["selector"]
    assert set(selector["losses"]) == {
        *("nets", "boosted", "leafwise", "randomised", "linear", "ensemble"),
    }
    held = blended.held_out
    assert held is not None
    # The blend's own figure is not that of the rows that its shares were chosen on.
    flattering = loss_of(held["answer"], held["labels"].astype(np.int64))
    assert flattering < selector["losses"]["ensemble"] < np.log(2)
    assert "Out of fold" in standing(selector) and "nets" in standing(selector)
    blended.save(tmp_path / "one")
    again = SinglePredictor.load(tmp_path / "one")
    assert (again.predict_proba(few) == blended.predict_proba(few)).all()
    explained = again.predict(few.head(3))
    for row in explained:
        assert set(row["feature_importance"]) == set(few.columns) - {"class"}


@pytest.mark.filterwarnings("ignore:The space does not know")
def test_the_nets_alone_are_those_of_a_predictor_without_the_others(
    blended: SinglePredictor, few_space: EmbeddingSpace, few: pd.DataFrame
) -> None:
    alone = SinglePredictor(few_space, seed=SEED, ensemble=False)
    alone.prep_for_training(few, "class", "set").train(2)
    assert alone.ensemble is not None and alone.ensemble.design is None
    assert alone.training_info["selector"]["shares"] == {"nets": 1.0}
    assert (blended.nets_only().predict_proba(few) == alone.predict_proba(few)).all()
    assert (blended.predict_proba(few) != alone.predict_proba(few)).any()


def test_no_rows_have_no_answers(blended: SinglePredictor, batch: TokenBatch) -> None:
    assert isinstance(blended.ensemble, Ensemble)
    said, spread = blended.ensemble.answer(batch.rows(slice(0, 0)))
    assert said.shape == (0, 2) and spread.shape == (0,)
    torch.testing.assert_close(torch.from_numpy(said), torch.zeros(0, 2))
