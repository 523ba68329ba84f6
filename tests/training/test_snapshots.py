"""The training movie: a fixed sample, frames along the finished axes, small cost, resumable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from featrix_core import EmbeddingSpace
from featrix_core.training.protocols import EpochDone
from featrix_core.training.snapshots import (
    COST,
    MOST_FRAMES,
    MOST_ROWS,
    Movie,
    Snapshots,
    sample_rows,
)


def epoch(number: int) -> EpochDone:
    return EpochDone(number, 20, {}, torch.nn.Identity(), 1.0, True)


def drifting(rows: int = 40, width: int = 16, seed: int = 0) -> tuple[Snapshots, torch.Tensor]:
    """Rows that move along fixed directions; their first axes at the end are known."""
    generator = torch.Generator().manual_seed(seed)
    start, step = torch.randn(2, rows, width, generator=generator)
    taken = [0]

    def embed() -> torch.Tensor:
        taken[0] += 1
        return torch.nn.functional.normalize(start + 0.05 * taken[0] * step, dim=1)

    axes, _ = torch.linalg.qr(torch.randn(width, 3, generator=generator))
    return Snapshots(embed, np.arange(rows), 10_000, 20), axes


@pytest.mark.parametrize("n_rows", [3, 200, 1000, 5000, 10**6])
def test_the_sample_is_fixed_and_bounded(n_rows: int) -> None:
    rows = sample_rows(n_rows, 7)
    assert np.array_equal(rows, sample_rows(n_rows, 7))
    assert len(rows) == len(set(rows.tolist())) == min(n_rows, MOST_ROWS, max(n_rows // 3, 100))
    assert np.array_equal(rows, np.sort(rows)) and rows.max() < n_rows


@pytest.mark.parametrize(
    ("n_rows", "epochs"), [(60, 300), (900, 100), (5000, 15), (5000, 1000), (10**5, 3)]
)
def test_frames_are_few_and_cheap(n_rows: int, epochs: int) -> None:
    rows = sample_rows(n_rows, 0)
    seen: list[int] = []
    snapshots = Snapshots(
        lambda: seen.append(1) or torch.zeros(len(rows), 4),  # type: ignore[func-returns-value]
        rows,
        n_rows,
        epochs,
    )
    for number in range(1, epochs + 1):
        snapshots(epoch(number))
    assert 1 <= len(seen) <= MOST_FRAMES
    assert COST * len(rows) * len(seen) <= n_rows * epochs


def test_frames_lie_along_the_finished_axes_and_end_in_the_finished_space() -> None:
    snapshots, axes = drifting()
    snapshots.take(0)
    for number in range(1, 21):
        snapshots(epoch(number))
    movie = snapshots.movie(axes, best_epoch=15)
    assert movie.epochs_F.tolist() == list(range(16))
    assert movie.frames_FR3.shape == (16, 40, 3) and movie.frames_FR3.dtype == np.float32
    assert np.allclose(np.linalg.norm(movie.frames_FR3, axis=2), 1, atol=1e-5)
    again, _ = drifting()
    vectors = [again._embed() for _ in range(22)]
    # The third state was seen in epoch 2.
    assert np.allclose(movie.frames_FR3[2], short(vectors[2] @ axes), atol=5e-3)
    assert np.allclose(movie.frames_FR3[-1], short(vectors[21] @ axes), atol=1e-6)
    saved = Movie.from_tensors(movie.tensors())
    assert all(np.array_equal(getattr(saved, k), getattr(movie, k)) for k in vars(movie))


def short(vectors: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(vectors, dim=1).numpy()


def test_a_resumed_training_has_the_same_movie() -> None:
    whole, axes = drifting()
    for number in range(21):
        whole.take(number)
    first, _ = drifting()
    for number in range(8):
        first.take(number)
    second, _ = drifting()
    second.take(0)
    second.restore(*first.state())
    second._embed = first._embed
    for number in range(8, 21):
        second.take(number)
    films = [whole.movie(axes, 20), second.movie(axes, 20)]
    assert np.array_equal(films[0].frames_FR3, films[1].frames_FR3)
    assert films[0].epochs_F.tolist() == films[1].epochs_F.tolist() == list(range(21))


def test_a_training_stopped_before_its_first_frame_goes_on() -> None:
    snapshots, axes = drifting()
    other, _ = drifting()
    other.restore(*snapshots.state())
    assert other.movie(axes, 1).epochs_F.tolist() == [1]


def test_frames_of_a_discarded_start_are_dropped() -> None:
    """After a restart the first frame is the state of the other weights, numbered as the timeline counts on."""
    snapshots, axes = drifting()
    snapshots.take(0)
    for number in range(1, 4):
        snapshots(epoch(number))
    snapshots.begin_again()
    for number in range(4, 11):
        snapshots(epoch(number))
    movie = snapshots.movie(axes, best_epoch=8)
    assert movie.epochs_F.tolist() == [3, 4, 5, 6, 7, 8]
    same, _ = drifting()
    vectors = [same._embed() for _ in range(5)]
    assert np.allclose(movie.frames_FR3[0], short(vectors[4] @ axes), atol=5e-3)


def test_a_space_keeps_its_movie(
    credit_space: EmbeddingSpace, credit: pd.DataFrame, tmp_path: Path
) -> None:
    movie = credit_space.movie
    assert movie is not None and movie.epochs_F[0] == 0
    assert movie.frames_FR3.shape == (len(movie.epochs_F), len(movie.rows_R), 3)
    shown = credit_space.encode_short(credit.iloc[movie.rows_R])
    assert np.allclose(movie.frames_FR3[-1], shown, atol=1e-5)
    assert not np.allclose(movie.frames_FR3[0], shown, atol=0.05)
    credit_space.save(tmp_path / "space")
    loaded = EmbeddingSpace.load(tmp_path / "space").movie
    assert loaded is not None
    assert all(np.array_equal(getattr(loaded, k), getattr(movie, k)) for k in vars(movie))


def test_a_killed_space_resumes_with_the_whole_movie(credit: pd.DataFrame, tmp_path: Path) -> None:
    """The checkpoint holds the frames so far, so that the bytes are those of an unbroken training."""
    torch.set_num_threads(1)
    frame = credit[["duration", "credit_amount", "purpose", "age"]]

    class Killed(Exception):
        pass

    def kill(done: EpochDone) -> None:
        if done.epoch == 9:
            raise Killed

    def space(folder: str) -> EmbeddingSpace:
        return EmbeddingSpace(frame, n_epochs=12, seed=1, output_dir=tmp_path / folder)

    whole = space("whole").train(checkpoint_seconds=0)
    broken = space("broken")
    with pytest.raises(Killed):
        broken.train(checkpoint_seconds=0, on_epoch=kill)
    resumed = space("broken").train(resume=True, checkpoint_seconds=0)
    assert whole.movie is not None and resumed.movie is not None
    assert len(whole.movie.epochs_F) > 2
    for name in vars(whole.movie):
        assert np.array_equal(getattr(resumed.movie, name), getattr(whole.movie, name)), name
