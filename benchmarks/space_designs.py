"""What a table is without a space: one-hot and scaled, piecewise-linear, their main components, skrub's vectors,
an autoencoder's code. Each learns from the training rows alone.

Legend: N rows · F features.
"""

from __future__ import annotations

import warnings
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from featrix_core.input_data_set import as_table
from featrix_core.predictor.baselines import design_frame
from featrix_core.tables.build import build_schema, typed_columns

Matrix: TypeAlias = NDArray[np.float64]
Pair: TypeAlias = tuple[Matrix, Matrix]

BINS = 48
"""Piecewise-linear bins per number: as many as the space's codecs take."""
WIDTH = 832
"""Main components and width of the autoencoder's code: the width of a space's row embedding."""
RARE = 5
"""A category seen less often counts among the infrequent ones."""


def parsed(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both parts as numbers (NaN where missing) and categoricals, typed as the training rows say.

    Texts are their 50 most frequent values, timestamps their parts.
    """
    schema = build_schema(as_table(train))
    frames = [design_frame(typed_columns(as_table(f), schema), schema) for f in (train, test)]
    kept = [c for c in frames[0].columns if frames[0][c].notna().any()]
    first, second = frames[0][kept], frames[1][kept].copy()
    for name in kept:
        if isinstance(first[name].dtype, pd.CategoricalDtype):
            second[name] = second[name].cat.set_categories(first[name].cat.categories)
    return first, second


class PiecewiseLinear:
    """A number as its filling of bins: half of the edges follow the rows, half the distinct values."""

    def __init__(self, values_N: Matrix) -> None:
        there = values_N[np.isfinite(values_N)]
        unique = np.unique(there)
        if len(unique) <= BINS:
            self.edges = np.append(unique, unique[-1] + 1.0)
        else:
            half = np.linspace(0, 1, BINS // 2 + 1)
            both = np.concatenate([np.quantile(there, half), np.quantile(unique, half)])
            self.edges = np.unique(both)

    def transform(self, values_N: Matrix) -> Matrix:
        """(N, bins); zeros where missing."""
        place = np.interp(values_N, self.edges, np.arange(len(self.edges), dtype=np.float64))
        filled = np.clip(place[:, None] - np.arange(len(self.edges) - 1), 0.0, 1.0)
        return np.where(np.isfinite(values_N)[:, None], filled, 0.0)


def one_hot(train: pd.DataFrame, test: pd.DataFrame, *, bins: bool) -> Pair:
    """Frames of `parsed` as one-hot categories and standardised numbers with missing flags; `bins`: their
    piecewise-linear bins as well."""
    parts: tuple[list[Matrix], list[Matrix]] = ([], [])
    for name in train.columns:
        own, other = train[name], test[name]
        if isinstance(own.dtype, pd.CategoricalDtype):
            found = _categories(own, other)
        else:
            found = _numbers(own.to_numpy(np.float64), other.to_numpy(np.float64), bins)
        for part, matrix in zip(parts, found, strict=True):
            part.append(matrix)
    return np.concatenate(parts[0], axis=1), np.concatenate(parts[1], axis=1)


def _categories(train: pd.Series, test: pd.Series) -> Pair:
    counts = np.bincount(train.cat.codes.to_numpy() + 1, minlength=len(train.cat.categories) + 1)
    enough = np.flatnonzero(counts >= min(RARE, len(train) // 20 + 1))
    place = np.full(len(counts), len(enough))
    place[enough] = np.arange(len(enough))

    def spread(column: pd.Series) -> Matrix:
        ones: Matrix = np.eye(len(enough) + 1)[place[column.cat.codes.to_numpy() + 1]]
        return ones

    return spread(train), spread(test)


def _numbers(train: Matrix, test: Matrix, bins: bool) -> Pair:
    median = float(np.nanmedian(train))
    filled = np.where(np.isnan(train), median, train)
    mean, scale = filled.mean(), filled.std() or 1.0
    edges = PiecewiseLinear(train) if bins else None

    def spread(values: Matrix) -> Matrix:
        missing = np.isnan(values)
        z = (np.where(missing, median, values) - mean) / scale
        parts = [z[:, None], missing[:, None].astype(np.float64)]
        return np.concatenate(parts if edges is None else [*parts, edges.transform(values)], axis=1)

    return spread(train), spread(test)


def main_components(pair: Pair, seed: int) -> Pair:
    """At most `WIDTH` main components."""
    from sklearn.decomposition import PCA

    count = min(WIDTH, *pair[0].shape)
    model = PCA(count, random_state=seed).fit(pair[0])
    return model.transform(pair[0]), model.transform(pair[1])


def skrub_vectors(train: pd.DataFrame, test: pd.DataFrame) -> Pair:
    """skrub's `TableVectorizer` on the raw columns, gaps filled with the median, standardised."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from skrub import TableVectorizer

    model = make_pipeline(
        TableVectorizer(n_jobs=1), SimpleImputer(strategy="median"), StandardScaler()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted: Any = model.fit_transform(train)
        return np.asarray(fitted, np.float64), np.asarray(model.transform(test), np.float64)


def autoencoder(pair: Pair, seed: int, updates: int) -> Pair:
    """Code (`WIDTH`) of a plain autoencoder, 256 – code – 256 with ReLU, squared error on the features, AdamW
    1e-3 falling along a cosine, batches of 256."""
    train_NF = torch.from_numpy(pair[0]).float()
    features = train_NF.shape[1]
    generator = torch.Generator().manual_seed(seed)
    before = torch.get_rng_state()
    torch.manual_seed(seed)
    encode = nn.Sequential(nn.Linear(features, 256), nn.ReLU(), nn.Linear(256, WIDTH))
    decode = nn.Sequential(nn.ReLU(), nn.Linear(WIDTH, 256), nn.ReLU(), nn.Linear(256, features))
    torch.set_rng_state(before)
    parameters = [*encode.parameters(), *decode.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    for _ in range(updates):
        batch = train_NF[torch.randint(len(train_NF), (256,), generator=generator)]
        loss = nn.functional.mse_loss(decode(encode(batch)), batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        codes = [encode(torch.from_numpy(part).float()).double().numpy() for part in pair]
    return codes[0], codes[1]
