"""What a short training chooses: every strategy wins on a column made for it (ENC-1, ENC-2, ENC-3)."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from featrix_core import EmbeddingSpace, FeatrixInputDataSet
from featrix_core.input_data_set import as_table
from featrix_core.tables.build import typed_columns
from featrix_core.tables.schema import ColumnType

ROWS = 200
_WHO = ("The delivery man", "Our technician", "The old customer", "A neighbour")
_DID = ("complained about", "was pleased with", "asked for", "paid for")
_WHAT = ("the broken kitchen window", "a late train", "the invoice of March", "new leather shoes")
_TAGS = ("red", "heavy", "fragile", "cold", "sweet", "old")
_FOODS = {
    "fruit": ("apple", "pear", "plum", "cherry", "banana"),
    "vegetable": ("carrot", "onion", "potato", "cabbage", "leek"),
    "meat": ("beef", "pork", "chicken", "lamb", "ham"),
}
_TITLES = (
    "Software Engineer",
    "Nurse",
    "Truck Driver",
    "Accountant",
    "Primary School Teacher",
    "Chef",
)
_PLANTS = ("A14", "B07", "C33", "D90")
OVERRIDES = {
    "sentence": ColumnType.TEXT,
    "food": ColumnType.TEXT,
    "tags": ColumnType.LIST,
    "code": ColumnType.CODE,
    "hash": ColumnType.CODE,
    "who": ColumnType.SET,
    "plant": ColumnType.SET,
    "title": ColumnType.SET,
    "aisle": ColumnType.SET,
    "first": ColumnType.SET,
    "price": ColumnType.SCALAR,
}


def _frame() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    who, did, what, plant, title, year = (
        rng.integers(0, n, ROWS) for n in (len(_WHO), 4, 4, len(_PLANTS), len(_TITLES), 6)
    )
    tags = [rng.permutation(_TAGS)[: rng.integers(1, 4)].tolist() for _ in range(ROWS)]
    foods = [(aisle, food) for aisle, names in _FOODS.items() for food in names]
    chosen = rng.integers(0, len(foods), ROWS)
    return pd.DataFrame(
        {
            "sentence": [
                f"{_WHO[a]} {_DID[b]} {_WHAT[c]}, parcel {k}"
                for k, (a, b, c) in enumerate(zip(who, did, what, strict=True))
            ],
            "who": [_WHO[k] for k in who],
            "tags": [", ".join(parts) for parts in tags],
            "first": [parts[0] for parts in tags],
            # Letter of the plant, figures that say nothing, year.
            "code": [
                f"{'KQXZ'[p]}{rng.integers(100, 999)}-{18 + y}"
                for p, y in zip(plant, year, strict=True)
            ],
            "plant": [_PLANTS[k] for k in plant],
            "year": 2018.0 + year,
            "food": [f"{foods[k][1]} {n % 4}" for n, k in enumerate(chosen)],
            "aisle": [foods[k][0] for k in chosen],
            "hash": [hashlib.sha256(b"%d" % k).hexdigest()[:16] for k in range(ROWS)],
            "title": [_TITLES[k] for k in title],
            "price": np.exp(2.0 + 1.2 * plant + rng.normal(0.0, 0.6, ROWS)),
        }
    )


@pytest.fixture(scope="module")
def space() -> EmbeddingSpace:
    torch.set_num_threads(1)
    data = FeatrixInputDataSet(_frame(), overrides=OVERRIDES)
    return EmbeddingSpace(data, n_epochs=20, name="choices").train()


@pytest.fixture(scope="module")
def report(space: EmbeddingSpace) -> dict[str, dict[str, Any]]:
    rows = space.tokenizer.encode(typed_columns(as_table(_frame()), space.schema))
    return space.model.encoders.report(space.tokenizer, rows)


@pytest.mark.parametrize(
    ("column", "winners"),
    [
        ("tags", {"DELIM_ATTN", "DELIMITER"}),
        ("code", {"RADIX"}),
        ("sentence", {"STANDARD"}),
        ("food", {"AGGRESSIVE", "MODERATE"}),
        ("hash", {"ZERO"}),
    ],
)
def test_a_column_made_for_a_strategy(
    column: str, winners: set[str], report: dict[str, dict[str, Any]]
) -> None:
    kept = report[column]["strategies"]
    assert len(kept) <= 2
    assert sum(kept.values()) == pytest.approx(1.0, abs=1e-3)
    assert max(kept, key=kept.get) in winners


def test_a_heavy_tail_keeps_a_logarithm(report: dict[str, dict[str, Any]]) -> None:
    kept = report["price"]["strategies"]
    assert 3 <= len(kept) < 20
    assert {"log", "clipped_log", "yeojohnson", "rank", "quantile"} & set(list(kept)[:3])
    assert {"log", "clipped_log", "yeojohnson"} & set(kept)


def test_codes_are_learned_and_words_are_read(report: dict[str, dict[str, Any]]) -> None:
    assert report["plant"]["learned_share"] > 0.7
    for column in ("who", "aisle", "first", "title"):
        assert report[column]["learned_share"] < 0.5, column
    for column in ("price", "year"):
        assert 0.1 < report[column]["continuous_share"] < 0.9


def _title_tokens(space: EmbeddingSpace, titles: list[str]) -> Tensor:
    rows = _frame().iloc[: len(titles)].assign(title=titles)
    batch = space.tokenizer.encode(typed_columns(as_table(rows), space.schema))
    with torch.no_grad():
        tokens: Tensor = space.model.encoders(batch)
    return tokens[:, space.column_names.index("title")]


@pytest.mark.parametrize(
    ("unseen", "relative"),
    [
        ("Senior Software Engineer", "Software Engineer"),
        ("Head Nurse", "Nurse"),
        ("Bus Driver", "Truck Driver"),
        ("Secondary School Teacher", "Primary School Teacher"),
    ],
)
def test_an_unseen_title_lands_next_to_its_relative(
    unseen: str, relative: str, space: EmbeddingSpace
) -> None:
    tokens = _title_tokens(space, [unseen, *_TITLES])
    away = (tokens[1:] - tokens[0]).norm(dim=-1)
    assert _TITLES[int(away.argmin())] == relative
    cosine = torch.nn.functional.cosine_similarity(tokens[1:], tokens[:1], dim=-1)
    assert _TITLES[int(cosine.argmax())] == relative


def test_what_was_chosen_survives_saving(
    space: EmbeddingSpace, report: dict[str, dict[str, Any]], tmp_path: object
) -> None:
    space.save(f"{tmp_path}/space")
    loaded = EmbeddingSpace.load(f"{tmp_path}/space")
    rows = loaded.tokenizer.encode(typed_columns(as_table(_frame()), loaded.schema))
    assert loaded.model.encoders.report(loaded.tokenizer, rows) == report
    loaded.model.encoders.mature(50, 0.99)
    assert loaded.model.encoders.report(loaded.tokenizer, rows) == report
