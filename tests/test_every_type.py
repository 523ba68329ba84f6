"""One table with a column of every type goes the whole way: schema, space, predictor, bundle, extension."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from featrix_core import EmbeddingSpace, FeatrixInputDataSet, SinglePredictor, SinglePredictorMLP
from featrix_core.input_data_set import as_table
from featrix_core.tables.schema import ColumnType

ROWS = 300
TEST_ROWS = 120
TARGET = "churned"
COLUMNS: dict[str, ColumnType] = {
    "monthly_fee": ColumnType.SCALAR,
    "channel": ColumnType.SET,
    "satisfaction": ColumnType.ORDINAL,
    "paperless": ColumnType.BOOLEAN,
    "signed_up": ColumnType.TIMESTAMP,
    "remark": ColumnType.TEXT,
    "letter": ColumnType.DOCUMENT,
    "options": ColumnType.LIST,
    "contract": ColumnType.CODE,
    "email": ColumnType.EMAIL,
    "company_domain": ColumnType.DOMAIN,
    "referrer_url": ColumnType.URL,
    "phone": ColumnType.PHONE,
    "address": ColumnType.ADDRESS,
    "usage_profile": ColumnType.VECTOR,
    "settings": ColumnType.JSON,
}
_REMARKS = (
    (
        "The invoice was wrong {} and nobody called back",
        "Connection drops {} since the last update",
    ),
    ("Very happy with the new router {}, thank you", "Friendly technician came {} and fixed it"),
)
_TIMES = ["today", "twice", "on Monday", "in March", "again", "last night", "this week", "at once"]
_LETTERS = (
    "I am writing to complain about the repeated outages of my line and about a bill that charges "
    "services which I never ordered; please cancel my contract at the earliest possible date. ",
    "Thank you for the quick help with moving my line to the new house; the installation went well "
    "and the whole family enjoys the fast connection and the new television package. ",
)
_OPTIONS = (
    ["paper bill", "roaming", "second line", "early exit", "basic support"],
    ["sports package", "static address", "family plan", "cloud backup", "premium support"],
)
_NAMES = ["anna", "bert", "carla", "dirk", "emma", "felix", "greta", "hugo", "ines", "jan"]
_MAILS = (["gmail.com", "yahoo.com", "gmx.de"], ["siemens.com", "bosch.com", "basf.com"])
_HOSTS = (
    ["shoes", "bargain", "toys", "outlet", "fashion"],
    ["physics", "library", "research", "faculty", "campus"],
)
_PATHS = (
    ["cancel/contract", "compare/prices", "complaints/form"],
    ["upgrade/fibre", "offers/family", "refer/friend"],
)
_STREETS = (
    ["High Street", "Church Road", "Mill Lane"],
    ["Maple Avenue", "Oak Drive", "Elm Street"],
)
_TOWNS = (
    ["London SW1A 1AA", "Leeds LS1 4AP", "Bristol BS1 5TR"],
    ["Austin, TX 78701", "Denver, CO 80202", "Portland, OR 97201"],
)


def _cell(name: str, side: int, rng: np.random.Generator) -> object:
    """A value of a column as customers of one side (0: they leave, 1: they stay) have it."""

    def one(*choices: list[str] | tuple[str, ...]) -> str:
        return str(rng.choice(choices[side if len(choices) > 1 else 0]))

    number = int(rng.integers(10, 40))
    match name:
        case "monthly_fee":
            return round(float(rng.normal(60 - 25 * side, 8)), 2)
        case "channel":
            return one(["street sale", "call centre", "discount portal"], ["own shop", "website"])
        case "satisfaction":
            return one(["very low", "low", "medium"], ["medium", "high", "very high"])
        case "paperless":
            return bool(side)
        case "signed_up":
            return f"{2016 + 4 * side + number % 3}-{1 + number % 12:02d}-{number % 28 + 1:02d} 09:30:00"
        case "remark":
            return one(*_REMARKS).format(f"{one(_TIMES)} and {one(_TIMES)}")
        case "letter":
            return f"Dear team in {one(['Kiel', 'Bonn', 'Ulm', 'Jena'])}, " + 4 * _LETTERS[side]
        case "options":
            chosen = rng.permutation(_OPTIONS[side])[: rng.integers(1, 4)]
            return "; ".join(str(option) for option in chosen)
        case "contract":
            return f"{'KX' if side else 'ZQ'}-{number * 131 % 10_000:04d}-{number % 7}{number % 3}"
        case "email":
            return f"{one(_NAMES)}.{number}@{one(*_MAILS)}"
        case "company_domain":
            return f"mail.{one(*_HOSTS)}{number}.{'edu' if side else 'shop'}"
        case "referrer_url":
            return f"https://www.example.com/{one(*_PATHS)}?page={number}"
        case "phone":
            return f"+49 30 90{number * 1231:06d}" if side else f"+1 212 55{number * 131:05d}"
        case "address":
            return f"{number} {one(*_STREETS)}, {one(*_TOWNS)}"
        case "usage_profile":
            return rng.normal(np.linspace(-1, 1, 8) * (2 * side - 1), 0.7).round(3).tolist()
        case "settings":
            devices = [{"kind": one(["phone", "tablet"], ["router", "tv"]), "age": number % 9}]
            calls = [int(x) for x in rng.integers(1, 9, rng.integers(1, 4))]
            plan = {"name": one(["basic", "prepaid"], ["premium", "family"]), "months": number}
            return json.dumps({"plan": plan, "devices": devices * (1 + number % 2), "calls": calls})
    raise KeyError(name)


def _table(rows: int, seed: int) -> pd.DataFrame:
    """Every column leans to its row's side in 88 of 100 cells; 6 of 100 are missing."""
    rng = np.random.default_rng(seed)
    sides = rng.integers(0, 2, rows)
    frame: dict[str, object] = {}
    for name in COLUMNS:
        shown = np.where(rng.random(rows) < 0.88, sides, 1 - sides).tolist()
        cells = [_cell(name, side, rng) for side in shown]
        gaps = rng.random(rows) < 0.06
        kept = [None if gap else cell for cell, gap in zip(cells, gaps, strict=True)]
        frame[name] = pd.Series(kept, dtype=object)
    frame[TARGET] = np.where(sides == 0, "yes", "no")
    return pd.DataFrame(frame)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    torch.set_num_threads(1)
    return _table(ROWS, 7)


@pytest.fixture(scope="module")
def unseen() -> pd.DataFrame:
    return _table(TEST_ROWS, 8)


@pytest.fixture(scope="module")
def space(rows: pd.DataFrame) -> EmbeddingSpace:
    data = FeatrixInputDataSet(rows, ignore_cols=[TARGET])
    return EmbeddingSpace(data, n_epochs=4, name="customers").train()


@pytest.fixture(scope="module")
def predictor(space: EmbeddingSpace, rows: pd.DataFrame) -> SinglePredictor:
    return SinglePredictorMLP(space, TARGET, fine_tune=False).train(rows, n_epochs=4)


def _accuracy(predictor: SinglePredictor, unseen: pd.DataFrame) -> float:
    said = predictor.predict_proba(unseen).argmax(axis=1)
    names = np.array(predictor.classes)
    return float((names[said] == unseen[TARGET].to_numpy()).mean())


def test_every_type_is_found(space: EmbeddingSpace) -> None:
    assert set(COLUMNS.values()) == set(ColumnType)
    assert {c.name: c.type for c in space.schema.columns} == COLUMNS
    assert [d.name for d in space.schema.dropped] == [TARGET]
    assert all(0 < c.n_missing < 0.2 * ROWS for c in space.schema.columns)


def test_rows_are_encoded(space: EmbeddingSpace, unseen: pd.DataFrame) -> None:
    vectors = space.encode(unseen.drop(columns=TARGET))
    assert vectors.shape == (TEST_ROWS, space.d_model)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert np.isfinite(space.mutual_information_matrix()).all()


def test_predictor_learns_and_explains_every_column(
    predictor: SinglePredictor, unseen: pd.DataFrame
) -> None:
    assert _accuracy(predictor, unseen) > 0.85
    responses = predictor.predict(unseen.iloc[:6])
    assert len(responses) == 6
    importance = predictor.explain_table(unseen.iloc[:60])
    assert set(importance.names) == set(COLUMNS)
    assert (np.abs(importance.values_NC).max(axis=0) > 0).all()


def test_a_loaded_predictor_says_the_same(
    predictor: SinglePredictor, unseen: pd.DataFrame, tmp_path: Path
) -> None:
    predictor.save(tmp_path / "predictor")
    loaded = SinglePredictor.load(tmp_path / "predictor")
    np.testing.assert_array_equal(loaded.predict_proba(unseen), predictor.predict_proba(unseen))


def test_rows_without_any_value_are_predicted(predictor: SinglePredictor) -> None:
    empty = pd.DataFrame({name: pd.Series([None, None], dtype=object) for name in COLUMNS})
    probabilities = predictor.predict_proba(empty)
    assert np.isfinite(probabilities).all()
    # Kernels may treat the rows of a batch differently in their last bits.
    np.testing.assert_allclose(probabilities[0], probabilities[1], atol=1e-6)


def test_a_table_without_rows_gives_no_answers(
    predictor: SinglePredictor, unseen: pd.DataFrame
) -> None:
    nothing = as_table(unseen).take(np.zeros(0, np.int64))
    assert predictor.predict(nothing) == []
    assert predictor.space.encode(nothing).shape == (0, predictor.space.d_model)


def test_space_is_extended_by_one_column_of_every_family(
    space: EmbeddingSpace, rows: pd.DataFrame, tmp_path: Path
) -> None:
    other = _table(ROWS, 9)
    added = ["monthly_fee", "channel", "signed_up", "options", "email", "settings"]
    wider = rows.drop(columns=TARGET).assign(**{f"last_{n}": other[n] for n in added})
    extended = EmbeddingSpace.extend_from_existing(space, wider, n_epochs=2).train()
    assert {c.name: c.type for c in extended.schema.columns} == COLUMNS | {
        f"last_{name}": COLUMNS[name] for name in added
    }
    extended.save(tmp_path / "wider")
    loaded = EmbeddingSpace.load(tmp_path / "wider")
    np.testing.assert_array_equal(loaded.encode(wider), extended.encode(wider))


@pytest.mark.parametrize("name", COLUMNS)
def test_one_column_alone_beats_chance(name: str, rows: pd.DataFrame, unseen: pd.DataFrame) -> None:
    """The nets say it, so that it comes from the space; trees and linear model would read the cells."""
    columns = [name, TARGET]
    data = FeatrixInputDataSet(rows[columns], ignore_cols=[TARGET])
    space = EmbeddingSpace(data, n_epochs=4, name=name).train()
    assert space.schema.column(name).type is COLUMNS[name]
    predictor = SinglePredictorMLP(space, TARGET, fine_tune=False).train(rows[columns], n_epochs=3)
    # A guess is right in half of 120 rows, give or take 5 in 100; the best possible is about 85 in 100.
    assert _accuracy(predictor.nets_only(), unseen[columns]) > 0.68
