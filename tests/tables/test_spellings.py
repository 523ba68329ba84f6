"""Yes and no in all spellings, and cells written otherwise at scoring (DATA-4)."""

from __future__ import annotations

import pandas as pd
import pytest

from featrix_core.tables.build import build_schema, scoring_notices, typed_columns
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnType


@pytest.mark.parametrize(
    "pair",
    [("Ja", "Nein"), ("wahr", "falsch"), ("Oui", "Non"), ("vrai", "faux"), ("Si", "No"), ("SÍ", "NO")],
)  # fmt: skip
def test_yes_and_no_of_other_languages(pair: tuple[str, str]) -> None:
    schema = build_schema(read_table(pd.DataFrame({"paid": list(pair) * 15})))
    assert schema.column("paid").type is ColumnType.BOOLEAN


@pytest.mark.parametrize(
    ("scored", "read"),
    [
        (["true", "False", "YES"], ["yes", "no", "yes"]),
        ([True, False, True], ["yes", "no", "yes"]),
        ([1, 0, 1], ["yes", "no", "yes"]),
        (["Y", "n", "ja"], ["yes", "no", "yes"]),
        (["maybe", "y", "0"], ["maybe", "yes", "no"]),
    ],
)
def test_every_spelling_is_the_one_of_training(scored: list[object], read: list[str]) -> None:
    schema = build_schema(read_table(pd.DataFrame({"paid": ["yes", "no"] * 15})))
    table = read_table(pd.DataFrame({"paid": scored}))
    cells = typed_columns(table, schema)["paid"]
    assert cells.codes_N is not None
    assert [cells.texts[code] for code in cells.codes_N] == read
    unknown = [n.code for n in scoring_notices(table, schema)]
    assert unknown == (["unknown_categories"] if "maybe" in scored else [])


def test_a_pair_that_is_no_yes_and_no_is_left_alone() -> None:
    table = read_table(pd.DataFrame({"sex": ["m", "w"] * 15}))
    schema = build_schema(table, overrides={"sex": ColumnType.BOOLEAN})
    cells = typed_columns(read_table(pd.DataFrame({"sex": ["M", "yes"]})), schema)["sex"]
    assert cells.texts == ("m", "yes")


def test_levels_are_known_in_any_case() -> None:
    schema = build_schema(read_table(pd.DataFrame({"risk": ["Low", "Medium", "High"] * 10})))
    assert schema.column("risk").type is ColumnType.ORDINAL
    cells = typed_columns(read_table(pd.DataFrame({"risk": ["low", "HIGH", "odd"]})), schema)
    assert cells["risk"].texts == ("High", "Low", "odd")
