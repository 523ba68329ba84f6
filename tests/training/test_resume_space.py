"""`EmbeddingSpace.train(resume=True)`: what goes on, what is refused, and rows that become awkward (TRAIN-6, D19)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from featrix_core import EmbeddingSpace
from featrix_core.errors import FeatrixUserError
from featrix_core.training.checkpoint import FOLDER

COLUMNS = ["duration", "credit_amount", "age"]


def _space(
    credit: pd.DataFrame, folder: Path | None, epochs: int, seed: int = 42
) -> EmbeddingSpace:
    torch.set_num_threads(1)
    frame = credit[COLUMNS].iloc[:80]
    return EmbeddingSpace(frame, n_epochs=epochs, seed=seed, output_dir=folder)


def _same(one: EmbeddingSpace, other: EmbeddingSpace) -> bool:
    states = one.model.state_dict(), other.model.state_dict()
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_going_on_from_an_epoch(credit: pd.DataFrame, tmp_path: Path) -> None:
    whole = _space(credit, tmp_path, 4).train(checkpoint_seconds=0.0)
    names = sorted(path.name for path in (tmp_path / FOLDER).iterdir())
    assert names == ["epoch-000002", "epoch-000003", "epoch-000004"]
    resumed = _space(credit, tmp_path, 4).train(resume=True, checkpoint_seconds=0.0)
    assert resumed.training_notices == ("The training goes on after epoch 4",)
    assert _same(whole, resumed) and resumed.timeline == whole.timeline
    weights = tmp_path / FOLDER / "epoch-000004" / "state.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    again = _space(credit, tmp_path, 4).train(resume=True, checkpoint_seconds=0.0)
    passed, going_on = again.training_notices
    assert "epoch 4 cannot be used" in passed and going_on.endswith("after epoch 3")
    assert _same(whole, again) and again.timeline == whole.timeline
    assert again.training_info == whole.training_info
    # The same object may train on, and from an epoch before the last.
    longer = again.train(n_epochs=6, existing_epochs=2)
    assert longer.training_notices == ("The training goes on after epoch 2",)
    assert longer.timeline is not None and whole.timeline is not None
    assert len(longer.timeline["timeline"]) == longer.training_info["epochs"] == 6
    assert longer.timeline["timeline"][:2] == whole.timeline["timeline"][:2]


def test_what_cannot_be_resumed(credit: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(FeatrixUserError, match="output_dir"):
        _space(credit, None, 2).train(resume=True)
    with pytest.raises(FeatrixUserError, match="no valid checkpoint of epoch 1"):
        _space(credit, tmp_path, 2).train(existing_epochs=1)
    first = _space(credit, tmp_path, 2).train(resume=True)
    (notice,) = first.training_notices
    assert "starts from the beginning" in notice
    with pytest.raises(FeatrixUserError, match=r"other initial weights; seed was 42, is 43"):
        _space(credit, tmp_path, 2, seed=43).train(resume=True)
    with pytest.raises(FeatrixUserError, match="batch_size was"):
        _space(credit, tmp_path, 2).train(batch_size=7, resume=True)
    with pytest.raises(FeatrixUserError, match="other data"):
        _space(credit.assign(age=1.0 * np.arange(len(credit))), tmp_path, 2).train(resume=True)


def test_an_extension_is_resumed_in_either_phase(credit: pd.DataFrame, tmp_path: Path) -> None:
    base = _space(credit, None, 2).train()
    enriched = credit.iloc[:80].assign(rate=credit["credit_amount"] / credit["duration"])
    enriched = enriched[[*COLUMNS, "rate"]]

    def extended(folder: Path) -> EmbeddingSpace:
        return EmbeddingSpace.extend_from_existing(base, enriched, n_epochs=4, output_dir=folder)

    class Killed(BaseException):
        pass

    whole = extended(tmp_path / "whole").train()
    for epoch in (1, 3):
        folder = tmp_path / str(epoch)

        def stop(done: object, epoch: int = epoch) -> None:
            if done.epoch == epoch + 1:  # type: ignore[attr-defined]
                raise Killed

        with pytest.raises(Killed):
            extended(folder).train(checkpoint_seconds=0.0, on_epoch=stop)
        resumed = extended(folder).train(resume=True, checkpoint_seconds=0.0)
        assert resumed.training_notices == (f"The training goes on after epoch {epoch}",)
        assert _same(whole, resumed) and resumed.timeline == whole.timeline


def test_a_column_that_becomes_constant(tmp_path: Path) -> None:
    """All of its other value validates at first, or comes to validate when the rows rotate."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=60), "rare": ["common"] * 60, "n": 1.0})
    sides = EmbeddingSpace(frame[["x"]], n_epochs=1)._sides
    frame.loc[sides.validation_V.numpy(), ["rare", "n"]] = ["seldom", 2.0]
    space = EmbeddingSpace(frame, n_epochs=52).train()
    assert space.timeline is not None
    assert [e["val_set_resampled"] for e in space.timeline["timeline"]].count(True) == 2
    assert np.isfinite(space.encode(frame)).all()


def test_batches_of_one_row(credit: pd.DataFrame) -> None:
    space = _space(credit, None, 1)
    plan_rows = space.train(batch_size=1).training_info
    assert plan_rows["batch_size"] in (1, 2) and np.isfinite(plan_rows["final_validation_loss"])
    rows = torch.arange(1)
    tokens = space._rows
    assert tokens is not None
    assert torch.isfinite(space.model.row_embeddings(tokens.rows(rows))).all()


@pytest.mark.parametrize("epochs", [0, -1])
def test_at_least_one_epoch(credit: pd.DataFrame, epochs: int) -> None:
    with pytest.raises(FeatrixUserError, match="at least one epoch"):
        _space(credit, None, epochs).train()
