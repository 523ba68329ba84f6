"""What a report can show of a space's training, as plain data: panels, movie, pairs, plan (VIEW-2).

The same rules as in `content`: strings, numbers and tuples of them; every part is optional.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from featrix_core.tables.schema import Frozen

Number = float | None
Interval = tuple[float, float]
Point = tuple[float, float, float]

MAX_MOVIE_FRAMES = 60
MAX_MOVIE_ROWS = 500
BOOST, IN_FORCE = "LR_BOOST", "_ACTIVE"


class Gradients(Frozen):
    """Gradient norms before and after clipping, mean over the epoch's updates."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    unclipped_norm: Number = None
    clipped_norm: Number = None


class Heads(Frozen):
    """How much attention heads resemble one another (JOINT-5); detail every ten epochs."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    average_similarity: Number = None
    diversity: Number = None
    status: str = ""
    min: Number = None
    max: Number = None
    advice: str = ""


class Epoch(Frozen):
    """One entry of a training timeline; keys that are not drawn are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    epoch: float
    learning_rate: Number = None
    train_loss: Number = None
    validation_loss: Number = None
    dropout_rate: Number = None
    spread_loss: Number = None
    spread_temperature: Number = None
    gradients: Gradients = Gradients()
    head_diversity: Heads | None = None
    failures_detected: tuple[str, ...] = ()
    corrective_actions: tuple[str, ...] = ()
    val_set_resampled: bool = False


class Episode(Frozen):
    """Epochs in a row that show the same failures and interventions."""

    first: float
    last: float
    failures: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()

    @property
    def acted(self) -> bool:
        """Whether something was done here, rather than still in force."""
        return any(not action.endswith(IN_FORCE) for action in self.actions)


class Timeline(Frozen):
    """The course of one training; `best_epoch` is the one whose weights were kept.

    `boosts`: announced stretches under a raised learning rate, for entries that do not say so themselves.
    `member`: which one of a bag it is; `others`: the other ones, whose curves are not drawn.
    """

    epochs: tuple[Epoch, ...]
    best_epoch: float | None = None
    boosts: tuple[Interval, ...] = ()
    member: str = ""
    others: tuple[Timeline, ...] = ()

    @classmethod
    def from_entries(
        cls,
        entries: Sequence[Mapping[str, object]],
        actions: Sequence[Mapping[str, Any]] = (),
        *,
        best_epoch: float | None = None,
        member: str = "",
        others: Sequence[Timeline] = (),
    ) -> Timeline:
        """Read the `timeline` list of a training_timeline.json, and its `corrective_actions`."""
        epochs = tuple(Epoch.model_validate(dict(entry)) for entry in entries)
        boosts = tuple(_announced(actions, epochs))
        return cls(
            epochs=epochs,
            best_epoch=best_epoch,
            boosts=boosts,
            member=member,
            others=tuple(others),
        )

    def boosted(self) -> tuple[Interval, ...]:
        """First and last epoch of every stretch under a raised learning rate."""
        return tuple(_boosts(self.epochs)) or self.boosts

    def episodes(self) -> tuple[Episode, ...]:
        """Failures and interventions in order, epochs in a row as one."""
        found = []
        for (failures, actions), run in groupby(
            self.epochs, key=lambda e: (e.failures_detected, e.corrective_actions)
        ):
            epochs = [entry.epoch for entry in run]
            if failures or actions:
                found.append(
                    Episode(first=epochs[0], last=epochs[-1], failures=failures, actions=actions)
                )
        return tuple(found)


def _boosts(epochs: Sequence[Epoch]) -> Iterator[Interval]:
    """Runs of epochs whose entries name a boost of the learning rate."""
    boosted = (any(a.startswith(BOOST) for a in e.corrective_actions) for e in epochs)
    for on, run in groupby(zip(boosted, epochs, strict=True), key=lambda pair: pair[0]):
        members = [entry.epoch for _, entry in run]
        if on:
            yield members[0], members[-1]


def _announced(actions: Sequence[Mapping[str, Any]], epochs: Sequence[Epoch]) -> Iterator[Interval]:
    """The same from the document's list of actions, where the entries do not say."""
    last = epochs[-1].epoch if epochs else 0.0
    for action in actions:
        length = action.get("details", {}).get("boost_epochs")
        if str(action.get("action_type", "")).startswith(BOOST) and length:
            yield float(action["epoch"]), min(float(action["epoch"]) + float(length), last)


class Movie(Frozen):
    """The same rows on the sphere, frame by frame; the last frame is the finished space.

    `frames` has shape (frames, rows, 3); colour as on the `Sphere`: by `labels` or by `values`.
    `losses` is the validation loss at each frame.
    """

    frames: tuple[tuple[Point, ...], ...] = Field(min_length=1, max_length=MAX_MOVIE_FRAMES + 2)
    epochs: tuple[int, ...]
    losses: tuple[Number, ...] = ()
    labels: tuple[str, ...] = ()
    values: tuple[Number, ...] = ()
    colour_name: str = ""
    n_rows: int | None = None

    @model_validator(mode="after")
    def _lengths(self) -> Movie:
        rows = len(self.frames[0])
        if any(len(frame) != rows for frame in self.frames) or rows > MAX_MOVIE_ROWS:
            raise ValueError(f"frames must hold the same rows, {MAX_MOVIE_ROWS} at most")
        for name, wanted in (("epochs", len(self.frames)), ("losses", len(self.frames))):
            if len(getattr(self, name)) not in ({0, wanted} if name == "losses" else {wanted}):
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {wanted}")
        for name in ("labels", "values"):
            if len(getattr(self, name)) not in (0, rows):
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {rows} rows")
        if self.labels and self.values:
            raise ValueError("colour a movie by labels or by values, not by both")
        return self


class Lift(Frozen):
    """What a pair did to the learning of the column `helps`; `third`: a column outside of the pair."""

    helps: str
    mean: Number = None
    interval: Interval | None = None
    third: bool = False


class PairEntry(Frozen):
    """One column pair's trial: periods with and without it, what it did, what was decided."""

    columns: tuple[str, str]
    lifts: tuple[Lift, ...] = ()
    total: Number = None
    interval: Interval | None = None
    score: Number = None
    paired: int = 0
    unpaired: int = 0
    decision: str
    kept: bool
    reason: str = ""


class SelfValidation(Frozen):
    """Scores against lifts in periods that the scores did not use (JOINT-4), in words and as a verdict."""

    rho: Number = None
    verdict: Literal["ok", "warning", "none"] = "none"
    text: str = ""


class Pairs(Frozen):
    """The decision log of relationship scoring (JOINT-3), best score first."""

    entries: tuple[PairEntry, ...]
    validation: SelfValidation | None = None
    note: str = ""


class PlanEntry(Frozen):
    """One automatic value of the training plan and why it is what it is (TRAIN-2).

    `source` is what the source's rules give for the same table; `why` says why ours differs.
    """

    name: str
    value: str
    reason: str = ""
    source: str = ""
    why: str = ""
