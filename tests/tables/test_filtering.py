"""The column filter decides every example of section 16 as it says, with the real model (DATA-5)."""

from __future__ import annotations

import hashlib
import random
import string
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from featrix_core.strings.embedder import TextEmbedder, get_default_embedder
from featrix_core.tables.build import build_schema
from featrix_core.tables.cleaning import distinct_texts
from featrix_core.tables.filtering import (
    SCRAMBLED_SIMILARITY,
    filter_column,
    identifier_score,
    scrambled_similarity,
)
from featrix_core.tables.reading import read_table
from featrix_core.tables.schema import ColumnType, DroppedColumn
from featrix_core.tables.structure import shared_structure

DATA = Path(__file__).parents[2] / "examples" / "data"
ALPHANUMERIC = string.ascii_letters + string.digits
N = 1000


def random_tokens(length: int, n: int = N) -> list[str]:
    draw = random.Random(length)
    return ["".join(draw.choices(ALPHANUMERIC, k=length)) for _ in range(n)]


def uuids(n: int = N) -> list[str]:
    draw = random.Random(1)
    return [str(uuid.UUID(int=draw.getrandbits(128))) for _ in range(n)]


def hashes(kind: str, n: int = N) -> list[str]:
    return [hashlib.new(kind, str(number).encode()).hexdigest() for number in range(n)]


def products() -> list[str]:
    brands = [
        "Apple",
        "Sony",
        "Bosch",
        "Makita",
        "Nike",
        "Philips",
        "Dell",
        "Braun",
        "Lego",
        "Oral",
    ]
    goods = ["Phone", "Laptop", "Drill", "Running Shoe", "Toaster", "Camera", "Monitor", "Razor"]
    kinds = ["Pro", "Max", "Mini", "Plus", "Lite"]
    return [f"{b} {g} {k} {n}" for b in brands for g in goods for k in kinds for n in range(1, 26)]


def no_model() -> TextEmbedder:
    raise AssertionError("the sentence model is not needed for this decision")


def decide(
    name: str,
    values: list[str],
    embedder: Callable[[], TextEmbedder] = get_default_embedder,
    type: ColumnType = ColumnType.SET,
) -> DroppedColumn | None:
    return filter_column(name, distinct_texts(pa.array(values)), type, embedder)


def test_transaction_ids_go() -> None:
    dropped = decide("transaction_id", uuids(), no_model)
    assert dropped is not None and dropped.reason == "identifier"
    assert dropped.score_parts == {"uniqueness": 0.3, "structure": 0.5, "name": 0.1}
    assert dropped.score == 0.9


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256"])
def test_hashes_go(kind: str) -> None:
    dropped = decide("user_hash", hashes(kind), no_model)
    assert dropped is not None and dropped.score == 0.9


def test_snowflakes_go_though_they_are_numbers() -> None:
    draw = random.Random(3)
    values = [str(draw.randint(10**18, 2 * 10**18)) for _ in range(N)]
    dropped = decide("message", values, no_model, ColumnType.SCALAR)
    assert dropped is not None and dropped.score_parts == {"uniqueness": 0.3, "structure": 0.5}


@pytest.mark.parametrize("type", [ColumnType.SET, ColumnType.CODE, ColumnType.TEXT])
@pytest.mark.parametrize("length", [8, 24, 43])
def test_session_tokens_go(length: int, type: ColumnType) -> None:
    dropped = decide("session_token", random_tokens(length), type=type)
    assert dropped is not None
    assert dropped.score_parts == {"uniqueness": 0.3, "name": 0.1, "semantic": 0.4}
    assert dropped.score == 0.8


def test_random_texts_without_a_hint_in_the_name_stay() -> None:
    """0.3 + 0.4 is not above 0.7, so the model need not be asked."""
    assert decide("label", random_tokens(24), no_model) is None


def test_customer_numbers_stay() -> None:
    values = [str(number) for number in range(1, N + 1)]
    assert decide("customer_id", values, no_model, ColumnType.SCALAR) is None


def test_product_names_stay() -> None:
    names = products()
    assert len(set(names)) == 10_000
    assert decide("product_name", names) is None
    # Even where the name hints at a key, the meaning of the values keeps the column.
    texts = distinct_texts(pa.array(names))
    score = identifier_score("product_key", texts, ColumnType.TEXT, get_default_embedder)
    assert score.parts == {"uniqueness": 0.3, "name": 0.1}


def test_e_mail_domains_stay() -> None:
    words = ["acme", "globex", "umbrella", "northwind", "contoso", "fabrikam", "initech", "bluesky"]
    ends = ["com", "org", "de", "co.uk", "net"]
    domains = [f"{a}-{b}.{c}" for a in words for b in words for c in ends]
    assert decide("email_domain", domains * 3, no_model) is None
    texts = distinct_texts(pa.array(domains))
    assert scrambled_similarity(texts.values, get_default_embedder) < SCRAMBLED_SIMILARITY


def test_repeated_keys_stay() -> None:
    """A foreign key: the form of a UUID and a hint, but ten rows per value."""
    assert decide("customer_id", uuids(100) * 10, no_model) is None


def test_names_of_other_scripts_are_no_identifiers() -> None:
    signs = "東京大阪名古屋横浜札幌神戸京都福岡川崎広島仙台千葉新潟"
    draw = random.Random(5)
    values = ["".join(draw.choices(signs, k=4)) for _ in range(300)]
    assert decide("shop_id", values) is None


@pytest.mark.parametrize(
    ("name", "cells", "reason"),
    [
        ("metadata_json", [None, "", "NULL", None] * 50, "all_null"),
        ("country", ["United States"] * 200, "uniform"),
        ("country", ["United States"] * 199 + [None], "uniform"),
        ("__featrix_weight", [str(n) for n in range(200)], "internal"),
        ("__featrix_train", ["1", "0"] * 100, "internal"),
    ],
)
def test_columns_without_information_go(name: str, cells: list[str | None], reason: str) -> None:
    dropped = decide(name, cells, no_model)  # type: ignore[arg-type]
    assert dropped is not None and dropped.reason == reason


def test_one_value_beside_gaps_stays() -> None:
    assert decide("cancelled_on", ["yes", None] * 100, no_model) is None  # type: ignore[list-item]


def test_e_mail_addresses_user_agents_and_urls_stay() -> None:
    """Under a name that hints at an identifier, and whatever type they were read as."""
    draw = random.Random(4)
    people, ends = ["anna", "bob", "carla", "dora", "emil"], ["gmail.com", "acme.com", "web.de"]
    mails = [f"{draw.choice(people)}.{n}@{draw.choice(ends)}" for n in range(500)]
    systems = [
        "Windows NT 10.0; Win64; x64",
        "X11; Linux x86_64",
        "Macintosh; Intel Mac OS X 10_15_7",
    ]
    agents = [
        f"Mozilla/5.0 ({draw.choice(systems)}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{draw.randint(80, 120)}.0.{n}.0 Safari/537.36"
        for n in range(500)
    ]
    urls = [f"https://shop.example.com/{draw.choice(['a', 'b'])}/{n}?ref=mail" for n in range(500)]
    for values in (mails, agents, urls):
        for type in (ColumnType.SET, ColumnType.TEXT):
            assert decide("user_key", values, type=type) is None
    assert decide("user_key", mails, no_model, ColumnType.EMAIL) is None
    assert decide("page_id", urls, no_model, ColumnType.URL) is None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("invoice_id", [f"INV-2021-{n:05d}" for n in range(400)]),
        ("case_key", [f"{n:07d}" for n in range(400)]),
        ("asset_id", [f"{'ABCD'[n % 4]}{n:04d}" for n in range(400)]),
        ("sku_key", [f"{c}-{t}" for c in ("RED", "BLU") for t in random_tokens(6, 200)]),
        ("host_id", [f"10.0.{n % 4}.{n // 4}" for n in range(400)]),
    ],
)
def test_codes_with_a_structure_stay(name: str, values: list[str]) -> None:
    """Counted through, or with a piece that is a category: the model is not asked for its opinion."""
    assert shared_structure(values) is not None
    for type in (ColumnType.SET, ColumnType.CODE):
        assert decide(name, values, no_model, type) is None


def test_random_draws_share_no_structure() -> None:
    draw = random.Random(9)
    codes = [f"{draw.randint(0, 9999):04d}-{t}" for t in random_tokens(5, 2000)]
    for values in (
        random_tokens(8),
        random_tokens(24),
        codes,
        [t + "==" for t in random_tokens(22)],
    ):
        assert shared_structure(values) is None
    assert shared_structure(["a-1", "b-2"]) is None  # too few to tell
    dropped = decide("customerID", codes, type=ColumnType.CODE)
    assert dropped is not None and dropped.score == 0.8


def test_names_places_and_addresses_stay() -> None:
    airports = (
        read_table(DATA / "flights" / "airports.parquet").to_pandas()["name"].unique().tolist()
    )
    roads, towns = ["Oak", "Main", "Maple", "Hill"], ["Springfield", "Dayton", "Austin"]
    addresses = [f"{n} {roads[n % 4]} St, {towns[n % 3]}" for n in range(1, 400)]
    for name, values in (("airport_id", airports), ("address_key", addresses)):
        texts = distinct_texts(pa.array(values))
        assert scrambled_similarity(texts.values, get_default_embedder) < 0.3
        assert decide(name, values, type=ColumnType.TEXT) is None


def test_what_is_said_names_figure_and_column() -> None:
    schema = build_schema(
        read_table(
            pd.DataFrame(
                {
                    "user_id": uuids(),
                    "country": ["United States"] * N,
                    "empty": [None] * N,
                    "amount": range(N),
                }
            )
        )
    )
    said = {notice.column: notice for notice in schema.notices}
    assert set(said) == {"user_id", "country", "empty"}
    assert said["user_id"].figure == 0.9
    for words in ("'user_id'", "100.0% of the values are distinct", "UUID", "likely an identifier"):
        assert words in said["user_id"].message
    assert "only 1 distinct value ('United States')" in said["country"].message
    assert all(notice.action == "excluded from the space" for notice in said.values())


def test_real_tables_lose_only_what_is_uniform() -> None:
    for path in [DATA / "german_credit.csv", *sorted((DATA / "flights").glob("*.parquet"))]:
        schema = build_schema(read_table(path))
        assert {column.reason for column in schema.dropped} <= {"uniform"}


def test_numbers_within_fixed_characters_stay_as_numbers_do() -> None:
    numbers = np.random.default_rng(0).choice(9_000_000, 400, replace=False)
    assert shared_structure(sorted(f"tt{number:07d}" for number in numbers.tolist()))
    letters = np.random.default_rng(0).choice(list("abcdefghijkmnpqrstuvwxyz23456789"), (400, 12))
    assert shared_structure(sorted("".join(row) for row in letters.tolist())) is None
