"""Cores of a container with a CPU limit (TRAIN-3)."""

import os
from pathlib import Path

import pytest

from featrix_core.cores import allowed_cores, cpu_limit, limit_threads

CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "period", "limit"),
    [
        ("50000", "100000", 1),
        ("190000", "100000", 1),
        ("-1", "100000", None),
        ("6400000", "10000", None),
        ("0", "0", None),
    ],
)
def test_limits_of_both_versions(
    tmp_path: Path, quota: str, period: str, limit: int | None
) -> None:
    if CORES == 1 and limit == 1:
        pytest.skip("one core cannot be limited to one")
    (tmp_path / "one" / "cpu").mkdir(parents=True)
    (tmp_path / "one" / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "one" / "cpu" / "cpu.cfs_period_us").write_text(f"{period}\n")
    assert cpu_limit(tmp_path / "one") == limit
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "cpu.max").write_text(f"{'max' if quota == '-1' else quota} {period}\n")
    assert cpu_limit(tmp_path / "two") == limit


@pytest.mark.parametrize("text", ["", "max 100000\n", "nonsense\n", "1 2 3\n"])
def test_what_says_no_limit(tmp_path: Path, text: str) -> None:
    assert cpu_limit(tmp_path) is None
    (tmp_path / "cpu.max").write_text(text)
    assert cpu_limit(tmp_path) is None


def test_threads_follow_the_limit_unless_told_otherwise() -> None:
    environment: dict[str, str] = {}
    limit_threads(environment, None)
    assert environment == {}
    limit_threads(environment, 3)
    limit_threads(environment, 2)
    assert environment == {"OMP_NUM_THREADS": "3"}
    assert 1 <= allowed_cores() <= CORES
