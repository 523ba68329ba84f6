"""Finished steps are taken over by the next run of the same arguments, and by no other (TRAIN-6)."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.steps.resumed import WorkFolder, folder_digest, work_folder

ARGUMENTS = {"data": "/data/a.csv", "seed": 1}


class Killed(BaseException):
    """Stands for the end of the process."""


def _step(work: WorkFolder, name: str, inputs: dict[str, Any], text: str, done: list[str]) -> str:
    def call() -> None:
        done.append(name)
        (work.path / name).mkdir(exist_ok=True)
        (work.path / name / "result.txt").write_text(text)

    return work.step(name, work.path / name, inputs, call)


def _run(out: Path, *, stop: str = "", resume: bool = False, text: str = "a") -> list[str]:
    done: list[str] = []
    with work_folder(out, ARGUMENTS, resume=resume) as work:
        first = _step(work, "first", {"n": 1}, text, done)
        if stop == "first":
            raise Killed
        _step(work, "second", {"first": first}, "b", done)
        if stop == "second":
            raise Killed
        (out / "result").write_text("done")
    return done


def test_nothing_is_left_of_a_run_that_ends(tmp_path: Path) -> None:
    assert _run(tmp_path / "new" / "out") == ["first", "second"]
    assert [p.name for p in (tmp_path / "new" / "out").iterdir()] == ["result"]


def test_finished_steps_are_taken_over(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        _run(tmp_path, stop="first")
    assert _run(tmp_path, resume=True) == ["second"]
    with pytest.raises(Killed):
        _run(tmp_path, stop="second")
    assert _run(tmp_path, resume=True) == []


def test_without_resume_all_is_new(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        _run(tmp_path, stop="first")
    assert _run(tmp_path) == ["first", "second"]
    assert [p.name for p in tmp_path.iterdir()] == ["result"]


def test_a_result_that_changed_is_made_again(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        _run(tmp_path, stop="second")
    (work,) = tmp_path.glob(".work-*")
    (work / "first" / "result.txt").write_text("damaged")
    assert _run(tmp_path, resume=True) == ["first"], "it gives what it gave before"
    with pytest.raises(Killed):
        _run(tmp_path, stop="second")
    (work / "first" / "result.txt").unlink()
    assert _run(tmp_path, resume=True, text="another") == ["first", "second"]


def test_other_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        _run(tmp_path, stop="first")
    other = {**ARGUMENTS, "seed": 2}
    with (
        pytest.raises(FeatrixUserError, match="seed was 1, is 2"),
        work_folder(tmp_path, other, resume=True),
    ):
        pass
    assert _run(tmp_path, resume=True) == ["second"], "nothing was lost by that"


def test_a_mistake_leaves_nothing_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    with pytest.raises(FeatrixUserError), work_folder(out, ARGUMENTS, resume=False):
        raise FeatrixUserError("No such column")
    assert not any(tmp_path.iterdir())
    with pytest.raises(Killed):
        _run(out, stop="first")
    with pytest.raises(FeatrixUserError), work_folder(out, ARGUMENTS, resume=True):
        raise FeatrixUserError("The data are gone")
    assert _run(out, resume=True) == ["second"]


def test_what_is_worth_keeping_outlives_an_error(tmp_path: Path) -> None:
    """A predictor that fails after the space was finished: the space is not trained again."""
    said: list[str] = []
    with (
        pytest.raises(FeatrixUserError),
        work_folder(tmp_path, ARGUMENTS, resume=False, on_kept=lambda: said.append("kept")) as work,
    ):
        _step(work, "first", {"n": 1}, "a", [])
        work.worth_keeping = True
        raise FeatrixUserError("The second step failed")
    assert said == ["kept"]
    assert _run(tmp_path, resume=True) == ["second"]
    assert [p.name for p in tmp_path.iterdir()] == ["result"]


def _hold(out: str, entered: Any, leave: Any) -> None:
    with work_folder(Path(out), ARGUMENTS, resume=False):
        entered.set()
        leave.wait(60)


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    entered, leave = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(str(tmp_path), entered, leave))
    other.start()
    try:
        assert entered.wait(60)
        for resume in (False, True):
            with pytest.raises(FeatrixUserError, match="Another fit is writing"):
                _run(tmp_path, resume=resume)
    finally:
        leave.set()
        other.join(60)
    assert _run(tmp_path) == ["first", "second"]


def test_digest_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("1")
    first = folder_digest(tmp_path)
    assert folder_digest(tmp_path) == first
    (tmp_path / "sub" / "a").rename(tmp_path / "sub" / "b")
    assert folder_digest(tmp_path) != first
