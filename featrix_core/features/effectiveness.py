"""What engineered columns did to a predictor's figures, kept over runs (EXT-3)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from featrix_core.errors import FeatrixUserError
from featrix_core.files import write_json

# All other metrics (roc_auc, accuracy, r2, …) are better when they are higher.
LOWER_IS_BETTER = frozenset(
    {
        *("log_loss", "ece", "calibration_error", "brier", "level_distance"),
        *("rmse", "mae", "mse", "mape", "crps"),
    }
)


class EffectRecord(BaseModel):
    """One out-of-sample comparison without and with a group of engineered columns.

    `interval` is that of `after - before`, in the metric's own unit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    features: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    metric: Annotated[str, Field(min_length=1)]
    before: float
    after: float
    interval: tuple[float, float] | None = None
    n_rows: Annotated[int, Field(ge=1)] | None = None
    run: str = ""

    @property
    def improvement_pct(self) -> float:
        """Change for the better in percent of the figure before; 0 where that figure is 0."""
        change = self.after - self.before
        if self.metric in LOWER_IS_BETTER:
            change = -change
        return 100 * change / abs(self.before) if self.before else 0.0


class _History(BaseModel):
    model_config = ConfigDict(extra="forbid")

    schema_version: Literal[1] = 1
    records: tuple[EffectRecord, ...] = ()


class FeatureEffectivenessTracker:
    """Collects comparisons and says which engineered columns were worth it.

    Columns that were measured together share the group's effect; measure them one by one to tell
    them apart.
    """

    def __init__(self) -> None:
        self._records: list[EffectRecord] = []

    @property
    def records(self) -> tuple[EffectRecord, ...]:
        """All comparisons, oldest first."""
        return tuple(self._records)

    def load_history(self, path: str | Path) -> None:
        """Put the comparisons of a file before those at hand; a repeated one counts once.

        Raises:
            FeatrixUserError: no such file, or not one that `save` wrote.
        """
        path = Path(path)
        try:
            stored = _History.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise FeatrixUserError(
                "The effectiveness history cannot be read", column=str(path), value=error
            ) from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the top level"
            raise FeatrixUserError(
                f"The effectiveness history is refused at {where}: {first['msg']}",
                column=path.name,
            ) from error
        self._records = list(dict.fromkeys([*stored.records, *self._records]))

    def record(
        self,
        features: str | Sequence[str],
        metric: str,
        before: float,
        after: float,
        *,
        interval: tuple[float, float] | None = None,
        n_rows: int | None = None,
        run: str = "",
    ) -> EffectRecord:
        """Add one comparison on rows that no training saw.

        Raises:
            FeatrixUserError: no feature or metric, or a figure that is not a finite number.
        """
        names = (features,) if isinstance(features, str) else tuple(features)
        try:
            added = EffectRecord(
                features=names,
                metric=metric,
                before=before,
                after=after,
                interval=interval,
                n_rows=n_rows,
                run=run,
            )
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise FeatrixUserError(
                f"An effect cannot be recorded; {'.'.join(map(str, first['loc']))}: {first['msg']}",
                value=first["input"],
                remedy="Give the features, the metric and finite figures",
            ) from error
        self._records.append(added)
        return added

    def save(self, path: str | Path) -> None:
        """Write all comparisons as JSON, atomically."""
        write_json(Path(path), _History(records=self.records).model_dump(mode="json"))

    def get_recommended_features(self, metric: str, min_improvement_pct: float = 0.0) -> list[str]:
        """Features whose mean improvement of `metric` is at least so many percent, best first."""
        effects: dict[str, list[float]] = {}
        for record in self._records:
            if record.metric == metric:
                for name in record.features:
                    effects.setdefault(name, []).append(record.improvement_pct)
        means = {name: sum(values) / len(values) for name, values in effects.items()}
        chosen = [name for name in means if means[name] >= min_improvement_pct]
        return sorted(chosen, key=lambda name: (-means[name], name))
