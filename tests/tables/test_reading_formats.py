"""One table in every format, compression and size (DATA-1)."""

from __future__ import annotations

import bz2
import datetime
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featrix_core.errors import FeatrixUserError
from featrix_core.tables import byte_source, csv_reading, json_reading
from featrix_core.tables.arrow_types import plain_table
from featrix_core.tables.build import build_schema, typed_columns
from featrix_core.tables.reading import read_table
from featrix_core.tables.sampling import RowSample
from featrix_core.tables.table import Table


def orders() -> pd.DataFrame:
    """A small shop: numbers with gaps, dates, booleans, categories, nested values, free text."""
    n = 60
    rows = np.arange(n)
    return pd.DataFrame(
        {
            "order": rows * 7 % 60 + 1000,
            "price": np.where(rows % 9 == 4, np.nan, rows * 1.25 + 0.1),
            "paid": rows % 3 == 0,
            "day": [f"2024-{1 + r % 12:02d}-{1 + r % 28:02d}" for r in rows],
            "city": [None if r % 11 == 5 else ("Köln", "Bonn", "東京")[r % 3] for r in rows],
            "note": [f'said "{r % 5}", then\nleft, 1,5' for r in rows],
            "item": [{"sku": f"A{r % 4}", "tags": ["new", "red"][: r % 3]} for r in rows],
        }
    )


def write_all(frame: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """The frame in five forms; what is nested is JSON text in the CSV."""
    flat = frame.copy()
    for name in frame:
        if frame[name].map(lambda cell: isinstance(cell, dict)).any():
            flat[name] = [json.dumps(cell, sort_keys=True) for cell in frame[name]]
    flat.to_csv(folder / "t.csv", index=False)
    frame.to_parquet(folder / "t.parquet")
    records = json.loads(frame.to_json(orient="records"))
    (folder / "t.json").write_text(json.dumps(records, indent=2))
    (folder / "in.json").write_text(json.dumps({"n": 1, "meta": {"x": [1]}, "rows": records}))
    lines = [json.dumps(record, ensure_ascii=False) for record in records]
    (folder / "t.jsonl").write_text("\n".join(lines))
    names = ("t.csv", "t.parquet", "t.json", "in.json", "t.jsonl")
    return {"frame": frame, **{name: folder / name for name in names}}


def assert_same_cells(tables: dict[str, Table], targets: list[str]) -> None:
    first = next(iter(tables.values()))
    schema = build_schema(first, targets=targets)
    cells = typed_columns(first, schema)
    for name, table in tables.items():
        own = build_schema(table, targets=targets)
        assert own.model_copy(update={"source_sha256": ""}) == schema.model_copy(
            update={"source_sha256": ""}
        ), name
        for column, typed in typed_columns(table, schema).items():
            assert typed.texts == cells[column].texts, (name, column)
            for part in ("missing_N", "numbers_N", "offsets_N", "codes_N", "vectors_NH"):
                expected, got = getattr(cells[column], part), getattr(typed, part)
                if expected is None:
                    assert got is None
                else:
                    np.testing.assert_array_equal(got, expected, f"{name} {column}")


def test_german_credit_is_the_same_table_in_every_format(
    tmp_path: Path, german_credit: Path
) -> None:
    sources = write_all(pd.read_csv(german_credit), tmp_path)
    tables = {name: read_table(source) for name, source in sources.items()}
    assert {table.n_rows for table in tables.values()} == {1000}
    assert_same_cells(tables, ["class"])


def test_a_mixed_table_is_the_same_in_every_format(tmp_path: Path) -> None:
    tables = {name: read_table(source) for name, source in write_all(orders(), tmp_path).items()}
    assert_same_cells(tables, [])
    types = {c.name: c.type.value for c in build_schema(tables["t.jsonl"]).columns}
    assert types["paid"] == "boolean" and types["day"] == "timestamp" and types["item"] == "json"


# --- compression ------------------------------------------------------------------------------


def zipped(data: bytes, *names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, data)
    return buffer.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: pa.compress(data, "zstd", asbytes=True),
    "zip": lambda data: zipped(data, "t.csv", "__MACOSX/._t.csv"),
}


@pytest.mark.parametrize("packer", sorted(PACKERS))
def test_compression_is_found_by_the_first_bytes(tmp_path: Path, packer: str) -> None:
    data = b"a,b\n" + b"x,1\ny,2\n" * 50_000
    packed = PACKERS[packer](data)
    for name in (f"t.csv.{packer}", "t.csv"):
        (tmp_path / name).write_bytes(packed)
        table = read_table(tmp_path / name)
        assert table.n_rows == 100_000 and table.source.compression
        assert table.source.format == "csv"
    (tmp_path / f"cut.csv.{packer}").write_bytes(packed[: len(packed) * 2 // 3])
    with pytest.raises(FeatrixUserError, match=r"damaged or cut short"):
        read_table(tmp_path / f"cut.csv.{packer}")


def test_packed_json_and_what_cannot_be_packed(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n{"a": 2}\n'))
    assert read_table(tmp_path / "t.jsonl.gz").arrow["a"].to_pylist() == ["1", "2"]
    (tmp_path / "t.zip").write_bytes(zipped(b'[{"a": 1}]', "inner.json"))
    assert read_table(tmp_path / "t.zip").source.format == "json"
    wrong = {
        "two.zip": (zipped(b"a\n1\n", "x.csv", "y.csv"), "holds 2 files"),
        "none.zip": (zipped(b""), "holds 0 files"),
        "t.parquet.gz": (gzip.compress(b"PAR1"), "packed Parquet"),
        "t.gz": (gzip.compress(b"a\n1\n"), "ending"),
        "t.xlsx": (zipped(b"", "xl/workbook.xml"), "is a spreadsheet"),
    }
    for name, (data, said) in wrong.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(FeatrixUserError, match=said):
            read_table(tmp_path / name)


def test_bombs_are_refused_before_they_unpack(tmp_path: Path) -> None:
    """100 MB of one row, 100 KB packed."""
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb", compresslevel=6) as handle:
        handle.write(b"a,b\n")
        for _ in range(100):
            handle.write(b"1,2\n" * 250_000)
    with pytest.raises(FeatrixUserError, match="decompression bomb"):
        read_table(path)


def test_the_size_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_source, "MAX_UNPACKED_BYTES", 1 << 20)
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(np.random.default_rng(0).bytes(2 << 20).hex().encode()))
    with pytest.raises(FeatrixUserError, match="decompression bomb"):
        read_table(path)


# --- samples ----------------------------------------------------------------------------------


def numbered(path: Path, n: int) -> Path:
    path.write_text("row,name\n" + "".join(f"{i},n{i % 7}\n" for i in range(n)))
    return path


def test_a_sample_is_exact_ordered_and_the_same_in_every_format(tmp_path: Path) -> None:
    path = numbered(tmp_path / "t.csv", 5000)
    frame = pd.read_csv(path)
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=777)
    frame.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    samples = [
        read_table(source, max_rows=700, seed=3)
        for source in (path, tmp_path / "t.parquet", tmp_path / "t.jsonl", frame)
    ]
    rows = [[int(x) for x in table.arrow["row"].to_pylist()] for table in samples]
    assert rows[0] == rows[1] == rows[2] == rows[3]
    assert len(rows[0]) == 700 == len(set(rows[0])) and rows[0] == sorted(rows[0])
    for table in samples:
        (notice,) = table.notices
        assert (notice.code, notice.figure) == ("rows_sampled", 5000.0)
        assert table.source.rows_read == 5000
    assert read_table(path, max_rows=700, seed=4).arrow != samples[0].arrow
    assert read_table(path, max_rows=5000).notices == ()


def test_blocks_make_no_difference_to_a_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = numbered(tmp_path / "t.csv", 5000)
    whole = read_table(path, max_rows=300)
    monkeypatch.setattr(byte_source, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(csv_reading, "_HEAD_BYTES", 100)
    monkeypatch.setattr(csv_reading, "_PARSED_BYTES", 512)
    assert read_table(path, max_rows=300).arrow == whole.arrow


def test_every_row_is_as_likely() -> None:
    """2,000 seeds, 5 of 20 rows: each row is drawn 500 ± 3.5 standard deviations times."""
    drawn = np.zeros(20)
    for seed in range(2000):
        sample = RowSample(5, seed)
        for start in (0, 3, 11):
            stop = {0: 3, 3: 11, 11: 20}[start]
            chosen, keys = sample.admit(stop - start)
            sample.add(pa.table({"row": chosen + start}), keys)
        drawn[pa.concat_tables(sample.tables())["row"].to_numpy()] += 1
    assert drawn.sum() == 10_000
    assert np.abs(drawn - 500).max() < 3.5 * np.sqrt(2000 * 0.25 * 0.75)


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_source, "BLOCK_BYTES", 10_000)
    path = numbered(tmp_path / "t.csv", 5000)
    told: list[tuple[int, int]] = []
    read_table(path, on_progress=lambda done, total: told.append((done, total)))
    size = path.stat().st_size
    assert told == sorted(told) and told[-1] == (size, size) and len(told) == -(-size // 10_000)


# --- JSON -------------------------------------------------------------------------------------


def test_json_cells_are_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(
        '{"n": 1.10, "big": 9223372036854775808, "e": 1e999, "t": true, "s": "x", "z": null}\n'
        "\n"
        '{"o": {"b": 1.50, "a": [1, {"c": null}]}, "s": "\\ud800"}\n'
    )
    table = read_table(path)
    assert table.arrow.to_pylist() == [
        {"n": "1.10", "big": "9223372036854775808", "e": "1e999", "t": "true", "s": "x"}
        | {"z": None, "o": None},
        {"n": None, "big": None, "e": None, "t": None, "s": "\\ud800", "z": None}
        | {"o": '{"a": [1, {"c": null}], "b": 1.50}'},
    ]


def test_bad_lines_of_json(tmp_path: Path) -> None:
    path, target = tmp_path / "t.jsonl", tmp_path / "bad.jsonl"
    good = b'{"a": 1}\n'
    deep = b'{"a": ' + b"[" * 1000 + b"]" * 1000 + b"}\n"
    umlaut = '{"a": "ü"}\n'.encode()
    path.write_bytes(
        umlaut * 2 + good * 7 + b'{"a": 1\n' + good + b"[1]\n" + b'{"a": "\xff"}\n' + deep
    )
    table = read_table(path, bad_rows_to=target)
    assert table.n_rows == 10 and table.bad is not None
    assert table.bad.positions_B.tolist() == [9, 11, 12, 13]
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [(row["line"], row["reason"].split(":")[0]) for row in rows] == [
        (10, "not JSON"),
        (12, "not a JSON object"),
        (13, "bytes that are not UTF-8"),
        (14, "nested more than 100 deep"),
    ]


JSON_FILES: dict[str, tuple[str, str]] = {
    "scalar.json": ("3", "neither a JSON array"),
    "empty.json": ("[]", "no columns"),
    "blank.json": (" \n", "is empty"),
    "numbers.json": ("[1, 2, 3]", "3 of 3 rows cannot be read"),
    "empty objects.json": ("[{}, {}]", "no columns"),
    "two arrays.json": ('{"a": [{"x": 1}], "b": [{"y": 2}]}', "more than one array"),
    "behind.json": ('[{"x": 1}] {"y": 2}', "further text"),
    "columns.json": ('{"a": [1, 2], "b": [3, 4]}', "no array of objects"),
    "blank name.json": ('[{"": 1}]', "without a name"),
    "many keys.json": (
        json.dumps([{f"k{i}-{j}": 1 for j in range(600)} for i in range(20)]),
        "12000 columns",
    ),
}


@pytest.mark.parametrize("name", sorted(JSON_FILES))
def test_json_that_is_no_table(tmp_path: Path, name: str) -> None:
    text, said = JSON_FILES[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(FeatrixUserError, match=said):
        read_table(tmp_path / name)


def test_an_array_that_is_cut_short(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('[{"a": 1}, {"a": 2}, {"a": 3}, {"a"')
    table = read_table(tmp_path / "t.json")
    assert table.n_rows == 3 and table.source.bad_rows == 1
    assert "row 4: not JSON" in table.notices[0].message


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["x", "y", "[", '"', "\\"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(st.fixed_dictionaries({"a": VALUES, "b": VALUES}), min_size=1, max_size=6),
    form=st.sampled_from(["lines", "array", "indented", "inside"]),
    ascii=st.booleans(),
    size=st.sampled_from([1, 7, 10_000]),
)
def test_json_reads_back(
    tmp_path: Path, rows: list[dict[str, Any]], form: str, ascii: bool, size: int
) -> None:
    """All forms, cut at any place, give the cells that were written."""
    if form == "lines":
        text = "\n".join(json.dumps(row, ensure_ascii=ascii) for row in rows)
    else:
        value: Any = {"about": [1, 2], "rows": rows} if form == "inside" else rows
        text = json.dumps(value, ensure_ascii=ascii, indent=1 if form == "indented" else None)
    data = text.encode()
    sample, bad = RowSample(None, 0), json_reading.BadRows()
    blocks = iter([data[at : at + size] for at in range(0, len(data), size)])
    table, _, _ = json_reading.read_json_table(blocks, "t", sample, bad, form == "lines")
    assert bad.count == 0

    def cell(value: Any) -> str | None:
        return value if value is None or isinstance(value, str) else json_reading.json_text(value)

    assert table.to_pylist() == [{k: cell(v) for k, v in row.items()} for row in rows]
    for row, read in zip(rows, table.to_pylist(), strict=True):
        for name, value in row.items():
            if isinstance(value, (dict, list)):
                assert json.loads(read[name]) == value


# --- Arrow types ------------------------------------------------------------------------------


def test_exotic_arrow_types_become_plain() -> None:
    moment = datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.UTC)
    table = pa.table(
        {
            "decimal": pa.array([Decimal("1.10"), None], pa.decimal128(8, 2)),
            "dictionary": pa.array(["a", None]).dictionary_encode(),
            "strings": pa.array([["a", "b"], None]),
            "vector": pa.array([[1.0, 2.5], None], pa.list_(pa.float32())),
            "struct": pa.array([{"b": 1, "a": None, "c": [moment]}, None]),
            "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
            "zone": pa.array([moment, None], pa.timestamp("us", "Europe/Berlin")),
            "unknown zone": pa.array([moment, None], pa.timestamp("us", "Mars/Olympus")),
            "time": pa.array([datetime.time(8, 30), None], pa.time64("us")),
            "duration": pa.array([datetime.timedelta(seconds=90), None], pa.duration("ms")),
            "fixed": pa.array([b"abc", None], pa.binary(3)),
            "bytes": pa.array([b"\xff\x00", None], pa.binary()),
            "half": pa.array([np.float16(0.5), None], pa.float16()),
            "view": pa.array(["v", None], pa.string_view()),
            "large": pa.array(["l", None], pa.large_string()),
        }
    )
    first, second = plain_table(table, "t").to_pylist()
    assert set(second.values()) == {None}
    berlin, mars = first.pop("zone"), first.pop("unknown zone")
    assert berlin == moment and mars == moment.replace(tzinfo=None)
    assert first == {
        "decimal": "1.10",
        "dictionary": "a",
        "strings": '["a", "b"]',
        "vector": [1.0, 2.5],
        "struct": '{"b": 1, "c": ["2024-02-29T12:30:00+00:00"]}',
        "map": '{"k": 1}',
        "time": "08:30:00.000000",
        "duration": 90.0,
        "fixed": "abc",
        "bytes": "\\xff\x00",
        "half": 0.5,
        "view": "v",
        "large": "l",
    }


def test_parquet_of_many_row_groups_streams(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": range(100_000)}), path, row_group_size=1000)
    told: list[int] = []
    table = read_table(path, max_rows=1000, on_progress=lambda done, _: told.append(done))
    assert table.n_rows == 1000 and told[-1] == path.stat().st_size
