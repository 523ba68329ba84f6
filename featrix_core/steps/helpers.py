"""The other processes of a fit under `torchrun`: they read the same data, train the space along, and end (TRAIN-9).

Each reads the data itself, so that they need no common disk. Extension, predictor and all files are the first
process's work alone.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from featrix_core import steps
from featrix_core.steps.config import StepConfig
from featrix_core.training.launch import launched


class Helpers:
    """The others, as the first process sees them; without `torchrun` there are none."""

    def __init__(self) -> None:
        self._called = launched() == 1

    def call(self) -> None:
        """The space is trained now."""
        self._answer(True)

    def dismiss(self) -> None:
        """They may end, and this process goes on alone; a space that was there already needed no help."""
        self._answer(False)
        if launched() > 1:
            from featrix_core.training.team import part

            part()

    def _answer(self, wanted: bool) -> None:
        if self._called:
            return
        from featrix_core.training.team import together

        with together() as team:
            if team is not None:
                team.agreed(wanted)
        self._called = True


def help_fit(
    data: str,
    target: str,
    *,
    config: StepConfig | None = None,
    seed: int = 42,
    max_seconds: float | None = None,
) -> None:
    """The part of a process that is not the first; arguments as the first one's."""
    from featrix_core.training.team import together

    with tempfile.TemporaryDirectory(prefix="featrix-") as name:
        dataset = Path(name) / "dataset"
        steps.ingest(data, [target], dataset, config=config, seed=seed)
        with together() as team:
            wanted = team is not None and team.agreed(None)
        if wanted:
            steps.train_space(dataset, Path(name) / "space", seed=seed, max_seconds=max_seconds)
