"""The power-law exponent is that of known laws, and stands in every tenth entry when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import nn

from featrix_core import EmbeddingSpace
from featrix_core.training.spectrum import SpectrumCheck, fit_power_law, spectrum


@pytest.mark.parametrize("alpha", [1.8, 2.5, 4.0])
def test_known_power_laws(alpha: float) -> None:
    """scipy's Pareto law has exponent b = alpha − 1."""
    values = stats.pareto(alpha - 1).rvs(4000, random_state=np.random.default_rng(1))
    fit = fit_power_law(values)
    assert fit.alpha == pytest.approx(alpha, rel=0.06)
    assert fit.distance < 0.03


def test_the_tail_is_found() -> None:
    """Below 5 the numbers are spread evenly; from there on they follow the law."""
    generator = np.random.default_rng(2)
    tail = 5.0 * stats.pareto(1.7).rvs(2000, random_state=generator)
    fit = fit_power_law(np.concatenate([generator.uniform(0.1, 5.0, 2000), tail]))
    assert 4.5 < fit.x_min < 8.0
    assert fit.alpha == pytest.approx(2.7, rel=0.06)


def test_scipy_agrees_on_a_given_tail() -> None:
    """With the tail that was found, scipy's own maximum-likelihood fit gives the same exponent."""
    values = stats.pareto(1.5, scale=2.0).rvs(500, random_state=np.random.default_rng(3))
    fit = fit_power_law(values)
    shape, _, _ = stats.pareto.fit(values[values >= fit.x_min], floc=0.0, fscale=fit.x_min)
    assert fit.alpha - 1.0 == pytest.approx(shape, rel=1e-3)


@pytest.mark.parametrize("values", [np.arange(1.0, 5.0), np.arange(0.0, 50.0)])
def test_what_cannot_be_fitted_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="positive numbers"):
        fit_power_law(values)


def planted(alpha: float, size: int = 200) -> torch.Tensor:
    """A matrix whose squared singular values are the quantiles of a power law."""
    torch.manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(size, size))[0] for _ in range(2))
    share = (torch.arange(size) + 0.5) / size
    eigenvalues = (1.0 - share) ** (-1.0 / (alpha - 1.0))
    return left @ torch.diag(eigenvalues.sqrt()) @ right


def test_matrices_of_known_spectrum() -> None:
    """A planted exponent is read off a matrix and a stack; a random matrix is far from the range."""
    module = nn.Module()
    module.heavy = nn.Parameter(planted(3.0))
    module.stack = nn.Parameter(torch.stack([planted(2.5), planted(2.5), planted(3.5)]))
    module.random = nn.Parameter(torch.randn(200, 100))
    module.small = nn.Parameter(torch.randn(200, 8))
    module.bias = nn.Parameter(torch.randn(200))
    found = spectrum(module)
    assert found["alpha"].keys() == {"heavy", "stack", "random"}
    assert found["alpha"]["heavy"] == pytest.approx(3.0, rel=0.1)
    assert found["alpha"]["stack"] == pytest.approx(2.5, rel=0.1)
    assert found["alpha"]["random"] > 4.0
    assert found["alpha_in_range"] == pytest.approx(2 / 3)
    assert found["alpha_mean"] == pytest.approx(np.mean(list(found["alpha"].values())))


def test_nothing_large_enough() -> None:
    found = spectrum(nn.Linear(4, 4))
    assert found == {"alpha": {}, "alpha_mean": None, "alpha_in_range": None}


@dataclass
class Seen:
    """A finished epoch."""

    epoch: int
    module: nn.Module
    entry: dict[str, Any] = field(default_factory=dict)


def test_every_tenth_epoch() -> None:
    check, module = SpectrumCheck(), nn.Linear(32, 32)
    seen = [Seen(epoch, module) for epoch in range(1, 31)]
    for one in seen:
        check(one)
    assert [one.epoch for one in seen if "spectrum" in one.entry] == [10, 20, 30]
    assert seen[9].entry["spectrum"] == spectrum(module)


def test_a_space_trains_as_without_it() -> None:
    """The option looks on: weights are the same bytes, and the figures are in the timeline."""
    torch.set_num_threads(1)
    frame = pd.DataFrame({"one": np.arange(24.0), "two": np.arange(24.0) % 5})
    watched = EmbeddingSpace(frame, n_epochs=10).train(on_epoch=SpectrumCheck())
    plain = EmbeddingSpace(frame, n_epochs=10).train()
    assert watched.timeline is not None and plain.timeline is not None
    assert [e["epoch"] for e in watched.timeline["timeline"] if "spectrum" in e] == [10]
    assert watched.timeline["timeline"][-1]["spectrum"]["alpha_mean"] > 1.0
    assert not any("spectrum" in e for e in plain.timeline["timeline"])
    assert np.array_equal(watched.encode(frame), plain.encode(frame))
