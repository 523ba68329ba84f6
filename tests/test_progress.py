"""Progress on the terminal and in a log: loss, rate, speed and time left of a training (VIEW-3)."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from featrix_core.progress import LINE_SECONDS, StepProgress, _left
from featrix_core.training.protocols import Progress


def screen(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, color_system=None, width=140)


def shown(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("featrix_core.progress.time.monotonic", lambda: now[0])
    return now


def told(update: int, updates: int = 100, rows: int = 64) -> Progress:
    return Progress(update, updates, 1 + update // 10, 10, 2.0 / update, 0.00123, rows)


def test_a_training_shows_loss_rate_speed_and_time_left(clock: list[float]) -> None:
    console = screen(True)
    with StepProgress(console) as bars:
        bars.start("train space")
        for update in range(1, 41):
            bars(told(update))
            clock[0] += 0.5
        bars._bars.refresh()
        text = shown(console)
        assert "epoch 5/10  loss 0.050  rate 1.2e-03" in text
        assert "128 rows/s" in text  # 39 updates of 64 rows since the first one, 19.5 s ago
        assert "30 s left" in text  # 60 updates, two a second


def test_another_training_in_the_same_step_is_timed_by_itself(clock: list[float]) -> None:
    console = screen(True)
    with StepProgress(console) as bars:
        bars.start("train space")
        for update in (1, 2):
            bars(told(update))
            clock[0] += 100.0
        for update in (1, 2, 3):
            bars(told(update))
            clock[0] += 1.0
        bars._bars.refresh()
    assert "1 min 37 s left" in shown(console)  # 97 updates, one a second


def test_a_log_gets_a_line_a_minute_and_one_at_the_end(clock: list[float]) -> None:
    console = screen(False)
    with StepProgress(console) as bars:
        bars.start("train space")
        for update in range(1, 101):
            bars(told(update))
            clock[0] += LINE_SECONDS / 40
        bars.start("report")
        clock[0] += 2.0
    lines = shown(console).splitlines()
    assert [line.split()[0] for line in lines] == ["train", "train", "train", "report"]
    assert "epoch 5/10" in lines[0] and "left" in lines[0]
    assert lines[2].split() == ["train", "space", "150.0", "s", "loss", "0.020", "43", "rows/s"]
    assert lines[3].split() == ["report", "2.0", "s"]


def test_a_failed_step_leaves_no_line() -> None:
    console = screen(False)
    with pytest.raises(ValueError, match="broken"), StepProgress(console) as bars:
        bars.start("ingest")
        raise ValueError("broken")
    assert shown(console) == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s left"),
        (59.6, "1 min 00 s left"),
        (61, "1 min 01 s left"),
        (7322, "2 h 02 min left"),
    ],
)
def test_time_left_in_words(seconds: float, text: str) -> None:
    assert _left(seconds) == text
