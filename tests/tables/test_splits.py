"""Splits and drift with the figures of the source (DATA-7)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featrix_core.tables.splits import (
    fold_coverage,
    group_split,
    keyed_split,
    kfold,
    random_keys,
    random_split,
    stratified_split,
    time_split,
)


def test_the_churn_example() -> None:
    labels = np.array(["active"] * 9700 + ["churned"] * 300)
    split = stratified_split(labels)
    assert np.unique(labels[split.train_rows], return_counts=True)[1].tolist() == [7760, 240]
    assert np.unique(labels[split.validation_rows], return_counts=True)[1].tolist() == [1940, 60]
    assert (split.coverage, split.rare_classes, split.notices) == (1.0, (), ())


def test_the_coverage_example() -> None:
    """1,000 rows, 144 of them in 23 categories that are too small."""
    sizes = [428, 428] + [7] * 6 + [6] * 17
    labels = np.repeat(np.arange(25), sizes)
    split = stratified_split(labels, min_samples=8)
    assert split.coverage == pytest.approx(0.856)
    assert len(split.rare_classes) == 23
    message = split.notices[0].message
    assert message.startswith(
        "85.6% of the samples can be validated; 144 samples of 23 rare categories"
    )
    assert (split.notices[0].figure, split.notices[0].code) == (split.coverage, "rare_classes")
    assert "used for training" in split.notices[0].action
    assert not np.isin(labels[split.validation_rows], np.arange(2, 25)).any()


@settings(deadline=None)
@given(
    st.lists(st.sampled_from("aaaabbbcd"), min_size=1, max_size=60),
    st.floats(0.05, 0.95),
    st.integers(0, 5),
)
def test_every_row_is_on_one_side_and_every_class_in_training(
    labels: list[str], fraction: float, seed: int
) -> None:
    array = np.array(labels)
    split = stratified_split(array, fraction, seed)
    both = np.concatenate([split.train_rows, split.validation_rows])
    assert sorted(both.tolist()) == list(range(len(array)))
    assert set(array[split.train_rows]) == set(labels)
    again = stratified_split(array, fraction, seed)
    np.testing.assert_array_equal(split.validation_rows, again.validation_rows)


def test_tiny_tables_are_split_all_the_same() -> None:
    split = stratified_split(np.array(["a", "b", "a", "b", "a"]))
    assert len(split.validation_rows) == 2
    assert [notice.code for notice in split.notices] == ["few_rows_per_class"]


def test_random_split() -> None:
    split = random_split(1000, 0.25, seed=1)
    assert (len(split.train_rows), len(split.validation_rows)) == (750, 250)
    assert not set(split.train_rows) & set(split.validation_rows)
    assert len(random_split(2, 0.2).validation_rows) == 1
    assert len(random_split(1, 0.2).validation_rows) == 0
    assert not np.array_equal(split.validation_rows, random_split(1000, 0.25, 2).validation_rows)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0])
def test_fractions(fraction: float) -> None:
    with pytest.raises(ValueError, match="fraction"):
        random_split(10, fraction)


def test_kfold() -> None:
    labels = np.array([0] * 70 + [1] * 30)
    folds = kfold(labels, 5, seed=42)
    assert sorted(np.concatenate([held for _, held in folds]).tolist()) == list(range(100))
    assert all(labels[held].sum() == 6 for _, held in folds)
    plain = kfold(None, 4, seed=42, n_rows=10)
    assert sorted(np.concatenate([held for _, held in plain]).tolist()) == list(range(10))


def test_single_rows_train() -> None:
    labels = np.array(["a"] * 50 + ["b"] + ["c"] * 4)
    split = stratified_split(labels)
    assert set(split.rare_classes) == {"b", "c"}
    assert set(labels[split.validation_rows]) == {"a"}
    assert len(split.validation_rows) == 10


def test_rows_of_one_key_stay_together() -> None:
    keys = np.repeat(np.arange(500, dtype=np.uint64), 2)[::-1].copy()
    labels = np.zeros(1000, np.int64)
    for split in (stratified_split(labels, keys_N=keys), keyed_split(keys)):
        assert len(split.validation_rows) == 200
        assert not np.isin(keys[split.validation_rows], keys[split.train_rows]).any()


def test_a_common_case_is_on_both_sides() -> None:
    """600 of 1,000 rows are the same: held out together, they would be three times the share."""
    keys = random_keys(1000, 1)
    keys[:600] = 7
    split = keyed_split(keys)
    assert len(split.validation_rows) == 200
    assert 80 < (split.validation_rows < 600).sum() < 160
    spread = keyed_split(np.repeat(np.arange(50, dtype=np.uint64), 20), spread=True)
    assert len(spread.validation_rows) == 200
    assert len(set(spread.validation_rows // 20)) > 40


def test_two_equal_rows_are_split_all_the_same() -> None:
    assert len(keyed_split(np.zeros(2, np.uint64)).validation_rows) == 1


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from("aab")), min_size=2, max_size=80),
    st.floats(0.05, 0.95),
)
def test_no_group_is_on_both_sides(rows: list[tuple[int, str]], fraction: float) -> None:
    groups = np.array([group for group, _ in rows])
    labels = np.array([label for _, label in rows])
    if len(set(groups)) < 2:
        with pytest.raises(ValueError, match="two groups"):
            group_split(groups, random_keys(9, 1), fraction, labels)
        return
    split = group_split(groups, random_keys(9, 1), fraction, labels)
    assert not set(groups[split.train_rows]) & set(groups[split.validation_rows])
    both = np.concatenate([split.train_rows, split.validation_rows])
    assert sorted(both.tolist()) == list(range(len(rows)))
    assert len(split.train_rows) and len(split.validation_rows)


def test_groups_are_stratified() -> None:
    """2,000 customers of 1 to 9 rows; one in twenty churns."""
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(2000), rng.integers(1, 10, 2000))
    labels = (groups % 20 == 0).astype(np.int64)
    split = group_split(groups, random_keys(2000, 4), 0.2, labels)
    assert len(split.validation_rows) / len(groups) == pytest.approx(0.2, abs=0.002)
    assert labels[split.validation_rows].mean() == pytest.approx(labels.mean(), abs=0.002)


def test_one_large_group_trains() -> None:
    groups = np.array([0] * 600 + [*range(1, 401)])
    for seed in range(5):
        split = group_split(groups, random_keys(401, seed), 0.2)
        assert len(split.validation_rows) == 200
        assert 0 not in groups[split.validation_rows]


def test_groups_of_rare_classes_train() -> None:
    groups = np.repeat(np.arange(40), 5)
    labels = np.zeros(200, np.int64)
    labels[[3, 77, 150]] = 1
    split = group_split(groups, random_keys(40, 0), 0.2, labels)
    assert set(np.flatnonzero(labels)) <= set(split.train_rows)
    assert split.rare_classes == ("1",)
    assert split.coverage == pytest.approx(197 / 200)
    assert len(split.validation_rows) == pytest.approx(40, abs=5)


def test_the_latest_rows_validate() -> None:
    times = np.random.default_rng(0).permutation(100).astype(float)
    split = time_split(times, 0.2)
    assert times[split.validation_rows].min() == 80.0
    assert times[split.train_rows].max() == 79.0


def test_one_moment_is_on_one_side_and_no_time_trains() -> None:
    times = np.repeat([1.0, 2.0, 3.0, np.nan], [40, 30, 20, 10])
    split = time_split(times, 0.2)
    assert set(times[split.validation_rows]) == {3.0}
    assert len(split.train_rows) == 80
    with pytest.raises(ValueError, match="two moments"):
        time_split(np.array([1.0, 1.0, np.nan]), 0.2)


def test_classes_of_one_time_only_are_named() -> None:
    times = np.arange(100.0)
    labels = np.array(["old"] * 30 + ["mid"] * 60 + ["new"] * 10)
    split = time_split(times, 0.2, labels)
    assert split.rare_classes == ("old",)
    assert split.coverage == pytest.approx(0.7)
    found = {notice.code: notice for notice in split.notices}
    assert "new" in found["untrained_classes"].message
    assert "70.0% of the samples" in found["rare_classes"].message


def test_groups_by_time() -> None:
    groups = np.repeat(np.arange(50), 4)
    times = groups * 3.0 + np.tile([0.0, 5.0, 2.0, np.nan], 50)
    split = time_split(times, 0.2, None, groups)
    assert set(groups[split.validation_rows]) == set(range(40, 50))
    assert len(split.validation_rows) == 40


def test_folds_by_group() -> None:
    groups = np.repeat(np.arange(30), 4)
    labels = (groups % 3 == 0).astype(np.int64)
    for classes in (labels, None):
        folds = kfold(classes, 5, 1, n_rows=120, groups_N=groups)
        assert sorted(np.concatenate([held for _, held in folds]).tolist()) == list(range(120))
        for train, held in folds:
            assert not set(groups[train]) & set(groups[held])
            assert classes is None or labels[held].mean() == pytest.approx(1 / 3, abs=0.01)
    with pytest.raises(ValueError, match="as many groups"):
        kfold(labels, 5, groups_N=groups % 3)


@given(
    times=st.lists(
        st.one_of(st.none(), st.integers(0, 8), st.floats(-1e9, 1e9)), min_size=2, max_size=60
    ),
    n_splits=st.integers(2, 5),
)
def test_folds_by_time_never_cut_through_a_moment(times: list[float | None], n_splits: int) -> None:
    numbers = np.array([np.nan if t is None else float(t) for t in times])
    moments = np.where(np.isnan(numbers), -np.inf, numbers)
    if len(np.unique(moments)) <= n_splits:
        with pytest.raises(ValueError, match="moments"):
            kfold(None, n_splits, n_rows=len(times), times_N=numbers)
        return
    folds = kfold(None, n_splits, n_rows=len(times), times_N=numbers)
    assert len(folds) == n_splits
    for train, held in folds:
        assert len(train) and len(held)
        assert moments[train].max() < moments[held].min()
    first, last = folds[0], folds[-1]
    assert sorted([*first[0], *np.concatenate([held for _, held in folds])]) == list(
        range(len(times))
    )
    assert len(last[0]) + len(last[1]) == len(times)


def test_folds_by_time() -> None:
    times = np.random.default_rng(0).permutation(60).astype(float)
    times[:5] = np.nan
    folds = kfold(None, 4, n_rows=60, times_N=times)
    assert len(folds) == 4
    for train, held in folds:
        assert np.nanmax(times[train]) < times[held].min()
        assert len(train) >= 30
    assert sorted(len(held) for _, held in folds) == [7, 7, 8, 8]
    with pytest.raises(ValueError, match="not both"):
        kfold(None, 4, n_rows=60, times_N=times, groups_N=np.arange(60))
    with pytest.raises(ValueError, match="n_rows"):
        kfold(None, 4)


def test_folds_tell_which_classes_they_validate() -> None:
    labels = np.repeat([0, 1, 3], [40, 56, 4])
    names = ("many", "some", "none", "few")
    assert fold_coverage(kfold(labels, 2), labels, names) == (1.0, ())
    split = stratified_split(labels, min_samples=8)
    covered, (notice,) = fold_coverage([(split.train_rows, split.validation_rows)], labels, names)
    assert covered == split.coverage == pytest.approx(0.96)
    assert notice.message.endswith("4 samples of 1 rare categories are excluded: few")
    late = kfold(None, 3, n_rows=100, times_N=np.arange(100.0))
    covered, notices = fold_coverage(late, labels, names)
    found = {notice.code: notice.message for notice in notices}
    assert covered == pytest.approx(0.6)
    assert found["rare_classes"].endswith("excluded: many")
    assert found["untrained_classes"].endswith("only: few")


def test_no_fold_of_groups_is_empty() -> None:
    """Few groups of one class each: stratified folds could leave one without rows."""
    sizes, classes = [36, 27, 33, 28, 11], [2, 2, 2, 1, 1]
    groups, labels = np.repeat(np.arange(5), sizes), np.repeat(classes, sizes)
    folds = kfold(labels, 5, 42, groups_N=groups)
    assert sorted(len(held) for _, held in folds) == sorted(sizes)
    assert all(not set(groups[train]) & set(groups[held]) for train, held in folds)


def test_splits_call_classes_by_their_names() -> None:
    labels = np.r_[np.zeros(40, np.int64), np.full(40, 2), np.ones(2, np.int64)]
    names = ("x", "y", "z")
    assert stratified_split(labels, names=names).rare_classes == ("y",)
    assert time_split(np.arange(82.0), labels=labels, names=names).rare_classes == ("x",)
    groups = np.arange(82) // 2
    by_group = group_split(groups, random_keys(41, 0), labels=labels, names=names)
    assert by_group.rare_classes == ("y",)
