"""The others: linear, boosted trees with early stopping and tuned, RealMLP and TabM. None reads this project's space.

All get `peer_frames` and answer probabilities `(N, K)` or numbers `(N,)`. Trees have their libraries' default
settings and native categories, at most 2,000 trees, stopped after 50 without gain on a seventh of the training rows.
RealMLP and TabM have the defaults of pytabkit, which keep a fifth to stop on.
"""

from __future__ import annotations

import importlib.metadata
import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from benchmarks.quality_figures import Answers
from benchmarks.quality_sets import SMALL, peer_frames
from benchmarks.space_data import Labels, Rows
from benchmarks.space_designs import one_hot
from benchmarks.space_probes import PENALTIES, linear, scaled

MOST_TREES, PATIENCE, HELD = 2_000, 50, 1 / 7
TRIALS, INNER_FOLDS = 15, 3


@dataclass(frozen=True)
class Given:
    """What a peer is fitted on and asked for; `classes`: how many, 0 for a number; `quick`: hardly any training."""

    train: pd.DataFrame
    test: pd.DataFrame
    y_N: Labels
    classes: int
    seed: int
    threads: int
    quick: bool = False

    @property
    def labels_N(self) -> Any:
        """Class numbers 0 … K-1, or numbers."""
        return self.y_N.astype(np.int64) if self.classes else self.y_N

    @property
    def trees(self) -> int:
        """At most so many."""
        return 20 if self.quick else MOST_TREES

    def seventh(self) -> tuple[Rows, Rows]:
        """Rows to fit on and rows to stop on, the same for all trees; stratified for classes."""
        fit, stop = train_test_split(
            np.arange(len(self.y_N)),
            test_size=HELD,
            random_state=self.seed,
            stratify=self.y_N if self.classes else None,
        )
        return np.sort(fit), np.sort(stop)


Fitted = tuple[Callable[[pd.DataFrame], Any], dict[str, Any]]
"""A function that answers a frame, and notes."""


def peer_answers(
    method: str, train: pd.DataFrame, y_N: Labels, test: pd.DataFrame, **given: Any
) -> Answers:
    """A peer of `PEERS` on one fold. `given`: `classes`, `seed`, `threads`, `quick` of `Given`."""
    from threadpoolctl import threadpool_limits

    fit, package = PEERS[method]
    started = time.perf_counter()
    with threadpool_limits(given["threads"]):
        frames = peer_frames(train, test)
        asked = Given(*frames, y_N, **given)
        answer, notes = fit(asked)
        fitted = time.perf_counter()
        said = np.asarray(answer(asked.test), dtype=np.float64)
    if asked.classes:
        # 32-bit probabilities do not sum to one; the same for all.
        said = said / said.sum(axis=1, keepdims=True)
    return Answers(
        said.reshape(len(test), -1) if asked.classes else said.reshape(-1),
        fit_seconds=fitted - started,
        predict_seconds=time.perf_counter() - fitted,
        notes={package: importlib.metadata.version(package), **notes},
    )


# -- linear ---------------------------------------------------------------------------------------------


def _linear(given: Given) -> Fitted:
    """Logistic regression or ridge on one-hot categories, standardised numbers and their piecewise-linear bins; the
    penalty by log loss over three inner folds (above 5,000 rows: a seventh), or by leave-one-out."""
    pair = one_hot(given.train, given.test, bins=True)
    if not given.classes:
        said_N = linear(pair, given.y_N, classes=False)
        return lambda frame: said_N, {"features": pair[0].shape[1]}
    train, test = scaled(pair)
    y_N = given.labels_N
    if len(y_N) > SMALL:
        cuts = [given.seventh()]
    else:
        cuts = list(
            StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=given.seed).split(train, y_N)
        )
    losses = np.zeros(len(PENALTIES))
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # a fit that stops at its limit of steps is one more candidate
        for fit, held in cuts:
            grown = LogisticRegression(max_iter=300, warm_start=True)
            for k, penalty in enumerate(PENALTIES):  # from strong to weak: each starts at the last
                grown.set_params(C=penalty).fit(train[fit], y_N[fit])
                losses[k] += log_loss(
                    y_N[held], grown.predict_proba(train[held]), labels=np.unique(y_N)
                )
        best = float(PENALTIES[int(losses.argmin())])
        model = LogisticRegression(C=best, max_iter=1000).fit(train, y_N)
    return lambda frame: model.predict_proba(test), {"features": train.shape[1], "C": best}


# -- trees ----------------------------------------------------------------------------------------------


def _answering(model: Any, classes: int) -> Callable[[pd.DataFrame], Any]:
    answer: Callable[[pd.DataFrame], Any] = model.predict_proba if classes else model.predict
    return answer


def _lightgbm_model(given: Given, trees: int, **settings: Any) -> Any:
    import lightgbm

    kind: Any = lightgbm.LGBMClassifier if given.classes else lightgbm.LGBMRegressor
    return kind(
        n_estimators=trees, random_state=given.seed, verbose=-1, n_jobs=given.threads, **settings
    )


def _stopped(given: Given, fit: Rows, stop: Rows, **settings: Any) -> Any:
    """A LightGBM model fitted on some rows and stopped on others."""
    import lightgbm

    frame, y_N = _plain_names(given.train), given.labels_N
    return _lightgbm_model(given, given.trees, **settings).fit(
        frame.iloc[fit],
        y_N[fit],
        eval_X=frame.iloc[stop],
        eval_y=y_N[stop],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )


def _plain_names(frame: pd.DataFrame) -> pd.DataFrame:
    """LightGBM and XGBoost refuse some signs in the names of columns."""
    return frame.set_axis([f"c{k}" for k in range(frame.shape[1])], axis=1)


def _lightgbm(given: Given) -> Fitted:
    model = _stopped(given, *given.seventh())
    answer = _answering(model, given.classes)
    return lambda frame: answer(_plain_names(frame)), {"trees": int(model.best_iteration_)}


def _draw(rng: np.random.Generator) -> dict[str, Any]:
    """One candidate: rates and penalties are drawn evenly on a logarithmic scale."""

    def between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    return {
        "learning_rate": between(0.01, 0.2),
        "num_leaves": round(between(4, 128)),
        "min_child_samples": round(between(3, 100)),
        "colsample_bytree": float(rng.uniform(0.4, 1.0)),
        "subsample": float(rng.uniform(0.5, 1.0)),
        "subsample_freq": 1,
        "reg_lambda": between(1e-3, 10.0),
        "reg_alpha": between(1e-3, 10.0),
        "cat_smooth": between(1.0, 100.0),
    }


def _lightgbm_tuned(given: Given) -> Fitted:
    """Fifteen trials, the first with the default settings: log loss or squared error over three inner folds, each
    stopped early on its held-out rows; the best one again on all rows with the folds' mean number of trees."""
    rng = np.random.default_rng(given.seed)
    trials = [{}, *(_draw(rng) for _ in range((2 if given.quick else TRIALS) - 1))]
    split: Any = StratifiedKFold if given.classes else KFold
    folds = split(INNER_FOLDS, shuffle=True, random_state=given.seed)
    cuts = list(folds.split(given.train, given.labels_N))
    losses, counts = [], []
    for trial in trials:
        models = [_stopped(given, fit, held, **trial) for fit, held in cuts]
        # With one held-out part there is one name and one measure: the loss that was trained.
        losses.append(
            np.mean([next(iter(next(iter(m.best_score_.values())).values())) for m in models])
        )
        counts.append(max(1, round(np.mean([m.best_iteration_ for m in models]))))
    best = int(np.argmin(losses))
    model = _lightgbm_model(given, counts[best], **trials[best])
    model.fit(_plain_names(given.train), given.labels_N)
    answer = _answering(model, given.classes)
    notes = {"trees": counts[best], "trial": best, "settings": trials[best]}
    return lambda frame: answer(_plain_names(frame)), notes


def _xgboost(given: Given) -> Fitted:
    import xgboost

    fit, stop = given.seventh()
    frame, y_N = _plain_names(given.train), given.labels_N
    kind: Any = xgboost.XGBClassifier if given.classes else xgboost.XGBRegressor
    model = kind(
        n_estimators=given.trees,
        early_stopping_rounds=PATIENCE,
        enable_categorical=True,
        random_state=given.seed,
        n_jobs=given.threads,
        verbosity=0,
    )
    model.fit(frame.iloc[fit], y_N[fit], eval_set=[(frame.iloc[stop], y_N[stop])], verbose=False)
    answer = _answering(model, given.classes)
    return lambda frame: answer(_plain_names(frame)), {"trees": int(model.best_iteration) + 1}


def _with_missing(frame: pd.DataFrame) -> pd.DataFrame:
    """Missing categories as a category of their own, as CatBoost and pytabkit want them."""
    sets = [c for c in frame.columns if isinstance(frame[c].dtype, pd.CategoricalDtype)]
    return frame.assign(
        **{c: frame[c].astype(object).where(frame[c].notna(), "missing") for c in sets}
    )


def _catboost(given: Given) -> Fitted:
    import catboost

    fit, stop = given.seventh()
    frame, y_N = _with_missing(given.train), given.labels_N
    sets = [c for c in given.train if isinstance(given.train[c].dtype, pd.CategoricalDtype)]
    kind: Any = catboost.CatBoostClassifier if given.classes else catboost.CatBoostRegressor
    model = kind(
        iterations=given.trees,
        early_stopping_rounds=PATIENCE,
        cat_features=sets,
        random_seed=given.seed,
        thread_count=given.threads,
        verbose=False,
        allow_writing_files=False,
    )
    model.fit(frame.iloc[fit], y_N[fit], eval_set=(frame.iloc[stop], y_N[stop]))
    answer = _answering(model, given.classes)
    return lambda frame: answer(_with_missing(frame)), {"trees": int(model.tree_count_)}


# -- networks -------------------------------------------------------------------------------------------


def _filled(frame: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """pytabkit refuses missing numbers: the training median, and a flag where the training rows had gaps."""
    filled = _with_missing(frame)
    for name in like.columns:
        if isinstance(like[name].dtype, pd.CategoricalDtype):
            continue
        if like[name].isna().any():
            filled[f"{name} is missing"] = frame[name].isna().astype(np.float64)
        filled[name] = frame[name].fillna(like[name].median())
    return filled


def _pytabkit(given: Given, name: str) -> Fitted:
    import pytabkit

    for logger in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    kind = getattr(pytabkit, f"{name}_{'Classifier' if given.classes else 'Regressor'}")
    short = {"n_epochs": 2} if given.quick else {}
    model = kind(device="cpu", random_state=given.seed, n_threads=given.threads, **short)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(_filled(given.train, given.train), given.labels_N)
    answer = _answering(model, given.classes)

    def told(frame: pd.DataFrame) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return answer(_filled(frame, given.train))

    return told, {}


def _tabm(given: Given) -> Fitted:
    return _pytabkit(given, "TabM_D")


def _realmlp(given: Given) -> Fitted:
    return _pytabkit(given, "RealMLP_TD")


TUNED = "LightGBM, tuned"
PEERS: dict[str, tuple[Callable[[Given], Fitted], str]] = {
    "linear": (_linear, "scikit-learn"),
    "LightGBM": (_lightgbm, "lightgbm"),
    "XGBoost": (_xgboost, "xgboost-cpu"),
    "CatBoost": (_catboost, "catboost"),
    TUNED: (_lightgbm_tuned, "lightgbm"),
    "TabM": (_tabm, "pytabkit"),
    "RealMLP": (_realmlp, "pytabkit"),
}
"""Cheap ones first: how each is fitted, and the package that does it."""
NETWORKS = "TabM", "RealMLP"
