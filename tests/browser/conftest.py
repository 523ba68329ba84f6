"""A real browser, and a report made from the flights sample with scikit-learn's models."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, sync_playwright
from sklearn.decomposition import PCA
from sklearn.metrics import (
    mutual_info_score,
)
from sklearn.preprocessing import StandardScaler

from featrix_core.report.content import ReportContent
from tests.browser.flights_targets import compared, delays, late_flights

FLIGHTS = Path(__file__).parents[2] / "examples" / "data" / "flights" / "flights.parquet"
FLAGS = [
    "--no-sandbox",
    # A software renderer for WebGL: the sphere must also draw where there is no graphics card.
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.fail("no `chromium` on the PATH: run `make test`, whose set-up installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, headless=True, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def content() -> ReportContent:
    """Every section that a report can have, from real flights and real (small) models."""
    flights = pd.read_parquet(FLIGHTS)
    numbers = ["month", "dep_time", "dep_delay", "arr_delay", "air_time", "distance", "hour"]
    flights = flights.dropna(subset=[*numbers, "late"]).reset_index(drop=True)
    late = (flights["late"] == "yes").to_numpy()
    names = ["month", "dep_time", "dep_delay", "distance", "air_time", "hour", "minute"]
    x = StandardScaler().fit_transform(flights[names].to_numpy(dtype=float))
    x[:, 2] = np.clip(x[:, 2], -1.0, 0.6)
    train = np.random.default_rng(42).random(len(x)) < 0.6
    return ReportContent.model_validate(
        {
            "title": "Late flights from New York",
            "subtitle": "4,000 departures of 2013, an embedding space, two predictors on top of it",
            "created": "1 October 2025 · run 7f3a",
            "key_figures": [
                {"name": "rows", "value": len(flights)},
                {"name": "columns in the space", "value": 9, "note": "of 13; 4 stay out"},
                {"name": "AUC for late", "value": 0.9245, "interval": [0.9125, 0.9355]},
                {"name": "calibration error", "value": 0.0212, "note": "after isotonic"},
                {"name": "verdict", "value": "promoted to champion"},
            ],
            "steps": [
                {"name": "ingest", "seconds": 2.31},
                {"name": "join-validate", "seconds": 0.42, "note": "3 joins"},
                {"name": "train-embedding-space", "seconds": 61.2, "note": "40 epochs"},
                {"name": "extend", "seconds": 22.0},
                {"name": "train-predictor", "seconds": 34.9},
                {"name": "calibrate", "seconds": 1.1},
                {"name": "batch-score", "seconds": 3.2, "note": "4,000 rows"},
            ],
            "notices": [
                {
                    "code": "missing",
                    "column": "tailnum",
                    "message": "0.6 % of the cells are empty",
                    "action": "kept; empty cells have a token of their own",
                },
                {"code": "drift", "message": "Validation holds 2 carriers that training lacks"},
            ],
            "columns": _columns(flights, names),
            "joins": _joins(),
            "timeline": _timeline(40, heads=True),
            "movie": _movie(flights, x),
            "pairs": _pairs(names),
            "plan": [
                {
                    "name": "batch size",
                    "value": "256 rows",
                    "reason": "a quarter of a small table, 256 at most",
                    "source": "128",
                    "why": "few updates have to see many rows each",
                },
                {"name": "dropout", "value": "0", "reason": "a short training needs none"},
            ],
            "sphere": _sphere(flights, x),
            "mutual_information": _information(flights, names),
            "targets": [
                late_flights(flights, x, late, train, names, _timeline(25)),
                delays(flights, x, train),
            ],
            "extension": {
                "note": "Two engineered columns were added to the space.",
                "metrics": [
                    compared("late", "roc_auc", 0.9245, 0.9338, (0.0021, 0.0165), "better"),
                    compared("late", "log_loss", 0.4312, 0.4299, (-0.006, 0.0034), ""),
                    compared("arr_delay", "rmse", 16.9, 17.4, (0.1, 0.9), "worse"),
                ],
                "new_columns": [
                    {
                        "name": "dep_delay_per_mile",
                        "type": "scalar",
                        "missing_share": 0.002,
                        "n_unique": 3120,
                        "evidence": "ratio of dep_delay and distance",
                        "decision": "added",
                    }
                ],
            },
            "lineage": {
                "nodes": [
                    {"id": "d", "label": "flights.parquet", "kind": "data", "detail": "sha 41c09e"},
                    {"id": "p", "label": "planes.parquet", "kind": "data", "detail": "sha 9d02b7"},
                    {"id": "r", "label": "run 7f3a", "kind": "run", "detail": "125 s"},
                    {"id": "s", "label": "space v3", "kind": "space", "detail": "128 dimensions"},
                    {"id": "e", "label": "space v4", "kind": "space", "detail": "+ 2 columns"},
                    {"id": "l", "label": "late v4", "kind": "predictor", "detail": "champion"},
                    {"id": "a", "label": "arr_delay v1", "kind": "predictor"},
                ],
                "edges": [
                    {"source": a, "target": b} for a, b in ("dr", "pr", "rs", "se", "el", "ea")
                ],
            },
        }
    )


def _columns(flights: pd.DataFrame, names: list[str]) -> dict[str, Any]:
    kept = [
        {
            "name": name,
            "type": "scalar" if name in names else "set",
            "evidence": "all cells are numbers" if name in names else "few distinct values",
            "missing_share": float(flights[name].isna().mean()),
            "n_unique": int(flights[name].nunique()),
            "statistics": f"median {flights[name].median():g}" if name in names else "",
        }
        for name in [*names, "carrier", "origin"]
    ]
    parts = {"uniqueness": 0.3, "meaning": 0.38, "pattern": 0.0, "name": 0.1}
    dropped = {
        "name": "tailnum",
        "reason": "identifier",
        "score": 0.78,
        "score_parts": parts,
        "message": "nearly every value occurs once",
    }
    uniform = {"name": "year", "reason": "uniform", "message": "every cell is 2013"}
    return {"kept": kept, "dropped": [dropped, uniform], "n_rows": len(flights)}


def _joins() -> list[dict[str, Any]]:
    found = {
        "level": "warning",
        "message": "15.4 % of the flights find no plane",
        "remedy": "Use a left join and treat the empty cells as missing.",
    }
    planes = {"left": "flights", "right": "planes", "keys": ["tailnum"], "findings": [found]}
    airlines = {"left": "flights", "right": "airlines", "keys": ["carrier"], "verdict": "ok"}
    cardinality = {"declared_cardinality": "many to one", "observed_cardinality": "many to one"}
    return [
        {**planes, **cardinality, "verdict": "warning", "coverage": 0.846},
        {**airlines, **cardinality, "coverage": 1.0},
    ]


def _timeline(epochs: int, heads: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    entries: list[dict[str, Any]] = []
    for k in range(epochs):
        share = k / (epochs - 1)
        loss = 1.1 + 2.4 * np.exp(-5 * share) + 0.03 * rng.normal()
        norm = 1.4 + 2 * np.exp(-4 * share) + 0.2 * rng.random()
        entry = {
            "epoch": k + 1,
            "learning_rate": 0.002 * (min(k, 4) / 4 if k < 4 else (1 + np.cos(3.1 * share)) / 2),
            "train_loss": loss,
            "validation_loss": loss + 0.05 + 0.25 * share**2,
            "dropout_rate": 0.5 - 0.05 * int(share * 5),
            "spread_loss": 0.4 * np.exp(-3 * share) + 0.01 * rng.random(),
            "spread_temperature": 0.2 - 0.13 * share,
            "gradients": {"unclipped_norm": norm, "clipped_norm": min(norm, 2.0)},
        }
        if k == 21:
            entry |= {"failures_detected": ["NO_LEARNING"], "corrective_actions": ["LR_BOOST_3X"]}
        if 21 < k < 30:
            entry |= {"corrective_actions": ["LR_BOOST_ACTIVE"]}
        if heads:
            seen = {"average_similarity": 0.3 * share, "status": "DIVERSE"}
            detail = {"min": 0.2 * share, "max": 0.75 * share, "advice": "one pair is alike"}
            entry |= {"head_diversity": seen | (detail if k % 10 == 9 else {})}
            entry |= {"val_set_resampled": k == 25}
        entries.append(entry)
    return {"epochs": entries, "best_epoch": round(0.8 * epochs)}


def _sphere(flights: pd.DataFrame, x: np.ndarray) -> dict[str, Any]:
    low = PCA(3, random_state=0).fit_transform(x)
    low = (low / np.linalg.norm(low, axis=1, keepdims=True))[:2000]
    hover = flights.head(2000).apply(
        lambda row: f"{row.carrier}{row.flight} to {row.dest}\ndeparted {row.dep_delay:+.0f} min",
        axis=1,
    )
    return {
        "points": low.tolist(),
        "labels": flights["origin"].head(2000).tolist(),
        "colour_name": "the airport of departure",
        "hover": hover.tolist(),
        "n_rows": len(flights),
    }


def _movie(flights: pd.DataFrame, x: np.ndarray) -> dict[str, Any]:
    """Rows that walk from random places to where PCA puts them."""
    rows = np.arange(0, len(x), len(x) // 300)[:300]
    end = PCA(3, random_state=0).fit_transform(x)[rows]
    end /= np.linalg.norm(end, axis=1, keepdims=True)
    start = np.random.default_rng(3).normal(size=end.shape)
    shares = np.linspace(0, 1, 21)[:, None, None]
    frames = (1 - shares) * start + 3 * shares * end
    frames /= np.linalg.norm(frames, axis=2, keepdims=True)
    return {
        "frames": frames.tolist(),
        "epochs": list(range(0, 41, 2)),
        "losses": [None, *np.linspace(3.2, 1.1, 20).tolist()],
        "labels": flights["origin"].iloc[rows].tolist(),
        "colour_name": "the airport of departure",
        "n_rows": len(flights),
    }


def _pairs(names: list[str]) -> dict[str, Any]:
    rng = np.random.default_rng(11)
    entries: list[dict[str, Any]] = []
    both = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    for k, (a, b) in enumerate(both):
        mean, half = 0.02 - 0.0018 * k + 0.004 * rng.normal(), 0.004 + 0.008 * rng.random()
        interval = [mean - half, mean + half]
        lifts = [{"helps": c, "mean": mean / 2, "interval": interval} for c in (a, b)]
        kept = k < 8
        entries.append(
            {
                "columns": [a, b],
                "lifts": lifts,
                "total": mean,
                "interval": interval,
                "score": mean - half,
                "paired": int(4 + 9 * rng.random()),
                "unpaired": int(5 + 20 * rng.random()),
                "decision": "PROTECT" if k < 2 else "KEEP" if kept else "PRUNE",
                "kept": kept,
                "reason": f"{a} gains most, {mean:+.4f} per period",
            }
        )
    unknown = {"columns": ["late", "year"], "decision": "EXPLORE", "kept": False}
    text = "Scores of 21 column pairs against their lifts in held-out periods: rho 0.31 (p = 0.2)."
    return {
        "entries": [*entries, {**unknown, "reason": "nothing is known of it"}],
        "validation": {"rho": 0.31, "verdict": "warning", "text": text},
        "note": "40 periods of 15 updates; 21 of 22 pairs were tried, 8 are kept.",
    }


def _information(flights: pd.DataFrame, names: list[str]) -> dict[str, Any]:
    codes = {name: pd.qcut(flights[name], 12, labels=False, duplicates="drop") for name in names}
    codes |= {n: pd.factorize(flights[n], sort=True)[0] for n in ("carrier", "origin", "late")}
    damp = np.linspace(1, 0.8, len(codes))
    bits = [
        [mutual_info_score(a, b) / np.log(2) * damp[i] for a in codes.values()]
        for i, b in enumerate(codes.values())
    ]
    return {"names": list(codes), "bits": bits}
