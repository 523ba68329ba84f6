"""Spectra of weight matrices: the power-law exponent alpha, target 2 to 4 (TRAIN-4, D10 "WeightWatcher").

The eigenvalues of WᵀW of a well-trained layer fall off as a power law, density ~ λ^(−alpha). Under 2 a few
directions carry all of it, over about 6 the matrix still looks random. An option that only looks on: pass
`SpectrumCheck()` as `on_epoch` to `EmbeddingSpace.train` or to the loop.

Legend: S matrices of a stack · O, I its sides · K eigenvalues, ascending.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

LOWEST, HIGHEST = 2.0, 4.0
"""The range of alpha that D10 aims at."""
EVERY = 10
FEWEST = 20
"""Eigenvalues that a matrix needs to be fitted at all; fewer say nothing of a tail."""
TAIL = 10
"""Eigenvalues that the tail keeps at least."""


class EpochSeen(Protocol):
    """What the check needs to know of a finished epoch (`training.protocols.EpochDone`)."""

    @property
    def epoch(self) -> int:
        """Number of the epoch."""

    @property
    def entry(self) -> dict[str, Any]:
        """The epoch's entry in the timeline."""

    @property
    def module(self) -> nn.Module:
        """What is trained."""


@dataclass(frozen=True)
class PowerLaw:
    """Fit of a power law to a tail: its exponent, where the tail begins, and how far off the fit is (KS)."""

    alpha: float
    x_min: float
    distance: float


def fit_power_law(values_K: NDArray[np.float64]) -> PowerLaw:
    """Maximum-likelihood exponent; the tail begins where the Kolmogorov–Smirnov distance is least.

    The estimator of Clauset, Shalizi and Newman, which the `powerlaw` and `weightwatcher` packages use.

    Args:
        values_K: at least `TAIL` positive numbers, in any order.

    Raises:
        ValueError: fewer numbers, or some that are not positive.
    """
    values_K = np.sort(np.asarray(values_K, dtype=np.float64))
    if len(values_K) < TAIL or values_K[0] <= 0.0:
        raise ValueError(f"A power law is fitted to at least {TAIL} positive numbers")
    logs_K = np.log(values_K)
    # Tails are the suffixes; every sum of logarithms is a difference of two cumulated ones.
    starts = np.arange(len(values_K) - TAIL + 1)
    sizes = len(values_K) - starts
    sums = np.cumsum(logs_K[::-1])[::-1][starts] - sizes * logs_K[starts]
    alphas = 1.0 + sizes / np.maximum(sums, 1e-12)
    distances = np.array(
        [
            _distance(logs_K[start:] - logs_K[start], alpha)
            for start, alpha in zip(starts, alphas, strict=True)
        ]
    )
    best = int(np.argmin(distances))
    return PowerLaw(float(alphas[best]), float(values_K[best]), float(distances[best]))


def _distance(excess_K: NDArray[np.float64], alpha: float) -> float:
    """Largest gap between the tail's own distribution and the power law's."""
    law_K = 1.0 - np.exp(-(alpha - 1.0) * excess_K)
    size = len(excess_K)
    steps = np.arange(size + 1) / size
    return float(max(np.max(steps[1:] - law_K), np.max(law_K - steps[:-1])))


def _spectra(weight: Tensor) -> NDArray[np.float64]:
    """Eigenvalues (S, K) of a matrix, or of every matrix of a stack (encoders keep one per column)."""
    stack_SOI = weight.detach().reshape(-1, *weight.shape[-2:]).double().cpu()
    values = torch.linalg.svdvals(stack_SOI) ** 2
    found: NDArray[np.float64] = values.numpy()
    return found


def spectrum(module: nn.Module) -> dict[str, Any]:
    """Alpha of every weight matrix that is large enough; of a stack of matrices the median.

    Returns:
        `alpha`: name → exponent, sorted by name; `alpha_mean`, None where no matrix was fitted; and
        `alpha_in_range`, the share of matrices within 2 to 4.
    """
    alphas: dict[str, float] = {}
    for name, weight in sorted(module.named_parameters()):
        if weight.ndim < 2 or min(weight.shape[-2:]) < FEWEST:
            continue
        fitted = []
        for values_K in _spectra(weight):
            # Directions that were never used are numerically zero and belong to no law.
            used_K = values_K[values_K > 1e-10 * max(values_K.max(), 1e-300)]
            if len(used_K) >= FEWEST:
                fitted.append(fit_power_law(used_K).alpha)
        if fitted:
            alphas[name] = float(np.median(fitted))
    found = np.array(list(alphas.values()))
    return {
        "alpha": alphas,
        "alpha_mean": float(found.mean()) if len(found) else None,
        "alpha_in_range": float(((found >= LOWEST) & (found <= HIGHEST)).mean())
        if len(found)
        else None,
    }


class SpectrumCheck:
    """Writes `spectrum` into the timeline's entry of every tenth epoch.

    >>> EmbeddingSpace(df).train(on_epoch=SpectrumCheck())
    """

    def __call__(self, done: EpochSeen) -> None:
        """Look at one finished epoch."""
        if done.epoch % EVERY == 0:
            done.entry["spectrum"] = spectrum(done.module)
