"""Probes: what a representation is worth to the simplest models. Every choice is made on the training rows.

All probes get the same treatment whatever they read: columns centred, and all of them divided by *one* number so
that their mean variance is 1. Columns are not standardised one by one: that would blow up the weakest directions
of an embedding.

- linear: logistic regression, C of 1e-4 … 1e2 by log loss over three inner folds; ridge, its penalty by
  leave-one-out.
- knn: Euclidean (on unit vectors: cosine), k of 5 … 100 by leave-one-out log loss or squared error.
- mlp: one hidden layer of 256, dropout 0.2, AdamW 1e-3, stopped early on a seventh; three of them averaged.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss, r2_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors
from torch import nn

from benchmarks.space_data import Labels
from benchmarks.space_designs import Matrix, Pair

PENALTIES = np.logspace(-4, 2, 7)
NEIGHBOURS = (5, 10, 20, 50, 100)
MLPS = 3


def score(y_N: Labels, said_N: Matrix, classes: bool) -> float:
    """AUC of scores, or R² of numbers."""
    return float(roc_auc_score(y_N, said_N) if classes else r2_score(y_N, said_N))


def scaled(pair: Pair) -> Pair:
    """Centred, and of mean variance 1."""
    mean = pair[0].mean(axis=0)
    size = float(np.sqrt(((pair[0] - mean) ** 2).mean())) or 1.0
    return (pair[0] - mean) / size, (pair[1] - mean) / size


def linear(pair: Pair, y_N: Labels, classes: bool, seed: int = 42) -> Matrix:
    """What logistic regression or ridge says of the test rows (log odds, or numbers)."""
    train, test = scaled(pair)
    if not classes:
        model = RidgeCV(np.logspace(-3, 5, 17)).fit(train, y_N)
        return np.asarray(model.predict(test))
    inner = min(3, int(np.bincount(y_N.astype(int)).min()))
    losses = np.zeros(len(PENALTIES))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if inner > 1:
            folds = StratifiedKFold(inner, shuffle=True, random_state=seed)
            for fit, held in folds.split(train, y_N):
                grown: Any = LogisticRegression(max_iter=300, warm_start=True)
                for k, penalty in enumerate(
                    PENALTIES
                ):  # from strong to weak: each starts at the last
                    grown.set_params(C=penalty).fit(train[fit], y_N[fit])
                    chance = grown.predict_proba(train[held])[:, 1]
                    losses[k] += log_loss(y_N[held], chance, labels=[0.0, 1.0])
        best = PENALTIES[int(losses.argmin())] if inner > 1 else 1e-2
        model = LogisticRegression(C=best, max_iter=1000).fit(train, y_N)
    return np.asarray(model.decision_function(test))


def knn(pair: Pair, y_N: Labels, classes: bool) -> Matrix:
    """Mean label of the nearest training rows."""
    train, test = scaled(pair)
    most = min(max(NEIGHBOURS), len(train) - 1)
    index = NearestNeighbors(n_neighbors=most, algorithm="brute").fit(train)
    counts = [k for k in NEIGHBOURS if k <= most] or [most]

    def means(near: NDArray[Any]) -> list[Matrix]:
        sums = np.cumsum(y_N[near], axis=1)
        # A weak pull to the overall mean: no probability is 0 or 1, and ties are few.
        return [(sums[:, k - 1] + y_N.mean()) / (k + 1) for k in counts]

    own = means(index.kneighbors(return_distance=False))
    if classes:
        losses = [log_loss(y_N, said, labels=[0.0, 1.0]) for said in own]
    else:
        losses = [float(((said - y_N) ** 2).mean()) for said in own]
    return means(index.kneighbors(test, return_distance=False))[int(np.argmin(losses))]


def mlp(pair: Pair, y_N: Labels, classes: bool, seed: int = 42) -> Matrix:
    """Mean of three small networks (log odds, or numbers)."""
    train, test = (torch.from_numpy(part).float() for part in scaled(pair))
    mean, size = (0.0, 1.0) if classes else (float(y_N.mean()), float(y_N.std()) or 1.0)
    target = torch.from_numpy((y_N - mean) / size).float()
    before = torch.get_rng_state()
    said = torch.stack([_network(train, target, test, classes, seed + k) for k in range(MLPS)])
    torch.set_rng_state(before)
    return said.mean(dim=0).double().numpy() * size + mean


def _network(
    train_NF: torch.Tensor, y_N: torch.Tensor, test_NF: torch.Tensor, classes: bool, seed: int
) -> torch.Tensor:
    torch.manual_seed(seed)
    order = torch.randperm(len(train_NF))
    held, fit = order[: len(order) // 7], order[len(order) // 7 :]
    net = nn.Sequential(
        nn.Linear(train_NF.shape[1], 256), nn.ReLU(), nn.Dropout(0.2), nn.Linear(256, 1)
    )
    lose = nn.BCEWithLogitsLoss() if classes else nn.MSELoss()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
    best, waited, kept = float("inf"), 0, net.state_dict()
    for _ in range(200):
        net.train()
        for rows in fit[torch.randperm(len(fit))].split(128):  # type: ignore[no-untyped-call]
            loss = lose(net(train_NF[rows])[:, 0], y_N[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            now = float(lose(net(train_NF[held])[:, 0], y_N[held]))
        waited += 1
        if now < best:
            best, waited, kept = now, 0, copy.deepcopy(net.state_dict())
        if waited >= 12:
            break
    net.load_state_dict(kept)
    net.eval()
    with torch.no_grad():
        return torch.as_tensor(net(test_NF)[:, 0])


def probe_scores(
    pair: Pair, y_N: Labels, test_y_N: Labels, classes: bool, seed: int = 42
) -> dict[str, float]:
    """Scores of all three probes on the test rows."""
    said = {
        "linear": linear(pair, y_N, classes, seed),
        "knn": knn(pair, y_N, classes),
        "mlp": mlp(pair, y_N, classes, seed),
    }
    return {name: score(test_y_N, values, classes) for name, values in said.items()}
