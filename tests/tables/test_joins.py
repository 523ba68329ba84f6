"""Every way in which a join can fail, planted in the real flights data (JOIN-1, JOIN-2)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.tables.joins import (
    JoinCheck,
    JoinReport,
    join_tables,
    load_join_spec,
    validate_joins,
)

EXAMPLES = Path(__file__).parents[2] / "examples"
FLIGHTS = EXAMPLES / "data" / "flights"
PLANE: dict[str, Any] = {
    "left": "flights",
    "right": "planes",
    "left_keys": ["tailnum"],
    "right_keys": ["tailnum"],
    "cardinality": "N:1",
}
WEATHER: dict[str, Any] = {
    "left": "flights",
    "right": "weather",
    "left_keys": ["origin", "time_hour"],
    "right_keys": ["origin", "time_hour"],
    "cardinality": "N:1",
}


def table(name: str) -> pd.DataFrame:
    return pd.read_parquet(FLIGHTS / f"{name}.parquet")


def write_spec(
    folder: Path,
    frames: dict[str, pd.DataFrame],
    joins: list[dict[str, Any]],
    **more: Any,
) -> Path:
    """A specification over the given frames, based on the first of them."""
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    spec = {
        "base": next(iter(frames)),
        "tables": {name: {"path": f"{name}.parquet"} for name in frames},
        "joins": joins,
        **more,
    }
    path = folder / "join.json"
    path.write_text(json.dumps(spec))
    return path


def only_check(path: Path) -> JoinCheck:
    (check,) = validate_joins(load_join_spec(path)).joins
    return check


def finding(check: JoinCheck, code: str) -> Any:
    (found,) = [finding for finding in check.findings if finding.code == code]
    return found


def codes(check: JoinCheck) -> set[str]:
    return {finding.code for finding in check.findings}


def test_the_shipped_example_reports_what_the_data_shows() -> None:
    report = validate_joins(load_join_spec(EXAMPLES / "flights_join.json"))
    checks = {check.name: check for check in report.joins}
    flights, planes, airports = table("flights"), table("planes"), table("airports")
    assert checks["plane"].coverage == pytest.approx(flights.tailnum.isin(planes.tailnum).mean())
    assert checks["plane"].coverage < 0.95 and checks["plane"].verdict == "warning"
    assert checks["dest_airport"].coverage == pytest.approx(flights.dest.isin(airports.faa).mean())
    assert checks["dest_airport"].verdict == "ok"
    assert any("SJU" in text for text in finding(checks["dest_airport"], "orphan_rows").examples)
    assert checks["airline"].coverage == 1 and not checks["airline"].findings
    assert {check.measured for check in report.joins} == {"N:1"}
    assert report.verdict == "warning" and report.base_rows == len(flights)
    assert JoinReport.model_validate_json(report.model_dump_json()) == report


def test_null_keys(tmp_path: Path) -> None:
    flights = table("flights")
    flights.loc[:399, "tailnum"] = None
    flights.loc[400:449, "tailnum"] = ""
    check = only_check(
        write_spec(tmp_path, {"flights": flights, "planes": table("planes")}, [PLANE])
    )
    expected = int((flights.tailnum.isna() | (flights.tailnum == "")).sum())
    assert check.null_key_rows == expected >= 450
    assert "tailnum" in finding(check, "null_keys").message
    assert check.orphan_rows + check.matched_rows + check.null_key_rows == len(flights)


def test_integer_against_text_keys_and_the_cast_that_mends_them(tmp_path: Path) -> None:
    flights, planes = table("flights"), table("planes")
    numbers = {tail: i for i, tail in enumerate(planes.tailnum)}
    # A missing cell makes pandas store whole numbers as floats; the cast must cope.
    flights["tailnum"] = flights.tailnum.map(numbers)
    planes["tailnum"] = planes.tailnum.map(numbers).astype(str)
    assert flights.tailnum.dtype == float
    frames = {"flights": flights, "planes": planes}
    check = only_check(write_spec(tmp_path, frames, [PLANE]))
    found = finding(check, "key_type_mismatch")
    assert check.coverage == 0 and check.verdict == "error" and not check.keys[0].match
    assert "double" in found.message and "string" in found.message
    assert check.keys[0].mending_cast == "integer" and '"cast": "integer"' in found.remedy
    assert check.coverage_after_cast == pytest.approx(flights.tailnum.notna().mean())
    mended = write_spec(tmp_path, frames, [{**PLANE, "cast": "integer"}])
    check = only_check(mended)
    assert check.coverage == pytest.approx(flights.tailnum.notna().mean())
    assert "key_type_mismatch" not in codes(check)
    assert join_tables(load_join_spec(mended))["seats"].null_count == flights.tailnum.isna().sum()


def test_timestamp_against_text_keys(tmp_path: Path) -> None:
    weather = table("weather")
    weather["time_hour"] = pd.to_datetime(weather.time_hour)
    frames = {"flights": table("flights"), "weather": weather}
    check = only_check(write_spec(tmp_path, frames, [WEATHER]))
    assert [pair.match for pair in check.keys] == [True, False]
    assert check.keys[1].mending_cast == "timestamp"
    check = only_check(write_spec(tmp_path, frames, [{**WEATHER, "cast": "timestamp"}]))
    assert check.coverage == pytest.approx(0.99675) and check.verdict == "ok"


def test_duplicate_keys_against_many_to_one(tmp_path: Path) -> None:
    planes = table("planes")
    planes = pd.concat([planes, planes.iloc[:30], planes.iloc[:2]])
    path = write_spec(tmp_path, {"flights": table("flights"), "planes": planes}, [PLANE])
    check = only_check(path)
    assert check.measured == "N:M" and check.duplicate_rows_right == 32
    found = finding(check, "duplicate_keys")
    assert found.level == "error" and "'planes'" in found.message and "(tailnum)" in found.message
    assert found.examples[0] == f"{sorted(planes.tailnum.iloc[:2])[0]} (×3)"
    assert check.rows_after > check.left_rows and "row_explosion" in codes(check)
    with pytest.raises(FeatrixUserError, match=r"'planes'.*distinct keys"):
        join_tables(load_join_spec(path))


def test_declared_one_to_one_but_many_to_one(tmp_path: Path) -> None:
    join = {**PLANE, "cardinality": "1:1"}
    frames = {"flights": table("flights"), "planes": table("planes")}
    check = only_check(write_spec(tmp_path, frames, [join]))
    assert check.measured == "N:1" and check.verdict == "error"
    assert "declared 1:1" in finding(check, "cardinality").message
    assert "'flights'" in finding(check, "duplicate_keys").message


def test_one_to_many_is_measured_and_never_flattened(tmp_path: Path) -> None:
    join = {**PLANE, "left": "planes", "right": "flights", "cardinality": "1:N"}
    frames = {"planes": table("planes"), "flights": table("flights")}
    path = write_spec(tmp_path, frames, [join])
    check = only_check(path)
    assert check.measured == "1:N" and check.coverage == 1
    # Flights without a tail number are the only thing to warn of.
    assert codes(check) == {"null_keys", "row_explosion"} and check.null_key_rows_right == 25
    assert check.rows_after == 3384
    assert finding(check, "row_explosion").figure == pytest.approx(3384 / 1633)
    with pytest.raises(FeatrixUserError, match=r"1:N.*repeat rows of 'planes'"):
        join_tables(load_join_spec(path))


def test_many_to_many_goes_through_the_link_table(tmp_path: Path) -> None:
    joins = [
        {**PLANE, "left": "planes", "right": "flights", "cardinality": "1:N"},
        {
            "left": "flights",
            "right": "airports",
            "left_keys": ["dest"],
            "right_keys": ["faa"],
            "cardinality": "N:1",
        },
    ]
    frames = {name: table(name) for name in ("planes", "flights", "airports")}
    report = validate_joins(load_join_spec(write_spec(tmp_path, frames, joins)))
    assert [check.measured for check in report.joins] == ["1:N", "N:1"]
    assert report.joins[1].left_rows == 4000


def test_orphan_rows_and_low_coverage(tmp_path: Path) -> None:
    flights = table("flights")
    airlines = table("airlines").query("carrier != 'UA'")
    join = {**PLANE, "right": "airlines", "left_keys": ["carrier"], "right_keys": ["carrier"]}
    check = only_check(write_spec(tmp_path, {"flights": flights, "airlines": airlines}, [join]))
    n_orphans = int((flights.carrier == "UA").sum())
    assert check.orphan_rows == n_orphans
    assert finding(check, "orphan_rows").examples == (f"UA (×{n_orphans})",)
    assert finding(check, "coverage").level == "warning"


def test_right_rows_from_the_future(tmp_path: Path) -> None:
    planes = table("planes").dropna(subset="year").reset_index(drop=True)
    planes.loc[:9, "year"] = 2020
    join = {**PLANE, "time": {"left": "year", "right": "year"}}
    flights = table("flights")
    check = only_check(write_spec(tmp_path, {"flights": flights, "planes": planes}, [join]))
    found = finding(check, "time_leak")
    assert check.late_pairs == flights.tailnum.isin(planes.tailnum[:10]).sum() > 0
    assert found.level == "error" and "2020 after 2013" in found.examples[0]


def test_as_of_takes_the_latest_row_that_was_known(tmp_path: Path) -> None:
    flights, weather = table("flights"), table("weather")
    weather = weather.sample(frac=0.5, random_state=1)
    join = {
        **WEATHER,
        "left_keys": ["origin"],
        "right_keys": ["origin"],
        "time": {"left": "time_hour", "right": "time_hour", "rule": "as_of"},
    }
    frames = {"flights": flights, "weather": weather}
    spec = load_join_spec(write_spec(tmp_path, frames, [join]))
    assert validate_joins(spec).joins[0].measured == "N:1"
    joined = join_tables(spec).to_pandas()
    # The same join made by pandas.
    order = flights.assign(t=pd.to_datetime(flights.time_hour)).reset_index().sort_values("t")
    known = weather.assign(t=pd.to_datetime(weather.time_hour)).sort_values("t")
    expected = pd.merge_asof(
        order, known[["origin", "t", "temp", "time_hour"]], on="t", by="origin"
    )
    expected = expected.set_index("index").sort_index()
    assert (joined.weather_time_hour.fillna("") == expected.time_hour_y.fillna("")).all()
    np.testing.assert_array_equal(joined.temp, expected.temp)
    found = joined.dropna(subset="weather_time_hour")
    assert (found.weather_time_hour <= found.time_hour).all()

    young = {**join, "time": {**join["time"], "max_age_hours": 1}}
    (strict,) = validate_joins(load_join_spec(write_spec(tmp_path, frames, [young]))).joins
    age = order.set_index("index").t - pd.to_datetime(expected.time_hour_y)
    assert strict.matched_rows == (age <= pd.Timedelta(hours=1)).sum() < len(joined)


def test_class_balance_before_and_after(tmp_path: Path) -> None:
    flights, planes = table("flights"), table("planes")
    late = set(flights.tailnum[flights.late == "yes"])
    known = planes[planes.tailnum.isin(late)]
    path = write_spec(tmp_path, {"flights": flights, "planes": known}, [PLANE], target="late")
    check = only_check(path)
    matched = flights[flights.tailnum.isin(known.tailnum)]
    assert check.class_balance_before["yes"] == pytest.approx(889 / 3876)
    assert check.class_balance_after["yes"] == pytest.approx(
        matched.late.value_counts(normalize=True)["yes"]
    )
    assert finding(check, "class_balance").level == "warning"
    whole = only_check(
        write_spec(tmp_path, {"flights": flights, "planes": planes}, [PLANE], target="late")
    )
    assert "class_balance" not in codes(whole)


def test_numeric_target_is_compared_by_quartile(tmp_path: Path) -> None:
    frames = {"flights": table("flights"), "planes": table("planes")}
    check = only_check(write_spec(tmp_path, frames, [PLANE], target="arr_delay"))
    assert len(check.class_balance_before) == 4
    assert all(0.2 < share < 0.3 for share in check.class_balance_before.values())


def test_joined_rows_keep_their_order_and_count() -> None:
    joined = join_tables(load_join_spec(EXAMPLES / "flights_join.json"))
    flights = pq.read_table(FLIGHTS / "flights.parquet")
    # Tables have one type of text, whatever the file calls it.
    assert joined.select(flights.column_names).to_pandas().equals(flights.to_pandas())
    expected = table("flights").merge(table("planes"), on="tailnum", how="left")
    np.testing.assert_array_equal(joined["seats"].to_pandas(), expected.seats)
    names = dict(zip(table("airports").faa, table("airports").name, strict=True))
    dest = joined["dest_airport_name"].to_pandas()
    assert dest.equals(joined["dest"].to_pandas().map(names).astype(dest.dtype))
    assert {"airline_name", "plane_year", "weather_hour"} <= set(joined.column_names)


def test_csv_tables_join_parquet_tables(tmp_path: Path) -> None:
    path = write_spec(tmp_path, {"flights": table("flights"), "planes": table("planes")}, [PLANE])
    table("planes").to_csv(tmp_path / "planes.csv", index=False)
    spec = json.loads(path.read_text())
    spec["tables"]["planes"]["path"] = "planes.csv"
    path.write_text(json.dumps(spec))
    assert only_check(path).coverage == pytest.approx(0.846)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base": "trips"}, "base table 'trips'"),
        ({"joins": [{**PLANE, "right": "plains"}]}, "right table 'plains'"),
        ({"joins": [{**PLANE, "left": "weather"}]}, "'weather', which is neither the base"),
        ({"joins": [{**PLANE, "left_keys": ["tailnum", "year"]}]}, "2 key.*'planes'"),
        ({"joins": [PLANE, PLANE]}, "name 'planes' is taken"),
        ({"joins": [{**PLANE, "cardinality": "N:2"}]}, "joins.0.cardinality"),
        ({"joins": [{**PLANE, "keys": ["tailnum"]}]}, "joins.0.keys"),
        ({"joins": [{**PLANE, "left_keys": []}]}, "joins.0.left_keys"),
        ({"tables": {"flights": {"path": 3}}}, "tables.flights.path"),
        ({"where": "1=1"}, "at where"),
        (
            {
                "joins": [
                    {
                        **PLANE,
                        "cardinality": "N:M",
                        "time": {"left": "year", "right": "year", "rule": "as_of"},
                    }
                ]
            },
            "as_of finds at most one row",
        ),
    ],
)
def test_a_wrong_specification_names_its_place(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = write_spec(
        tmp_path, {"flights": table("flights")[:50], "planes": table("planes")[:5]}, [PLANE]
    )
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(FeatrixUserError, match=message):
        load_join_spec(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"right_keys": ["tail_number"]}, "'planes' has no column 'tail_number'"),
        ({"left_keys": ["tail_number"]}, "'flights' has no column 'tail_number'"),
        ({"time": {"left": "year", "right": "built"}}, "'planes' has no column 'built'"),
        ({"time": {"left": "time_hour", "right": "year"}}, "cannot be compared"),
        (
            {"time": {"left": "year", "right": "year", "rule": "as_of", "max_age_hours": 3}},
            "its times are numbers",
        ),
    ],
)
def test_wrong_columns_name_table_and_key(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    frames = {"flights": table("flights")[:50], "planes": table("planes")[:5]}
    spec = load_join_spec(write_spec(tmp_path, frames, [{**PLANE, **change}]))
    with pytest.raises(FeatrixUserError, match=message):
        validate_joins(spec)


@pytest.mark.parametrize("text", ["", "[1, 2", "[" * 100_000, "[]", "null", '{"base": NaN}'])
def test_a_file_that_is_no_specification(tmp_path: Path, text: str) -> None:
    path = tmp_path / "join.json"
    path.write_text(text)
    with pytest.raises(FeatrixUserError):
        load_join_spec(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FeatrixUserError, match=r"nowhere\.json"):
        load_join_spec(tmp_path / "nowhere.json")
    path = write_spec(tmp_path, {"flights": table("flights")[:5]}, [])
    (tmp_path / "flights.parquet").unlink()
    with pytest.raises(FeatrixUserError, match="file of table 'flights'"):
        load_join_spec(path)
