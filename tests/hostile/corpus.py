"""Files that go wrong in every way we know of; `build` writes them all into a folder.

What becomes of each (a table or a user's error) is not said here: the test asks only that nothing else
happens, and that it happens soon and in little memory.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from tests.hostile.corpus_parquet import parquet_files
from tests.hostile.corpus_texts import JSON, JSON_LINES, RAW, VALUES, csv_of, encoded

# --- packed -------------------------------------------------------------------------------------

PLAIN = b"a,b\n" + b"x,1\ny,2\nz,3\n" * 3000


def zip_of(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def packed() -> Iterator[tuple[str, bytes]]:
    packers = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    packers["zst"] = lambda data: pa.compress(data, "zstd", asbytes=True)
    bomb = b"0" * (64 << 20)
    for ending, pack in packers.items():
        data = pack(PLAIN)
        yield f"plain.csv.{ending}", data
        yield f"cut.csv.{ending}", data[: len(data) // 2]
        yield f"head only.csv.{ending}", data[:12]
        yield f"changed.csv.{ending}", data[:60] + b"\x55\xaa" + data[62:]
        yield f"empty inside.csv.{ending}", pack(b"")
        yield f"not packed.csv.{ending}", PLAIN
        yield f"twice.csv.{ending}", pack(data)
        yield f"bomb.csv.{ending}", pack(bomb) * 4
        yield f"garbage behind.csv.{ending}", data + b"garbage"
    yield "two gzip members.csv.gz", gzip.compress(PLAIN) + gzip.compress(b"w,4\n" * 9)
    yield "plain.zip", zip_of({"t.csv": PLAIN})
    yield "stored.csv.zip", zip_of({"t.csv": PLAIN}, zipfile.ZIP_STORED)
    yield "two files.zip", zip_of({"t.csv": PLAIN, "u.csv": PLAIN})
    yield "no files.zip", zip_of({})
    yield "a folder only.zip", zip_of({"folder/": b""})
    yield "zip in a zip.zip", zip_of({"t.zip": zip_of({"t.csv": PLAIN})})
    yield "a program inside.zip", zip_of({"setup.exe": b"MZ"})
    yield "path outside.zip", zip_of({"../../t.csv": PLAIN})
    yield "cut.zip", zip_of({"t.csv": PLAIN})[:-40]
    data = bytearray(zip_of({"t.csv": PLAIN}))
    data[45] ^= 0xFF
    yield "changed.zip", bytes(data)
    data = bytearray(zip_of({"t.csv": PLAIN}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    yield "encrypted.zip", bytes(data)
    yield "bomb.zip", zip_of({"t.csv": bomb * 4})
    yield "bomb of bz2.zip", zip_of({"t.csv": bomb * 2}, zipfile.ZIP_BZIP2)


# --- large --------------------------------------------------------------------------------------


def large() -> Iterator[tuple[str, bytes]]:
    megabytes = "x" * (10 << 20)
    names = ",".join(f"c{n}" for n in range(10_000))
    row = ",".join(str(n % 7) for n in range(10_000))
    words = ",".join(f"w{n % 3}" for n in range(10_000))
    yield "10,000 columns.csv", f"{names}\n{row}\n{words}\n{row}\n{words}\n{row}\n".encode()
    yield (
        "2,000 columns.csv",
        "\n".join(",".join(line.split(",")[:2000]) for line in (names, row, words, row)).encode(),
    )
    yield "10,000 columns, ragged.csv", f"{names}\n{row}\n{row},1\n{row}\n".encode()
    yield "a million columns.csv", b"a," * 1_000_000 + b"a\n" + b"1," * 1_000_000 + b"1\n"
    yield "10 MB cell.csv", f'a,b\n1,"{megabytes}"\n2,y\n3,z\n'.encode()
    yield "10 MB cell, plain.csv", f"a,b\n1,{megabytes}\n2,y\n3,z\n".encode()
    yield "10 MB cell of quotes.csv", b'a,b\n1,"' + b'""' * (5 << 20) + b'"\n2,y\n3,z\n'
    yield "10 MB cell of line ends.csv", b'a,b\n1,"' + b"\n" * (10 << 20) + b'"\n2,y\n3,z\n'
    yield "10 MB open quote.csv", b'a,b\n1,"' + b"q\n" * (5 << 20)
    yield "10 MB name.csv", f"{megabytes},b\n1,2\n3,4\n".encode()
    yield "3 MB of stray quotes.csv", b"a,b\n" + b'x"y,1\n' * 500_000
    yield "10 MB of bad rows.csv", b"a,b\n1,2\n" + b"1,2\n3\n" * 1_200_000
    yield (
        "10 MB of rows without UTF-8.csv",
        "a,b\nü,2\n".encode() * 9 + b"x,1\n\xff,3\n" * 1_000_000,
    )
    yield "10 MB of NUL.csv", b"a,b\n1,2\n" + b"\0" * (10 << 20)
    yield "10 MB cell.jsonl", f'{{"a": "{megabytes}"}}\n{{"a": "y"}}\n{{"a": "z"}}\n'.encode()
    yield "10 MB cell.json", f'[{{"a": "{megabytes}"}}, {{"a": "y"}}, {{"a": "z"}}]'.encode()
    yield "10 MB of brackets.json", b"[" + b"[" * (10 << 20)
    yield "10 MB of bad lines.jsonl", b'{"a": 1}\n' * 400_000 + b"{\n" * 390_000
    yield "a line of 40 MB.csv", b"a,b\n1,2\n3,4\n" + b"z" * (40 << 20) + b",x\n5,6\n"
    yield "an open quote of 40 MB.csv", b'a,b\n1,2\n3,"' + b"z\n" * (20 << 20)
    yield "an element of 40 MB.json", b'[{"a": 1}, {"a": "' + b"z" * (40 << 20) + b'"}]'


def build(folder: Path) -> list[Path]:
    """Write every file of the corpus; their paths in order."""
    paths: list[Path] = []

    def put(name: str, data: bytes) -> None:
        path = folder / name.replace("/", "-")
        path.write_bytes(data)
        paths.append(path)

    for name, data in RAW.items():
        put(f"raw {name}.csv", data)
    for name, values in VALUES.items():
        put(f"value {name}.csv", csv_of(values))
    for name, data in encoded():
        put(f"encoding {name}.csv", data)
    for name, data in JSON.items():
        put(f"json {name}.json", data)
    for name, data in JSON_LINES.items():
        put(f"lines {name}.jsonl", data)
    for name, data in packed():
        put(f"packed {name}", data)
    for name, data in large():
        put(f"large {name}", data)
    paths.extend(parquet_files(folder))
    return paths
