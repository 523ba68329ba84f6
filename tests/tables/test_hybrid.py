"""Groups of columns that describe one thing, on shipped tables and names of well-known ones (DATA-9)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featrix_core.tables.association import cramers_v
from featrix_core.tables.build import build_schema
from featrix_core.tables.hybrid import MERGE, RELATIONSHIP, find_groups
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnSchema, ColumnType, HybridGroup

N = 300
PLACES = [
    ("Market St 5", "Springfield", "IL", "62701", "US"),
    ("High Road 12", "Leeds", "West Yorkshire", "LS1 4AP", "GB"),
    ("Hauptstraße 3", "Ulm", "BW", "89073", "DE"),
]


def columns(**types: ColumnType | tuple[float, float]) -> tuple[ColumnSchema, ...]:
    """Schemas by name: a type, or the range of a number."""
    return tuple(
        ColumnSchema(
            name=name,
            type=kind if isinstance(kind, ColumnType) else ColumnType.SCALAR,
            evidence="",
            n_rows=N,
            n_missing=0,
            n_unique=N,
            statistics={} if isinstance(kind, ColumnType) else {"min": kind[0], "max": kind[1]},
        )
        for name, kind in types.items()
    )


def groups_of(**types: ColumnType | tuple[float, float]) -> list[HybridGroup]:
    """Groups among independent columns of noise: names alone decide."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.integers(0, 9, N) for name in types})
    return list(find_groups(read_table(frame), columns(**types)))


def found_in(path: Path) -> dict[str, HybridGroup]:
    table = read_table(path)
    return {group.name: group for group in find_groups(table, build_schema(table).columns)}


SET, TEXT, SCALAR = ColumnType.SET, ColumnType.TEXT, (-1e6, 1e6)


def test_airports_have_coordinates(flights: Path) -> None:
    found = found_in(flights / "airports.parquet")
    assert list(found) == ["coordinates"]
    group = found["coordinates"]
    assert (group.kind, group.columns, group.strategy) == ("coordinates", ("lat", "lon"), MERGE)
    assert "±90" in group.evidence


def test_weather_has_an_entity(flights: Path) -> None:
    found = found_in(flights / "weather.parquet")
    assert list(found) == ["wind"]
    assert found["wind"].columns == ("wind_dir", "wind_speed", "wind_gust")
    assert (found["wind"].kind, found["wind"].strategy) == ("entity", RELATIONSHIP)
    assert "0.20 among them, 0.09 on other columns" in found["wind"].evidence


@pytest.mark.parametrize("name", ["flights/airlines.parquet", "flights/planes.parquet"])
def test_tables_without_groups(repository: Path, name: str) -> None:
    assert found_in(repository / "examples" / "data" / name) == {}


def test_german_credit_has_none(german_credit: Path) -> None:
    assert found_in(german_credit) == {}


def test_two_addresses_in_one_table() -> None:
    names = ["street", "city", "state", "zip_code", "country"]
    frame = pd.DataFrame(
        {
            f"{side}_{name}": [PLACES[(row + shift) % 3][k] for row in range(60)]
            for side, shift in (("billing", 0), ("shipping", 1))
            for k, name in enumerate(names)
        }
    ).assign(amount=np.arange(60) % 7)
    table = read_table(frame)
    found = find_groups(table, build_schema(table).columns)
    assert [g.name for g in found] == ["billing_address", "shipping_address"]
    assert found[0].columns == tuple(f"billing_{name}" for name in names)
    assert all((g.kind, g.strategy) == ("address", MERGE) for g in found)
    assert "billing_zip_code (postal)" in found[0].evidence


@pytest.mark.parametrize(
    "names",
    [
        ("Address", "City", "StateProvince", "PostalCode", "CountryRegion"),  # AdventureWorks
        ("address", "district", "city_id", "postal_code"),  # Sakila
        ("BillingStreet", "BillingCity", "BillingState", "BillingPostalCode", "BillingCountry"),
        ("City", "State", "Postal Code", "Region"),  # Superstore
        ("addr1", "addr2", "town", "county", "postcode"),
        ("customer_zip_code_prefix", "customer_city", "customer_state"),  # Olist
        ("strasse", "plz", "ort"),
        ("address_line_1", "address_line_2", "city", "zip"),
    ],
)
def test_spellings_of_addresses(names: tuple[str, ...]) -> None:
    (group,) = groups_of(**dict.fromkeys(names, SET), amount=SCALAR)
    expected = tuple(n for n in names if "prefix" not in n)
    assert (group.kind, group.columns) == ("address", expected)


@pytest.mark.parametrize(
    "types",
    [
        {"state": SET, "status": SET, "region": SET},  # of a process
        {"email_address": ColumnType.EMAIL, "city": SET},
        {"ip_address": SET, "mac_address": SET},
        {"home_city": SET, "work_state": SET},
        {"state": ColumnType.BOOLEAN, "city": SET},
        {"country": SET, "age": SCALAR},
        {"address": SCALAR, "city": SET},
    ],
)
def test_what_is_no_address(types: dict[str, ColumnType | tuple[float, float]]) -> None:
    assert groups_of(**types) == []


def test_taxi_rides_have_two_pairs_of_coordinates() -> None:
    found = groups_of(
        pickup_longitude=(-74.3, -73.0),
        pickup_latitude=(40.1, 41.2),
        dropoff_longitude=(-74.3, -73.0),
        dropoff_latitude=(40.1, 41.2),
        fare_amount=SCALAR,
    )
    assert [g.name for g in found] == ["pickup_coordinates", "dropoff_coordinates"]
    assert found[0].columns == ("pickup_latitude", "pickup_longitude")


@pytest.mark.parametrize(
    ("types", "pair"),
    [
        ({"Lat": (-5.0, 5.0), "Lng": (100.0, 179.0)}, ("Lat", "Lng")),
        ({"startLat": (-5.0, 5.0), "startLon": (1.0, 9.0)}, ("startLat", "startLon")),
        ({"lat2": (0.0, 1.0), "lon2": (0.0, 1.0), "lat1": (0.0, 1.0)}, ("lat2", "lon2")),
        ({"X": (1.0, 9.0), "Y": (2.0, 9.0), "area": SCALAR}, ("X", "Y")),  # forest fires
        ({"easting": (1e5, 9e5), "northing": (1e5, 9e6)}, ("northing", "easting")),
    ],
)
def test_spellings_of_coordinates(
    types: dict[str, ColumnType | tuple[float, float]], pair: tuple[str, str]
) -> None:
    (group,) = groups_of(**types)
    assert (group.kind, group.columns) == ("coordinates", pair)


@pytest.mark.parametrize(
    "types",
    [
        {"lat": (40.0, 400.0), "lon": (-74.0, -73.0)},  # out of range
        {"lat": SET, "lon": SET},
        {"start_lat": (0.0, 1.0), "end_lon": (0.0, 1.0)},
        {"x": SCALAR, "y": SCALAR, "z": SCALAR, "carat": SCALAR},  # diamonds: sizes
        {"long": (0.0, 1.0), "short": (0.0, 1.0)},
    ],
)
def test_what_is_no_place(types: dict[str, ColumnType | tuple[float, float]]) -> None:
    assert groups_of(**types) == []


def test_entities_by_prefix() -> None:
    found = groups_of(
        customer_age=SCALAR,
        customer_segment=SET,
        customer_since=ColumnType.TIMESTAMP,
        customer_city=SET,
        customer_state=SET,
        amount=SCALAR,
    )
    assert [(g.name, g.kind) for g in found] == [
        ("customer", "entity"),
        ("customer_address", "address"),
    ]
    # A column is in one group: the parts of the address are not the entity's.
    assert found[0].columns == ("customer_age", "customer_segment", "customer_since")


@pytest.mark.parametrize(
    "names",
    [
        ("customer_age", "customer_segment", "amount"),  # two only
        ("mean radius", "mean texture", "mean area", "diagnosis"),  # breast cancer
        ("pixel_1", "pixel_2", "pixel_3", "pixel_4", "label"),  # a series
        ("is_active", "is_new", "is_member", "age"),
        ("sepal_length", "sepal_width", "petal_length", "petal_width"),
        ("order_a", "order_b", "order_c"),  # all of the table
        ("GarageType", "GarageArea", "GarageCars", "LotArea"),  # camel case, and no dependence
    ],
)
def test_what_is_no_entity(names: tuple[str, ...]) -> None:
    assert groups_of(**dict.fromkeys(names, SCALAR)) == []


def test_camel_case_needs_dependence() -> None:
    rng = np.random.default_rng(1)
    cars = rng.integers(0, 4, N)
    frame = pd.DataFrame(
        {
            "GarageCars": cars,
            "GarageArea": cars * 200 + rng.integers(0, 90, N),
            "GarageType": np.array(["none", "carport", "attached", "detached"])[cars],
            "LotArea": rng.integers(1000, 9999, N),
            "Street": rng.choice(["gravel", "paved"], N),
        }
    )
    table = read_table(frame)
    (group,) = find_groups(table, build_schema(table).columns)
    assert group.columns == ("GarageCars", "GarageArea", "GarageType")


def test_cramers_v() -> None:
    rng = np.random.default_rng(2)
    one = rng.integers(0, 5, 2000)
    assert cramers_v(one, 4 - one) == pytest.approx(1.0)
    assert cramers_v(one, rng.integers(0, 5, 2000)) < 0.05
    assert cramers_v(one, np.zeros(2000, np.int64)) == 0.0
    assert cramers_v(one[:1], one[:1]) == 0.0


def test_no_rows_and_no_columns() -> None:
    table = read_table(pd.DataFrame({"wind_dir": [1.0], "wind_speed": [2.0], "wind_gust": [3.0]}))
    assert find_groups(table, ()) == ()
    some = columns(wind_dir=SCALAR, wind_speed=SCALAR, wind_gust=SCALAR, temp=SCALAR)
    wider = read_table(table.to_pandas().assign(temp=1.0))
    assert len(find_groups(wider.take(np.zeros(0, np.int64)), some)) == 1
