"""Cores of a container with a CPU limit (TRAIN-3)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from featrix_core.cores import allowed_cores, cpu_limit

CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "period", "limit"),
    [("50000", "100000", 1), ("-1", "100000", None), ("6400000", "10000", None), ("0", "0", None)],
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


def test_threads_are_those_of_this_machine() -> None:
    """Without a limit nothing is set; where the machine that runs this has one, torch keeps to it."""
    assert 1 <= allowed_cores() <= CORES
    told = "import os, featrix_core; print(os.environ.get('OMP_NUM_THREADS'))"
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    for given in (None, "3"):
        asked = environment if given is None else environment | {"OMP_NUM_THREADS": given}
        done = subprocess.run(
            [sys.executable, "-c", told], env=asked, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == str(given or cpu_limit())
