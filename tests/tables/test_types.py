"""Type detection on realistic columns and on the edges between types (DATA-2, DATA-3)."""

from __future__ import annotations

import json
import random
import string
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featrix_core.tables.build import build_schema
from featrix_core.tables.fit import typed_from_texts
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnType
from featrix_core.tables.texts import distinct_texts
from featrix_core.tables.types import decide_type, detect_type

DATA = Path(__file__).parents[2] / "examples" / "data"
draw = random.Random(7)
WORDS = {
    "first": "Anna Bela Carl Dora Emil Fritz Gina Hugo Ines Jan Karl Lena Max Nora Otto Paul",
    "last": "Smith Jones Brown Garcia Meyer Novak Rossi Silva Kim Chen Okafor Patel Olsen Dubois",
    "heads": "Smi Jo Bro Mey Nov Ros Sil",
    "tails": "th nes wn cia er ak si va sen",
    "tags": "red green blue black white sale new vintage",
}
FIRST, LAST, HEADS, TAILS, TAGS = (words.split() for words in WORDS.values())
PEOPLE = [f"{f} {chr(65 + n)}. {last}" for n, last in enumerate(LAST) for f in FIRST]
TAGGED = [",".join(draw.sample(TAGS, draw.randint(1, 4))) for _ in range(120)]
TOKENS = ["".join(draw.choices(string.ascii_letters + string.digits, k=16)) for _ in range(99)]
LONG = "The service was slow and nobody could say when the part would arrive. " * 12
HEX = [f"#{draw.getrandbits(24):06x}" for _ in range(60)]
HOSTS = [f"{name.lower()}.{top}" for name in LAST for top in ("com", "de", "co.uk", "org")]

COLUMNS: dict[str, tuple[Sequence[str | None], ColumnType]] = {
    # numbers
    "integers": ([str(n % 4 + 1) for n in range(40)], ColumnType.SCALAR),
    "money": ([f"${n},000" for n in range(1, 40)], ColumnType.SCALAR),
    "euros": ([f"{n}.000,50 €" for n in range(1, 40)], ColumnType.SCALAR),
    "per cent": ([f"{n}%" for n in range(1, 40)], ColumnType.SCALAR),
    "accounts": ([f"({n},500.00)" for n in range(1, 20)] + ["7.25"] * 9, ColumnType.SCALAR),
    "weights": ([f"{n / 2} kg" for n in range(1, 40)], ColumnType.SCALAR),
    "heights": ([f"{n % 3 + 4}'{n % 12}\"" for n in range(40)], ColumnType.SCALAR),
    "terms": (["36 months", "60 months"] * 20, ColumnType.SCALAR),
    "round figures": (["1.2M", "3k", "5bn", "700"] * 6, ColumnType.SCALAR),
    "numbers with gaps": (["1", "2.5", "none", "-", "?", None] * 5, ColumnType.SCALAR),
    "ages of the source": (["25", "999", "31", "47", "thirty", None], ColumnType.SCALAR),
    "years": ([str(1990 + n % 30) for n in range(90)], ColumnType.SCALAR),
    "year": ([str(2000 + n % 20) for n in range(90)], ColumnType.SCALAR),
    "zeros are no code": (["0", "0.5", "0", "1.5"] * 5, ColumnType.SCALAR),
    "tiny": (["1e-7", "0.1", "2.5e-3"] * 5, ColumnType.SCALAR),
    "customer_id": ([str(n) for n in range(1, 200)], ColumnType.SCALAR),
    "storeId": ([str(4_000 + n % 30 * 17) for n in range(190)], ColumnType.SET),
    "visit id": ([str(4_000 + n % 60) for n in range(190)], ColumnType.SCALAR),
    "id share": ([str(n % 20 / 4) for n in range(190)], ColumnType.SCALAR),
    "eight digits": ([str(20_209_900 + n * 7) for n in range(90)], ColumnType.SCALAR),
    # booleans
    "true or false": (["true", "False", None] * 5, ColumnType.BOOLEAN),
    "yes or no": (["Yes", "no", ""] * 5, ColumnType.BOOLEAN),
    "zero or one": (["0", "1"] * 5, ColumnType.BOOLEAN),
    "yes or none": (["yes", "none"] * 5, ColumnType.SET),
    # moments
    "days": (["2020-01-01", "2020-02-03", "N/A"] * 3, ColumnType.TIMESTAMP),
    "compact days": ([f"202001{n:02d}" for n in range(1, 30)], ColumnType.TIMESTAMP),
    "mostly days": (["2020-01-01"] * 7 + ["later"] * 3, ColumnType.TIMESTAMP),
    "months of years": (["Jan-2015", "Feb-2015", "Dec-2016"] * 9, ColumnType.TIMESTAMP),
    "year and month": ([f"20{n:02d}-{n % 12 + 1:02d}" for n in range(40)], ColumnType.TIMESTAMP),
    "German days": ([f"{n % 28 + 1}.{n % 12 + 1}.2019" for n in range(60)], ColumnType.TIMESTAMP),
    "American": ([f"{n % 12 + 1}/{n % 28 + 1}/19 3:05 PM" for n in range(60)], ColumnType.TIMESTAMP),
    "mail": ([f"Mon, {n} Feb 2013 10:11:12 +0100" for n in (4, 11, 18, 25)], ColumnType.TIMESTAMP),
    "clock": ([f"{n % 24:02d}:{n % 60:02d}" for n in range(200)], ColumnType.TIMESTAMP),
    "quarters of years": ([f"{2000 + n}Q{n % 4 + 1}" for n in range(20)], ColumnType.TIMESTAMP),
    "created_at": ([str(1_500_000_000 + 7919 * n) for n in range(90)], ColumnType.TIMESTAMP),
    "views": ([str(1_500_000_000 + 7919 * n) for n in range(90)], ColumnType.SCALAR),
    "updatedTime": ([str(1_500_000_000_000 + n * 10**7) for n in range(90)], ColumnType.TIMESTAMP),
    "order date": ([str(43_831 + n) for n in range(90)], ColumnType.TIMESTAMP),
    # orders
    "levels with a top code": (["1", "2", "3", "5+"] * 20, ColumnType.ORDINAL),
    "ages": (["10-19", "20-29", "30-64", "65+"] * 9, ColumnType.ORDINAL),
    "incomes": (["Under 15K", "15-24K", "25-34K", "250K+"] * 9, ColumnType.ORDINAL),
    "low to high": (["low", "High", "medium"] * 9, ColumnType.ORDINAL),
    "shirts": (["S", "M", "L", "XL"] * 9, ColumnType.ORDINAL),
    "S alone is no size": (["S", "C", "Q"] * 9, ColumnType.SET),
    "cut": (["Fair", "Good", "Very Good", "Premium", "Ideal"] * 9, ColumnType.ORDINAL),
    "kitchen": (["TA", "Gd", "Ex", "Fa"] * 9, ColumnType.ORDINAL),
    "answers": (["Agree", "Strongly agree", "Disagree", "Neutral"] * 9, ColumnType.ORDINAL),
    "schooling": (["HS-grad", "Some-college", "Bachelors", "11th"] * 9, ColumnType.ORDINAL),
    "months": (["jan", "feb", "may", "dec"] * 9, ColumnType.ORDINAL),
    "weekdays": (["Mon", "Tue", "Sun"] * 9, ColumnType.ORDINAL),
    "roman": (["I", "II", "III", "IV"] * 9, ColumnType.ORDINAL),
    "places": (["1st", "2nd", "3rd"] * 9, ColumnType.ORDINAL),
    "quarter": (["Q1", "Q2", "Q3", "Q4"] * 9, ColumnType.ORDINAL),
    "numbered": (["0 - none", "1 - some", "2 - all"] * 9, ColumnType.ORDINAL),
    "grades": (["A+", "A", "B-", "C"] * 9, ColumnType.ORDINAL),
    "letters": (["A", "B", "C", "D"] * 9, ColumnType.SET),
    "loan_grade": (["A", "B", "C", "D"] * 9, ColumnType.ORDINAL),
    "scores of matches": (["3-2", "1-0", "0-4", "2-2", "5-1"] * 9, ColumnType.SET),
    "mostly off a scale": (["low", "high", "medium", "red", "green"] * 9, ColumnType.SET),
    # categories
    "states": (["WA", "OR", "CA", "NY", "TX"] * 20, ColumnType.SET),
    "few codes": (["A11", "A12", "A13", "A14"] * 20, ColumnType.SET),
    "airports": ([f"{a}{b}X" for a in "JFKLG" for b in "ABCDEFGHI"] * 20, ColumnType.SET),
    "few titles": (["Senior Engineer", "Sales Manager", "Head of IT"] * 30, ColumnType.SET),
    "long labels": (["no credit taken at all", "all paid back on time"] * 50, ColumnType.SET),
    "weather": (["clear", "cloudy/misty", "rain/snow"] * 30, ColumnType.SET),
    "industry code": ([str(n % 40) for n in range(400)], ColumnType.SET),
    "nothing": ([None, "", "NULL"], ColumnType.SET),
    # codes
    "zip": ([f"{n * 37 % 100_000:05d}" for n in range(500, 900)], ColumnType.CODE),
    "zipcode": ([str(90_001 + n * 7) for n in range(200)], ColumnType.CODE),
    "zip of one town": (["98101", "98102", "98103"] * 30, ColumnType.SET),
    "parts": ([f"ABC-{n * 97:05d}-X{n % 7}" for n in range(100)], ColumnType.CODE),
    "tails": ([f"N{n * 31 + 100}{'ABC'[n % 3]}" for n in range(200)], ColumnType.CODE),
    "tickets": ([f"A/5 {n}" for n in range(80)] + [str(n * 91) for n in range(120)], ColumnType.CODE),
    "versions": ([f"{n % 7}.{n % 11}.{n}" for n in range(100)], ColumnType.CODE),
    "addresses of machines": ([f"10.0.{n % 7}.{n}" for n in range(100)], ColumnType.CODE),
    "colours": (HEX, ColumnType.CODE),
    "books": ([f"978-3-16-1484{n:02d}-{n % 10}" for n in range(10, 90)], ColumnType.CODE),
    "isbn": ([f"{n * 7_919_317:09d}X" for n in range(10, 90)], ColumnType.CODE),
    "ssn": ([f"{n:03d}-45-{n * 7:04d}" for n in range(100, 200)], ColumnType.CODE),
    "vehicles": ([f"1HGCM82633A{n:06d}" for n in range(100)], ColumnType.CODE),
    "uuids": ([str(uuid.UUID(int=draw.getrandbits(128))) for _ in range(60)], ColumnType.CODE),
    "tokens": (TOKENS, ColumnType.CODE),
    "cabins": ([f"{'ABCDE'[n % 5]}{n * 7 % 120}" for n in range(200)], ColumnType.CODE),
    "postcodes": ([f"SW{n % 9 + 1}A {n % 10}AB" for n in range(60)] + ["M1 1AE"], ColumnType.CODE),
    # parts
    "e-mails": ([f"{f}@{h}".lower() for f in FIRST for h in HOSTS[:5]], ColumnType.EMAIL),
    "hosts": (HOSTS, ColumnType.DOMAIN),
    "links": ([f"https://{h}/a/{n}?q=1" for n, h in enumerate(HOSTS)], ColumnType.URL),
    "numbers to call": ([f"(555) {n:03d}-{n * 17:04d}" for n in range(100, 200)], ColumnType.PHONE),
    "phone": ([str(5_550_000_000 + n * 7919) for n in range(100)], ColumnType.PHONE),
    "streets": ([f"{n} {last} Street" for n, last in enumerate(LAST)] * 2, ColumnType.ADDRESS),
    "postal": ([f"{n} Main St, Springfield, IL 62704" for n in range(60)], ColumnType.ADDRESS),
    # texts
    "comments": ([f"caller {n} was unhappy with the bill" for n in range(30)], ColumnType.TEXT),
    "people": (PEOPLE, ColumnType.TEXT),
    "passengers": ([f"{last}, Mr. {f}" for last in LAST for f in FIRST], ColumnType.TEXT),
    "surnames": ([a + b for a in HEADS for b in TAILS], ColumnType.TEXT),
    "towns": ([f"{last}ville" for last in LAST] * 20, ColumnType.SET),
    "recipes": ([", ".join(draw.sample(TAGS, 4)) + " and sauce" for _ in range(9)], ColumnType.TEXT),
    "products": ([f"{f} Pro {n} Deluxe" for n, f in enumerate(FIRST * 8)], ColumnType.TEXT),
    "letters to the editor": ([f"{LONG} {n}" for n in range(20)], ColumnType.DOCUMENT),
    # several values in a cell
    "tags": (TAGGED, ColumnType.LIST),
    "tags by bar": ([t.replace(",", "|") for t in TAGGED], ColumnType.LIST),
    "tags in brackets": ([json.dumps(t.split(",")) for t in TAGGED], ColumnType.LIST),
    "tags of Python": ([str(t.split(",")) for t in TAGGED], ColumnType.LIST),
    "vectors": ([f"[0.{n}, -1.5, {n}e-3]" for n in range(1, 60)], ColumnType.VECTOR),
    "places on earth": ([f"47.{n}, -122.{n}" for n in range(100, 160)], ColumnType.VECTOR),
    "objects": ([json.dumps({"a": n, "b": [n]}) for n in range(30)], ColumnType.JSON),
    "arrays of many lengths": ([json.dumps(list(range(n))) for n in range(3, 30)], ColumnType.JSON),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(COLUMNS))
def test_detection(case: str) -> None:
    cells, expected = COLUMNS[case]
    decision = detect_type(case, pa.array(cells, pa.string()))
    assert decision.type is expected, decision
    assert decision.evidence
    assert decision.type not in {refusal.type for refusal in decision.refusals}
    assert all(refusal.reason for refusal in decision.refusals)


@pytest.mark.parametrize("case", sorted(COLUMNS))
def test_every_cell_is_parsed_missing_or_counted(case: str) -> None:
    cells, _ = COLUMNS[case]
    texts = distinct_texts(pa.array(cells, pa.string()))
    decision = decide_type(texts, case)
    typed = typed_from_texts(case, texts, decision.type, decision.fit)
    markers = int(texts.counts_V[texts.soft_V].sum()) if typed.numbers_N is not None else 0
    gone = int((texts.codes_N < 0).sum()) + markers + typed.n_unparsed
    assert int(typed.missing_N.sum()) == gone


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=12),
            st.sampled_from(
                ["1,5", "$3", "12 kg", "2020-01-02", "low", "a@b.de", "[1.5, 2]", "{}"]
            ),
            st.integers(-99, 99).map(str),
            st.floats(allow_nan=False).map(repr),
        ),
        max_size=30,
    ),
    st.sampled_from(["x", "phone", "created_at", "zip", "grade"]),
)
def test_no_cell_is_lost_whatever_it_holds(cells: list[str], name: str) -> None:
    texts = distinct_texts(pa.array(cells, pa.string()))
    decision = decide_type(texts, name)
    typed = typed_from_texts(name, texts, decision.type, decision.fit)
    assert typed.missing_N.shape == (len(cells),)
    parses = decision.type in (
        ColumnType.SCALAR,
        ColumnType.TIMESTAMP,
        ColumnType.VECTOR,
        ColumnType.JSON,
    )
    soft = np.append(texts.soft_V, False)[texts.codes_N]
    told = int(typed.missing_N.sum()) - int((texts.codes_N < 0).sum())
    assert told == typed.n_unparsed + int((soft & typed.missing_N).sum())
    assert parses or told == 0


def test_runner_up_and_refusals_say_why() -> None:
    mixed = [str(n / 7) for n in range(70)] + [f"word {n}" for n in range(55)]
    decision = detect_type("x", pa.array(mixed))
    assert decision.type is ColumnType.SCALAR
    reasons = {refusal.type: refusal.reason for refusal in decision.refusals}
    assert "125 distinct values" in reasons[ColumnType.BOOLEAN]
    mostly_text = detect_type("x", pa.array(mixed[40:]))
    assert (mostly_text.type, mostly_text.runner_up) == (ColumnType.TEXT, ColumnType.SCALAR)
    refused = {refusal.type: refusal.reason for refusal in mostly_text.refusals}
    assert refused[ColumnType.SCALAR] == "35.3% of the cells are numbers"


def test_native_arrow_columns() -> None:
    vectors = pa.array([[0.5, 1.0, 2.0], None, [1.0, 2.0, 3.5]] * 9)
    assert detect_type("v", vectors).type is ColumnType.VECTOR
    assert detect_type("v", vectors).fit.dimension == 3
    fixed = pa.array([[1, 2], [3, 4]], pa.list_(pa.int32(), 2))
    assert detect_type("v", fixed).type is ColumnType.VECTOR
    assert detect_type("v", pa.array([["a", "b"], ["c"]] * 9)).type is ColumnType.LIST
    assert detect_type("v", pa.array([{"a": 1}, {"a": 2}])).type is ColumnType.JSON
    maps = pa.array([[("a", 1)], [("b", 2)]], pa.map_(pa.string(), pa.int64()))
    assert detect_type("v", maps).type is ColumnType.JSON
    assert detect_type("v", pa.array([[1], [1, 2], [1, 2, 3]])).type is ColumnType.JSON


def test_german_credit() -> None:
    schema = build_schema(read_table(DATA / "german_credit.csv"), targets=["class"])
    scalars = {column.name for column in schema.of_type(ColumnType.SCALAR)}
    assert scalars == {
        "duration",
        "credit_amount",
        "installment_commitment",
        "residence_since",
        "age",
        "existing_credits",
        "num_dependents",
    }
    assert {c.name for c in schema.of_type(ColumnType.BOOLEAN)} == {"foreign_worker"}
    assert {c.name for c in schema.of_type(ColumnType.ORDINAL)} == {"employment"}
    assert len(schema.of_type(ColumnType.SET)) == 11
    assert "none" in schema.column("other_parties").categories
    employment = schema.column("employment")
    places = dict(zip(employment.categories, employment.levels, strict=True))
    assert sorted(places, key=lambda text: places[text])[0] == "<1"
    assert places[">=7"] == 1.0


def test_flights() -> None:
    flights = build_schema(read_table(DATA / "flights" / "flights.parquet"))
    assert flights.column("time_hour").type is ColumnType.TIMESTAMP
    assert flights.column("carrier").type is ColumnType.SET
    assert flights.column("tailnum").type is ColumnType.CODE
    assert flights.column("air_time").type is ColumnType.SCALAR
    airports = build_schema(read_table(DATA / "flights" / "airports.parquet"))
    assert airports.column("name").type is ColumnType.TEXT
    assert airports.column("faa").type is ColumnType.CODE
    assert airports.column("lat").type is ColumnType.SCALAR


@pytest.mark.parametrize("first", [2**63 - 5_000, 10**30])
def test_whole_numbers_that_floats_cannot_tell_apart_are_codes(first: int) -> None:
    decision = detect_type("x", pa.array([str(first + n) for n in range(200)]))
    assert decision.type is ColumnType.CODE
    assert "long" in decision.evidence


def test_long_numbers_that_stay_distinct_are_numbers() -> None:
    values = [str(10**17 + 10**13 * n) for n in range(200)]
    assert detect_type("x", pa.array(values)).type is ColumnType.SCALAR
