"""The hostile corpus: a clean table or a user's error, soon, in little memory, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.hostile import corpus

HERE = Path(__file__).parent
SECONDS, MEGABYTES = 30.0, 2048.0


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What came of every file, read by two processes."""
    paths = [str(path) for path in corpus.build(tmp_path_factory.mktemp("corpus"))]
    halves = paths[::2], paths[1::2]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    readers = [
        subprocess.Popen(
            [sys.executable, str(HERE / "read_all.py"), *half],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for half in halves
    ]
    lines: list[dict[str, Any]] = []
    for half, reader in zip(halves, readers, strict=True):
        said = [json.loads(line) for line in reader.communicate(timeout=600)[0].splitlines()]
        assert reader.returncode == 0
        assert [line["file"] for line in said] == [Path(path).name for path in half]
        lines += said
    return {line["file"]: line for line in lines}


def test_the_corpus_is_large(outcomes: dict[str, dict[str, Any]]) -> None:
    assert len(outcomes) >= 200
    kinds = Counter(line["outcome"] for line in outcomes.values())
    assert kinds["table"] > 100 and kinds["refused"] > 100


def test_nothing_but_tables_and_user_errors(outcomes: dict[str, dict[str, Any]]) -> None:
    broken = {n: line["detail"] for n, line in outcomes.items() if line["outcome"] == "traceback"}
    assert not broken


def test_every_refusal_says_what_to_do(outcomes: dict[str, dict[str, Any]]) -> None:
    for name, line in outcomes.items():
        if line["outcome"] == "refused":
            assert line["detail"].count(". ") >= 1 and line["detail"].endswith("."), name
            assert "Traceback" not in line["detail"] and len(line["detail"]) < 1000, name


def test_nothing_takes_long(outcomes: dict[str, dict[str, Any]]) -> None:
    """Processor time, as the machine may have other work; the process as a whole has a wall clock."""
    slow = {name: line["seconds"] for name, line in outcomes.items() if line["seconds"] > SECONDS}
    assert not slow


def test_nothing_takes_much_memory(outcomes: dict[str, dict[str, Any]]) -> None:
    assert max(line["peak_mb"] for line in outcomes.values()) < MEGABYTES


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("large 2,000 columns.csv", "table"),
        ("large 10,000 columns.csv", "refused"),
        ("large 10 MB cell.csv", "table"),
        ("large 10 MB cell of line ends.csv", "table"),
        ("large 10 MB cell.json", "table"),
        ("large a line of 40 MB.csv", "table"),
        ("json nested 1,000 deep.json", "table"),
        ("json nested 100,000 deep.json", "refused"),
        ("raw empty.csv", "refused"),
        ("raw only header.csv", "refused"),
        ("raw stray quotes.csv", "table"),
        ("raw CR line ends.csv", "table"),
        ("value 1e999.csv", "table"),
        ("value dates of zero.csv", "table"),
        ("value formulas.csv", "table"),
        ("value right to left.csv", "table"),
        ("packed bomb.csv.gz", "refused"),
        ("packed bomb.csv.zst", "refused"),
        ("packed bomb.zip", "refused"),
        ("packed two gzip members.csv.gz", "table"),
        ("parquet decimal256.parquet", "table"),
        ("parquet map of structs.parquet", "table"),
        ("parquet timestamp unknown zone.parquet", "table"),
        ("parquet duplicate names.parquet", "refused"),
    ],
)
def test_what_should_be_read_is_read(
    outcomes: dict[str, dict[str, Any]], name: str, outcome: str
) -> None:
    assert outcomes[name]["outcome"] == outcome, outcomes[name]["detail"]
