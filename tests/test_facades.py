"""What a user meets first: the package's names, data sets and spaces, from rows to vectors and back from disk."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import featrix_core
from featrix_core import (
    EmbeddingSpace,
    FeatrixInputDataSet,
    FeatrixUserError,
    SinglePredictorMLP,
    load_embedding_space,
)
from featrix_core.tables.schema import ColumnType


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# -- the package ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", featrix_core.__all__)
def test_public_names(name: str) -> None:
    assert callable(getattr(featrix_core, name))
    assert getattr(importlib.import_module("featrix_core"), name).__name__ == name


def test_unknown_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'EmbeddedSpace'"):
        featrix_core.EmbeddedSpace  # noqa: B018


def test_importing_the_package_is_cheap() -> None:
    code = "import sys, featrix_core; print({'torch', 'pandas', 'mlflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# -- data sets ----------------------------------------------------------------------------------------


def test_split(credit: pd.DataFrame) -> None:
    data = FeatrixInputDataSet(credit, ["class"], {"num_dependents": ColumnType.SET})
    train, validation = data.split(0.25)
    assert (train.table.n_rows, validation.table.n_rows) == (150, 50)
    both = pd.concat([train.table.to_pandas(), validation.table.to_pandas()])
    columns = list(credit)
    assert (
        both.sort_values(columns).to_numpy().tolist()
        == credit.sort_values(columns).to_numpy().tolist()
    )
    assert "class" not in train.schema().names
    assert [d.reason for d in train.schema().dropped if d.name == "class"] == ["ignored"]
    assert validation.schema().column("num_dependents").type is ColumnType.SET
    again, _ = data.split(0.25)
    other, _ = data.split(0.25, seed=1)
    assert again.table.arrow.equals(train.table.arrow)
    assert not other.table.arrow.equals(train.table.arrow)


def test_a_space_takes_both_parts(few: pd.DataFrame) -> None:
    train, validation = FeatrixInputDataSet(few, ["class"]).split()
    space = EmbeddingSpace(train, validation, n_epochs=1).train()
    assert space.training_info["training_rows"] == 160
    assert space.column_names == ("duration", "credit_amount", "checking_status")


# -- spaces -------------------------------------------------------------------------------------------


def test_paths_and_frames_give_the_same_rows(
    credit_space: EmbeddingSpace, credit: pd.DataFrame, tmp_path: Path
) -> None:
    credit.to_csv(tmp_path / "credit.csv", index=False)
    credit.to_parquet(tmp_path / "credit.parquet")
    expected = credit_space.encode(credit)
    for name in ("credit.csv", "credit.parquet"):
        np.testing.assert_array_equal(credit_space.encode(tmp_path / name), expected)
    np.testing.assert_array_equal(credit_space.encode(str(tmp_path / "credit.csv")), expected)


def test_order_of_columns_and_further_columns_do_not_matter(
    credit_space: EmbeddingSpace, credit: pd.DataFrame
) -> None:
    shuffled = credit[sorted(credit)].assign(further=1)
    np.testing.assert_array_equal(credit_space.encode(shuffled), credit_space.encode(credit))


def test_a_missing_column_is_named(credit_space: EmbeddingSpace, credit: pd.DataFrame) -> None:
    with pytest.raises(FeatrixUserError, match="duration"):
        credit_space.encode(credit.drop(columns=["duration"]))


def test_two_trainings_give_the_same_bytes(few: pd.DataFrame, tmp_path: Path) -> None:
    for name, seed in (("one", 7), ("two", 7), ("three", 8)):
        data = FeatrixInputDataSet(few, ["class"])
        space = EmbeddingSpace(data, n_epochs=2, seed=seed).train()
        predictor = SinglePredictorMLP(space, "class", seed=seed).train(n_epochs=2)
        space.save(tmp_path / name / "space")
        predictor.save(tmp_path / name / "predictor")
    one, two, three = (_files(tmp_path / name) for name in ("one", "two", "three"))
    # Another seed may give the models beside the nets other shares: those with none are not kept.
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
    for name in ("space/weights.safetensors", "predictor/members.safetensors"):
        assert one[name] != three[name]


def test_a_loaded_space_cannot_be_trained(few_space: EmbeddingSpace, tmp_path: Path) -> None:
    few_space.save(tmp_path / "space")
    loaded = load_embedding_space(tmp_path / "space")
    assert loaded.timeline == few_space.timeline
    assert loaded.training_info == few_space.training_info
    with pytest.raises(FeatrixUserError, match="no rows to train on"):
        loaded.train()


def test_training_lowers_the_loss(few: pd.DataFrame) -> None:
    space = EmbeddingSpace(FeatrixInputDataSet(few, ["class"])).train(n_epochs=12, batch_size=32)
    assert space.timeline is not None
    losses = [entry["validation_loss"] for entry in space.timeline["timeline"]]
    assert min(losses) < 0.8 * losses[0]
    assert space.training_info["final_validation_loss"] == min(losses)
    assert space.training_info["batch_size"] == 32
