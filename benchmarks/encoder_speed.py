"""Codec throughput per column type, and whole tables beside scikit-learn and skrub (ENC-1 … ENC-5)."""

from __future__ import annotations

import concurrent.futures
import functools
import multiprocessing
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featrix_core.encoders.tokenizer import Tokenizer
from featrix_core.input_data_set import FeatrixInputDataSet
from featrix_core.strings.embedder import LocalTextEmbedder, TextEmbedder
from featrix_core.tables.build import typed_columns
from featrix_core.tables.schema import ColumnType

ROWS = 20_000
TABLES = {"adult": "income", "kdd_census": "income"}
TOOLS = ("featrix", "ColumnTransformer", "TableVectorizer")
# Type → (table, column) of real cells; the others are made of real names and places.
_REAL = {
    "scalar": ("adult", "fnlwgt"),
    "scalar (whole numbers)": ("adult", "age"),
    "set": ("adult", "occupation"),
    "ordinal": ("birdstrikes", "Wildlife Size"),
    "boolean": ("hhs_breaches", "Business.Associate.Present"),
    "timestamp": ("ev_charging", "created"),
    "timestamp (days)": ("birdstrikes", "Flight Date"),
    "text": ("titanic1309", "name"),
    "document": ("hhs_breaches", "Web.Description"),
    "list": ("hhs_breaches", "Location.of.Breached.Information"),
    "code": ("titanic1309", "ticket"),
}
_MADE = ("email", "domain", "url", "phone", "address", "vector")
KINDS = (*_REAL, *_MADE)


class TimedEmbedder:
    """The in-process sentence model, with what it took."""

    def __init__(self) -> None:
        self._inner: TextEmbedder = LocalTextEmbedder()
        self._inner.embed(["the first text loads the weights"])
        self.seconds = 0.0
        self.texts: set[str] = set()

    @property
    def fingerprint(self) -> str:
        """Of the model."""
        return self._inner.fingerprint

    @property
    def dimension(self) -> int:
        """Of its vectors."""
        return self._inner.dimension

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors, timed."""
        started = time.perf_counter()
        vectors = self._inner.embed(texts)
        self.seconds += time.perf_counter() - started
        self.texts.update(texts)
        return vectors


def _made(kind: str, data_dir: Path) -> list[Any]:
    people = pd.read_parquet(data_dir / "titanic1309.parquet")["name"].str.lower()
    names = people.str.extract(r"^([a-z]+).*\. ([a-z]+)").dropna().astype(str)
    first, last = names[1].tolist(), names[0].tolist()
    cities = pd.read_parquet(data_dir / "superstore.parquet")["City"].drop_duplicates()
    hosts = [city.lower().replace(" ", "") for city in cities]
    pairs = list(zip(first, last, hosts * 9, list(cities) * 9, strict=False))
    if kind == "email":
        return [f"{a}.{b}@{host}.org" for a, b, host, _ in pairs]
    if kind == "domain":
        return [f"{b}.{host}.co.uk" for _, b, host, _ in pairs]
    if kind == "url":
        return [
            f"https://www.{host}.com/{b}/{a}?page={k}" for k, (a, b, host, _) in enumerate(pairs)
        ]
    if kind == "phone":
        return [f"+1 {201 + k % 700} 555 {1000 + 7 * k}" for k in range(len(pairs))]
    if kind == "address":
        return [f"{k + 1} {b.title()} Street, {city}" for k, (_, b, _, city) in enumerate(pairs)]
    rng = np.random.default_rng(0)
    return [row.tolist() for row in rng.normal(size=(2_000, 64)).astype(np.float32)]


def _column(kind: str, data_dir: Path) -> tuple[pd.DataFrame, ColumnType, int]:
    """(one column of `ROWS` rows, its type, how many cells were there before they were repeated)."""
    if kind in _REAL:
        table, name = _REAL[kind]
        cells = pd.read_parquet(data_dir / f"{table}.parquet", columns=[name])[name].tolist()
    else:
        cells = _made(kind, data_dir)
    own = cells[:ROWS]
    repeated = (own * (ROWS // len(own) + 1))[:ROWS]
    return pd.DataFrame({"cells": repeated}), ColumnType(kind.split(" ")[0]), len(own)


def codec(kind: str, data_dir: Path) -> dict[str, Any]:
    """Seconds and cells per second of typing, fitting and encoding one column."""
    frame, type_, own = _column(kind, data_dir)
    data = FeatrixInputDataSet(frame, overrides={"cells": type_})
    schema = data.schema()
    # Libraries load their tables at the first cell.
    few = typed_columns(data.table.take(np.arange(2)), schema)
    Tokenizer.fit(schema, few, TimedEmbedder())
    embedder = TimedEmbedder()
    started = time.perf_counter()
    typed = typed_columns(data.table, schema)
    typing = time.perf_counter() - started
    started = time.perf_counter()
    tokenizer = Tokenizer.fit(schema, typed, embedder)
    fit = time.perf_counter() - started
    fit_sentences = embedder.seconds
    taken = []
    for _ in range(3):
        before, started = embedder.seconds, time.perf_counter()
        tokenizer.encode(typed, embedder)
        taken.append((time.perf_counter() - started, embedder.seconds - before))
    # Of the first, the sentence model's share; of the best, the codec's own.
    encode = min(whole - sentences for whole, sentences in taken)
    sentences = fit_sentences + taken[0][1]
    return {
        "rows": ROWS,
        "cells_before_repeating": own,
        "distinct": int(schema.columns[0].n_unique),
        "source": "/".join(_REAL[kind]) if kind in _REAL else "made",
        "typing_s": round(typing, 4),
        "fit_s": round(fit - fit_sentences, 4),
        "encode_s": round(encode, 4),
        "sentences_s": round(sentences, 4),
        "distinct_texts": len(embedder.texts),
        "typing_cells_per_s": round(ROWS / typing),
        "fit_cells_per_s": round(ROWS / max(fit - fit_sentences, 1e-6)),
        "encode_cells_per_s": round(ROWS / encode),
        "encode_with_sentences_cells_per_s": round(ROWS / (encode + sentences)),
    }


def _mebibytes(of: str) -> float:
    """Resident memory of this process in MiB: `VmRSS` now, `VmHWM` at its peak."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"{of}:"))) / 1024.0


def _whole(tool: str, table: str, data_dir: Path) -> dict[str, Any]:
    """One tool on one table, in a process of its own."""
    import torch

    torch.set_num_threads(1)
    frame = pd.read_parquet(data_dir / f"{table}.parquet").drop(columns=[TABLES[table]])
    figures: dict[str, Any] = {"tool": tool, "rows": len(frame), "columns": frame.shape[1]}
    if tool == "featrix":
        embedder = TimedEmbedder()
        before = _mebibytes("VmRSS")
        started = time.perf_counter()
        data = FeatrixInputDataSet(frame)
        schema = data.schema()
        figures["schema_s"] = round(time.perf_counter() - started, 3)
        started = time.perf_counter()
        typed = typed_columns(data.table, schema)
        figures["typing_s"] = round(time.perf_counter() - started, 3)
        started = time.perf_counter()
        tokenizer = Tokenizer.fit(schema, typed, embedder)
        figures["fit_s"] = round(time.perf_counter() - started - embedder.seconds, 3)
        sentences, started = embedder.seconds, time.perf_counter()
        batch = tokenizer.encode(typed, embedder)
        now = embedder.seconds
        figures["encode_s"] = round(time.perf_counter() - started - (now - sentences), 3)
        figures["sentences_s"] = round(now, 3)
        figures["tokens"] = list(batch.missing_NA.shape)
    else:
        before = _mebibytes("VmRSS")
        started = time.perf_counter()
        result = _transformer(tool, frame).fit_transform(frame)
        figures["fit_transform_s"] = round(time.perf_counter() - started, 3)
        figures["features"] = int(result.shape[1])
    parts = [value for key, value in figures.items() if key.endswith("_s")]
    figures["seconds"] = round(sum(parts), 3)
    figures["cells_per_s"] = round(frame.size / figures["seconds"])
    figures["memory_before_mib"] = round(before)
    figures["peak_memory_mib"] = round(_mebibytes("VmHWM"))
    return figures


def _transformer(tool: str, frame: pd.DataFrame) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    if tool == "TableVectorizer":
        from skrub import TableVectorizer

        return TableVectorizer(n_jobs=1)
    numbers = list(frame.select_dtypes(include="number").columns)
    texts = [name for name in frame.columns if name not in numbers]
    return make_column_transformer(
        (StandardScaler(), numbers), (OneHotEncoder(handle_unknown="ignore"), texts)
    )


def whole_table(tool: str, table: str, data_dir: Path) -> dict[str, Any]:
    """Seconds, cells per second and peak memory of turning a whole table into tensors."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_whole, tool, table, data_dir).result()


def cells(data_dir: Path) -> dict[str, Callable[[], Any]]:
    """Everything that is measured, by name."""
    found: dict[str, Callable[[], Any]] = {}
    for kind in KINDS:
        found[f"codec/{kind}"] = functools.partial(codec, kind, data_dir)
    for table in TABLES:
        for tool in TOOLS:
            found[f"table/{table}/{tool}"] = functools.partial(whole_table, tool, table, data_dir)
    return found
