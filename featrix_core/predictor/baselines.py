"""Honest company for every figure: a linear and a boosted model on the same split (PRED-7).

They live in memory only and are not part of any bundle.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from featrix_core.predictor.boosted import MOST_CLASSES
from featrix_core.predictor.linear import MOST_CLASSES as MOST_LINEAR_CLASSES
from featrix_core.predictor.peers import MOST_ROWS, draw
from featrix_core.settling import unsettled_is_fine
from featrix_core.tables.schema import CATEGORICAL, ColumnType, TableSchema
from featrix_core.tables.table import TypedColumn
from featrix_core.tables.targets import TargetKind
from featrix_core.tables.timestamps import FIRST_SECOND, LAST_SECOND

Floats = NDArray[np.float64]

LINEAR = "linear"
BOOSTED = "lightgbm"

_TOP_TEXTS = 50
_MIN_FREQUENCY = 5
_BINS = 10
_INNER_SHARE = 0.15
_PATIENCE = 50
_MAX_TREES = 2000
_LARGEST = 1e100
# A stronger penalty than scikit-learn's 1.0, for there are many bins. 5-fold AUC against 1.0:
# German credit +.008, attrition +.012, telco churn level, titanic -.005.
_INVERSE_PENALTY = 0.1


def design_frame(
    typed: Mapping[str, TypedColumn], schema: TableSchema | None = None
) -> pd.DataFrame:
    """Parsed columns as floats (`float64`, NaN where missing) and categoricals.

    Timestamps become epoch seconds and, in local time, year, month, day, weekday and hour. Sets,
    ordinals and booleans become categoricals, all other texts one of their 50 most frequent values;
    vectors become a number per dimension. With a schema the
    columns follow its selection and order, and values that it does not know become missing.
    """
    names = list(typed) if schema is None else [n for n in schema.names if n in typed]
    columns: dict[str, Any] = {}
    for name in names:
        column = typed[name]
        if column.type is ColumnType.SCALAR and column.numbers_N is not None:
            columns[name] = _held(np.where(column.missing_N, np.nan, column.numbers_N))
        elif column.type is ColumnType.TIMESTAMP and column.numbers_N is not None:
            columns.update(_time_parts(column, column.numbers_N))
        elif column.vectors_NH is not None:
            for place, values in enumerate(column.vectors_NH.T):
                columns[f"{name} {place}"] = np.where(column.missing_N, np.nan, values)
        elif column.codes_N is not None:
            known = schema.column(name).categories if schema is not None else ()
            columns[name] = _categories(column, column.codes_N, known)
    return pd.DataFrame(columns)


def _held(numbers_N: Floats) -> Floats:
    """Numbers whose squares, summed over rows, stay within float64."""
    return np.clip(numbers_N, -_LARGEST, _LARGEST)


def _time_parts(column: TypedColumn, seconds_N: Floats) -> dict[str, Floats]:
    epoch = np.where(column.missing_N, np.nan, seconds_N)
    offsets = np.zeros_like(epoch) if column.offsets_N is None else column.offsets_N
    # Whole seconds: years like 9999 lie beyond what nanoseconds can count.
    known = np.isfinite(epoch)
    seconds = np.floor(np.where(known, epoch + 3600.0 * np.nan_to_num(offsets), 0.0))
    moments = np.clip(seconds, FIRST_SECOND, LAST_SECOND).astype(np.int64).astype("datetime64[s]")
    local: Any = pd.Series(moments).where(pd.Series(known))
    parts = {
        part: getattr(local.dt, part).to_numpy(dtype=np.float64)
        for part in ("year", "month", "day", "dayofweek", "hour")
    }
    return {column.name: epoch, **{f"{column.name} {k}": v for k, v in parts.items()}}


def _categories(
    column: TypedColumn, codes_N: NDArray[np.int32], known: tuple[str, ...]
) -> pd.Categorical:
    codes = np.where(column.missing_N, -1, codes_N).astype(np.int64)
    if column.type not in CATEGORICAL:
        counts = np.bincount(codes[codes >= 0], minlength=len(column.texts))
        order = np.argsort(-counts, kind="stable")[:_TOP_TEXTS]
        kept = [column.texts[i] for i in order.tolist() if counts[i] > 0]
    else:
        kept = list(known) if known else list(column.texts)
    position = {text: i for i, text in enumerate(kept)}
    # One more cell at the end: code -1 reads it.
    lookup = np.array([position.get(text, -1) for text in column.texts] + [-1], dtype=np.int64)
    return pd.Categorical.from_codes(lookup[codes], categories=pd.Index(kept, dtype=object))


@dataclass
class Baselines:
    """Fitted models by name (`linear`, `lightgbm`).

    seconds: that each took to fit. remarks: by model, what has to be known of it beside its figures.
    """

    kind: TargetKind
    n_classes: int
    schema: TableSchema | None
    frame_columns: list[str]
    categories: dict[str, list[str]]
    models: dict[str, Any]
    seconds: dict[str, float] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)

    def predict(self, typed: Mapping[str, TypedColumn]) -> dict[str, Floats]:
        """Probabilities `(N, K)`, or values `(N,)` for a number, by model; unseen is missing.

        Raises:
            ValueError: a column of the training rows is not among the given ones.
        """
        frame = _aligned(design_frame(typed, self.schema), self.frame_columns, self.categories)
        return {name: self._scores(model, frame) for name, model in self.models.items()}

    def _scores(self, model: Any, frame: pd.DataFrame) -> Floats:
        if self.kind == "scalar":
            return np.asarray(model.predict(frame), dtype=np.float64)
        probabilities = np.zeros((len(frame), self.n_classes))
        probabilities[:, np.asarray(model.classes_, dtype=np.int64)] = model.predict_proba(frame)
        return probabilities


def _aligned(
    frame: pd.DataFrame, columns: list[str], categories: dict[str, list[str]]
) -> pd.DataFrame:
    missing = [name for name in columns if name not in frame]
    if missing:
        raise ValueError(f"columns that the baselines were fitted with are missing: {missing}")
    # Positional names: LightGBM refuses some signs in the names of columns.
    return pd.DataFrame(
        {
            f"c{i}": (
                pd.Categorical(frame[name], categories=pd.Index(categories[name], dtype=object))
                if name in categories
                else frame[name].to_numpy(dtype=np.float64)
            )
            for i, name in enumerate(columns)
        }
    )


def fit_baselines(
    train: Mapping[str, TypedColumn],
    y_N: ArrayLike,
    kind: TargetKind,
    seed: int = 42,
    schema: TableSchema | None = None,
    most_rows: int = MOST_ROWS,
) -> Baselines:
    """Fit a linear and a boosted model without any tuning (PRED-7).

    `linear`: logistic regression (ridge for numbers) on one-hot categories seen at least 5 times,
    standardised numbers and their 10 quantile bins. `lightgbm`: native categoricals, stopped early
    on an inner 15 % of the rows, at most 2,000 trees per class; left out with more than 20 classes, and where
    the rest has one class only or none of the inner part's. One that cannot be fitted is left out with a remark.

    Args:
        train: parsed training columns, without the target.
        y_N: class numbers 0 … K-1, or numbers.
        most_rows: of more, so many are drawn (`peers.draw`); fewer where more than 100 classes take the linear
            model's time.

    Raises:
        ValueError: no columns, or only one class.
    """
    from lightgbm.basic import LightGBMError

    frame = design_frame(train, schema)
    if frame.shape[1] == 0:
        raise ValueError("there is no column to fit the baselines on")
    scalar = kind == "scalar"
    y = np.asarray(y_N, dtype=np.float64 if scalar else np.int64)
    if not scalar and len(np.unique(y)) < 2:
        raise ValueError("the training rows hold only one class")
    n_classes, n_rows = 0 if scalar else int(y.max()) + 1, len(y)
    most = most_rows * MOST_LINEAR_CLASSES // max(n_classes, MOST_LINEAR_CLASSES)
    drawn = draw(np.random.default_rng(seed), np.arange(n_rows), most, y, max(n_classes, 1))
    frame, y = frame.iloc[drawn.rows], y[drawn.rows]
    categories = {
        name: [str(value) for value in frame[name].cat.categories]
        for name in frame.columns
        if isinstance(frame[name].dtype, pd.CategoricalDtype)
    }
    columns = [str(name) for name in frame.columns]
    # A column without any value has neither bins nor a mean.
    columns = [name for name in columns if frame[name].notna().any()]
    categories = {name: values for name, values in categories.items() if name in columns}
    design = _aligned(frame, columns, categories)
    models: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    remarks: dict[str, str] = {}
    for name, fit in ((LINEAR, _fit_linear), (BOOSTED, _fit_boosted)):
        if name == BOOSTED and n_classes > MOST_CLASSES:
            remarks[name] = f"left out, the target has more than {MOST_CLASSES} classes"
            continue
        if len(y) < n_rows:
            remarks[name] = f"learned from {len(y):,} of {n_rows:,} rows"
        started = time.perf_counter()
        try:
            model = fit(design, y, scalar, seed, drawn.weights)
        except (ValueError, IndexError, ArithmeticError, LightGBMError) as error:
            # A yardstick stops no training.
            remarks[name] = (
                f"left out, it cannot be fitted: {(str(error) or repr(error)).splitlines()[0]}"
            )
            continue
        if model is None:
            remarks[name] = "left out, too few rows of its classes to tell when to stop"
            continue
        models[name] = model
        seconds[name] = time.perf_counter() - started
    return Baselines(kind, n_classes, schema, columns, categories, models, seconds, remarks)


def _fit_linear(
    design: pd.DataFrame, y: NDArray[Any], scalar: bool, seed: int, weights_N: Floats | None
) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler

    sets = [c for c in design.columns if isinstance(design[c].dtype, pd.CategoricalDtype)]
    numbers = [c for c in design.columns if c not in sets]
    bins = KBinsDiscretizer(
        _BINS, encode="onehot", quantile_method="averaged_inverted_cdf", random_state=seed
    )
    encode = ColumnTransformer(
        [
            (
                "sets",
                OneHotEncoder(min_frequency=_MIN_FREQUENCY, handle_unknown="infrequent_if_exist"),
                sets,
            ),
            (
                "numbers",
                make_pipeline(
                    SimpleImputer(strategy="median", add_indicator=True), StandardScaler()
                ),
                numbers,
            ),
            (
                "bins",
                # Scaled before, as bins narrower than 1e-8 are taken for none.
                make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), bins),
                numbers,
            ),
        ]
    )
    last = Ridge() if scalar else LogisticRegression(C=_INVERSE_PENALTY, max_iter=1000)
    model = make_pipeline(encode, last)
    with warnings.catch_warnings():
        # Few distinct numbers give fewer bins than asked for, which is what is wanted.
        warnings.filterwarnings("ignore", message="Bins whose width are too small")
        warnings.filterwarnings("ignore", message="Feature .* is constant")
        with unsettled_is_fine():
            # Classes alone are drawn with weights.
            weighted = {} if weights_N is None else {"logisticregression__sample_weight": weights_N}
            return model.fit(design, y, **weighted)


def _fit_boosted(
    design: pd.DataFrame, y: NDArray[Any], scalar: bool, seed: int, weights_N: Floats | None
) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping
    from sklearn.model_selection import train_test_split

    rarest = 0 if scalar else np.bincount(y)[np.unique(y)].min()
    inner, held = train_test_split(
        np.arange(len(y)),
        test_size=_INNER_SHARE,
        random_state=seed,
        stratify=y if rarest > 1 and len(y) * _INNER_SHARE >= len(np.unique(y)) else None,
    )
    settings: dict[str, Any] = {
        "n_estimators": _MAX_TREES,
        "random_state": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    model = (LGBMRegressor if scalar else LGBMClassifier)(**settings)
    if not scalar:
        # Early stopping cannot score a class that its model never met.
        held = held[np.isin(y[held], np.unique(y[inner]))]
        if not len(held) or len(np.unique(y[inner])) < 2:
            return None
    return model.fit(
        design.iloc[inner],
        y[inner],
        sample_weight=None if weights_N is None else weights_N[inner],
        eval_sample_weight=None if weights_N is None else [weights_N[held]],
        eval_X=design.iloc[held],
        eval_y=y[held],
        callbacks=[early_stopping(_PATIENCE, verbose=False)],
    )
