"""Want of memory, lost numbers, collapse and giving up: the loop goes on where it can (TRAIN-3, TRAIN-4)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from featrix_core.errors import TrainingError
from featrix_core.training.device import is_out_of_memory, recompute_blocks
from featrix_core.training.loop import LoopResult, run_loop
from featrix_core.training.plan import TrainingPlan
from featrix_core.training.recovery import GOOD_EPOCHS
from featrix_core.training.timeline import Timeline
from featrix_core.training.watch import Action
from tests.training.objectives import PLAN, Noisy


def _run(objective: Any, plan: TrainingPlan = PLAN, **more: Any) -> tuple[LoopResult, Timeline]:
    timeline = Timeline(plan)
    return run_loop(objective, plan, timeline, **more), timeline


def _actions(timeline: Timeline, kind: str) -> list[dict[str, Any]]:
    return [a for a in timeline.corrective_actions if a["action_type"] == kind]


def test_half_batches_where_memory_is_short() -> None:
    objective = Noisy(largest=20)
    result, timeline = _run(objective)
    assert objective.sizes[:4] == [64, 32, 16, 16]
    assert set(objective.sizes[2:]) == {16}
    halved = _actions(timeline, "BATCH_HALVED")
    assert [a["details"]["batch_size"] for a in halved] == [32, 16]
    assert halved[0]["details"]["message"] == "CUDA out of memory. Tried to allocate 2.00 GiB."
    assert (result.epochs, result.updates) == (8, 8 * 24)
    # As many rows per epoch as before, and the schedule has kept its place.
    assert len(objective.sizes) == 2 + 8 * 24
    assert timeline.entries[-1]["learning_rate"] < 0.01 * PLAN.learning_rate


def test_an_epoch_that_ran_out_of_memory_starts_again_where_it_started() -> None:
    """Weights, moments, random numbers and rows are those of a run that had half batches from the start of it."""

    class Late(Noisy):
        def loss(self, rows: Tensor) -> Any:
            # Runs out in the fourth step of epoch 3, which has trained three steps by then.
            if len(self.sizes) == 2 * 6 + 3:
                self.largest = 32
            return super().loss(rows)

    class Planned(Noisy):
        def start_epoch(self, epoch: int, progress: float) -> None:
            super().start_epoch(epoch, progress)
            if epoch == 3:
                self.largest = 32

    one, other = Late(), Planned()
    _run(one)
    _run(other)
    assert one.sizes[12:17] == [64, 64, 64, 64, 32]
    assert other.sizes[12:14] == [64, 32]
    for name, value in one.module.state_dict().items():
        assert torch.equal(value, other.module.state_dict()[name])


def test_blocks_are_computed_twice_before_batches_shrink() -> None:
    class Deep(nn.Module):
        recompute = False

        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return torch.as_tensor(self.inner(x))

    class Saving(Noisy):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Sequential(Deep(self.module))

        def loss(self, rows: Tensor) -> Any:
            self.largest = 10**9 if self.module[0].recompute else 10
            return super().loss(rows)

    objective = Saving()
    _, timeline = _run(objective)
    assert len(_actions(timeline, "RECOMPUTE")) == 1 and not _actions(timeline, "BATCH_HALVED")
    assert set(objective.sizes) == {64}
    assert not recompute_blocks(objective.module)


def test_memory_for_not_even_one_row() -> None:
    with pytest.raises(TrainingError, match="batch of one row") as caught:
        _run(Noisy(largest=0))
    assert "memory" in caught.value.suggestions


def test_what_is_no_want_of_memory_is_raised() -> None:
    class Broken(Noisy):
        def loss(self, rows: Tensor) -> Any:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        _run(Broken())
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: not enough memory: you tried"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(ValueError("out of memory"))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**62, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize("in_validation", [False, True])
@pytest.mark.parametrize("epoch", [1, 4])
def test_a_lost_number_is_retried_slower(epoch: int, in_validation: bool) -> None:
    objective = Noisy(broken_at=epoch, times=1, in_validation=in_validation)
    result, timeline = _run(objective)
    (cut,) = _actions(timeline, "RATE_CUT")
    assert (cut["epoch"], cut["trigger"]) == (epoch, "NOT_A_NUMBER")
    side = "validation" if in_validation else "training"
    third = pytest.approx(1 / 3)
    assert cut["details"] == {"loss": side, "lr_multiplier": third, "lr_factor": third}
    plain = _run(Noisy())[1].entries
    shares = [
        e["learning_rate"] / p["learning_rate"]
        for e, p in zip(timeline.entries, plain, strict=True)
    ]
    assert shares == pytest.approx([1.0] * (epoch - 1) + [1 / 3] * (9 - epoch))
    assert len(timeline.entries) == result.epochs == 8
    assert all(torch.isfinite(p).all() for p in objective.module.parameters())


def test_a_second_lost_number_ends_it() -> None:
    with pytest.raises(TrainingError, match=r"training loss .* epoch 4") as caught:
        _run(Noisy(broken_at=4))
    assert caught.value.suggestions == {"learning_rate": pytest.approx(PLAN.learning_rate / 9)}


@pytest.mark.parametrize(("second", "mended"), [(GOOD_EPOCHS + 2, False), (GOOD_EPOCHS + 3, True)])
def test_after_many_good_epochs_another_lost_number_is_retried(second: int, mended: bool) -> None:
    class Twice(Noisy):
        """Loses its numbers once in epoch 2 and once in another one."""

        def start_epoch(self, epoch: int, progress: float) -> None:
            super().start_epoch(epoch, progress)
            if self.epoch == second and self.broken_at == 2:
                self.broken_at, self.times = second, 1

    plan = PLAN.model_copy(update={"epochs": GOOD_EPOCHS + 5, "steps_per_epoch": 1})
    objective = Twice(broken_at=2, times=1)
    if not mended:
        with pytest.raises(TrainingError, match=f"training loss .* epoch {second}"):
            _run(objective, plan)
        return
    _, timeline = _run(objective, plan)
    cuts = [(a["epoch"], a["details"]["lr_factor"]) for a in _actions(timeline, "RATE_CUT")]
    assert cuts == [(2, pytest.approx(1 / 3)), (second, pytest.approx(1 / 9))]
    assert len(timeline.entries) == plan.epochs


class Orders:
    """A watch that gives prescribed orders after prescribed epochs."""

    def __init__(self, orders: dict[int, Action], blocked: bool = False) -> None:
        self.labels: list[str] = []
        self.orders, self.stop_blocked = orders, blocked
        self.rate_factor = self.temperature_factor = 1.0
        self.seen: list[int] = []

    def after_epoch(self, entries: list[dict[str, Any]]) -> list[Action]:
        assert "failures_detected" in entries[-1]
        self.seen.append(entries[-1]["epoch"])
        action = self.orders.get(entries[-1]["epoch"])
        if action is None:
            return []
        if action.action_type == "BOOST":
            self.rate_factor = self.temperature_factor = 2.0
        return [action]

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        pass


def test_factors_of_the_watch() -> None:
    objective = Noisy()
    watch = Orders({3: Action("BOOST", "NO_LEARNING", {"lr_multiplier": 2.0})})
    _, timeline = _run(objective, watch=watch)
    plain = _run(Noisy())[1].entries
    shares = [
        e["learning_rate"] / p["learning_rate"]
        for e, p in zip(timeline.entries, plain, strict=True)
    ]
    assert shares == pytest.approx([1.0] * 3 + [2.0] * 5)
    assert objective.temperatures == [1.0] * 3 + [2.0] * 5
    assert watch.seen == list(range(1, 9))
    (boost,) = _actions(timeline, "BOOST")
    assert boost["epoch"] == 3


def test_restart_from_other_weights() -> None:
    objective = Noisy()
    starts: list[Tensor] = []

    class Spying(Noisy):
        def start_epoch(self, epoch: int, progress: float) -> None:
            super().start_epoch(epoch, progress)
            if epoch == 1:
                starts.append(self.module[0].weight.detach().clone())

    objective = Spying()
    result, timeline = _run(objective, watch=Orders({3: Action("RESTART", "COLLAPSE", {})}))
    assert len(starts) == 2 and not torch.equal(*starts)
    assert [e["epoch"] for e in timeline.entries] == list(range(1, 12))
    assert timeline.entries[3]["learning_rate"] == timeline.entries[0]["learning_rate"]
    assert result.epochs == 8 and result.best_epoch > 3


def test_giving_up_names_what_to_change() -> None:
    details = {"message": "All rows are embedded at the same point.", "suggestions": {"seed": 44}}
    with pytest.raises(TrainingError, match="same point") as caught:
        _run(Noisy(), watch=Orders({2: Action("RAISE", "COLLAPSE", details)}))
    assert caught.value.suggestions == {"seed": 44}


def test_early_stopping_waits_while_it_is_blocked() -> None:
    plan = PLAN.model_copy(update={"patience": 1, "learning_rate": 0.0})
    assert _run(Noisy(), plan)[0].epochs < 8
    assert _run(Noisy(), plan, watch=Orders({}, blocked=True))[0].epochs == 8


def test_a_gain_of_a_hair_does_not_count_for_patience() -> None:
    class Creeping(Noisy):
        def validate(self) -> tuple[float, dict[str, Any]]:
            return 1.0 - 1e-5 * self.epoch, {}

        def rotate(self, epoch: int) -> None:
            return None

    result, _ = _run(Creeping(), PLAN.model_copy(update={"patience": 3}))
    assert (result.epochs, result.best_epoch) == (4, 4)


def test_batches_of_one_row() -> None:
    class Tiny(Noisy):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Sequential(nn.Linear(10, 1))
            self.rows = torch.arange(1)

        def rotate(self, epoch: int) -> None:
            return None

    plan = PLAN.model_copy(update={"batch_size": 1, "steps_per_epoch": 1})
    torch.manual_seed(0)
    result, timeline = _run(Tiny(), plan)
    assert result.updates == 8
    assert timeline.entries[-1]["train_loss"] < timeline.entries[0]["train_loss"]
