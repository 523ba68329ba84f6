"""Hostile Parquet files (part of `corpus`)."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.corpus_texts import ROWS


def parquet_tables() -> Iterator[tuple[str, pa.Table]]:
    n = ROWS
    rows = np.arange(n)
    moment = [datetime.datetime(2020, 1, 1) + datetime.timedelta(hours=int(r) * 31) for r in rows]
    some = [None if r % 5 == 0 else int(r) for r in rows]
    types: list[tuple[str, list[Any], pa.DataType]] = [
        ("null", [None] * n, pa.null()),
        ("int8", some, pa.int8()),
        ("uint64", [2**64 - 1 - int(r) for r in rows], pa.uint64()),
        ("int64 extremes", [(-1) ** int(r) * (2**63 - 1) for r in rows], pa.int64()),
        ("half", [np.float16(r) for r in rows], pa.float16()),
        ("float specials", [[np.inf, -np.inf, np.nan, 1e308, 5e-324][r % 5] for r in rows], pa.float64()),
        ("decimal128", [Decimal(int(r)) / 4 for r in rows], pa.decimal128(38, 10)),
        ("decimal256", [Decimal("1" * 60) + int(r) for r in rows], pa.decimal256(76, 2)),
        ("date32", [m.date() for m in moment], pa.date32()),
        ("date far", [int(r) * 70_000_000 for r in rows], pa.date32()),
        ("time32", [m.time() for m in moment], pa.time32("ms")),
        ("time64", [m.time() for m in moment], pa.time64("ns")),
        ("timestamp s", moment, pa.timestamp("s")),
        ("timestamp ns", moment, pa.timestamp("ns")),
        ("timestamp zone", moment, pa.timestamp("us", "Asia/Kathmandu")),
        ("timestamp offset", moment, pa.timestamp("us", "+05:30")),
        ("timestamp unknown zone", moment, pa.timestamp("us", "Mars/Olympus")),
        ("timestamp far", [(-1) ** int(r) * 2**62 for r in rows], pa.timestamp("us")),
        ("duration", [datetime.timedelta(seconds=int(r)) for r in rows], pa.duration("us")),
        ("bool", [bool(r % 2) for r in rows], pa.bool_()),
        ("binary", [bytes([r, 255 - r, 0]) for r in rows.tolist()], pa.binary()),
        ("fixed binary", [bytes([r] * 16) for r in rows.tolist()], pa.binary(16)),
        ("large string", [f"w{r % 4}" for r in rows], pa.large_string()),
        ("string view", [f"w{r % 4}" for r in rows], pa.string_view()),
        ("list of strings", [["a", "b", None][: r % 4] for r in rows], pa.list_(pa.string())),
        ("list of numbers", [[1.0, 2.0, float(r)] for r in rows], pa.list_(pa.float64())),
        ("list of other lengths", [[1.0] * int(r % 5) for r in rows], pa.list_(pa.float32())),
        ("list with nulls", [[1, None, int(r)] for r in rows], pa.list_(pa.int64())),
        ("fixed list", [[1, 2, int(r)] for r in rows], pa.list_(pa.int32(), 3)),
        ("large list", [[int(r)] for r in rows], pa.large_list(pa.int64())),
        ("list of lists", [[[int(r)], [], None] for r in rows], pa.list_(pa.list_(pa.int64()))),
        ("list of structs", [[{"x": int(r)}] for r in rows], pa.list_(pa.struct([("x", pa.int64())]))),
        ("struct", [None if r % 4 == 0 else {"x": int(r), "y": None} for r in rows],
         pa.struct([("x", pa.int64()), ("y", pa.string())])),
        ("struct of odd fields", [{"d": Decimal(1), "b": b"\xff", "t": moment[0]} for _ in rows],
         pa.struct([("d", pa.decimal128(5, 1)), ("b", pa.binary()), ("t", pa.timestamp("us"))])),
        ("map", [[("k", int(r)), ("k", 2)] for r in rows], pa.map_(pa.string(), pa.int64())),
        ("map of structs", [[("k", {"x": int(r)})] for r in rows],
         pa.map_(pa.string(), pa.struct([("x", pa.int64())]))),
    ]  # fmt: skip
    for name, values, kind in types:
        yield name, pa.table({"value": pa.array(values, kind), "n": rows % 3})
    words = pa.array([f"w{r % 4}" for r in rows])
    yield "dictionary", pa.table({"value": words.dictionary_encode(), "n": rows % 3})
    numbers = pa.array(some).dictionary_encode()
    yield "dictionary of numbers", pa.table({"value": numbers, "n": rows % 3})
    yield "no rows", pa.table({"a": pa.array([], pa.int64())})
    yield "no columns", pa.table({})
    yield "duplicate names", pa.Table.from_arrays([words, words], names=["a", "a"])
    yield "blank name", pa.table({" ": words})
    yield "10,000 columns", pa.table({f"c{c}": [1.5 * c, 2.5, 3.5] for c in range(10_000)})
    deep = pa.array([1] * n)
    for _ in range(60):
        deep = pa.StructArray.from_arrays([deep], names=["in"])
    yield "struct 60 deep", pa.table({"value": deep, "n": rows % 3})
    same = pa.array(np.zeros(3_000_000, np.int8))
    yield "three million equal rows", pa.table({"a": same, "b": same})


def parquet_files(folder: Path) -> Iterator[Path]:
    for name, table in parquet_tables():
        path = folder / f"parquet {name}.parquet"
        pq.write_table(table, path)
        yield path
    good = (folder / "parquet bool.parquet").read_bytes()
    broken = {
        "cut": good[:-30],
        "cut at the start": good[30:],
        "only magic": b"PAR1PAR1",
        "huge footer": good[:-8] + b"\xff\xff\xff\x7f" + b"PAR1",
        "footer of zeros": good[:40] + b"\0" * (len(good) - 48) + good[-8:],
        "a CSV": b"a,b\n1,2\n",
        "empty": b"",
    }
    rng = np.random.default_rng(5)
    for n in range(12):  # bytes that were changed at random
        data = bytearray(good)
        for at in rng.integers(4, len(good) - 8, 5):
            data[at] = int(rng.integers(0, 256))
        broken[f"changed {n}"] = bytes(data)
    for name, data in broken.items():
        path = folder / f"parquet {name}.parquet"
        path.write_bytes(data)
        yield path
