"""How many threads answer (TRAIN-3)."""

from collections.abc import Iterator

import pytest
import torch

from featrix_core.training.device import FEW_ROWS, threads_for


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("rows", "threads"), [(0, 1), (1, 1), (FEW_ROWS, 1), (FEW_ROWS + 1, 2)])
def test_few_rows_are_answered_by_one_thread(two_threads: None, rows: int, threads: int) -> None:
    with threads_for(rows):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


def test_threads_come_back_after_an_error(two_threads: None) -> None:
    with pytest.raises(ValueError, match="stop"), threads_for(1):
        raise ValueError("stop")
    assert torch.get_num_threads() == 2
